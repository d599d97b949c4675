"""Sections of cells as arrays of one size: brightness and masks to 0…1, many cells of an image cut apart, resampled.

Arrays are (y, x) and (z, y, x), centred on sample ``n // 2``. Images keep their middle, as the optical axis of a stack
passes through it; a cell that is cut out of an image with many has the middle of its own box.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from ...errors import Diagnostic

SMALLEST = 8
"""Pixels of a mask, or along the edge of an image, below which there is no cell."""
_SECOND = 0.2
"""Share of the largest piece of a mask from which another piece counts as a second cell."""


@dataclass(frozen=True)
class CellCrop:
    """A cell.

    Args:
        name: Its name.
        label: Its class.
        where: Its mask's file, for messages.
        image: Brightness, about 0…1.
        mask: Share of each pixel within the cell, 0…1.
        truth: Occupancy, 0…1; None where it is not known.
        step: [m] Voxel (z, y, x); None where it is not known.
        scale: By so much its pixels became larger when it was resampled.
    """

    name: str
    label: str
    where: str
    image: Float[np.ndarray, "y x"]
    mask: Float[np.ndarray, "y x"]
    truth: Float[np.ndarray, "z y x"] | None = None
    step: tuple[float, float, float] | None = None
    scale: float = 1.0


def normalise_image(values: np.ndarray, largest: float | None) -> Float[np.ndarray, "y x"]:
    """Bring an image to 0…1: 8 bit by its type, all else, of which much may be unused, by its own largest number.

    Args:
        values: Numbers, none negative.
        largest: Of its type; None for floating point.
    """
    top = float(values.max(initial=0))
    scale = (max(top, 1.0) if top <= 1 else top) if largest is None else largest if largest <= 255 else top
    return np.asarray(values / np.float32(scale or 1), np.float32)


def existing_labels(values: np.ndarray, largest: float | None) -> Int[np.ndarray, "y x"] | None:
    """Labels of an image with many cells; None for the mask of one.

    A mask goes from 0 to 1 or to the largest number of its type, perhaps with grey edges; labels are whole numbers, at
    least two beside 0, none of them that largest number. Grey edges of whole numbers are told from labels by what they
    do: they ring the brightest, or are so thin that no pixel has only its like around it.
    """
    if values.dtype.kind == "f" and not np.array_equal(values, np.round(values)):
        return None
    found = np.unique(values[values > 0])
    if len(found) < 2 or float(found[-1]) == (largest if largest is not None else 255.0):
        return None
    if len(_solid(values)) < 2 or _is_ringed(values):
        return None
    return np.asarray(np.searchsorted(np.concatenate([[0], found]), values), np.int64)


def _solid(values: np.ndarray) -> np.ndarray:
    """Numbers above 0 that fill a pixel and all that touch it somewhere."""
    from scipy import ndimage

    flat = (ndimage.minimum_filter(values, 3) == values) & (ndimage.maximum_filter(values, 3) == values)
    return np.unique(values[flat & (values > 0)])


def _is_ringed(values: np.ndarray) -> bool:
    """Whether lower numbers lie all around the largest one, so that it nowhere borders on the outside."""
    from scipy import ndimage

    framed = np.pad(values, 1)
    return not (ndimage.binary_dilation(framed == 0) & (framed == values.max())).any()


def label_cells(values: np.ndarray, largest: float | None, several: str, label: str) -> Int[np.ndarray, "y x"] | None:
    """Number the cells of a mask; None of one that is of a single cell.

    Args:
        values: The mask as its file has it.
        largest: Of its type; None for floating point.
        several: With ``cut`` pieces that no labels tell apart are cells, too.
        label: The class; a cluster is one cell.
    """
    labels = existing_labels(values, largest)
    if labels is not None or several != "cut" or "cluster" in label.lower():
        return labels
    found = label_pieces(normalise_mask(values) > 0.5)
    return found if found.max() > 1 else None


def split_crop(crop: CellCrop, labels: Int[np.ndarray, "y x"] | None, margin: int) -> list[CellCrop]:
    """The cells of a picture: the whole of it where nothing numbers them."""
    return [crop] if labels is None else cut_out_cells(crop, labels, margin)


def normalise_mask(values: np.ndarray) -> Float[np.ndarray, "*shape"]:
    """Bring a mask or a volume to 0…1 by its largest number."""
    top = values.max(initial=0)
    return np.asarray(values / np.float32(top if top > 0 else 1), np.float32)


def label_pieces(mask: Bool[np.ndarray, "y x"]) -> Int[np.ndarray, "y x"]:
    """Number the pieces of a mask that are each large enough to be a cell; what is smaller joins the nearest."""
    from scipy import ndimage

    numbered, count = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    large = np.flatnonzero(areas >= max(SMALLEST, _SECOND * areas.max(initial=0))) + 1
    if len(large) < 2:
        return mask.astype(np.int64)
    seeds = np.where(np.isin(numbered, large), numbered, 0)
    index = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    joined = np.where(mask, seeds[tuple(index)], 0)
    return np.asarray(np.searchsorted(large, joined) + (joined > 0), np.int64)


def cut_out_cells(crop: CellCrop, labels: Int[np.ndarray, "y x"], margin: int) -> list[CellCrop]:
    """Cut each labelled cell out of an image; what its neighbours leave in its box is darkened.

    Args:
        crop: The image with all of them.
        labels: 0 where there is none.
        margin: Pixels to keep around it.
    """
    from scipy import ndimage

    found = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        part = tuple(
            slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(box, labels.shape, strict=True)
        )
        own = labels[part] == number
        others = (labels[part] > 0) & ~own
        dark = float(np.median(crop.image[labels == 0])) if (labels == 0).any() else 0.0
        found.append(
            replace(
                crop,
                name=f"{crop.name}-{number}",
                image=np.where(others, np.float32(dark), crop.image[part]).astype(np.float32),
                mask=own.astype(np.float32),
                truth=None if crop.truth is None else _own(crop.truth[(slice(None), *part)], own, others),
            )
        )
    return found


def resample_crop(crop: CellCrop, size: int, spacing: float | None) -> CellCrop:
    """Resample and pad a cell to a square grid, a volume to a cube, about its middle.

    Args:
        crop: The cell.
        size: Samples along each edge.
        spacing: [m] Lateral spacing of the grid; None to keep the cell's, or as much more as it needs to fit.
    """
    scale = resampling_factor(crop, size, spacing)
    along = (scale, *_across(crop, scale))
    step = crop.step
    if step is not None:
        step = (step[0] * scale, step[2] * scale, step[2] * scale)
    truth = None if crop.truth is None else _resampled(crop.truth, along, (size,) * 3)
    return replace(
        crop,
        image=_resampled(crop.image, along[1:], (size, size)),
        mask=_resampled(crop.mask, along[1:], (size, size)),
        truth=truth,
        step=step,
        scale=scale,
    )


def resampling_factor(crop: CellCrop, size: int, spacing: float | None) -> float:
    """By how much a cell's pixels along x become larger on a grid: what `resample_crop` takes."""
    if spacing is not None and crop.step is not None:
        return spacing / crop.step[2]
    height, width = crop.mask.shape
    return float(max(1.0, height * _uneven(crop) / size, width / size))


