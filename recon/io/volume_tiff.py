"""Volumes as OME-TIFF.

A volume is float32 with the axes ``CZYX``, one channel for each quantity, and physical sizes in µm, or in OME's unit
``pixel`` where the size of a voxel is unknown. A map annotation,
which other programs ignore, holds the rest of its metadata: units and the place of the first sample.

Stacks of other programs are read with the axes that OME, ImageJ or tifffile name. Channels are quantities.
Whole numbers, such as labels, stay so.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from ..config.units import si_factor
from ..errors import DataError, Diagnostic
from ..volume import Volume
from .atomic import open_for_arrays
from .metadata import (
    KEY,
    VOXEL,
    VolumeOptions,
    assemble,
    complete_spacing,
    metadata_json,
    placeholder,
    positive_spacing,
    single_precision,
)
from .stack_axes import split_stack
from .tiff import SIGNIFICANT_DIGITS, TiffMetadata, open_tiff, open_tiff_and_log, read_metadata, require_whole
from .tiff_series import is_grouped
from .volume_position import read_position, refuse_position

_log = logging.getLogger(__name__)
_MICROMETRE = si_factor("um")


def write(volume: Volume, path: Path) -> None:
    """Write a volume as OME-TIFF."""
    import tifffile

    arrays = [volume.values[q.name] for q in volume.quantities]
    dtype = single_precision(arrays, (np.uint8, np.uint16, np.int16, np.uint32, np.int32))
    channels = [np.asarray(array, dtype) for array in arrays]
    metadata: dict[str, object] = {
        "axes": "CZYX",
        "Channel": {"Name": [q.name for q in volume.quantities]},
        "MapAnnotation": {KEY: metadata_json(volume)},
    }
    unit, size_of_unit = ("pixel", 1.0) if volume.length_unit == VOXEL else ("µm", _MICROMETRE)
    for axis, size in zip("ZYX", positive_spacing(volume), strict=True):
        metadata[f"PhysicalSize{axis}"] = float(f"{size / size_of_unit:.{SIGNIFICANT_DIGITS}g}")
        metadata[f"PhysicalSize{axis}Unit"] = unit
    stack = channels[0][None] if len(channels) == 1 else np.stack(channels)
    with open_for_arrays(path) as file:
        tifffile.imwrite(file, stack, ome=True, photometric="minisblack", metadata=metadata)


def read(path: Path, options: VolumeOptions) -> Volume:
    """Read a volume: an OME-TIFF, an ImageJ stack, or a plain stack of pages."""
    with open_tiff_and_log(path) as (tiff, messages):
        if is_grouped(tiff):
            array, axes, metadata = read_position(tiff, path, options.position)
        else:
            refuse_position(options.position, path)
            series, metadata = _first_series(tiff, path), read_metadata(tiff)
            array, axes = np.asarray(series.asarray()), series.axes
        require_whole(messages, path)
    arrays, names = split_stack(array, axes, path, options.time)
    known = _spacing(path, metadata, options)
    return assemble(arrays, known, metadata.annotation, options.kind, names=names or metadata.channels)


def outline(path: Path) -> Volume | None:
    """Read the metadata of a volume; None for a file without our own annotation, which may be a stack of images."""
    with open_tiff(path) as tiff:
        metadata = read_metadata(tiff)
        if not metadata.annotation:
            return None
        series = tiff.series[0]
        arrays, _ = split_stack(placeholder(series.shape, series.dtype), series.axes, path)
    return assemble(arrays, _spacing(path, metadata, VolumeOptions()), metadata.annotation, "")


def _first_series(tiff: Any, path: Path) -> Any:
    """Return the first series of images; others are named in a warning.

    Raises:
        DataError: If there is none.
    """
    if not tiff.series:
        raise DataError(Diagnostic(str(path), "the TIFF holds no image", "export it again"))
    if len(tiff.series) > 1:
        sizes = ", ".join(f"{s.axes} {'x'.join(map(str, s.shape))}" for s in tiff.series[1:4])
        _log.warning("%s: holds %d series: the first is read, not %s", path, len(tiff.series), sizes)
    return tiff.series[0]


def _spacing(path: Path, metadata: TiffMetadata, options: VolumeOptions) -> tuple[float, float, float] | None:
    """[m] Return the distance between samples that the options or the file give; None if they give none.

    Raises:
        DataError: If it gives some of them only.
    """
    return complete_spacing(path, metadata.voxel_size or metadata.size, options, metadata.hint)
