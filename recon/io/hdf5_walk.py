"""Walk through an HDF5 file in a child, before it is opened: damaged tables make the library hang or crash.

All groups, attributes and indices of chunks are visited, all text of variable length is read, and one number of every
other dataset: what is left to read afterwards are blocks of numbers at known places. Errors are not reported here: they
are met again when the file is read, with the name that was asked for. An object that cannot be visited ends the walk.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import h5py
import numpy as np

from ..errors import DataError, Diagnostic, UnflatError
from .child import Answer, Report
from .guard import COPY_AGAIN, first_line
from .hdf5_open import open_unlocked

_ROWS = 4096
_LARGEST_TRIAL = 1 << 26
"""[bytes] Size of a chunk above which none is decoded here."""
_LACK_OF_MEMORY = re.compile(
    r"memory allocation failed|(can\'t|unable to|couldn\'t|cannot) allocate|out of memory", re.I
)
"""Words of the library for memory that it was refused here, and would be given where there is no limit."""


def walk_files(report: Report, *paths: str) -> Answer:
    """Visit all objects of some files: the task of a child.

    Raises:
        DataError: If a group or the attributes of an object cannot be listed: what they hold cannot be visited.
        MemoryError: If the library needs more memory than it could hold.
    """
    for path in paths:
        report()
        with no_errors(), open_unlocked(path) as file:
            _walk(file, report)
    return None, ()


class no_errors(suppress):  # noqa: N801 - used like a function
    """Suppress all errors but those that end the walk: the lack of memory, and what cannot be visited."""

    def __init__(self) -> None:
        super().__init__(Exception)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if isinstance(error, MemoryError | UnflatError):
            return False
        if error is not None and _LACK_OF_MEMORY.search(str(error)):
            raise MemoryError(str(error)) from error
        return bool(super().__exit__(kind, error, trace))


@contextmanager
def _must_be_listed(place: str, subject: str) -> Iterator[None]:
    """Report the errors of a block as damage that ends the walk.

    Raises:
        DataError: If the block fails.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError | UnflatError) or _LACK_OF_MEMORY.search(str(error)):
            raise
        message = f"the HDF5 file is damaged: {subject} cannot be listed: {first_line(error)}"
        raise DataError(Diagnostic(place, message, COPY_AGAIN)) from error


def _walk(file: h5py.File, report: Report) -> None:
    """Visit the objects of a file, each once, as the addresses in the links tell."""
    seen: set[Any] = set()
    groups = [h5py.Group(h5py.h5g.open(file.id, b"/"))]
    while groups:
        group = groups.pop()
        _read_attributes(group, report)
        place = f"{file.filename}:{group.name}"
        with _must_be_listed(place, "the group"):
            names = list(group)
        for name in names:
            with no_errors():
                child = hard_child(group, name, seen)
                if child is None:
                    continue
                if isinstance(child, h5py.Group):
                    groups.append(child)
                else:
                    _read_attributes(child, report)
                    if isinstance(child, h5py.Dataset):
                        _visit(child, report)


def hard_child(group: h5py.Group, name: str, seen: set[Any]) -> Any:
    """Open an object of a group.

    Returns:
        The object; None for one that was seen, and for a link, whose target is visited at its own place, or in its
        own file.
    """
    link = group.id.links.get_info(name.encode(errors="surrogateescape"))
    if link.type != h5py.h5l.TYPE_HARD or link.u in seen:
        return None
    seen.add(link.u)
    return group[name]


def _read_attributes(node: Any, report: Report) -> None:
    report()
    with _must_be_listed(f"{node.file.filename}:{node.name}", "its attributes"):
        names = list(node.attrs)
    for name in names:
        with no_errors():
            node.attrs[name]


def _visit(dataset: h5py.Dataset, report: Report) -> None:
    """Visit the index of a dataset's chunks, read text of variable length, and one number of any other."""
    chunks: list[tuple[int, ...]] = []
    has_text = bool(dataset.dtype.hasobject)
    _visit_layout(dataset)
    if dataset.chunks is not None and hasattr(dataset.id, "chunk_iter"):

        def visit(chunk: Any) -> None:
            report()
            if has_text:
                chunks.append(tuple(chunk.chunk_offset))

        with _must_be_listed(f"{dataset.file.filename}:{dataset.name}", "its chunks") if has_text else no_errors():
            dataset.id.chunk_iter(visit)
    if has_text:
        for part in _parts(dataset, chunks):
            report()
            with no_errors():
                dataset[part]
    elif _has_first_number(dataset):
        with no_errors():
            dataset[(0,) * len(dataset.shape)]


def _has_first_number(dataset: h5py.Dataset) -> bool:
    """Whether the first number of a dataset stands in its own file, in a chunk that is decoded in no time."""
    if not dataset.size or dataset.is_virtual or dataset.external:
        return False
    return math.prod(dataset.chunks or (1,)) * int(dataset.dtype.itemsize) < _LARGEST_TRIAL


def _visit_layout(dataset: h5py.Dataset) -> None:
    """Read what is stored about a dataset: filters, other files, the value of what was never written."""
    with no_errors():
        creation = dataset.id.get_create_plist()
        for number in range(creation.get_nfilters()):
            creation.get_filter(number)
        for number in range(creation.get_external_count()):
            creation.get_external(number)
        _ = dataset.fillvalue


def _parts(dataset: h5py.Dataset, chunks: list[tuple[int, ...]]) -> Iterator[Any]:
    """Yield selections of a dataset that cover all that is stored."""
    if dataset.chunks is not None:
        for offset in chunks:
            yield tuple(slice(first, first + n) for first, n in zip(offset, dataset.chunks, strict=True))
    elif dataset.shape:
        stored = dataset.id.get_storage_size() // max(dataset.dtype.itemsize, 1)
        rows = min(dataset.shape[0], stored + 1) if np.prod(dataset.shape[1:]) else 0
        for first in range(0, rows, _ROWS):
            yield slice(first, first + _ROWS)
    elif dataset.shape == ():
        yield ()
