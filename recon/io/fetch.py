"""Reading of arrays whose axes are known: a part of each, in SI, and in the type that computations need."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..errors import DataError, Diagnostic
from ..memory import require_memory
from .axes import MatchedArray
from .guard import READ_LESS
from .lazy_arrays import Index, LazyArray
from .resolved_array import ResolvedArray

_TEXT_BYTES = 64
_MARKS = -2
"""Smallest of the negative numbers, -1 and -2, that mark pixels without a count in whole numbers."""


def measured(matched: Sequence[MatchedArray]) -> dict[str, LazyArray]:
    """Present arrays by the names of their entries, in SI, each part of them read when it is asked for.

    Returns:
        Arrays whose ``origin`` is their place for messages, and whose attribute ``marks_gaps`` tells whether NaN stands
        for a pixel without a value.
    """

    def present(item: ResolvedArray) -> LazyArray:
        return replace(
            item.array,
            dtype=_dtype(item),
            fetch=lambda index: fetch(item, index),
            attributes={"marks_gaps": may_mark_gaps(item)},
            origin=item.place,
        )

    return {item.resolved.entry.name: present(item.resolved) for item in matched}


def fetch_all(
    matched: Sequence[MatchedArray], selection: Mapping[str, Index]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[Index, ...]], list[Diagnostic]]:
    """Read the selected part of each array.

    Returns:
        The arrays, their selections, and the faults.
    """
    arrays: dict[str, np.ndarray] = {}
    indices: dict[str, tuple[Index, ...]] = {}
    faults: list[Diagnostic] = []
    chosen = [tuple(selection.get(axis, slice(None)) for axis in item.axes) for item in matched]
    for item, index in zip(matched, chosen, strict=True):  # Before any is read: a damaged file may declare any size.
        count = math.prod(map(_count, index, item.resolved.array.shape))
        require_memory(count * _bytes_each(item.resolved), item.resolved.place, READ_LESS)
    for item, index in zip(matched, chosen, strict=True):
        name = item.resolved.entry.name
        try:
            arrays[name], indices[name] = fetch(item.resolved, index), index
        except DataError as error:
            faults += error.faults
    return arrays, indices, faults


def _count(part: Index, length: int) -> int:
    """Count the samples that are selected along an axis."""
    return len(range(length)[part]) if isinstance(part, slice) else len(part)


def _bytes_each(item: ResolvedArray) -> int:
    """Return the bytes that a number or a text of an entry takes once it is read."""
    return _TEXT_BYTES if item.entry.dtype == "text" else _dtype(item).itemsize


def fetch(item: ResolvedArray, index: tuple[Index, ...]) -> np.ndarray:
    """Read a part of one array in SI: measurements in single precision, numbers of the instrument in double.

    Raises:
        DataError: If it holds no numbers, or complex ones where real ones are due.
    """
    entry, stored = item.entry, item.array.fetch(index)
    if entry.dtype == "text":
        return _to_text(stored, item.place)
    if stored.dtype.names:
        message = f"has a compound type of the parts {', '.join(stored.dtype.names)}; expected numbers"
        remedy = f"name one of them: acquisition.{entry.name}: '{item.name}/{stored.dtype.names[0]}'"
        raise DataError(Diagnostic(item.place, message, remedy))
    if stored.dtype.kind not in "biufc":
        content = "text" if stored.dtype.kind in "SUO" else str(stored.dtype)
        raise DataError(Diagnostic(item.place, f"holds {content}; expected numbers"))
    if stored.dtype.kind == "c" and entry.dtype != "complex":
        name = {"images": "field", "background": "empty_field"}.get(entry.name)
        remedy = f"name it as acquisition.{name}" if name else ""
        raise DataError(Diagnostic(item.place, f"{entry.name} holds complex numbers; expected real ones", remedy))
    if entry.dtype == "exact":
        return stored
    if entry.dtype == "complex" and stored.dtype.kind != "c":
        name = f"'{item.name}'" if item.name else "…"
        remedy = f"if they are its phase, write acquisition.{entry.name}: {{phase: {name}}}"
        raise DataError(Diagnostic(item.place, f"{entry.name} holds real numbers; expected complex ones", remedy))
    if entry.dtype == "integer":
        return (stored != 0).astype(np.uint8) if entry.hides else stored.astype(np.int64)
    array = np.asarray(stored, _dtype(item))
    if entry.marks_gaps and (gaps := _gaps(stored, item.array.least)) is not None:
        array = np.where(gaps, np.nan, array)
    return array if item.factor == 1 else np.asarray(np.multiply(array, item.factor), array.dtype)


def may_mark_gaps(item: ResolvedArray) -> bool:
    """Whether some stored numbers of an array may stand for pixels without a value."""
    return item.entry.marks_gaps and (item.array.dtype.kind in "iu" or item.array.least is not None)


def _dtype(item: ResolvedArray) -> np.dtype[np.generic]:
    """Return the type of the numbers of an entry once they are read."""
    entry = item.entry
    if entry.dtype in ("text", "exact"):
        return item.array.dtype
    if entry.dtype == "integer":
        return np.dtype(np.uint8 if entry.hides else np.int64)
    is_measured = entry.path.startswith("/measurement/")
    return np.dtype(np.complex64 if entry.dtype == "complex" else np.float32 if is_measured else np.float64)


def _gaps(stored: np.ndarray, least: float | None) -> np.ndarray | None:
    """Find pixels without a count: the largest number of an unsigned type, -1 and -2 of a signed one; too small ones.

    Detectors write them for gaps and overflows. Numbers below -2 are no marks, and neither are -1 and -2 beside them.

    Args:
        stored: Numbers of the file.
        least: Smallest number that is a measurement; None if the file states none.
    """
    gaps = np.zeros(stored.shape, bool) if least is None else stored < least
    others = stored if least is None else stored[~gaps]
    if stored.dtype.kind == "u":
        gaps |= stored == np.iinfo(stored.dtype).max
    elif stored.dtype.kind == "i" and others.min(initial=0) >= _MARKS:
        gaps |= stored < 0
    return gaps if gaps.any() else None


def _to_text(stored: np.ndarray, place: str) -> np.ndarray:
    """Convert bytes, text or objects to an array of text.

    Raises:
        DataError: If the array holds numbers.
    """
    if stored.dtype.kind not in "SUO":
        raise DataError(Diagnostic(place, f"holds {stored.dtype}; expected text", "name another array, or null"))
    words = [w.decode(errors="replace") if isinstance(w, bytes) else str(w) for w in stored.ravel()]
    return np.array(words, dtype=np.str_).reshape(stored.shape)
