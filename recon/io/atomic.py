"""Files appear whole or not at all.

A file is written beside its name, flushed to the disk, and renamed: whoever opens the name finds the old file or the
new one, never half of either, even when the process is killed or the disk fills up.
"""

import errno
import io
import itertools
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import DataError, Diagnostic

_PART = re.compile(r"^\.part-(?P<host>[\w.]+)-(?P<process>\d+)-\d+-")
_HDF5_ERRNO = re.compile(r"errno = (\d+)")
_NUMPY_SHORT = re.compile(r"^\d+ requested and \d+ written$")
_counter = itertools.count()

_FULL = "free some space, or write to another disk"
_CAUSES = {
    errno.ENOSPC: ("the disk is full", _FULL),
    errno.EDQUOT: ("the disk quota is used up", _FULL),
    errno.EFBIG: ("the file is larger than this system lets it be", "raise the limit (ulimit -f), or write elsewhere"),
    errno.EROFS: ("the disk is mounted read-only", "write to another folder"),
    errno.EACCES: ("no permission to write here", "change the folder's permissions, or write to another folder"),
    errno.EPERM: ("no permission to write here", "change the folder's permissions, or write to another folder"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.EIO: ("the disk reports a fault", "write to another disk"),
}
# These may as well come from a file that was being read meanwhile: they count only if they name the file being written.
_AMBIGUOUS = {errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG}


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name to write to; rename it to ``path`` when the block ends well.

    The temporary name ends as ``path`` does, so that writers which look at the ending do what they would have done. If
    the block raises, the temporary file is removed and a file that stood at ``path`` is left as it was.

    Args:
        path: The file to write. Its folder must exist.

    Yields:
        The temporary path, which the block must create.

    Raises:
        DataError: If the folder is missing, or the disk is full, read-only or forbidden.
    """
    shown, target = Path(path), Path(path).resolve()
    require_place(shown)
    remove_stale(target.parent, target.name)
    temporary = temporary_name(target)
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(target)
    except (OSError, RuntimeError) as error:
        fault = disk_fault(error, shown, temporary)
        if fault is None:
            raise
        raise DataError(fault) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    with suppress(OSError):  # Some network disks cannot flush a folder; the rename is then as durable as they make it.
        _flush(target.parent)


def temporary_name(target: Path) -> Path:
    """A name beside a file's that nobody else uses, and that is known as a leaving if this process is killed."""
    return target.with_name(f".part-{_host()}-{os.getpid()}-{next(_counter)}-{target.name}")


class _NoDescriptor(io.FileIO):
    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def open_for_arrays(path: Path) -> io.BufferedRandom:
    """Make a file that libraries may hand to ``ndarray.tofile``.

    Given a descriptor, NumPy writes past Python: of a full disk it then tells no error number, and nothing at all where
    only the last few kilobytes do not fit. Refused one, NumPy and its callers write as everybody does.
    """
    return io.BufferedRandom(_NoDescriptor(path, "w+b"))


def is_leaving(path: Path) -> bool:
    """Whether a file is a temporary one, of whatever process: finished, it would have another name."""
    return _PART.match(path.name) is not None and path.is_file()


def require_place(path: str | os.PathLike[str]) -> None:
    """Refuse a name at which no file can appear; worth asking before long work.

    Raises:
        DataError: If the folder is missing, or the name is a folder's or a device's.
    """
    shown, target = Path(path), Path(path).resolve()
    if not target.parent.is_dir():
        raise DataError(
            Diagnostic(str(shown), f"there is no folder {shown.parent}", f"make it: mkdir -p '{shown.parent}'")
        )
    if target.is_dir():
        raise DataError(Diagnostic(str(shown), "cannot be written: it is a folder", "name a file inside it"))
    if target.exists() and not target.is_file():  # Renaming would replace the device itself: /dev/null, a pipe.
        raise DataError(Diagnostic(str(shown), "cannot be written: it is not a regular file", "name a file"))


def disk_fault(error: Exception, path: Path, temporary: Path | None = None) -> Diagnostic | None:
    """Say in one line that a disk refused a write.

    Args:
        error: What the writer raised. HDF5 gives a page of text with the system's error number in the middle of it.
        path: The file to name in the message.
        temporary: The file that was really written to, which an ambiguous error must name.

    Returns:
        The fault, or None if the error is of another sort.
    """
    number = getattr(error, "errno", None)
    if number is None and (found := _HDF5_ERRNO.search(str(error))):
        number = int(found[1])
    if number is None and isinstance(error, OSError) and _NUMPY_SHORT.match(str(error)):
        return Diagnostic(str(path), "cannot be written: the disk is full, or a quota or limit is reached", _FULL)
    if number not in _CAUSES:
        return None
    names = {path.name, temporary.name if temporary else path.name}
    if number in _AMBIGUOUS and not any(name in str(error) for name in names):
        return None
    cause, remedy = _CAUSES[number]
    return Diagnostic(str(path), f"cannot be written: {cause}", remedy)


def remove_stale(folder: Path, name: str = "") -> None:
    """Remove the temporary files that killed processes of this machine left behind.

    Args:
        folder: Where to look.
        name: Only those of this final name; all, if empty.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            part = _PART.match(entry.name)
            if part and part["host"] == _host() and not lives(int(part["process"])) and entry.name.endswith(name):
                with suppress(OSError):
                    Path(entry).unlink()


def _flush(path: Path) -> None:
    """Have the system put a file, or a folder's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _host() -> str:
    """Name of this machine, in letters that suit a file name: a shared disk holds other machines' files too."""
    return re.sub(r"[^\w.]", "_", socket.gethostname()) or "localhost"


def lives(process: int) -> bool:
    """Whether a process of this machine has not ended, as far as this one can see."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
