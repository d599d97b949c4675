"""Volumes as OME-TIFF.

A volume is float32 with the axes ``CZYX``, one channel for each quantity, and physical sizes in µm. A map annotation,
which other programs ignore, holds the rest of its metadata: units and the place of the first sample.
"""

from pathlib import Path

import numpy as np

from ..config.units import si_factor
from ..errors import DataError, Diagnostic
from ..sampled import Point3
from ..volume import Volume
from .atomic import open_for_arrays
from .metadata import KEY, UNKNOWN_SPACING, assemble, metadata_json, placeholder, positive_spacing, require_spacing
from .tiff import SIGNIFICANT_DIGITS, open_tiff, parse_ome

_MICROMETRE = si_factor("um")


def write(volume: Volume, path: Path) -> None:
    """Write a volume as OME-TIFF."""
    import tifffile

    channels = [np.asarray(volume.values[q.name], np.float32) for q in volume.quantities]
    metadata: dict[str, object] = {
        "axes": "CZYX",
        "Channel": {"Name": [q.name for q in volume.quantities]},
        "MapAnnotation": {KEY: metadata_json(volume)},
    }
    for axis, size in zip("ZYX", positive_spacing(volume), strict=True):
        metadata[f"PhysicalSize{axis}"] = float(f"{size / _MICROMETRE:.{SIGNIFICANT_DIGITS}g}")
        metadata[f"PhysicalSize{axis}Unit"] = "µm"
    stack = channels[0][None] if len(channels) == 1 else np.stack(channels)
    with open_for_arrays(path) as file:
        tifffile.imwrite(file, stack, ome=True, photometric="minisblack", metadata=metadata)


def read(path: Path, spacing: Point3 | None, kind: str) -> Volume:
    """Read a volume: an OME-TIFF, or a plain stack of pages whose spacing is given."""
    with open_tiff(path) as tiff:
        series = tiff.series[0]
        array, axes, metadata = series.asarray(), series.axes, parse_ome(tiff.ome_metadata)
    channels = _channels(array, axes, path)
    return assemble(channels, require_spacing(path, metadata.voxel_size or spacing), metadata.annotation, kind)


def outline(path: Path) -> Volume | None:
    """Read the metadata of a volume; None for a file without our own annotation, which may be a stack of images."""
    with open_tiff(path) as tiff:
        metadata = parse_ome(tiff.ome_metadata)
        if not metadata.annotation:
            return None
        series = tiff.series[0]
        channels = _channels(placeholder(series.shape, series.dtype), series.axes, path)
    return assemble(channels, metadata.voxel_size or UNKNOWN_SPACING, metadata.annotation, "")


def _channels(array: np.ndarray, axes: str, path: Path) -> list[np.ndarray]:
    """Split an array of any axes into one (z, y, x) for each channel; other axes of one sample are dropped."""
    pages = next((a for a in "ZIQTS" if a in axes and array.shape[axes.index(a)] > 1), "Z")
    order = [a for a in ("C", pages, "Y", "X") if a in axes]
    extra = tuple(i for i, a in enumerate(axes) if a not in order)
    if any(array.shape[i] > 1 for i in extra) or not {"Y", "X"} <= set(axes):
        raise DataError(Diagnostic(str(path), f"is no volume: its axes are {axes}, of the sizes {array.shape}"))
    array = array.squeeze(extra).transpose([[a for a in axes if a in order].index(a) for a in order])
    if pages not in order:
        array = array[..., None, :, :]
    return list(array) if "C" in order else [array]
