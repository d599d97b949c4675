"""Agreement of the starts under the fitted frames.

Under the frames as the instrument states them each start is bent in its own way, so that starts may disagree although
all of them come to the same crystal. They are compared where they come to under the frames that were fitted: each from
its own density, so that one of another object shows there as well.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .lost_frames import fill_gaps, has_gaps
from .pattern import DevicePattern
from .refinement import RefinementState
from .renewed_projections import STAGES, project_anew
from .solutions import align_solutions

PROJECTIONS = sum(stage.iterations for stage in STAGES)
"""Iterations of the projections of each start, before its refinement."""

PartDone = Callable[[int], None]
Refine = Callable[[str, Callable[[], RefinementState]], RefinementState]


def refine_starts_anew(
    refined: Mapping[int, RefinementState],
    table: list[dict[str, Any]],
    stated: DevicePattern,
    pattern: DevicePattern,
    most: int,
    part_done: PartDone,
    refine: Refine,
) -> dict[int, RefinementState]:
    """Refine the best starts under the fitted frames, and note in the table which of them agree there.

    Args:
        refined: Starts refined under the frames as the instrument states them, by number.
        table: Row of each start.
        stated: Pattern with these frames.
        pattern: Pattern under the fitted frames.
        most: Largest number of starts.
        part_done: Callback after each stage of projections, with its iterations; it may raise to end them.
        refine: Refinement of a density by its name, from the state that a function makes.

    Returns:
        The refined starts by number.
    """
    gapless = fill_gaps(pattern) if has_gaps(stated) else pattern  # Fitted angles may leave gaps that are none.
    by_free = sorted(refined, key=lambda number: float(table[number]["llk_free_refined"]))
    anew = {}
    for number in by_free[:most]:
        init = partial(project_anew, refined[number].density, gapless, len(stated.counts), part_done)
        anew[number] = refine(f"start {number}, fitted frames", init)
    for number in by_free:
        table[number]["kept"] = False
    align_solutions(anew, list(anew), table, pattern)
    return anew
