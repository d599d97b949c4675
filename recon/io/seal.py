"""Seal of our own HDF5 files: a checksum behind their end, by which damage is seen before HDF5 reads anything.

HDF5 ignores what follows the end that it knows, and cuts it off when it changes the file: a file that someone has
added an attribute to has no seal, and is read like any other. Chunks with a checksum of their own (the filter
fletcher32) are left out of the seal, so that it is read quickly however large the file is.
"""

import json
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

_MAGIC = b"UNFLSEAL"
_MOST_WRONG = 3
"""Bytes of a seal's last ones that may differ: it is then a damaged seal, not a file without one."""
_TAIL = struct.Struct(">Q8s")
_LARGEST = 1 << 24
"""[bytes] Size from which on a text is taken for damaged."""
_BLOCK = 1 << 20
_SMALL = 1 << 20
"""[bytes] Size of a file below which all of it is sealed."""


def write_seal(path: Path) -> None:
    """Append a seal to a finished HDF5 file.

    Raises:
        OSError: If the disk refuses.
    """
    length = path.stat().st_size
    left_out = _checked_chunks(path) if length > _SMALL else []
    with path.open("r+b") as file:
        text = _seal(file, length, left_out)
        if len(text) >= _LARGEST:  # Too many chunks lie apart.
            text = _seal(file, length, [])
        file.seek(length)
        file.write(text + _TAIL.pack(len(text), _MAGIC))


def _seal(file: BinaryIO, length: int, left_out: list[tuple[int, int]]) -> bytes:
    """Compose the seal of a file without some parts."""
    content = {"length": length, "left_out": left_out, "sha256": _checksum(file, length, left_out)}
    return json.dumps(content).encode()


def is_intact(path: str | Path) -> bool | None:
    """Whether a file is as unflat wrote it; None for a file without a seal."""
    with open(path, "rb") as file:  # noqa: PTH123 - every file that is opened passes here
        size = os.fstat(file.fileno()).st_size
        if size < _TAIL.size:
            return None
        file.seek(size - _TAIL.size)
        count, magic = _TAIL.unpack(file.read(_TAIL.size))
        if (wrong := sum(a != b for a, b in zip(magic, _MAGIC, strict=True))) > _MOST_WRONG:
            return None
        if wrong:
            return False
        length = size - _TAIL.size - count
        with suppress(ValueError, TypeError, KeyError, OverflowError, RecursionError):
            if 0 < count < _LARGEST and length > 0:
                file.seek(length)
                content = json.loads(file.read(count))
                left_out = [(int(first), int(n)) for first, n in content["left_out"]]
                return bool(content["length"] == length and content["sha256"] == _checksum(file, length, left_out))
    return False


def _checked_chunks(path: Path) -> list[tuple[int, int]]:
    """Return the places and sizes of all chunks with a checksum of their own, joined where they are neighbours."""
    import h5py

    chunks: list[tuple[int, int]] = []

    def collect(_name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.fletcher32 and hasattr(node.id, "chunk_iter"):
            node.id.chunk_iter(lambda chunk: chunks.append((int(chunk.byte_offset), int(chunk.size))))

    with h5py.File(path, "r") as file:
        file.visititems(collect)
    return _joined(chunks)


def _joined(chunks: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for first, count in sorted(chunks):
        if runs and sum(runs[-1]) == first:
            runs[-1] = (runs[-1][0], runs[-1][1] + count)
        else:
            runs.append((first, count))
    return runs


def _checksum(file: BinaryIO, length: int, left_out: Iterable[tuple[int, int]]) -> str:
    """Return the checksum of a file up to a length, without some parts."""
    total, position = sha256(), 0
    for first, count in (*left_out, (length, 0)):
        file.seek(position)
        rest = first - position
        while rest > 0:
            part = file.read(min(rest, _BLOCK))
            if not part:
                break
            total.update(part)
            rest -= len(part)
        position = max(position, first + count)
    return total.hexdigest()
