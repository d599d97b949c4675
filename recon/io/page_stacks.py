"""Pages of a TIFF that says nothing of them, joined to stacks: pages of one size and type belong together."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from .combine_arrays import stack
from .lazy_arrays import LazyArray

_LEAST_REDUCTION = 1.9
"""Smallest ratio of the sides of an image and its reduced copy: 2, but for rounding."""


def main_stacks(arrays: Sequence[LazyArray], stored: Sequence[Any]) -> tuple[list[LazyArray], list[str]]:
    """Join images of one size into one stack, in the order of their pages.

    Returns:
        The stacks, the largest images first; and descriptions of what is left out: reduced copies, masks.
    """
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    left_out = []
    kinds = ["reduced copy" if s.keyframe.is_reduced else "mask" if s.keyframe.is_mask else "" for s in stored]
    for i, (array, kind) in enumerate(zip(arrays, kinds, strict=True)):
        if kind and not all(kinds):
            left_out.append(f"{kind} {_sizes(array)}")
        else:
            groups[_page_key(array)].append(i)
    stacks = [_join([arrays[i] for i in group], [stored[i] for i in group]) for group in groups.values()]
    flat = [stack for joined in stacks for stack in joined]
    flat.sort(key=lambda stack: -stack.shape[stack.axes.index("y")] * stack.shape[stack.axes.index("x")])
    main = [stack for i, stack in enumerate(flat) if not any(_is_reduced(stack, larger) for larger in flat[:i])]
    left_out += [f"reduced copy {_sizes(stack)}" for stack in flat if not any(stack is each for each in main)]
    return main, left_out


def _sizes(array: LazyArray) -> str:
    return f"({', '.join(f'{axis} {n}' for axis, n in zip(array.axes, array.shape, strict=True))})"


def _page_key(array: LazyArray) -> tuple[Any, ...]:
    """Size, type and further axes that images of one stack share."""
    fixed = [(a, n) for a, n in zip(array.axes, array.shape, strict=True) if a not in ("view", "time")]
    spare = len(array.shape) - len(fixed)
    return (tuple(fixed), array.dtype, spare if spare > 1 else 0)


def _is_reduced(array: LazyArray, larger: LazyArray) -> bool:
    """Whether images are smaller copies of others: of one ratio of sides, at most half as large, no more of them."""
    small, large = ([a.shape[a.axes.index(axis)] for axis in "yx"] for a in (array, larger))
    ratios = [big / max(little, 1) for big, little in zip(large, small, strict=True)]
    is_alike = abs(small[0] - large[0] / ratios[1]) <= 1 or abs(small[1] - large[1] / ratios[0]) <= 1
    fewer = array.size // (small[0] * small[1]) <= larger.size // (large[0] * large[1])
    return min(ratios) >= _LEAST_REDUCTION and is_alike and fewer


def _join(arrays: Sequence[LazyArray], stored: Sequence[Any]) -> list[LazyArray]:
    """Join arrays along their view axis, which is added where it is absent; those with further axes stay apart."""
    if len(arrays) == 1:
        return list(arrays)
    if any(len([axis for axis in array.axes if axis not in ("y", "x", "channel")]) > 1 for array in arrays):
        return list(arrays)
    if any(axis in ("plane", "position") for axis in arrays[0].axes):
        return list(arrays)
    return [stack([image for _, _, image in sorted(_images(arrays, stored), key=itemgetter(0, 1))], "view")]


def _images(arrays: Sequence[LazyArray], stored: Sequence[Any]) -> Iterator[tuple[int, int, LazyArray]]:
    """Yield each image with its page and its number within its array."""
    for array, series in zip(arrays, stored, strict=True):
        position = next((k for k, a in enumerate(array.axes) if a not in ("y", "x", "channel")), None)
        images = [array] if position is None else [array.at(position, i) for i in range(array.shape[position])]
        pages = list(series) if series.kind == "generic" and len(series) == len(images) else []
        for frame, image in enumerate(images):
            yield pages[frame].index if pages else series.keyframe.index, frame, image