def cut_off_share(crop: CellCrop, size: int, spacing: float | None) -> float:
    """Share of a cell, of its section or its shape, that a grid would cut off; takes what `resample_crop` takes."""
    scale = resampling_factor(crop, size, spacing)
    along = (scale, *_across(crop, scale))
    shares = [_share_beyond(crop.mask > 0.5, along[1:], size)]
    if crop.truth is not None:
        shares.append(_share_beyond(crop.truth > 0.5, along, size))
    return max(shares)


def _share_beyond(inside: Bool[np.ndarray, "*shape"], scales: Sequence[float], size: int) -> float:
    kept = inside
    for axis, (scale, count) in enumerate(zip(scales, inside.shape, strict=True)):
        place = (np.arange(count) - count // 2) / scale + size // 2
        kept = np.compress((place > -1) & (place < size), kept, axis=axis)
    return 1 - float(kept.sum()) / max(float(inside.sum()), 1)


def _uneven(crop: CellCrop) -> float:
    """How much longer a pixel is along y than along x."""
    return 1.0 if crop.step is None else crop.step[1] / crop.step[2]


def _across(crop: CellCrop, scale: float) -> tuple[float, float]:
    """Old samples from one new one to the next, along y and x."""
    return scale / _uneven(crop), scale


def crop_faults(crop: CellCrop, several: str) -> list[Diagnostic]:
    """Find what makes a cell useless.

    Args:
        crop: As its file has it.
        several: What is to be done with a mask of two cells: ``refuse`` makes a fault of them.
    """
    inside = crop.mask > 0.5
    if not inside.any():
        return [
            Diagnostic(crop.where, "the mask is empty: no pixel is above half", "draw it anew, or take the cell away")
        ]
    if inside.sum() < SMALLEST:
        return [Diagnostic(crop.where, f"the mask has {int(inside.sum())} pixels, which is no cell", "draw it anew")]
    if inside.all():
        return [Diagnostic(crop.where, "the mask is full: nothing lies outside the cell", "0 must mean outside")]
    count = int(label_pieces(inside).max())
    if count > 1 and several == "refuse" and "cluster" not in crop.label.lower():
        remedy = "number the cells in the mask (1, 2, …), or say acquisition.several: cut, or keep"
        return [Diagnostic(crop.where, f"the mask holds {count} cells that do not touch", remedy)]
    return []


def touches_border(crop: CellCrop) -> bool:
    """Whether a mask reaches its image's edge: the cell goes on beyond it."""
    inside = crop.mask > 0.5
    return bool(inside[[0, -1]].any() or inside[:, [0, -1]].any())


def _own(
    volume: Float[np.ndarray, "z y x"], own: Bool[np.ndarray, "y x"], others: Bool[np.ndarray, "y x"]
) -> Float[np.ndarray, "z y x"]:
    """A cell's own part of a volume: the columns nearer to its section than to another's."""
    from scipy import ndimage

    if not others.any():
        return volume
    nearer = ndimage.distance_transform_edt(~own) <= ndimage.distance_transform_edt(~others)
    return np.where(nearer, volume, 0).astype(np.float32)


def _resampled(values: np.ndarray, scales: Sequence[float], shape: tuple[int, ...]) -> Float[np.ndarray, "*shape"]:
    """Take samples ``scale`` of the old ones apart about the middle; 0 lies beyond the ends."""
    from scipy import ndimage

    if all(abs(s - 1) < 1e-6 for s in scales):
        return _padded(np.asarray(values, np.float32), shape)
    # Where samples become farther apart each stands for more than a point: what lies between is averaged first.
    smooth = ndimage.gaussian_filter(values.astype(np.float32), [0.5 * np.sqrt(max(s**2 - 1, 0)) for s in scales])
    places = [(np.arange(n) - n // 2) * s + old // 2 for n, s, old in zip(shape, scales, values.shape, strict=True)]
    grid = np.meshgrid(*places, indexing="ij")
    found = ndimage.map_coordinates(smooth, grid, order=1, mode="constant")
    return np.asarray(np.maximum(found, 0), np.float32)


def _padded(values: np.ndarray, shape: tuple[int, ...]) -> Float[np.ndarray, "*shape"]:
    """Pad with 0, or crop, about sample ``n // 2``."""
    found = np.zeros(shape, np.float32)
    into, out = [], []
    for new, old in zip(shape, values.shape, strict=True):
        first = new // 2 - old // 2
        into.append(slice(max(0, first), min(new, first + old)))
        out.append(slice(max(0, -first), min(old, new - first)))
    found[tuple(into)] = values[tuple(out)]
    return found
