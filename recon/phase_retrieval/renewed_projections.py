"""Projections from a density that is nearly known, which lead out of its errors.

Arrays are (z, y, x) in FFT order (origin at index 0).
"""

from collections.abc import Callable

import jax
from jaxtyping import Array, Complex

from .lost_frames import init_measured
from .multiresolution import resize
from .pattern import DevicePattern
from .recipe import final_density, init_state_from_density, run_stage
from .refinement import RefinementState
from .stages import Stage
from .starts import INITIAL_THRESHOLD

_THRESHOLD = 0.25
STAGES = (
    *(Stage("hio", 0.7, 25, False, shrink_wrap=(sigma, _THRESHOLD)) for sigma in (1.4, 1.3, 1.2, 1.2, 1.1, 1.0)),
    *(Stage("er", 0.7, 15, False, shrink_wrap=(1.0, _THRESHOLD)),) * 2,
)
"""Projections of one call."""


def project_anew(
    density: Complex[Array, "z y x"], gapless: DevicePattern, frames: int, part_done: Callable[[int], None]
) -> RefinementState:
    """Run the projections from a density, and initialise the refinement of their outcome.

    Args:
        density: Density, in an array with as many planes as frames were measured.
        gapless: Pattern of the projections.
        frames: Number of measured frames.
        part_done: Callback after each stage, with its iterations; it may raise to end the projections.
    """
    nz, ny, nx = gapless.counts.shape
    state = init_state_from_density(resize(density, (nz, ny, nx)), jax.random.key(0), INITIAL_THRESHOLD, gapless)
    for stage in STAGES:
        state = run_stage(state, gapless, stage)
        state.iterate.block_until_ready()  # A request to stop waits for one stage, not for all.
        part_done(stage.iterations)
    return init_measured(final_density(state, gapless), state.support, state.point_spread, frames)
