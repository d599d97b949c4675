"""Files appear whole or not at all.

A file is written under a temporary name, flushed to the disk, and renamed: a reader gets the old file or the new one,
never half of either, even if the process is killed or the disk fills up.
"""

import errno
import io
import itertools
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from ..config.advice import shell
from ..errors import DataError, Diagnostic
from ..signals import temporary_files
from .inputs import require_no_input

_PART = re.compile(r"^\.part-(?P<host>[\w.]+)-(?P<process>\d+)-\d+-")
_HDF5_ERRNO = re.compile(r"errno = (\d+)")
_NUMPY_SHORT = re.compile(r"^\d+ requested and \d+ written$")
_counter = itertools.count()

_FULL = "free some space, or write to another disk"
_CAUSES = {
    errno.ENOSPC: ("the disk is full", _FULL),
    errno.EDQUOT: ("the disk quota is used up", _FULL),
    errno.EFBIG: ("the file is larger than this system allows", "raise the limit (ulimit -f), or write elsewhere"),
    errno.EROFS: ("the disk is mounted read-only", "write to another folder"),
    errno.EACCES: ("no permission to write here", "change the folder's permissions, or write to another folder"),
    errno.EPERM: ("no permission to write here", "change the folder's permissions, or write to another folder"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.EIO: ("the disk reports a fault", "write to another disk"),
    errno.ENOENT: ("this folder takes no files", "write to another folder"),
}
# These may as well come from a file that is being read: they count only if they name the file that is written.
_AMBIGUOUS = {errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG, errno.ENOENT}


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Provide a temporary path to write to, and rename it to ``path`` when the block ends without an error.

    The temporary name ends as ``path`` does, because some writers choose a format by the extension. If the block raises
    an error, the temporary file is removed and a file at ``path`` stays as it is.

    Args:
        path: The file to write. Its folder must exist.

    Yields:
        The temporary path, which the block must create.

    Raises:
        ConfigError: If the command reads the file that is there.
        DataError: If the folder is missing, or the disk is full, read-only or forbidden.
    """
    shown, target = Path(path), Path(path).resolve()
    require_no_input(shown)
    require_writable_name(shown)
    remove_stale(target.parent, target.name)
    temporary = temporary_name(target)
    temporary_files.add(str(temporary))
    try:
        yield temporary
        flush(temporary)
        temporary.replace(target)
    except (OSError, RuntimeError) as error:
        fault = disk_fault(error, shown, temporary)
        if fault is None:
            raise
        raise DataError(fault) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        temporary_files.discard(str(temporary))
    with suppress(OSError):  # Some network disks cannot flush a folder.
        flush(target.parent)


def temporary_name(target: Path) -> Path:
    """Return a unique name beside a file, recognisable as temporary if this process is killed."""
    return target.with_name(f".part-{_host()}-{os.getpid()}-{next(_counter)}-{target.name}")


class _NoDescriptor(io.FileIO):
    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def open_for_arrays(path: Path) -> io.BufferedRandom:
    """Create a file that libraries may pass to ``ndarray.tofile``.

    NumPy writes to a file's descriptor directly: for a full disk it then raises an error without a number, and none at
    all if only the last few kilobytes do not fit. Without a descriptor, NumPy writes through the file object.
    """
    return io.BufferedRandom(_NoDescriptor(path, "w+b"))


def is_temporary(path: Path) -> bool:
    """Whether a file is a temporary one of any process: a finished file has another name."""
    return _PART.match(path.name) is not None and path.is_file()


def require_writable_name(path: str | os.PathLike[str]) -> None:
    """Raise an error for a name at which no file can be written, before a long computation.

    Raises:
        DataError: If the folder is missing, or the name is that of a folder or a device.
    """
    shown, target = Path(path), Path(path).resolve()
    if not target.parent.is_dir():
        remedy = f"make it: {shell('mkdir', '-p', shown.parent)}"
        raise DataError(Diagnostic(str(shown), f"there is no folder {shown.parent}", remedy))
    if target.is_dir():
        raise DataError(Diagnostic(str(shown), "cannot be written: it is a folder", "name a file inside it"))
    if target.exists() and not target.is_file():  # Renaming would replace the device itself: /dev/null, a pipe.
        raise DataError(Diagnostic(str(shown), "cannot be written: it is not a regular file", "name a file"))


def require_writable_folder(path: str | os.PathLike[str]) -> None:
    """Raise an error for a file in whose folder no file can be made, before a long computation.

    Raises:
        DataError: If the disk refuses one.
    """
    try:
        with TemporaryFile(dir=Path(path).resolve().parent):
            pass
    except OSError as error:
        cause, remedy = _CAUSES.get(error.errno or 0, (error.strerror or str(error), "write to another folder"))
        raise DataError(Diagnostic(str(path), f"cannot be written: {cause}", remedy)) from error


def disk_fault(error: Exception, path: Path, temporary: Path | None = None) -> Diagnostic | None:
    """Report in one line that a disk refused a write.

    Args:
        error: Error of the writer. HDF5's is a page of text that contains the system's error number.
        path: File to name in the message.
        temporary: File that was written to, which an ambiguous error must name.

    Returns:
        The fault, or None if the error has another cause.
    """
    number = getattr(error, "errno", None)
    if number is None and (match := _HDF5_ERRNO.search(str(error))):
        number = int(match[1])
    if number is None and isinstance(error, OSError) and _NUMPY_SHORT.match(str(error)):
        return Diagnostic(str(path), "cannot be written: the disk is full, or a quota or limit is reached", _FULL)
    if number not in _CAUSES:
        return None
    names = {path.name, temporary.name if temporary else path.name}
    if number == errno.ENOENT:  # A missing file that is read may have the name of the one that is written.
        names = {temporary.name} if temporary else set()
    if number in _AMBIGUOUS and not any(name in str(error) for name in names):
        return None
    cause, remedy = _CAUSES[number]
    return Diagnostic(str(path), f"cannot be written: {cause}", remedy)


def remove_stale(folder: Path, name: str = "") -> None:
    """Remove the temporary files and folders that killed processes of this machine left behind.

    Args:
        folder: Folder that they lie in.
        name: Final name of those to remove; all are removed if it is empty.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.endswith(name) and is_stale(entry.name):
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry)
                    else:
                        Path(entry).unlink()


def is_stale(name: str) -> bool:
    """Whether a temporary name is that of a process of this machine that has ended."""
    part = _PART.match(name)
    return part is not None and part["host"] == _host() and not is_process_alive(int(part["process"]))


def flush(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _host() -> str:
    """Return the name of this machine, for files on a disk that machines share, in letters that suit a file name."""
    return re.sub(r"[^\w.]", "_", socket.gethostname()) or "localhost"


def is_process_alive(process: int) -> bool:
    """Whether a process of this machine runs, or may run."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
