"""NumPy's files: NPZ archives, whose variables stand at ``/name``, arrays of NPY files, and volumes.

A volume has the axes ``z``, ``y``, ``x`` [m], one array for each quantity, and ``unflat``, a line of JSON.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError, Diagnostic
from ..sampled import Quantity
from ..volume import Volume
from .compound import arrays_of
from .foreign_arrays import foreign_quantities
from .guard import COPY_AGAIN, guard
from .lazy_arrays import IMAGES, LazyArray, LazyArrays, take
from .metadata import KEY, UNNAMED, VolumeOptions, assemble, is_in_voxels, metadata_json
from .npz_members import NpzMember, list_members, load_archive
from .phasing_programs import read_phased


@contextmanager
def open_npz(path: Path) -> Iterator[LazyArrays]:
    """Open an NPZ archive as arrays. Pickled objects inside it are never loaded.

    Raises:
        DataError: If the archive is damaged or holds no arrays.
    """
    arrays: dict[str, LazyArray] = {}
    with guard(path, "the NPZ archive"), zipfile.ZipFile(path) as archive:
        for member in list_members(archive, path):
            if member.dtype.names:
                arrays |= dict(arrays_of(f"/{member.name}", member.read()))
            else:
                arrays[f"/{member.name}"] = _lazy(member)
    yield LazyArrays(path, "NPZ", arrays)


def _lazy(member: NpzMember) -> LazyArray:
    return LazyArray(member.shape, member.dtype, lambda index: take(member.read(), index))


@contextmanager
def open_npy(path: Path) -> Iterator[LazyArrays]:
    """Open the array of an NPY file, which stands where our own files have their images; fields stand at ``/name``.

    Raises:
        DataError: If it is truncated, or holds Python objects.
    """
    with guard(path, "the NPY file"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    arrays = dict(arrays_of("", array))
    yield LazyArrays(path, "NPY", {name or IMAGES: parts for name, parts in arrays.items()})


def write(volume: Volume, path: Path) -> None:
    """Write a volume, compressed."""
    axes = {"z": volume.z, "y": volume.y, "x": volume.x}
    metadata = {KEY: np.array(metadata_json(volume))}
    with path.open("wb") as file:  # An open file, because NumPy would add an extension to a name.
        np.savez_compressed(file, allow_pickle=False, **axes, **metadata, **volume.values)


def read(path: Path, options: VolumeOptions) -> Volume:
    """Read a volume of ours, a phased density, or any archive whose three-dimensional arrays are one volume."""
    with load_archive(path) as archive:
        named = {name: archive[name] for name in archive.files}
    metadata = str(named.pop(KEY, ""))
    own = [np.asarray(named.pop(name), float) for name in "zyx" if name in named and named[name].ndim == 1]
    phased = None if metadata or len(own) == 3 or options.spacing else read_phased(path)
    if phased is not None:
        return phased
    if metadata:
        arrays = {name: array for name, array in named.items() if array.ndim == 3}
        in_voxels = is_in_voxels(metadata)
        known = options.spacing if in_voxels else (1.0, 1.0, 1.0)
        volume = assemble(list(arrays.values()), known, metadata, options.kind)
        ordered = {q.name: _member(path, arrays, q.name) for q in volume.quantities}
        if in_voxels:
            return replace(volume, values=ordered)
        if len(own) < 3:
            raise DataError(Diagnostic(str(path), "lacks z, y or x, the axes of the volume", COPY_AGAIN))
        return replace(volume, z=own[0], y=own[1], x=own[2], values=ordered)
    arrays = foreign_quantities(path, {name: array for name, array in named.items() if array.ndim in (3, 4)}, options)
    if not arrays:
        raise DataError(Diagnostic(str(path), f"holds no array (z, y, x); it holds {', '.join(named) or 'nothing'}"))
    quantities = tuple(Quantity(name, "1", "") for name in arrays)
    if len(own) == 3:
        return Volume(options.kind, own[0], own[1], own[2], arrays, quantities)
    return assemble(list(arrays.values()), options.spacing, "", options.kind, names=list(arrays))


def _member(path: Path, arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the array of a quantity that the metadata names.

    Raises:
        DataError: If there is none.
    """
    if name not in arrays:
        message = f"its metadata name {name}, and it holds no such array (z, y, x)"
        raise DataError(Diagnostic(str(path), message, COPY_AGAIN))
    return arrays[name]


def read_array(path: Path, options: VolumeOptions) -> Volume:
    """Read a NumPy array: a phased density if it is complex, else any volume (z, y, x) or (channel, z, y, x)."""
    phased = read_phased(path)
    if phased is not None:
        return phased
    array = np.load(path, allow_pickle=False)
    arrays = foreign_quantities(path, {UNNAMED.name: array}, options)
    if not arrays:
        shape = " x ".join(map(str, array.shape)) or "one number"
        raise DataError(Diagnostic(str(path), f"holds {array.dtype} of the shape {shape}; a volume is (z, y, x)"))
    return assemble(list(arrays.values()), options.spacing, "", options.kind, names=list(arrays))
