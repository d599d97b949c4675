"""Resampling of loaded cells to a common grid, and the acquisition that they form."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition
from ...config.advice import quantity
from ...errors import ConfigError, Diagnostic
from ...grid import resize_about_middle
from ...volume import Volume
from .cell_crops import CellCrop, CellPlace, LoadedCells
from .config import ShapeAcquisition
from .grids import TIE_SHIFT, centred_grid, grid_centre
from .network.shape_code import PIXELS
from .places import AT_BORDER, place_arrays
from .schema import OCCUPANCY
from .sections import Section, section_arrays

_log = logging.getLogger(__name__)
_LARGEST_FRACTION_BEYOND = 0.01
"""Largest fraction of a cell that may lie beyond the grid: a few bright pixels far out do not belong to it."""
_SCALE_TOLERANCE = 1e-6
"""Relative difference of scales below which nothing is resampled."""
_SIZE_TOLERANCE = 1e-3
"""Relative difference of pixel sizes below which they are one."""
_TRAINED_TOLERANCE = 0.01
"""Relative difference from the pixel size of the training below which pictures keep theirs."""
_ROUNDING = 0.7
"""[pixel] Standard deviation of the Gaussian that removes the pixels' steps from a mask on a much finer grid; on others
seven tenths of it."""
_FEWEST_PIXELS = 100
"""Area of a section below which binning is warned of."""


def to_acquisition(
    settings: ShapeAcquisition, loaded: LoadedCells, path: Path, pixel: float | None = None
) -> Acquisition:
    """Resample all cells to a common grid.

    Args:
        settings: Section of the config.
        loaded: Cells at their original size.
        path: File or folder of the cells.
        pixel: [m] Pixel size of the network's input, which cells that fit are resampled to; None: they keep theirs.

    Raises:
        ConfigError: If no grid suits all cells, or the requested one would cut some off.
    """
    size = loaded.size
    scales = _trained_scales(loaded.crops, size, pixel) or _common_scales(settings, loaded.crops, size)
    _warn_of_borders(loaded.crops)
    _require_room(loaded.crops, size, scales)
    crops = [resample_crop(crop, size, scale) for crop, scale in zip(loaded.crops, scales, strict=True)]
    resampled = sum(abs(crop.scale - 1) > _SCALE_TOLERANCE for crop in crops)
    if resampled:
        _log.info("%d of %d cells were resampled to %d pixels", resampled, len(crops), size)
    _warn_of_small(crops)
    step = _common_step(crops, size)
    arrays: dict[str, np.ndarray] = {
        "images": np.stack([crop.image for crop in crops]),
        "mask": np.stack([crop.mask for crop in crops]),
        "name": np.array([crop.name for crop in crops]),
        "label": np.array([crop.label for crop in crops]),
        AT_BORDER: np.array([crop.outline_at_border for crop in crops]),
    }
    if step is not None:
        arrays["voxel_size"] = np.array(step)
    binned = {round(crop.binning, 6) for crop in crops}
    if binned != {1.0} and len(binned) == 1:
        arrays["binning"] = np.array(crops[0].binning)
    arrays |= place_arrays([crop.place for crop in crops]) | section_arrays([crop.sections for crop in crops])
    return Acquisition("shape", arrays, str(path), _truth(crops, step), loaded.attributes, loaded.places)


def _trained_scales(crops: Sequence[CellCrop], size: int, pixel: float | None) -> list[float]:
    """Factors that bring the pixels of all cells to those of a network's training.

    Empty where the pixels are those already or unknown, or some cell does not fit the grid then.
    """
    known = [crop.step[2] for crop in crops if crop.step is not None]
    if pixel is None or len(known) < len(crops):
        return []
    spacing = pixel * PIXELS / size
    scales = [spacing / own for own in known]
    if all(abs(scale - 1) < _TRAINED_TOLERANCE for scale in scales):
        return []
    for crop, scale in zip(crops, scales, strict=True):
        if (crop.edge or 0) > size * scale or cut_off_share(crop, size, scale) > _LARGEST_FRACTION_BEYOND:
            return []
    sizes = " to ".join(dict.fromkeys(f"{own * 1e6:.4g}" for own in (min(known), max(known))))
    _log.warning(
        "pixels of %s um are resampled to %.4g um, the size that the network was trained with (predict.resample)",
        sizes, spacing * 1e6,
    )  # fmt: skip
    return [1.0 if abs(scale - 1) < _SIZE_TOLERANCE else scale for scale in scales]


def _common_scales(settings: ShapeAcquisition, crops: Sequence[CellCrop], size: int) -> list[float]:
    """Factors by which the pixels of each cell grow, such that all have one size on a grid that shows each whole.

    Raises:
        ConfigError: If the pixel size of some cells only is known, or a spacing is requested and it is unknown.
    """
    needs = [_needed_scale(crop, size) for crop in crops]
    known = [crop.step[2] for crop in crops if crop.step is not None]
    if settings.spacing != "auto":
        spacing = float(settings.spacing)
        if len(known) < len(crops):
            message = f"a spacing of {spacing:g} m is asked for, and the voxel's size is unknown"
            remedy = "set acquisition.voxel_size, or acquisition.spacing: auto"
            raise ConfigError(Diagnostic("acquisition.spacing", message, remedy))
        return [spacing / own for own in known]
    if not known:
        common = max(needs)
        if common > 1:
            _warn_of_binning(crops, needs, size, f"{common:.4g} pixels")
        return [common] * len(crops)
    if len(known) < len(crops):
        raise ConfigError(_partly_known(crops))
    coarsest = max(known)
    spacing = max(own * need for own, need in zip(known, needs, strict=True))
    if min(known) < coarsest * (1 - _SIZE_TOLERANCE):
        few = [crop.name for crop, own in zip(crops, known, strict=True) if own < coarsest * (1 - _SIZE_TOLERANCE)]
        _log.warning(
            "pixels from %.4g um to %.4g um: all cells are resampled to the coarsest; finer ones are those of %s",
            min(known) * 1e6, coarsest * 1e6, _first_names(few),
        )  # fmt: skip
    if spacing > coarsest * (1 + _SIZE_TOLERANCE):
        _warn_of_binning(
            crops, [own * need for own, need in zip(known, needs, strict=True)], size, f"{spacing * 1e6:.4g} um"
        )
    else:
        spacing = coarsest
    return [1.0 if abs(spacing / own - 1) < _SIZE_TOLERANCE else spacing / own for own in known]


def _needed_scale(crop: CellCrop, size: int) -> float:
    """Smallest factor, 1 or more, by which pixels must grow for the grid to show a cell."""
    height, width = crop.mask.shape
    edge = max(height * crop.pixel_aspect, width) if crop.edge is None else crop.edge
    return max(1.0, edge / size)


def _warn_of_binning(crops: Sequence[CellCrop], needs: Sequence[float], size: int, voxel: str) -> None:
    """Warn that pixels grow, since a cell is larger than the grid."""
    index = int(np.argmax(needs))
    crop = crops[index]
    edge = max(crop.mask.shape) if crop.edge is None else crop.edge
    others = sum(need < max(needs) * (1 - _SIZE_TOLERANCE) for need in needs)
    apart = f"; predict {crop.name} in a run of its own, so that the others keep finer pixels (acquisition.cells)"
    _log.warning(
        "%s needs %.0f pixels, and the grid has %d: all cells are binned, and a voxel is %s%s",
        crop.name, edge, size, voxel, apart if others else "",
    )  # fmt: skip


def _partly_known(crops: Sequence[CellCrop]) -> Diagnostic:
    """Diagnostic of cells of which some have a known pixel size."""
    first = {crop.step is None: crop for crop in reversed(crops)}
    unknown, known = first[True], first[False]
    count = sum(crop.step is None for crop in crops)
    size = known.step[2] if known.step is not None else 0.0
    message = (
        f"the pixel size of {count} of {len(crops)} cells is unknown (the first: {unknown.name}), "
        f"and that of {known.name} is {quantity(size)}"
    )
    remedy = (
        f"if all have one size, set acquisition.voxel_size: '{quantity(size * 1e-6)}'; else choose by acquisition.cells"
    )
    return Diagnostic("acquisition.voxel_size", message, remedy)


def _warn_of_borders(crops: Sequence[CellCrop]) -> None:
    """Warn of masks that reach the edge of their image: the cells may continue beyond it."""
    touching = [crop.name for crop in crops if crop.outline_at_border > 0]
    if touching:
        many = "1 mask touches its" if len(touching) == 1 else f"{len(touching)} masks touch their"
        _log.warning("%s image's border, where the cell may go on: %s", many, _first_names(touching))


def _warn_of_small(crops: Sequence[CellCrop]) -> None:
    """Warn of cells that binning leaves few pixels."""
    small = [crop.name for crop in crops if crop.scale > 1 and (crop.mask > 0.5).sum() < _FEWEST_PIXELS]
    if small:
        _log.warning(
            "%d of %d cells have fewer than %d pixels after that, too few for a shape: %s; predict the large cells in "
            "a run of their own (acquisition.cells)",
            len(small), len(crops), _FEWEST_PIXELS, _first_names(small),
        )  # fmt: skip


def _require_room(crops: Sequence[CellCrop], size: int, scales: Sequence[float]) -> None:
    """Refuse a grid that would cut cells off.

    Raises:
        ConfigError: If there are such cells.
    """
    beyond = [
        crop
        for crop, scale in zip(crops, scales, strict=True)
        if cut_off_share(crop, size, scale) > _LARGEST_FRACTION_BEYOND
    ]
    if not beyond:
        return
    step = beyond[0].step
    grid = f"{size} pixels"
    if step is not None:
        grid += f", {step[2] * scales[list(crops).index(beyond[0])] * 1e6:.4g} um apart,"
    names = _first_names([crop.name for crop in beyond])
    message = f"a grid of {grid} would cut off {len(beyond)} of {len(crops)} cells: {names}"
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
    z, y, x = centred_grid(occupancy.shape[2:], step or (crops[0].binning,) * 3).axes
    unit: Literal["m", "voxel"] = "m" if step is not None else "voxel"
    names, labels = (tuple(getattr(crop, attribute) for crop in crops) for attribute in ("name", "label"))
    return Volume("shape", z, y, x, {OCCUPANCY.name: occupancy}, (OCCUPANCY,), {}, unit, names, labels)


def resample_crop(crop: CellCrop, size: int, scale: float) -> CellCrop:
    """Resample and pad a cell to a square grid, a volume to a cube, about its centre.

    Args:
        crop: The cell.
        size: Samples along each edge.
        scale: Original pixels along x from each new sample to the next.
    """
    scales, step = _scales(crop, scale), crop.step
    if step is not None:
        step = (step[0] * scale, step[2] * scale, step[2] * scale)
    return replace(
        crop,
        image=_resample(crop.image, scales[1:], (size, size), crop.background),
        mask=_resample_share(crop.mask, scales[1:], (size, size)),
        truth=None if crop.truth is None else _resample_share(crop.truth, scales, (size,) * 3),
        step=step,
        binning=crop.binning * scale,
        scale=scale,
        place=_resampled_place(crop, size, scales),
        sections=tuple(_resample_section(section, size, scales, crop.background) for section in crop.sections),
    )


def _resample_section(section: Section, size: int, scales: Sequence[float], background: float) -> Section:
    """Resample a further section like the first."""
    mask, image = section.mask, section.image
    return replace(
        section,
        mask=None if mask is None else _resample_share(mask, scales[1:], (size, size)),
        image=None if image is None else _resample(image, scales[1:], (size, size), background),
    )


def _resampled_place(crop: CellCrop, size: int, scales: Sequence[float]) -> CellPlace | None:
    """Move the origin of a cell from its central pixel to the centre of the new grid; central pixels coincide."""
    if crop.place is None:
        return None
    shift = grid_centre(size) * crop.binning
    y, x = (at + shift * scale for at, scale in zip(crop.place.origin, scales[1:], strict=True))
    return replace(crop.place, origin=(y, x))


def cut_off_share(crop: CellCrop, size: int, scale: float) -> float:
    """Share of a cell, of its section or its shape, that `resample_crop` would cut off."""
    scales = _scales(crop, scale)
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


def _scales(crop: CellCrop, scale: float) -> tuple[float, float, float]:
    """Original samples from each new sample to the next, along (z, y, x)."""
    stretch = 1.0 if crop.step is None or crop.truth_step is None else crop.step[0] / crop.truth_step
    return scale * stretch, scale / crop.pixel_aspect, scale


def _resample(
    values: np.ndarray, scales: Sequence[float], shape: tuple[int, ...], fill: float = 0.0
) -> Float[np.ndarray, "*shape"]:
    """Sample an array every ``scale`` of its samples about the centre; ``fill`` lies beyond its ends."""
    from scipy import ndimage

    if all(abs(s - 1) < _SCALE_TOLERANCE for s in scales):
        return resize_about_middle(np.asarray(values, np.float32), shape, fill)
    # Coarser samples stand for a range of the original ones, which a Gaussian averages first.
    smooth = ndimage.gaussian_filter(values.astype(np.float32), [0.5 * np.sqrt(max(s**2 - 1, 0)) for s in scales])
    index = [
        _break_ties((np.arange(n) - n // 2) * s + old // 2)
        for n, s, old in zip(shape, scales, values.shape, strict=True)
    ]
    resampled = ndimage.map_coordinates(smooth, np.meshgrid(*index, indexing="ij"), order=1, mode="constant", cval=fill)
    return np.asarray(np.maximum(resampled, 0), np.float32)


def _resample_share(values: np.ndarray, scales: Sequence[float], shape: tuple[int, ...]) -> Float[np.ndarray, "*shape"]:
    """Sample shares of a mask or a shape so that what lies above one half keeps its area, or its volume.

    Edges follow the pixels: on a slightly finer grid they come to lie beyond the same samples on all sides, and one
    half would no longer be the level that holds the area.
    """
    from scipy import ndimage

    if all(abs(s - 1) < _SCALE_TOLERANCE for s in scales):
        return _resample(values, scales, shape)
    rounded = [_ROUNDING * max(np.sqrt(max(1 - s**2, 0)), 0.7) for s in scales]
    resampled = _resample(ndimage.gaussian_filter(values.astype(np.float32), rounded), scales, shape)
    count = round(np.count_nonzero(values > 0.5) / float(np.prod(scales)))
    if not 0 < count < resampled.size:
        return resampled
    level = float(-np.partition(-resampled, [count - 1, count], axis=None)[count - 1 : count + 1].mean())
    above, least = np.count_nonzero(resampled > level), np.count_nonzero(resampled >= level)
    level -= 1e-6 if least - count < count - above else 0.0  # Samples of one value are in or out together.
    if not 0 < level < 1:
        return resampled
    return np.asarray(np.interp(resampled, [0, level, 1], [0, 0.5, 1]), np.float32)


def _break_ties(places: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Move samples half-way between two others towards the later one.

    The edge of a mask is exactly one half there: all of its edges would lie outside, and the cell would shrink.
    """
    half = np.floor(places) + 0.5
    return np.where(np.abs(places - half) < TIE_SHIFT, half + TIE_SHIFT, places)
