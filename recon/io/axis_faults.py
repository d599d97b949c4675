"""Faults of arrays whose axes do not fit, with a remedy that does."""

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations

from ..errors import Diagnostic
from .resolved_array import ResolvedArray

TABLES = (".csv", ".tsv", ".txt", ".dat", ".asc")
"""Extensions of text tables, of which a column is named by its number."""
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def shape_fault(item: ResolvedArray, sizes: Mapping[str, int]) -> Diagnostic:
    """Describe an array whose shape fits no layout of its entry.

    Args:
        item: The array.
        sizes: Sizes of the axes that other arrays have set.
    """
    layouts = []
    for axes in item.entry.axes:
        shape = (axis if axis.isdigit() else f"{axis} {sizes[axis]}" if axis in sizes else axis for axis in axes)
        layouts.append(f"({', '.join(shape)})")
    message = f"{item.entry.name} has the shape {item.array.shape}; expected {' or '.join(layouts)}"
    remedies = [_order_remedy(item, sizes) or _part_remedy(item, sizes) or _column_remedy(item, sizes)]
    if item.array.origin and not item.entry.required:  # The config did not ask for it.
        remedies.append(f"or leave it out: acquisition.{item.entry.name}: null")
    return Diagnostic(item.place, message, "; ".join(remedy for remedy in remedies if remedy))


def stack_fault(
    item: ResolvedArray, sizes: Mapping[str, int], stacks: Sequence[tuple[ResolvedArray, tuple[str, ...]]]
) -> Diagnostic | None:
    """Describe a stack of images whose views another array counts along another axis of it.

    Args:
        item: Array that does not fit.
        sizes: Sizes of the axes that other arrays have set.
        stacks: Stacks of images as they are stored, with the names that were given to their axes.

    Returns:
        The fault of the stack; None where no other order of its axes fits.
    """
    for axes in item.entry.axes:
        for stack, names in stacks:
            shared = next((axis for axis in axes if axis in names and axis not in ("y", "x")), "")
            if not shared or len(item.array.shape) != len(axes) or stack.order:
                continue
            fixed = [(axis, n) for axis, n in zip(axes, item.array.shape, strict=True) if axis.isdigit()]
            count = item.array.shape[axes.index(shared)]
            if all(n == int(axis) for axis, n in fixed) and count != sizes[shared] and count in stack.array.shape:
                return _wrong_order(stack, names, shared, count, item.entry.name)
    return None


def order_hint(name: str, path: str, shape: Sequence[int], most: int) -> str:
    """Suggest another order of the axes (view, y, x) of images, if the last is the only one short enough for the views.

    Args:
        name: Setting of the images.
        path: Path of the images in their file.
        shape: Shape of the images as it was read.
        most: Largest number of views.
    """
    if len(shape) != 3 or shape[0] <= most or shape[2] > most or not path:
        return ""
    return f"; if its axes are y, x, view, write acquisition.{name}: '{path} as y x view'"


def _wrong_order(stack: ResolvedArray, names: Sequence[str], shared: str, count: int, other: str) -> Diagnostic:
    """Describe a stack of which another axis has as many samples as another array has views."""
    shape = stack.array.shape
    position = shape.index(count)
    order = [name for name in names if name != shared]
    order.insert(position, shared)
    here = names.index(shared)
    message = (
        f"{stack.entry.name} has {shape[here]} {shared}s by its {_ORDINALS[here]} axis, and {other} has {count}, the "
        f"size of its {_ORDINALS[position]} axis: its shape is {shape}"
    )
    remedy = (
        f"if its axes are {', '.join(order)}, write acquisition.{stack.entry.name}: '{stack.name} as {' '.join(order)}'"
    )
    return Diagnostic(stack.place, message, remedy)


def _order_remedy(item: ResolvedArray, sizes: Mapping[str, int]) -> str:
    """Name an order of the axes in which the shape fits; empty if there is none."""
    shape = item.array.shape
    for axes in item.entry.axes:
        if len(axes) < 2 or len(axes) != len(shape):
            continue
        for order in permutations(axes):
            required = [int(axis) if axis.isdigit() else sizes.get(axis) for axis in order]
            if order != axes and all(n is None or n == m for n, m in zip(required, shape, strict=True)):
                return f"if its axes are in another order, name them: {_setting(item, ' as ' + ' '.join(order))}"
    return ""


def _part_remedy(item: ResolvedArray, sizes: Mapping[str, int]) -> str:
    """Take a part of an array with too many axes: one sample along each of the shortest of those that cannot stay."""
    shape = item.array.shape
    if not item.name:
        return ""
    for axes in sorted(item.entry.axes, key=len, reverse=True):
        spare = len(shape) - len(axes)
        if len(axes) < 2 or spare < 1:
            continue
        required = [int(axis) if axis.isdigit() else sizes.get(axis) for axis in axes]
        for dropped in sorted(combinations(range(len(shape)), spare), key=lambda d: sum(shape[i] for i in d)):
            remaining = [n for i, n in enumerate(shape) if i not in dropped]
            if all(n is None or n == m for n, m in zip(required, remaining, strict=True)):
                index = ", ".join("0" if i in dropped else ":" for i in range(max(dropped) + 1))
                return f"take a part of it: {_setting(item, f'[{index}]')}"
    return ""


def _column_remedy(item: ResolvedArray, sizes: Mapping[str, int]) -> str:
    """Choose the columns of an array that has more of them than its entry; empty where that is not so."""
    *rows, count = item.array.shape or (0,)
    name = item.name.removesuffix("/").removesuffix(":")
    for axes in item.entry.axes:
        if len(axes) != len(rows) + 1 or not rows or not axes[-1].isdigit() or not name or item.order:
            continue
        if count > int(axes[-1]) and all(sizes.get(axis, n) == n for axis, n in zip(axes, rows, strict=False)):
            numbers = range(int(axes[-1]))
            columns = [f"'{name}[:, {i}]'" for i in numbers]
            if name.lower().endswith(TABLES):
                columns = [f"{name.removeprefix('/')}:{i + 1}" for i in numbers]
            listed = ", ".join(columns)
            return f"choose {axes[-1]} of its {count} columns: acquisition.{item.entry.name}: [{listed}]"
    return ""


def _setting(item: ResolvedArray, suffix: str) -> str:
    return f"acquisition.{item.entry.name}: '{item.name}{suffix}'"
