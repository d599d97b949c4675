"""Refinement of a density by the Poisson likelihood of the counts, with point-spread function and background.

Conjugate gradients (Polak & Ribière) on the density within its support. Along a direction d the coherent intensity is
|F + tD|² = |F|² + 2t Re F*D + t²|D|², so that the line search needs no FFT: Newton's method finds the zero of the
deviance's slope. Every few iterations the widths and the background take a step of Fisher's scoring, and the support is
set a little wider than the object, so that its soft edges stay within.

Below `LEAST_COUNTS` the deviance continues along its tangent: it stays convex in the counts, and dark pixels keep a
slope. Arrays are (z, y, x) in FFT order (origin at index 0).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, Int

from ...physics.diffraction.far_field import LEAST_COUNTS
from .pattern import DevicePattern, PointSpread, evaluate_fit
from .projections import abs2, add_scaled, multiply_real
from .psf_fit import fit_point_spread
from .settings import RefineSettings
from .support import shrink_wrap

BLOCK = 5
"""Iterations between two steps of the widths and the background."""
SUPPORT_BLOCKS = 8
"""Blocks between two updates of the support, in the first half of the refinement."""
SUPPORT_SIGMA = 1.0
"""[voxel] Width of the Gaussian that blurs the amplitude for the refined support."""
_NEWTON = 3


class RefinementState(NamedTuple):
    """State of a refinement between two blocks.

    Args:
        density: Density within its support; one refined with a margin rings faintly outside (`resample_refinement`).
        support: 1 inside.
        point_spread: Point-spread function and background.
        gradient: Gradient of the deviance at the last iteration; 0 before the first, empty after the end.
        direction: Next search direction; empty after the end.
    """

    density: Complex[Array, "z y x"]
    support: Float[Array, "z y x"]
    point_spread: PointSpread
    gradient: Complex[Array, "z y x"]
    direction: Complex[Array, "z y x"]


class RefinementUnderWay(NamedTuple):
    """Refinement between two of its blocks.

    Args:
        name: Name of the density that is refined.
        state: State after the blocks done.
        best: Ended state with the least free likelihood so far.
        least: That likelihood.
        best_block: Block after which it was reached.
        block: Number of blocks done.
    """

    name: str
    state: RefinementState
    best: RefinementState
    least: float
    best_block: int = 0
    block: int = 0


class _Search(NamedTuple):
    """State of the conjugate gradients between two iterations; ``wave`` and ``counts`` are those of ``density``."""

    density: Complex[Array, "z y x"]
    wave: Complex[Array, "z y x"]
    counts: Float[Array, "z y x"]
    gradient: Complex[Array, "z y x"]
    direction: Complex[Array, "z y x"]


def init_refinement(
    density: Complex[Array, "z y x"], support: Float[Array, "z y x"], point_spread: PointSpread
) -> RefinementState:
    """Initialise the refinement of a density."""
    density = multiply_real(density, support)
    return RefinementState(density, support, point_spread, jnp.zeros_like(density), jnp.zeros_like(density))


def end_refinement(state: RefinementState) -> RefinementState:
    """Drop the arrays that only further iterations need."""
    nothing = jnp.zeros((0, 0, 0), jnp.complex64)
    return state._replace(gradient=nothing, direction=nothing)


def free_llk(state: RefinementState, pattern: DevicePattern) -> float:
    """Compute the Poisson deviance per free pixel; per fitted pixel, where none are free."""
    return float(evaluate_fit(state.density, state.point_spread, pattern).llk_free)


def split_iterations(iterations: int) -> list[int]:
    """Cut the iterations into blocks."""
    whole, rest = divmod(iterations, BLOCK)
    return [BLOCK] * whole + ([rest] if rest else [])


def refine_block(
    state: RefinementState, pattern: DevicePattern, iterations: int, settings: RefineSettings, *, shrink: bool = False
) -> RefinementState:
    """Refine by one block.

    Args:
        state: State before the block.
        pattern: Measured pattern.
        iterations: Iterations of conjugate gradients.
        settings: Choice of the fitted parameters, and threshold of the support.
        shrink: Whether to update the support first.
    """
    if shrink:
        state = update_support(state, settings.threshold)
    if settings.psf or settings.background:
        state = state._replace(point_spread=_fit_point_spread(state, pattern, settings))
    coherent = not settings.psf and not bool(jnp.any(state.point_spread.sigmas > 0))
    density, gradient, direction = descend(state, pattern, jnp.asarray(iterations, jnp.int32), coherent=coherent)
    density.block_until_ready()  # Queued blocks would each hold their arrays.
    return state._replace(density=density, gradient=gradient, direction=direction)


def _fit_point_spread(state: RefinementState, pattern: DevicePattern, settings: RefineSettings) -> PointSpread:
    """Take a step of the widths and the background; of the background alone where the widths may not grow."""
    active = {"psf": settings.psf, "background": settings.background}
    point_spread = fit_point_spread(state.density, state.support, pattern, state.point_spread, **active)
    if all(active.values()) and bool(jnp.all(point_spread.sigmas == state.point_spread.sigmas)):
        return fit_point_spread(state.density, state.support, pattern, state.point_spread, psf=False)
    return point_spread


@jax.jit
def update_support(state: RefinementState, threshold: Float[Array, ""] | float) -> RefinementState:
    """Set the support a little wider than the object, and restrict the object to it."""
    support = shrink_wrap(state.density, state.support, SUPPORT_SIGMA, threshold)
    return state._replace(support=support, density=multiply_real(state.density, support))


@partial(jax.jit, static_argnames="coherent")
def descend(
    state: RefinementState, pattern: DevicePattern, count: Int[Array, ""], *, coherent: bool
) -> tuple[Complex[Array, "z y x"], Complex[Array, "z y x"], Complex[Array, "z y x"]]:
    """Run conjugate gradients; return the density, its gradient, and the next direction."""
    curve = pattern.curve

    def to_counts(values: Float[Array, "z y x"]) -> Float[Array, "z y x"]:
        return pattern.exposure * (values if coherent else curve.convolve(values, state.point_spread.sigmas))

    def from_counts(slope: Float[Array, "z y x"]) -> Float[Array, "z y x"]:
        return slope if coherent else curve.convolve_transposed(slope, state.point_spread.sigmas)

    def gradient_at(wave: Complex[Array, "z y x"], counts: Float[Array, "z y x"]) -> Complex[Array, "z y x"]:
        slope = pattern.exposure * pattern.fitted * (1.0 - pattern.counts / jnp.maximum(counts, LEAST_COUNTS))
        return multiply_real(curve.adjoint(multiply_real(wave, from_counts(slope))), state.support)

    def step(_: Array, now: _Search) -> _Search:
        along = curve.forward(now.direction)
        first = to_counts(2.0 * (now.wave.real * along.real + now.wave.imag * along.imag))
        second = to_counts(abs2(along))
        t = _step_length(now.counts, first, second, pattern)
        density, wave = add_scaled(now.density, now.direction, t), add_scaled(now.wave, along, t)
        counts = now.counts + t * (first + t * second)
        gradient = gradient_at(wave, counts)
        return _Search(density, wave, counts, gradient, _conjugate_direction(gradient, now.gradient, now.direction))

    density = multiply_real(state.density, state.support)
    wave = curve.forward(density)
    counts = to_counts(abs2(wave)) + pattern.exposure * state.point_spread.background
    gradient = gradient_at(wave, counts)
    direction = multiply_real(_conjugate_direction(gradient, state.gradient, state.direction), state.support)
    last = lax.fori_loop(0, count, step, _Search(density, wave, counts, gradient, direction))
    return last.density, last.gradient, last.direction


def _inner(a: Complex[Array, "z y x"], b: Complex[Array, "z y x"]) -> Float[Array, ""]:
    return jnp.sum(a.real * b.real + a.imag * b.imag)


def _conjugate_direction(
    gradient: Complex[Array, "z y x"], former: Complex[Array, "z y x"], direction: Complex[Array, "z y x"]
) -> Complex[Array, "z y x"]:
    """Compute the next search direction (Polak & Ribière), or steepest descent where that would not descend."""
    energy, before = _inner(gradient, gradient), _inner(former, former)
    share = jnp.maximum((energy - _inner(gradient, former)) / jnp.maximum(before, 1e-30), 0.0)
    share = jnp.where((before > 0) & (share * _inner(direction, gradient) < energy), share, 0.0)
    return add_scaled(-gradient, direction, share)


def _step_length(
    counts: Float[Array, "z y x"], first: Float[Array, "z y x"], second: Float[Array, "z y x"], pattern: DevicePattern
) -> Float[Array, ""]:
    """Compute the step length, by Newton's method on the slope of the deviance of counts + t·first + t²·second."""

    def newton(_: Array, t: Float[Array, ""]) -> Float[Array, ""]:
        modelled = counts + t * first + t**2 * second
        bounded = jnp.maximum(modelled, LEAST_COUNTS)
        rate = first + 2.0 * t * second
        ratio = pattern.counts / bounded
        slope = jnp.sum(pattern.fitted * (1.0 - ratio) * rate)
        curvature = jnp.where(modelled > LEAST_COUNTS, ratio / bounded, 0.0) * rate**2
        exact = jnp.sum(pattern.fitted * (curvature + 2.0 * (1.0 - ratio) * second))
        safe = jnp.sum(pattern.fitted * (curvature + 2.0 * second))
        return t - slope / jnp.maximum(jnp.where(exact > 0.1 * safe, exact, safe), 1e-30)

    t = lax.fori_loop(0, _NEWTON, newton, jnp.zeros((), jnp.float32))
    return jnp.maximum(t, 0.0)
