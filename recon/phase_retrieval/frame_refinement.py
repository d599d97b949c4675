"""Refinement of a density together with the angle, the roll and the flux of each frame.

Rounds of a joint fit within a tight support (`joint_frames`), of projections under the new frames, which lead out of
the density that wrong frames have bent, and of the refinement. The withheld pixels choose among the rounds. A last
joint fit (`final_joint_fit`) follows from the best, and is taken unless it explains the withheld pixels clearly worse
than the rounds. They judge the result as well: it is taken only if it explains them better than the density alone,
under the frames as the instrument states them. An interrupted run goes on with the round that it was in. Arrays are in
FFT order.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ...physics.diffraction.far_field import fftshift3, ifftshift3
from .align import centring_shift
from .final_joint_fit import FinalFit, fit_finally
from .frame_corrections import FrameCorrections
from .frame_fit import PRIOR, FrameParameters, corrected_pattern, no_corrections, with_positions
from .frame_gauge import bright_frames, fit_lines, remove_gauge
from .joint_frames import STEPS, fit_jointly, tight_support
from .lost_frames import fill_gaps, has_gaps
from .pattern import DevicePattern, PointSpread
from .refinement import (
    SUPPORT_BLOCKS,
    RefinementState,
    end_refinement,
    free_llk,
    refine_block,
    split_iterations,
)
from .renewed_projections import STAGES, project_anew
from .settings import RefineSettings

GAIN = 0.9
"""Ratio of free likelihoods below which fitted frames are taken, and the best of the rounds instead of the last fit.

On the voxels of the measured array the last fit loses some of what it has gained on finer ones: of a simulated curve it
had a free likelihood of 3.37 with angles wrong by 0.16 steps, the rounds 3.21 with 0.19 steps.
"""
ROUNDS = 8
"""Largest number of rounds."""
_PATIENCE = 4
"""Rounds without a better free likelihood after which it ends."""
_REFINED = 60
"""Iterations of the refinement in a round."""
CYCLES = 6
"""Cycles of the final fit, after each of which its support and its prior are set anew."""
CYCLES_ALONE = 3
"""Cycles of the final fit of the density alone, which begins where that with the frames has ended."""
_STEP_ITERATIONS = 60
"""Iterations that a joint step counts as in the progress: those of its conjugate gradients, forwards and backwards."""
ROUND_ITERATIONS = STEPS * _STEP_ITERATIONS + sum(stage.iterations for stage in STAGES) + _REFINED
"""Iterations of a round in the progress."""
FINAL_ITERATIONS = (CYCLES + CYCLES_ALONE) * STEPS * _STEP_ITERATIONS + 2 * _REFINED
"""Iterations of the final fits in the progress."""
_log = logging.getLogger(__name__)


class FramesUnderWay(NamedTuple):
    """Refinement with the frames between two of its rounds.

    Args:
        state: State after the rounds done.
        best: Ended state with the least free likelihood so far.
        corrections: Corrections of the frames.
        best_corrections: Those of the best state.
        least: Free likelihood of the best state.
        best_round: Round after which it was reached.
        round: Number of rounds done.
    """

    state: RefinementState
    best: RefinementState
    corrections: FrameParameters
    best_corrections: FrameParameters
    least: float = np.inf
    best_round: int = 0
    round: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether no round follows: all are done, or the last ones were no better."""
        return self.round >= ROUNDS or self.round - self.best_round > _PATIENCE


class FrameRefinement(NamedTuple):
    """Outcome of a refinement with the frames.

    Args:
        state: Density; if the frames were not taken the given one, or its final fit, if that is better.
        numbers: Free likelihoods before and after, and whether the frames were taken.
        parameters: Corrections of the frames; None if they were not taken.
        deviations: Standard deviations of the corrections, in FFT order as well; None likewise.
    """

    state: RefinementState
    numbers: dict[str, float]
    parameters: FrameParameters | None = None
    deviations: Float[np.ndarray, "frame 4"] | None = None

    def pattern(self, stated: DevicePattern) -> DevicePattern:
        """Return the pattern under the fitted frames, or as the instrument states it."""
        return stated if self.parameters is None else corrected_pattern(stated, self.parameters)

    def corrections(self) -> FrameCorrections | None:
        """Return the corrections on the host, in the order of the frames; None if they were not taken."""
        return None if self.parameters is None else _to_host(self.parameters, self.deviations)


