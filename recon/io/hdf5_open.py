"""Opening of HDF5 files of others for reading, without the lock that would keep their writer out.

HDF5 locks a file while it reads, and a program that opens the file meanwhile to append to it fails. What is read
without a lock may be changed meanwhile: whoever reads looks at size and time before and after.
"""

import os
from pathlib import Path
from typing import Any

import h5py

_LOCKS = Path("/proc/locks")
"""Locks of this machine, one a line."""
_LOCKING_DIFFERS = "locking flag"
"""Words of the library where this process has the file open with locks."""


def open_unlocked(path: str | Path, kind: type[Any] = h5py.File, **options: Any) -> Any:
    """Open a file for reading without a lock.

    Args:
        path: The file.
        kind: Class of the open file.
        options: Further options of h5py.
    """
    try:
        return kind(path, "r", locking=False, **options)
    except OSError as error:
        if _LOCKING_DIFFERS not in str(error):
            raise
        return kind(path, "r", **options)


def is_locked_by_writer(path: str | Path, *, others: bool = False) -> bool:
    """Whether a program holds the lock by which HDF5 keeps readers out while it writes; no lock is taken.

    Where the system does not list its locks, none is seen.

    Args:
        path: The file.
        others: Whether locks of this process do not count.
    """
    try:
        state = Path(path).stat()
        lines = _LOCKS.read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    identity = f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}"
    own = str(os.getpid()) if others else ""
    fields = [line.split() for line in lines if identity in line]
    return any(len(parts) > 5 and parts[3] == "WRITE" and parts[5] == identity and parts[4] != own for parts in fields)
