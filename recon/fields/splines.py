"""Interpolation in jax: a grid is sampled by one small matrix product an axis, without gathers.

The basis of the splines, and the normalised coordinates s, are those of :mod:`.numpy_spline`.
"""

from collections.abc import Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .base import Axis
from .numpy_spline import ORDER, basis, cell_interval, interval, linear_band, spline_band

Matrix: TypeAlias = np.ndarray | Array
"""Matrix (point, coefficient) of an interpolation along one axis; of jax where the coordinates are."""


def cubic_matrix(s: Axis, n: int) -> Float[Matrix, "m n"]:
    """Build the matrix that takes n cubic B-spline coefficients to values at coordinates s."""
    if isinstance(s, jax.Array):
        first, f = interval(s, n, jnp)
        return _dense(first, basis(f, jnp), n)
    return spline_band(s, n).matrix(n)


def linear_matrix(s: Axis, n: int) -> Float[Matrix, "m n"]:
    """Build the matrix that takes n values at cell centres to linear interpolation at s, constant beyond them."""
    if isinstance(s, jax.Array):
        first, f = cell_interval(s, n, jnp)
        return _dense(first, jnp.stack([1 - f, f], axis=-1)[:, : min(n, 2)], n)
    return linear_band(s, n).matrix(n)


def _dense(first: Int[Array, " m"], weights: Float[Array, "m k"], n: int) -> Float[Array, "m n"]:
    """Expand the weights of each point's coefficients to a matrix over all of them, without a scatter."""
    columns = first[:, None] + jnp.arange(weights.shape[1], dtype=first.dtype)[None]
    return jnp.einsum("mkn,mk->mn", jax.nn.one_hot(columns, n, dtype=weights.dtype), weights)


def apply_matrices(grid: Float[Array, "f a b c"], matrices: Sequence[Matrix]) -> Float[Array, "f z y x"]:
    """Interpolate along the last axes of a grid, one matrix an axis; identities are skipped."""
    for axis, matrix in enumerate(matrices, start=4 - len(matrices)):
        if isinstance(matrix, np.ndarray) and np.array_equal(matrix, np.eye(len(matrix))):
            continue
        product = jnp.tensordot(jnp.asarray(matrix, grid.dtype), grid, axes=([1], [axis]))
        grid = jnp.moveaxis(product, 0, axis)
    return grid


def apply_across(
    planes: Float[Array, "s f b c"], down: Float[Matrix, "y b"], along: Float[Matrix, "x c"]
) -> Float[Array, "f s y x"]:
    """Interpolate the planes of a grid along both of their axes.

    One product of many rows and one batch of small products: no array has to be transposed.
    """
    rows = planes @ jnp.asarray(along.T, planes.dtype)
    matrix = jnp.broadcast_to(jnp.asarray(down, planes.dtype), (*planes.shape[:2], *down.shape))
    return jnp.swapaxes(matrix @ rows, 0, 1)


def least_squares(
    values: Float[np.ndarray, "f z y x"], matrices: tuple[Matrix, Matrix, Matrix], damping: float = 1e-3
) -> Float[np.ndarray, "f a b c"]:
    """Fit coefficients to values on a grid by damped least squares."""
    for axis, matrix in zip((1, 2, 3), map(np.asarray, matrices), strict=True):
        gram = matrix.T @ matrix
        inverse = np.linalg.solve(gram + damping * np.trace(gram) / len(gram) * np.eye(len(gram)), matrix.T)
        values = np.moveaxis(np.tensordot(inverse, values, axes=([1], [axis])), 0, axis)
    return values


def cubic_at(grid: Float[Array, "f a b c"], points: Float[Array, "n 3"]) -> Float[Array, "n f"]:
    """Evaluate a tensor-product cubic B-spline at any points: one gather of 4³ coefficients a point."""
    (z, wz), (y, wy), (x, wx) = (_axis_weights(points, axis, n) for axis, n in enumerate(grid.shape[1:]))
    corners = grid[:, z[:, :, None, None], y[:, None, :, None], x[:, None, None, :]]
    return jnp.einsum("fnabc,na,nb,nc->nf", corners, wz, wy, wx)


def _axis_weights(points: Float[Array, "n 3"], axis: int, n: int) -> tuple[Int[Array, "n 4"], Float[Array, "n 4"]]:
    """Return the indices of the four coefficients at each point along an axis, and their weights."""
    first, f = interval(points[:, axis], n, jnp)
    return first[:, None] + jnp.arange(ORDER, dtype=jnp.int32)[None], basis(f, jnp)
