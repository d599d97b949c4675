"""Volume in a TIFF that says which of its pages belong together: one of its positions, by number, name, or file."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, Diagnostic, UnflatError
from .colours import COLOURS
from .guard import guard
from .image_axes import describe_labels, sample_number
from .lazy_arrays import LazyArray
from .ome_set import shown
from .tiff import TiffMetadata, open_tiff
from .tiff_series import ImageSeries, is_grouped, read_series

_log = logging.getLogger(__name__)
_LETTERS = {"y": "Y", "x": "X", "plane": "Z", "time": "T", "channel": "C", "view": "Q", "colour": "S"}


def read_position(tiff: Any, path: Path, position: str | None) -> tuple[np.ndarray, str, TiffMetadata]:
    """Read the images of one position.

    Args:
        tiff: The open file, or another one of its set.
        path: The file that was named: of several positions it is the one in this file.
        position: Number or name of the position; None for that of the file, or the first.

    Returns:
        The images, the letters of their axes as in ``split_stack``, and their metadata.

    Raises:
        DataError: If there is no such position, or some of its images are absent.
    """
    series = read_series(tiff, str(path))
    for remark in series[0].array.remarks:
        _log.warning("%s: %s", path, remark)
    chosen = _choose(series, path, position)
    return chosen.array.read(), axis_letters(chosen.array), chosen.metadata


def axis_letters(array: LazyArray) -> str:
    """Letters of the axes of images as in ``split_stack``."""
    is_colour = array.labels.get("channel", ())[: len(COLOURS)] == COLOURS
    return "".join("S" if axis == "channel" and is_colour else _LETTERS.get(axis, "Q") for axis in array.axes)


def files_read_with(path: Path) -> frozenset[str]:
    """Names of the other files that hold a part of the volume in a TIFF; none for a file that cannot be read."""
    try:
        with guard(path), open_tiff(path) as tiff:
            series = read_series(tiff, str(path)) if is_grouped(tiff) else []
            own = _own(series, path)
            return series[own[0]].files - {path.name} if len(own) == 1 else frozenset()
    except UnflatError:
        return frozenset()


def refuse_position(position: str | None, path: Path) -> None:
    """Refuse the choice of a position of a file that has one only.

    Raises:
        ConfigError: If a position other than the first is chosen.
    """
    if position not in (None, "0"):
        raise ConfigError(Diagnostic("--position", f"{path} holds no positions by name or number", "leave it out"))


def _choose(series: Sequence[ImageSeries], path: Path, position: str | None) -> ImageSeries:
    labels = tuple(each.metadata.name for each in series)
    if position is not None:
        remedy = "choose one by its number: --position 0"
        return series[sample_number("position", position, len(series), labels, str(path), remedy)]
    own = _own(series, path)
    if len(own) == 1 and len(series[own[0]].files) > 1:
        _log.warning("%s: the volume is in several files: %s", path, shown(sorted(series[own[0]].files)))
    if len(series) == 1:
        return series[0]
    number = own[0] if len(own) == 1 else 0
    labels_shown = describe_labels({"position": labels}, "position")
    reason = "that of this file" if len(own) == 1 else "the first"
    _log.warning(
        "%s: holds %d positions%s: number %d is read, %s; --position NAME for another",
        *(path, len(series), labels_shown, number, reason),
    )
    return series[number]


def _own(series: Sequence[ImageSeries], path: Path) -> list[int]:
    """Numbers of the positions of which images are in a file."""
    return [number for number, each in enumerate(series) if path.name in each.files]
