"""Axes of stacks of other programs: channels, times and planes."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError, Diagnostic
from .colours import COLOURS

_log = logging.getLogger(__name__)
_MOST_CHANNELS = 8
"""Largest size of an axis without a name that counts as one of channels, beside one that is at least twice as long."""


@dataclass(frozen=True)
class StackLayout:
    """Roles of the axes of a stack.

    Args:
        channel: Index of the axis of channels; None if there is none.
        time: Index of the axis of times.
        page: Index of the axis of planes along z.
        y: Index of the axis of rows.
        x: Index of the axis of columns.
        is_colour: Whether the channels are red, green, blue and perhaps opacity.
    """

    channel: int | None
    time: int | None
    page: int | None
    y: int
    x: int
    is_colour: bool


_PAGES = "ZQI"
"""Names of axes of planes: along z, of a plain stack, of single pages."""


def _find_layout(axes: str, shape: tuple[int, ...], path: Path) -> StackLayout:
    """Find the roles of a stack's axes by their names in the file.

    Raises:
        DataError: If they are not those of a volume.
    """
    long = [i for i, n in enumerate(shape) if n > 1 and axes[i] not in "YX"]
    pages = [i for i in long if axes[i] in _PAGES]
    channels = [i for i in long if axes[i] in "CS"]
    times = [i for i in long if axes[i] == "T"]
    if len(pages) == 2 and axes[pages[0]] == axes[pages[1]] and not channels:
        channels = [channel_axis(shape, str(path))]
        pages = [i for i in pages if i not in channels]
    if times and not pages:
        _log.warning("%s: its %d planes are named times, and are taken as planes along z", path, shape[times[0]])
        pages, times = times, []
    known = {*pages[:1], *channels[:1], *times[:1]}
    if {*long} - known or axes.count("Y") != 1 or axes.count("X") != 1:
        sizes = " x ".join(map(str, shape))
        message = f"is no volume (z, y, x): its axes are {axes}, of the sizes {sizes}"
        raise DataError(Diagnostic(str(path), message, "export one volume, as OME-TIFF or from ImageJ"))
    return StackLayout(
        channels[0] if channels else None,
        times[0] if times else None,
        pages[0] if pages else None,
        axes.index("Y"),
        axes.index("X"),
        bool(channels) and axes[channels[0]] == "S",
    )


def split_stack(
    array: np.ndarray, axes: str, path: Path, time: int | None = None
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Split a stack into one array (z, y, x) for each channel.

    Args:
        array: The stack.
        axes: Letters of its axes: ``T`` times, ``C`` channels, ``S`` colours, ``Z`` planes, ``Y``, ``X``; ``Q`` and
            ``I`` for those without a name.
        path: The file, for messages.
        time: Number of the time; needed where there are several.

    Returns:
        The arrays in the byte order of this machine, and their names where the channels are colours. Equal colours are
        one array.

    Raises:
        ConfigError: If it holds several times and none is chosen, or there is no such time.
        DataError: If its axes are not those of a volume.
    """
    layout = _find_layout(axes, array.shape, path)
    count = 1 if layout.time is None else array.shape[layout.time]
    if count > 1 and time is None:
        raise ConfigError(Diagnostic(str(path), f"holds {count} times", f"choose one: --time 0 … {count - 1}"))
    if time is not None and not 0 <= time < count:
        raise ConfigError(Diagnostic("--time", f"{path} holds no time {time}", f"they are numbered 0 to {count - 1}"))
    roles = (layout.time, layout.channel, layout.page, layout.y, layout.x)
    order = [axis for axis in roles if axis is not None]
    sizes = [1 if axis is None else array.shape[axis] for axis in roles]
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    moved = array.transpose([*(i for i in range(array.ndim) if i not in order), *order]).reshape(sizes)[time or 0]
    if not layout.is_colour:
        return list(moved), ()
    if all(np.array_equal(moved[0], other) for other in moved[1:3]):
        return [moved[0]], ()
    return list(moved), (*COLOURS, "alpha")[: len(moved)]


def channel_axis(shape: tuple[int, ...], where: str) -> int:
    """Find the axis of channels of four that have no names: the first or the last, if it is much the shortest.

    Raises:
        ConfigError: If neither is.
    """
    others = sorted(shape)[1]
    short = [axis for axis in (0, 1, 3) if shape[axis] == min(shape)]
    if min(shape) > _MOST_CHANNELS or 2 * min(shape) > others or len(short) != 1:
        message = f"has four axes of the sizes {' x '.join(map(str, shape))}, which have no names"
        raise ConfigError(Diagnostic(where, message, "write one volume (z, y, x)"))
    names = ["z", "y", "x"]
    names.insert(short[0], "channel")
    _log.warning("%s: axes of %s are taken as (%s)", where, " x ".join(map(str, shape)), ", ".join(names))
    return short[0]
