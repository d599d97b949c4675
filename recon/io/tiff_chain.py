"""Chain of the pages of a TIFF, checked before it is opened: tifffile follows one that closes on itself for ever.

A TIFF is a list of directories, one a page, each with the place of the next. A file that was cut off ends in a place
beyond its end; tifffile would take the pages before it for the whole file.
"""

import struct
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path

_MOST_TAGS = 4096
"""Largest number of entries of a directory; tifffile reads no more."""

_WIDTH, _HEIGHT, _SHORT, _LONG = 256, 257, 3, 4
"""Tags and types of a directory's entries."""


@dataclass(frozen=True)
class _ByteLayout:
    """Layout of the numbers of a file.

    Args:
        count: Format of the number of entries.
        offset: Format of a place in the file.
        entry: [bytes] Size of an entry.
    """

    count: struct.Struct
    offset: struct.Struct
    entry: int


def require_chain(source: Path | BytesIO) -> None:
    """Refuse a TIFF whose chain of pages is cyclic, or leads beyond its end.

    Args:
        source: The file; its position is kept.

    Raises:
        ValueError: If it is such a file.
    """
    if isinstance(source, BytesIO):
        position = source.tell()
        _follow(source, len(source.getbuffer()))
        source.seek(position)
    else:
        with source.open("rb") as file:
            _follow(file, source.stat().st_size)


def _follow(file: BytesIO | BufferedReader, size: int) -> None:
    layout, offset = _header(file)
    seen: set[int] = set()
    while offset:
        if offset in seen:
            raise ValueError(f"after page {len(seen)} of its chain an earlier one comes again")
        if offset + layout.count.size > size:
            raise ValueError(f"it is cut off: it says that more pages follow the {len(seen)} that it holds")
        seen.add(offset)
        file.seek(offset)
        (count,) = layout.count.unpack(file.read(layout.count.size))
        if not 0 < count <= _MOST_TAGS:
            raise ValueError(f"page {len(seen)} has {count} entries")
        end = offset + layout.count.size + count * layout.entry
        if end + layout.offset.size > size:
            raise ValueError(f"it is cut off within page {len(seen)}")
        if len(seen) == 1:
            _require_pixels(layout, file.read(count * layout.entry))
        file.seek(end)
        (offset,) = layout.offset.unpack(file.read(layout.offset.size))


def _require_pixels(layout: _ByteLayout, entries: bytes) -> None:
    """Refuse a page without width or height: its size is what others are divided by."""
    order = layout.count.format[0]
    for start in range(0, len(entries), layout.entry):
        tag, kind = struct.unpack_from(f"{order}HH", entries, start)
        if tag in (_WIDTH, _HEIGHT) and kind in (_SHORT, _LONG):
            value = struct.unpack_from(
                f"{order}{'H' if kind == _SHORT else 'I'}", entries, start + layout.entry - layout.offset.size
            )
            if value == (0,):
                raise ValueError(f"its first page has a {'width' if tag == _WIDTH else 'height'} of 0 pixels")


def _header(file: BytesIO | BufferedReader) -> tuple[_ByteLayout, int]:
    """Read the layout of the numbers, and the place of the first page."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 8 else 0
    if version == 42:
        layout = _ByteLayout(struct.Struct(f"{order}H"), struct.Struct(f"{order}I"), 12)
        return layout, layout.offset.unpack(head[4:8])[0]
    if version == 43 and len(head) == 16:
        layout = _ByteLayout(struct.Struct(f"{order}Q"), struct.Struct(f"{order}Q"), 20)
        return layout, layout.offset.unpack(head[8:16])[0]
    raise ValueError(f"it begins with {head[:8]!r}, as no TIFF does")
