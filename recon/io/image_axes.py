"""Axes of image files by name, and the choice among channels, positions, time points and planes of focus.

Microscopes write files of up to six axes, and an acquisition has three: views and pixels. An axis of one sample does
not matter; of the others the config chooses one sample each until only one is left, which counts the views.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..errors import DataError, Diagnostic
from .lazy_arrays import LazyArray
from .resolved_array import ResolvedArray

Label: TypeAlias = int | str

_NAMES = {
    "position": "positions",
    "channel": "channels",
    "time": "time points",
    "plane": "planes of focus",
    "colour": "colours",
}
_DISTINCT = ("position", "channel", "colour")
"""Axes that count no views, unless the config says so."""
_MOST_LABELS = 12
MIDDLE = "middle"
"""Name of the middle plane of focus."""


@dataclass(frozen=True)
class ImageChoice:
    """Sample to use along each axis of an image file, by its number or name; None where nothing is chosen."""

    position: Label | None = None
    channel: Label | None = None
    time: Label | None = None
    plane: Label | None = None

    def of(self, axis: str) -> Label | None:
        """Sample that is chosen along an axis."""
        chosen: Label | None = getattr(self, axis, None)
        return chosen

    @property
    def given(self) -> list[str]:
        """Axes along which a sample is chosen."""
        return [axis for axis in _NAMES if self.of(axis) is not None]


def choose_parts(
    resolved: Sequence[ResolvedArray], choice: ImageChoice | None
) -> tuple[list[ResolvedArray], list[Diagnostic]]:
    """Reduce arrays whose axes are named to the axes of an acquisition.

    Args:
        resolved: Arrays; those without names of axes stay as they are.
        choice: Samples that the config chooses; None for a kind whose config has no such keys.

    Returns:
        The arrays that remain, and a fault for each that does not. Numbers of each plane of focus are omitted where the
        views are no planes.
    """
    chosen: list[ResolvedArray] = []
    faults: list[Diagnostic] = []
    stacked: set[str] = set()
    for item in resolved:
        if not _is_image(item):
            continue
        try:
            part, axis = _choose_image(item, choice)
        except DataError as error:
            faults += error.faults
            continue
        if _is_main(item):
            stacked.add(axis)
        chosen.append(part)
    for item in resolved:
        if _is_image(item):
            continue
        numbers = _choose_numbers(item, choice or ImageChoice(), stacked) if item.array.axes else item
        if numbers is not None:
            chosen.append(numbers)
    order = [item.entry.name for item in resolved]
    return sorted(chosen, key=lambda item: order.index(item.entry.name)), faults


def take_image(
    array: LazyArray, choice: ImageChoice, name: str, place: str, path: str = "", *, stack: bool = True
) -> LazyArray:
    """Reduce an array whose axes are named to one image, or to at most one stack of images.

    Args:
        array: The array.
        choice: Samples that the config chooses.
        name: Setting of the array, for messages.
        place: Place of the array, for messages.
        path: Path of the array in its file, for remedies; empty where the config cannot name one.
        stack: Whether the images may be a stack.

    Returns:
        An array (stack, y, x) or (y, x).

    Raises:
        DataError: If the choice names no sample of the array, or too many axes remain.
    """
    array = drop_single(array)
    for axis in choice.given:
        if axis not in array.axes:
            _require_single(array, axis, choice.of(axis), name, place)
            continue
        array = array.at(array.axes.index(axis), _index(array, axis, choice.of(axis), place))
    remaining = [axis for axis in array.axes if axis not in ("y", "x")]
    if len(remaining) > stack or set(remaining) & set(_DISTINCT):
        raise DataError(_ambiguity(array, remaining, name, place, path, stack=stack))
    pixels = [array.axes.index("y"), array.axes.index("x")]
    return array.transposed((*(array.axes.index(axis) for axis in remaining), *pixels))


def drop_single(array: LazyArray) -> LazyArray:
    """Drop axes of one sample, except those of the pixels."""
    for axis in [a for a, n in zip(array.axes, array.shape, strict=True) if n == 1 and a not in ("y", "x")]:
        array = array.at(array.axes.index(axis), 0)
    return array


def _is_image(item: ResolvedArray) -> bool:
    """Whether an array is one of images, or a stack of them."""
    return any(axes[-2:] == ("y", "x") for axes in item.entry.axes)


def _is_main(item: ResolvedArray) -> bool:
    """Whether an array holds the measurement itself, and not what belongs to it."""
    return bool(item.entry.choice) or item.entry.required


def _choose_image(item: ResolvedArray, choice: ImageChoice | None) -> tuple[ResolvedArray, str]:
    """Choose the part of one array of images; return the name of the axis that is left to count the views as well."""
    array, order = item.array, item.order
    own = {axis for axes in item.entry.axes for axis in axes}
    if order and len(order) == len(array.shape):
        if set(order) <= own:
            stacks = [name for name, axis in zip(array.axes, order, strict=False) if axis not in ("y", "x")]
            return item, stacks[0] if len(stacks) == 1 else "view"
        names = tuple("view" if axis in own - {"y", "x"} else axis for axis in order)
        array = replace(array, axes=names)
    if not array.axes:
        _require_nothing(item, choice)
    if not {"y", "x"} <= set(array.axes):
        return item, "view"
    if choice is None or not _is_main(item):  # A background may have one channel where the images have several.
        given = choice or ImageChoice()
        choice = ImageChoice(**{axis: given.of(axis) for axis in given.given if axis in array.axes})
    part = take_image(array, choice, item.entry.name, item.place, item.place.rpartition(":")[2])
    return replace(item, array=part, order=()), part.axes[0] if len(part.axes) == 3 else ""


def _choose_numbers(item: ResolvedArray, choice: ImageChoice, stacked: set[str]) -> ResolvedArray | None:
    """Choose the numbers of the used planes of focus; None where the views are no planes."""
    array = item.array
    for axis in [a for a in array.axes if a not in stacked]:
        sample = choice.of(axis)
        if sample is None or axis == "plane":
            return None
        array = array.at(array.axes.index(axis), _index(array, axis, sample, item.place))
    return replace(item, array=array)


def sample_number(
    axis: str, chosen: Label | None, count: int, labels: Sequence[str], place: str, remedy: str = ""
) -> int:
    """Number of a chosen sample: an integer counts from 0; a name is one of the labels, or the end of a single one.

    Args:
        axis: Name of the axis.
        chosen: Number or name.
        count: Number of samples.
        labels: Names of the samples, if they have any.
        place: Place of the array, for messages.
        remedy: Remedy in place of the setting of an acquisition.

    Raises:
        DataError: If there is none, or several.
    """
    if isinstance(chosen, int) and chosen < count:
        return chosen
    text = str(chosen).strip().lower()
    if axis == "plane" and text == MIDDLE and MIDDLE not in labels:
        return count // 2
    lower = [label.lower() for label in labels]
    exact = [i for i, label in enumerate(lower) if label == text]
    ending = [i for i, label in enumerate(lower) if label.endswith(f"_{text}") or label.startswith(f"{text} ")]
    for matches in (exact, ending):
        if len(matches) == 1:
            return matches[0]
    if isinstance(chosen, str) and chosen.isdigit() and int(chosen) < count:
        return int(chosen)
    content = f"{count} {_NAMES[axis]}{describe_labels({axis: labels}, axis)}"
    message = f"there is no {axis} {chosen!r}: {content}"
    if len(exact) > 1 or len(ending) > 1:
        message = f"several {_NAMES[axis]} are called {chosen!r}: {content}"
    raise DataError(Diagnostic(place, message, remedy or f"choose one by its number, acquisition.{axis}: 0"))


def _index(array: LazyArray, axis: str, chosen: Label | None, place: str) -> int:
    """Number of a chosen sample along an axis of an array."""
    return sample_number(axis, chosen, array.shape[array.axes.index(axis)], array.labels.get(axis, ()), place)


def _require_single(array: LazyArray, axis: str, chosen: Label | None, name: str, place: str) -> None:
    """Refuse the choice of a further sample along an axis that an array does not have.

    Raises:
        DataError: If neither the number 0 nor a name of the array's is chosen.
    """
    labels = [label.lower() for label in array.labels.get(axis, ())]
    if chosen in (0, "0") or str(chosen).lower() in labels or (isinstance(chosen, int) and chosen < len(labels)):
        return
    axes = ", ".join(f"{a} {n}" for a, n in zip(array.axes, array.shape, strict=True))
    message = f"acquisition.{axis} is {chosen!r}, and {name} has no {_NAMES[axis]}: its axes are {axes}"
    raise DataError(Diagnostic(place, message, f"leave acquisition.{axis} out"))


def _require_nothing(item: ResolvedArray, choice: ImageChoice | None) -> None:
    """Refuse a choice along axes of an array whose axes have no names.

    Raises:
        DataError: If a sample other than the first is chosen of an array with axes to choose from.
    """
    given = choice.given if choice is not None and _is_main(item) else []
    if not given or all(choice is not None and choice.of(axis) in (0, "0") for axis in given):
        return
    path = item.place.rpartition(":")[2]
    axes = [*given, *item.entry.axes[0]][-max(len(item.array.shape), 1) :]
    message = f"acquisition.{given[0]} is given, and the axes of {item.entry.name} {item.array.shape} have no names"
    remedy = f"name them, as in acquisition.{item.entry.name}: '{path} as {' '.join(axes)}'"
    if len(axes) <= len(item.entry.axes[0]):
        remedy = f"leave acquisition.{given[0]} out"
    raise DataError(Diagnostic(item.place, message, remedy))


def _ambiguity(
    array: LazyArray, remaining: Sequence[str], name: str, place: str, path: str, *, stack: bool
) -> Diagnostic:
    """Describe the axes of which a sample must be chosen, and how."""
    distinct = [axis for axis in remaining if axis in _DISTINCT or not stack]
    stacks = [axis for axis in remaining if axis not in distinct]
    parts = [_describe(array, axis) for axis in distinct]
    if len(stacks) > 1:
        parts.append(" x ".join(_count(array, axis) for axis in stacks) + ", of which one can be the views")
    remedies = [_option(array, axis, name, path) for axis in distinct]
    if len(stacks) > 1:
        remedies.append(" or ".join(_option(array, axis, name, path) for axis in stacks))
    remedy = "choose " + " and ".join(remedies)
    if len(remaining) == 1 and path:
        order = " ".join("view" if axis == remaining[0] else axis for axis in array.axes)
        remedy += f", or take all as views with acquisition.{name}: '{path} as {order}'"
    return Diagnostic(place, f"{name} has {' and '.join(parts)}", remedy)


def _option(array: LazyArray, axis: str, name: str, path: str) -> str:
    """Setting that chooses one sample along an axis."""
    if hasattr(ImageChoice(), axis):
        labels = array.labels.get(axis, ())
        by_name = f" or acquisition.{axis}: {labels[0]}" if labels and labels[0] and not labels[0].isdigit() else ""
        by_name = f" or acquisition.plane: {MIDDLE}" if axis == "plane" and not by_name else by_name
        return f"acquisition.{axis}: 0{by_name}"
    index = ", ".join([":"] * array.axes.index(axis) + ["0"])
    return f"acquisition.{name}: '{path}[{index}]'"


def _count(array: LazyArray, axis: str) -> str:
    return f"{array.shape[array.axes.index(axis)]} {_NAMES.get(axis, 'images')}"


def _describe(array: LazyArray, axis: str) -> str:
    """Number of samples along an axis, with their labels."""
    return _count(array, axis) + describe_labels(array.labels, axis)


def describe_axes(array: LazyArray) -> str:
    """List the named axes of an array with their sizes and labels: ``channel 2 (0 membrane, 1 DNA), y 64, x 64``."""
    sizes = zip(array.axes, array.shape, strict=True)
    return ", ".join(f"{axis} {n}{describe_labels(array.labels, axis)}" for axis, n in sizes)


def describe_labels(labels: Mapping[str, Sequence[str]], axis: str) -> str:
    """List the labels along an axis with their numbers: `` (0 membrane, 1 DNA)``; empty if there are none."""
    names = labels.get(axis, ())
    if not any(names):
        return ""
    shown = [f"{i} {label}" for i, label in enumerate(names[:_MOST_LABELS])]
    return f" ({', '.join(shown)}{', …' if len(names) > _MOST_LABELS else ''})"
