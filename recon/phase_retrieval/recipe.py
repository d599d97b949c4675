"""One start through a whole recipe: legs of iterations with one support each, compiled once for all methods and starts.

A leg is one call of a jitted loop of two FFTs an iteration; between legs the support, and under partial coherence the
point-spread function, follow the object. The state between two legs is all that is needed to go on.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, Int

from .multiresolution import middle_of, resampled, resampled_support
from .pattern import DevicePattern, PointSpread, no_blur
from .projections import UPDATES, Update, abs2, apply_update, coherent_projection, gps_dual, modulus_projection, scaled
from .psf_fit import fit_blur
from .settings import PhaseSettings, RecipeStep, ShrinkWrap
from .support import autocorrelation_support, half_support, random_density, shrink_wrap

NEAR_SIGMA = 1.4
"""[voxel] Blur of the amplitude that the support of a given density is drawn around."""
TWIN_ITERATIONS = 10
TWIN_AT = 0.25
"""Where in the recipe half a support breaks the symmetry, between two legs, and for how long."""
TWIN_LATEST = 0.5
"""Where in the recipe the next leg must begin at the latest: else the one before it is cut in two."""


class ProjectionState(NamedTuple):
    """A start between two legs.

    Args:
        iterate: x.
        dual: y of GPS; 0 before its first leg.
        support: 1 inside.
        blur: Point-spread function and background.
        direction: Side of the support that is kept against the twin.
    """

    iterate: Complex[Array, "z y x"]
    dual: Complex[Array, "z y x"]
    support: Float[Array, "z y x"]
    blur: PointSpread
    direction: Float[Array, "3"]


@dataclass(frozen=True)
class Stage:
    """Iterations with one support.

    Args:
        method: As in the recipe.
        beta: Relaxation.
        iterations: How many.
        psf: Whether partial coherence is modelled.
        wrap: Width [voxel] and threshold of the support's update after the leg; None for none.
        twin: Whether half the support is taken away for this leg.
        band: Part of each axis of the array, about its centre, that is phased.
    """

    method: str
    beta: float
    iterations: int
    psf: bool
    wrap: tuple[float, float] | None = None
    twin: bool = False
    band: float = 1.0


def stages_of(settings: PhaseSettings) -> tuple[Stage, ...]:
    """Cut a recipe into legs; the last leg's support update is left out, for nothing follows it."""
    legs = [leg for step in settings.recipe for leg in _legs_of_step(step)]
    if settings.twin:
        legs = _with_twin(legs)
    return (*legs[:-1], replace(legs[-1], wrap=None))


def never_wrapped(settings: PhaseSettings) -> list[str]:
    """Say of which steps the support is not updated although it has an interval: they are shorter than that."""
    said = []
    for number, step in enumerate(settings.recipe, 1):
        wrap, iterations = step.step.support, step.step.iterations
        if wrap is not None and wrap.every > iterations:
            every = f"its {iterations} iterations are fewer than support.every, {wrap.every}"
            said.append(f"step {number} of the recipe ({step.method}) does not update the support: {every}")
    return said


def _with_twin(legs: list[Stage]) -> list[Stage]:
    """Put half a support between two legs at a quarter of the recipe; a leg that goes on far beyond is cut there."""
    total = sum(leg.iterations for leg in legs)
    ends = [sum(leg.iterations for leg in legs[: i + 1]) for i in range(len(legs))]
    at = next(i for i, end in enumerate(ends) if end >= TWIN_AT * total)
    quarter = ceil(TWIN_AT * total)
    if ends[at] > TWIN_LATEST * total and quarter >= TWIN_ITERATIONS:  # of a short recipe it would be too large a part
        first = quarter - (ends[at] - legs[at].iterations)
        before = replace(legs[at], iterations=first, wrap=None)
        after = replace(legs[at], iterations=legs[at].iterations - first)
        legs = [*legs[:at], before, after, *legs[at + 1 :]]
    if at + 1 == len(legs):
        return legs
    beside = legs[at + 1]
    return [*legs[: at + 1], replace(beside, iterations=TWIN_ITERATIONS, wrap=None, twin=True), *legs[at + 1 :]]


def _legs_of_step(step: RecipeStep) -> list[Stage]:
    chosen = step.step
    wrap = chosen.support or ShrinkWrap(every=chosen.iterations)
    updates, rest = divmod(chosen.iterations, wrap.every)
    legs = []
    for i in range(updates):
        share = i / max(updates - 1, 1)
        width = (1 - share) * wrap.sigma[0] + share * wrap.sigma[1]
        follows = (width, wrap.threshold) if chosen.support else None
        legs.append(Stage(step.method, chosen.beta, wrap.every, chosen.psf, follows, band=chosen.band))
    return legs + ([Stage(step.method, chosen.beta, rest, chosen.psf, band=chosen.band)] if rest else [])


