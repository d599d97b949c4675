"""Resampling of loaded cells to a common grid, and the acquisition that they form."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from ...volume import Volume
from .cell_crops import CellCrop, LoadedCells
from .config import ShapeAcquisition
from .grids import centred_grid
from .schema import OCCUPANCY

_log = logging.getLogger(__name__)
_LARGEST_FRACTION_BEYOND = 0.01
"""Largest fraction of a cell that may lie beyond the grid: a few bright pixels far out do not belong to it."""
_SCALE_TOLERANCE = 1e-6
"""Relative difference of scales below which nothing is resampled."""


def to_acquisition(settings: ShapeAcquisition, loaded: LoadedCells, path: Path) -> Acquisition:
    """Resample all cells to a common grid.

    Args:
        settings: Section of the config.
        loaded: Cells at their original size.
        path: File or folder of the cells.

    Raises:
        ConfigError: If no grid suits all cells, or the requested one would cut some off.
    """
    size = loaded.size
    spacing = _grid_spacing(settings, loaded.crops, size)
    _warn_of_borders(loaded.crops)
    _require_room(loaded.crops, size, spacing)
    crops = [resample_crop(crop, size, spacing) for crop in loaded.crops]
    resampled = sum(abs(crop.scale - 1) > _SCALE_TOLERANCE for crop in crops)
    if resampled:
        _log.info("%d of %d cells were resampled to %d pixels", resampled, len(crops), size)
    step = _common_step(crops, size)
    arrays: dict[str, np.ndarray] = {
        "images": np.stack([crop.image for crop in crops]),
        "mask": np.stack([crop.mask for crop in crops]),
        "name": np.array([crop.name for crop in crops]),
        "label": np.array([crop.label for crop in crops]),
    }
    if step is not None:
        arrays["voxel_size"] = np.array(step)
    return Acquisition("shape", arrays, str(path), _truth(crops, step), loaded.attributes, loaded.places)


def _grid_spacing(settings: ShapeAcquisition, crops: Sequence[CellCrop], size: int) -> float | None:
    """[m] Lateral spacing of the grid; None where each cell keeps its own.

    Raises:
        ConfigError: If a spacing is requested, and the voxel size of a cell is unknown.
    """
    if settings.spacing != "auto":
        spacing = float(settings.spacing)
        if any(crop.step is None for crop in crops):
            message = f"a spacing of {spacing:g} m is asked for, and the voxel's size is unknown"
            remedy = "set acquisition.voxel_size, or acquisition.spacing: auto"
            raise ConfigError(Diagnostic("acquisition.spacing", message, remedy))
        return spacing
    if len({crop.step for crop in crops}) == 1:
        # Cells of one voxel size share one grid, as coarse as the largest image needs.
        scale = max(resampling_factor(crop, size, None) for crop in crops)
        step = crops[0].step
        if step is not None and scale > 1:
            return step[2] * scale
    return None


def _warn_of_borders(crops: Sequence[CellCrop]) -> None:
    """Warn of masks that reach the edge of their image: the cells may continue beyond it."""
    touching = [crop.name for crop in crops if _touches_border(crop.mask > 0.5)]
    if touching:
        many = "1 mask touches its" if len(touching) == 1 else f"{len(touching)} masks touch their"
        _log.warning("%s image's border, where the cell may go on: %s", many, _first_names(touching))


def _touches_border(inside: Bool[np.ndarray, "y x"]) -> bool:
    return bool(inside[[0, -1]].any() or inside[:, [0, -1]].any())


def _require_room(crops: Sequence[CellCrop], size: int, spacing: float | None) -> None:
    """Refuse a grid that would cut cells off.

    Raises:
        ConfigError: If there are such cells.
    """
    cut = [crop.name for crop in crops if cut_off_share(crop, size, spacing) > _LARGEST_FRACTION_BEYOND]
    if not cut:
        return
    grid = f"{size} pixels" if spacing is None else f"{size} pixels, {spacing * 1e6:.4g} um apart,"
    message = f"a grid of {grid} would cut off {len(cut)} of {len(crops)} cells: {_first_names(cut)}"
    remedy = "set a larger acquisition.size, or a larger acquisition.spacing"
    raise ConfigError(Diagnostic("acquisition.size", message, remedy))


def _first_names(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def _common_step(crops: Sequence[CellCrop], size: int) -> tuple[float, float, float] | None:
    """[m] Voxel size (z, y, x) of the resampled cells; None if unknown.

    Raises:
        ConfigError: If the cells differ in it by more than 1 %.
    """
    steps = {crop.step for crop in crops}
    known = [step for step in steps if step is not None]
    alike = len(known) == len(steps) and bool(np.allclose(known, known[0], rtol=0.01))
    if len(steps) > 1 and not alike:
        message = f"the cells have {len(steps)} different voxels once they are brought to {size} pixels"
        raise ConfigError(
            Diagnostic("acquisition.spacing", message, "set the spacing of the grid that all are resampled to")
        )
    return next(iter(steps))


def _truth(crops: Sequence[CellCrop], step: tuple[float, float, float] | None) -> Volume | None:
    """Stack the known shapes (cell, draw, z, y, x); None unless all are known."""
    if any(crop.truth is None for crop in crops):
        return None
    occupancy = np.stack([crop.truth for crop in crops if crop.truth is not None])[:, None]
    z, y, x = centred_grid(occupancy.shape[2:], step or (1.0, 1.0, 1.0)).axes
    unit: Literal["m", "voxel"] = "m" if step is not None else "voxel"
    names, labels = (tuple(getattr(crop, attribute) for crop in crops) for attribute in ("name", "label"))
    return Volume("shape", z, y, x, {OCCUPANCY.name: occupancy}, (OCCUPANCY,), {}, unit, names, labels)


def resample_crop(crop: CellCrop, size: int, spacing: float | None) -> CellCrop:
    """Resample and pad a cell to a square grid, a volume to a cube, about its centre.

    Args:
        crop: The cell.
        size: Samples along each edge.
        spacing: [m] Lateral spacing of the grid; None to keep the cell's own, enlarged if it would not fit.
    """
    scales = _scales(crop, size, spacing)
    scale, step = scales[0], crop.step
    if step is not None:
        step = (step[0] * scale, step[2] * scale, step[2] * scale)
    return replace(
        crop,
        image=_resample(crop.image, scales[1:], (size, size)),
        mask=_resample(crop.mask, scales[1:], (size, size)),
        truth=None if crop.truth is None else _resample(crop.truth, scales, (size,) * 3),
        step=step,
        scale=scale,
    )


def resampling_factor(crop: CellCrop, size: int, spacing: float | None) -> float:
    """Factor by which `resample_crop` enlarges a cell's pixels along x."""
    if spacing is not None and crop.step is not None:
        return spacing / crop.step[2]
    height, width = crop.mask.shape
    return float(max(1.0, height * _pixel_aspect(crop) / size, width / size))


