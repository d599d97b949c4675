"""Random starts through one recipe: one after the other on a CPU, whose cache holds one; in groups on a GPU.

The seed and the number of a start determine its random density, whatever was computed before it. Arrays are (z, y, x)
in FFT order (origin at index 0); those of a group have a first axis more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from ...physics.diffraction.far_field import ifftshift3
from ..sharding import map_shards
from .lost_frames import init_measured
from .multiresolution import resize
from .pattern import DevicePattern, PointSpread, evaluate_fit
from .recipe import ProjectionState, final_density, init_state, init_state_from_density, run_stage
from .refinement import RefinementState, refine_block, split_iterations
from .settings import RecipeStep, RefineSettings
from .stages import Stage

STAGNATED_ABOVE = 1.5
"""Ratio to the best start's likelihood, for fitted and for free pixels, above which a start has stagnated."""
POLISH = 40
"""Iterations of refinement before a start is assessed: without them the point-spread function outweighs the phases."""
INITIAL_THRESHOLD = 0.2
"""Least blurred amplitude within the first support of an initial density, in units of its rms."""
LARGEST_SUPPORT = 0.5
"""Fraction of the array above which a support is too large: the oversampling would not suffice for phasing."""
LEAST_SUPPORT = 8
"""[voxel] Smallest support of an object."""
_GPU_BYTES = 4e9


def _compute_none() -> Complex[np.ndarray, "k z y x"]:
    return np.zeros((0, 0, 0, 0), np.complex64)


@dataclass(frozen=True)
class InitialStarts:
    """First starts of a run, with densities of another method instead of random ones.

    Args:
        count: Number of these starts.
        compute: Callback that computes their centred densities, once they are needed.
        recipe: Steps of these starts, which need not search as long; None for those of the other starts.
    """

    count: int = 0
    compute: Callable[[], Complex[np.ndarray, "k z y x"]] = _compute_none
    recipe: tuple[RecipeStep, ...] | None = None


class StartOutcome(Enum):
    """Outcome of a start; the value is its description."""

    CONVERGED = "It explains the pattern about as well as the best start."
    STAGNATED = "It stagnated: it explains the pattern far worse than the best start."
    COLLAPSED = "Its support shrank to a few voxels or filled the array."
    DISAGREES = "It explains the pattern but is another object than the best start's."


