"""Folders of many files, such as a zarr store, that appear whole or not at all."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import DataError, Diagnostic
from .atomic import disk_fault, flush, temporary_name
from .inputs import require_no_input


@contextmanager
def write_folder_atomically(path: Path, is_replaceable: Callable[[Path], bool]) -> Iterator[Path]:
    """Provide a temporary folder to fill, and rename it to ``path`` when the block ends without an error.

    A folder at ``path`` is moved aside first, and removed at the end; if the block raises an error, it stays as it is.

    Args:
        path: The folder to write. Its own folder must exist.
        is_replaceable: Function that tells whether what is at ``path`` may be replaced.

    Yields:
        The temporary folder, which exists and is empty.

    Raises:
        ConfigError: If the command reads the folder that is there.
        DataError: If there is something else, the folder above is missing, or the disk is full or forbidden.
    """
    target = path.resolve()
    require_no_input(path)
    require_writable_folder(path, is_replaceable)
    temporary = temporary_name(target)
    try:
        temporary.mkdir()
        yield temporary
        for file in temporary.rglob("*"):
            flush(file)
        _exchange(temporary, target)
    except OSError as error:
        fault = disk_fault(error, path, temporary)
        if fault is None:
            raise
        raise DataError(fault) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    with suppress(OSError):  # Some network disks cannot flush a folder.
        flush(target.parent)


def require_writable_folder(path: Path, is_replaceable: Callable[[Path], bool]) -> None:
    """Raise an error for a name at which no folder can be written, before a long computation.

    Raises:
        DataError: If the folder above is missing, or what is at the path may not be replaced.
    """
    target = path.resolve()
    if not target.parent.is_dir():
        raise DataError(Diagnostic(str(path), f"there is no folder {path.parent}", "make it, or name another"))
    if target.exists() and not is_replaceable(target):
        raise DataError(Diagnostic(str(path), "cannot be written: something else is there", "choose another name"))


def _exchange(temporary: Path, target: Path) -> None:
    """Rename a folder to one that may exist, which is put back if that fails."""
    if not target.exists():
        temporary.rename(target)
        return
    former = temporary_name(target)
    target.rename(former)
    try:
        temporary.rename(target)
    except OSError:
        former.rename(target)
        raise
    if former.is_dir():
        shutil.rmtree(former, ignore_errors=True)
    else:
        former.unlink(missing_ok=True)
