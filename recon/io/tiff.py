"""TIFF files: opening, and metadata of OME and ImageJ."""

import logging
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..config.units import conversion_factor
from ..errors import DataError, Diagnostic
from ..sampled import Point3
from .guard import COPY_AGAIN
from .metadata import KEY, UNKNOWN_SPACING
from .ome_set import OmeSet, elements, is_ome_xml, metadata_elsewhere, open_companion
from .tiff_chain import require_chain
from .tiff_files import require_own_files

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
        hint: Reason why the size along an axis may be absent, for messages.
    """

    size: Point3 = UNKNOWN_SPACING
    annotation: str = ""
    sections: int = 0
    name: str = ""
    channels: tuple[str, ...] = ()
    plane_z: tuple[float, ...] = ()
    hint: str = ""

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
    annotation = next((e.text or "" for e in elements(root, "M") if e.get("K") == KEY), "")
    images = [_parse_image(image, annotation) for image in elements(root, "Image")]
    return images or [TiffMetadata(annotation=annotation)]


def _parse_image(image: ElementTree.Element, annotation: str) -> TiffMetadata:
    name = image.get("Name", "")
    pixels = next(elements(image, "Pixels"), None)
    if pixels is None:
        return TiffMetadata(annotation=annotation, name=name)
    z, y, x = (_physical_size(pixels, axis) for axis in "ZYX")
    sections = pixels.get("SizeZ", "0")
    channels = tuple(channel.get("Name", "") for channel in elements(pixels, "Channel"))
    count = int(sections) if sections.isdigit() else 0
    return TiffMetadata((z, y, x), annotation, count, name, channels, _plane_positions(pixels, count))


def _plane_positions(pixels: ElementTree.Element, count: int) -> tuple[float, ...]:
    """Return the stage's z [m] at each section of the first channel and time; nothing if one is unknown."""
    positions: dict[str, float] = {}
    for plane in elements(pixels, "Plane"):
        if plane.get("TheC", "0") == "0" and plane.get("TheT", "0") == "0":
            try:
                factor = conversion_factor(plane.get("PositionZUnit", "µm"), "m")
                positions[plane.get("TheZ", "0")] = float(plane.get("PositionZ", "nan")) * factor
            except ValueError:
                return ()
    ordered = tuple(positions.get(str(i), math.nan) for i in range(count))
    return ordered if all(map(math.isfinite, ordered)) else ()


def _physical_size(pixels: ElementTree.Element, axis: str) -> float:
    """Return the physical size along an axis [m]; NaN if it is absent, no length, or its unit is unknown."""
    try:
        size = float(pixels.attrib[f"PhysicalSize{axis}"])
        metres = size * _ome_factor(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    except (KeyError, ValueError):
        return math.nan
    return float(f"{metres:.{SIGNIFICANT_DIGITS}g}") if metres > 0 and math.isfinite(metres) else math.nan


_OME_UNITS = {
    **{f"{p}m": 10.0**n for p, n in zip("YZEPTGMkhd", (24, 21, 18, 15, 12, 9, 6, 3, 2, -1), strict=True)},
    **{"dam": 10.0, "fm": 1e-15, "am": 1e-18, "zm": 1e-21, "ym": 1e-24},
    **{"thou": 25.4e-6, "pt": 25.4e-3 / 72, "li": 25.4e-3 / 12, "in": 25.4e-3, "ft": 0.3048, "yd": 0.9144},
    **{"mi": 1609.344, "ua": 149597870700.0, "ly": 9460730472580800.0, "pc": 3.0856775814913673e16},
}
"""[m] Units of length of OME beside those of all formats; ``pixel`` and ``reference frame`` are none."""


def _ome_factor(unit: str) -> float:
    """Return the number of metres in a unit of OME.

    Raises:
        ValueError: If it is no length.
    """
    return _OME_UNITS[unit] if unit in _OME_UNITS else conversion_factor(unit, "m")


def read_metadata(tiff: Any) -> TiffMetadata:
    """Read the metadata of an open TIFF: those in its OME-XML, else the calibration by ImageJ."""
    metadata = parse_ome(tiff.ome_metadata)
    if tiff.is_ome or not tiff.pages:
        return metadata
    return replace(metadata, size=_imagej_size(tiff), hint=_imagej_hint(tiff))


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


def _imagej_hint(tiff: Any) -> str:
    """Return the length that an absent distance of slices may stand for: ImageJ does not write a 1."""
    calibration = tiff.imagej_metadata or {}
    return f" (ImageJ leaves it out where it is 1 {calibration['unit']})" if "unit" in calibration else ""


@contextmanager
def open_tiff(source: Path | BytesIO) -> Iterator[Any]:
    """Open a TIFF with tifffile, whose log is silenced: what matters of it is raised as an error."""
    with open_tiff_and_log(source) as (tiff, _):
        yield tiff


@contextmanager
def open_tiff_and_log(source: Path | BytesIO) -> Iterator[tuple[Any, list[str]]]:
    """Open a TIFF with tifffile; yields it and the messages of tifffile's log, to which reading may add more."""
    logger, log = logging.getLogger("tifffile"), _Log()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(log)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        with _open_set(source) as tiff:
            _require_plausible(tiff)
            yield tiff, log.messages
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)
        logger.propagate = propagate


