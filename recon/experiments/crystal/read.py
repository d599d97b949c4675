"""Read a rocking curve as its config describes it: counts, mask, and the geometry in SI."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...acquisition import Acquisition
from ...config.source import Source
from ...config.value_types import view_indices
from ...errors import ConfigError, DataError, Diagnostic
from ...io.lazy_arrays import Index
from ...io.open import open_tree
from ...io.read import read_all
from .aps_34idc import READER
from .config import CrystalSettings
from .config_acquisition import CrystalAcquisition
from .diffractometer import GROUP, ScanCircles, parse_diffractometer
from .geometry_checks import geometry_faults
from .reflection import add_reflection
from .schema import SCHEMA
from .validate import validate, warnings_for

_log = logging.getLogger(__name__)


def read(settings: CrystalSettings, path: Path) -> Acquisition:
    """Read a rocking curve.

    Args:
        settings: Names, units, and which frames to take.
        path: A file of ours or a foreign one, a folder of TIFFs or of a beamline's scan, or an archive of one.

    Returns:
        Counts with mask and geometry, all frames that were asked for; neither centred nor cropped.

    Raises:
        DataError: With every fault of the file.
        ConfigError: If the frames do not suit the file.
    """
    wanted = settings.acquisition

    taken: list[int] = []

    def select(sizes: Mapping[str, int]) -> Mapping[str, Index]:
        if "frame" not in sizes:
            return {}
        taken[:] = _frames(wanted, sizes["frame"])
        whole = taken == list(range(sizes["frame"]))
        return {"frame": slice(0, sizes["frame"]) if whole else taken}

    circles = wanted.goniometer.circles if wanted.goniometer is not None else _read_circles(path)
    schema = (*SCHEMA, *(circles.entries if circles else ()))
    names = {entry.name: _source(wanted, entry.name) for entry in SCHEMA} | dict(circles.sources if circles else {})
    acquisition, faults = read_all(path, schema, names, "crystal", select, readers=(READER,))
    if not faults:
        stride = _stride(taken)
        acquisition = _with_steps(acquisition, stride)
        acquisition = _without_saturated(acquisition, wanted.saturation)
        faults = validate(acquisition)
        if circles is not None and not faults:
            acquisition = add_reflection(acquisition, circles, stride)
            faults = geometry_faults(acquisition)
    if faults:
        raise DataError(*dict.fromkeys(faults))
    doubtful = warnings_for(acquisition)
    if doubtful and wanted.doubtful == "refuse":
        last = doubtful[-1]
        remedy = f"{last.remedy}; if it is right, go on with --set acquisition.doubtful=warn"
        raise DataError(*doubtful[:-1], replace(last, remedy=remedy))
    for fault in doubtful:
        _log.warning("%s: %s", fault.where, fault.message)
    return acquisition


def _read_circles(path: Path) -> ScanCircles | None:
    """Read the circles that an HDF5 file defines in its group ``GROUP``.

    Returns:
        The circles; None if the file is no HDF5 file or defines none.

    Raises:
        DataError: If the file's circles make no diffractometer.
    """
    import h5py

    if not path.is_file() or not h5py.is_hdf5(path):
        return None
    with open_tree(path) as tree:
        attributes = tree.attributes(GROUP) or {}
    try:
        machine = parse_diffractometer(attributes)
    except ValueError as error:
        remedy = "its attributes are beamline, or sample, detector, rows and columns"
        raise DataError(Diagnostic(f"{path}:{GROUP}", str(error), remedy)) from error
    return None if machine is None else ScanCircles(machine, scanned=str(attributes.get("scanned", "")))


def _source(wanted: CrystalAcquisition, name: str) -> Source | None:
    source: Source | None = getattr(wanted, name)
    return source


def _frames(wanted: CrystalAcquisition, count: int) -> list[int]:
    """Turn the wanted frames into indices.

    Raises:
        ConfigError: If there are no such frames, or steps between them differ: q must grow evenly.
    """
    try:
        chosen = view_indices(wanted.frames, count)
    except ValueError as error:
        raise ConfigError(
            Diagnostic(
                "acquisition.frames", str(error).replace("view", "frame"), f"the file holds frames 0 to {count - 1}"
            )
        ) from error
    steps = np.diff(sorted(chosen))
    if steps.size and (steps.min() < 1 or steps.min() != steps.max()):
        message = f"the frames are {steps.min()} to {steps.max()} apart: a rocking curve has even steps"
        raise ConfigError(Diagnostic("acquisition.frames", message, "name them all, and mask the bad ones"))
    if not _is_even(chosen):
        _require_whole(chosen, count)
    return chosen


def _is_even(chosen: list[int]) -> bool:
    """Whether the frames follow one another by one step, upwards or downwards."""
    return len(set(np.diff(chosen).tolist())) <= 1


def _require_whole(chosen: list[int], count: int) -> None:
    """Take another order than the file's only for all of its frames: it says how a file that was mixed up is sorted.

    Raises:
        ConfigError: If some frames are left out: then nobody knows the step of q from one to the next.
    """
    if len(chosen) < count:
        at = next(i for i in range(2, len(chosen)) if chosen[i] - chosen[i - 1] != chosen[1] - chosen[0])
        message = f"the frames are out of order: {chosen[at]} follows {chosen[at - 1]}"
        remedy = f"name them rising or falling, or all {count} in the order in which the crystal turned"
        raise ConfigError(Diagnostic("acquisition.frames", message, remedy))
    _log.warning("the frames are sorted as acquisition.frames says: q is taken to grow by its basis in that order")


def _stride(taken: list[int]) -> int:
    """Frames of the file from one that was taken to the next; negative where the curve is taken backwards."""
    if len(taken) < 2:
        return 1
    return taken[1] - taken[0] if _is_even(taken) else 1


def _with_steps(acquisition: Acquisition, stride: int) -> Acquisition:
    """Let the basis know of frames that were left out between others, and of a curve that is taken backwards."""
    if stride == 1 or "reciprocal_basis" not in acquisition:
        return acquisition
    basis = acquisition["reciprocal_basis"] * np.array([[stride], [1], [1]])
    return replace(acquisition, arrays={**acquisition.arrays, "reciprocal_basis": basis})


def _without_saturated(acquisition: Acquisition, limit: float | None) -> Acquisition:
    """Mask what is saturated, and say how much."""
    if limit is None:
        return acquisition
    images = acquisition["images"]
    over = images >= limit
    if not over.any():
        return acquisition
    _log.info("%d voxels hold %g counts or more: masked as saturated", int(over.sum()), limit)
    mask = np.broadcast_to(acquisition["mask"], images.shape) if "mask" in acquisition else np.zeros(images.shape, bool)
    return replace(acquisition, arrays={**acquisition.arrays, "mask": ((mask != 0) | over).astype(np.uint8)})
