"""Meaning of the numbers in a mask: shares of a pixel, or labels of cells.

A mask of one cell ranges from 0 to its largest number, perhaps with grey edges, and is cut at half of it. A label image
has whole numbers, one for each cell. Programs write either without saying which; `classify` tells them apart by their
geometry, and masks that it cannot tell are refused.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from ...config.advice import exact
from ...errors import DataError, Diagnostic
from .cell_crops import largest_number, normalise_mask
from .config import ShapeAcquisition

MaskKind = Literal["share", "labels", "nested"]
_BYTE = 255.0
_EXTREME = 0.1
"""Distance from 0 or from the largest number, relative to it, within which a pixel is outside or inside."""
_MOSTLY = 0.8
_STEP = 0.05
"""Difference of levels, relative to the highest, within which two plateaus of a soft mask are one."""
_MOST_NESTED = 300
"""Number of plateaus beyond which they are labels without further tests."""
_PLATEAU_SHARE = 0.3
"""Share of the pixels between outside and inside that lie on plateaus, from which these are no edges."""


@dataclass(frozen=True)
class Mask:
    """Mask of an image.

    Args:
        share: Share of each pixel that lies in a cell, 0…1.
        labels: Number of the cell at each pixel, 0 outside; None for a mask without labels.
        number: The only number of a mask of one level; 0 if there are several.
    """

    share: Float[np.ndarray, "y x"]
    labels: Int[np.ndarray, "y x"] | None = None
    number: int = 0


def interpret_mask(
    values: np.ndarray,
    image: np.ndarray | None,
    settings: ShapeAcquisition,
    where: str,
    *,
    has_labels: bool = False,
) -> Mask:
    """Interpret the numbers of a mask.

    Args:
        values: Mask as stored in its file.
        image: Picture that it belongs to, which shows whether the mask is inverted; None to leave that open.
        settings: Section of the config.
        where: File of the mask, for messages.
        has_labels: Whether the name of the file is that of a label image.

    Raises:
        DataError: If the mask seems to be inverted, or its numbers may mean several things, or none is that of the
            outside.
    """
    largest = largest_number(values)
    if settings.outside != "auto":
        values = _remove_outside(values, float(settings.outside), where, largest)
    if values.min() < 0:
        message = f"its smallest number is {values.min():g}"
        remedy = f"if that means outside, set acquisition.outside: {exact(values.min())}; no other may be negative"
        raise DataError(Diagnostic(where, message, remedy))
    kind: str = settings.mask_values
    if kind == "auto":
        kind = "labels" if has_labels and _are_labels(values) else classify(values, largest)
    if settings.outside == "auto" and image is not None:
        _require_outside(values, image, kind == "share", where)
    if kind == "nested":
        raise DataError(_nested_fault(values, where))
    if kind == "labels":
        return Mask((values > 0).astype(np.float32), np.rint(values).astype(np.int64))
    share = (values > 0).astype(np.float32) if kind == "any" else normalise_mask(values)
    levels = np.unique(values[values > 0])
    is_number = len(levels) == 1 and float(levels[0]).is_integer()
    is_number = is_number and (has_labels or not _is_plain(float(levels[0]), largest))
    return Mask(share, None, int(levels[0]) if is_number else 0)


def _are_labels(values: np.ndarray) -> bool:
    """Whether there are several whole numbers beside 0."""
    is_whole = values.dtype.kind != "f" or np.array_equal(values, np.round(values))
    return bool(is_whole and len(np.unique(values[values > 0])) > 1)


def _is_plain(level: float, largest: float | None) -> bool:
    """Whether a mask of this only level is drawn by a person or a threshold, and the level is no number of a cell."""
    return level in (1.0, _BYTE, largest) or (largest == _BYTE and level >= 100)


def classify(values: np.ndarray, largest: float | None) -> MaskKind:
    """Tell a mask of one cell from a label image by the geometry of its levels.

    Args:
        values: Mask without negative numbers.
        largest: Maximum of the data type; None for floating point.

    Returns:
        ``share`` for a mask, perhaps with grey edges; ``labels``; or ``nested`` for wide plateaus that enclose one
        another, such as a nucleus in its cytoplasm.
    """
    if values.dtype.kind == "f" and not np.array_equal(values, np.round(values)):
        return "share"
    levels = np.unique(values[values > 0])
    if len(levels) < 2:
        return "share"
    top = float(levels[-1])
    is_full = top == (largest if largest is not None else _BYTE)
    flat = _flat(values)
    if is_full and _is_lossy(values, flat, top):
        return "share"
    plateaus = np.unique(values[flat])
    if len(plateaus) < 2:
        return "share" if is_full or _edges_adhere(values, plateaus, top) else "labels"
    if len(plateaus) > _MOST_NESTED or not _encloses(values, plateaus):
        return "labels"
    between = (values > 0) & (values < top)
    return "nested" if (flat & between).sum() > _PLATEAU_SHARE * between.sum() else "share"


def _is_lossy(values: np.ndarray, flat: Bool[np.ndarray, "y x"], top: float) -> bool:
    """Whether most pixels lie close to 0 or to the top, and the low ones on no plateaus, as after a compression."""
    low, high = (values > 0) & (values < _EXTREME * top), values > (1 - _EXTREME) * top
    if (low | high).sum() < _MOSTLY * (values > 0).sum():
        return False
    return bool((flat & low).sum() < 0.5 * low.sum())


def _flat(values: np.ndarray) -> Bool[np.ndarray, "y x"]:
    """Pixels above 0 whose 3 × 3 neighbourhood has one level."""
    from scipy import ndimage

    same = (ndimage.minimum_filter(values, 3) == values) & (ndimage.maximum_filter(values, 3) == values)
    return np.asarray(same & (values > 0))


def _edges_adhere(values: np.ndarray, plateaus: np.ndarray, top: float) -> bool:
    """Whether all levels but the highest are edges of it: none lies apart."""
    from scipy import ndimage

    if len(plateaus) and float(plateaus[0]) != top:
        return False
    pieces, count = ndimage.label(values > 0, np.ones((3, 3)))
    return bool(len(np.unique(pieces[values == top])) == count)


def _encloses(values: np.ndarray, plateaus: np.ndarray) -> bool:
    """Whether each plateau lies within the next lower one, so that it nowhere borders on anything lower."""
    from scipy import ndimage

    return not any(
        (ndimage.binary_dilation(values >= level, np.ones((3, 3))) & (values < low - _STEP * plateaus[-1])).any()
        for low, level in pairwise(plateaus)
    ) and not _touches_outside(values, float(plateaus[-1]))


def _touches_outside(values: np.ndarray, level: float) -> bool:
    from scipy import ndimage

    framed = np.pad(values, 1)
    return bool((ndimage.binary_dilation(framed == 0, np.ones((3, 3))) & (framed >= level)).any())


def _nested_fault(values: np.ndarray, where: str) -> Diagnostic:
    levels = ", ".join(f"{level:g}" for level in np.unique(values[_flat(values)])[:5])
    message = f"the mask has the levels {levels}, one within the other: grey edges, or parts of a cell"
    remedy = (
        "set acquisition.mask_values: any to take them together, labels if each is a cell, "
        "share if the cell ends at half of the highest"
    )
    return Diagnostic(where, message, remedy)


def _remove_outside(values: np.ndarray, outside: float, where: str, largest: float | None) -> np.ndarray:
    """Give 0 to the pixels outside the cells, which have another number in the file.

    Raises:
        DataError: If no pixel has that number.
    """
    if outside == 0:
        return values
    if not (values == outside).any():
        shown = ", ".join(f"{level:g}" for level in np.unique(values)[:5])
        message = f"no pixel of the mask is {outside:g}, which acquisition.outside names; it has {shown}"
        raise DataError(Diagnostic(where, message, "name the number outside of the cells, or auto"))
    wide = values.astype(np.float64)
    if outside == values.max():
        inverted = outside - wide
        if classify(inverted, largest) == "share":
            return np.asarray(inverted)
    return np.where(wide == outside, 0, wide)


def _require_outside(values: np.ndarray, image: np.ndarray, is_share: bool, where: str) -> None:
    """Refuse a mask that holds the border of its image, as an inverted one does.

    Raises:
        DataError: If it holds the whole border, or most of it where the picture is darker inside than outside.
    """
    framed = _border(values)
    top = float(values.max())
    if is_share:
        level, inside = top, values > 0.5 * top
    else:
        levels, counts = np.unique(framed, return_counts=True)
        level = float(levels[counts.argmax()])
        inside = values == level
    held = float(_border(inside).mean())
    if level == 0 or inside.all() or held <= 0.5:
        return
    inner, outer = float(image[inside].mean()), float(image[~inside].mean())
    if held < 1 and inner >= outer:
        return
    share = "the whole border" if held == 1 else f"{100 * held:.0f} % of the border"
    light = f"the picture is brighter outside it ({outer:.3g}) than inside ({inner:.3g})"
    message = f"{level:g} in the mask holds {share} of the image" + (f", and {light}" if outer > inner else "")
    message += ": it seems inverted" if is_share else ": it seems to be the outside"
    remedy = f"set acquisition.outside: {exact(level)} if {level:g} means outside, 0 if it does not"
    raise DataError(Diagnostic(where, message, remedy))


def outline_at_border(
    inside: Bool[np.ndarray, "y x"], box: tuple[slice, slice] | None = None, shape: tuple[int, ...] = ()
) -> float:
    """Compute the share of the pixels of an outline that lie on the border of the image.

    Args:
        inside: Pixels of a cell.
        box: Rows and columns of the image that they are; None for the whole image.
        shape: Pixels of the image (y, x).
    """
    from scipy.ndimage import binary_erosion

    rows, columns = box or tuple(slice(0, n) for n in inside.shape)
    height, width = shape if box is not None else inside.shape
    border = np.zeros_like(inside)
    border[0] |= rows.start == 0
    border[-1] |= rows.stop == height
    border[:, 0] |= columns.start == 0
    border[:, -1] |= columns.stop == width
    outline = inside & ~binary_erosion(inside)
    return float((outline & border).sum() / max(outline.sum(), 1))


def _border(values: np.ndarray) -> np.ndarray:
    """Pixels at the edges of an image."""
    return np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])
