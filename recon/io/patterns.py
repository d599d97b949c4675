"""Arrays of one file that a pattern names together, ``/entry/data/data_*``, in the order of the numbers in their names.

Parts with all axes of an entry are joined along the first: the parts of a Dectris scan. Parts with one axis less are
stacked: one image, or one number, for each group (``/image_*/phase``). A part that is missing is named, never skipped.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TypeGuard

import numpy as np

from ..errors import DataError, Diagnostic
from .combine_arrays import concatenate
from .file_names import natural_order
from .lazy_arrays import ArrayTree, LazyArray

_WILDCARDS = set("*?[")
_PART = re.compile(r"(.*\D)(\d{6})")
"""Name of a part of a scan, as Dectris numbers them: ``data_000001``."""

_INDEX = re.compile(r"(.*[^\[])\[((?:\s*(?:\d{1,9}|:)\s*,)*\s*(?:\d{1,9}|:)\s*)\]")
"""Path with an index of an array: ``/images[0, :, 2]``."""


def is_pattern(path: str) -> bool:
    """Whether a path names several arrays."""
    return bool(_WILDCARDS & set(path))


def find_array(tree: ArrayTree, path: str, axes: int, attribute: str = "") -> LazyArray | None:
    """Return the array or attribute at a path: the whole scan, where the path is its first part or a pattern.

    Args:
        tree: The open file.
        path: Path, or pattern.
        axes: Largest number of axes that the array may have.
        attribute: Name of an attribute of the group or array; empty for the array.

    Returns:
        The array; None if there is none.

    Raises:
        DataError: If it is there and cannot be used.
    """
    if attribute:
        attributes = tree.attributes(path)
        if attributes is not None and attribute in attributes:
            return LazyArray.of(np.asarray(attributes[attribute]))
    else:
        parts = numbered_parts(tree, path) if axes > 2 else []
        if parts[:1] == [path]:
            return join_parts(tree, parts, axes)
        array = tree.array(path)
        if array is not None:
            return array
    if not is_pattern(path):
        return None
    return match_pattern(tree, path, axes, attribute) or (None if attribute else _part_at(tree, path))


def _part_at(tree: ArrayTree, path: str) -> LazyArray | None:
    """Return the part of an array at fixed places along some of its axes: ``/images[0]``, ``/images[:, 1]``.

    Raises:
        DataError: If there is no such place.
    """
    match = _INDEX.fullmatch(path)
    array = tree.array(match[1]) if match else None
    if match is None or array is None:
        return None
    samples = [part.strip() for part in match[2].split(",")]
    if len(samples) > len(array.shape):
        message = f"has {len(array.shape)} axes, and {len(samples)} are given: its shape is {array.shape}"
        raise DataError(Diagnostic(f"{tree.path}:{path}", message))
    for axis in range(len(samples) - 1, -1, -1):
        if samples[axis] == ":":
            continue
        if int(samples[axis]) >= array.shape[axis]:
            message = f"there is no {samples[axis]} along an axis of {array.shape[axis]}: the shape is {array.shape}"
            raise DataError(Diagnostic(f"{tree.path}:{path}", message, "places are counted from 0"))
        array = array.at(axis, int(samples[axis]))
    return replace(array, origin=path)


def match_pattern(tree: ArrayTree, pattern: str, axes: int, attribute: str = "") -> LazyArray | None:
    """Join or stack the arrays whose paths match a pattern.

    Args:
        tree: The open file.
        pattern: Path with ``*``, ``?`` or ``[…]``, none of which matches a slash.
        axes: Number of axes of the result.
        attribute: Name of an attribute, to take those of the matching groups or arrays instead; empty for arrays.

    Returns:
        The array, with the names of its parts as its `origin`; None if nothing matches.

    Raises:
        DataError: If a part is missing or cannot be opened, or the parts differ in shape or unit.
    """
    names = sorted(_matches(tree, pattern, groups=bool(attribute)), key=natural_order)
    if not names:
        return None
    if "[" not in pattern:
        _require_all(tree, names)
    parts = [_part(tree, name, attribute) for name in names]
    return combine(tree, [f"{name}@{attribute}" if attribute else name for name in names], parts, axes)


def numbered_parts(tree: ArrayTree, name: str) -> list[str]:
    """List the parts of the scan to which an array belongs by its name, ``data_000001``; nothing if it is no part."""
    part = _PART.fullmatch(name)
    if part is None:
        return []
    names = [other for other in tree.names() if (match := _PART.fullmatch(other)) and match[1] == part[1]]
    return sorted(names) if len(names) > 1 else []


def join_parts(tree: ArrayTree, names: Sequence[str], axes: int) -> LazyArray:
    """Join the parts of a scan, or stack its images.

    Raises:
        DataError: If a part is missing or cannot be opened, or the parts differ in shape or unit.
    """
    _require_all(tree, names)
    return combine(tree, names, [_part(tree, name, "") for name in names], axes)


def combine(tree: ArrayTree, names: Sequence[str], parts: Sequence[LazyArray], axes: int) -> LazyArray:
    """Combine arrays of one file.

    Args:
        tree: The open file.
        names: Path of each part, for messages.
        parts: Arrays of equal shape, but for the first axis where they are joined.
        axes: Number of axes of the result: parts of as many are joined, those of one less are stacked.

    Raises:
        DataError: If the parts differ in shape or unit.
    """
    is_stack = len(parts[0].shape) < axes
    if is_stack:
        parts = [part.expanded() for part in parts]
    for name, part in zip(names, parts, strict=True):
        if part.shape[1:] != parts[0].shape[1:] or part.attributes.get("units") != parts[0].attributes.get("units"):
            shown = [f"{p.shape[is_stack:]} {p.attributes.get('units', '')}".strip() for p in (part, parts[0])]
            message = f"has the shape {shown[0]}, and {names[0]} {shown[1]}: they are no parts of one array"
            raise DataError(Diagnostic(f"{tree.path}:{name}", message, "name those that belong together by a pattern"))
    _require_continuous(tree, names, parts)
    origin = names[0] if len(names) == 1 else f"{names[0]} to {names[-1].rpartition('/')[2]} ({len(names)} parts)"
    if is_stack and len({name.rpartition("/")[2] for name in names}) == 1:
        origin = f"{names[0]} to {names[-1]} ({len(names)} in all)"
    return replace(concatenate(parts), origin=origin)


def _matches(tree: ArrayTree, pattern: str, *, groups: bool) -> set[str]:
    """Return the paths that match a pattern, one part of it for each of theirs."""
    names = set(tree.names())
    if groups:
        names |= {name[:end] for name in names for end in range(1, len(name)) if name[end] == "/"}
    segments = pattern.split("/")
    return {
        name
        for name in names
        if len(split := name.split("/")) == len(segments) and all(map(fnmatchcase, split, segments))
    }


def _part(tree: ArrayTree, name: str, attribute: str) -> LazyArray:
    """Return one part, or its attribute.

    Raises:
        DataError: If there is none.
    """
    if not attribute:
        array = tree.array(name)
    else:
        attributes = tree.attributes(name) or {}
        array = LazyArray.of(np.asarray(attributes[attribute])) if attribute in attributes else None
    if array is None:
        what = f"has no attribute {attribute!r}, which others have" if attribute else "is no array"
        raise DataError(Diagnostic(f"{tree.path}:{name}", what, "name those that belong together by a pattern"))
    return array


def _require_all(tree: ArrayTree, names: Sequence[str]) -> None:
    """Refuse names with a gap in their numbers, or with one number twice.

    Raises:
        DataError: With the number that is missing.
    """
    splits = [re.split(r"(\d+)", name) for name in names]
    different = [i for i, texts in enumerate(zip(*splits, strict=False)) if len(set(texts)) > 1]
    if len({len(split) for split in splits}) > 1 or len(different) != 1 or not splits[0][different[0]].isdigit():
        return
    place = different[0]
    numbers = [int(split[place]) for split in splits]
    steps = np.diff(numbers)
    if steps.min() == 0:
        twice = int(np.argmin(steps))
        message = f"the number {numbers[twice]} occurs twice: {names[twice]}, {names[twice + 1]}"
        raise DataError(Diagnostic(str(tree.path), message, "name those that belong together by a pattern"))
    are_parts = all(map(_PART.fullmatch, names))
    step = 1 if are_parts else int(steps.min())
    missing = numbers[int(np.argmax(steps != step))] + step if (steps != step).any() else 0
    if are_parts and numbers[0] > 1:
        missing = 1
    if missing:
        absent = list(splits[0])
        absent[place] = str(missing).zfill(len(absent[place]))
        message = f"of the parts {names[0]} to {names[-1]} one is missing: {''.join(absent)}"
        raise DataError(Diagnostic(str(tree.path), message, f"copy it there{_those_present(names)}"))


def _those_present(names: Sequence[str]) -> str:
    """Write names that differ in their last character as a pattern with brackets; empty for others."""
    if len({name[:-1] for name in names}) > 1:
        return ""
    return f", or name those to use: '{names[0][:-1]}[{''.join(name[-1] for name in names)}]'"


def _require_continuous(tree: ArrayTree, names: Sequence[str], parts: Sequence[LazyArray]) -> None:
    """Refuse parts whose own numbers of images, which Dectris writes beside them, leave some out or come twice.

    Raises:
        DataError: If they do.
    """
    ends = [[part.attributes.get(f"image_nr_{end}") for end in ("low", "high")] for part in parts]
    numbers = [(int(low), int(high)) for low, high in ends if _is_whole(low) and _is_whole(high)]
    if len(numbers) < len(parts):
        return
    for name, (_, last), (first, _) in zip(names[1:], numbers[:-1], numbers[1:], strict=True):
        if first != last + 1:
            message = f"begins with image {first}, and the part before it ends with image {last}"
            raise DataError(Diagnostic(f"{tree.path}:{name}", message, "see that no file of the scan is missing"))


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer)
