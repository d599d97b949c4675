"""Many random starts through one recipe: one after the other on a CPU, whose cache holds one; at once on a GPU.

A start is known by its number: the seed and the number give its random density, whatever was computed before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from ...physics.diffraction.far_field import ifftshift3
from . import refinement
from .pattern import DevicePattern, PointSpread, quality
from .recipe import ProjectionState, Stage, final_density, init_state, init_state_at, run_stage
from .settings import RefineSettings

STAGNATED_ABOVE = 1.5
"""Likelihood, of fitted and of free pixels alike, in units of the best start's, above which a start has stagnated."""
POLISH = 40
"""Iterations of refinement before a start is judged: without them the point-spread function outweighs the phases."""
GIVEN_THRESHOLD = 0.2
"""Least blurred amplitude within the first support of a density that is given, in units of its rms."""
LARGEST_SUPPORT = 0.5
"""Part of the array that no support should fill: the oversampling would be below what phasing needs."""
LEAST_SUPPORT = 8
"""[voxel] Fewer are no object."""
_GPU_BYTES = 4e9


class StartOutcome(Enum):
    """How a start ended; the value is the sentence for people."""

    CONVERGED = "It explains the pattern about as well as the best start."
    STAGNATED = "It stagnated: it explains the pattern far worse than the best start."
    COLLAPSED = "Its support shrank to a few voxels or filled the array."
    DISAGREES = "It explains the pattern but is another object than the best start's."


@dataclass(frozen=True)
class Start:
    """A start that went through the whole recipe and was polished. Corner order.

    Args:
        number: Which start it is.
        density: Within its support.
        support: 1 inside.
        sigmas: [pixel] Of the point-spread function; 0 where the recipe has none.
        background: Counts.
        llk: Poisson deviance per fitted pixel.
        llk_free: The same for the withheld pixels.
        chi_rms: Relative error of the fitted amplitudes.
    """

    number: int
    density: Complex[np.ndarray, "z y x"]
    support: Float[np.ndarray, "z y x"]
    sigmas: Float[np.ndarray, "3"]
    background: float
    llk: float
    llk_free: float
    chi_rms: float

    @property
    def blur(self) -> PointSpread:
        """Point-spread function and background, on the device."""
        return PointSpread(jnp.asarray(self.sigmas, jnp.float32), jnp.asarray(self.background, jnp.float32))

    @property
    def filled(self) -> float:
        """Part of the array that the support fills."""
        return float(np.mean(self.support))


def group_size(shape: tuple[int, ...], starts: int) -> int:
    """How many starts to compute at once on this machine."""
    if jax.default_backend() == "cpu":
        return 1
    return int(np.clip(_GPU_BYTES / (100 * np.prod(shape)), 1, starts))


def size_of(state: ProjectionState) -> int:
    """How many starts a state holds."""
    return int(state.iterate.shape[0]) if state.iterate.ndim > 3 else 1


def init_starts(
    pattern: DevicePattern,
    seed: int,
    numbers: Sequence[int],
    threshold: float,
    given: Complex[np.ndarray, "k z y x"] | None = None,
) -> ProjectionState:
    """Begin some starts; with more than one, the arrays have a first axis.

    Args:
        pattern: The measurement.
        seed: Of the random starts.
        numbers: Which of the starts.
        threshold: Of the autocorrelation, for the first support of a random start.
        given: Densities to begin from instead, one for each start of all, centred.
    """
    keys = [jax.random.fold_in(jax.random.key(seed), number) for number in numbers]
    if given is None:
        states = [init_state(pattern, key, threshold) for key in keys]
    else:
        densities = [jnp.asarray(ifftshift3(given[number]), jnp.complex64) for number in numbers]
        states = [init_state_at(one, key, GIVEN_THRESHOLD) for one, key in zip(densities, keys, strict=True)]
    if len(states) == 1:
        alone: ProjectionState = states[0]
        return alone
    return ProjectionState(*jax.tree.map(lambda *leaves: jnp.stack(leaves), *states))


def run_group_stage(
    state: ProjectionState,
    pattern: DevicePattern,
    legs: Sequence[Stage],
    first: int,
    stop: Callable[[], str | None],
    told: Callable[[int], None],
) -> tuple[ProjectionState, int]:
    """Go through the legs that are left, or until asked to stop.

    Args:
        state: Of one start or of a group.
        pattern: The measurement.
        legs: All of the recipe.
        first: Which to go on with.
        stop: Asked before each leg.
        told: Told of the iterations of each leg.

    Returns:
        The state, and the leg to go on with: the number of legs at the end.
    """
    grouped = size_of(state) > 1
    for i in range(first, len(legs)):
        if stop():
            return state, i
        advance = partial(run_stage, pattern=pattern, leg=legs[i])
        state = jax.vmap(advance)(state) if grouped else advance(state)
        state.iterate.block_until_ready()  # else the whole recipe is under way before anybody is asked to stop
        told(legs[i].iterations)
    return state, len(legs)


def finish_starts(
    state: ProjectionState, pattern: DevicePattern, numbers: Sequence[int], settings: RefineSettings
) -> list[Start]:
    """Polish and judge the starts of a group."""
    single = len(numbers) == 1
    states = [state] if single else [jax.tree.map(lambda leaf, i=i: leaf[i], state) for i in range(len(numbers))]
    return [_ended(one, pattern, number, settings) for one, number in zip(states, numbers, strict=True)]


def _ended(state: ProjectionState, pattern: DevicePattern, number: int, settings: RefineSettings) -> Start:
    polished = refinement.begin(final_density(state), state.support, state.blur)
    iterations = min(POLISH, settings.iterations)
    for i, count in enumerate(refinement.blocks_of(iterations)):
        polished = refinement.refine_block(polished, pattern, count, settings, wrap=i == 0)
    found = quality(polished.density, polished.blur, pattern)
    return Start(
        number,
        np.asarray(polished.density),
        np.asarray(polished.support),
        np.asarray(polished.blur.sigmas),
        float(polished.blur.background),
        float(found.llk),
        float(found.llk_free),
        float(found.chi_rms),
    )


def outcome_of(start: Mapping[str, Any], llk: float, llk_free: float, voxels: int) -> StartOutcome:
    """Say how a start ended.

    Args:
        start: Its ``llk``, ``llk_free`` and ``support`` (the part of the array that it fills).
        llk: Least likelihood of all starts.
        llk_free: Least free likelihood.
        voxels: Of the array.
    """
    filled = start["support"]
    if not np.isfinite(start["llk_free"]) or filled * voxels < LEAST_SUPPORT or filled > LARGEST_SUPPORT:
        return StartOutcome.COLLAPSED
    far = start["llk"] > STAGNATED_ABOVE * llk and start["llk_free"] > STAGNATED_ABOVE * llk_free
    return StartOutcome.STAGNATED if far else StartOutcome.CONVERGED
