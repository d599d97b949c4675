"""Joint fit of a density and of the angle, roll and flux of each frame, by Gauss–Newton steps.

Density and frames must move together: a density that was found under wrong angles explains the counts best there, and
steps of the one and the other by turns hardly leave them. Two things keep the density from following wrong angles:

- a support as tight as the object, in one piece. Jitter of the angles spreads the density along the frames, and a loose
  support has room for it;
- a relative error `MODEL_ERROR` of the model beside the counting noise, so that the bright middle of the pattern, which
  voxels with hard edges never explain to its noise, does not outvote the speckles.

With the residuals 2(√(C + ⅜) − √(I + ⅜)) / √(1 + ε²I), of variance 1 under Poisson noise, a step solves the normal
equations of density and frames by conjugate gradients, without a matrix. Arrays are (z, y, x) in FFT order.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float
from scipy import ndimage

from .frame_fit import PRIOR, FrameParameters, Prior, corrected_pattern
from .pattern import DevicePattern, PointSpread, predict_counts
from .support import shrink_wrap

MODEL_ERROR = 0.1
"""ε, relative error of the modelled counts."""
STEPS = 4
"""Gauss–Newton steps of one fit."""
_INNER = 30
"""Iterations of conjugate gradients in a step."""
_INNER_DRAW = 60
"""Iterations of conjugate gradients for a draw of the posterior."""
SAMPLES = 8
"""Draws of the posterior: its standard deviations are known to a quarter."""
_DAMPING = 1e-2
_DENSITY_UNIT, _FRAME_UNIT = 0.05, 0.02
"""Changes that count alike in the damping: of the density, relative to its rms, and of the frames [step, pixel, 1]."""
_TIGHT, _TIGHT_SIGMA = 0.3, 1.0
"""Threshold of the tight support, relative to the object's rms, and width of its blur [voxel]."""
_SHARES = (0.0, 0.125, 0.25, 0.5, 1.0)
_ANSCOMBE = 0.375


class _Unknowns(NamedTuple):
    """Unknowns of the fit, in their units."""

    real: Float[Array, "z y x"]
    imag: Float[Array, "z y x"]
    frames: Float[Array, "frame 4"]


def tight_support(density: Complex[np.ndarray, "z y x"], threshold: float = _TIGHT) -> np.ndarray:
    """Find the largest connected part of a centred density, on the host.

    Args:
        density: Centred density.
        threshold: Least blurred amplitude of the part, relative to the object's rms.
    """
    amplitude = np.abs(density)
    bright = jnp.asarray(amplitude > threshold * amplitude.max(), jnp.float32)
    inside = np.asarray(shrink_wrap(jnp.asarray(density), bright, _TIGHT_SIGMA, threshold)) > 0
    labels, count = ndimage.label(inside)
    sizes = ndimage.sum(inside, labels, range(1, count + 1))
    return np.asarray(labels == 1 + int(np.argmax(sizes)))


def fit_jointly(
    density: Complex[Array, "z y x"],
    support: Float[Array, "z y x"],
    point_spread: PointSpread,
    stated: DevicePattern,
    corrections: FrameParameters,
    active: tuple[bool, bool, bool],
    prior: Prior = PRIOR,
    step_done: Callable[[], None] = lambda: None,
) -> tuple[Complex[Array, "z y x"], FrameParameters]:
    """Fit a density and the frames to the fitted pixels.

    Args:
        density: Density, centred about the origin.
        support: Tight support; 1 inside.
        point_spread: Point-spread function and background, which stay as they are.
        stated: Pattern as the instrument states it, with positions.
        corrections: Present corrections.
        active: Whether to fit the angles, the rolls and the fluxes.
        prior: Standard deviations of angles, rolls (y, x) and logarithms of the flux about the stated values.
        step_done: Callback after each step; it may raise to end the fit.
    """
    frames = jnp.concatenate([corrections.offsets, corrections.flux[:, None]], axis=1)
    fit = JointFit(support, point_spread, stated, _active_mask(active), jnp.asarray(prior, jnp.float32))
    now = (density, frames)
    for _ in range(STEPS):
        now = _step(*now, fit)
        now[0].block_until_ready()  # A request to stop waits for one step, not for all.
        step_done()
    density, frames = now
    return density, FrameParameters(frames[:, :3], frames[:, 3])


