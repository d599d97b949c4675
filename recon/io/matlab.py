"""MATLAB v5 to v7 files: variables by name, presented as ``/name``. Files of v7.3 are HDF5."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import numpy as np

from ..memory import available_memory
from .child import Answer, Report, run_in_child
from .guard import guard
from .lazy_arrays import LazyArray, LazyArrays

_RATIO = 1100
"""Largest ratio of zlib's compression."""
_LEAST_MEMORY = 1 << 29
"""[bytes] Memory for SciPy, and for the arrays of a small file."""


@contextmanager
def open_matlab5(path: Path) -> Iterator[LazyArrays]:
    """Open a MATLAB v5 to v7 file as arrays. Structures become folders: ``/setup/wavelength``, or ``/scan/1/image``.

    It is read in a process of its own: SciPy's reader crashes on some damaged files.

    Raises:
        DataError: If the file cannot be read, or is damaged.
    """
    with guard(path, "the MATLAB file"):
        memory = min(_LEAST_MEMORY + _RATIO * path.stat().st_size, available_memory())
        names, arrays = run_in_child(read_variables, str(path), memory=memory)
    yield LazyArrays(path, "MATLAB v5", {name: LazyArray.of(a) for name, a in zip(names, arrays, strict=True)})


def read_variables(report: Report, path: str) -> Answer:
    """Read the names and values of all arrays of numbers or text: the task of a child."""
    from scipy.io import loadmat

    with _ReportingFile(path, report) as file:
        variables = loadmat(file, simplify_cells=True)
    named = {name: value for name, value in variables.items() if not name.startswith("__")}
    arrays = dict(_arrays_in("", named))
    return list(arrays), list(arrays.values())


class _ReportingFile(FileIO):
    """File that reports each time that it is read."""

    def __init__(self, path: str, report: Report) -> None:
        super().__init__(path, "r")
        self._report = report

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes."""
        self._report()
        return super().read(size) or b""


def _arrays_in(prefix: str, value: object) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the path of each array of numbers or text, and the array; elements of structures are counted from 1."""
    is_sequence = isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype == object)
    if is_sequence and not isinstance(value, dict):
        value = {str(number): item for number, item in enumerate(np.ravel(np.asarray(value, object)), 1)}
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _arrays_in(f"{prefix}/{name}", item)
        return
    array = np.asarray(value)
    if array.dtype.kind in "biufcU":
        yield prefix, array
