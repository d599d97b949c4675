"""Checks for numbers that no instrument can give: not finite, negative, or all masked."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..config.entries import Entry
from ..errors import Diagnostic
from .lazy_arrays import Index


def check_numbers(
    entry: Entry,
    array: np.ndarray,
    place: str,
    index: Sequence[Index],
    mask: np.ndarray | None,
    *,
    can_mask: bool = True,
) -> list[Diagnostic]:
    """List the faults of one array's numbers.

    Args:
        entry: Entry of the array, with its limits.
        array: Numbers in SI.
        place: Place of the array in the file, for messages.
        index: Selected part of the array in the file, so that messages give indices in the file.
        mask: Array of the same shape, 0 where a pixel is good; None if all are good.
        can_mask: Whether the acquisition may have such a mask: one of shapes is a measurement itself.
    """
    if array.dtype.kind not in "fciu":
        return []
    good = np.ones(array.shape, bool) if mask is None else mask == 0
    finite = np.isfinite(array)
    pixels = "y" in entry.axes[0]
    faults = []
    if not entry.has_gaps and not (finite | ~good).all():
        remedy = "mend the image, or leave it out" if pixels else "measure it again"
        if pixels and can_mask:
            remedy = "mask them: acquisition.mask names an array with 0 for good pixels"
        faults.append(_fault("NaN or infinite", ~finite & good, array, place, index, remedy))
    if array.dtype.kind == "c":
        return faults
    usable = good & finite
    if entry.positive and not (array[usable] > 0).all():
        remedy = "" if array.ndim else f"give the right one in the config: acquisition.{entry.name}"
        faults.append(_fault("not positive", usable & ~(array > 0), array, place, index, remedy))
    if entry.at_least is not None and not (array[usable] >= entry.at_least).all():
        problem = "negative" if entry.at_least == 0 else f"below {entry.at_least:g}"
        remedy = "counts cannot be negative: add the dark level back, or mask them" if entry.unit == "counts" else ""
        faults.append(_fault(problem, usable & (array < entry.at_least), array, place, index, remedy))
    return faults


def check_mask(mask: np.ndarray, place: str, *, each_view: bool = True) -> list[Diagnostic]:
    """List the faults of a mask: no good pixel at all, or in a view.

    Args:
        mask: Mask (y, x) or (view, y, x), 0 = good.
        place: Place of the mask in the file, for messages.
        each_view: Whether each view needs a good pixel; a frame that was not measured has none.
    """
    remedy = "0 means good: if the file has 1 for good pixels, write the mask the other way round"
    if not mask.size or (mask != 0).all():
        return [Diagnostic(place, f"all {mask.size} pixels are masked", remedy)]
    if mask.ndim < 3 or not each_view:
        return []
    empty = np.flatnonzero((mask != 0).all(axis=(1, 2)))
    if not empty.size:
        return []
    shown = ", ".join(map(str, empty[:5])) + (", …" if empty.size > 5 else "")
    return [Diagnostic(place, f"every pixel of view {shown} is masked", "leave such views out with acquisition.views")]


def mask_for(array: np.ndarray, arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return the acquisition's mask in the shape of one of its arrays; None if no mask applies to it."""
    mask = arrays.get("mask")
    if mask is None or array.ndim < 2 or array.shape[-2:] != mask.shape[-2:]:
        return None
    if array.ndim < mask.ndim:  # A background for all views is bad only where no view is good.
        return np.asarray(mask.min(axis=0))
    return np.broadcast_to(mask, array.shape)


def fill_masked(array: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Replace masked pixels that are not finite by the image's mean: NaN times a weight of 0 is still NaN."""
    if mask is None or np.isfinite(array).all():
        return array
    good = (mask == 0) & np.isfinite(array)
    count = np.maximum(good.sum(axis=(-2, -1), keepdims=True), 1)
    mean = np.where(good, array, 0).sum(axis=(-2, -1), keepdims=True) / count
    return np.where(np.isfinite(array) | (mask == 0), array, mean).astype(array.dtype)


def _fault(
    problem: str, flagged: npt.ArrayLike, array: np.ndarray, place: str, index: Sequence[Index], remedy: str
) -> Diagnostic:
    bad = np.asarray(flagged)  # NumPy returns no array for a scalar.
    count = int(bad.sum())
    first = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
    value = array[first]
    if array.ndim == 0:
        return Diagnostic(place, f"{value:g} is {problem}", remedy)
    at = [_in_file(i, part) for i, part in zip(first, index, strict=True)]
    verb = "number is" if count == 1 else "numbers are"
    return Diagnostic(place, f"{count} {verb} {problem}, the first {value:g} at {at}", remedy)


def _in_file(position: int, part: Index) -> int:
    """Return the index in the file of a position in the selected part."""
    if isinstance(part, slice):
        return (part.start or 0) + position * (part.step or 1)
    return part[position]
