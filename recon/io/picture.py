"""Pictures in PNG, JPEG and BMP files as arrays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic
from .colours import COLOURS, grey_where_equal, without_alpha
from .guard import COPY_AGAIN
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
_ORIENTATION = 274
"""EXIF tag of the orientation of a picture; 1 is as stored."""
_BIT_DEPTH = 24
"""Place of the bits of a sample in the header of a PNG."""
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
    array = picture_array(path, str(path))
    if array.labels.get("channel", ())[-1:] == ("alpha",):
        array = without_alpha(array)
    array = grey_where_equal(array, str(path)) if "channel" in array.axes else array
    yield LazyArrays(path, picture_form(_head(path)), {IMAGES: array})


def picture_array(source: Path | bytes, place: str) -> LazyArray:
    """Return the image of a picture, of which the header alone is read, with every channel that it stores.

    Of a palette, the channels are the colours and the index, unless all its colours are grey.

    Args:
        source: The file, or its contents.
        place: Place of the file, for messages.

    Raises:
        DataError: If it is of a type that holds no image.
        ValueError: If it is damaged; Pillow raises other exceptions as well.
    """
    from PIL import Image

    head = _head(source)
    form = picture_form(head)
    with Image.open(_stream(source)) as image:
        mode, (width, height) = image.mode, image.size
        frames, turn = getattr(image, "n_frames", 1) or 1, image.getexif().get(_ORIENTATION, 1)
        palette = np.array(image.getpalette("RGB") or (), np.uint8).reshape(-1, 3) if mode == "P" else None
    channels = _CHANNELS.get(mode, ())
    if not channels and mode not in ("1", "L") and not mode.startswith("I"):
        raise DataError(Diagnostic(place, f"its numbers are of the type {mode!r}", "write it as grey or RGB"))
    remarks = [_LOSSY] if form == "JPEG" else []
    if frames > 1:
        remarks.append(f"only the first of its {frames} frames is used")
    if turn not in (0, 1):
        remarks.append("the orientation in its EXIF data is not applied")

    @cache
    def stored() -> np.ndarray:
        return _decode(source, form, mode, palette)

    shape = (height, width, *([len(channels)] if channels else []))
    depth = head[_BIT_DEPTH] if form == "PNG" else 8
    dtype = np.dtype(np.uint16 if depth == 16 or mode.startswith("I") else np.uint8)
    axes, labels = ("y", "x", *(["channel"] if channels else [])), {"channel": channels} if channels else {}
    array = LazyArray(shape, dtype, _reader(stored, shape, place), {}, axes, labels, tuple(remarks))
    return array.at(2, 0) if palette is not None and (palette == palette[:, :1]).all() else array


def _reader(stored: Callable[[], np.ndarray], shape: tuple[int, ...], place: str) -> Callable[[Any], np.ndarray]:
    """Return the function that reads a part of a picture, whose decoded shape must be that of its header."""

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        values = stored()
        if values.shape != shape:
            message = f"the picture is {values.shape}, and its header says {shape}"
            raise DataError(Diagnostic(place, message, COPY_AGAIN))
        return take(values, index)

    return fetch


def _decode(source: Path | bytes, form: str, mode: str, palette: np.ndarray | None) -> np.ndarray:
    """Decode a picture; PNG of 16 bits a colour would lose the lower 8 in Pillow."""
    from PIL import Image

    if form == "PNG" and mode not in ("P", "1"):
        import imagecodecs

        return np.asarray(imagecodecs.png_decode(source if isinstance(source, bytes) else source.read_bytes()))
    with Image.open(_stream(source)) as image:
        values = np.asarray(image)
    if mode == "1":
        return values.astype(np.uint8)
    if palette is None:
        return values
    if int(values.max(initial=0)) >= len(palette):
        palette = np.concatenate([palette, np.zeros((256 - len(palette), 3), np.uint8)])
    return np.concatenate([palette[values], values[..., None]], axis=-1)


def _stream(source: Path | bytes) -> Path | BytesIO:
    return BytesIO(source) if isinstance(source, bytes) else source


def _head(source: Path | bytes) -> bytes:
    """Read the first bytes, up to the bit depth of a PNG."""
    if isinstance(source, bytes):
        return source[: _BIT_DEPTH + 1]
    with source.open("rb") as stream:
        return stream.read(_BIT_DEPTH + 1)
