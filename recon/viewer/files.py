"""Files of a run, read for others to see: regular ones inside its folder, up to a size."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError, Diagnostic


@contextmanager
def open_inside(folder: Path, name: str) -> Iterator[BinaryIO]:
    """Open a file of a run.

    A run may come from someone else: a link in it could name any file of the user's, or a device.

    Args:
        folder: Folder of the run.
        name: Name of the file in it.

    Raises:
        DataError: If it leads out of the folder, or is no regular file.
        OSError: If it cannot be read.
    """
    file = (folder / name).resolve(strict=True)
    if not file.is_relative_to(folder.resolve()):
        raise DataError(Diagnostic(name, "is a link that leads out of the run", "copy the file into the run"))
    # Without O_NONBLOCK the opening of a named pipe waits for a writer.
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DataError(Diagnostic(name, "is no regular file", "remove it from the run"))
        yield stream


def read_inside(folder: Path, name: str, limit: int) -> bytes:
    """Read a file of a run.

    Args:
        folder: Folder of the run.
        name: Name of the file in it.
        limit: [byte] Largest size.

    Raises:
        DataError: If it leads out of the folder, is no regular file, or is larger.
        OSError: If it cannot be read.
    """
    with open_inside(folder, name) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise DataError(Diagnostic(name, f"is larger than {limit / 1e6:.0f} MB", "open the file itself"))
    return content
