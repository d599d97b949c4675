"""The whole procedure: from counts to one density and to how far it can be trusted.

Starts go through the recipe; those that explain the withheld pixels best are refined by the likelihood, aligned, and
combined to their first mode, which is refined in turn. It is the result, unless one of those it is made of explains
the withheld pixels clearly better. Between legs and between refinements the procedure can stop, and from the checkpoint
that it hands out it comes to the very same numbers.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex

from ...physics.diffraction.far_field import fftshift3, ifftshift3
from ..errors import Stopped
from ..runs.checkpoint import Checkpoint
from ..runs.context import Progress, silent
from . import refinement
from .align import align, to_middle
from .checkpoint import PipelineState, from_checkpoint, to_checkpoint
from .combine import Combined, combine
from .data import DiffractionData
from .pattern import DevicePattern, PointSpread, no_blur, pattern_of, quality, quality_numbers
from .recipe import ProjectionState, Stage, never_wrapped, stages_of
from .refinement import Refined
from .result import NoObjectError, PhasingResult
from .settings import PhaseSettings
from .starts import Start, StartOutcome, finish_starts, group_size, init_starts, outcome_of, run_group_stage, size_of

__all__ = ["DiffractionData", "PhasingResult", "phase"]

AGREES_ABOVE = 0.8
"""Correlation with the best solution below which another is another object."""

CLEARLY = 0.85
"""Free likelihood, in units of that of what the solutions share, below which one of them is the result instead.

What they share has less noise than each of them, which withheld pixels hardly tell; but where they differ it may be
none of them.
"""

PATIENCE = 12
"""Blocks of refinement without a better free likelihood after which it ends: noise is all that is fitted from there."""

_log = logging.getLogger(__name__)

Save = Callable[[int, dict[str, np.ndarray], dict[str, Any]], None]


def _not_saved(step: int, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Keep nothing."""


def phase(
    measured: DiffractionData,
    settings: PhaseSettings,
    seed: int,
    progress: Progress = silent,
    stop: Callable[[], str | None] = lambda: None,
    state: Checkpoint | None = None,
    save: Save = _not_saved,
    given: Complex[np.ndarray, "k z y x"] | None = None,
) -> PhasingResult:
    """Phase a measurement.

    Args:
        measured: Counts and weights, centred.
        settings: The recipe and all else.
        seed: Of the starts and of the withheld pixels.
        progress: Told of iterations done and in all.
        stop: Asked between legs; a text means to end early with a checkpoint, and why.
        state: A checkpoint of the same measurement, settings and seed to go on from.
        save: Given the iterations done, arrays and facts of each checkpoint.
        given: Densities, centred, to begin from instead of at random: as many as there are starts.

    Raises:
        Stopped: If it was asked to end early.
        NoObjectError: If no start found one.
    """
    work = _Work(measured, settings, seed, progress, stop, save, given)
    if state is not None:
        work.restore(state)
    return work.run()