def cut_off_share(crop: CellCrop, size: int, spacing: float | None) -> float:
    """Share of a cell, of its section or its shape, that `resample_crop` would cut off."""
    scales = _scales(crop, size, spacing)
    fractions = [_fraction_beyond(crop.mask > 0.5, scales[1:], size)]
    if crop.truth is not None:
        fractions.append(_fraction_beyond(crop.truth > 0.5, scales, size))
    return max(fractions)


def _fraction_beyond(inside: Bool[np.ndarray, "*shape"], scales: Sequence[float], size: int) -> float:
    within = inside
    for axis, (scale, count) in enumerate(zip(scales, inside.shape, strict=True)):
        index = (np.arange(count) - count // 2) / scale + size // 2
        within = np.compress((index > -1) & (index < size), within, axis=axis)
    return 1 - float(within.sum()) / max(float(inside.sum()), 1)


def _scales(crop: CellCrop, size: int, spacing: float | None) -> tuple[float, float, float]:
    """Original samples from each new sample to the next, along (z, y, x)."""
    scale = resampling_factor(crop, size, spacing)
    return scale, scale / _pixel_aspect(crop), scale


def _pixel_aspect(crop: CellCrop) -> float:
    """Ratio of a pixel's edges along y and x."""
    return 1.0 if crop.step is None else crop.step[1] / crop.step[2]


def _resample(values: np.ndarray, scales: Sequence[float], shape: tuple[int, ...]) -> Float[np.ndarray, "*shape"]:
    """Sample an array every ``scale`` of its samples about the centre; 0 lies beyond its ends."""
    from scipy import ndimage

    if all(abs(s - 1) < _SCALE_TOLERANCE for s in scales):
        return _pad(np.asarray(values, np.float32), shape)
    # Coarser samples stand for a range of the original ones, which a Gaussian averages first.
    smooth = ndimage.gaussian_filter(values.astype(np.float32), [0.5 * np.sqrt(max(s**2 - 1, 0)) for s in scales])
    index = [(np.arange(n) - n // 2) * s + old // 2 for n, s, old in zip(shape, scales, values.shape, strict=True)]
    resampled = ndimage.map_coordinates(smooth, np.meshgrid(*index, indexing="ij"), order=1, mode="constant")
    return np.asarray(np.maximum(resampled, 0), np.float32)


def _pad(values: np.ndarray, shape: tuple[int, ...]) -> Float[np.ndarray, "*shape"]:
    """Pad with 0, or crop, about sample ``n // 2``."""
    padded = np.zeros(shape, np.float32)
    target, source = [], []
    for new, old in zip(shape, values.shape, strict=True):
        first = new // 2 - old // 2
        target.append(slice(max(0, first), min(new, first + old)))
        source.append(slice(max(0, -first), min(old, new - first)))
    padded[tuple(target)] = values[tuple(source)]
    return padded
