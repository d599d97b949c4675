"""Folders of many files, such as a zarr store, that appear whole or not at all."""

import ctypes
import glob
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import DataError, Diagnostic
from ..signals import deferred_signals, temporary_files
from .atomic import disk_fault, flush, is_stale, remove_stale, temporary_name
from .inputs import require_no_input

_FORMER = ".former"
"""Beginning of the name of a folder that was moved aside, before its temporary name."""
_HERE, _EXCHANGE = -100, 2
"""``AT_FDCWD`` and ``RENAME_EXCHANGE`` of Linux."""


@contextmanager
def write_folder_atomically(path: Path, is_replaceable: Callable[[Path], bool]) -> Iterator[Path]:
    """Provide a temporary folder to fill, and rename it to ``path`` when the block ends without an error.

    A folder at ``path`` changes its name with the new one in a single step, where the system has that (Linux, on most
    disks); elsewhere it is moved aside first, and the next command that writes here puts it back if this one was killed
    in between. If the block raises an error, it stays as it is.

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
    _put_back(target)
    require_writable_folder(path, is_replaceable)
    remove_stale(target.parent, target.name)
    temporary = temporary_name(target)
    temporary_files.add(str(temporary))
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
        _remove(temporary)
        temporary_files.discard(str(temporary))
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
    """Rename a folder to one that may exist, which is put back if that fails, and is left at the temporary name."""
    if not target.exists():
        temporary.rename(target)
    elif not _exchange_names(temporary, target):
        former = temporary.with_name(_FORMER + temporary.name)
        with deferred_signals():
            target.rename(former)
            try:
                temporary.rename(target)
            except OSError:
                former.rename(target)
                raise
        _remove(former)


def _exchange_names(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in a single step; False where the system or the disk cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):  # A C library of before 2018.
        return False
    return bool(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _put_back(target: Path) -> None:
    """Put back a folder that a killed process had moved aside; if the new one has its name by then, remove it."""
    for former in target.parent.glob(f"{_FORMER}*-{glob.escape(target.name)}"):
        if not is_stale(former.name.removeprefix(_FORMER)):
            continue
        with suppress(OSError):
            if target.exists():
                _remove(former)
            else:
                former.rename(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
