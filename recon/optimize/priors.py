"""Priors of a specimen: terms of the loss with scale-free strengths.

The field's raw outputs are of order 1 whatever the quantity's unit, and gradients are per resolution length, so that a
strength means the same for any specimen, spacing and box.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..fields.base import FieldGrid

ROUNDING = 1e-3
"""Gradient below which total variation is quadratic, per resolution length."""


def total_variation(values: Float[Array, "k z y x"], grid: FieldGrid, axial: float) -> Float[Array, ""]:
    """Compute the mean length of the gradient (Rudin, Osher & Fatemi, Physica D 60, 259, 1992).

    It favours smooth regions with sharp edges.

    Args:
        values: Raw outputs of the field on the grid.
        grid: The grid; gradients are per lateral resolution length.
        axial: Weight of the derivative along z relative to the lateral ones.
    """
    length = grid.resolution[1]
    squares = jnp.zeros_like(values)
    for axis, (pitch, weight) in enumerate(zip(grid.pitch, (axial, 1.0, 1.0), strict=True), start=1):
        if values.shape[axis] < 2:
            continue
        steps = jnp.diff(values, axis=axis)
        end = [(0, 0)] * 4
        end[axis] = (0, 1)
        squares = squares + (weight * length / pitch * jnp.pad(steps, end)) ** 2
    return jnp.mean(jnp.sqrt(squares + ROUNDING**2) - ROUNDING)


def tikhonov(values: Float[Array, "k z y x"]) -> Float[Array, ""]:
    """Compute the mean square of the deviation from the background."""
    return jnp.mean(values**2)
