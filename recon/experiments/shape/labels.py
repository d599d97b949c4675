"""Labels of the cells in a mask, and crops of the labelled cells."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from .cell_crops import SMALLEST, CellCrop, is_cluster, normalise_mask

_SECOND_CELL_FRACTION = 0.2
"""Fraction of the largest piece's area from which another piece of a mask counts as a second cell."""


def label_cells(values: np.ndarray, largest: float | None, several: str, label: str) -> Int[np.ndarray, "y x"] | None:
    """Label the cells of a mask; None for a mask of a single cell.

    Args:
        values: Mask as stored in its file.
        largest: Maximum of the data type; None for floating point.
        several: ``cut`` also labels separate pieces of a mask without labels.
        label: Class of the cell; a cluster is a single cell.
    """
    labels = existing_labels(values, largest)
    if labels is not None or several != "cut" or is_cluster(label):
        return labels
    pieces = label_pieces(normalise_mask(values) > 0.5)
    return pieces if pieces.max() > 1 else None


def existing_labels(values: np.ndarray, largest: float | None) -> Int[np.ndarray, "y x"] | None:
    """Return the labels of an image with many cells as 1, 2, …; None for the mask of a single cell.

    A mask ranges from 0 to 1 or to the maximum of its data type, perhaps with grey edges; labels are whole numbers, at
    least two beside 0, none of them that maximum. Grey edges of whole numbers differ from labels in their geometry:
    they surround the brightest region, or are so thin that no pixel has only equal neighbours.

    Args:
        values: Mask as stored in its file.
        largest: Maximum of the data type; None for floating point.
    """
    if values.dtype.kind == "f" and not np.array_equal(values, np.round(values)):
        return None
    levels = np.unique(values[values > 0])
    if len(levels) < 2 or float(levels[-1]) == (largest if largest is not None else 255.0):
        return None
    if len(_extended_levels(values)) < 2 or _is_surrounded(values):
        return None
    return np.asarray(np.searchsorted(np.concatenate([[0], levels]), values), np.int64)


def _extended_levels(values: np.ndarray) -> np.ndarray:
    """Levels above 0 that fill the 3 × 3 neighbourhood of at least one pixel."""
    from scipy import ndimage

    flat = (ndimage.minimum_filter(values, 3) == values) & (ndimage.maximum_filter(values, 3) == values)
    return np.unique(values[flat & (values > 0)])


def _is_surrounded(values: np.ndarray) -> bool:
    """Whether lower levels surround the highest one, so that it nowhere borders on the outside."""
    from scipy import ndimage

    framed = np.pad(values, 1)
    return not (ndimage.binary_dilation(framed == 0) & (framed == values.max())).any()


def label_pieces(mask: Bool[np.ndarray, "y x"]) -> Int[np.ndarray, "y x"]:
    """Label the connected pieces that are each large enough to be a cell; smaller ones join the nearest."""
    from scipy import ndimage

    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    large = np.flatnonzero(areas >= max(SMALLEST, _SECOND_CELL_FRACTION * areas.max(initial=0))) + 1
    if len(large) < 2:
        return mask.astype(np.int64)
    seeds = np.where(np.isin(pieces, large), pieces, 0)
    index = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    joined = np.where(mask, seeds[tuple(index)], 0)
    return np.asarray(np.searchsorted(large, joined) + (joined > 0), np.int64)


def split_crop(crop: CellCrop, labels: Int[np.ndarray, "y x"] | None, margin: int) -> list[CellCrop]:
    """Cut each labelled cell out of an image, and darken the neighbours that its bounding box contains.

    Args:
        crop: Image with all cells.
        labels: Label of each pixel, 0 outside; None for an image of a single cell, which stays whole.
        margin: [pixel] Margin around each cell.
    """
    from scipy import ndimage

    if labels is None:
        return [crop]
    background = float(np.median(crop.image[labels == 0])) if (labels == 0).any() else 0.0
    boxes = enumerate(ndimage.find_objects(labels), 1)
    return [_cut_out(crop, labels, number, box, margin, background) for number, box in boxes if box is not None]


def _cut_out(
    crop: CellCrop,
    labels: Int[np.ndarray, "y x"],
    number: int,
    box: tuple[slice, slice],
    margin: int,
    background: float,
) -> CellCrop:
    """Cut a single labelled cell out of an image."""
    part = tuple(
        slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(box, labels.shape, strict=True)
    )
    own = labels[part] == number
    others = (labels[part] > 0) & ~own
    return replace(
        crop,
        name=f"{crop.name}-{number}",
        image=np.where(others, np.float32(background), crop.image[part]).astype(np.float32),
        mask=own.astype(np.float32),
        truth=None if crop.truth is None else _own_columns(crop.truth[(slice(None), *part)], own, others),
    )


def _own_columns(
    volume: Float[np.ndarray, "z y x"], own: Bool[np.ndarray, "y x"], others: Bool[np.ndarray, "y x"]
) -> Float[np.ndarray, "z y x"]:
    """Keep the columns of a volume that are nearer to a cell's own section than to another's."""
    from scipy import ndimage

    if not others.any():
        return volume
    nearer = ndimage.distance_transform_edt(~own) <= ndimage.distance_transform_edt(~others)
    return np.where(nearer, volume, 0).astype(np.float32)
