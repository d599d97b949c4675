"""Array whose place in a file is known, and which is not read yet."""

from dataclasses import dataclass

from ..config.entries import Entry
from .lazy_arrays import LazyArray


@dataclass(frozen=True)
class ResolvedArray:
    """Array whose place in the file is known, and which is not read yet.

    Args:
        entry: Entry of the acquisition.
        array: The array.
        factor: SI units in one unit of the stored numbers.
        place: Place in the file, for messages.
        order: Names of its axes, slowest first, if the config gives them (``/stack as y x view``).
        views_last: Whether the last axis of a stack counts the images, as in MATLAB.
        name: Name of the array as a config gives it; empty for a number in the config.
    """

    entry: Entry
    array: LazyArray
    factor: float
    place: str
    order: tuple[str, ...] = ()
    views_last: bool = False
    name: str = ""
