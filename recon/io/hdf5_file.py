"""HDF5 files that are opened with care: visited in a child first, and confined to their folder.

The objects are those of h5py, with three differences. Links are followed part by part, so that one that leads to
another file leads to a file of the same folder, which is opened with the same care. The sources of virtual datasets and
the files of external storage must be there, in the folder, and large enough: HDF5 itself gives zeros for what is
absent. And what is read must fit into the memory, and be compressed by a filter that is there.
"""

import math
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..config.advice import shell
from ..errors import DataError, Diagnostic
from ..memory import require_memory
from .child import run_in_child
from .child_pipe import CrashError
from .confinement import Confinement, UnreadReferenceError
from .guard import COPY_AGAIN, READ_LESS, guard
from .hdf5_decode import needs_child, read_in_child
from .hdf5_faults import IS_A_GROUP, explain
from .hdf5_filters import require_filters
from .hdf5_open import is_locked_by_writer, open_unlocked
from .hdf5_sources import Bounds, Sources, map_storage, selection_bounds
from .hdf5_text import TextAttributes
from .hdf5_walk import walk_files
from .seal import is_intact

_MOST_HOPS = 64
_LARGE_CHUNK = 1 << 27
"""[bytes] Size below which a chunk may be as empty as it likes."""
_MANY_CHUNKS = 100_000
"""Number of chunks below which any number of them may be absent."""
_CHUNK_MEMORY = 4000
"""[bytes] Memory that HDF5 takes for each chunk that it reads at once."""
_RATIO = 1100
"""Largest ratio of deflate."""
_FEW = 8
"""Number of parts after which a helper decodes further ones."""
_REMOVE_SEAL = """python -c "import h5py, sys; h5py.File(sys.argv[1], 'r+').close()\""""
"""Command that opens a file for writing, by which HDF5 removes its seal."""
_visited: set[tuple[Any, ...]] = set()
_refused: dict[tuple[Any, ...], tuple[Diagnostic, ...]] = {}
"""Faults of the files that were refused."""


def open_careful(path: str | Path, confinement: Confinement | None = None) -> "CarefulFile":
    """Open an HDF5 file for reading.

    Args:
        path: The file.
        confinement: Folders of the files that it may refer to; its own by default.

    Raises:
        DataError: If it is truncated, locked, damaged, or no HDF5 at all.
    """
    visit(path)
    with guard(path, "the HDF5 file", explain(str(path))):
        if is_locked_by_writer(path, others=True):
            raise BlockingIOError("unable to lock file")
        file: CarefulFile = open_unlocked(path, CarefulFile)
    file.confinement = confinement or Confinement.around(path)
    return file


def visit(*paths: str | Path) -> None:
    """Visit files in a child, unless that has been done since they were last changed.

    Raises:
        DataError: If HDF5 crashes or hangs on one of them.
    """
    states = {str(path): _state(path) for path in paths}
    for state in states.values():
        if state in _refused:
            raise DataError(*_refused[state])
    new = [path for path, state in states.items() if state and state not in _visited and not _is_sealed(path, state)]
    if not new:
        return
    try:
        run_in_child(walk_files, *new)
    except (CrashError, MemoryError, DataError) as error:
        if len(new) > 1:
            for path in new:
                visit(path)
            return
        faults = error.faults if isinstance(error, DataError) else (_damage(new[0], error),)
        _refused[states[new[0]]] = faults
        raise DataError(*faults) from error
    _visited.update(states[path] for path in new)


def _damage(path: str, error: Exception) -> Diagnostic:
    """Return the fault of a file that HDF5 crashes or hangs on, or needs too much memory for."""
    reason = "HDF5 needs far more memory than it could hold" if isinstance(error, MemoryError) else error
    return Diagnostic(path, f"the HDF5 file is damaged: {reason}", COPY_AGAIN)


def _is_sealed(path: str, state: tuple[Any, ...]) -> bool:
    """Whether a file of ours is as it was written; False for one without a seal.

    Raises:
        DataError: If it is damaged. HDF5 removes the seal of a file that it changes, so that no change on purpose is
            taken for damage.
    """
    with guard(path, "the HDF5 file"):
        intact = is_intact(path)
    if intact is False:
        remedy = f"{COPY_AGAIN}; to read it as it is, remove its checksum: {_REMOVE_SEAL} {shell(path)}"
        raise DataError(Diagnostic(path, "was damaged since unflat wrote it: its checksum is wrong", remedy))
    if intact:
        _visited.add(state)
    return bool(intact)


