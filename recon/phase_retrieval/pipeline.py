"""Pipeline of phase retrieval: from counts to one density and its reliability.

Starts, from random densities or from those of another method, go through a recipe. Those that explain the withheld
pixels best are refined by the likelihood, aligned, and combined to their first mode, which is refined in turn. It is
the result, unless one of the refined starts explains the withheld pixels clearly better; a last refinement extends it
beyond the measured pixels, if that explains the withheld ones better. The pipeline can stop between stages and between
blocks of a refinement; resumed from the checkpoint it goes on there, and gives the same numbers.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import processes
from ..errors import Stopped
from ..runs.checkpoint import Checkpoint
from ..runs.context import Progress, silent
from .checkpoint import PipelineState, from_checkpoint, to_checkpoint
from .combine import combine
from .data import DiffractionData
from .frame_agreement import PROJECTIONS, refine_starts_anew
from .frame_refinement import (
    FINAL_ITERATIONS,
    ROUND_ITERATIONS,
    ROUNDS,
    FrameRefinement,
    FramesUnderWay,
    end_frames,
    init_frames,
    refine_round,
)
from .further_search import asks_for_more, further_iterations, row_of, search_further
from .lost_frames import fill_gaps
from .margin import refine_with_margin
from .pattern import DevicePattern, to_device_pattern
from .refinement import (
    SUPPORT_BLOCKS,
    RefinementState,
    RefinementUnderWay,
    end_refinement,
    free_llk,
    init_refinement,
    refine_block,
    split_iterations,
)
from .result import NoObjectError, PhasingResult
from .settings import PhaseSettings, RefineSettings
from .solutions import (
    align_solutions,
    best_solution,
    choose_solution,
    collect_result,
    init_mode,
    select_converged,
)
from .stages import support_update_warnings
from .start_groups import StartGroups
from .start_plan import StartPlan, plan_starts
from .starts import FinishedStart, InitialStarts, StartOutcome, classify_start

__all__ = ["DiffractionData", "InitialStarts", "PhasingResult", "phase"]

PATIENCE = 12
"""Blocks of refinement without a better free likelihood after which it ends: from there only noise is fitted."""

_log = logging.getLogger(__name__)

SaveCheckpoint = Callable[[int, dict[str, np.ndarray], dict[str, Any]], None]


def _discard(step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    """Write no checkpoint."""


def phase(
    data: DiffractionData,
    settings: PhaseSettings,
    seed: int,
    progress: Progress = silent,
    should_stop: Callable[[], str | None] = lambda: None,
    checkpoint: Checkpoint | None = None,
    save_checkpoint: SaveCheckpoint = _discard,
    initial: InitialStarts | None = None,
) -> PhasingResult:
    """Retrieve the phase of a rocking curve.

    Args:
        data: Counts and weights, centred.
        settings: Recipe, starts and refinement.
        seed: Seed of the starts and of the withheld pixels.
        progress: Callback for iterations done and in all.
        should_stop: Callback between stages; returns the reason to end early with a checkpoint, or None.
        checkpoint: State of the same measurement, settings and seed to resume from.
        save_checkpoint: Callback for each checkpoint: iterations done, arrays, metadata.
        initial: First of the starts, if they have other densities than random ones.

    Raises:
        Stopped: If it was asked to end early.
        NoObjectError: If no start found an object.
        DataError: If the checkpoint does not hold this pipeline's state.
    """
    pipeline = _Pipeline(data, settings, seed, progress, should_stop, save_checkpoint, initial or InitialStarts())
    if checkpoint is not None:
        pipeline.restore(checkpoint)
    return pipeline.run()


@dataclass
class _Pipeline:
    """Pipeline under way: its input, callbacks and state.

    Several processes share out the starts of a group (`StartGroups`); all else is the same in each. ``in_part``
    iterations are those of a part, as a round of ``frames``, which a resumed run begins anew.
    """

    data: DiffractionData
    settings: PhaseSettings
    seed: int
    progress: Progress
    should_stop: Callable[[], str | None]
    save_checkpoint: SaveCheckpoint
    initial: InitialStarts = field(default_factory=InitialStarts)
    table: list[dict[str, Any]] = field(default_factory=list)
    pool: list[FinishedStart] = field(default_factory=list)
    refined: dict[int, RefinementState] = field(default_factory=dict)
    skipped: int = 0
    done: int = 0
    results: dict[str, RefinementState] = field(default_factory=dict)
    refining: RefinementUnderWay | None = None
    frames: FramesUnderWay | None = None
    frames_outcome: FrameRefinement | None = None
    in_part: int = 0

    def __post_init__(self) -> None:
        self.pattern: DevicePattern = to_device_pattern(self.data, self.settings.free, self.seed)
        self.withholds = bool(jnp.sum(self.pattern.free) > 0)
        self.plan: StartPlan = plan_starts(self.settings, self.initial.count, self.initial.recipe)
        self.groups = StartGroups(
            self.pattern, fill_gaps(self.pattern), self.settings, self.plan, self.seed, self.initial
        )
        for sentence in support_update_warnings(self.settings):
            _log.info("%s", sentence)
        self.total = self.plan.iterations(self.settings.starts)
        refinements = min(self.settings.keep, self.settings.starts)
        refinements += (refinements > 1) + 2 * self.has_margin
        self.total += refinements * self.settings.refine.iterations
        self.total += self.fits_frames * (ROUNDS * ROUND_ITERATIONS + FINAL_ITERATIONS + self._anew_iterations)

    @property
    def fits_frames(self) -> bool:
        """Whether the frames are fitted; without withheld pixels nothing could judge them."""
        return any(self.settings.refine.fitted_frames) and self.settings.refine.iterations > 0 and self.withholds

    @property
    def has_margin(self) -> bool:
        """Whether the last refinement tries a margin; without withheld pixels nothing could judge it."""
        return self.settings.refine.margin > 0 and self.settings.refine.iterations > 0 and self.withholds

    def run(self) -> PhasingResult:
        """Run everything that is left."""
        self.table = self.table[: self.settings.starts]  # A checkpoint may hold those of the further search.
        self.refined = {number: state for number, state in self.refined.items() if number < self.settings.starts}
        while len(self.table) < self.settings.starts:
            self._run_next_group()
        if not self.pool:
            ended = "every support vanished or filled the array"
            raise NoObjectError(f"no start found an object: {ended}; check the mask and the centre")
        selected = select_converged(self.table, self.pool, self.data.counts.size)
        for number in selected:
            if number not in self.refined:
                self.refined[number] = self._refine(f"start {number}", partial(self._init_start, number))
                self.pool = [one.without_arrays() if one.number == number else one for one in self.pool]
                self._save()
        frames = self._fit_frames(self._search_on(selected, self._combine(selected)))
        self.pattern = frames.pattern(self.pattern)
        solutions = self.refined if frames.parameters is None else self._refine_anew()
        final, refinement = self._extend(frames.state)
        self.results.clear()
        result = collect_result(final, solutions, self.table, self.pattern, self.data.metric)
        numbers = result.numbers | {"iterations": float(self.done - self.skipped)} | refinement | frames.numbers
        return replace(result, numbers=numbers, frames=frames.corrections())

    def _fit_frames(self, state: RefinementState) -> FrameRefinement:
        """Refine the result with the angles, rolls and fluxes of the frames, as the settings ask."""
        if not self.fits_frames:
            return FrameRefinement(state, {})
        if self.frames_outcome is not None:
            return self.frames_outcome

        now = self.frames or init_frames(state, self.pattern)
        while not now.has_ended:
            now = refine_round(now, self.pattern, self.settings.refine, self._count_part)
            self.in_part, self.frames = 0, now
            if now.has_ended:
                left = (ROUNDS - now.round) * ROUND_ITERATIONS
                self.skipped += left
                self._advance(left)
            self._save()
        outcome = end_frames(now, state, self.pattern, self.settings.refine, self._count_part)
        self.in_part, self.frames, self.frames_outcome = 0, None, outcome
        if outcome.parameters is None:
            self.skipped += self._anew_iterations
            self._advance(self._anew_iterations)
        self._save()
        return outcome

    def _refine_anew(self) -> dict[int, RefinementState]:
        """Refine the starts under the fitted frames."""

        def refine(name: str, init: Callable[[], RefinementState]) -> RefinementState:
            return self._refine_once(name, lambda: self._end_part(init()))

        stated, most = self.groups.pattern, self.settings.keep
        return refine_starts_anew(self.refined, self.table, stated, self.pattern, most, self._count_part, refine)

    @property
    def _anew_iterations(self) -> int:
        """Iterations of `_refine_anew`."""
        return min(self.settings.keep, self.settings.starts) * (PROJECTIONS + self.settings.refine.iterations)

    def _combine(self, selected: list[int], name: str = "mode") -> RefinementState:
        """Combine the refined starts, and refine their first mode under a name."""
        solutions = [align_solutions(self.refined, selected, self.table, self.pattern)]
        best = best_solution(self.refined, selected, self.pattern)
        if len(solutions[0]) == 1:  # Nothing to combine: its refinement was the last.
            return best
        self._check_stop()
        members = [self.refined[number] for number in selected if self.table[number]["kept"]]

        def init() -> RefinementState:  # They are aligned anew with the result, and need no memory until then.
            return init_mode(combine(solutions.pop(), self.data.metric), members, self.settings.refine.threshold)

        mode = self._refine_once(name, init)
        return choose_solution(best, mode, self.pattern)

    def _search_on(self, selected: list[int], state: RefinementState) -> RefinementState:
        """Add further starts where a curve has wide gaps and its result explains the withheld pixels badly."""
        if not (self.withholds and self.settings.refine.iterations and asks_for_more(state, self.pattern)):
            return state
        self.total += further_iterations(self.plan, len(self.table), self.settings.refine.iterations)
        first = len(self.table)

        def refine(number: int, init: Callable[[], RefinementState]) -> RefinementState:
            return self._refine_once(f"start {number}", lambda: self._end_part(init()))

        further = search_further(
            state, self.pattern, self.plan, first, self.seed, self.settings.start, self._count_part, refine
        )
        for number, one in enumerate(further, first):
            self.refined[number] = one
            self.table.append(row_of(number, one, self.pattern))
        combined = self._combine([*selected, *range(first, len(self.table))], "mode of all")
        return min(state, combined, key=partial(free_llk, pattern=self.pattern))

    def _end_part(self, state: RefinementState) -> RefinementState:
        """Note that a part that a resumed run would begin anew has ended; return its outcome."""
        self.in_part = 0
        return state

    def _count_part(self, iterations: int) -> None:
        """Count iterations of a part that a resumed run begins anew."""
        self.in_part += iterations
        self._advance(iterations)
        self._check_stop()

    # Starts

    def _run_next_group(self) -> None:
        """Take the next start, or group of starts, through the recipe."""
        for start in self.groups.run_next(self.table, self.should_stop, self._check_stop, self._advance):
            self._record(start)
        self.groups.end()
        self._save()

    def _record(self, start: FinishedStart) -> None:
        """Add a row for a start, and the start to the pool if it is among the best."""
        row: dict[str, Any] = {"number": start.number, "llk": start.llk, "llk_free": start.llk_free}
        row |= {"chi_rms": start.chi_rms, "support": start.support_fraction}
        self.table.append(row)
        if classify_start(row, start.llk, start.llk_free, start.density.size) is not StartOutcome.COLLAPSED:
            self.pool = sorted([*self.pool, start], key=lambda one: one.llk_free)[: self.settings.keep]
        metrics = {"llk": start.llk}
        if self.settings.free > 0:
            metrics["llk_free"] = self.pool[0].llk_free if self.pool else np.inf
        free = f", free {start.llk_free:.4g}" if self.settings.free > 0 else ""
        _log.info("start %d: LLK %.4g%s", start.number, start.llk, free)
        self.progress(self.done, self.total, **metrics)

    # Refinement

    def _init_start(self, number: int) -> RefinementState:
        """Initialise the refinement of a start of the pool."""
        start = next(one for one in self.pool if one.number == number)
        return init_refinement(jnp.asarray(start.density), jnp.asarray(start.support), start.point_spread)

    def _refine_once(
        self,
        name: str,
        init: Callable[[], RefinementState],
        pattern: DevicePattern | None = None,
        settings: RefineSettings | None = None,
    ) -> RefinementState:
        """Refine one density, unless a former session of the run has done so; see `_refine`."""
        if name not in self.results:
            self.results[name] = self._refine(name, init, pattern, settings)
            self._save()
        return self.results[name]

    def _refine(
        self,
        name: str,
        init: Callable[[], RefinementState],
        pattern: DevicePattern | None = None,
        settings: RefineSettings | None = None,
    ) -> RefinementState:
        """Refine one density as long as its free likelihood improves.

        Args:
            name: Name of the density, by which a resumed run goes on with it.
            init: Function that initialises the refinement.
            pattern: Pattern; by default that of the pipeline.
            settings: Settings of the refinement; by default those of the pipeline.
        """
        settings, pattern = settings or self.settings.refine, pattern or self.pattern
        blocks = split_iterations(settings.iterations)
        now = self.refining
        if now is None or now.name != name:
            state = init()
            now = RefinementUnderWay(name, state, end_refinement(state), free_llk(state, pattern))
        while now.block < len(blocks):
            self.refining = now
            self._check_stop()
            i, iterations = now.block, blocks[now.block]
            shrink = i % SUPPORT_BLOCKS == 0 and 2 * i < len(blocks)
            state = refine_block(now.state, pattern, iterations, settings, shrink=shrink)
            llk_free = float(processes.current().share_or_compute(partial(free_llk, state, pattern)))
            if llk_free < now.least:
                now = now._replace(best=end_refinement(state), least=llk_free, best_block=i)
            now = now._replace(state=state, block=i + 1)
            if i - now.best_block >= PATIENCE:
                self.skipped += sum(blocks[i + 1 :])
                self._advance(sum(blocks[i:]))
                break
            self._advance(iterations)
        self.refining = None
        return now.best

    def _extend(self, state: RefinementState) -> tuple[RefinementState, dict[str, float]]:
        """Refine the result with a margin, where the withheld pixels can judge it; return it with its numbers."""
        settings = self.settings.refine
        if not self.has_margin:
            return state, {"margin": 0.0, "support_threshold": settings.threshold}
        return refine_with_margin(state, self.pattern, settings, self._refine_once)

    # Progress and checkpoints

    def _advance(self, iterations: int) -> None:
        """Count iterations as done, and report progress."""
        self.done += iterations
        self.progress(min(self.done, self.total), self.total)

    def _check_stop(self) -> None:
        """Save a checkpoint and raise `Stopped` if asked to end early."""
        reason = self.should_stop()
        if reason:
            if not (self.groups.size and processes.current().loss):
                self._save()  # Else starts of another process are lost: the newest checkpoint has all that is left.
            raise Stopped(f"{reason}: stopped after {self.done} iterations; run again with --resume to go on")

    def _save(self) -> None:
        """Hand the state to `save_checkpoint`."""
        under_way, next_stage = self.groups.join(), self.groups.next_stage
        state = PipelineState(self.table, self.pool, self.refined, under_way, next_stage, self.skipped)
        state.results, state.refining, state.frames = self.results, self.refining, self.frames
        state.frames_outcome = self.frames_outcome
        done = self.done - self.in_part
        self.save_checkpoint(done, *to_checkpoint(state, done))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take the state from a checkpoint that `_save` wrote."""
        state, self.done = from_checkpoint(checkpoint)
        self.table, self.pool, self.refined = state.table, state.pool, state.refined
        self.skipped = state.skipped
        self.groups.restore(state.projections, state.next_stage)
        self.results, self.refining, self.frames = state.results, state.refining, state.frames
        self.frames_outcome = state.frames_outcome
