"""One guard for all readers of files: whatever a library raises about a file ends as one error with place and remedy.

Libraries raise errors of every type for a damaged file: a cyclic table gives a `RecursionError`, a declared size of
terabytes a `MemoryError`, a header of NumPy a `SyntaxError`. They are no bugs of unflat, and are reported as faults of
the file. The original error stays the cause of the new one, so that a bug of a reader is seen with ``-vv``.
"""

import errno
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeAlias

import numpy as np

from ..config.advice import shell
from ..errors import DataError, DeviceError, Diagnostic, UnflatError
from .lazy_arrays import ArrayTree, Index, LazyArray

COPY_AGAIN = "copy or acquire it again"
_PACKAGE = Path(__file__).parents[2]
_SYSTEM_NAMES = (
    "EACCES EAGAIN EBUSY ECONNRESET EHOSTDOWN EINTR EIO EISDIR ELOOP EMFILE ENAMETOOLONG ENFILE ENODEV ENOENT ENOLCK "
    "ENOTCONN ENOTDIR ENXIO EPERM ESTALE ETIMEDOUT ETXTBSY"
)
_SYSTEM_ERRORS = {getattr(errno, name) for name in _SYSTEM_NAMES.split() if hasattr(errno, name)}
"""Numbers of errors of the system, whatever the file holds; libraries raise others, such as EINVAL, for its content."""
READ_LESS = (
    "read a part of it (acquisition.region, crop, views, frames or cells), or use a larger machine; if it should be "
    "small, the file is damaged"
)

Explain: TypeAlias = Callable[[Exception], Diagnostic | None]
"""Function that knows an error of one library better; None for any other error."""


@contextmanager
def guard(place: str | Path, subject: str = "the file", explain: Explain | None = None) -> Iterator[None]:
    """Report every error that a block meets while it reads a file as an `UnflatError`; warnings are dropped.

    Args:
        place: Path of the file, and the name inside it, for the message.
        subject: Subject of the message: ``the NPZ archive``.
        explain: Function that knows an error of the file's library better.

    Raises:
        DataError: If the block raises any error; those of unflat pass unchanged.
        DeviceError: If the file needs more memory than there is.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnflatError:
        raise
    except Exception as error:
        raise _translate(str(place), subject, error, explain) from error


def guard_tree(tree: ArrayTree) -> "GuardedTree":
    """Put the guard before everything that is read from an open file."""
    return tree if isinstance(tree, GuardedTree) else GuardedTree(tree)


class GuardedTree:
    """Open file whose every fault is reported with its place: an `ArrayTree`.

    Args:
        tree: The open file.
    """

    def __init__(self, tree: ArrayTree) -> None:
        self.tree = tree
        self._names: list[str] | None = None

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.tree.path

    @property
    def form(self) -> str:
        """Format, for people."""
        return self.tree.form

    def names(self) -> list[str]:
        """List the paths of all arrays."""
        if self._names is None:
            with self._guard():
                self._names = list(self.tree.names())
        return list(self._names)

    def array(self, name: str) -> LazyArray | None:
        """Return the array at a path; None if there is none."""
        with self._guard(name):
            array = self.tree.array(name)
        if array is None:
            return None
        fetch = array.fetch

        def guarded(index: tuple[Index, ...]) -> np.ndarray:
            with self._guard(name):
                return fetch(index)

        return replace(array, fetch=guarded)

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """Return the attributes of a group or array; None if there is no such object."""
        with self._guard(name):
            return self.tree.attributes(name)

    def _guard(self, name: str = "") -> AbstractContextManager[None]:
        return guard(f"{self.path}:{name}" if name else self.path)


def require_file(path: Path) -> None:
    """Raise an error if there is no such file.

    Raises:
        DataError: If there is none.
    """
    if not path.is_file():
        raise DataError(Diagnostic(str(path), "there is no such file", "check the path"))


def opening_fault(place: str, error: OSError) -> Diagnostic:
    """Return the fault of a file that the system does not let be read."""
    if error.errno == errno.ENOENT:
        return Diagnostic(place, "there is no such file", "check the name")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Diagnostic(place, "no permission to read it", f"{shell('chmod', 'u+r', place)}, or ask its owner")
    if error.errno == errno.EISDIR:
        return Diagnostic(place, "is a folder; a file is expected", "name a file in it")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Diagnostic(place, "cannot be read: too many files are open", "raise the limit: ulimit -n 4096")
    return Diagnostic(
        place, f"cannot be read: {error.strerror or error}", "see whether its disk is there, and try again"
    )


def first_line(error: BaseException) -> str:
    """Return the beginning of an error's text in one line; its type where it has none, or the text is a bare key."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    if not text or isinstance(error, KeyError | IndexError | TypeError | AttributeError | NameError | AssertionError):
        text = f"{name}: {text}" if text else name
    return text if len(text) <= 300 else f"{text[:299]}…"


def _translate(place: str, subject: str, error: Exception, explain: Explain | None) -> UnflatError:
    """Turn an error of a library into one of ours."""
    known = explain(error) if explain is not None else None
    if known is not None:
        return DataError(known)
    if isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS:
        named = str(error.filename) if isinstance(error.filename, str) and error.filename else place
        return DataError(opening_fault(named, error))
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        message = f"does not fit into memory ({first_line(error)})"
        return DeviceError(Diagnostic(place, message, READ_LESS))
    fault, where = "is damaged", _own_line(error)
    reason = first_line(error)
    if where:
        fault, reason = "is damaged, or unflat misreads it", f"{reason} ({where}; -vv shows more)"
    return DataError(Diagnostic(place, f"{subject} {fault}: {reason}", COPY_AGAIN))


def _own_line(error: Exception) -> str:
    """Return file and line of unflat, if the error was raised there and in no library."""
    frames = extract_tb(error.__traceback__)
    if (
        not frames
        or isinstance(error, OSError | ValueError | RuntimeError)
        or not Path(frames[-1].filename).is_relative_to(_PACKAGE)
    ):
        return ""
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
