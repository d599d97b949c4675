"""Metadata of Micro-Manager beside the OME-XML of its files: distances, channels, labels of the stage's positions."""

import math
from collections.abc import Mapping
from typing import Any

from .lazy_arrays import LazyArray
from .tiff import TiffMetadata

_MICROMETRE = 1e-6
_POSITION = 3
"""Column of the position in the index of a file."""


def position_metadata(tiff: Any, count: int, images: list[TiffMetadata]) -> list[TiffMetadata]:
    """Return the metadata of each position of a file of Micro-Manager.

    Args:
        tiff: The open file.
        count: Number of its positions.
        images: Metadata in its OME-XML, which precede where there are as many.
    """
    if len(images) == count and all(image.has_pixel_size for image in images):
        return images
    summary = (tiff.micromanager_metadata or {}).get("Summary") or {}
    pixel, step = (_length(summary, name) for name in ("PixelSize_um", "z-step_um"))
    channels = tuple(str(name) for name in _list(summary, "ChNames"))
    names = _labels_here(tiff, count)
    return [TiffMetadata((step, pixel, pixel), name=name, channels=channels) for name in names]


def _labels_here(tiff: Any, count: int) -> list[str]:
    """Return the labels of the positions that are read: of all, or of those in the index of the file alone."""
    labels = position_labels(tiff)
    if len(labels) == count:
        return labels
    numbers = sorted({int(row[_POSITION]) for row in (tiff.micromanager_metadata or {}).get("IndexMap", ())})
    if len(numbers) == count and numbers[-1] < len(labels):
        return [labels[number] for number in numbers]
    return [""] * count


def position_labels(tiff: Any) -> list[str]:
    """Labels of all positions of an acquisition; empty if they are unknown."""
    summary = (tiff.micromanager_metadata or {}).get("Summary") or {}
    for key in ("StagePositions", "InitialPositionList"):
        labels = [str(place.get("Label", "")) for place in _list(summary, key) if isinstance(place, Mapping)]
        if labels:
            return labels
    positions = summary.get("Positions")
    return [""] * positions if isinstance(positions, int) and positions > 1 else []


def shortfall(tiff: Any, array: LazyArray) -> list[str]:
    """Name the axes along which a file holds fewer images than its acquisition was to have.

    Args:
        tiff: The open file.
        array: Images of one position.
    """
    summary = (tiff.micromanager_metadata or {}).get("Summary") or {}
    sizes = dict(zip(array.axes, array.shape, strict=True))
    remarks = []
    for key, axis in (("Frames", "time"), ("Slices", "plane"), ("Channels", "channel")):
        planned, here = summary.get(key), sizes.get(axis, 1)
        if isinstance(planned, int) and planned > here:
            remarks.append(
                f"{here} of {planned} {key.lower()} are here: the acquisition was stopped, or files are missing"
            )
    return remarks


def _list(summary: Mapping[str, Any], key: str) -> list[Any]:
    value = summary.get(key)
    return value if isinstance(value, list) else []


def _length(summary: Mapping[str, Any], key: str) -> float:
    """Length [m] in micrometres of the summary; NaN if it is absent, or 0, which stands for unknown."""
    value = summary.get(key)
    return abs(value) * _MICROMETRE if isinstance(value, int | float) and value else math.nan
