"""Refinement of a density together with the angle, the roll and the flux of each frame.

Steps of the frames (`frame_fit`) alternate with blocks of the refinement. The withheld pixels judge the result: it is
taken only if it explains them better than the density alone, under the frames as the instrument states them. An
interrupted run repeats it from its beginning, to the same numbers. Arrays are in FFT order.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .frame_corrections import FrameCorrections
from .frame_fit import FrameParameters, corrected_pattern, fit_frames, no_corrections
from .pattern import DevicePattern
from .refinement import (
    SUPPORT_BLOCKS,
    RefinementState,
    end_refinement,
    free_llk,
    init_refinement,
    refine_block,
    split_iterations,
)
from .settings import RefineSettings

GAIN = 0.9
"""Ratio of free likelihoods below which fitted frames are taken: frames that were as stated reached 0.95."""
PASSES = 2
"""Number of times that the iterations of the refinement are run with the frames."""
_PATIENCE = 16
"""Blocks without a better free likelihood after which it ends."""

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
        block_done: Callback before each block, with its iterations; it may raise to end the refinement.
    """
    corrections, before = no_corrections(stated), free_llk(state, stated)
    now = init_refinement(state.density, state.support, state.point_spread)
    best, best_corrections, least, best_block = end_refinement(now), corrections, np.inf, 0
    blocks = split_iterations(settings.iterations) * PASSES
    for i, iterations in enumerate(blocks):
        if i - best_block > _PATIENCE:
            iterations = sum(blocks[i:])
            block_done(iterations)
            break
        block_done(iterations)
        corrections = fit_frames(now.density, now.point_spread, stated, corrections, settings.fitted_frames)
        pattern = corrected_pattern(stated, corrections)
        shrink = i % SUPPORT_BLOCKS == 0 and 2 * i < len(blocks)
        now = refine_block(now, pattern, iterations, settings, shrink=shrink)
        llk_free = free_llk(now, pattern)
        if llk_free < least:
            best, best_corrections, least, best_block = end_refinement(now), corrections, llk_free, i
    taken = least < GAIN * before
    _log.info("frames fitted: free LLK %.4g, before %.4g: %s", least, before, "taken" if taken else "not taken")
    numbers = {"frames_llk_free": float(least), "frames_llk_free_before": before, "frames_taken": float(taken)}
    if not taken:
        return FrameRefinement(state, stated, None, numbers)
    fitted = _to_host(best_corrections)
    return FrameRefinement(best, corrected_pattern(stated, best_corrections), fitted, numbers | fitted.numbers())


def _to_host(corrections: FrameParameters) -> FrameCorrections:
    """Bring corrections to the host, in the order of the frames."""
    offsets, flux = np.asarray(corrections.offsets, np.float64), np.exp(np.asarray(corrections.flux, np.float64))
    return FrameCorrections(np.fft.fftshift(offsets, axes=0), np.fft.fftshift(flux))
