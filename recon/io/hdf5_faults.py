"""Errors of the HDF5 library as faults of a file, with a remedy for each."""

import re

import h5py

from ..config.advice import shell
from ..errors import Diagnostic
from .guard import COPY_AGAIN, Explain, first_line

IS_A_GROUP = "is a group; an array is expected there"
_ABSENT = re.compile(r"object ('.*') doesn't exist")


def explain(place: str) -> Explain:
    """Return the function that turns the library's errors into the faults of a file.

    Args:
        place: Path of the file, and the name inside it.
    """

    def fault(error: Exception) -> Diagnostic | None:
        text = str(error).lower()
        if "truncated" in text or "eof" in text:
            remedy = f"{COPY_AGAIN}; the writer was stopped before it ended"
            return Diagnostic(place, "the HDF5 file is truncated: its end is missing", remedy)
        if "locking flag" in text:
            message = "is open in this program by other means than unflat's, with a lock"
            return Diagnostic(place, message, "close it there, or open it with locking=False")
        if isinstance(error, BlockingIOError) or "unable to lock" in text:
            message = "the file is being written by another program"
            return Diagnostic(place, message, "wait until the writer has closed it")
        if "signature not found" in text:
            return Diagnostic(place, "cannot be read: it is truncated, or not HDF5", COPY_AGAIN)
        if isinstance(error, KeyError) and (absent := _ABSENT.search(str(error))):
            return Diagnostic(
                place, f"cannot be read: it lacks {absent[1]}", f"see what it holds: {shell('unflat', 'info', place)}"
            )
        if isinstance(error, AttributeError) and isinstance(error.obj, h5py.Group | h5py.Dataset):
            is_group = isinstance(error.obj, h5py.Group)
            if hasattr(h5py.Dataset if is_group else h5py.Group, str(error.name)):
                wrong = "a group where an array" if is_group else "an array where a group"
                return Diagnostic(place, f"holds {wrong} is expected ({error.name})", COPY_AGAIN)
        if not isinstance(error, OSError) or error.errno is not None:
            return None
        return Diagnostic(place, f"cannot be read: {first_line(error)}", f"the file is damaged: {COPY_AGAIN}")

    return fault
