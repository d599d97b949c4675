"""TIFF: stacks of images as named arrays, and volumes as OME-TIFF.

The images stand at ``/measurement/images``, and the pixel size of an OME-TIFF or ImageJ stack at
``/instrument/pixel_size``: the paths of our own files.

A volume is float32 with the axes ``CZYX``, one channel for each quantity, and physical sizes in µm. A map annotation,
which other programs ignore, holds the rest of its metadata: units and the place of the first sample.
"""

import logging
import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..config.units import conversion_factor, si_factor
from ..errors import DataError, Diagnostic
from ..sampled import Point3
from ..volume import Volume
from .atomic import open_for_arrays
from .lazy_arrays import IMAGES, PIXEL_SIZE, LazyArray, LazyArrays, take
from .metadata import KEY, UNKNOWN_SPACING, assemble, metadata_json, placeholder, positive_spacing, require_spacing

_AGAIN = "copy or acquire it again"
_MICROMETRE = si_factor("um")
_DIGITS = 12
"""Significant digits of a physical size: as many as survive the division by a micrometre."""


@dataclass(frozen=True)
class OmeMetadata:
    """Metadata in the OME-XML of a TIFF.

    Args:
        size: [m] Distance between samples (z, y, x); NaN where it is absent or its unit is unknown.
        annotation: JSON of our own annotation; empty in files of other programs.
        sections: Number of sections along z; 0 if unknown.
    """

    size: Point3 = UNKNOWN_SPACING
    annotation: str = ""
    sections: int = 0

    @property
    def has_pixel_size(self) -> bool:
        """Whether the sizes along y and x are known."""
        return all(map(math.isfinite, self.size[1:]))

    @property
    def voxel_size(self) -> Point3 | None:
        """[m] Distance between samples (z, y, x), with that along y in place of an unknown one of a single section."""
        z, y, x = self.size
        if self.sections == 1 and math.isnan(z):
            z = y
        return (z, y, x) if all(map(math.isfinite, (z, y, x))) else None


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key that orders names by the numbers in them: ``image_2`` before ``image_10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def read_image(source: Path | BytesIO) -> tuple[np.ndarray, OmeMetadata]:
    """Read all pages of a TIFF, and its OME metadata.

    Raises:
        ValueError: If it holds no image.
    """
    with _open(source) as tiff:
        if not tiff.pages:
            raise ValueError("it holds no image")
        return np.asarray(tiff.asarray()), parse_ome(tiff.ome_metadata)


def parse_ome(xml: str | None) -> OmeMetadata:
    """Parse OME-XML; sizes are in micrometres where no unit is named, as the format has it.

    Args:
        xml: The XML; None or invalid XML gives unknown sizes.
    """
    try:
        root = ElementTree.fromstring(xml or "")
    except ElementTree.ParseError:
        return OmeMetadata()
    elements = [(element.tag.rpartition("}")[2], element) for element in root.iter()]
    annotation = next((e.text or "" for tag, e in elements if tag == "M" and e.get("K") == KEY), "")
    pixels = next((e for tag, e in elements if tag == "Pixels"), None)
    if pixels is None:
        return OmeMetadata(annotation=annotation)
    z, y, x = (_physical_size(pixels, axis) for axis in "ZYX")
    sections = pixels.get("SizeZ", "0")
    return OmeMetadata((z, y, x), annotation, int(sections) if sections.isdigit() else 0)


def _physical_size(pixels: ElementTree.Element, axis: str) -> float:
    """Return the physical size along an axis [m]; NaN if it is absent or its unit is unknown."""
    try:
        size = float(pixels.attrib[f"PhysicalSize{axis}"])
        metres = size * conversion_factor(pixels.get(f"PhysicalSize{axis}Unit", "µm"), "m")
    except (KeyError, ValueError):
        return math.nan
    return float(f"{metres:.{_DIGITS}g}")


@contextmanager
def _open(source: Path | BytesIO) -> Iterator[Any]:
    """Open a TIFF with tifffile, whose log is silenced: what matters of it is raised as an error."""
    import tifffile

    logger = logging.getLogger("tifffile")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with tifffile.TiffFile(source) as tiff:
            yield tiff
    finally:
        logger.setLevel(level)


@contextmanager
def open_stack(path: Path) -> Iterator[LazyArrays]:
    """Open a TIFF of one or several pages, or an OME-TIFF, as arrays.

    Raises:
        DataError: If the file is damaged.
    """
    with _damage_reported(path), _open(path) as tiff:
        if not tiff.series:
            raise DataError(Diagnostic(str(path), "the TIFF holds no image", _AGAIN))
        series = tiff.series[0]
        shape = tuple(n for n in series.shape if n > 1 or len(series.shape) <= 3)

        @cache
        def stack() -> np.ndarray:
            with _damage_reported(path):
                return np.asarray(series.asarray()).reshape(shape)

        attributes = {"axes": series.axes, "pages": len(tiff.pages)}
        arrays = {IMAGES: LazyArray(shape, series.dtype, lambda index: take(stack(), index), attributes)}
        metadata = parse_ome(tiff.ome_metadata)
        pixel_size = metadata.size[1:] if metadata.has_pixel_size else _imagej_pixel_size(tiff)
        if pixel_size is not None:
            arrays[PIXEL_SIZE] = LazyArray.of(np.array(pixel_size), {"units": "m"})
        yield LazyArrays(path, "OME-TIFF" if tiff.is_ome else "TIFF", arrays)


def _imagej_pixel_size(tiff: Any) -> tuple[float, float] | None:
    """Return the pixel size (y, x) [m] of an ImageJ stack, from its resolution tags and unit."""
    unit = str((tiff.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
    tags = tiff.pages[0].tags
    if "YResolution" not in tags or "XResolution" not in tags:
        return None
    resolution = [tags[name].value for name in ("YResolution", "XResolution")]
    try:
        factor = conversion_factor(unit, "m")
    except ValueError:
        return None
    if not all(pixels > 0 and per > 0 for pixels, per in resolution):
        return None
    y, x = (per / pixels * factor for pixels, per in resolution)
    return y, x


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Report in one line that a TIFF is damaged, whatever its reader raises."""
    try:
        yield
    except (OSError, ValueError, IndexError, KeyError, struct.error, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(Diagnostic(str(path), f"the TIFF is damaged: {reason}", _AGAIN)) from error


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
        metadata[f"PhysicalSize{axis}"] = float(f"{size / _MICROMETRE:.{_DIGITS}g}")
        metadata[f"PhysicalSize{axis}Unit"] = "µm"
    stack = channels[0][None] if len(channels) == 1 else np.stack(channels)
    with open_for_arrays(path) as file:
        tifffile.imwrite(file, stack, ome=True, photometric="minisblack", metadata=metadata)


def read(path: Path, spacing: Point3 | None, kind: str) -> Volume:
    """Read a volume: an OME-TIFF, or a plain stack of pages whose spacing is given."""
    with _open(path) as tiff:
        series = tiff.series[0]
        array, axes, metadata = series.asarray(), series.axes, parse_ome(tiff.ome_metadata)
    channels = _channels(array, axes, path)
    return assemble(channels, require_spacing(path, metadata.voxel_size or spacing), metadata.annotation, kind)


def outline(path: Path) -> Volume | None:
    """Read the metadata of a volume; None for a file without our own annotation, which may be a stack of images."""
    with _open(path) as tiff:
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