@contextmanager
def _open_set(source: Path | BytesIO) -> Iterator[Any]:
    """Open a TIFF, or the set to which it or a companion belongs."""
    import tifffile

    with ExitStack() as stack:
        if isinstance(source, Path) and is_ome_xml(_head(source)):
            elsewhere: OmeSet | None = open_companion(source)
        else:
            require_chain(source)
            tiff = stack.enter_context(tifffile.TiffFile(source))
            elsewhere = metadata_elsewhere(tiff, source) if isinstance(source, Path) else None
        if elsewhere is not None:
            require_chain(elsewhere.path)
            tiff = stack.enter_context(tifffile.TiffFile(elsewhere.path, omexml=elsewhere.xml))
        if isinstance(source, Path):
            require_own_files(tiff, source if elsewhere is None else elsewhere.path)
        yield tiff


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(1024)


def _require_plausible(tiff: Any) -> None:
    """Refuse a TIFF whose first page declares no pixels, or more uncompressed ones than the file can hold.

    Raises:
        ValueError: If it does.
    """
    page = tiff.pages[0] if len(tiff.pages) else None
    if page is None:
        return
    declared = f"page 1 is {page.imagelength} x {page.imagewidth} pixels"
    if 0 in (page.imagelength, page.imagewidth):
        raise ValueError(declared)
    size = tiff.filehandle.size
    if page.compression == 1 and any(page.databytecounts) and page.nbytes > size:
        raise ValueError(f"{declared} ({page.nbytes} bytes), and the file holds {size} bytes")


class _Log(logging.Handler):
    """Handler that collects the messages of a log."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Append the message."""
        self.messages.append(" ".join(record.getMessage().split()))


_TORN = re.compile(r"invalid page offset|corrupted|failed to reshape|TiffTag 270 .*invalid value offset")
"""Messages of tifffile about a file whose pages or description are cut off; it then shows the pages that are left."""


def require_whole(messages: Sequence[str], path: Path) -> None:
    """Refuse a TIFF of which tifffile read a part only.

    Args:
        messages: Messages of tifffile's log.
        path: The file.

    Raises:
        DataError: If one of them tells of pages that are cut off.
    """
    torn = next((message for message in messages if _TORN.search(message)), None)
    if torn is not None:
        reason = re.sub(r"^<[^>]*> ?", "", torn)
        raise DataError(Diagnostic(str(path), f"the TIFF is cut off or damaged: {reason}", COPY_AGAIN))