@jax.jit
def init_state(pattern: DevicePattern, key: Array, threshold: Float[Array, ""] | float) -> ProjectionState:
    """Fill the autocorrelation's support at random."""
    steady = pattern.counts / pattern.exposure
    support = autocorrelation_support(steady, pattern.fitted, threshold)
    first, second = jax.random.split(key)
    density = random_density(first, steady, pattern.fitted, support)
    return ProjectionState(
        density, jnp.zeros_like(density), support, no_blur(), jax.random.normal(second, (3,), jnp.float32)
    )


@jax.jit
def init_state_at(density: Complex[Array, "z y x"], key: Array, threshold: Float[Array, ""] | float) -> ProjectionState:
    """Begin from a density that is thought to be near, within the support that it shows."""
    intensity = abs2(density)
    # The object's amplitude, whatever the array's size: an rms over all of it would be the lower the emptier it is.
    level = jnp.sum(intensity**2) / jnp.maximum(jnp.sum(intensity), 1e-30)
    shown = (intensity > threshold**2 * level).astype(jnp.float32)
    inside = shrink_wrap(density, shown, NEAR_SIGMA, threshold)
    blur, direction = no_blur(), jax.random.normal(key, (3,), jnp.float32)
    return ProjectionState(density, jnp.zeros_like(density), inside, blur, direction)


def run_stage(state: ProjectionState, pattern: DevicePattern, leg: Stage) -> ProjectionState:
    """Go one leg, on the array's middle if the leg asks for no more of it."""
    pattern = middle_of(pattern, leg.band)
    state = _on_voxels_of(state, pattern)
    if leg.psf:
        state = state._replace(blur=fit_blur(state.iterate, state.support, pattern, state.blur, background=False))
    whole = state.support
    if leg.twin:
        state = state._replace(support=_halved(state))
    count = jnp.asarray(leg.iterations, jnp.int32)
    if leg.method == "gps":
        state = _gps(state, pattern, jnp.asarray(leg.beta, jnp.float32), count, coherent=not leg.psf)
    else:
        update = Update(*(jnp.asarray(number, jnp.float32) for number in UPDATES[leg.method](leg.beta)))
        state = _iterate(state, pattern, update, count, coherent=not leg.psf)
    state = state._replace(support=whole)
    if leg.wrap:
        sigma, threshold = leg.wrap
        state = _wrapped(state, pattern, sigma * leg.band, threshold, coherent=not leg.psf)
    return state


def _on_voxels_of(state: ProjectionState, pattern: DevicePattern) -> ProjectionState:
    """Bring a start to the voxels of a pattern, if those before were larger or smaller."""
    nz, ny, nx = pattern.counts.shape
    if state.support.shape == (nz, ny, nx):
        return state
    iterate, dual = (resampled(array, (nz, ny, nx)) for array in (state.iterate, state.dual))
    return state._replace(iterate=iterate, dual=dual, support=resampled_support(state.support, (nz, ny, nx)))


@jax.jit
def final_density(state: ProjectionState) -> Complex[Array, "z y x"]:
    """The density of a start: its iterate within the support."""
    return scaled(state.iterate, state.support)


def _projected(
    density: Complex[Array, "z y x"], pattern: DevicePattern, blur: PointSpread, coherent: bool
) -> Complex[Array, "z y x"]:
    if coherent:
        return modulus_projection(density, pattern.amplitude)
    return coherent_projection(density, pattern.amplitude, blur.sigmas, blur.background)


@partial(jax.jit, static_argnames="coherent")
def _iterate(
    state: ProjectionState, pattern: DevicePattern, update: Update, count: Int[Array, ""], *, coherent: bool
) -> ProjectionState:
    def step(_: Array, iterate: Complex[Array, "z y x"]) -> Complex[Array, "z y x"]:
        projected = _projected(iterate, pattern, state.blur, coherent)
        return apply_update(projected, iterate, state.support, update)

    return state._replace(iterate=lax.fori_loop(0, count, step, state.iterate))


@partial(jax.jit, static_argnames="coherent")
def _gps(
    state: ProjectionState, pattern: DevicePattern, beta: Float[Array, ""], count: Int[Array, ""], *, coherent: bool
) -> ProjectionState:
    def step(_: Array, both: tuple[Array, Array]) -> tuple[Array, Array]:
        iterate, dual = both
        projected = _projected(iterate - dual, pattern, state.blur, coherent)
        return projected, gps_dual(dual, projected, iterate, state.support, beta)

    iterate, dual = lax.fori_loop(0, count, step, (state.iterate, state.dual))
    return state._replace(iterate=iterate, dual=dual)


@partial(jax.jit, static_argnames="coherent")
def _wrapped(
    state: ProjectionState,
    pattern: DevicePattern,
    sigma: Float[Array, ""] | float,
    threshold: Float[Array, ""] | float,
    *,
    coherent: bool,
) -> ProjectionState:
    """Draw the support anew around what the measurement makes of the object."""
    projected = _projected(state.iterate, pattern, state.blur, coherent)
    return state._replace(support=shrink_wrap(projected, state.support, sigma, threshold))


@jax.jit
def _halved(state: ProjectionState) -> Float[Array, "z y x"]:
    return half_support(state.iterate, state.support, state.direction)
