"""Angle, roll and flux of each frame of a rocking curve, as parameters that are fitted with the density.

Notation
--------
p, d_y, d_x    position of a frame along the curve [step] and its offsets across [pixel]
f              logarithm of its flux
C = e^f (|F|² ⊛ psf + b)

A weak prior about the values that the instrument states holds frames without counts.

Gauge: a shift of all positions is a phase ramp of the density, a drift of p in proportion to p a stretch of the crystal
along z, one of d_y or d_x a shear, and a factor of every flux one of the density. The counts do not tell them apart:
corrections are reported beside their mean and their slope with p. Arrays are (z, y, x) in FFT order (origin at index
0).
"""

from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from .pattern import DevicePattern
from .projections import UNMEASURED

Prior: TypeAlias = tuple[float, float, float, float]
"""Standard deviations of angles [step], rolls (y, x) [pixel] and logarithms of the flux about the stated values."""
PRIOR: Prior = (1.0, 1.0, 1.0, 0.2)


class FrameParameters(NamedTuple):
    """Corrections of the frames of a curve to what the instrument states, in FFT order.

    Args:
        offsets: Offsets along the curve [step] and along y and x [pixel].
        flux: Logarithm of the factor of the flux.
    """

    offsets: Float[Array, "frame 3"]
    flux: Float[Array, " frame"]


def no_corrections(pattern: DevicePattern) -> FrameParameters:
    """Return corrections of 0."""
    count = pattern.counts.shape[0]
    return FrameParameters(jnp.zeros((count, 3), jnp.float32), jnp.zeros(count, jnp.float32))


def with_positions(pattern: DevicePattern) -> DevicePattern:
    """Give an even curve the positions of its frames."""
    if pattern.positions is not None:
        return pattern
    count = pattern.counts.shape[0]
    even = np.zeros((count, 3), np.float32)
    even[:, 0] = np.fft.fftfreq(count) * count
    return pattern._replace(positions=jnp.asarray(even))


def corrected_pattern(stated: DevicePattern, corrections: FrameParameters) -> DevicePattern:
    """Apply corrections to the pattern as the instrument states it."""
    positions = with_positions(stated).positions
    factor = jnp.exp(corrections.flux)[:, None, None]
    amplitude = jnp.where(stated.amplitude < 0, UNMEASURED, stated.amplitude * lax.rsqrt(factor))
    moved = None if positions is None else positions + corrections.offsets
    return stated._replace(amplitude=amplitude, exposure=stated.exposure * factor, positions=moved)
