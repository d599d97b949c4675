"""Read sections of cells: folders and archives of image, mask and obj, or HDF5 files; all cells on one grid."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ...acquisition import Acquisition
from ...config.base import Settings
from ...errors import ConfigError, DataError, Diagnostic
from ...io.image_folders import is_sections
from ...volume import Volume
from .cell_crops import CellCrop, crop_faults, cut_off_share, resample_crop, resampling_factor, touches_border
from .cells import LoadedCells, limit_faults
from .config import ShapeAcquisition
from .grids import cube
from .read_folder import read_folder
from .read_hdf5 import read_hdf5
from .schema import OCCUPANCY
from .validate import validate, warnings_for

_log = logging.getLogger(__name__)
_LOST = 0.01
"""Share of a cell that may lie beyond the grid: a few bright pixels far out are none of it."""


def read(settings: Settings, path: Path) -> Acquisition:
    """Read sections.

    Args:
        settings: A config whose ``acquisition`` is a `ShapeAcquisition`.
        path: A folder or zip archive of ``image/``, ``mask/`` and perhaps ``obj/``, or an HDF5 file.

    Raises:
        DataError: With every fault of the files.
        ConfigError: If the cells or the grid do not suit them.
    """
    wanted: ShapeAcquisition = settings.acquisition  # type: ignore[attr-defined]
    found = read_folder(wanted, path) if is_sections(path) else read_hdf5(wanted, path)
    faults = [*found.faults, *(fault for crop in found.crops for fault in crop_faults(crop, found.several))]
    if faults:
        raise DataError(*limit_faults(faults, path))
    acquisition = _joined(wanted, found, path)
    faults = validate(acquisition)
    if faults:
        raise DataError(*limit_faults(faults, path))
    for sentence in warnings_for(acquisition):
        _log.warning("%s", sentence)
    return acquisition


def _joined(wanted: ShapeAcquisition, found: LoadedCells, path: Path) -> Acquisition:
    """Bring all cells to one grid.

    Raises:
        ConfigError: If there is no grid that suits them all, or the one asked for would cut them off.
    """
    crops, size = found.crops, found.size
    spacing = None if wanted.spacing == "auto" else float(wanted.spacing)
    if spacing is not None and any(crop.step is None for crop in crops):
        message = f"a spacing of {spacing:g} m is asked for, and the voxel's size is unknown"
        raise ConfigError(Diagnostic("acquisition.spacing", message, "say acquisition.voxel_size, or spacing: auto"))
    touching = [crop.name for crop in crops if touches_border(crop)]
    if touching:
        shown = ", ".join(touching[:5]) + (", …" if len(touching) > 5 else "")
        many = "1 mask touches its" if len(touching) == 1 else f"{len(touching)} masks touch their"
        _log.warning("%s image's border, where the cell may go on: %s", many, shown)
    if spacing is None and len({crop.step for crop in crops}) == 1:
        # One grid for all: as coarse as the largest image needs.
        scale = max(resampling_factor(crop, size, None) for crop in crops)
        own = crops[0].step
        if own is not None and scale > 1:
            spacing = own[2] * scale
    _require_room(crops, size, spacing)
    crops = [resample_crop(crop, size, spacing) for crop in crops]
    steps = {crop.step for crop in crops}
    rescaled = [crop for crop in crops if abs(crop.scale - 1) > 1e-6]
    if rescaled:
        _log.info("%d of %d cells were resampled to %d pixels", len(rescaled), len(crops), size)
    if len(steps) > 1 and not _alike(steps):
        message = f"the cells have {len(steps)} different voxels once they are brought to {size} pixels"
        raise ConfigError(
            Diagnostic("acquisition.spacing", message, "say the spacing of the grid that all are brought to")
        )
    arrays: dict[str, np.ndarray] = {
        "images": np.stack([crop.image for crop in crops]),
        "mask": np.stack([crop.mask for crop in crops]),
        "name": np.array([crop.name for crop in crops]),
        "label": np.array([crop.label for crop in crops]),
    }
    step = next(iter(steps))
    if step is not None:
        arrays["voxel_size"] = np.array(step)
    return Acquisition("shape", arrays, str(path), _truth(crops, step), found.attributes, found.places)


def _require_room(crops: Sequence[CellCrop], size: int, spacing: float | None) -> None:
    """Refuse a grid that would cut cells off.

    Raises:
        ConfigError: If there are such cells.
    """
    cut = [crop.name for crop in crops if cut_off_share(crop, size, spacing) > _LOST]
    if not cut:
        return
    shown = ", ".join(cut[:5]) + (", …" if len(cut) > 5 else "")
    grid = f"{size} pixels" if spacing is None else f"{size} pixels, {spacing * 1e6:.4g} um apart,"
    message = f"a grid of {grid} would cut off {len(cut)} of {len(crops)} cells: {shown}"
    remedy = "say a larger acquisition.size, or a larger acquisition.spacing"
    raise ConfigError(Diagnostic("acquisition.size", message, remedy))


def _truth(crops: Sequence[CellCrop], step: tuple[float, float, float] | None) -> Volume | None:
    if any(crop.truth is None for crop in crops):
        return None
    occupancy = np.stack([crop.truth for crop in crops if crop.truth is not None])[:, None]
    z, y, x = cube(occupancy.shape[2:], step or (1.0, 1.0, 1.0)).axes
    unit: Literal["m", "voxel"] = "m" if step is not None else "voxel"
    names, labels = (tuple(getattr(crop, what) for crop in crops) for what in ("name", "label"))
    return Volume("shape", z, y, x, {OCCUPANCY.name: occupancy}, (OCCUPANCY,), {}, unit, names, labels)


def _alike(steps: set[tuple[float, float, float] | None]) -> bool:
    known = [s for s in steps if s is not None]
    return len(known) == len(steps) and bool(np.allclose(known, known[0], rtol=0.01))
