"""Filters of compressed HDF5 datasets: those that HDF5 lacks are hdf5plugin's, which is loaded when one is needed."""

from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import h5py

from ..errors import DataError, Diagnostic

_NAMES = {
    h5py.h5z.FILTER_SZIP: "szip",
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "Bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32018: "FCIDECOMP",
    32019: "JPEG",
    32024: "SZ3",
    32026: "Blosc2",
    32028: "SPERR",
}
"""Names by the number that the HDF Group has given."""


def load_plugins() -> None:
    """Make the filters of hdf5plugin known to HDF5, if it is installed."""
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401


def require_filters(dataset: Any, place: str) -> None:
    """Make sure that the filters of a dataset are there; load hdf5plugin if one is not.

    Raises:
        DataError: If one is not installed.
    """
    creation = dataset.id.get_create_plist()
    for number in range(creation.get_nfilters()):
        code, _, _, name = creation.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            load_plugins()
        if not h5py.h5z.filter_avail(code):
            raise DataError(_missing(code, name, place))


def _missing(code: int, stored: bytes, place: str) -> Diagnostic:
    """Return the fault of a dataset whose filter is not there."""
    name = _NAMES.get(code) or stored.decode(errors="replace").partition(";")[0] or "of an unknown name"
    message = f"is compressed by the filter {name} (number {code}), which is not installed; nothing is damaged"
    if find_spec("hdf5plugin") is None:
        return Diagnostic(place, message, "pip install hdf5plugin")
    remedy = "name the folder of its plugin in HDF5_PLUGIN_PATH, or write the file with gzip: h5repack -f GZIP=4 IN OUT"
    return Diagnostic(place, message, remedy)
