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

from .curve import UnevenCurve
from .multiresolution import crop_pattern, resample_density, resample_support, resize_pattern
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
from .uneven_updates import enter_planes, iterate_uneven, iterate_uneven_gps, leave_planes, project_planes

NEAR_SIGMA = 1.4
"""[voxel] Width of the Gaussian that blurs the amplitude for the support of an initial density."""


MARGIN = 3
"""Planes beside the support of a curve that is not even, into which the next support may grow along the frames."""


class ProjectionState(NamedTuple):
    """State of a start between two stages.

    Args:
        iterate: Iterate x; on a curve that is not even, the planes of its frames (`uneven_updates`).
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
    iterate, direction = enter_planes(density, pattern.curve), jax.random.normal(second, (3,), jnp.float32)
    return ProjectionState(iterate, jnp.zeros_like(density), support, ideal_point_spread(), direction)


@jax.jit
def init_state_from_density(
    density: Complex[Array, "z y x"],
    key: Array,
    threshold: Float[Array, ""] | float,
    pattern: DevicePattern | None = None,
) -> ProjectionState:
    """Initialise a start from a density, within the support that its amplitude shows.

    Args:
        density: Density to start from.
        key: Key of the direction of half the support.
        threshold: Least blurred amplitude inside the support, relative to the level of the density.
        pattern: Measured pattern; None for an even curve.
    """
    intensity = abs2(density)
    # Mean intensity weighted by itself: unlike an rms over the array it does not depend on how much of it is empty.
    level = jnp.sum(intensity**2) / jnp.maximum(jnp.sum(intensity), 1e-30)
    bright = (intensity > threshold**2 * level).astype(jnp.float32)
    support = shrink_wrap(density, bright, NEAR_SIGMA, threshold)
    point_spread, direction = ideal_point_spread(), jax.random.normal(key, (3,), jnp.float32)
    iterate = density if pattern is None else enter_planes(density, pattern.curve)
    return ProjectionState(iterate, jnp.zeros_like(density), support, point_spread, direction)


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
    whole, pattern = pattern, crop_pattern(pattern, stage.band)
    state = _match_sampling(state, pattern, whole)
    if stage.partially_coherent:
        density = _density(state, pattern)
        state = state._replace(
            point_spread=fit_point_spread(density, state.support, pattern, state.point_spread, background=False)
        )
    full_support = state.support
    if stage.has_half_support:
        state = state._replace(support=_half_support(state, pattern))
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


def _match_sampling(state: ProjectionState, pattern: DevicePattern, whole: DevicePattern) -> ProjectionState:
    """Resample a state to the voxels of a pattern, where they differ, which is the middle of the whole one."""
    nz, ny, nx = pattern.counts.shape
    if state.support.shape == (nz, ny, nx):
        return state
    mz, my, mx = state.support.shape
    former, support = resize_pattern(whole, (mz, my, mx)), resample_support(state.support, (nz, ny, nx))
    iterate, dual = (
        enter_planes(resample_density(leave_planes(array, state.support, former.curve), (nz, ny, nx)), pattern.curve)
        for array in (state.iterate, state.dual)
    )
    return state._replace(iterate=iterate, dual=dual, support=support)


def _density(state: ProjectionState, pattern: DevicePattern) -> Complex[Array, "z y x"]:
    """Return the iterate as a density."""
    return state.iterate if pattern.positions is None else _leave_planes(state.iterate, state.support, pattern)


@jax.jit
def _leave_planes(
    iterate: Complex[Array, "z y x"], support: Float[Array, "z y x"], pattern: DevicePattern
) -> Complex[Array, "z y x"]:
    return leave_planes(iterate, support, pattern.curve)


@jax.jit
def final_density(state: ProjectionState, pattern: DevicePattern) -> Complex[Array, "z y x"]:
    """Return the density of a start: its iterate within the support."""
    return multiply_real(_density(state, pattern), state.support)


def _project(
    density: Complex[Array, "z y x"], pattern: DevicePattern, point_spread: PointSpread, coherent: bool
) -> Complex[Array, "z y x"]:
    """Project a density onto the measured moduli of an even curve."""
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
    support, curve = constraints.support, pattern.curve
    if isinstance(curve, UnevenCurve):
        project = partial(
            project_planes, pattern=pattern, point_spread=constraints.point_spread, curve=curve, coherent=coherent
        )
        ceiling = constraints.ceiling if capped else None
        return iterate_uneven(iterate, support, curve, project, constraints.update, count, ceiling)

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
    step_size, curve = constraints.update.inside_projected, pattern.curve
    if isinstance(curve, UnevenCurve):
        project = partial(
            project_planes, pattern=pattern, point_spread=constraints.point_spread, curve=curve, coherent=coherent
        )
        dual = partial(update_gps_dual, support=jnp.zeros_like(constraints.support), step=step_size)
        return iterate_uneven_gps(both, constraints.support, curve, project, dual, count)

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
    curve = pattern.curve
    if isinstance(curve, UnevenCurve):
        planes = project_planes(state.iterate, pattern, state.point_spread, curve, coherent=coherent)
        projected = leave_planes(planes, state.support, curve, MARGIN)
    else:
        projected = _project(state.iterate, pattern, state.point_spread, coherent)
    return shrink_wrap(projected, state.support, sigma, threshold)


@jax.jit
def _half_support(state: ProjectionState, pattern: DevicePattern) -> Float[Array, "z y x"]:
    """Select the side of the support along the state's direction."""
    return half_support(_density(state, pattern), state.support, state.direction)
