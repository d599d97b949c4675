"""Further search on a curve with wide gaps between its frames, where the best start explains the withheld pixels badly.

Frames that are scattered along the curve, as by many back-steps, determine a crystal that the usual starts may miss:

- The array of the projections is as long as the widest step asks for, and the crystal may fill it along the frames. A
  longer one, with frames that were not measured, lets it be oversampled: further random starts look there.
- A start stagnates in a support that is too wide. Projections from its density, within the support that its amplitude
  shows, lead out: rounds of them, each refined, follow from the best.

All of these are starts like the others, chosen by the withheld pixels.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .curve_gaps import LARGEST
from .lost_frames import fill_gaps, has_gaps, spread_evenly
from .pattern import DevicePattern, evaluate_fit
from .recipe import run_stage
from .refinement import RefinementState, free_llk
from .renewed_projections import STAGES, project_anew
from .stages import Stage
from .start_plan import StartPlan, without_ceilings
from .starts import StartOutcome, init_starts, refinements_of_starts

UNEXPLAINED = 7.0
"""Free likelihood from which on the search goes on; counting noise alone gives 1.

Of twelve simulated curves with 18 back-steps, eight had one of 6.3 at most, and their crystal; the others 14 at least.
"""
ROUNDS = 4
"""Rounds of projections that follow from the best start."""
_MOST_STARTS = 4
"""Largest number of further random starts."""

PartDone = Callable[[int], None]
Refine = Callable[[int, Callable[[], RefinementState]], RefinementState]

_log = logging.getLogger(__name__)


def asks_for_more(state: RefinementState, pattern: DevicePattern) -> bool:
    """Whether a curve has wide gaps, and its result explains the withheld pixels badly."""
    return has_gaps(pattern) and free_llk(state, pattern) > UNEXPLAINED


def search_further(
    state: RefinementState,
    pattern: DevicePattern,
    plan: StartPlan,
    first: int,
    seed: int,
    threshold: float,
    part_done: PartDone,
    refine: Refine,
) -> list[RefinementState]:
    """Search with further random starts, then in rounds from the best of all.

    Args:
        state: Best result so far.
        pattern: Measured pattern.
        plan: Plan of the starts so far.
        first: Number of the first further start, which is that of all starts so far.
        seed: Seed of the random starts.
        threshold: Threshold of the autocorrelation, for their first support.
        part_done: Callback after each stage of projections, with its iterations; it may raise to end the search.
        refine: Refinement of a start by its number, from the state that a function makes.

    Returns:
        The refined starts.
    """
    anew = _stages_of_starts(plan, first)
    text = "free LLK %.4g: %d further starts, then %d rounds from the best"
    _log.info(text, free_llk(state, pattern), len(anew), ROUNDS)
    starts = []
    for number, stages in enumerate(anew, first):
        starts.append(refine(number, partial(_start_anew, pattern, seed, number, threshold, stages, part_done)))
    now, gapless = min([state, *starts], key=partial(free_llk, pattern=pattern)), fill_gaps(pattern)
    for _ in range(ROUNDS):
        init = partial(project_anew, now.density, gapless, len(pattern.counts), part_done)
        now = refine(first + len(starts), init)
        starts.append(now)
    return starts


def further_iterations(plan: StartPlan, first: int, refinement: int) -> int:
    """Sum the iterations of the search.

    Args:
        plan: Plan of the starts so far.
        first: Number of all starts so far.
        refinement: Iterations of the refinement of each start.
    """
    series = [*_stages_of_starts(plan, first), *[STAGES] * ROUNDS]
    return sum(refinement + sum(stage.iterations for stage in stages) for stages in series)


def row_of(number: int, state: RefinementState, pattern: DevicePattern) -> dict[str, Any]:
    """Make the row of a further start, which is refined already.

    Args:
        number: Number of the start.
        state: Refined start.
        pattern: Measured pattern.
    """
    fit = evaluate_fit(state.density, state.point_spread, pattern)
    row = {name: float(value) for name, value in fit._asdict().items()}
    support = float(np.mean(np.asarray(state.support)))
    return {"number": number, **row, "support": support, "outcome": StartOutcome.CONVERGED.name, "kept": False}


def _stages_of_starts(plan: StartPlan, first: int) -> list[tuple[Stage, ...]]:
    """Return the stages of each further random start: by turns without and with the ceilings of the recipe."""
    return [plan.stages if i % 2 else without_ceilings(plan.stages) for i in range(min(first, _MOST_STARTS))]


def _start_anew(
    pattern: DevicePattern, seed: int, number: int, threshold: float, stages: Sequence[Stage], part_done: PartDone
) -> RefinementState:
    """Take a further random start through a recipe, in the longest array."""
    longest = fill_gaps(pattern, LARGEST)
    state = init_starts(spread_evenly(longest), seed, range(number, number + 1), threshold)
    for stage in stages:
        state = run_stage(state, longest, stage)
        state.iterate.block_until_ready()  # A request to stop waits for one stage, not for all.
        part_done(stage.iterations)
    return refinements_of_starts(state, 1, longest, len(pattern.counts))[0]
