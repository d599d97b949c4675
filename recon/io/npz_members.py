"""Members of NPZ archives, listed by their headers: what they declare is checked before anything is read.

A zip archive of a few kilobytes can declare terabytes. The size in its directory, that in the header of the array, and
what its compression can hold must agree.
"""

import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ..errors import DataError, Diagnostic
from ..memory import require_memory
from .guard import COPY_AGAIN

_RATIO = 1100
"""Largest ratio of deflate; other compressions of zip archives are not NumPy's."""
_LARGEST_HEADER = 1 << 16
_REMEDY = "write the part that is needed to a file of its own"


@dataclass(frozen=True)
class NpzMember:
    """Array of an archive.

    Args:
        name: Name of the array.
        shape: Size of each axis.
        dtype: Type of the numbers.
        read: Function that reads it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], np.ndarray]


def list_members(archive: zipfile.ZipFile, path: Path) -> list[NpzMember]:
    """List the arrays of an archive; Python objects and other files are left out.

    Args:
        archive: The open archive.
        path: Path of the archive, for messages.

    Raises:
        DataError: If it is encrypted or damaged, or two members have one name.
    """
    twice = [name for name, count in Counter(archive.namelist()).items() if count > 1]
    if twice:
        raise _fault(path, twice[0], "stands in the archive twice")
    return [member for info in archive.infolist() if (member := _member(archive, info, path)) is not None]


@contextmanager
def load_archive(path: Path) -> Iterator[Any]:
    """Open an archive with NumPy, after a look at what it declares; yields its arrays by name, read when asked for.

    Raises:
        DataError: If it is damaged.
        DeviceError: If its arrays do not fit into memory together.
    """
    with zipfile.ZipFile(path) as archive:
        members = list_members(archive, path)
    require_memory(sum(_size(member.shape, member.dtype) for member in members), str(path), _REMEDY)
    # NumPy leaves a file that it opened itself open, if the archive turns out to be truncated.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        yield arrays


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> NpzMember | None:
    name = info.filename.removesuffix(".npy")
    if not info.filename.endswith(".npy"):
        return None
    if info.flag_bits & 1:
        raise _fault(path, name, "is encrypted", "write the archive without a password")
    if info.file_size > _RATIO * info.compress_size + _LARGEST_HEADER:
        raise _fault(path, name, f"declares {info.file_size} bytes in {info.compress_size}, which cannot be")
    with archive.open(info) as stream:
        version = npy.read_magic(stream)
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = reader(stream)
        head = stream.tell()
    if dtype.hasobject:
        return None
    if head + _size(shape, dtype) != info.file_size or any(n < 0 for n in shape):
        raise _fault(path, name, f"declares {dtype} {shape} in {info.file_size - head} bytes")

    @cache
    def read() -> np.ndarray:
        require_memory(_size(shape, dtype), f"{path}:/{name}", _REMEDY)
        with zipfile.ZipFile(path) as again, again.open(info.filename) as stream:
            return np.asarray(npy.read_array(stream, allow_pickle=False))

    return NpzMember(name, shape, dtype, read)


def _size(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    count = dtype.itemsize
    for n in shape:
        count *= n
    return count


def _fault(path: Path, name: str, message: str, remedy: str = COPY_AGAIN) -> DataError:
    return DataError(Diagnostic(f"{path}:/{name}", f"the NPZ archive is damaged: it {message}", remedy))
