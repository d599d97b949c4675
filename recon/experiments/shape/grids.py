"""Grids of shapes, and resampling of shapes to another grid.

The cube of a cell spans its picture. Its samples lie symmetrically about the centre in the plane, at i - (n - 1) / 2;
along z, sample ``n // 2`` is the section at z = 0.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from ...grid import Grid
from ...model import Model
from .network.shape_code import HALF, PIXELS

_TIE_SHIFT = 1e-4
"""[sample] Shift that rounds points half-way between two samples to the later one: no slice gets lost."""
_HALF_SAMPLE = 0.5 + 1e-3
"""[sample] Largest distance of a point within the volume to its outermost samples."""


def cube(shape: Sequence[int], steps: Sequence[float] | Float[np.ndarray, " 3"]) -> Grid:
    """Build a grid about the centre of a picture.

    Args:
        shape: Number of samples (z, y, x).
        steps: Distances between samples (z, y, x), in any unit.
    """
    centres = (shape[0] // 2, (shape[1] - 1) / 2, (shape[2] - 1) / 2)
    z, y, x = ((np.arange(n) - m) * float(s) for n, m, s in zip(shape, centres, steps, strict=True))
    return Grid(z, y, x)


def cube_grid(model: Model, edge: int) -> Grid:
    """Build the grid of the cube that a model's picture spans, with ``edge`` samples along each axis."""
    low, high = np.array(model.frame.low), np.array(model.frame.high)
    return cube((edge,) * 3, (high - low) / (2 * HALF) * PIXELS / edge)


def coincide(one: Grid, other: Grid, within: float = 1e-3) -> bool:
    """Tell whether the samples of two grids coincide, to a share of the distance between them."""
    if one.shape != other.shape:
        return False
    pairs = zip(one.axes, other.axes, strict=True)
    return all(np.abs(a - b).max() <= within * (a[-1] - a[0]) / max(len(a) - 1, 1) for a, b in pairs)


def resample_shapes(inside: Bool[np.ndarray, "cell n m k"], grid: Grid, target: Grid) -> Bool[np.ndarray, "cell z y x"]:
    """Resample shapes to another grid by linear interpolation; outside lies beyond their samples.

    Args:
        inside: Samples inside each shape.
        grid: Grid of the shapes.
        target: The other grid, in the same unit.
    """
    if coincide(grid, target):
        return inside
    from scipy.ndimage import map_coordinates

    rows, beyond = [], []
    for axis, (old, new) in enumerate(zip(grid.axes, target.axes, strict=True)):
        places = np.interp(new, old, np.arange(len(old))) if len(old) > 1 else np.zeros(len(new))
        step = (old[-1] - old[0]) / (len(old) - 1) if len(old) > 1 else np.inf
        is_beyond = np.maximum(old[0] - new, new - old[-1]) > _HALF_SAMPLE * step
        rows.append(places + _TIE_SHIFT)
        beyond.append(is_beyond.reshape([-1 if i == axis else 1 for i in range(3)]))
    index = np.meshgrid(*rows, indexing="ij")
    outside = beyond[0] | beyond[1] | beyond[2]
    resampled = [map_coordinates(one.astype(np.float32), index, order=1, mode="nearest") > 0.5 for one in inside]
    return np.asarray(np.stack(resampled) & ~outside)
