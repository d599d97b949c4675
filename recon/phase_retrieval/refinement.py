"""Refinement of a density by the Poisson likelihood of the counts, with point-spread function and background.

Conjugate gradients (Polak & Ribière) on the density within its support. Along a direction d the coherent intensity is
|F + tD|² = |F|² + 2t Re F*D + t²|D|², so that the line search needs no FFT: Newton's method finds where the slope of
the deviance vanishes. Every few iterations the widths and the background take a step of Fisher's scoring, and the
support is drawn a little wider than the object, so that its soft edges stay within.

Below `LEAST_COUNTS` the deviance goes on along its tangent: it stays convex in the counts, and dark pixels keep a
slope.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, Int

from ...physics.diffraction.far_field import LEAST_COUNTS, far_field
from ...physics.psf import convolve_gaussian
from .pattern import DevicePattern, PointSpread
from .projections import abs2, advance, scaled
from .psf_fit import fit_blur
from .settings import RefineSettings
from .support import shrink_wrap

BLOCK = 5
"""Iterations between two steps of the widths and the background."""
SUPPORT_BLOCKS = 8
"""Blocks between two updates of the support, in the first half of the refinement."""
SUPPORT_SIGMA = 1.0
"""[voxel] Blur of the amplitude that the refined support is drawn around."""
_NEWTON = 3


class Refined(NamedTuple):
    """A density under refinement.

    Args:
        density: Corner order.
        support: 1 where the density may be.
        blur: Point-spread function and background.
        gradient: Of the deviance, at the last iteration but for what changed since; 0 before the first.
        direction: That was to be searched next.
    """

    density: Complex[Array, "z y x"]
    support: Float[Array, "z y x"]
    blur: PointSpread
    gradient: Complex[Array, "z y x"]
    direction: Complex[Array, "z y x"]


class _Search(NamedTuple):
    """Conjugate gradients between two iterations; ``wave`` and ``counts`` belong to ``density``."""

    density: Complex[Array, "z y x"]
    wave: Complex[Array, "z y x"]
    counts: Float[Array, "z y x"]
    gradient: Complex[Array, "z y x"]
    direction: Complex[Array, "z y x"]


def begin(density: Complex[Array, "z y x"], support: Float[Array, "z y x"], blur: PointSpread) -> Refined:
    """Start from a density."""
    density = scaled(density, support)
    return Refined(density, support, blur, jnp.zeros_like(density), jnp.zeros_like(density))


def blocks_of(iterations: int) -> list[int]:
    """Cut the iterations into blocks."""
    whole, rest = divmod(iterations, BLOCK)
    return [BLOCK] * whole + ([rest] if rest else [])


def refine_block(
    state: Refined, pattern: DevicePattern, iterations: int, settings: RefineSettings, *, wrap: bool = False
) -> Refined:
    """Refine by one block.

    Args:
        state: Where to start.
        pattern: The measurement.
        iterations: Of conjugate gradients.
        settings: Whether the widths and the background are fitted, and the support's threshold.
        wrap: Whether to draw the support anew before.
    """
    if wrap:
        state = wrapped(state, settings.threshold)
    if settings.psf or settings.background:
        wanted = {"psf": settings.psf, "background": settings.background}
        state = state._replace(blur=fit_blur(state.density, state.support, pattern, state.blur, **wanted))
    coherent = not settings.psf and not bool(jnp.any(state.blur.sigmas > 0))
    refined: Refined = _descend(state, pattern, jnp.asarray(iterations, jnp.int32), coherent=coherent)
    return refined


@jax.jit
def wrapped(state: Refined, threshold: Float[Array, ""] | float) -> Refined:
    """Draw the support a little wider than the object, and cut the object to it."""
    support = shrink_wrap(state.density, state.support, SUPPORT_SIGMA, threshold)
    return state._replace(support=support, density=scaled(state.density, support))


@partial(jax.jit, static_argnames="coherent")
def _descend(state: Refined, pattern: DevicePattern, count: Int[Array, ""], *, coherent: bool) -> Refined:
    def spread(values: Float[Array, "z y x"]) -> Float[Array, "z y x"]:
        return values if coherent else convolve_gaussian(values, state.blur.sigmas)

    def counted(values: Float[Array, "z y x"]) -> Float[Array, "z y x"]:
        return pattern.exposure * spread(values)

    def gradient_at(wave: Complex[Array, "z y x"], counts: Float[Array, "z y x"]) -> Complex[Array, "z y x"]:
        slope = pattern.exposure * pattern.fitted * (1.0 - pattern.counts / jnp.maximum(counts, LEAST_COUNTS))
        return scaled(jnp.fft.ifftn(scaled(wave, spread(slope))), state.support)

    def step(_: Array, now: _Search) -> _Search:
        along = far_field(now.direction)
        first = counted(2.0 * (now.wave.real * along.real + now.wave.imag * along.imag))
        second = counted(abs2(along))
        t = _length(now.counts, first, second, pattern)
        density, wave = advance(now.density, now.direction, t), advance(now.wave, along, t)
        counts = now.counts + t * (first + t * second)
        gradient = gradient_at(wave, counts)
        return _Search(density, wave, counts, gradient, _conjugate(gradient, now.gradient, now.direction))

    density = scaled(state.density, state.support)
    wave = far_field(density)
    counts = counted(abs2(wave)) + pattern.exposure * state.blur.background
    gradient = gradient_at(wave, counts)
    direction = scaled(_conjugate(gradient, state.gradient, state.direction), state.support)
    found = lax.fori_loop(0, count, step, _Search(density, wave, counts, gradient, direction))
    return state._replace(density=found.density, gradient=found.gradient, direction=found.direction)


def _inner(a: Complex[Array, "z y x"], b: Complex[Array, "z y x"]) -> Float[Array, ""]:
    return jnp.sum(a.real * b.real + a.imag * b.imag)


def _conjugate(
    gradient: Complex[Array, "z y x"], former: Complex[Array, "z y x"], direction: Complex[Array, "z y x"]
) -> Complex[Array, "z y x"]:
    """Direction of the next search (Polak & Ribière), or downhill where that would not go down."""
    energy, before = _inner(gradient, gradient), _inner(former, former)
    share = jnp.maximum((energy - _inner(gradient, former)) / jnp.maximum(before, 1e-30), 0.0)
    share = jnp.where((before > 0) & (share * _inner(direction, gradient) < energy), share, 0.0)
    return advance(-gradient, direction, share)


def _length(
    counts: Float[Array, "z y x"], first: Float[Array, "z y x"], second: Float[Array, "z y x"], pattern: DevicePattern
) -> Float[Array, ""]:
    """Find how far to go: Newton's method on the slope of the deviance of counts + t·first + t²·second."""

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