@dataclass(frozen=True)
class FinishedStart:
    """Start after the whole recipe and a short refinement, on the host.

    Args:
        number: Number of the start.
        density: Density within its support.
        support: 1 inside.
        sigmas: [pixel] Widths of the point-spread function; 0 where the recipe has none.
        background: [counts] Background in every pixel.
        llk: Poisson deviance per fitted pixel.
        llk_free: Poisson deviance per free pixel.
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

    def without_arrays(self) -> "FinishedStart":
        """Return the start without density and support, of which the refined ones are kept."""
        return replace(self, density=self.density[:0, :0, :0], support=self.support[:0, :0, :0])

    @property
    def point_spread(self) -> PointSpread:
        """Point-spread function and background, on the device."""
        return PointSpread(jnp.asarray(self.sigmas, jnp.float32), jnp.asarray(self.background, jnp.float32))

    @property
    def support_fraction(self) -> float:
        """Fraction of the array that the support fills."""
        return float(np.mean(self.support))


def group_size(shape: tuple[int, ...], starts: int) -> int:
    """Return the number of starts to compute at once on this machine: as many as the memory of its GPUs holds."""
    if jax.default_backend() == "cpu":
        return 1
    on_each = max(1, int(_GPU_BYTES / (100 * np.prod(shape))))
    return min(on_each * jax.local_device_count(), starts)


def count_starts(state: ProjectionState) -> int:
    """Return the number of starts that a state holds."""
    return int(state.iterate.shape[0]) if state.iterate.ndim > 3 else 1


def init_starts(
    pattern: DevicePattern,
    seed: int,
    numbers: Sequence[int],
    threshold: float,
    initial_densities: Complex[np.ndarray, "k z y x"] | None = None,
) -> ProjectionState:
    """Initialise a group of starts; with more than one, the arrays have a first axis.

    Args:
        pattern: Measured pattern.
        seed: Seed of the random starts.
        numbers: Numbers of the starts.
        threshold: Threshold of the autocorrelation, for the first support of a random start.
        initial_densities: Centred densities of these starts by number, instead of random ones.
    """
    keys = [jax.random.fold_in(jax.random.key(seed), number) for number in numbers]
    if initial_densities is None:
        states = [init_state(pattern, key, threshold) for key in keys]
    else:
        densities = [jnp.asarray(ifftshift3(initial_densities[number]), jnp.complex64) for number in numbers]
        nz, ny, nx = pattern.counts.shape
        densities = [resize(density, (nz, ny, nx)) for density in densities]
        states = [
            init_state_from_density(one, key, INITIAL_THRESHOLD, pattern)
            for one, key in zip(densities, keys, strict=True)
        ]
    if len(states) == 1:
        single: ProjectionState = states[0]
        return single
    return ProjectionState(*jax.tree.map(lambda *leaves: jnp.stack(leaves), *states))


def run_group_stage(
    state: ProjectionState | None,
    pattern: DevicePattern,
    stages: Sequence[Stage],
    first: int,
    should_stop: Callable[[], str | None],
    progress: Callable[[int], None],
) -> tuple[ProjectionState | None, int]:
    """Run the remaining stages, or until asked to stop.

    Args:
        state: State of one start or of a group; None in a process that has none of the group's.
        pattern: Measured pattern.
        stages: All stages of the recipe.
        first: Index of the first stage to run.
        should_stop: Callback before each stage; returns a reason to stop, or None.
        progress: Callback with the iterations of each stage done.

    Returns:
        The state, and the index of the next stage: the number of stages at the end.
    """
    grouped = state is not None and count_starts(state) > 1
    for i in range(first, len(stages)):
        if should_stop():
            return state, i
        if state is None:
            progress(stages[i].iterations)
            continue
        state = _run_group(state, pattern, stages[i]) if grouped else run_stage(state, pattern, stages[i])
        state.iterate.block_until_ready()  # else the whole recipe is queued before the first question to stop
        progress(stages[i].iterations)
    return state, len(stages)


def _run_group(state: ProjectionState, pattern: DevicePattern, stage: Stage) -> ProjectionState:
    """Run a stage of a group on all local devices: compiled as a whole on several, in its parts on one."""
    if jax.local_device_count() == 1:
        return _run_together(pattern, state, stage)
    advanced: ProjectionState = _run_shards(state, pattern, stage)
    return advanced


@partial(jax.jit, static_argnames="stage")
def _run_shards(state: ProjectionState, pattern: DevicePattern, stage: Stage) -> ProjectionState:
    advanced: ProjectionState = map_shards(partial(_run_together, stage=stage), pattern, state)
    return advanced


def _run_together(pattern: DevicePattern, state: ProjectionState, stage: Stage) -> ProjectionState:
    advanced: ProjectionState = jax.vmap(partial(run_stage, pattern=pattern, stage=stage))(state)
    return advanced


def refinements_of_starts(
    state: ProjectionState, count: int, pattern: DevicePattern, planes: int
) -> list[RefinementState]:
    """Initialise the refinements of the starts of a group that has gone through the recipe.

    Args:
        state: State of one start or of a group.
        count: Number of starts that it holds.
        pattern: Pattern of the projections.
        planes: Number of measured frames.
    """
    states = [state]
    if count > 1:  # They are refined one by one, on the first device.
        first = jax.local_devices()[0]
        states = [jax.device_put(jax.tree.map(lambda leaf, i=i: leaf[i], state), first) for i in range(count)]
    return [init_measured(final_density(one, pattern), one.support, one.point_spread, planes) for one in states]


def finish_start(
    refined: RefinementState, pattern: DevicePattern, number: int, settings: RefineSettings
) -> FinishedStart:
    """Refine a start shortly, and compare it with the measurement."""
    iterations = min(POLISH, settings.iterations)
    for i, count in enumerate(split_iterations(iterations)):
        refined = refine_block(refined, pattern, count, settings, shrink=i == 0)
    fit = evaluate_fit(refined.density, refined.point_spread, pattern)
    return FinishedStart(
        number,
        np.asarray(refined.density),
        np.asarray(refined.support),
        np.asarray(refined.point_spread.sigmas),
        float(refined.point_spread.background),
        float(fit.llk),
        float(fit.llk_free),
        float(fit.chi_rms),
    )


def classify_start(start: Mapping[str, Any], llk: float, llk_free: float, voxels: int) -> StartOutcome:
    """Classify a start by its likelihood and its support.

    Args:
        start: Row of a start: ``llk``, ``llk_free``, and ``support``, the fraction of the array that it fills.
        llk: Least likelihood of all starts.
        llk_free: Least free likelihood.
        voxels: Number of voxels of the array.
    """
    filled = start["support"]
    if not np.isfinite(start["llk_free"]) or filled * voxels < LEAST_SUPPORT or filled > LARGEST_SUPPORT:
        return StartOutcome.COLLAPSED
    far = start["llk"] > STAGNATED_ABOVE * llk and start["llk_free"] > STAGNATED_ABOVE * llk_free
    return StartOutcome.STAGNATED if far else StartOutcome.CONVERGED
