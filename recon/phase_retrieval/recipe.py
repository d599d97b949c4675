"""Run of the stages of a recipe.

A stage is one call of a jitted loop of two FFTs an iteration. One program serves all methods but GPS, which has its
own; it is compiled anew for each size of the array, for full and for partial coherence, and with and without a
ceiling: a choice within the loop would copy the iterate in each iteration. Between stages the support, and under
partial coherence the point-spread function, are updated. The state between two stages suffices to continue.
Arrays are (z, y, x) in FFT order (origin at index 0).
"""

from functools import partial
from math import isfinite
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, Int

from .multiresolution import crop_pattern, resample_density, resample_support
from .pattern import DevicePattern, PointSpread, ideal_point_spread
from .projections import (
    UPDATES,
    UpdateCoefficients,
    abs2,
    apply_update,
    cap_amplitude,
    modulus_projection,
    multiply_real,
    partially_coherent_projection,
    update_gps_dual,
)
from .psf_fit import fit_point_spread
from .stages import Stage
from .support import autocorrelation_support, half_support, random_density, shrink_wrap

NEAR_SIGMA = 1.4
"""[voxel] Width of the Gaussian that blurs the amplitude for the support of an initial density."""


class ProjectionState(NamedTuple):
    """State of a start between two stages.

    Args:
        iterate: Iterate x.
        dual: Dual variable y of GPS; 0 before its first stage.
        support: 1 inside.
        point_spread: Point-spread function and background.
        direction: Direction of the side of the support that is retained against the twin.
    """

    iterate: Complex[Array, "z y x"]
    dual: Complex[Array, "z y x"]
    support: Float[Array, "z y x"]
    point_spread: PointSpread
    direction: Float[Array, "3"]


@jax.jit
def init_state(pattern: DevicePattern, key: Array, threshold: Float[Array, ""] | float) -> ProjectionState:
    """Initialise a random start: the autocorrelation's support, filled at random.

    Args:
        pattern: Measured pattern.
        key: Key of the random density and of the direction of half the support.
        threshold: Least autocorrelation inside the support, as a fraction of its largest at a shift of one voxel.
    """
    steady = pattern.counts / pattern.exposure
    support = autocorrelation_support(steady, pattern.fitted, threshold)
    first, second = jax.random.split(key)
    density = random_density(first, steady, pattern.fitted, support)
    return ProjectionState(
        density, jnp.zeros_like(density), support, ideal_point_spread(), jax.random.normal(second, (3,), jnp.float32)
    )


@jax.jit
def init_state_from_density(
    density: Complex[Array, "z y x"], key: Array, threshold: Float[Array, ""] | float
) -> ProjectionState:
    """Initialise a start from a density, within the support that its amplitude shows.

    Args:
        density: Density to start from.
        key: Key of the direction of half the support.
        threshold: Least blurred amplitude inside the support, relative to the level of the density.
    """
    intensity = abs2(density)
    # Mean intensity weighted by itself: unlike an rms over the array it does not depend on how much of it is empty.
    level = jnp.sum(intensity**2) / jnp.maximum(jnp.sum(intensity), 1e-30)
    bright = (intensity > threshold**2 * level).astype(jnp.float32)
    support = shrink_wrap(density, bright, NEAR_SIGMA, threshold)
    point_spread, direction = ideal_point_spread(), jax.random.normal(key, (3,), jnp.float32)
    return ProjectionState(density, jnp.zeros_like(density), support, point_spread, direction)


class Constraints(NamedTuple):
    """Arrays and numbers of an iteration that stay the same through a stage.

    Args:
        support: 1 inside.
        point_spread: Point-spread function and background.
        update: Coefficients of the method; of GPS the step of its dual variable, as the first.
        ceiling: Largest amplitude inside the support.
    """

    support: Float[Array, "z y x"]
    point_spread: PointSpread
    update: UpdateCoefficients
    ceiling: Float[Array, ""]


def constraints_of(stage: Stage, state: ProjectionState) -> Constraints:
    """Collect the constraints of a stage, as arrays: one program serves all methods but GPS."""
    coefficients = (stage.beta,) * 4 if stage.method == "gps" else UPDATES[stage.method](stage.beta)
    update = UpdateCoefficients(*(jnp.asarray(number, jnp.float32) for number in coefficients))
    return Constraints(state.support, state.point_spread, update, jnp.asarray(stage.ceiling, jnp.float32))


