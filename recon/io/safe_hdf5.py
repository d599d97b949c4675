"""HDF5 files on a disk that refuses to be written.

HDF5 cannot give up a file that it failed to write: it tries again when the file is closed, when its objects are
forgotten, and when the process ends, and crashes there. So it never hears of the refusal: it is told that all went
well, and the refusal is raised when it has let go of the file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import h5py


@contextmanager
def new_hdf5(path: Path) -> Iterator["h5py.File"]:
    """Make an HDF5 file and give it to be filled.

    Raises:
        OSError: The disk's first refusal, whatever the block made of it.
    """
    import h5py

    with path.open("w+b", buffering=0) as stream:
        disk = _Disk(stream)
        try:
            with h5py.File(disk, "w") as file:
                yield file
        finally:
            if disk.refusal is not None:
                raise disk.refusal


class _Disk:
    """A file for HDF5 that keeps the disk's first refusal to itself; after that nothing is written any more.

    HDF5 calls it from C, with views of its memory: no method may raise.

    Args:
        stream: The file, without a buffer of its own.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.refusal: OSError | None = None

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Tell the place."""
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        """Read; h5py knows a file by this method."""
        return self._stream.read(size)

    def readinto(self, buffer: Any) -> int:
        """Read what was written; zeros where nothing is."""
        view = memoryview(buffer)
        found: int = self._stream.readinto(view)  # type: ignore[attr-defined]
        view[found:] = bytes(len(view) - found)
        return len(view)

    def write(self, data: Any) -> int:
        """Write all of it: one call to the system may write a part."""
        view, done = memoryview(data), 0
        try:
            while done < len(view) and self.refusal is None:
                done += self._stream.write(view[done:])
        except OSError as error:
            self.refusal = error
        return len(view)

    def truncate(self, size: int) -> int:
        """Set the file's length."""
        try:
            return size if self.refusal is not None else self._stream.truncate(size)
        except OSError as error:
            self.refusal = error
            return size

    def flush(self) -> None:
        """Do nothing: nothing is held back."""