def init_frames(state: RefinementState, stated: DevicePattern) -> FramesUnderWay:
    """Initialise the refinement of a density with the frames as the instrument states them."""
    corrections = no_corrections(stated)
    return FramesUnderWay(state, state, corrections, corrections)


def refine_round(
    now: FramesUnderWay,
    stated: DevicePattern,
    settings: RefineSettings,
    part_done: Callable[[int], None] = lambda iterations: None,
) -> FramesUnderWay:
    """Run one round.

    Args:
        now: State before the round.
        stated: Pattern with the frames as the instrument states them; some pixels are withheld.
        settings: Choice of what is fitted.
        part_done: Callback after each part of the round, with its iterations; it may raise to end the refinement.
    """
    density, corrections = _fit_frames(now.state, stated, now.corrections, settings, part_done)
    pattern = corrected_pattern(stated, corrections)
    gapless = fill_gaps(pattern) if has_gaps(stated) else pattern  # Wrong angles may leave gaps that are none.
    state = project_anew(density, gapless, len(stated.counts), part_done)
    state = _refine(state, pattern, settings, part_done)
    llk_free = free_llk(state, pattern)
    _log.info("frames, round %d: free LLK %.4g", now.round + 1, llk_free)
    now = now._replace(state=state, corrections=corrections, round=now.round + 1)
    if llk_free < now.least:
        now = now._replace(best=end_refinement(state), best_corrections=corrections)
        now = now._replace(least=llk_free, best_round=now.round - 1)
    return now


def end_frames(
    now: FramesUnderWay,
    state: RefinementState,
    stated: DevicePattern,
    settings: RefineSettings,
    part_done: Callable[[int], None] = lambda iterations: None,
) -> FrameRefinement:
    """Fit density and frames finally, and take them if they explain the withheld pixels better than the density alone.

    Rounds find a better density even where the angles are right. So the frames are compared with the same final fit of
    the density alone, from where the rounds have led, under the frames as the instrument states them.

    Args:
        now: State after all rounds.
        state: Refined density under the frames as the instrument states them.
        stated: Pattern with these frames.
        settings: Choice of what was fitted.
        part_done: Callback after each part, with its iterations; it may raise to end the fit. Resumed, it begins anew.
    """
    step_done = partial(part_done, _STEP_ITERATIONS)
    fit = fit_finally(now.best, now.best_corrections, stated, settings, CYCLES, step_done)
    fitted, parameters = _measured(fit, stated, settings, part_done)
    llk_free = free_llk(fitted, corrected_pattern(stated, parameters))
    text = "frames fitted finally: free LLK %.4g, %.4g in the rounds: %s"
    is_worse = now.least < GAIN * llk_free and not fit.has_strayed
    _log.info(text, llk_free, now.least, "not taken" if is_worse else "taken")
    if is_worse:
        fit, fitted, parameters, llk_free = _of_rounds(now, stated), now.best, now.best_corrections, now.least
    alone = fit_finally(
        fitted, no_corrections(stated), stated, settings, CYCLES_ALONE, step_done, (False, False, False)
    )
    control, _ = _measured(alone, stated, settings, part_done)
    before, without = free_llk(state, stated), free_llk(control, stated)
    if without < GAIN * before:
        state, before = control, without
    taken = llk_free < GAIN * min(before, without)
    text = "frames fitted: free LLK %.4g, %.4g with the stated frames: %s"
    _log.info(text, llk_free, min(before, without), "taken" if taken else "not taken")
    numbers = {"frames_llk_free": llk_free, "frames_llk_free_before": before, "frames_taken": float(taken)}
    if not taken:
        return FrameRefinement(state, numbers)
    deviations = _deviations(fit, stated, settings)
    numbers |= _to_host(parameters, deviations).numbers()
    return FrameRefinement(fitted, numbers, parameters, deviations)


