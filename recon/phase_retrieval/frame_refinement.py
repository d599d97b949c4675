"""Refinement of a density together with the angle, the roll and the flux of each frame.

Rounds of a joint fit within a tight support (`joint_frames`), of projections under the new frames, which lead out of
the density that wrong frames have bent, and of the refinement. The withheld pixels choose among the rounds, and judge
the result: it is taken only if it explains them better than the density alone, under the frames as the instrument
states them. An interrupted run repeats it from its beginning, to the same numbers. Arrays are in FFT order.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from ...physics.diffraction.far_field import fftshift3, ifftshift3
from .align import centring_shift
from .frame_corrections import FrameCorrections
from .frame_fit import FrameParameters, corrected_pattern, no_corrections, with_positions
from .joint_frames import fit_jointly, tight_support
from .lost_frames import fill_gaps, init_measured
from .multiresolution import resize
from .pattern import DevicePattern, PointSpread
from .recipe import final_density, init_state_from_density, run_stage
from .refinement import (
    SUPPORT_BLOCKS,
    RefinementState,
    end_refinement,
    free_llk,
    refine_block,
    split_iterations,
)
from .settings import RefineSettings
from .stages import Stage
from .starts import INITIAL_THRESHOLD

GAIN = 0.9
"""Ratio of free likelihoods below which fitted frames are taken."""
ROUNDS = 8
"""Largest number of rounds."""
PASSES = 2
"""Number of times that the rounds count the iterations of the refinement, in the progress."""
_PATIENCE = 4
"""Rounds without a better free likelihood after which it ends."""
_REFINED = 60
"""Iterations of the refinement in a round."""
_THRESHOLD = 0.25
_STAGES = (
    *(Stage("hio", 0.7, 25, False, shrink_wrap=(sigma, _THRESHOLD)) for sigma in (1.4, 1.3, 1.2, 1.2, 1.1, 1.0)),
    *(Stage("er", 0.7, 15, False, shrink_wrap=(1.0, _THRESHOLD)),) * 2,
)
"""Projections of a round."""
_BRIGHT = 1e-4
"""Share of the counts from which on a frame's correction counts in the mean and the slope of all."""

_log = logging.getLogger(__name__)


class FrameRefinement(NamedTuple):
    """Outcome of a refinement with the frames.

    Args:
        state: Density; the given one if the frames were not taken.
        pattern: Pattern under the fitted frames.
        corrections: Corrections of the frames; None if they were not taken.
        numbers: Free likelihoods before and after, and whether the frames were taken.
    """

    state: RefinementState
    pattern: DevicePattern
    corrections: FrameCorrections | None
    numbers: dict[str, float]


def refine_with_frames(
    state: RefinementState,
    stated: DevicePattern,
    settings: RefineSettings,
    block_done: Callable[[int], None] = lambda iterations: None,
) -> FrameRefinement:
    """Refine a density and the frames that the settings choose.

    Args:
        state: Refined density under the frames as the instrument states them.
        stated: Pattern with these frames; some pixels are withheld.
        settings: Choice of what is fitted, and number of iterations.
        block_done: Callback before each part of a round, with its iterations; it may raise to end the refinement.
    """
    corrections, before = no_corrections(stated), free_llk(state, stated)
    now, best, best_corrections, least, best_round = state, state, corrections, np.inf, 0
    each = PASSES * settings.iterations // ROUNDS
    for i in range(ROUNDS):
        if i - best_round > _PATIENCE:
            block_done((ROUNDS - i) * each)
            break
        block_done(each)
        density, corrections = _fit_frames(now, stated, corrections, settings, block_done)
        pattern = corrected_pattern(stated, corrections)
        now = _refine(_project(density, pattern, block_done), pattern, settings, block_done)
        llk_free = free_llk(now, pattern)
        _log.info("frames, round %d: free LLK %.4g, before %.4g", i + 1, llk_free, before)
        if llk_free < least:
            best, best_corrections, least, best_round = end_refinement(now), corrections, llk_free, i
    taken = least < GAIN * before
    _log.info("frames fitted: free LLK %.4g, before %.4g: %s", least, before, "taken" if taken else "not taken")
    numbers = {"frames_llk_free": float(least), "frames_llk_free_before": before, "frames_taken": float(taken)}
    if not taken:
        return FrameRefinement(state, stated, None, numbers)
    fitted = _to_host(best_corrections)
    return FrameRefinement(best, corrected_pattern(stated, best_corrections), fitted, numbers | fitted.numbers())


