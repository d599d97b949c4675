"""Interpolation matrices: a lattice is sampled by one small matrix product an axis, never by gathers.

Normalised coordinates s in [−1, 1]. A cubic B-spline with n coefficients has n − 3 intervals over the box (Unser, IEEE
SPM 16, 22, 1999), so that its basis sums to 1 up to the rim.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def cubic_weights(s: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the first coefficient, and the four weights, of each coordinate."""
    t = (np.clip(s, -1, 1) + 1) / 2 * (n - 3)
    first = np.clip(np.floor(t).astype(int), 0, n - 4)
    f = t - first
    weights = np.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], axis=-1)
    return first, weights / 6


def cubic_matrix(s: np.ndarray, n: int) -> Float[np.ndarray, "m n"]:
    """Matrix that takes n cubic B-spline coefficients to values at coordinates s."""
    first, weights = cubic_weights(s, n)
    matrix = np.zeros((len(s), n))
    for k in range(4):
        matrix[np.arange(len(s)), first + k] += weights[:, k]
    return matrix


def linear_matrix(s: np.ndarray, n: int) -> Float[np.ndarray, "m n"]:
    """Matrix that takes n values at cell centres to linear interpolation at s, constant beyond the outer centres."""
    t = np.clip((s + 1) / 2 * n - 0.5, 0, n - 1)
    first = np.minimum(t.astype(int), max(n - 2, 0))
    matrix = np.zeros((len(s), n))
    rows = np.arange(len(s))
    matrix[rows, first] += 1 - (t - first)
    if n > 1:
        matrix[rows, first + 1] += t - first
    return matrix


def apply_matrices(grid: Float[Array, "f a b c"], matrices: Sequence[np.ndarray]) -> Float[Array, "f z y x"]:
    """Take a grid to a lattice along its last axes, as many as there are matrices; identities cost nothing."""
    for axis, matrix in enumerate(matrices, start=4 - len(matrices)):
        if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))):
            continue
        product = jnp.tensordot(jnp.asarray(matrix, grid.dtype), grid, axes=([1], [axis]))
        grid = jnp.moveaxis(product, 0, axis)
    return grid


def apply_across(
    planes: Float[Array, "s f b c"], down: Float[np.ndarray, "y b"], along: Float[np.ndarray, "x c"]
) -> Float[Array, "f s y x"]:
    """Take the planes of a grid to the samples of a lattice across them.

    Written as one product of many rows and one batch of small products, for which no array has to be transposed.
    """
    rows = planes @ jnp.asarray(along.T, planes.dtype)
    matrix = jnp.broadcast_to(jnp.asarray(down, planes.dtype), (*planes.shape[:2], *down.shape))
    return jnp.swapaxes(matrix @ rows, 0, 1)


def least_squares(
    values: Float[np.ndarray, "f z y x"], matrices: tuple[np.ndarray, np.ndarray, np.ndarray], damping: float = 1e-3
) -> Float[np.ndarray, "f a b c"]:
    """Coefficients whose samples come nearest to values on a lattice."""
    for axis, matrix in zip((1, 2, 3), matrices, strict=True):
        gram = matrix.T @ matrix
        inverse = np.linalg.solve(gram + damping * np.trace(gram) / len(gram) * np.eye(len(gram)), matrix.T)
        values = np.moveaxis(np.tensordot(inverse, values, axes=([1], [axis])), 0, axis)
    return values


def cubic_at(grid: Float[Array, "f a b c"], points: Float[Array, "n 3"]) -> Float[Array, "n f"]:
    """A tensor-product cubic B-spline at any points, by direct evaluation: one gather of 4³ coefficients a point."""
    (z, wz), (y, wy), (x, wx) = (_axis_weights(points, axis, n) for axis, n in enumerate(grid.shape[1:]))
    corners = grid[:, z[:, :, None, None], y[:, None, :, None], x[:, None, None, :]]
    return jnp.einsum("fnabc,na,nb,nc->nf", corners, wz, wy, wx)


def _axis_weights(points: Float[Array, "n 3"], axis: int, n: int) -> tuple[Int[Array, "n 4"], Float[Array, "n 4"]]:
    """Indices of the four coefficients at each point along an axis, and their weights."""
    t = (jnp.clip(points[:, axis], -1, 1) + 1) / 2 * (n - 3)
    first = jnp.clip(jnp.floor(t).astype(jnp.int32), 0, n - 4)
    f = t - first.astype(t.dtype)
    weights = jnp.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], axis=-1)
    return first[:, None] + jnp.arange(4, dtype=jnp.int32)[None], weights / 6
