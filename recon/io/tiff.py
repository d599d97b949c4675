"""TIFF files: opening, metadata of OME and ImageJ, and the order of file names."""

import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..config.units import conversion_factor
from ..sampled import Point3
from .metadata import KEY, UNKNOWN_SPACING

SIGNIFICANT_DIGITS = 12
"""Significant digits of a physical size: as many as survive the division by a micrometre."""


@dataclass(frozen=True)
class TiffMetadata:
    """Metadata of a TIFF.

    Args:
        size: [m] Distance between samples (z, y, x); NaN where it is absent or its unit is unknown.
        annotation: JSON of our own annotation; empty in files of other programs.
        sections: Number of sections along z; 0 if unknown.
        name: Name of the image, such as that of the stage's position.
        channels: Names of the channels.
        plane_z: [m] Position of the stage for each section of the first channel and time; empty if unknown.
    """

    size: Point3 = UNKNOWN_SPACING
    annotation: str = ""
    sections: int = 0
    name: str = ""
    channels: tuple[str, ...] = ()
    plane_z: tuple[float, ...] = ()

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


def parse_ome(xml: str | None) -> TiffMetadata:
    """Parse the metadata of the first image in OME-XML.

    Args:
        xml: The XML; None or invalid XML gives unknown sizes.
    """
    return next(iter(parse_ome_images(xml)), TiffMetadata())


def parse_ome_images(xml: str | None) -> list[TiffMetadata]:
    """Parse the metadata of each image in OME-XML.

    Sizes are in micrometres where no unit is named, as the format has it.

    Args:
        xml: The XML; None or invalid XML gives no images.
    """
    try:
        root = ElementTree.fromstring(xml or "")
    except ElementTree.ParseError:
        return []
    annotation = next((e.text or "" for e in _elements(root, "M") if e.get("K") == KEY), "")
    images = [_parse_image(image, annotation) for image in _elements(root, "Image")]
    return images or [TiffMetadata(annotation=annotation)]


def _elements(parent: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of a tag below another, whatever their namespace."""
    return (element for element in parent.iter() if element.tag.rpartition("}")[2] == tag)


def _parse_image(image: ElementTree.Element, annotation: str) -> TiffMetadata:
    name = image.get("Name", "")
    pixels = next(_elements(image, "Pixels"), None)
    if pixels is None:
        return TiffMetadata(annotation=annotation, name=name)
    z, y, x = (_physical_size(pixels, axis) for axis in "ZYX")
    sections = pixels.get("SizeZ", "0")
    channels = tuple(channel.get("Name", "") for channel in _elements(pixels, "Channel"))
    count = int(sections) if sections.isdigit() else 0
    return TiffMetadata((z, y, x), annotation, count, name, channels, _plane_positions(pixels, count))


def _plane_positions(pixels: ElementTree.Element, count: int) -> tuple[float, ...]:
    """Return the stage's z [m] at each section of the first channel and time; nothing if one is unknown."""
    positions: dict[str, float] = {}
    for plane in _elements(pixels, "Plane"):
        if plane.get("TheC", "0") == "0" and plane.get("TheT", "0") == "0":
            try:
                factor = conversion_factor(plane.get("PositionZUnit", "µm"), "m")
                positions[plane.get("TheZ", "0")] = float(plane.get("PositionZ", "nan")) * factor
            except ValueError:
                return ()
    ordered = tuple(positions.get(str(i), math.nan) for i in range(count))
    return ordered if all(map(math.isfinite, ordered)) else ()


def _physical_size(pixels: ElementTree.Element, axis: str) -> float:
    """Return the physical size along an axis [m]; NaN if it is absent or its unit is unknown."""
    try:
        size = float(pixels.attrib[f"PhysicalSize{axis}"])
        metres = size * conversion_factor(pixels.get(f"PhysicalSize{axis}Unit", "µm"), "m")
    except (KeyError, ValueError):
        return math.nan
    return float(f"{metres:.{SIGNIFICANT_DIGITS}g}")


def read_metadata(tiff: Any) -> TiffMetadata:
    """Read the metadata of an open TIFF: those in its OME-XML, else the calibration by ImageJ."""
    metadata = parse_ome(tiff.ome_metadata)
    if metadata.has_pixel_size or not tiff.pages:
        return metadata
    return replace(metadata, size=_imagej_size(tiff))


def _imagej_size(tiff: Any) -> Point3:
    """Return the distance between samples (z, y, x) [m] of a calibrated TIFF, NaN where it is absent.

    ImageJ writes pixels per unit into the resolution tags; the distance of slices and the unit into its description.
    """
    calibration = tiff.imagej_metadata or {}
    unit = str(calibration.get("unit", "")).replace("\\u00B5", "µ")
    try:
        factor = conversion_factor(unit, "m")
        z = float(calibration.get("spacing", math.nan)) * factor
    except ValueError:
        return UNKNOWN_SPACING
    tags = tiff.pages[0].tags
    resolutions = [tags[name].value if name in tags else (0, 0) for name in ("YResolution", "XResolution")]
    if not all(pixels > 0 and per > 0 for pixels, per in resolutions):
        return UNKNOWN_SPACING
    y, x = (per / pixels * factor for pixels, per in resolutions)
    return z if z > 0 else math.nan, y, x


@contextmanager
def open_tiff(source: Path | BytesIO) -> Iterator[Any]:
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
