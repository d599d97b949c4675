"""Convolution with a narrow Gaussian, tap by tap.

Through FFTs in float32 a bright peak leaves rounding of 1e-7 of itself in every pixel: as many counts as the faint
pixels have. Nine taps an axis round each pixel by its own neighbourhood, and take no longer.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

REACH = 4
"""[pixel] Of the taps, on either side."""
WIDEST = 1.2
"""[pixel] Widest Gaussian that the taps hold, but for a thousandth of it."""

# Fused into one loop, every tap along an axis would do those of the axis before over again.
_kept_apart: Callable[[Array], Array] = lax.optimization_barrier


def taps(sigma: Float[Array, ""], size: int) -> Float[Array, " tap"]:
    """Half of the Gaussian of a pixel grid, from the middle on, from its transfer function exp(−σ²(1 − cos 2πf)).

    Args:
        sigma: [pixel] Standard deviation.
        size: Pixels of the axis.
    """
    fall = jnp.asarray(2 * np.sin(np.pi * np.fft.rfftfreq(size)) ** 2, jnp.float32)
    transfer = jnp.exp(-(sigma**2) * fall)
    reach = min(REACH, (size - 1) // 2)
    half = jnp.maximum(jnp.fft.irfft(lax.complex(transfer, jnp.zeros_like(transfer)), size)[: reach + 1], 0.0)
    return half / (half[0] + 2.0 * jnp.sum(half[1:]))


def convolve_gaussian(values: Float[Array, "z y x"], sigmas: Float[Array, "3"]) -> Float[Array, "z y x"]:
    """Convolve an array of any sign with a Gaussian point-spread function, circularly.

    Args:
        values: In any order.
        sigmas: [pixel] Standard deviations along (frame, y, x).
    """
    for axis, n in enumerate(values.shape):
        values = _kept_apart(values)
        half = taps(sigmas[axis], n)
        reach = len(half) - 1
        before, after = lax.slice_in_dim(values, n - reach, n, axis=axis), lax.slice_in_dim(values, 0, reach, axis=axis)
        padded = _kept_apart(jnp.concatenate([before, values, after], axis))
        total = half[0] * values
        for i in range(1, reach + 1):
            near = lax.slice_in_dim(padded, reach - i, reach - i + n, axis=axis)
            far = lax.slice_in_dim(padded, reach + i, reach + i + n, axis=axis)
            total = total + half[i] * (near + far)
        values = total
    return values
