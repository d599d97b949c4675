"""Fit of the angle, the roll and the flux of each frame of a rocking curve, for a given density, by Fisher's scoring.

Notation
--------
p, d_y, d_x    position of a frame along the curve [step] and its offsets across [pixel]
f              logarithm of its flux
C = e^f (|F|² ⊛ psf + b)

For a given density the frames are independent of each other: four equations for four unknowns each, with the score
1 − I/C and the expected curvature 1/C of the Poisson deviance, and a weak prior about the values that the instrument
states, which holds frames without counts. ∂F/∂p is the far field of −2πi z/N ρ, and so for d_y and d_x.

Gauge: a shift of all positions is a phase ramp of the density, a drift of p in proportion to p a stretch of the crystal
along z, one of d_y or d_x a shear, and a factor of every flux one of the density. The counts do not tell them apart:
the prior holds them near the stated values, and corrections are reported beside their mean and their slope with p.
Removed in every step they would drag the density along, which follows a stretch slowly. Arrays are (z, y, x) in FFT
order (origin at index 0).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float

from ...physics.diffraction.far_field import LEAST_COUNTS
from .pattern import DevicePattern, PointSpread
from .projections import UNMEASURED, abs2

_PRIOR = (1.0, 1.0, 1.0, 0.2)
"""Standard deviations of angles [step], rolls [pixel] and logarithms of the flux about the stated values."""
_LARGEST_STEP = (0.3, 0.3, 0.3, 0.1)
"""Largest change in one step of the fit."""
_SHARES = (0.0, 0.25, 0.5, 1.0)
"""Parts of a step of which each frame takes the best."""


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


def fit_frames(
    density: Complex[Array, "z y x"],
    point_spread: PointSpread,
    stated: DevicePattern,
    corrections: FrameParameters,
    active: tuple[bool, bool, bool],
) -> FrameParameters:
    """Take one step towards the corrections of least deviance.

    Args:
        density: Density within its support.
        point_spread: Point-spread function and background.
        stated: Pattern as the instrument states it; its fitted pixels count.
        corrections: Present corrections.
        active: Whether to fit the angles, the rolls and the fluxes.
    """
    angles, rolls, fluxes = (float(each) for each in active)
    mask = jnp.asarray([angles, rolls, rolls, fluxes], jnp.float32)
    result: FrameParameters = _step(density, point_spread, with_positions(stated), corrections, mask)
    return result


@jax.jit
def _step(
    density: Complex[Array, "z y x"],
    point_spread: PointSpread,
    stated: DevicePattern,
    corrections: FrameParameters,
    active: Float[Array, "4"],
) -> FrameParameters:
    pattern = corrected_pattern(stated, corrections)
    modelled, slopes = _model_with_slopes(density, point_spread, pattern)
    counts = jnp.maximum(modelled, LEAST_COUNTS)
    weights = pattern.fitted
    score = jnp.stack([_frame_sums(weights * (pattern.counts / counts - 1) * slope) for slope in slopes], axis=1)
    rows = [jnp.stack([_frame_sums(weights * a * b / counts) for b in slopes], axis=1) for a in slopes]
    hessian = jnp.stack(rows, axis=1)
    present = jnp.concatenate([corrections.offsets, corrections.flux[:, None]], axis=1)
    prior = jnp.asarray(_PRIOR, jnp.float32) ** -2
    gradient = active[None, :] * (score - prior[None, :] * present)
    both = active[:, None] * active[None, :]
    damped = both[None] * hessian + jnp.diag(active * prior + (1 - active))[None]
    step = jnp.linalg.solve(damped, gradient[..., None])[..., 0]
    limit = jnp.asarray([_LARGEST_STEP], jnp.float32)
    step = jnp.clip(step, -limit, limit)
    deviances = lax.map(partial(_frame_deviances, density, point_spread, stated, present, step, prior), _shares())
    share = _shares()[jnp.argmin(deviances, axis=0)]
    moved = present + share[:, None] * step
    return FrameParameters(moved[:, :3], moved[:, 3])


def _shares() -> Float[Array, " share"]:
    return jnp.asarray(_SHARES, jnp.float32)


def _model_with_slopes(
    density: Complex[Array, "z y x"], point_spread: PointSpread, pattern: DevicePattern
) -> tuple[Float[Array, "z y x"], list[Float[Array, "z y x"]]]:
    """Compute the modelled counts, and their derivatives by p, d_y, d_x and f."""
    curve = pattern.curve
    wave = curve.forward(density)
    blur: Callable[[Array], Array] = partial(curve.convolve, sigmas=point_spread.sigmas)
    modelled = pattern.exposure * (blur(abs2(wave)) + point_spread.background)
    slopes = []
    for axis, n in enumerate(density.shape):
        turn = jnp.asarray(-2 * np.pi * np.fft.fftfreq(n), jnp.float32).reshape(
            [-1 if a == axis else 1 for a in range(3)]
        )
        along = curve.forward(lax.complex(-turn * density.imag, turn * density.real))
        slopes.append(pattern.exposure * blur(2 * (wave.real * along.real + wave.imag * along.imag)))
    return modelled, [*slopes, modelled]


def _frame_sums(values: Float[Array, "z y x"]) -> Float[Array, " z"]:
    return jnp.sum(values, axis=(1, 2))


def _frame_deviances(
    density: Complex[Array, "z y x"],
    point_spread: PointSpread,
    stated: DevicePattern,
    present: Float[Array, "frame 4"],
    step: Float[Array, "frame 4"],
    prior: Float[Array, "4"],
    share: Float[Array, ""],
) -> Float[Array, " frame"]:
    """Compute the deviance of each frame, with the prior, after a part of a step."""
    trial = present + share * step
    pattern = corrected_pattern(stated, FrameParameters(trial[:, :3], trial[:, 3]))
    curve = pattern.curve
    blurred = curve.convolve(abs2(curve.forward(density)), point_spread.sigmas) + point_spread.background
    counts = jnp.maximum(pattern.exposure * blurred, LEAST_COUNTS)
    # Without the terms of the measured counts alone, which stay the same.
    each = pattern.fitted * (counts - pattern.counts * jnp.log(counts))
    return _frame_sums(each) + 0.5 * jnp.sum(prior[None, :] * trial**2, axis=1)
