"""Where the samples of shapes stand, and how a shape is brought from one lattice to another.

A cell's cube is what its picture spans. In the plane its samples lie even about the middle, (i - (n - 1) / 2) apart;
along z sample ``n // 2`` is the section at z = 0, which is a slice of its own.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from ...grid import Grid
from ...model import Model
from .network.shape_code import HALF, PIXELS

_LATER = 1e-4
"""[sample] Half-way between two samples the later one decides; were it neither, a shape would lose a slice."""
_TOUCHING = 0.5 + 1e-3
"""[sample] A point so near to the outermost samples lies in one of them."""


def cube(shape: Sequence[int], steps: Sequence[float] | Float[np.ndarray, " 3"]) -> Grid:
    """Samples about the middle of a picture.

    Args:
        shape: Their numbers (z, y, x).
        steps: Distances between them, in any unit.
    """
    middles = (shape[0] // 2, (shape[1] - 1) / 2, (shape[2] - 1) / 2)
    z, y, x = ((np.arange(n) - m) * float(s) for n, m, s in zip(shape, middles, steps, strict=True))
    return Grid(z, y, x)


def cube_grid(model: Model, edge: int) -> Grid:
    """The cube that a model's picture spans, in ``edge`` samples along each axis."""
    low, high = np.array(model.frame.low), np.array(model.frame.high)
    return cube((edge,) * 3, (high - low) / (2 * HALF) * PIXELS / edge)


def coincide(one: Grid, other: Grid, within: float = 1e-3) -> bool:
    """Whether the samples of two lattices stand at the same places, to a share of the distance between them."""
    if one.shape != other.shape:
        return False
    pairs = zip(one.axes, other.axes, strict=True)
    return all(np.abs(a - b).max() <= within * (a[-1] - a[0]) / max(len(a) - 1, 1) for a, b in pairs)


def resample_shapes(inside: Bool[np.ndarray, "cell n m k"], own: Grid, wanted: Grid) -> Bool[np.ndarray, "cell z y x"]:
    """Sample shapes on another lattice.

    Args:
        inside: The shapes.
        own: Where their samples stand.
        wanted: Where they are to be, in the same unit; what lies beyond their own samples is outside.
    """
    if coincide(own, wanted):
        return inside
    from scipy.ndimage import map_coordinates

    rows, beyond = [], []
    for axis, (mine, new) in enumerate(zip(own.axes, wanted.axes, strict=True)):
        index = np.interp(new, mine, np.arange(len(mine))) if len(mine) > 1 else np.zeros(len(new))
        step = (mine[-1] - mine[0]) / (len(mine) - 1) if len(mine) > 1 else np.inf
        away = np.maximum(mine[0] - new, new - mine[-1]) > _TOUCHING * step
        rows.append(index + _LATER)
        beyond.append(away.reshape([-1 if i == axis else 1 for i in range(3)]))
    where = np.meshgrid(*rows, indexing="ij")
    outside = beyond[0] | beyond[1] | beyond[2]
    found = [map_coordinates(one.astype(np.float32), where, order=1, mode="nearest") > 0.5 for one in inside]
    return np.asarray(np.stack(found) & ~outside)
