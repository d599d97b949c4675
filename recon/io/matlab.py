"""MATLAB v5 to v7 files: variables by name, presented as ``/name``. Files of v7.3 are HDF5."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import DataError, Diagnostic
from .lazy_arrays import LazyArray, LazyArrays


@contextmanager
def open_matlab5(path: Path) -> Iterator[LazyArrays]:
    """Open a MATLAB v5 to v7 file as arrays. Structures become folders: ``/setup/wavelength``.

    Raises:
        DataError: If the file cannot be read, or is damaged.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        variables = loadmat(path, simplify_cells=True)
    except (MatReadError, OSError, ValueError, TypeError, zlib.error, EOFError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # From the disk; SciPy's own errors have no number.
            raise DataError(Diagnostic(str(path), f"cannot be read: {error.strerror}")) from error
        message = f"the MATLAB file is damaged: {error}"
        raise DataError(Diagnostic(str(path), message, "copy or acquire it again")) from error
    arrays = _arrays_in("", {name: value for name, value in variables.items() if not name.startswith("__")})
    yield LazyArrays(path, "MATLAB v5", dict(arrays))


def _arrays_in(prefix: str, value: object) -> Iterator[tuple[str, LazyArray]]:
    """Yield the path of each array of numbers or text, and the array."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _arrays_in(f"{prefix}/{name}", item)
        return
    array = np.asarray(value)
    if array.dtype.kind in "biufcU":
        yield prefix, LazyArray.of(array)
