"""HDF5 files, and MATLAB's v7.3 files, which are HDF5 with the axes in reverse order."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import DataError
from .compound import complex_parts, to_complex
from .confinement import UnreadReferenceError
from .guard import GuardedTree, guard
from .hdf5_faults import explain
from .hdf5_file import open_careful
from .lazy_arrays import ArrayTree, Index, LazyArray, take


@dataclass(frozen=True)
class Hdf5ArrayTree:
    """Open HDF5 file: an `ArrayTree`."""

    path: Path
    file: Any
    form: str = "HDF5"

    def names(self) -> list[str]:
        """List the paths of all datasets, and of links that lead nowhere."""
        return list(walk(self.file))

    def array(self, name: str) -> LazyArray | None:
        """Return the dataset at a path; None if there is none, or only a group.

        Raises:
            DataError: If it is a link that leads nowhere.
        """
        node = self._node(name)
        if node is None:
            return self._part(name)
        if not isinstance(node, h5py.Dataset):
            return None
        array = _lazy_array(node, f"{self.path}:{name}")
        return _reverse_axes(array) if self.form.startswith("MATLAB") else array

    def _part(self, name: str) -> LazyArray | None:
        """Return one part of a compound type: ``/table/column``, or ``/table:column``."""
        path, _, part = name.rpartition(":" if ":" in name else "/")
        node = self._node(path) if path else None
        if not isinstance(node, h5py.Dataset) or part not in (node.dtype.names or ()):
            return None
        return _lazy_array(node, f"{self.path}:{name}", part)

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """Return the attributes of a group or dataset; None if there is no such object."""
        node = self._node(name)
        return None if node is None else plain_attributes(node)

    def _node(self, name: str) -> Any:
        """Return the group or dataset at a path; None if there is no such name.

        Raises:
            DataError: If a link on the way leads nowhere, or to a file that is not read.
        """
        try:
            return self.file[name]
        except UnreadReferenceError as error:
            raise DataError(*(replace(fault, where=f"{self.path}:{name}") for fault in error.faults)) from error
        except (KeyError, ValueError):
            return None


@dataclass
class ConventionTree:
    """Open HDF5 file some of whose arrays are found by the conventions of a format.

    Args:
        path: Path of the file.
        file: The open file.
        form: Format, for people.
    """

    path: Path
    file: Any
    form: str = "HDF5"

    @cached_property
    def plain(self) -> Hdf5ArrayTree:
        """The file without the conventions."""
        return Hdf5ArrayTree(self.path, self.file)

    def names(self) -> list[str]:
        """List the paths of all datasets."""
        return self.plain.names()

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """Return the attributes of a group or dataset; None if there is no such object."""
        return self.plain.attributes(name)


def file_of(tree: ArrayTree) -> Any:
    """Return the open HDF5 file of a tree; None for other formats."""
    return getattr(tree.tree if isinstance(tree, GuardedTree) else tree, "file", None)


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open an HDF5 file for reading.

    Raises:
        DataError: If it is truncated, locked, or no HDF5 at all.
    """
    with open_careful(path) as file:
        yield file


def walk(group: Any, prefix: str = "") -> Iterator[str]:
    """Yield the path of every dataset below a group, links followed once, and of every link that leads nowhere."""
    seen: set[Any] = set()

    def below(node: Any, path: str) -> Iterator[str]:
        for key in node:
            name = f"{path}/{key}"
            try:
                child = node[key]
            except Exception:  # A link that leads nowhere, or a damaged object: reported when it is asked for.
                yield name
                continue
            if isinstance(child, h5py.Dataset):
                yield name
            elif isinstance(child, h5py.Group) and child.id not in seen:
                seen.add(child.id)
                yield from below(child, name)

    seen.add(group.id)
    yield from below(group, prefix)


def plain_attributes(node: Any) -> dict[str, Any]:
    """Return attributes as text, numbers and arrays; those that HDF5 cannot decode are left out."""
    attributes: dict[str, Any] = {}
    for key in node.attrs:
        try:
            value = node.attrs[key]
        except Exception:
            continue
        if isinstance(value, h5py.Empty):
            value = ""
        if isinstance(value, np.ndarray) and value.shape in ((), (1,)):
            value = value.reshape(())[()]
        attributes[key] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return attributes


def _lazy_array(dataset: Any, place: str, part: str = "") -> LazyArray:
    """Wrap a dataset, or one part of its compound type, without reading it."""
    source = dataset.fields(part) if part else dataset

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        with guard(place, explain=explain(place)):
            return to_complex(np.asarray(_select(source, index)))

    stored = dataset.dtype[part] if part else dataset.dtype
    dtype = np.dtype(complex) if complex_parts(stored) else stored
    block = dataset.chunks[0] if dataset.chunks else 1
    return LazyArray(tuple(dataset.shape or ()), dtype, fetch, plain_attributes(dataset), block=block)


def _select(dataset: Any, index: tuple[Index, ...]) -> np.ndarray:
    """Read a part. HDF5 selects by one rising list at a time, and slowly: images are read one by one instead."""
    if not index or not isinstance(index[0], list):
        slices = tuple(part if isinstance(part, slice) else slice(None) for part in index)
        rest = tuple(slice(None) if isinstance(part, slice) else part for part in index)
        return take(np.asarray(dataset[slices]), rest)
    tail = index[1:]
    rows = [_select(dataset, (slice(i, i + 1), *tail)) for i in index[0]]
    return np.concatenate(rows) if rows else np.empty((0, *dataset.shape[1:]), dataset.dtype)


def _reverse_axes(array: LazyArray) -> LazyArray:
    """Reverse the order of axes: MATLAB writes its first axis fastest, and sizes shall read as they do in MATLAB."""
    return array.transposed(tuple(reversed(range(len(array.shape)))))
