"""Other files that a config names beside an acquisition: where they lie, and each opened once.

A relative name is looked for in the folder of the acquisition (in an acquisition that is a folder, and beside it), and
in the working directory. Files of one name that differ are refused.
"""

import filecmp
import glob
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from pydantic import BaseModel

from ..config.advice import did_you_mean
from ..config.source import Source
from ..errors import DataError, Diagnostic
from .inputs import record_input
from .lazy_arrays import ArrayTree
from .open import open_tree


class SideFiles:
    """Open files beside an acquisition, closed when the block ends.

    Args:
        acquisition: File, folder, or pattern of the acquisition.
    """

    def __init__(self, acquisition: Path) -> None:
        self.acquisition = acquisition
        self._trees: dict[Path, ArrayTree] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "SideFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def open(self, name: str, key: str) -> ArrayTree:
        """Open a file by its name in the config.

        Args:
            name: Name of the file.
            key: Key of the config that names it, for messages.

        Raises:
            DataError: If there is no such file, several differ, or it cannot be read.
        """
        path = find_side_file(name, self.acquisition, key)
        record_input(path, key)
        if path not in self._trees:
            self._trees[path] = self._stack.enter_context(open_tree(path))
        return self._trees[path]

    def has(self, name: str) -> bool:
        """Whether a file of that name lies at any of the places."""
        return bool(_candidates(name, self.acquisition))


def find_side_file(name: str, acquisition: Path, key: str) -> Path:
    """Find a file that a config names.

    Args:
        name: Name in the config: relative, absolute, from the home folder (``~/``), or a pattern.
        acquisition: File, folder, or pattern of the acquisition.
        key: Key of the config, for messages.

    Raises:
        DataError: If there is none, or several that differ.
    """
    paths = _candidates(name, acquisition)
    if not paths:
        absolute = Path(name).expanduser()
        folders = [absolute.parent] if absolute.is_absolute() else _folders(acquisition)
        where = " nor in ".join(dict.fromkeys(str(folder.resolve()) for folder in folders))
        raise DataError(Diagnostic(key, f"there is no file {name!r} in {where}", _nearest(name, acquisition)))
    if any(not _is_same(paths[0], path) for path in paths[1:]):
        message = f"several files are named {name!r}: {', '.join(str(path.resolve()) for path in paths)}"
        raise DataError(Diagnostic(key, message, f"name one in full: '{paths[0].resolve()}'"))
    return paths[0]


def side_file_paths(settings: BaseModel, acquisition: Path, prefix: str = "") -> dict[str, Path]:
    """List the files beside an acquisition that a config names and that exist, by the key that names them.

    Args:
        settings: Config, or a section of one.
        acquisition: File, folder, or pattern of the acquisition.
        prefix: Keys of the section, with a dot behind them.
    """
    paths: dict[str, Path] = {}
    for key, source in _sources(settings, prefix):
        named = source if source.file else source.as_file()
        if named is not None and (candidates := _candidates(named.file, acquisition)):
            paths[key] = candidates[0]
    return paths


def _sources(value: object, key: str) -> Iterator[tuple[str, Source]]:
    """Yield every source of a config with its key."""
    if isinstance(value, Source):
        yield key, value
        for i, part in enumerate(value.parts):
            yield f"{key}.{i}", part
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _sources(getattr(value, name), f"{key}.{name}" if key else name)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _sources(item, f"{key}.{name}")


def _folders(acquisition: Path) -> list[Path]:
    """List the folders in which relative names are looked for."""
    own = [acquisition, acquisition.parent] if acquisition.is_dir() else [acquisition.parent]
    return [*own, Path()]


def _candidates(name: str, acquisition: Path) -> list[Path]:
    """List the different files of a name; ``/name`` is absolute, or beside the acquisition."""
    path = Path(name).expanduser()
    relative = Path(name.lstrip("/")) if name.startswith("/") else path
    paths = [] if relative.is_absolute() else [folder / relative for folder in _folders(acquisition)]
    if path.is_absolute():
        paths.append(path)
    existing = [path for path in paths if _exists(path)]
    return list({path.resolve(): path for path in reversed(existing)}.values())[::-1]


def _exists(path: Path) -> bool:
    try:
        return path.exists() or (glob.has_magic(path.name) and any(path.parent.glob(path.name)))
    except (OSError, ValueError):  # A name that no disk can hold.
        return False


def _is_same(first: Path, second: Path) -> bool:
    """Whether two files hold the same bytes."""
    try:
        return first.is_file() and second.is_file() and filecmp.cmp(first, second, shallow=False)
    except OSError:
        return False


def _nearest(name: str, acquisition: Path) -> str:
    """Return a remedy for a missing file: names like it in the folders where it was looked for."""
    path = Path(name)
    for folder in (path.expanduser().parent, *_folders(acquisition)):
        try:
            names = [entry.name for entry in folder.iterdir()]
        except OSError:
            continue
        if similar := did_you_mean(path.name, names, most=3, cutoff=0.5, show=lambda near: str(path.parent / near)):
            return similar
    return "check the name, or give the whole path"
