"""Surfaces of the predicted shapes, for the report."""

from pathlib import Path

import h5py
import numpy as np

from ...io.hdf5_common import open_checked
from ...io.volume_hdf5 import axes_of
from ...visualization.surface_scene import SurfaceScene, extract_body
from ...volume import Volume
from .figures import select_cells
from .schema import OCCUPANCY


def shape_scene(path: Path) -> SurfaceScene:
    """Make the scene of the consensus, or of the first draw, of each cell that figures show.

    Args:
        path: Volume file of a run.

    Raises:
        DataError: If it cannot be read, or a cell has no surface.
    """
    with open_checked(path) as file:
        indices, names = select_cells(file)
        z, y, x, unit = axes_of(file["volume"])
        arrays = [_occupancy(file, int(index)) for index in indices]
        is_consensus = "consensus/occupancy" in file
    volumes = (Volume("shape", z, y, x, {OCCUPANCY.name: array}, (OCCUPANCY,), {}, unit) for array in arrays)
    share = 1 / len(arrays)
    bodies = [
        extract_body(volume, OCCUPANCY.name, 0.5, name, share) for volume, name in zip(volumes, names, strict=True)
    ]
    return SurfaceScene(f"Surface of the {'consensus' if is_consensus else 'first draw'} of a cell.", bodies, unit)


def _occupancy(file: h5py.File, cell: int) -> np.ndarray:
    """Occupancy of the consensus of a cell; of its first draw where the file holds none."""
    own = file.get("consensus/occupancy")
    return np.asarray(file["volume/occupancy"][cell, 0] if own is None else own[cell], np.float32)