def _state(path: str | Path) -> tuple[Any, ...]:
    """Return what changes with a file's contents; nothing if there is no such file, which opening it reports."""
    try:
        entry = Path(path).stat()
    except OSError:
        return ()
    return (os.path.realpath(path), entry.st_ino, entry.st_size, entry.st_mtime_ns)


class _Careful:
    """Group whose links are followed with care."""

    confinement: Confinement

    @property
    def attrs(self) -> TextAttributes:
        """Attributes."""
        return TextAttributes(self)

    def __getitem__(self, name: Any) -> Any:
        if isinstance(name, h5py.Reference):
            name = h5py.h5r.get_name(name, self.id) or b""  # type: ignore[attr-defined]
        if not isinstance(name, str | bytes):
            place = f"{self.file.filename}:{self.name}"  # type: ignore[attr-defined]
            raise DataError(Diagnostic(place, IS_A_GROUP, COPY_AGAIN))
        return _follow(self, name.decode(errors="surrogateescape") if isinstance(name, bytes) else name)

    def get(self, name: Any, default: Any = None, **options: Any) -> Any:
        """Return an object of the group, as ``values`` and ``items`` do too; h5py itself would open it without care."""
        if options:
            return super().get(name, default, **options)  # type: ignore[misc]
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        try:
            self[name]
        except KeyError:
            return False
        return True


class CarefulGroup(_Careful, h5py.Group):  # type: ignore[misc]
    """Group of a file that is opened with care."""


class CarefulFile(_Careful, h5py.File):  # type: ignore[misc]
    """File that is opened with care."""


class CarefulDataset(h5py.Dataset):  # type: ignore[misc]
    """Dataset of a file that is opened with care."""

    confinement: Confinement
    _sources: Sources | None = None
    _stored: np.ndarray | None = None
    _checked = False
    _in_child = False
    _reads = 0

    @property
    def attrs(self) -> TextAttributes:
        """Attributes."""
        return TextAttributes(self)

    def __getitem__(self, args: Any, new_dtype: Any = None) -> Any:
        self.require_readable(args)
        if self._stored is not None and self.shape:
            return np.array(self._stored[args])
        if self._in_child and self.size and not self.dtype.hasobject:
            return self._decode(args if isinstance(args, tuple) else (args,))
        return super().__getitem__(args, new_dtype)

    def __contains__(self, name: object) -> bool:
        """Return False: a dataset holds no objects. h5py would compare the name with every row."""
        return False

    def read_direct(self, dest: Any, source_sel: Any = None, dest_sel: Any = None) -> None:
        """Read into an array."""
        self.require_readable(() if source_sel is None else source_sel)
        if self._stored is not None:
            dest[() if dest_sel is None else dest_sel] = self._stored[() if source_sel is None else source_sel]
        elif self._in_child:
            dest[() if dest_sel is None else dest_sel] = self[() if source_sel is None else source_sel]
        else:
            super().read_direct(dest, source_sel, dest_sel)

    def require_readable(self, selection: Any) -> None:
        """Refuse a selection that cannot be read, or that HDF5 would fill with zeros.

        Raises:
            DataError: If a source is absent, or a filter is not installed.
            DeviceError: If it does not fit into memory.
        """
        if self.shape is None:
            return
        parts = selection if isinstance(selection, tuple) else (selection,)
        try:
            chosen = h5py._hl.selections.select(self.shape, tuple(p for p in parts if not isinstance(p, str)), self)
        except (TypeError, ValueError, IndexError):  # Reading it raises the same error.
            return
        self.require_sources(selection_bounds(chosen.id) if self.shape else None)
        chunk = math.prod(self.chunks) if self.chunks else 0
        if chunk * self.dtype.itemsize > _LARGE_CHUNK + _RATIO * self.id.get_storage_size():
            message = f"the HDF5 file is damaged: a chunk of {self.chunks} in {self.id.get_storage_size()} bytes"
            raise DataError(Diagnostic(self._place, message, COPY_AGAIN))
        count = max(int(chosen.nselect), chunk) if self.shape else 1
        chunks = count // chunk if chunk else 0
        require_memory(count * self.dtype.itemsize + chunks * _CHUNK_MEMORY, self._place, READ_LESS)
        if chunks > max(_MANY_CHUNKS, self.id.get_storage_size()):
            message = (
                f"the HDF5 file is damaged: {chunks} chunks of {self.chunks} in {self.id.get_storage_size()} bytes"
            )
            raise DataError(Diagnostic(self._place, message, COPY_AGAIN))

    def require_sources(self, bounds: Bounds | None) -> None:
        """Refuse a dataset whose filter is not installed, or whose numbers are in files that are absent.

        Args:
            bounds: First and last indices of the selection that is read; None for all.

        Raises:
            DataError: If it is such a dataset.
        """
        if not self._checked:
            require_filters(self, self._place)
            self._in_child = needs_child(self)
            self._stored = map_storage(self, self._place, self.confinement)
            if self.is_virtual:
                self._sources = Sources(self, self._place, self.confinement, self._open_source, visit)
            self._checked = True
        if self._sources is not None:
            self._sources.require(bounds)

    def _decode(self, parts: tuple[Any, ...]) -> Any:
        """Read a part in a child: indices, and names of fields."""
        names = [part for part in parts if isinstance(part, str)]
        indices = tuple(part for part in parts if not isinstance(part, str))
        self._reads += 1
        array = read_in_child(self, indices, self._place, often=self._reads > _FEW)
        return array[names[0] if len(names) == 1 else names] if names else array

    @property
    def _place(self) -> str:
        return f"{self.file.filename}:{self.name}"

    def _open_source(self, path: Path, name: str) -> Any:
        dataset = open_careful(path, self.confinement)[name]
        if not isinstance(dataset, CarefulDataset):
            raise KeyError(name)
        dataset.require_sources(None)
        self._in_child = self._in_child or dataset._in_child
        return dataset


