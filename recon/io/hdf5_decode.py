"""Reading of HDF5 datasets in a child, where a filter of a plugin decodes them: some crash on damaged bytes."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from ..errors import DataError, Diagnostic
from .child import MEMORY_LIMIT, Answer, Report, run_in_child
from .child_pipe import ChildError
from .guard import COPY_AGAIN
from .hdf5_filters import load_plugins
from .hdf5_open import open_unlocked

_SAFE = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}
"""Filters that check their bounds."""
_BLOCK = 1 << 24
"""[bytes] Size of what is decoded between two signs of progress."""


def needs_child(dataset: Any) -> bool:
    """Whether a dataset has a filter that may crash."""
    creation = dataset.id.get_create_plist()
    return any(creation.get_filter(number)[0] not in _SAFE for number in range(creation.get_nfilters()))


def read_in_child(dataset: Any, selection: tuple[Any, ...], place: str, *, often: bool) -> Any:
    """Read a part of a dataset as h5py does.

    Args:
        dataset: Dataset of numbers.
        selection: Indices, slices and lists, as h5py takes them.
        place: Place of the dataset, for messages.
        often: Whether many parts are read.

    Raises:
        DataError: If it cannot be decoded.
        MemoryError: If decoding needs too much memory.
    """
    chosen = h5py._hl.selections.select(dataset.shape, selection, dataset)
    if not chosen.nselect:
        return np.zeros(chosen.array_shape, dataset.dtype)
    memory = MEMORY_LIMIT + 3 * int(chosen.nselect) * dataset.dtype.itemsize
    packed = [_pack(part) for part in selection]
    try:
        where = (dataset.file.filename, dataset.name)
        _, contents = run_in_child(_read, *where, packed, memory=memory, often=often)
    except ChildError as error:
        if isinstance(error, MemoryError):
            raise
        raise DataError(Diagnostic(place, f"cannot be decoded: {error}", COPY_AGAIN)) from error
    array = contents[0].view(dataset.dtype).reshape(chosen.array_shape)
    return array if array.shape else array[()]


def _read(report: Report, path: str, name: str, packed: Sequence[Any]) -> Answer:
    """Read a part of a dataset block by block: the task of a child."""
    load_plugins()
    with open_unlocked(path) as file:
        dataset = file[name]
        blocks = []
        for block in _blocks(dataset, tuple(_unpack(part) for part in packed)):
            report()
            blocks.append(np.asarray(dataset[block]))
    content = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    return None, [np.ascontiguousarray(content).reshape(-1).view(np.uint8)]


def _blocks(dataset: Any, selection: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Divide a selection along the first axis, if it is a slice there."""
    first, rest = (selection or (slice(None),))[0], selection[1:]
    if not dataset.shape or not isinstance(first, slice):
        yield selection
        return
    rows = range(dataset.shape[0])[first]
    size = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    count = max(_BLOCK // max(size, 1), dataset.chunks[0] if dataset.chunks else 1)
    for start in range(0, max(len(rows), 1), count):
        part = rows[start : start + count]
        yield (slice(part.start, part.stop, part.step), *rest)


def _pack(part: Any) -> Any:
    """Turn an index into what JSON can hold."""
    if isinstance(part, slice):
        return {"slice": [None if n is None else int(n) for n in (part.start, part.stop, part.step)]}
    if part is Ellipsis:
        return None
    return np.asarray(part).tolist()


def _unpack(packed: Any) -> Any:
    """Turn back what `_pack` gave."""
    if isinstance(packed, dict):
        return slice(*packed["slice"])
    return Ellipsis if packed is None else packed
