"""Grids of shapes, and resampling of shapes to another grid.

The grid of a cell is centred on the section that the image shows: sample i of n along y and x is at i - (n - 1) / 2
steps from the centre, and sample i of n along z at i - n // 2 steps from the section at z = 0. A cube is such a grid
with as many samples along z, and as far apart, as across the image.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from ...grid import Grid
from ...model import Model
from .network.shape_code import HALF, PIXELS

TIE_SHIFT = 1e-4
"""[sample] Shift that rounds points half-way between two samples to the later one, so that no slice is skipped."""
_HALF_SAMPLE = 0.5 + 1e-3
"""[sample] Distance from the outermost samples up to which a point still lies in the volume: half a voxel."""


def grid_centre(size: int) -> float:
    """[sample] Centre of a grid relative to its central sample ``n // 2``."""
    return (size - 1) / 2 - size // 2


def centred_grid(shape: Sequence[int], steps: Sequence[float] | Float[np.ndarray, " 3"]) -> Grid:
    """Build a grid about the centre of an image.

    Args:
        shape: Number of samples (z, y, x).
        steps: Distances between samples (z, y, x), in any unit.
    """
    centres = (shape[0] // 2, (shape[1] - 1) / 2, (shape[2] - 1) / 2)
    z, y, x = ((np.arange(n) - m) * float(s) for n, m, s in zip(shape, centres, steps, strict=True))
    return Grid(z, y, x)


def cube_grid(model: Model, edge: int) -> Grid:
    """Build the grid of a model's cube, which is as wide as its image, with ``edge`` samples along each axis [m]."""
    low, high = np.array(model.frame.low), np.array(model.frame.high)
    return centred_grid((edge,) * 3, (high - low) / (2 * HALF) * PIXELS / edge)


def resample_shapes(inside: Bool[np.ndarray, "cell n m k"], grid: Grid, target: Grid) -> Bool[np.ndarray, "cell z y x"]:
    """Resample shapes to another grid by linear interpolation. Points beyond the grid of the shapes are outside them.

    Args:
        inside: Mask of the samples inside each shape.
        grid: Grid of the shapes.
        target: The other grid, in the same unit.

    Returns:
        Mask of the samples of ``target`` inside each shape.
    """
    if grid.coincides(target):
        return inside
    from scipy.ndimage import map_coordinates

    rows, beyond = [], []
    for axis, (old, new) in enumerate(zip(grid.axes, target.axes, strict=True)):
        places = np.interp(new, old, np.arange(len(old))) if len(old) > 1 else np.zeros(len(new))
        step = (old[-1] - old[0]) / (len(old) - 1) if len(old) > 1 else np.inf
        is_beyond = np.maximum(old[0] - new, new - old[-1]) > _HALF_SAMPLE * step
        rows.append(places + TIE_SHIFT)
        beyond.append(is_beyond.reshape([-1 if i == axis else 1 for i in range(3)]))
    index = np.meshgrid(*rows, indexing="ij")
    outside = beyond[0] | beyond[1] | beyond[2]
    resampled = [map_coordinates(shape.astype(np.float32), index, order=1, mode="nearest") > 0.5 for shape in inside]
    return np.asarray(np.stack(resampled) & ~outside)
