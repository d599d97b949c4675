"""Writing of HDF5 files that survives a full disk.

HDF5 cannot abandon a file that it failed to write: it tries again when the file is closed, when its objects are
collected, and when the process ends, and crashes there. Therefore the disk's error is hidden from HDF5, every write is
reported to it as successful, and the error is raised once HDF5 has closed the file.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from .atomic import write_atomically
from .seal import write_seal

if TYPE_CHECKING:
    import h5py


@contextmanager
def new_hdf5(path: Path, *, sealed: bool = True) -> Iterator["h5py.File"]:
    """Create an HDF5 file for the block to fill.

    Args:
        path: The file.
        sealed: Whether to append a seal, by which damage is seen; a file with a checksum of its own needs none.

    Raises:
        OSError: First error of the disk, whatever error the block raised.
    """
    with _open_safely(path, "w") as file:
        yield file
    if sealed:
        write_seal(path)


@contextmanager
def extend_hdf5(path: Path) -> Iterator["h5py.File"]:
    """Open a sealed HDF5 file of ours for the block to add to it, and seal it again.

    Args:
        path: The file, which nobody reads meanwhile.

    Raises:
        OSError: First error of the disk, whatever error the block raised.
    """
    with _open_safely(path, "r+") as file:  # The former seal is cut off.
        yield file
    write_seal(path)


def set_root_attributes(path: Path, attributes: Mapping[str, str]) -> None:
    """Set attributes at the root of a finished file of ours, wholly or not at all.

    Raises:
        DataError: If the disk refuses.
    """
    with write_atomically(path) as temporary:
        shutil.copyfile(path, temporary)
        with extend_hdf5(temporary) as file:
            file.attrs.update(attributes)


@contextmanager
def _open_safely(path: Path, mode: Literal["w", "r+"]) -> Iterator["h5py.File"]:
    """Open a file such that HDF5 never sees an error of the disk.

    Raises:
        OSError: First error of the disk.
    """
    import h5py

    from .hdf5_text import fix_texts

    with path.open("w+b" if mode == "w" else "r+b", buffering=0) as stream:
        disk = _Disk(stream)
        try:
            with h5py.File(disk, mode) as file:
                yield file
                fix_texts(file)
        finally:
            if disk.error is not None:
                raise disk.error


class _Disk:
    """File for HDF5 that stores the disk's first error; after that nothing more is written.

    HDF5 calls it from C, with views of its memory: no method may raise.

    Args:
        stream: Unbuffered file.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set the position."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        """Read bytes; h5py recognises a file object by this method."""
        return self._stream.read(size)

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, with zeros where nothing was written."""
        view = memoryview(buffer)
        count: int = self._stream.readinto(view)  # type: ignore[attr-defined]
        view[count:] = bytes(len(view) - count)
        return len(view)

    def write(self, data: Any) -> int:
        """Write a whole buffer: one system call may write a part only."""
        view, done = memoryview(data), 0
        try:
            while done < len(view) and self.error is None:
                done += self._stream.write(view[done:])
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int) -> int:
        """Set the file's length."""
        try:
            return size if self.error is not None else self._stream.truncate(size)
        except OSError as error:
            self.error = error
            return size

    def flush(self) -> None:
        """Do nothing: the stream has no buffer."""
