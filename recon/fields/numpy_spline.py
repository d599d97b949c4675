"""Uniform cubic B-splines: the basis, for NumPy and jax alike, and interpolation in NumPy.

Notation
--------
s      normalised coordinate along one axis of a model's box, −1 at its low side, 1 at its high side
n      number of coefficients along the axis, at least 4
t      (s + 1)/2 · (n − 3), in [0, n − 3]: the position in intervals between knots

In the interval i = ⌊t⌋, with f = t − i, the coefficients i … i + 3 have the weights (1−f)³/6, (3f³−6f²+4)/6,
(−3f³+3f²+3f+1)/6 and f³/6 (Unser, IEEE SPM 16, 22, 1999). They are not negative, add up to 1 up to the rim of the box,
and join with continuous first and second derivatives.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from ..errors import DataError

ORDER = 4
"""Coefficients that reach a point along an axis."""


@dataclass(frozen=True)
class Band:
    """Columns of an interpolation matrix that are not zero.

    Args:
        first: Index of the first coefficient that is used.
        weights: Weights of coefficients ``first`` … ``first + k − 1`` at each of m points.
    """

    first: int
    weights: Float[np.ndarray, "m k"]

    @property
    def used(self) -> slice:
        """Slice of the coefficients that the points depend on."""
        return slice(self.first, self.first + self.weights.shape[1])

    def matrix(self, count: int) -> Float[np.ndarray, "m n"]:
        """Expand to the matrix over all ``count`` coefficients."""
        matrix = np.zeros((len(self.weights), count))
        matrix[:, self.used] = self.weights
        return matrix


def interval(s: Float[Any, " m"], count: int, xp: Any = np) -> tuple[Int[Any, " m"], Float[Any, " m"]]:
    """Find the interval of each coordinate, and the fraction of the way through it.

    Args:
        s: Normalised coordinates.
        count: Number of coefficients.
        xp: Array module of the coordinates: ``numpy`` or ``jax.numpy``.

    Returns:
        Index i of the first of the four coefficients, and f.
    """
    t = (xp.clip(s, -1, 1) + 1) / 2 * (count - ORDER + 1)
    i = xp.clip(xp.floor(t), 0, count - ORDER)
    return i.astype("int32"), t - i


def basis(f: Float[Any, " m"], xp: Any = np) -> Float[Any, "m 4"]:
    """Compute the weights of the four coefficients around points.

    Args:
        f: Fraction of the way through the interval.
        xp: Array module of f: ``numpy`` or ``jax.numpy``.
    """
    cube, square = f**3, f**2
    return xp.stack([(1 - f) ** 3, 3 * cube - 6 * square + 4, -3 * cube + 3 * square + 3 * f + 1, cube], axis=-1) / 6


def spline_band(s: Float[np.ndarray, " m"], count: int) -> Band:
    """Build the matrix that takes ``count`` coefficients to the spline's values at ``s``."""
    if count < ORDER:
        raise DataError(f"a cubic spline needs at least {ORDER} coefficients along each axis, not {count}")
    i, f = interval(s, count)
    return _band(i, basis(f))


def linear_band(s: Float[np.ndarray, " m"], count: int) -> Band:
    """Build the matrix of linear interpolation between the centres of ``count`` cells; constant beyond the end ones."""
    i, f = cell_interval(s, count)
    return _band(i, np.stack([1 - f, f], axis=-1)[:, : min(count, 2)])


def cell_interval(s: Float[Any, " m"], count: int, xp: Any = np) -> tuple[Int[Any, " m"], Float[Any, " m"]]:
    """Find the cell before each coordinate, and the fraction of the way from its centre to the next.

    Args:
        s: Normalised coordinates.
        count: Number of cells.
        xp: Array module of the coordinates: ``numpy`` or ``jax.numpy``.
    """
    t = xp.clip((xp.clip(s, -1, 1) + 1) / 2 * count - 0.5, 0, count - 1)
    i = xp.clip(xp.floor(t), 0, max(count - 2, 0))
    return i.astype("int32"), t - i


def _band(first: Int[np.ndarray, " m"], local: Float[np.ndarray, "m k"]) -> Band:
    """Place the weights of each point in one matrix over all the coefficients that the points use."""
    start, width = int(first.min()), local.shape[1]
    matrix = np.zeros((len(first), int(first.max()) - start + width))
    columns = (first - start)[:, None] + np.arange(width)
    np.put_along_axis(matrix, columns, local, axis=1)
    return Band(start, matrix)


def on_grid(grid: Float[np.ndarray, "f nz ny nx"], z: Band, y: Band, x: Band) -> Float[np.ndarray, "f lz ly lx"]:
    """Interpolate on a lattice by three small matrix products, one an axis, in the precision of the coefficients."""
    part = grid[:, z.used, y.used, x.used]
    weights = [band.weights.astype(grid.dtype) for band in (z, y, x)]
    for axis, own in enumerate(weights, start=1):
        if len(own) == 1:  # A plane: with its one coordinate first, the other products are a quarter as large.
            part = np.expand_dims(np.einsum("k...,k->...", np.moveaxis(part, axis, 0), own[0]), axis)
            weights[axis - 1] = np.ones((1, 1), grid.dtype)
    wz, wy, wx = weights
    along_y = wy @ (part @ wx.T)
    # Many small products rather than few large ones: a BLAS distributes large ones over threads, which here cost more
    # than they save, most of all on a busy machine.
    along_z: np.ndarray = wz @ along_y.swapaxes(1, 2)
    return along_z.swapaxes(1, 2)


def at_points(grid: Float[np.ndarray, "f *size"], s: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "f n"]:
    """Interpolate by the cubic spline at any points, normalised (z, y, x), or (y, x) in a plane."""
    # SciPy's cubic spline is the same function with coefficient k at the position t = k − 1.
    return _sampled(grid, (np.clip(s, -1, 1) + 1) / 2 * (np.array(grid.shape[1:]) - ORDER + 1) + 1, order=3)


def linear_at_points(grid: Float[np.ndarray, "f nz ny nx"], s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "f n"]:
    """Interpolate linearly between cell centres at any points, normalised (z, y, x); constant beyond the end ones."""
    return _sampled(grid, (np.clip(s, -1, 1) + 1) / 2 * np.array(grid.shape[1:]) - 0.5, order=1)


def _sampled(
    grid: Float[np.ndarray, "f *size"], positions: Float[np.ndarray, "n d"], order: Literal[1, 3]
) -> Float[np.ndarray, "f n"]:
    from scipy.ndimage import map_coordinates  # not at the top: describing a model must not wait for SciPy

    values = np.empty((len(grid), len(positions)))
    places = np.ascontiguousarray(positions.T)
    for row, feature in zip(values, grid, strict=True):
        map_coordinates(feature, places, output=row, order=order, prefilter=False, mode="nearest")
    return values
