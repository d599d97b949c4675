"""NumPy's NPZ archives: variables by name, presented as ``/name``; and volumes.

A volume has the axes ``z``, ``y``, ``x`` [m], one array for each quantity, and ``unflat``, a line of JSON.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError, Diagnostic
from ..sampled import Point3, Quantity
from ..volume import Volume
from .guard import guard
from .lazy_arrays import LazyArray, LazyArrays
from .metadata import KEY, assemble, even_axes, metadata_json, require_spacing
from .phasing_programs import read_phased


@contextmanager
def open_npz(path: Path) -> Iterator[LazyArrays]:
    """Open an NPZ archive as arrays. Pickled objects inside it are never loaded.

    Raises:
        DataError: If the archive is damaged or holds no arrays.
    """
    with guard(path, "the NPZ archive"):
        archive = np.load(path, allow_pickle=False)
    with archive:
        arrays = {}
        for name in archive.files:
            with guard(f"{path}:/{name}", "the array"):
                try:
                    arrays[f"/{name}"] = LazyArray.of(np.asarray(archive[name]))
                except ValueError:  # Python objects, which would run code when loaded.
                    continue
        yield LazyArrays(path, "NPZ", arrays)


def write(volume: Volume, path: Path) -> None:
    """Write a volume, compressed."""
    axes = {"z": volume.z, "y": volume.y, "x": volume.x}
    metadata = {KEY: np.array(metadata_json(volume))}
    with path.open("wb") as file:  # An open file, because NumPy would add an extension to a name.
        np.savez_compressed(file, allow_pickle=False, **axes, **metadata, **volume.values)


def read(path: Path, spacing: Point3 | None, kind: str) -> Volume:
    """Read a volume of ours, a phased density, or any archive whose three-dimensional arrays are one volume."""
    # NumPy leaves a file that it opened itself open, if the archive turns out to be truncated.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        named = {name: archive[name] for name in archive.files}
    metadata = str(named.pop(KEY, ""))
    own = [np.asarray(named.pop(name), float) for name in "zyx" if name in named and named[name].ndim == 1]
    arrays = {name: array for name, array in named.items() if array.ndim == 3}
    phased = None if metadata or len(own) == 3 or spacing else read_phased(path)
    if phased is not None:
        return phased
    if not arrays:
        raise DataError(Diagnostic(str(path), f"holds no array (z, y, x); it holds {', '.join(named) or 'nothing'}"))
    if metadata:
        volume = assemble(list(arrays.values()), (1, 1, 1), metadata, kind)
        ordered = {q.name: arrays[q.name] for q in volume.quantities}
        return replace(volume, z=own[0], y=own[1], x=own[2], values=ordered)
    shape = next(iter(arrays.values())).shape
    z, y, x = own if len(own) == 3 else even_axes(shape, require_spacing(path, spacing))
    return Volume(kind, z, y, x, arrays, tuple(Quantity(name, "1", "") for name in arrays))
