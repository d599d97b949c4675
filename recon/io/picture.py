"""Pictures in PNG, JPEG and BMP files as arrays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic
from .colours import COLOURS, grey_where_equal, without_alpha
from .lazy_arrays import IMAGES, Index, LazyArray, LazyArrays, take

EXTENSIONS = (".png", ".jpg", ".jpeg", ".jpe", ".bmp")
_STARTS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP"}
_CHANNELS = {
    "RGB": COLOURS,
    "RGBA": (*COLOURS, "alpha"),
    "LA": ("grey", "alpha"),
    "P": (*COLOURS, "index"),
    "CMYK": ("cyan", "magenta", "yellow", "black"),
}
"""Channels of Pillow's modes; of a palette the colours, and the indices themselves."""
_LOSSY = "JPEG is lossy, and its numbers are often not proportional to the light: record TIFF or PNG for measurements"


def picture_form(head: bytes) -> str:
    """Name the format of a picture by the beginning of its file; empty for any other file."""
    return next((form for start, form in _STARTS.items() if head.startswith(start)), "")


@contextmanager
def open_picture(path: Path) -> Iterator[LazyArrays]:
    """Open a picture as arrays: its image (y, x), or (y, x, channel) where its colours differ.

    Raises:
        DataError: If it is damaged or of a type that holds no image.
    """
    form = picture_form(path.read_bytes()[:8])
    yield LazyArrays(path, form, {IMAGES: _picture(path, form)})


def _picture(path: Path, form: str) -> LazyArray:
    """Return the image of a picture, of which the header alone is read."""
    from PIL import Image

    with Image.open(path) as image:
        mode, (width, height) = image.mode, image.size
        frames, turn = getattr(image, "n_frames", 1) or 1, image.getexif().get(_ORIENTATION, 1)
        depth = _bit_depth(path) if form == "PNG" else 8
        palette = np.array(image.getpalette("RGB") or (), np.uint8).reshape(-1, 3) if mode == "P" else None
    channels = _CHANNELS.get(mode, ())
    if not channels and mode not in ("1", "L") and not mode.startswith("I"):
        raise DataError(Diagnostic(str(path), f"its numbers are of the type {mode!r}", "write it as grey or RGB"))
    remarks = [_LOSSY] if form == "JPEG" else []
    if frames > 1:
        remarks.append(f"only the first of its {frames} frames is used")
    if turn not in (0, 1):
        remarks.append("the orientation in its EXIF data is not applied")

    @cache
    def stored() -> np.ndarray:
        return _decode(path, form, mode, palette)

    shape = (height, width, *([len(channels)] if channels else []))
    dtype = np.dtype(np.uint16 if depth == 16 or mode.startswith("I") else np.uint8)
    axes, labels = ("y", "x", *(["channel"] if channels else [])), {"channel": channels} if channels else {}
    array = LazyArray(shape, dtype, _reader(stored, shape, path), {}, axes, labels, tuple(remarks))
    if channels[-1:] == ("alpha",):
        array = without_alpha(array)
    if mode == "P" and palette is not None and (palette == palette[:, :1]).all():
        return array.at(2, 0)
    return grey_where_equal(array, str(path)) if "channel" in array.axes else array


_ORIENTATION = 274
"""EXIF tag of the orientation of a picture; 1 is as stored."""


def _reader(stored: Callable[[], np.ndarray], shape: tuple[int, ...], path: Path) -> Callable[[Any], np.ndarray]:
    """Return the function that reads a part of a picture, whose decoded shape must be that of its header."""

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        values = stored()
        if values.shape != shape:
            message = f"the picture is {values.shape}, and its header says {shape}"
            raise DataError(Diagnostic(str(path), message, "copy or acquire it again"))
        return take(values, index)

    return fetch


def _decode(path: Path, form: str, mode: str, palette: np.ndarray | None) -> np.ndarray:
    """Decode a picture; PNG of 16 bits a colour would lose the lower 8 in Pillow."""
    from PIL import Image

    if form == "PNG" and mode not in ("P", "1"):
        import imagecodecs

        return np.asarray(imagecodecs.png_decode(path.read_bytes()))
    with Image.open(path) as image:
        values = np.asarray(image)
    if mode == "1":
        return values.astype(np.uint8)
    if palette is None:
        return values
    if int(values.max(initial=0)) >= len(palette):
        palette = np.concatenate([palette, np.zeros((256 - len(palette), 3), np.uint8)])
    return np.concatenate([palette[values], values[..., None]], axis=-1)


def _bit_depth(path: Path) -> int:
    """Bits of a sample of a PNG, from its header."""
    with path.open("rb") as stream:
        return stream.read(25)[24]
