"""NPZ archives and MATLAB v5 files: variables by name, presented as ``/name``."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import DataError, Diagnostic
from .lazy_arrays import LazyArray, LazyArrays

_AGAIN = "copy or acquire it again"


@contextmanager
def open_npz(path: Path) -> Iterator[LazyArrays]:
    """Open an NPZ archive. Pickled objects inside it are never loaded.

    Raises:
        DataError: If the archive is damaged or holds no arrays.
    """
    try:
        archive = np.load(path, allow_pickle=False)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(Diagnostic(str(path), f"the NPZ archive is damaged: {error}", _AGAIN)) from error
    with archive:
        leaves = {}
        for name in archive.files:
            try:
                leaves[f"/{name}"] = LazyArray.of(np.asarray(archive[name]))
            except ValueError:  # Python objects, which would run code when loaded.
                continue
            except (OSError, zipfile.BadZipFile, zlib.error) as error:
                raise DataError(Diagnostic(f"{path}:/{name}", f"cannot be read: {error}", _AGAIN)) from error
        yield LazyArrays(path, "NPZ", leaves)


@contextmanager
def open_matlab5(path: Path) -> Iterator[LazyArrays]:
    """Open a MATLAB v5 to v7 file. Structures become folders: ``/setup/wavelength``.

    Raises:
        DataError: If the file is damaged.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        variables = loadmat(path, simplify_cells=True)
    except (MatReadError, OSError, ValueError, TypeError, zlib.error, EOFError) as error:
        raise DataError(Diagnostic(str(path), f"the MATLAB file is damaged: {error}", _AGAIN)) from error
    leaves = dict(_leaves("", {name: value for name, value in variables.items() if not name.startswith("__")}))
    yield LazyArrays(path, "MATLAB v5", leaves)


def _leaves(prefix: str, value: object) -> Iterator[tuple[str, LazyArray]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(f"{prefix}/{name}", item)
        return
    array = np.asarray(value)
    if array.dtype.kind in "biufcU":
        yield prefix, LazyArray.of(array)