@dataclass
class _Work:
    """The procedure under way: what is done, and whom to tell."""

    measured: DiffractionData
    settings: PhaseSettings
    seed: int
    progress: Progress
    stop: Callable[[], str | None]
    save: Save
    given: Complex[np.ndarray, "k z y x"] | None = None
    table: list[dict[str, Any]] = field(default_factory=list)
    pool: list[Start] = field(default_factory=list)
    refined: dict[int, Refined] = field(default_factory=dict)
    course: ProjectionState | None = None
    leg: int = 0
    skipped: int = 0
    done: int = 0

    def __post_init__(self) -> None:
        self.pattern: DevicePattern = pattern_of(self.measured, self.settings.free, self.seed)
        self.legs: tuple[Stage, ...] = stages_of(self.settings)
        for sentence in never_wrapped(self.settings):
            _log.info("%s", sentence)
        self.total = self.settings.starts * sum(leg.iterations for leg in self.legs)
        kept = min(self.settings.keep, self.settings.starts)
        self.total += (kept + (kept > 1)) * self.settings.refine.iterations

    def run(self) -> PhasingResult:
        """Do all that is left."""
        while len(self.table) < self.settings.starts:
            self._next_group()
        if not self.pool:
            ended = "every support vanished or filled the array"
            raise NoObjectError(f"no start found an object: {ended}; check the mask and the centre")
        chosen = self._chosen()
        for start in chosen:
            if start.number not in self.refined:
                self._check_stop()
                first = refinement.begin(jnp.asarray(start.density), jnp.asarray(start.support), start.blur)
                self.refined[start.number] = self._refine(first)
                self._checkpoint()
        solutions = self._agreeing(chosen)
        if len(solutions) == 1:  # Nothing to combine: its refinement was the last.
            return self._result(self.refined[self._best(chosen)], solutions)
        combined = combine(solutions, self.measured.metric)
        self._check_stop()
        mode, best = self._refine(self._begin_mode(combined, chosen)), self.refined[self._best(chosen)]
        final = best if self._free_llk(best) < CLEARLY * self._free_llk(mode) else mode
        return self._result(final, solutions)

    # Starts

    def _next_group(self) -> None:
        """Take the next start, or group of starts, through the recipe."""
        size = min(group_size(self.pattern.counts.shape, self.settings.starts), self.settings.starts - len(self.table))
        if self.course is not None:  # Perhaps from another device, that takes more or fewer at once.
            size = size_of(self.course)
        numbers = range(len(self.table), len(self.table) + size)
        if self.course is None:
            first = init_starts(self.pattern, self.seed, numbers, self.settings.start, self.given)
            self.course, self.leg = first, 0

        def told(iterations: int) -> None:
            self._tell(iterations * size)

        while self.leg < len(self.legs):
            self._check_stop()
            self.course, self.leg = run_group_stage(self.course, self.pattern, self.legs, self.leg, self.stop, told)
        for start in finish_starts(self.course, self.pattern, numbers, self.settings.refine):
            self._enter(start)
        self.course = None
        self._checkpoint()

    def _enter(self, start: Start) -> None:
        """Note how a start ended, and keep it if it is among the best."""
        row: dict[str, Any] = {"number": start.number, "llk": start.llk, "llk_free": start.llk_free}
        row |= {"chi_rms": start.chi_rms, "support": start.filled}
        self.table.append(row)
        if outcome_of(row, start.llk, start.llk_free, start.density.size) is not StartOutcome.COLLAPSED:
            self.pool = sorted([*self.pool, start], key=lambda one: one.llk_free)[: self.settings.keep]
        told = {"llk": start.llk}
        if self.settings.free > 0:
            told["llk_free"] = self.pool[0].llk_free if self.pool else np.inf
        free = f", free {start.llk_free:.4g}" if self.settings.free > 0 else ""
        _log.info("start %d: LLK %.4g%s", start.number, start.llk, free)
        self.progress(self.done, self.total, **told)

    def _chosen(self) -> list[Start]:
        """The best starts, without those that stagnated; the table says how each ended."""
        llk, llk_free = min(start.llk for start in self.pool), self.pool[0].llk_free
        for row in self.table:
            row["outcome"] = outcome_of(row, llk, llk_free, self.measured.counts.size).name
            row["kept"] = False
        good = {row["number"] for row in self.table if row["outcome"] == StartOutcome.CONVERGED.name}
        return [start for start in self.pool if start.number in good]

    # Refinement

    def _refine(self, state: Refined) -> Refined:
        """Refine one density as long as the withheld pixels gain by it; asked to stop, it loses only this work."""
        settings = self.settings.refine
        blocks = refinement.blocks_of(settings.iterations)
        best, least, at = state, self._free_llk(state), 0
        for i, iterations in enumerate(blocks):
            if i and self.stop():
                self._check_stop()
            wrap = i % refinement.SUPPORT_BLOCKS == 0 and 2 * i < len(blocks)
            state = refinement.refine_block(state, self.pattern, iterations, settings, wrap=wrap)
            llk_free = self._free_llk(state)
            if llk_free < least:
                best, least, at = state, llk_free, i
            if i - at >= PATIENCE:
                self.skipped += sum(blocks[i + 1 :])
                self._tell(sum(blocks[i:]))
                break
            self._tell(iterations)
        return best

    def _agreeing(self, chosen: list[Start]) -> Complex[np.ndarray, "k z y x"]:
        """Align the refined solutions with the best of them, and leave out what is another object."""
        judged = {start.number: self._free_llk(self.refined[start.number]) for start in chosen}
        order = sorted(judged, key=lambda number: judged[number])
        densities = {number: fftshift3(np.asarray(self.refined[number].density)) for number in order}
        reference = densities[order[0]]
        reference = np.roll(reference, to_middle(np.abs(reference) ** 2), axis=(0, 1, 2))
        solutions = []
        for number in order:
            row = self.table[number]
            found = align(densities[number], reference, ramp=False, scale=False)
            row["correlation"], row["llk_free_refined"] = found.correlation, judged[number]
            if found.correlation < AGREES_ABOVE:
                row["outcome"] = StartOutcome.DISAGREES.name
                continue
            row["kept"] = True
            solutions.append(found.density)
        return np.stack(solutions).astype(np.complex64)

    def _best(self, chosen: list[Start]) -> int:
        """Number of the refined start that explains the withheld pixels best."""
        return min((start.number for start in chosen), key=lambda number: self._free_llk(self.refined[number]))

    def _free_llk(self, state: Refined) -> float:
        return float(quality(state.density, state.blur, self.pattern).llk_free)

    def _begin_mode(self, combined: Combined, chosen: list[Start]) -> Refined:
        """Begin the last refinement from the first mode, within the support that suits it."""
        kept = [self.refined[start.number] for start in chosen if self.table[start.number]["kept"]]
        blur = no_blur()
        if kept:
            blur = PointSpread(
                *(jnp.mean(jnp.stack(parts), axis=0) for parts in zip(*(one.blur for one in kept), strict=True))
            )
        density = jnp.asarray(ifftshift3(combined.density))
        inside = jnp.asarray(np.asarray(np.abs(ifftshift3(combined.density)) > 0, np.float32))
        state = refinement.begin(density, inside, blur)
        first: Refined = refinement.wrapped(state, self.settings.refine.threshold)
        return first

    # Result

    def _result(self, final: Refined, solutions: Complex[np.ndarray, "k z y x"]) -> PhasingResult:
        density = fftshift3(np.asarray(final.density))
        turn = np.exp(-1j * np.angle(density.sum())).astype(np.complex64)
        density = density * turn
        aligned = [align(one, density, ramp=False, scale=False).density for one in solutions]
        kept = np.stack(aligned).astype(np.complex64)
        combined = combine(kept, self.measured.metric)
        return PhasingResult(
            density,
            fftshift3(np.asarray(final.support)) > 0,
            (float(final.blur.sigmas[0]), float(final.blur.sigmas[1]), float(final.blur.sigmas[2])),
            float(final.blur.background),
            self._numbers(final, combined),
            tuple(self.table),
            kept,
            {"frequency": combined.frequency, "prtf": combined.prtf, "fsc": combined.fsc},
            fftshift3(np.asarray(self.pattern.free)) > 0,
        )

    def _numbers(self, final: Refined, combined: Combined) -> dict[str, float]:
        return {
            **quality_numbers(final.density, final.blur, self.pattern),
            **combined.numbers(),
            "starts": float(len(self.table)),
            "stagnated": float(sum(row["outcome"] != StartOutcome.CONVERGED.name for row in self.table)),
            "support_voxels": float(jnp.sum(final.support)),
            "iterations": float(self.done - self.skipped),
        }

    # Telling and stopping

    def _tell(self, iterations: int) -> None:
        self.done += iterations
        self.progress(min(self.done, self.total), self.total)

    def _check_stop(self) -> None:
        """End with a checkpoint if asked to."""
        reason = self.stop()
        if reason:
            self._checkpoint()
            raise Stopped(f"{reason}: stopped after {self.done} iterations; run again with --resume to go on")

    def _checkpoint(self) -> None:
        """Hand out all that is needed to go on."""
        started = len(self.table) * sum(leg.iterations for leg in self.legs)
        started += sum(leg.iterations for leg in self.legs[: self.leg]) if self.course is not None else 0
        kept = PipelineState(self.table, self.pool, self.refined, self.course, self.leg, self.skipped)
        # What a resumed run need not do again: of a refinement under way nothing is kept.
        done = started + len(self.refined) * self.settings.refine.iterations
        self.save(self.done, *to_checkpoint(kept, done))

    def restore(self, state: Checkpoint) -> None:
        """Go on from what `_checkpoint` handed out."""
        kept, self.done = from_checkpoint(state)
        self.table, self.pool, self.refined, self.course, self.leg, self.skipped = vars(kept).values()