def _of_rounds(now: FramesUnderWay, stated: DevicePattern) -> FinalFit:
    """Return the best of the rounds as a fit, whose support is tight and whose prior is wide."""
    density, support, point_spread = _tighten(now.best)
    return FinalFit(density, support, point_spread, with_positions(stated), now.best_corrections, PRIOR)


def _measured(
    fit: FinalFit, stated: DevicePattern, settings: RefineSettings, part_done: Callable[[int], None]
) -> tuple[RefinementState, FrameParameters]:
    """Return density and corrections of a final fit in the measured array; the density is refined, if that helps."""
    nz, ny, nx = stated.counts.shape
    state, corrections = fit.measured((nz, ny, nx))
    pattern = corrected_pattern(stated, corrections)
    refined = _refine(state, pattern, settings, part_done)
    better = min(state, refined, key=lambda one: free_llk(one, pattern))
    return end_refinement(better), corrections


def _fit_frames(
    state: RefinementState,
    stated: DevicePattern,
    corrections: FrameParameters,
    settings: RefineSettings,
    part_done: Callable[[int], None],
) -> tuple[Complex[Array, "z y x"], FrameParameters]:
    """Fit density and frames within a tight support; the mean and the slope of the corrections are removed."""
    density, corrections = fit_jointly(
        *_tighten(state),
        with_positions(stated),
        corrections,
        settings.fitted_frames,
        step_done=partial(part_done, _STEP_ITERATIONS),
    )
    return remove_gauge(density, corrections, stated)


def _tighten(state: RefinementState) -> tuple[Complex[Array, "z y x"], Float[Array, "z y x"], PointSpread]:
    """Centre a density; return it with its tight support, and with a point-spread function that angles do not widen."""
    centred = fftshift3(np.asarray(state.density))
    centred = np.roll(centred, centring_shift(np.abs(centred) ** 2), axis=(0, 1, 2))
    density, support = (jnp.asarray(ifftshift3(array)) for array in (centred, tight_support(centred)))
    return density, support.astype(jnp.float32), _narrow_along(state.point_spread)


def _deviations(fit: FinalFit, stated: DevicePattern, settings: RefineSettings) -> Float[np.ndarray, "frame 4"]:
    """Compute the standard deviations of the corrections, beside the mean and the slope of the offsets."""
    bright = bright_frames(stated)
    draws = fit.deviations(settings.fitted_frames, len(stated.counts)).astype(np.float64)
    for draw in draws:
        draw[:, :3] -= fit_lines(draw[:, :3], bright)
    return np.asarray(np.sqrt(np.mean(draws**2, axis=0)))


def _narrow_along(point_spread: PointSpread) -> PointSpread:
    """Limit the width along the curve to those across: angles that jitter widen it."""
    along, *across = point_spread.sigmas
    return point_spread._replace(sigmas=jnp.stack([jnp.minimum(along, sum(across) / 2), *across]))


def _refine(
    state: RefinementState, pattern: DevicePattern, settings: RefineSettings, part_done: Callable[[int], None]
) -> RefinementState:
    """Run the refinement of a round, or of the outcome of a final fit."""
    for i, iterations in enumerate(split_iterations(_REFINED)):
        state = refine_block(state, pattern, iterations, settings, shrink=i % SUPPORT_BLOCKS == 0)
        part_done(iterations)
    return state


def _to_host(parameters: FrameParameters, deviations: Float[np.ndarray, "frame 4"] | None) -> FrameCorrections:
    """Bring corrections to the host, in the order of the frames."""
    offsets, flux = np.asarray(parameters.offsets, np.float64), np.exp(np.asarray(parameters.flux, np.float64))
    spread = None if deviations is None else np.fft.fftshift(deviations, axes=0)
    return FrameCorrections(np.fft.fftshift(offsets, axes=0), np.fft.fftshift(flux), spread)
