"""TIFF: multi-page and OME stacks, and folders of single images.

The images stand at ``/measurement/images``, and the pixel size of an OME-TIFF or ImageJ stack at
``/instrument/pixel_size``, where our own files have them.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..config.units import is_number
from ..errors import DataError, Diagnostic
from .image_folders import is_sections
from .lazy_arrays import IMAGES, PIXEL_SIZE, Index, LazyArray, LazyArrays, take
from .library_logs import silence

_AGAIN = "copy or acquire it again"
_IMAGES = (".tif", ".tiff")
_TABLES = (".csv", ".txt", ".npy")
_IMAGEJ_UNITS = {"micron": "um", "microns": "um", "\\u00B5m": "um", "µm": "um", "um": "um", "nm": "nm", "mm": "mm"}


@contextmanager
def open_stack(path: Path) -> Iterator[LazyArrays]:
    """Open a TIFF of one or several pages, or an OME-TIFF.

    Raises:
        DataError: If the file is damaged.
    """
    import tifffile

    with silence("tifffile"), _damage_of(path), tifffile.TiffFile(path) as tiff:
        if not tiff.series:
            raise DataError(Diagnostic(str(path), "the TIFF holds no image", _AGAIN))
        series = tiff.series[0]
        shape = tuple(n for n in series.shape if n > 1 or len(series.shape) <= 3)

        @cache
        def stack() -> np.ndarray:
            with _damage_of(path):
                return np.asarray(series.asarray()).reshape(shape)

        facts = {"axes": series.axes, "pages": len(tiff.pages)}
        leaves = {IMAGES: LazyArray(shape, series.dtype, lambda index: take(stack(), index), facts)}
        pixel = _ome_pixel(tiff.ome_metadata) or _imagej_pixel(tiff)
        if pixel is not None:
            size, unit = pixel
            leaves[PIXEL_SIZE] = LazyArray.of(np.array(size), {"units": unit})
        form = "OME-TIFF" if tiff.is_ome else "TIFF"
        yield LazyArrays(path, form, leaves)


def open_folder(folder: Path, pattern: str = "") -> "Folder":
    """Open a folder of images, one view each, in the order of the numbers in their names.

    Args:
        folder: The folder.
        pattern: Which files are the images (``image_*.tif``); every TIFF, if empty.

    Raises:
        DataError: If no image is there.
    """
    if not folder.is_dir():
        raise DataError(Diagnostic(str(folder), "there is no such folder", "check the name"))
    try:
        files = sorted((entry for entry in folder.iterdir() if entry.is_file()), key=_natural)
    except OSError as error:
        raise DataError(Diagnostic(str(folder), f"cannot be read: {error.strerror}")) from error
    tree = Folder(folder, tuple(f.name for f in files), pattern)
    if tree.leaf(IMAGES) is None:
        wanted = f"no file matches {pattern!r}" if pattern else "the folder holds no TIFF"
        shown = ", ".join(tree.files[:4]) or "no file"
        remedy = "name a folder of TIFFs, or a pattern"
        if is_sections(folder):
            shown, remedy = "image/ and mask/ of cells' sections", "say that they are: --kind shape, or a config of it"
        raise DataError(Diagnostic(str(folder), f"{wanted}; it holds {shown}", remedy))
    return tree


@dataclass(frozen=True)
class Folder:
    """A folder whose files are arrays.

    A path may be a pattern, ``/image_*.tif``: the stack of all files that match. Tables (``/leds.csv``, ``.txt``,
    ``.npy``) are arrays too.
    """

    path: Path
    files: tuple[str, ...]
    pattern: str = ""
    form: str = "folder"

    def names(self) -> list[str]:
        """The stack of images, and every file that is an array by itself."""
        single = [f"/{name}" for name in self.files if name.lower().endswith(_IMAGES + _TABLES)]
        return [IMAGES, *single]

    def leaf(self, name: str) -> LazyArray | None:
        """One file, or a stack of those that match a pattern."""
        if name == IMAGES:
            return self._stack([f for f in self.files if self._is_image(f)])
        if name[1:] in self.files:
            return _single(self.path / name[1:])
        return self._stack([f for f in self.files if fnmatch(f, name[1:])])

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """Nothing is known of a folder."""
        return {} if name == "/" or self.leaf(name) is not None else None

    def _is_image(self, name: str) -> bool:
        return fnmatch(name, self.pattern) if self.pattern else name.lower().endswith(_IMAGES)

    def _stack(self, files: list[str]) -> LazyArray | None:
        if not files:
            return None
        first = _single(self.path / files[0])

        def fetch(index: tuple[Index, ...]) -> np.ndarray:
            wanted = np.arange(len(files))[index[0]]
            return np.stack([take(self._same_shape(files[i], first.shape), index[1:]) for i in wanted])

        return LazyArray((len(files), *first.shape), first.dtype, fetch)

    def _same_shape(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        image = _single(self.path / name).read()
        if image.shape != shape:
            message = f"the image has the shape {image.shape}; the first of the folder has {shape}"
            raise DataError(
                Diagnostic(str(self.path / name), message, "name the images that belong together by a pattern")
            )
        return image


def _single(path: Path) -> LazyArray:
    """Read one file of a folder."""
    ending = path.suffix.lower()
    if ending in _TABLES:
        return LazyArray.of(_table(path))
    with open_stack(path) as stack:
        return LazyArray.of(stack.leaves[IMAGES].read())


def _table(path: Path) -> np.ndarray:
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [re.split(r"[,;\s]+", line.strip()) for line in lines if line.strip() and line.lstrip()[0] not in "#%"]
        if rows and not is_number(rows[0][0]):  # A line of column names.
            rows = rows[1:]
        return np.squeeze(np.array(rows, float))
    except (OSError, ValueError) as error:
        raise DataError(Diagnostic(str(path), f"is no table of numbers: {error}")) from error


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order names by the numbers in them: image_2 before image_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name) if part]


def _ome_pixel(xml: str | None) -> tuple[tuple[float, float], str] | None:
    """Pixel size (y, x) and its unit from OME's metadata; micrometres where it names no unit, as OME has it."""
    if not xml:
        return None
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return None
    pixels = next((node for node in root.iter() if node.tag.endswith("}Pixels") or node.tag == "Pixels"), None)
    if pixels is None or "PhysicalSizeX" not in pixels.attrib or "PhysicalSizeY" not in pixels.attrib:
        return None
    units = {pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "YX"}
    if len(units) != 1:
        return None
    return (float(pixels.attrib["PhysicalSizeY"]), float(pixels.attrib["PhysicalSizeX"])), units.pop()


def _imagej_pixel(tiff: Any) -> tuple[tuple[float, float], str] | None:
    """Pixel size (y, x) of an ImageJ stack, from the resolution tags and ImageJ's unit."""
    unit = _IMAGEJ_UNITS.get(str((tiff.imagej_metadata or {}).get("unit", "")))
    tags = tiff.pages[0].tags
    if unit is None or "YResolution" not in tags or "XResolution" not in tags:
        return None
    resolution = [tags[name].value for name in ("YResolution", "XResolution")]
    if not all(pixels > 0 and per > 0 for pixels, per in resolution):
        return None
    y, x = (per / pixels for pixels, per in resolution)
    return (y, x), unit


@contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    """Say in one line that a TIFF is damaged, whatever its reader raises."""
    import struct

    import tifffile

    try:
        yield
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, KeyError, struct.error, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(Diagnostic(str(path), f"the TIFF is damaged: {reason}", _AGAIN)) from error
