"""Point-spread function of a microscope: read from its file, resampled to the grid of the simulated pictures."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from .....physics.psf import resample_kernel
from ....errors import DataError, Diagnostic
from ....io.volume_formats import read_volume
from ....volume import Volume
from ..cells import CellBatch
from .shape_code import PIXELS

_REMEDY = "give a stack (z, y, x) of a bead in focus at its brightest sample, background taken away"


def read_psf(
    path: str | Path, cells: CellBatch, steps: tuple[float, float, float], largest: tuple[int, int, int]
) -> Float[np.ndarray, "a b c"]:
    """Read a point-spread function, and resample it.

    Args:
        path: Volume of any format, whose brightest sample is the focus. Without a voxel size of its own it is sampled
            as the pictures are.
        cells: Cells whose pictures are simulated.
        steps: [pixel of the network] Distance between samples (z, y, x).
        largest: Number of samples along each axis that can contribute, odd.

    Returns:
        An odd number of samples along each axis, the focus at their centre; they sum to 1.

    Raises:
        DataError: If it is no point-spread function, or its voxel cannot be compared with the pictures'.
    """
    volume = read_volume(path)
    values = _checked_values(volume, str(path))
    return resample_kernel(values, np.array(steps) * _samples_per_pixel(volume, cells, str(path)), largest)


def _checked_values(volume: Volume, where: str) -> Float[np.ndarray, "z y x"]:
    """Return the values of a volume in float64.

    Raises:
        DataError: If they are not real, negative, not finite, or all 0.
    """
    values = volume.main
    if values.ndim != 3 or values.dtype.kind not in "buif":
        raise DataError(
            Diagnostic(where, f"holds {values.dtype} of {values.ndim} axes; expected real (z, y, x)", _REMEDY)
        )
    values = np.asarray(values, np.float64)
    if not np.all(np.isfinite(values)) or values.min() < 0 or values.max() <= 0:
        raise DataError(Diagnostic(where, f"holds values of {values.min():g} to {values.max():g}", _REMEDY))
    return values


def _samples_per_pixel(volume: Volume, cells: CellBatch, where: str) -> Float[np.ndarray, "3"]:
    """Number of samples of the point-spread function in a pixel of the network, along (z, y, x)."""
    picture_pixels = next(iter(cells)).image.shape[0] / PIXELS
    if volume.length_unit != "m":
        return np.full(3, picture_pixels * cells.binning)
    if cells.voxel is None:
        message = "its voxel's size is known, and that of the cells' is not"
        raise DataError(Diagnostic(where, message, "set acquisition.voxel_size"))
    return np.asarray(picture_pixels * np.array(cells.voxel) / np.maximum(volume.spacing, 1e-12))
