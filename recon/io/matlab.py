"""MATLAB v5 to v7 files: variables by name, presented as ``/name``. Files of v7.3 are HDF5."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .guard import guard
from .lazy_arrays import LazyArray, LazyArrays


@contextmanager
def open_matlab5(path: Path) -> Iterator[LazyArrays]:
    """Open a MATLAB v5 to v7 file as arrays. Structures become folders: ``/setup/wavelength``, or ``/scan/1/image``.

    Raises:
        DataError: If the file cannot be read, or is damaged.
    """
    from scipy.io import loadmat

    with guard(path, "the MATLAB file"):
        variables = loadmat(path, simplify_cells=True)
        named = {name: value for name, value in variables.items() if not name.startswith("__")}
        arrays = dict(_arrays_in("", named))
    yield LazyArrays(path, "MATLAB v5", arrays)


def _arrays_in(prefix: str, value: object) -> Iterator[tuple[str, LazyArray]]:
    """Yield the path of each array of numbers or text, and the array; elements of structures are counted from 1."""
    is_sequence = isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype == object)
    if is_sequence and not isinstance(value, dict):
        value = {str(number): item for number, item in enumerate(np.ravel(np.asarray(value, object)), 1)}
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _arrays_in(f"{prefix}/{name}", item)
        return
    array = np.asarray(value)
    if array.dtype.kind in "biufcU":
        yield prefix, LazyArray.of(array)
