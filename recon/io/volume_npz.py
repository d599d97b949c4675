"""Volumes in NumPy's archive: axes ``z``, ``y``, ``x`` [m], one array a quantity, and ``unflat``, a line of JSON."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError, Diagnostic
from ..sampled import Quantity
from ..volume import Volume
from .metadata import KEY, Corner, assemble, axes, describe, require_spacing
from .phasing_programs import read_foreign


def write(volume: Volume, path: Path) -> None:
    """Write the archive, compressed."""
    with path.open("wb") as file:  # An open file, because NumPy would add an ending to a name.
        np.savez_compressed(
            file,
            allow_pickle=False,
            z=volume.z,
            y=volume.y,
            x=volume.x,
            **{KEY: np.array(describe(volume))},
            **volume.values,
        )


def read(path: Path, spacing: Corner | None, kind: str) -> Volume:
    """Read an archive of ours, or any whose three-dimensional arrays are one volume."""
    # NumPy leaves a file that it opened itself open, if the archive turns out to be torn.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        named = {name: archive[name] for name in archive.files}
    described = str(named.pop(KEY, ""))
    own = [np.asarray(named.pop(name), float) for name in "zyx" if name in named and named[name].ndim == 1]
    arrays = {name: array for name, array in named.items() if array.ndim == 3}
    foreign = None if described or len(own) == 3 or spacing else read_foreign(path)
    if foreign is not None:
        return foreign
    if not arrays:
        raise DataError(Diagnostic(str(path), f"holds no array (z, y, x); it holds {', '.join(named) or 'nothing'}"))
    shape = next(iter(arrays.values())).shape
    if described:
        volume = assemble(list(arrays.values()), (1, 1, 1), described, kind)
        ordered = {q.name: arrays[q.name] for q in volume.quantities}
        return replace(volume, z=own[0], y=own[1], x=own[2], values=ordered)
    z, y, x = own if len(own) == 3 else axes(shape, require_spacing(path, spacing))
    return Volume(kind, z, y, x, arrays, tuple(Quantity(name, "1", "") for name in arrays))
