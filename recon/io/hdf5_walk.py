"""Walk through an HDF5 file in a child, before it is opened: damaged tables make the library hang or crash.

All groups, attributes and indices of chunks are visited, and all text of variable length is read: what is left to read
afterwards are blocks of numbers at known places. Errors are not reported here: they are met again when the file is
read, with the name that was asked for.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import h5py
import numpy as np

from .child import Answer, Report

_ROWS = 4096


def walk_files(report: Report, *paths: str) -> Answer:
    """Visit all objects of some files: the task of a child."""
    for path in paths:
        report()
        with _no_errors(), h5py.File(path, "r") as file:
            _walk(file, report)
    return None, ()


class _no_errors(suppress):  # noqa: N801 - used like a function
    """Suppress all errors but the lack of memory, which ends the walk."""

    def __init__(self) -> None:
        super().__init__(Exception)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        return not isinstance(error, MemoryError) and bool(super().__exit__(kind, error, trace))


def _walk(file: h5py.File, report: Report) -> None:
    seen = {_identity(file)}
    groups = [h5py.Group(h5py.h5g.open(file.id, b"/"))]
    while groups:
        group = groups.pop()
        _read_attributes(group, report)
        with _no_errors():
            for name in group:
                with _no_errors():
                    child = _hard_child(group, name)
                    if child is None or _identity(child) in seen:
                        continue
                    seen.add(_identity(child))
                    if isinstance(child, h5py.Group):
                        groups.append(child)
                    else:
                        _read_attributes(child, report)
                        if isinstance(child, h5py.Dataset):
                            _visit(child, report)


def _hard_child(group: h5py.Group, name: str) -> Any:
    """Return an object of a group; None for a link, whose target is visited at its own place, or in its own file."""
    link = group.id.links.get_info(name.encode(errors="surrogateescape"))
    return group[name] if link.type == h5py.h5l.TYPE_HARD else None


def _identity(node: Any) -> Any:
    return h5py.h5o.get_info(node.id).addr


def _read_attributes(node: Any, report: Report) -> None:
    report()
    with _no_errors():
        for name in node.attrs:
            with _no_errors():
                node.attrs[name]


def _visit(dataset: h5py.Dataset, report: Report) -> None:
    """Visit the index of a dataset's chunks, and read text of variable length."""
    chunks: list[tuple[int, ...]] = []
    has_text = bool(dataset.dtype.hasobject)
    if dataset.chunks is not None and hasattr(dataset.id, "chunk_iter"):

        def visit(chunk: Any) -> None:
            report()
            if has_text:
                chunks.append(tuple(chunk.chunk_offset))

        dataset.id.chunk_iter(visit)
    if has_text:
        for part in _parts(dataset, chunks):
            report()
            with _no_errors():
                dataset[part]


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