def draw_deviations(
    density: Complex[Array, "z y x"],
    support: Float[Array, "z y x"],
    point_spread: PointSpread,
    stated: DevicePattern,
    corrections: FrameParameters,
    active: tuple[bool, bool, bool],
    prior: Prior = PRIOR,
) -> Float[np.ndarray, "sample frame 4"]:
    """Draw deviations of the frames from their posterior, of which the density is a part as well.

    Each is the answer of the normal equations to noise of the residuals and of the prior (Papandreou & Yuille, NIPS
    2010), so that the covariance of angles with the density that could make up for them is not left out.

    Args:
        density: Density, centred about the origin.
        support: Tight support; 1 inside.
        point_spread: Point-spread function and background.
        stated: Pattern as the instrument states it, with positions.
        corrections: Corrections of the frames.
        active: Whether the angles, the rolls and the fluxes are fitted.
        prior: Standard deviations of angles, rolls (y, x) and logarithms of the flux about the stated values.
    """
    frames = jnp.concatenate([corrections.offsets, corrections.flux[:, None]], axis=1)
    fit = JointFit(support, point_spread, stated, _active_mask(active), jnp.asarray(prior, jnp.float32))
    keys = jax.random.split(jax.random.key(0), SAMPLES)
    return np.stack([np.asarray(_draw(density, frames, fit, key)) for key in keys])


class JointFit(NamedTuple):
    """Fixed inputs of a joint fit of density and frames.

    Args:
        support: Tight support; 1 inside.
        point_spread: Point-spread function and background.
        stated: Pattern as the instrument states it, with positions.
        active: 1 for the angles, rolls (y, x) and fluxes that are fitted.
        prior: Standard deviations of these about the stated values.
    """

    support: Float[Array, "z y x"]
    point_spread: PointSpread
    stated: DevicePattern
    active: Float[Array, "4"]
    prior: Float[Array, "4"]

    @property
    def scale(self) -> Float[Array, ""]:
        """Unit of the density."""
        power = jnp.sum(self.stated.counts / self.stated.exposure) / self.stated.counts.size
        return _DENSITY_UNIT * jnp.sqrt(power / jnp.maximum(jnp.sum(self.support), 1.0))

    def unknowns(self, density: Complex[Array, "z y x"], frames: Float[Array, "frame 4"]) -> _Unknowns:
        """Express density and frames in their units."""
        inside = self.support / self.scale
        return _Unknowns(density.real * inside, density.imag * inside, frames / _FRAME_UNIT)

    def parts(self, x: _Unknowns) -> tuple[Complex[Array, "z y x"], Float[Array, "frame 4"]]:
        """Return density and frames; the inverse of `unknowns`."""
        inside = self.support * self.scale
        return lax.complex(x.real * inside, x.imag * inside), _FRAME_UNIT * x.frames * self.active[None, :]

    def residuals(self, x: _Unknowns) -> tuple[Array, Array]:
        """Compute the residuals of the counts and of the prior, in units of their standard deviations."""
        trial, own = self.parts(x)
        stated = self.stated
        pattern = corrected_pattern(stated, FrameParameters(own[:, :3], own[:, 3]))
        counts = predict_counts(trial, self.point_spread, pattern.exposure, pattern.curve)
        error = 2 * (jnp.sqrt(jnp.maximum(counts, 0.0) + _ANSCOMBE) - jnp.sqrt(stated.counts + _ANSCOMBE))
        of_counts = stated.fitted * error * lax.rsqrt(1 + MODEL_ERROR**2 * stated.counts)
        return of_counts, own * (self.active / self.prior)[None, :]


