"""Match the shapes of arrays to the axes that they should have."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import Diagnostic
from .lazy_arrays import Index, LazyArray
from .resolve import Located


@dataclass(frozen=True)
class MatchedAxes:
    """An array whose axes are known.

    Args:
        located: The array, its axes in the order of ``axes``.
        axes: Their names, slowest first.
    """

    located: Located
    axes: tuple[str, ...]


def fit(
    located: Sequence[Located], *, matlab: bool = False
) -> tuple[list[MatchedAxes], dict[str, int], list[Diagnostic]]:
    """Give each array its axes; the same name is the same size everywhere.

    Args:
        located: Arrays, those that set the sizes first.
        matlab: Whether the file is MATLAB's, where the last axis of a stack counts the images.

    Returns:
        The arrays that fit, the size of each named axis, and a fault for each array that does not fit.
    """
    fitted: list[MatchedAxes] = []
    sizes: dict[str, int] = {}
    faults: list[Diagnostic] = []
    for item in located:
        found = next((f for f in _candidates(item, sizes, matlab) if _agrees(f, sizes)), None)
        if found is None:
            faults.append(_misfit(item, sizes))
            continue
        fitted.append(found)
        sizes.update(
            {axis: n for axis, n in zip(found.axes, found.located.leaf.shape, strict=True) if not axis.isdigit()}
        )
    return fitted, sizes, faults


def _candidates(item: Located, sizes: dict[str, int], matlab: bool) -> list[MatchedAxes]:
    """Ways to read an array, the plainest first."""
    found = []
    for axes in item.entry.axes:
        leaf = _ordered(item.leaf, axes, item.order, matlab)
        if leaf is None:
            continue
        forms = [leaf, _without_ones(leaf), _with_leading_one(leaf, axes), _repeated(leaf, axes, sizes)]
        found += [
            MatchedAxes(replace(item, leaf=form), axes)
            for form in forms
            if form is not None and len(form.shape) == len(axes)
        ]
    return found


def _agrees(candidate: MatchedAxes, sizes: dict[str, int]) -> bool:
    wanted = [int(axis) if axis.isdigit() else sizes.get(axis) for axis in candidate.axes]
    return all(w is None or w == n for w, n in zip(wanted, candidate.located.leaf.shape, strict=True))


def _ordered(leaf: LazyArray, axes: tuple[str, ...], order: tuple[str, ...], matlab: bool) -> LazyArray | None:
    """Turn the array's axes into the wanted order; None if the config's order names others."""
    if order:
        if sorted(order) != sorted(axes) or len(leaf.shape) != len(order):
            return None
        return leaf.transposed(tuple(order.index(axis) for axis in axes))
    if matlab and len(leaf.shape) == 3:
        return leaf.transposed((2, 0, 1))
    return leaf


def _without_ones(leaf: LazyArray) -> LazyArray | None:
    """Drop axes of one sample: MATLAB's scalars are (1, 1), its vectors (1, n)."""
    kept = [axis for axis, n in enumerate(leaf.shape) if n != 1]
    if len(kept) == len(leaf.shape):
        return None

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        full: list[Index] = [slice(None)] * len(leaf.shape)
        for axis, part in zip(kept, index, strict=True):
            full[axis] = part
        array = leaf.fetch(tuple(full))
        return array.reshape([array.shape[axis] for axis in kept])

    return LazyArray(tuple(leaf.shape[axis] for axis in kept), leaf.dtype, fetch, leaf.attributes)


def _with_leading_one(leaf: LazyArray, axes: tuple[str, ...]) -> LazyArray | None:
    """Take a single image as a stack of one."""
    if len(axes) < 2 or len(leaf.shape) != len(axes) - 1 or axes[0].isdigit():
        return None
    return LazyArray((1, *leaf.shape), leaf.dtype, lambda index: leaf.fetch(index[1:])[None][index[0]], leaf.attributes)


def _repeated(leaf: LazyArray, axes: tuple[str, ...], sizes: dict[str, int]) -> LazyArray | None:
    """Take one number for all of a short list: a pixel that is square, one plane of focus for all views."""
    wanted = [int(axis) if axis.isdigit() else sizes.get(axis, 0) for axis in axes]
    if int(np.prod(leaf.shape)) != 1 or len(axes) != 1 or wanted[0] == 0:
        return None
    return LazyArray.of(np.full(wanted[0], np.ravel(leaf.read())[0]), leaf.attributes)


def _misfit(item: Located, sizes: dict[str, int]) -> Diagnostic:
    layouts = []
    for axes in item.entry.axes:
        shape = ", ".join(
            axis if axis.isdigit() else f"{axis} {sizes[axis]}" if axis in sizes else axis for axis in axes
        )
        layouts.append(f"({shape})")
    remedy = "if its axes come in another order, name them: "
    remedy += f"acquisition.{item.entry.name}: '/path as {' '.join(reversed(item.entry.axes[0]))}'"
    message = f"{item.entry.name} has the shape {item.leaf.shape}; expected {' or '.join(layouts)}"
    return Diagnostic(item.place, message, remedy if len(item.entry.axes[0]) > 1 and len(item.leaf.shape) > 1 else "")
