"""Assignment of named axes to the arrays of an acquisition."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import Diagnostic
from .axis_faults import shape_fault, stack_fault
from .lazy_arrays import LazyArray
from .resolved_array import ResolvedArray

_EQUAL = 1e-4
"""Largest relative difference of readings of a number that did not change."""
_MOST_READINGS = 1_000_000


@dataclass(frozen=True)
class MatchedArray:
    """Array whose axes are known.

    Args:
        resolved: The array, with its axes in the order of ``axes``.
        axes: Names of the axes, slowest first.
    """

    resolved: ResolvedArray
    axes: tuple[str, ...]


def match_axes(resolved: Sequence[ResolvedArray]) -> tuple[list[MatchedArray], dict[str, int], list[Diagnostic]]:
    """Assign axes to each array, such that a name has the same size everywhere.

    Args:
        resolved: Arrays, those that set the sizes first.

    Returns:
        The arrays that match, the size of each named axis, and a fault for each array that does not match.
    """
    matched: list[MatchedArray] = []
    sizes: dict[str, int] = {}
    faults: list[Diagnostic] = []
    stacks: list[tuple[ResolvedArray, tuple[str, ...]]] = []
    for item in resolved:
        match = next((c for c in _candidates(item, sizes) if _agrees(c, sizes)), None)
        if match is None:
            faults.append(_fault(item, sizes, stacks))
            continue
        matched.append(match)
        if match.axes[-2:] == ("y", "x") and len(item.array.shape) == 3:
            stacks.append((item, (*match.axes[1:], match.axes[0]) if item.views_last else match.axes))
        shape = match.resolved.array.shape
        sizes.update({axis: n for axis, n in zip(match.axes, shape, strict=True) if not axis.isdigit()})
    return matched, sizes, list(dict.fromkeys(faults))


def _candidates(item: ResolvedArray, sizes: dict[str, int]) -> list[MatchedArray]:
    """List the possible layouts of an array, the simplest first."""
    candidates = []
    for axes in item.entry.axes:
        array = _transpose(item.array, axes, item.order, item.views_last)
        if array is None:
            continue
        forms = [array, _squeeze(array), _expand(array, axes), _broadcast(array, axes, sizes), _constant(item)]
        candidates += [
            MatchedArray(replace(item, array=form), axes)
            for form in forms
            if form is not None and len(form.shape) == len(axes)
        ]
    return candidates


def _agrees(candidate: MatchedArray, sizes: dict[str, int]) -> bool:
    """Whether an array has the sizes that its axes have elsewhere."""
    required = [int(axis) if axis.isdigit() else sizes.get(axis) for axis in candidate.axes]
    return all(size is None or size == n for size, n in zip(required, candidate.resolved.array.shape, strict=True))


def _transpose(array: LazyArray, axes: tuple[str, ...], order: tuple[str, ...], views_last: bool) -> LazyArray | None:
    """Transpose an array to the order of ``axes``; None if the config's order names others."""
    if order:
        if sorted(order) != sorted(axes) or len(array.shape) != len(order):
            return None
        return array.transposed(tuple(order.index(axis) for axis in axes))
    if views_last and len(array.shape) == 3:
        return array.transposed((2, 0, 1))
    return array


def _squeeze(array: LazyArray) -> LazyArray | None:
    """Drop axes of one sample: MATLAB's scalars are (1, 1), its vectors (1, n)."""
    single = [axis for axis, n in enumerate(array.shape) if n == 1]
    for axis in reversed(single):
        array = array.at(axis, 0)
    return array if single else None


def _expand(array: LazyArray, axes: tuple[str, ...]) -> LazyArray | None:
    """Take a single image as a stack of one."""
    if len(axes) < 2 or len(array.shape) != len(axes) - 1 or axes[0].isdigit():
        return None
    return array.expanded(axes[0])


def _broadcast(array: LazyArray, axes: tuple[str, ...], sizes: dict[str, int]) -> LazyArray | None:
    """Repeat one number along an axis: the size of a square pixel, one plane of focus for all views."""
    required = [int(axis) if axis.isdigit() else sizes.get(axis, 0) for axis in axes]
    if array.size != 1 or len(axes) != 1 or required[0] == 0:
        return None
    return LazyArray.of(np.broadcast_to(np.ravel(array.read())[:1], required[0]), array.attributes)


def _constant(item: ResolvedArray) -> LazyArray | None:
    """Take a row of equal readings, one for each frame, as the one number that an entry has; None if they differ."""
    readings = _readings(item)
    if readings is None or not np.ptp(readings) <= _EQUAL * np.abs(readings).max():
        return None
    return LazyArray.of(np.array(readings.mean()), item.array.attributes)


def _readings(item: ResolvedArray) -> np.ndarray | None:
    """Read the readings of an entry that has one number; None where the array is no row of finite numbers."""
    array = item.array
    if item.entry.axes != ((),) or len(array.shape) != 1 or array.dtype.kind not in "iuf":
        return None
    if not 1 < array.size <= _MOST_READINGS:
        return None
    readings = array.read().astype(float)
    return readings if np.isfinite(readings).all() else None


def _fault(
    item: ResolvedArray, sizes: dict[str, int], stacks: Sequence[tuple[ResolvedArray, tuple[str, ...]]]
) -> Diagnostic:
    """Describe an array that does not fit: its own fault, or that of the images whose views it counts."""
    if (readings := _readings(item)) is not None:
        low, high = (f"{value * item.factor:.7g} {item.entry.unit}" for value in (readings.min(), readings.max()))
        message = f"{item.entry.name} changes from {low} to {high} within its {readings.size} readings"
        return Diagnostic(item.place, message, "one number is needed: a scan of it is not read")
    return stack_fault(item, sizes, stacks) or shape_fault(item, sizes)