def _fit_frames(
    state: RefinementState,
    stated: DevicePattern,
    corrections: FrameParameters,
    settings: RefineSettings,
    block_done: Callable[[int], None],
) -> tuple[Complex[Array, "z y x"], FrameParameters]:
    """Fit density and frames within a tight support; the mean and the slope of the corrections are removed."""
    centred = fftshift3(np.asarray(state.density))
    centred = np.roll(centred, centring_shift(np.abs(centred) ** 2), axis=(0, 1, 2))
    density, support = (jnp.asarray(ifftshift3(array)) for array in (centred, tight_support(centred)))
    density, corrections = fit_jointly(
        density,
        support.astype(jnp.float32),
        _narrow_along(state.point_spread),
        with_positions(stated),
        corrections,
        settings.fitted_frames,
        partial(block_done, 0),
    )
    return _remove_gauge(density, corrections, stated)


def _narrow_along(point_spread: PointSpread) -> PointSpread:
    """Limit the width along the curve to those across: angles that jitter widen it."""
    along, *across = point_spread.sigmas
    return point_spread._replace(sigmas=jnp.stack([jnp.minimum(along, sum(across) / 2), *across]))


def _remove_gauge(
    density: Complex[Array, "z y x"], corrections: FrameParameters, stated: DevicePattern
) -> tuple[Complex[Array, "z y x"], FrameParameters]:
    """Remove the mean and the slope of the offsets; the density gets the ramp that stands for the mean."""
    totals = np.asarray(stated.counts.sum(axis=(1, 2)), np.float64)
    bright = totals > _BRIGHT * totals.sum()
    offsets, frames = np.array(corrections.offsets, np.float64), np.fft.fftfreq(len(totals)) * len(totals)
    for axis, n in enumerate(density.shape):
        slope, mean = np.polyfit(frames[bright], offsets[bright, axis], 1) if bright.sum() > 1 else (0.0, 0.0)
        offsets[:, axis] -= mean + slope * frames
        ramp = np.exp(-2j * np.pi * mean * np.fft.fftfreq(n)).astype(np.complex64)
        density = density * ramp.reshape([-1 if a == axis else 1 for a in range(3)])
    return density, corrections._replace(offsets=jnp.asarray(offsets, jnp.float32))


def _project(
    density: Complex[Array, "z y x"], pattern: DevicePattern, block_done: Callable[[int], None]
) -> RefinementState:
    """Run the projections of a round from a density."""
    gapless = fill_gaps(pattern)
    density = resize(density, gapless.counts.shape)
    state = init_state_from_density(density, jax.random.key(0), INITIAL_THRESHOLD, gapless)
    for stage in _STAGES:
        block_done(0)
        state = run_stage(state, gapless, stage)
        state.iterate.block_until_ready()  # A request to stop waits for one stage, not for all.
    return init_measured(final_density(state, gapless), state.support, state.point_spread, len(pattern.counts))


def _refine(
    state: RefinementState, pattern: DevicePattern, settings: RefineSettings, block_done: Callable[[int], None]
) -> RefinementState:
    """Run the refinement of a round."""
    for i, iterations in enumerate(split_iterations(_REFINED)):
        block_done(0)
        state = refine_block(state, pattern, iterations, settings, shrink=i % SUPPORT_BLOCKS == 0)
    return state


def _to_host(corrections: FrameParameters) -> FrameCorrections:
    """Bring corrections to the host, in the order of the frames."""
    offsets, flux = np.asarray(corrections.offsets, np.float64), np.exp(np.asarray(corrections.flux, np.float64))
    return FrameCorrections(np.fft.fftshift(offsets, axes=0), np.fft.fftshift(flux))