def _active_mask(active: tuple[bool, bool, bool]) -> Float[Array, "4"]:
    angles, rolls, fluxes = (float(each) for each in active)
    return jnp.asarray([angles, rolls, rolls, fluxes], jnp.float32)


@jax.jit
def _step(
    density: Complex[Array, "z y x"], frames: Float[Array, "frame 4"], fit: JointFit
) -> tuple[Complex[Array, "z y x"], Float[Array, "frame 4"]]:
    x = fit.unknowns(density, frames)
    now, forward = jax.linearize(fit.residuals, x)
    transpose = jax.linear_transpose(forward, x)
    step = _solve(forward, transpose, _scaled(transpose(now)[0], -1.0), _INNER)

    def cost(share: Float[Array, ""]) -> Float[Array, ""]:
        return _energy(fit.residuals(_add(x, step, share)))

    shares = jnp.asarray(_SHARES, jnp.float32)
    return fit.parts(_add(x, step, shares[jnp.argmin(lax.map(cost, shares))]))


@jax.jit
def _draw(
    density: Complex[Array, "z y x"], frames: Float[Array, "frame 4"], fit: JointFit, key: Array
) -> Float[Array, "frame 4"]:
    """Draw a deviation of the frames."""
    x = fit.unknowns(density, frames)
    now, forward = jax.linearize(fit.residuals, x)
    transpose = jax.linear_transpose(forward, x)
    keys = jax.random.split(key, 5)
    noise = tuple(jax.random.normal(one, part.shape) for one, part in zip(keys, now, strict=False))
    damped = _Unknowns(*(jax.random.normal(one, part.shape) for one, part in zip(keys[2:], x, strict=True)))
    rest = _add(transpose(noise)[0], damped, jnp.sqrt(jnp.asarray(_DAMPING, jnp.float32)))
    return fit.parts(_solve(forward, transpose, rest, _INNER_DRAW))[1]


def _solve(
    forward: Callable[[_Unknowns], tuple[Array, Array]],
    transpose: Callable[[tuple[Array, Array]], tuple[_Unknowns]],
    rest: _Unknowns,
    iterations: int,
) -> _Unknowns:
    """Solve the damped normal equations by conjugate gradients, from 0."""

    def product(v: _Unknowns) -> _Unknowns:
        return _add(transpose(forward(v))[0], v, jnp.asarray(_DAMPING, jnp.float32))

    def iterate(_: Array, state: tuple[_Unknowns, _Unknowns, _Unknowns]) -> tuple[_Unknowns, _Unknowns, _Unknowns]:
        solution, rest, direction = state
        along, before = product(direction), _energy(rest)
        length = before / jnp.maximum(_inner(direction, along), 1e-30)
        solution, rest = _add(solution, direction, length), _add(rest, along, -length)
        return solution, rest, _add(rest, direction, _energy(rest) / jnp.maximum(before, 1e-30))

    zero = jax.tree.map(jnp.zeros_like, rest)
    solution: _Unknowns = lax.fori_loop(0, iterations, iterate, (zero, rest, rest))[0]
    return solution


def _scaled(a: _Unknowns, factor: float) -> _Unknowns:
    product: _Unknowns = jax.tree.map(lambda u: factor * u, a)
    return product


def _add(a: _Unknowns, b: _Unknowns, factor: Float[Array, ""]) -> _Unknowns:
    total: _Unknowns = jax.tree.map(lambda u, v: u + factor * v, a, b)
    return total


def _inner(a: tuple[Array, ...], b: tuple[Array, ...]) -> Float[Array, ""]:
    return jnp.sum(jnp.stack([jnp.vdot(u, v) for u, v in zip(a, b, strict=True)]))


def _energy(a: tuple[Array, ...]) -> Float[Array, ""]:
    return _inner(a, a)
