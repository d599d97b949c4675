"""Volumes in OME-TIFF: float32, axes ``CZYX``, one channel a quantity, physical sizes in µm.

What OME has no place for (units, where the first sample is) stands in a map annotation, which other programs ignore.
"""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from ..config.units import si_factor
from ..errors import DataError, Diagnostic
from ..volume import Volume
from .atomic import open_for_arrays
from .library_logs import silence
from .metadata import KEY, UNKNOWN, Corner, assemble, describe, positive_spacing, require_spacing, zeros

MICROMETRE = 1e-6
DIGITS = 12  # Of a physical size: as many as survive the division by a micrometre.


def write(volume: Volume, path: Path) -> None:
    """Write the file."""
    channels = [np.asarray(volume.values[q.name], np.float32) for q in volume.quantities]
    sizes = dict(zip("ZYX", positive_spacing(volume), strict=True))
    metadata: dict[str, object] = {
        "axes": "CZYX",
        "Channel": {"Name": [q.name for q in volume.quantities]},
        "MapAnnotation": {KEY: describe(volume)},
    }
    for axis, size in sizes.items():
        metadata[f"PhysicalSize{axis}"] = float(f"{size / MICROMETRE:.{DIGITS}g}")
        metadata[f"PhysicalSize{axis}Unit"] = "µm"
    stack = channels[0][None] if len(channels) == 1 else np.stack(channels)
    with open_for_arrays(path) as file:
        tifffile.imwrite(file, stack, ome=True, photometric="minisblack", metadata=metadata)


def read(path: Path, spacing: Corner | None, kind: str) -> Volume:
    """Read an OME-TIFF, or a plain stack of pages whose spacing is given."""
    with silence("tifffile"), tifffile.TiffFile(path) as file:
        series = file.series[0]
        array, axes, xml = series.asarray(), series.axes, file.ome_metadata
    sizes, described = _ome(xml) if xml else (None, "")
    channels = _channels(array, axes, path)
    known = spacing if sizes is None else sizes
    return assemble(channels, require_spacing(path, known), described, kind)


def outline(path: Path) -> Volume | None:
    """Read what our own annotation and the sizes say; None of a file without the annotation."""
    with silence("tifffile"), tifffile.TiffFile(path) as file:
        sizes, described = _ome(file.ome_metadata) if file.ome_metadata else (None, "")
        if not described:
            return None
        series = file.series[0]
        channels = _channels(zeros(series.shape, series.dtype), series.axes, path)
    return assemble(channels, sizes or UNKNOWN, described, "")


def _channels(array: np.ndarray, axes: str, path: Path) -> list[np.ndarray]:
    """Split an array of any axes into one (z, y, x) a channel; single time points and the like are dropped."""
    pages = next((a for a in "ZIQTS" if a in axes and array.shape[axes.index(a)] > 1), "Z")
    order = [a for a in ("C", pages, "Y", "X") if a in axes]
    extra = tuple(i for i, a in enumerate(axes) if a not in order)
    if any(array.shape[i] > 1 for i in extra) or not {"Y", "X"} <= set(axes):
        raise DataError(Diagnostic(str(path), f"is no volume: its axes are {axes}, of the sizes {array.shape}"))
    array = array.squeeze(extra).transpose([[a for a in axes if a in order].index(a) for a in order])
    if pages not in order:
        array = array[..., None, :, :]
    return list(array) if "C" in order else [array]


def _ome(xml: str) -> tuple[Corner | None, str]:
    """Read the physical sizes [m] and our own annotation."""
    root = ElementTree.fromstring(xml)
    pixels = next(e for e in root.iter() if e.tag.endswith("}Pixels"))
    note = next((e.text or "" for e in root.iter() if e.tag.endswith("}M") and e.get("K") == KEY), "")
    sizes = [pixels.get(f"PhysicalSize{axis}") for axis in "ZYX"]
    if pixels.get("SizeZ") == "1" and sizes[0] is None:
        sizes[0] = sizes[1]
    if any(size is None for size in sizes):
        return None, note
    units = [si_factor(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "ZYX"]
    z, y, x = (float(f"{float(size or 0) * unit:.{DIGITS}g}") for size, unit in zip(sizes, units, strict=True))
    return (z, y, x), note