def run_stage(state: ProjectionState, pattern: DevicePattern, stage: Stage) -> ProjectionState:
    """Run one stage, on the middle of the pattern where its band is below 1.

    The memory of the iterate is handed over: the state before the stage is no longer of use.
    """
    pattern = crop_pattern(pattern, stage.band)
    state = _match_sampling(state, pattern)
    if stage.partially_coherent:
        state = state._replace(
            point_spread=fit_point_spread(state.iterate, state.support, pattern, state.point_spread, background=False)
        )
    full_support = state.support
    if stage.has_half_support:
        state = state._replace(support=_half_support(state))
    count = jnp.asarray(stage.iterations, jnp.int32)
    coherent = not stage.partially_coherent
    constraints = constraints_of(stage, state)
    if stage.method == "gps":
        both = _iterate_gps((state.iterate, state.dual), pattern, constraints, count, coherent=coherent)
        state = state._replace(iterate=both[0], dual=both[1])
    else:
        kinds = {"coherent": coherent, "capped": isfinite(stage.ceiling)}
        state = state._replace(iterate=_iterate_linear(state.iterate, pattern, constraints, count, **kinds))
    state = state._replace(support=full_support)
    if stage.shrink_wrap:
        sigma, threshold = stage.shrink_wrap
        support = _update_support(state, pattern, sigma * stage.band, threshold, coherent=coherent)
        state = state._replace(support=support)
    return state


def _match_sampling(state: ProjectionState, pattern: DevicePattern) -> ProjectionState:
    """Resample a state to the voxels of a pattern, where they differ."""
    nz, ny, nx = pattern.counts.shape
    if state.support.shape == (nz, ny, nx):
        return state
    iterate, dual = (resample_density(array, (nz, ny, nx)) for array in (state.iterate, state.dual))
    return state._replace(iterate=iterate, dual=dual, support=resample_support(state.support, (nz, ny, nx)))


@jax.jit
def final_density(state: ProjectionState) -> Complex[Array, "z y x"]:
    """Return the density of a start: its iterate within the support."""
    return multiply_real(state.iterate, state.support)


def _project(
    density: Complex[Array, "z y x"], pattern: DevicePattern, point_spread: PointSpread, coherent: bool
) -> Complex[Array, "z y x"]:
    """Project a density onto the measured moduli."""
    if coherent:
        return modulus_projection(density, pattern.amplitude)
    return partially_coherent_projection(density, pattern.amplitude, point_spread.sigmas, point_spread.background)


def iterate_linear(
    iterate: Complex[Array, "z y x"],
    pattern: DevicePattern,
    constraints: Constraints,
    count: Int[Array, ""],
    *,
    coherent: bool,
    capped: bool = False,
) -> Complex[Array, "z y x"]:
    """Apply an update, linear in the iterate and its projection, a number of times; return the iterate."""
    support = constraints.support

    def step(_: Array, iterate: Complex[Array, "z y x"]) -> Complex[Array, "z y x"]:
        projected = _project(iterate, pattern, constraints.point_spread, coherent)
        if capped:
            projected = cap_amplitude(projected, support, constraints.ceiling)
        return apply_update(projected, iterate, support, constraints.update)

    result: Array = lax.fori_loop(0, count, step, iterate)
    return result


_iterate_linear = jax.jit(iterate_linear, static_argnames=("coherent", "capped"), donate_argnames="iterate")


def iterate_gps(
    both: tuple[Complex[Array, "z y x"], Complex[Array, "z y x"]],
    pattern: DevicePattern,
    constraints: Constraints,
    count: Int[Array, ""],
    *,
    coherent: bool,
) -> tuple[Complex[Array, "z y x"], Complex[Array, "z y x"]]:
    """Run generalised proximal smoothing for a number of iterations; takes and returns iterate and dual variable."""
    step_size = constraints.update.inside_projected

    def step(_: Array, both: tuple[Array, Array]) -> tuple[Array, Array]:
        iterate, dual = both
        projected = _project(iterate - dual, pattern, constraints.point_spread, coherent)
        return projected, update_gps_dual(dual, projected, iterate, constraints.support, step_size)

    iterate, dual = lax.fori_loop(0, count, step, both)
    return iterate, dual


_iterate_gps = jax.jit(iterate_gps, static_argnames="coherent", donate_argnames="both")


@partial(jax.jit, static_argnames="coherent")
def _update_support(
    state: ProjectionState,
    pattern: DevicePattern,
    sigma: Float[Array, ""] | float,
    threshold: Float[Array, ""] | float,
    *,
    coherent: bool,
) -> Float[Array, "z y x"]:
    """Compute the next support from the projection of the iterate onto the measured moduli."""
    projected = _project(state.iterate, pattern, state.point_spread, coherent)
    return shrink_wrap(projected, state.support, sigma, threshold)


@jax.jit
def _half_support(state: ProjectionState) -> Float[Array, "z y x"]:
    """Select the side of the support along the state's direction."""
    return half_support(state.iterate, state.support, state.direction)
