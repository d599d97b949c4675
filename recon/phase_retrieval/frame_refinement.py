"""Refinement of a density together with the angle, the roll and the flux of each frame.

Rounds of a joint fit within a tight support (`joint_frames`), of projections under the new frames, which lead out of
the density that wrong frames have bent, and of the refinement. The withheld pixels choose among the rounds, and judge
the result: it is taken only if it explains them better than the density alone, under the frames as the instrument
states them. An interrupted run goes on with the round that it was in. Arrays are in FFT order.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ...physics.diffraction.far_field import fftshift3, ifftshift3
from .align import centring_shift
from .frame_corrections import FrameCorrections
from .frame_fit import FrameParameters, corrected_pattern, no_corrections, with_positions
from .joint_frames import STEPS, draw_deviations, fit_jointly, tight_support
from .lost_frames import fill_gaps, has_gaps, init_measured
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
_STEP_ITERATIONS = 60
"""Iterations that a joint step counts as in the progress: those of its conjugate gradients, forwards and backwards."""
ROUND_ITERATIONS = STEPS * _STEP_ITERATIONS + sum(stage.iterations for stage in _STAGES) + _REFINED
"""Iterations of a round in the progress."""
_BRIGHT = 1e-4
"""Share of the counts from which on a frame's correction counts in the mean and the slope of all."""

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
        state: Density; the given one if the frames were not taken.
        pattern: Pattern under the fitted frames.
        corrections: Corrections of the frames; None if they were not taken.
        numbers: Free likelihoods before and after, and whether the frames were taken.
    """

    state: RefinementState
    pattern: DevicePattern
    corrections: FrameCorrections | None
    numbers: dict[str, float]


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
    state = init_measured(*_project(density, gapless, part_done), len(stated.counts))
    state = _refine(state, pattern, settings, part_done)
    llk_free = free_llk(state, pattern)
    _log.info("frames, round %d: free LLK %.4g", now.round + 1, llk_free)
    now = now._replace(state=state, corrections=corrections, round=now.round + 1)
    if llk_free < now.least:
        now = now._replace(best=end_refinement(state), best_corrections=corrections)
        now = now._replace(least=llk_free, best_round=now.round - 1)
    return now


def end_frames(
    now: FramesUnderWay, state: RefinementState, stated: DevicePattern, settings: RefineSettings
) -> FrameRefinement:
    """Take the best of the rounds, if it explains the withheld pixels better than the density alone.

    Args:
        now: State after all rounds.
        state: Refined density under the frames as the instrument states them.
        stated: Pattern with these frames.
        settings: Choice of what was fitted.
    """
    before = free_llk(state, stated)
    taken = now.least < GAIN * before
    _log.info("frames fitted: free LLK %.4g, before %.4g: %s", now.least, before, "taken" if taken else "not taken")
    numbers = {"frames_llk_free": float(now.least), "frames_llk_free_before": before, "frames_taken": float(taken)}
    if not taken:
        return FrameRefinement(state, stated, None, numbers)
    fitted, pattern = _to_host(now.best_corrections), corrected_pattern(stated, now.best_corrections)
    fitted = fitted._replace(deviations=_deviations(now, stated, settings))
    return FrameRefinement(now.best, pattern, fitted, numbers | fitted.numbers())


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
    return _remove_gauge(density, corrections, stated)


def _tighten(state: RefinementState) -> tuple[Complex[Array, "z y x"], Float[Array, "z y x"], PointSpread]:
    """Centre a density; return it with its tight support, and with a point-spread function that angles do not widen."""
    centred = fftshift3(np.asarray(state.density))
    centred = np.roll(centred, centring_shift(np.abs(centred) ** 2), axis=(0, 1, 2))
    density, support = (jnp.asarray(ifftshift3(array)) for array in (centred, tight_support(centred)))
    return density, support.astype(jnp.float32), _narrow_along(state.point_spread)


def _deviations(now: FramesUnderWay, stated: DevicePattern, settings: RefineSettings) -> Float[np.ndarray, "frame 4"]:
    """Compute the standard deviations of the best corrections, beside the mean and the slope of the offsets."""
    draws = draw_deviations(*_tighten(now.best), with_positions(stated), now.best_corrections, settings.fitted_frames)
    bright, draws = _bright_frames(stated), draws.astype(np.float64)
    for draw in draws:
        draw[:, :3] -= _fit_lines(draw[:, :3], bright)
    return np.fft.fftshift(np.sqrt(np.mean(draws**2, axis=0)), axes=0)


def _bright_frames(stated: DevicePattern) -> np.ndarray:
    """Mask of the frames whose corrections count in the mean and the slope of all."""
    totals = np.asarray(stated.counts.sum(axis=(1, 2)), np.float64)
    return np.asarray(totals > _BRIGHT * totals.sum())


def _narrow_along(point_spread: PointSpread) -> PointSpread:
    """Limit the width along the curve to those across: angles that jitter widen it."""
    along, *across = point_spread.sigmas
    return point_spread._replace(sigmas=jnp.stack([jnp.minimum(along, sum(across) / 2), *across]))


def _remove_gauge(
    density: Complex[Array, "z y x"], corrections: FrameParameters, stated: DevicePattern
) -> tuple[Complex[Array, "z y x"], FrameParameters]:
    """Remove the mean and the slope of the offsets; the density gets the ramp that stands for the mean."""
    bright, offsets = _bright_frames(stated), np.array(corrections.offsets, np.float64)
    lines = _fit_lines(offsets, bright)
    for axis, n in enumerate(density.shape):
        ramp = np.exp(-2j * np.pi * lines[0, axis] * np.fft.fftfreq(n)).astype(np.complex64)
        density = density * ramp.reshape([-1 if a == axis else 1 for a in range(3)])
    offsets -= lines
    return density, corrections._replace(offsets=jnp.asarray(offsets, jnp.float32))


def _fit_lines(offsets: Float[np.ndarray, "frame axis"], bright: np.ndarray) -> Float[np.ndarray, "frame axis"]:
    """Fit a line through the offsets of the bright frames along each axis; frames are in FFT order."""
    frames = np.fft.fftfreq(len(offsets)) * len(offsets)
    if bright.sum() < 2:
        return np.zeros_like(offsets)
    slopes, means = np.polyfit(frames[bright], offsets[bright], 1)
    return np.asarray(means + slopes * frames[:, None])


def _project(
    density: Complex[Array, "z y x"], gapless: DevicePattern, part_done: Callable[[int], None]
) -> tuple[Complex[Array, "z y x"], Float[Array, "z y x"], PointSpread]:
    """Run the projections of a round from a density; return density, support and point-spread function."""
    nz, ny, nx = gapless.counts.shape
    density = resize(density, (nz, ny, nx))
    state = init_state_from_density(density, jax.random.key(0), INITIAL_THRESHOLD, gapless)
    for stage in _STAGES:
        state = run_stage(state, gapless, stage)
        state.iterate.block_until_ready()  # A request to stop waits for one stage, not for all.
        part_done(stage.iterations)
    return final_density(state, gapless), state.support, state.point_spread


def _refine(
    state: RefinementState, pattern: DevicePattern, settings: RefineSettings, part_done: Callable[[int], None]
) -> RefinementState:
    """Run the refinement of a round."""
    for i, iterations in enumerate(split_iterations(_REFINED)):
        state = refine_block(state, pattern, iterations, settings, shrink=i % SUPPORT_BLOCKS == 0)
        part_done(iterations)
    return state


def _to_host(corrections: FrameParameters) -> FrameCorrections:
    """Bring corrections to the host, in the order of the frames."""
    offsets, flux = np.asarray(corrections.offsets, np.float64), np.exp(np.asarray(corrections.flux, np.float64))
    return FrameCorrections(np.fft.fftshift(offsets, axes=0), np.fft.fftshift(flux))
