"""Catalogue of a view: the runs, models and volumes below the paths that it was given, as they come and go.

A look at the folders reads names and times of files; the state of a run is read again only where those have changed,
or while it goes on.
"""

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError, Diagnostic
from ..io.model_file import FILE_NAME
from ..io.result import is_result, require_result_name, result_files
from ..io.zarr_store import is_zarr
from ..runs.batch_record import State
from ..runs.contents import METRICS, MODEL_PREVIEW, Sentinel
from ..runs.run_state import RunPlace, RunState, places_in

Signature = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and time of the files that a result is made of."""
_FINAL = (State.DONE, State.FAILED, State.STOPPED)
_KIND = re.compile(r"^kind: *[\"']?(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class CatalogEntry:
    """One run, model or volume.

    Args:
        name: Path relative to the one that was given, with the name of that one first.
        path: Folder or file.
        state: State of the run; None for a file, and for a folder that holds a result but no run.
        result: Signature of its result; empty where there is none.
        changed: Number that rises with each new result.
        kind: Kind of experiment by its config; empty where it has none.
        place: Folder of the run, with its part in a batch; None where there is no run.
    """

    name: str
    path: Path
    state: RunState | None
    result: Signature
    changed: float = 0.0
    kind: str = ""
    place: RunPlace | None = None

    @property
    def is_preview(self) -> bool:
        """Whether the result is the model of a fit that goes on."""
        return bool(self.result) and self.result[0][0] == Path(MODEL_PREVIEW).name

    @property
    def id(self) -> str:
        """Name for requests: the same wherever the folder is moved."""
        return hashlib.blake2b(self.name.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()


class Catalog:
    """Runs, models and volumes below some paths.

    Args:
        paths: Run folders, folders of runs, model files and volume files.

    Raises:
        DataError: If one is absent, or a file that is no result.
    """

    def __init__(self, paths: Sequence[Path]):
        self._roots = dict(zip(_distinct_names(paths), paths, strict=True))
        self._entries: dict[str, CatalogEntry] = {}
        self._states: dict[Path, tuple[object, RunState]] = {}
        self._lock = threading.Lock()
        for path in paths:
            if not path.exists():
                raise DataError(Diagnostic(str(path), "there is no such file or folder", "name a run or a model file"))
            if path.is_file():
                require_result_name(path)

    def entries(self) -> list[CatalogEntry]:
        """Look at the paths, and list what is there now."""
        with self._lock:
            fresh = {entry.id: self._with_change(entry) for entry in self._scan()}
            self._entries = fresh
            self._states = {path: known for path, known in self._states.items() if path in {*_paths(fresh)}}
            return list(fresh.values())

    def entry(self, name: str) -> CatalogEntry | None:
        """Look up an entry by its id, as it is now; of a scan that waits, as its batch was in the last list."""
        known = self._entries.get(name)
        if known is None:
            return next((entry for entry in self.entries() if entry.id == name), None)
        is_scan = known.place is not None and known.place.scan is not None
        if not (known.path.parent if is_scan else known.path).exists():  # A scan that was set aside has no folder.
            return None
        with self._lock:
            state = None if known.place is None else self._state(known.place)
            fresh = self._with_change(replace(known, state=state, result=_result(known.path)))
            self._entries[name] = fresh
        return fresh

    def _scan(self) -> Iterator[CatalogEntry]:
        for name, root in self._roots.items():
            if not root.is_dir() or is_zarr(root):
                if root.exists():
                    yield CatalogEntry(name, root, None, _result(root))
                continue
            empty = True
            for place in _places(root):
                empty = False
                inside = place.path.relative_to(root).as_posix()
                own = name if inside == "." else f"{name}/{inside}"
                yield CatalogEntry(
                    own, place.path, self._state(place), _result(place.path), kind=_kind(place.path), place=place
                )
            if empty and is_result(root):
                yield CatalogEntry(name, root, None, _result(root), kind=_kind(root))

    def _state(self, place: RunPlace) -> RunState:
        """Read the state of a run, unless it has ended and nothing has changed since."""
        times = (_signature([place.path, place.path / METRICS, *(place.path / s for s in Sentinel)]), place.scan)
        known = self._states.get(place.path)
        if known is not None and known[0] == times and known[1].state in _FINAL and place.watch is None:
            return known[1]
        state = place.read()
        self._states[place.path] = (times, state)
        return state

    def _with_change(self, entry: CatalogEntry) -> CatalogEntry:
        """Number the result of an entry: by its time, and above that of the result before it."""
        known = self._entries.get(entry.id)
        if known is not None and known.result == entry.result:
            return replace(entry, changed=known.changed)
        time = max((stamp / 1e9 for _, _, _, stamp in entry.result), default=0.0)
        return replace(entry, changed=time if known is None else max(time, known.changed + 1))


def _places(root: Path) -> list[RunPlace]:
    """Find the runs in a folder; what another process removes meanwhile is not there."""
    try:
        return list(places_in(root))
    except OSError:
        return []


def _paths(entries: dict[str, CatalogEntry]) -> Iterator[Path]:
    return (entry.path for entry in entries.values())


def _result(path: Path) -> Signature:
    """Signature of a file, of the files of a run's result, or of the model of a fit that goes on."""
    if path.is_file() or is_zarr(path):
        return _signature([path])
    preview = path / MODEL_PREVIEW
    return _signature([preview] if preview.is_file() else result_files(path))


def _signature(files: Sequence[Path]) -> Signature:
    """Describe files that are there; an atomic replacement changes the inode."""
    rows = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        rows.append((file.name, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(rows)


def _kind(folder: Path) -> str:
    """Kind by the config of a run."""
    try:
        match = _KIND.search((folder / "config.yaml").read_text("utf-8", "replace"))
    except OSError:
        return ""
    return match[1] if match else ""


def _distinct_names(paths: Sequence[Path]) -> list[str]:
    """Name the paths by their last parts, and those of one name by a number too."""
    names: list[str] = []
    for path in paths:
        plain = path.resolve().name or "run"
        if plain == FILE_NAME:
            plain = f"{path.resolve().parent.name}/{plain}"
        name, number = plain, 2
        while name in names:
            name, number = f"{plain} ({number})", number + 1
        names.append(name)
    return names
