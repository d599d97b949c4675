"""Signs that a file, or a folder of files, is not whole yet: a program still writes it, or its end is missing.

The first bytes are read, without the library of the format, which may crash on half a file. Only an HDF5 file that has
its end is read further, in a child: it may declare more frames than it holds.
"""

import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .hdf5_open import is_locked_by_writer
from .hdf5_outline import outline_of

_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_ENDINGS = (".h5", ".hdf5", ".nxs", ".cxi")
_ZIP_ENDINGS = (".npz", ".zip")
_TIFF_ENDINGS = (".tif", ".tiff")
_MOST_USER_BLOCK = 1 << 20
"""[bytes] Largest block of a user before the head of an HDF5 file that is looked for."""
_WRITING, _SWMR = 1, 4
"""Flags in the head of an HDF5 file that a program has open for writing, and for reading by others meanwhile."""
_TEMPORARY = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", ".swp", ".lock", "~")
"""Endings of the names under which programs write or copy."""


@dataclass(frozen=True)
class Unfinished:
    """Sign that a file is not whole.

    Args:
        reason: Sign, as a phrase after the name of the file.
        is_open: Whether a program has the file open, so that its end may take any time.
    """

    reason: str
    is_open: bool = False


def is_temporary(name: str) -> bool:
    """Whether a file has a name that a program gives it while it copies or writes, such as rsync's ``.x.h5.AbC12``."""
    return name.startswith(".") or name.lower().endswith(_TEMPORARY)


def find_unfinished(path: Path) -> Unfinished | None:
    """Seek a sign that a file, or one in a folder, is not whole; None where there is none.

    Args:
        path: File or folder whose size has not changed for a while.
    """
    try:
        if not path.is_dir():
            return _of_file(path)
        files = sorted(file for file in path.rglob("*") if file.is_file())
    except OSError as error:
        return Unfinished(f"cannot be read: {error.strerror}")
    if not files:
        return Unfinished("is empty")
    for file in files:
        if is_temporary(file.name) and not file.name.startswith(".z"):  # The metadata of zarr are hidden.
            return Unfinished(f"holds {file.name}, which is still being written")
        with suppress(OSError):
            if sign := _of_file(file):
                return Unfinished(f"holds {file.name}, which {sign.reason}", sign.is_open)
    return None


def is_growing(path: Path) -> bool:
    """Whether a file is HDF5 that a program writes while it lets others read (SWMR)."""
    try:
        with path.open("rb") as file:
            head = _read(file, 0, 128)
    except OSError:
        return False
    return head.startswith(_HDF5) and bool(_head_of_hdf5(head)[0] & _SWMR)


def _of_file(path: Path) -> Unfinished | None:
    name = path.name.lower()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return Unfinished("is empty")
        if name.endswith(_HDF5_ENDINGS):
            return _of_hdf5(file, size)
        if name.endswith(_ZIP_ENDINGS):
            return None if zipfile.is_zipfile(file) else Unfinished("lacks its end")
        if name.endswith(_TIFF_ENDINGS):
            return _of_tiff(file, size)
        return None


def is_whole_hdf5(path: Path) -> bool:
    """Whether a file is HDF5 by its name and its head, has its end, and no program has it open for writing."""
    if not path.name.lower().endswith(_HDF5_ENDINGS):
        return False
    try:
        with path.open("rb") as file:
            return _sign_in_head(file, os.fstat(file.fileno()).st_size) is None
    except OSError:
        return False


def _of_hdf5(file: BinaryIO, size: int) -> Unfinished | None:
    if sign := _sign_in_head(file, size):
        return sign
    if is_locked_by_writer(file.name):
        return Unfinished("is locked by the program that writes it", is_open=True)
    outline = outline_of(Path(file.name))
    if outline.frames < outline.declared:
        return Unfinished(f"has {outline.frames} of {outline.declared} frames")
    return None


def _sign_in_head(file: BinaryIO, size: int) -> Unfinished | None:
    place = next((place for place in _places(size) if _read(file, place, 8) == _HDF5), None)
    if place is None:
        return Unfinished("does not begin as an HDF5 file does")
    head = _read(file, place, 128)
    flags, end = _head_of_hdf5(head)
    if flags & (_WRITING | _SWMR):
        return Unfinished("is open for writing by another program", is_open=True)
    if end is None or end > size:
        return Unfinished("lacks its end")
    return None


def _head_of_hdf5(head: bytes) -> tuple[int, int | None]:
    """Flags of an HDF5 file, and the address of its end; None where the head is torn."""
    if len(head) < 48:
        return 0, None
    version = head[8]
    if version < 2:
        width, first = head[13], 24 if version == 0 else 28
        return 0, _address(head, first, width, 2)
    return (head[11] if version >= 3 else 0), _address(head, 12, head[9], 2)


def _address(head: bytes, first: int, width: int, number: int) -> int | None:
    """Read an address of a list in the head; None beyond its end."""
    start = first + number * width
    part = head[start : start + width]
    return int.from_bytes(part, "little") if len(part) == width and width else None


def _places(size: int) -> Iterator[int]:
    """Iterate over the places at which the head of an HDF5 file may lie."""
    place = 0
    while place < min(size, _MOST_USER_BLOCK):
        yield place
        place = max(512, 2 * place)


def _of_tiff(file: BinaryIO, size: int) -> Unfinished | None:
    head = _read(file, 0, 16)
    order = {b"II": "little", b"MM": "big"}.get(head[:2])
    if order is None or len(head) < 8:
        return Unfinished("does not begin as a TIFF file does")
    is_big = head[2:4] in (b"+\0", b"\0+")
    place = int.from_bytes(head[8:16] if is_big else head[4:8], "little" if order == "little" else "big")
    return None if 0 < place < size else Unfinished("lacks its directory of images")


def _read(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)
