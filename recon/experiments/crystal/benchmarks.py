"""Hot functions of phase retrieval and of the crystal's network, with what they cannot do without."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...benchmarking.case import Benchmark, Case, Size
from ...benchmarking.floors import transform_bytes, transform_loop, work_loop, work_of
from ...io.network_file import SHIPPED, read
from ...networks.weights import load_network
from ...phase_retrieval.data import DiffractionData
from ...phase_retrieval.pattern import DevicePattern, PointSpread, to_device_pattern
from ...phase_retrieval.recipe import constraints_of, init_state, iterate_gps, iterate_linear
from ...phase_retrieval.refinement import descend, init_refinement
from ...phase_retrieval.stages import Stage
from ..base import Experiment
from ..benchmark_job import small_job
from .network import flow
from .network.denoiser import CrystalDenoiser, PatternBatch, autocorrelation

EDGES = (48, 64, 96, 128, 192, 256, 384, 512)
SIZE = Size(48, 1)
GOAL, COHERENCE_GOAL = 1.2, 1.3
"""Largest ratios of an iteration's time to that of its two transforms, without and with partial coherence."""
MASKED = 0.05
"""Fraction of the pixels that are masked."""
SIGMA = 0.5
"""[pixel] Width of the point-spread function of partial coherence."""
FLOW_EDGE, DRAWS = 64, 4
"""Edge of the network's lattice, and number of draws."""
JOB_SIZE = Size(48, 2)
_JOB_RECIPE, _JOB_REFINEMENT = {"hio": 40, "er": 10}, 20
"""Numbers of iterations of a whole small run."""
_CALL_SAMPLES = 1 << 23
"""Number of samples that the iterations of a call transform: of small arrays there are more."""
_ARRAYS = 14
"""Number of complex arrays in memory, as in the estimate of phasing."""


def benchmarks(experiment: Experiment) -> tuple[Benchmark, ...]:
    """List iterations of the projections and of the refinement, a step of the network's flow, and a whole phasing."""

    def sized(
        name: str, build: Callable[[Size], Case], goal: float | None = None, edges: tuple[int, ...] = EDGES[:1]
    ) -> Benchmark:
        return Benchmark(name, build, SIZE, _memory, edges, batch_name="start", goal=goal)

    changes: dict[str, Any] = {
        "simulate": {"shape": [JOB_SIZE.edge] * 3},
        "phase": {
            "starts": JOB_SIZE.batch,
            "network_starts": 0,
            "keep": 1,
            "recipe": [{name: {"iterations": count}} for name, count in _JOB_RECIPE.items()],
            "refine": {"iterations": _JOB_REFINEMENT},
        },
    }
    return (
        sized("projection", partial(projection_case, "hio", coherent=True), GOAL, EDGES),
        sized("projection, partial coherence", partial(projection_case, "hio", coherent=False), COHERENCE_GOAL, EDGES),
        sized("projection, GPS", partial(projection_case, "gps", coherent=True)),
        sized("refinement iteration", refinement_case),
        Benchmark("flow step", flow_case, Size(FLOW_EDGE, DRAWS), lambda size: 3e8 * size.batch, batch_name="draws"),
        small_job(experiment, "phase", changes, _job_floor, JOB_SIZE, "starts"),
    )


def simulated_counts(edge: int) -> Float[np.ndarray, "z y x"]:
    """Simulate the counts of a centred block; any pattern serves."""
    line = np.sinc((np.arange(edge) - edge // 2) / 3) ** 2
    expected = 1e5 * line[:, None, None] * line[:, None] * line
    return np.random.default_rng(0).poisson(expected).astype(np.float64)


def synthetic_pattern(edge: int) -> DevicePattern:
    """Mask some pixels of simulated counts."""
    counts = simulated_counts(edge)
    good = np.random.default_rng(1).random(counts.shape) >= MASKED
    good[tuple(n // 2 for n in counts.shape)] = True
    return to_device_pattern(DiffractionData(counts, good.astype(np.float32)), 0.05, 0)


def iterations_in_call(edge: int) -> int:
    """Number of iterations of a call."""
    return max(2, min(60, _CALL_SAMPLES // edge**3))


def projection_case(method: str, size: Size, *, coherent: bool) -> Case:
    """Case of iterations of a method, as in a stage of a recipe but without a fit of the point spread."""
    pattern, count = synthetic_pattern(size.edge), iterations_in_call(size.edge)
    state = init_state(pattern, jax.random.key(0), 0.1)
    if not coherent:
        sigmas = jnp.full(3, SIGMA, jnp.float32)
        state = state._replace(point_spread=state.point_spread._replace(sigmas=sigmas))
    constraints = constraints_of(Stage(method, 0.9, count, not coherent), state)
    function = partial(iterate_gps if method == "gps" else iterate_linear, coherent=coherent)
    first = (state.iterate, state.dual) if method == "gps" else state.iterate
    arguments = (first, pattern, constraints, jnp.asarray(count, jnp.int32))
    return _case(function, arguments, size, count, transforms=2)


def refinement_case(size: Size) -> Case:
    """Case of conjugate gradients on the density under partial coherence."""
    pattern, count = synthetic_pattern(size.edge), iterations_in_call(size.edge)
    state = init_state(pattern, jax.random.key(0), 0.1)
    spread = PointSpread(jnp.full(3, SIGMA, jnp.float32), jnp.ones((), jnp.float32))
    refined = init_refinement(state.iterate, state.support, spread)
    arguments = (refined, pattern, jnp.asarray(count, jnp.int32))
    return _case(partial(descend, coherent=False), arguments, size, count, transforms=2, carries_state=False)


def _case(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    size: Size,
    count: int,
    *,
    transforms: int,
    carries_state: bool = True,
) -> Case:
    shape, total = (size.edge,) * 3, count * transforms
    return Case(
        function,
        arguments,
        transform_loop(shape, 3, total),
        f"{transforms} transforms of {size.edge}^3",
        transform_bytes(shape, total),
        count,
        carries_state,
    )


def flow_case(size: Size) -> Case:
    """Case of a step of the shipped network's flow, for several densities."""
    denoiser = load_network(read(SHIPPED, "crystal"), CrystalDenoiser)
    leaves, structure = jax.tree.flatten(denoiser)
    shape = (size.batch, *(size.edge,) * 3)
    amplitude = jnp.asarray(np.random.default_rng(0).random(shape), jnp.float32)
    pattern = PatternBatch(amplitude, jnp.ones(shape, jnp.float32), jnp.zeros((size.batch, 5), jnp.float32))

    def step(leaves: list[Any], *arrays: Any) -> Any:
        return flow.advance(jax.tree.unflatten(structure, leaves), *arrays)

    noise = flow.noise(jax.random.key(0), size.batch)
    arguments = (leaves, noise, pattern, jax.jit(autocorrelation)(pattern), jnp.float32(0.25), jnp.float32(0.5))
    return Case(step, arguments, work_loop(work_of(step, arguments)), "its matrix products and transforms")


def _memory(size: Size) -> float:
    return float(8 * _ARRAYS * size.edge**3)


def _job_floor(size: Size) -> tuple[Callable[[], Any], str]:
    """Two transforms for each iteration of each start, and of the refinement of the one that is kept."""
    cube, count = (size.edge,) * 3, 2 * sum(_JOB_RECIPE.values())
    starts = transform_loop((size.batch, *cube), 3, count, on_all_devices=True)
    refinement = transform_loop(cube, 3, 2 * _JOB_REFINEMENT)
    total = size.batch * count + 2 * _JOB_REFINEMENT
    return lambda: (starts(), refinement()), f"{total} transforms of {size.edge}^3"