def _follow(group: Any, name: str) -> Any:
    """Return the object at a path, followed link by link.

    Raises:
        KeyError: If there is none.
        UnreadReferenceError: If a link leads to a file that is absent, or outside the folder.
    """
    node = _root(group) if name.startswith("/") else group
    parts, hops = name.split("/")[::-1], 0
    place = target = ""
    while parts:
        part = parts.pop()
        if part in ("", "."):
            continue
        link = _link(node, part)
        if link is None:
            if target and isinstance(node, h5py.Group):
                message, remedy = f"cannot be opened: it is a link to {target}", "check that the target is there"
                raise UnreadReferenceError(Diagnostic(place, message, remedy))
            raise KeyError(f"Unable to open object (object '{part}' doesn't exist)")
        file, path = link
        if not path:
            node = _open(node, part)
            continue
        place, target = f"{node.file.filename}:{node.name.rstrip('/')}/{part}", f"{file}:{path}" if file else path
        hops += 1
        if hops > _MOST_HOPS:
            message = f"cannot be opened: it is a link to {target}, and more than {_MOST_HOPS} links follow"
            raise UnreadReferenceError(Diagnostic(place, message, "name the place where the links end"))
        if file:
            where = node.confinement.locate(file, node.file.filename, place, inside=path)
            node = open_careful(where, node.confinement)
        elif path.startswith("/"):
            node = _root(node)
        parts += path.split("/")[::-1]
    return node


def _link(group: Any, name: str) -> tuple[str, str] | None:
    """Return the file and the path to which a link leads: both empty for an object of the group itself.

    Returns:
        The two; None if there is no such name, or the link is of a kind that a program defined.
    """
    key = name.encode(errors="surrogateescape")
    if not isinstance(group, h5py.Group) or not group.id.links.exists(key):
        return None
    kind = group.id.links.get_info(key).type
    if kind == h5py.h5l.TYPE_HARD:
        return "", ""
    if kind not in (h5py.h5l.TYPE_SOFT, h5py.h5l.TYPE_EXTERNAL):
        return None
    value = group.id.links.get_val(key)
    file, path = value if kind == h5py.h5l.TYPE_EXTERNAL else (b"", value)
    return file.decode(errors="surrogateescape"), path.decode(errors="surrogateescape") or "/"


def _root(node: Any) -> Any:
    root = CarefulGroup(h5py.h5g.open(node.id, b"/"))
    root.confinement = node.confinement
    return root


def _open(group: Any, name: str) -> Any:
    """Open an object that is in a group itself."""
    try:
        opened = h5py.Group.__getitem__(group, name)
    except KeyError as error:  # The name is there, and the object is not: damaged, and not absent.
        raise OSError(str(error).strip("'\"")) from error
    if isinstance(opened, h5py.Dataset):
        node = CarefulDataset(opened.id, readonly=True)
    elif isinstance(opened, h5py.Group):
        node = CarefulGroup(opened.id)
    else:
        return opened
    node.confinement = group.confinement
    return node
