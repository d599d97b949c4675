"""Gaussian prior on a field's spectrum: an expected field, and how firmly it holds at each frequency.

It speaks where a measurement is silent: with a precision of 0 at every frequency that was measured, those are bent by
nothing.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class SpectralPrior(NamedTuple):
    """Expected values of a field's first output, and their precision; a pytree of arrays.

    Attributes:
        mean: Expected physical values on the fit's grid.
        precision: Weight of the squared deviation at each frequency, of a raw output, in the order of
            ``numpy.fft.rfftn``.
    """

    mean: Float[Array | np.ndarray, "z y x"]
    precision: Float[Array | np.ndarray, "z y f"]


def spectral_penalty(raw: Float[Array, "z y x"], prior: SpectralPrior, scale: float) -> Float[Array, ""]:
    """Compute the mean square of the deviation from the expected values, weighted at each frequency.

    Args:
        raw: Raw output on the grid.
        prior: Expected values and their precision.
        scale: Physical value of a raw output of 1.
    """
    deviation = raw - jnp.asarray(prior.mean) / scale
    spectrum = jnp.fft.rfftn(deviation, norm="forward")
    width = raw.shape[-1]
    # Of each two frequencies ±u along x, rfftn holds one; 0 and the highest of an even number stand for themselves.
    twice = np.full(width // 2 + 1, 2, np.float32)
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    return jnp.sum(prior.precision * twice[None, None] * (spectrum.real**2 + spectrum.imag**2))
