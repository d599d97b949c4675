"""Record of the files that a command reads, none of which it may replace."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError, Diagnostic
from .name_pattern import as_wildcard

_Identity = tuple[int, int]
_inputs: ContextVar["list[_Input] | None"] = ContextVar("inputs", default=None)


@dataclass(frozen=True)
class _Input:
    """File, folder or pattern of files that is read.

    Args:
        path: Name, or pattern of names.
        name: Name of the argument or setting that gives it.
    """

    path: Path
    name: str

    def holds(self, target: Path, identity: _Identity) -> bool:
        """Whether a file is this one, or one of those in this folder: by any name, symbolic or hard link."""
        if self.path.is_dir():
            if target.resolve().is_relative_to(self.path.resolve()):
                return True
            is_linked = target.stat().st_nlink > 1
            return is_linked and any(_identity(file) == identity for file in self.path.rglob("*"))
        if self.path.exists():
            return _identity(self.path) == identity
        with suppress(ValueError, OSError):  # Not a pattern either.
            return any(_identity(file) == identity for file in self.path.parent.glob(as_wildcard(self.path.name)))
        return False


@contextmanager
def recording_inputs() -> Iterator[None]:
    """Record inputs until the block ends, and refuse to replace them: a command, unlike a notebook, reads first."""
    token = _inputs.set([])
    try:
        yield
    finally:
        _inputs.reset(token)


def record_input(path: Path, name: str) -> None:
    """Record a file, folder or pattern that the command reads; nothing without a command.

    Args:
        path: Name, or pattern of names; nothing need be there.
        name: Name of the argument or setting that gives it, for messages.
    """
    recorded = _inputs.get()
    if recorded is not None and all(path != known.path for known in recorded):
        recorded.append(_Input(path, name))


def replace_input(path: Path, files: Iterable[Path], name: str) -> None:
    """Record files in place of the folder or pattern that stands for them: others in the folder may be written.

    Args:
        path: Folder or pattern.
        files: Files that it stands for.
        name: Name of the argument or setting that gives it, for messages.
    """
    recorded = _inputs.get()
    if recorded is not None:
        recorded[:] = [known for known in recorded if known.path != path]
        for file in files:
            record_input(file, name)


def forget_inputs_within(folder: Path) -> None:
    """Allow files of a folder to be replaced: those of a run that goes on are its own."""
    recorded = _inputs.get()
    if recorded is not None:
        recorded[:] = [known for known in recorded if not known.path.resolve().is_relative_to(folder.resolve())]


def require_no_input(target: Path) -> None:
    """Refuse to replace a file that the command reads.

    Args:
        target: File to write.

    Raises:
        ConfigError: If the command reads it, by this or another name.
    """
    try:
        identity = _identity(target)
    except OSError:  # Nothing is there that could be replaced.
        return
    known = next((known for known in _inputs.get() or () if known.holds(target, identity)), None)
    if known is not None and target.is_file():
        message = f"is read by this command ({known.name}) and would be replaced"
        raise ConfigError(Diagnostic(str(target), message, "write to another name with -o"))


def require_no_input_within(folder: Path, others: Mapping[str, Path]) -> None:
    """Refuse a folder to be emptied that holds a file that the command reads.

    Args:
        folder: Folder to write.
        others: Further inputs, by the setting that names them.

    Raises:
        ConfigError: If one lies there, or is a link to a file there.
    """
    inputs = {known.name: known.path for known in _inputs.get() or ()} | dict(others)
    root = folder.resolve()
    files = [file for pattern in ("*", "*/*") for file in root.glob(pattern) if file.is_file()] if root.is_dir() else []
    links = {_identity(file) for file in files if file.stat().st_nlink > 1}
    for name, path in inputs.items():
        if path.resolve().is_relative_to(root) or (path.is_file() and _identity(path) in links):
            message = f"{str(path)!r} lies in {str(folder)!r}, which the run is to be written to"
            raise ConfigError(Diagnostic(name, message, "write to another folder with -o"))


def _identity(path: Path) -> _Identity:
    """Return the device and number of a file, which all its names share."""
    status = path.stat()
    return status.st_dev, status.st_ino
