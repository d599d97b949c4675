"""Groups of starts under way: each goes through the recipe, shared out among the processes.

The state between two stages is part of the pipeline's checkpoint. A resumed run goes on with the group, whatever the
number of processes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex

from .. import processes
from .checkpoint import (
    join_projections,
    projections_to_arrays,
    select_starts,
    starts_from_parts,
    starts_to_parts,
)
from .lost_frames import spread_evenly
from .pattern import DevicePattern
from .recipe import ProjectionState
from .refinement import RefinementState
from .settings import PhaseSettings
from .start_plan import StartPlan
from .starts import (
    FinishedStart,
    InitialStarts,
    count_starts,
    finish_start,
    group_size,
    init_starts,
    refinements_of_starts,
    run_group_stage,
)


@dataclass
class StartGroups:
    """Groups of starts, one after the other, and the state of the one under way.

    Args:
        pattern: Measured pattern.
        projected: Pattern of the projections.
        settings: Starts and refinement.
        plan: Plan of the starts.
        seed: Seed of the random starts.
        initial: First of the starts, if they have other densities than random ones.
        size: Number of starts of the group under way; 0 between two groups.
        next_stage: Index of its next stage.
        projections: Those of its starts that this process works on; None for none.
        initial_densities: Densities of the initial starts, once they were needed.
    """

    pattern: DevicePattern
    projected: DevicePattern
    settings: PhaseSettings
    plan: StartPlan
    seed: int
    initial: InitialStarts
    size: int = 0
    next_stage: int = 0
    projections: ProjectionState | None = None
    initial_densities: Complex[np.ndarray, "k z y x"] | None = None

    def run_next(
        self,
        table: Sequence[Mapping[str, Any]],
        should_stop: Callable[[], str | None],
        check_stop: Callable[[], None],
        advance: Callable[[int], None],
    ) -> Iterator[FinishedStart]:
        """Take the next start, or group of starts, through the recipe.

        Args:
            table: Row of each start that has ended.
            should_stop: Callback before each stage; returns a reason to stop, or None.
            check_stop: Callback that raises if it was asked to stop.
            advance: Callback with the iterations of all starts done.

        Returns:
            The starts of all processes, refined shortly. The group is under way until `end`.
        """
        first = len(table)
        end, stages = self.plan.series(first, table)
        size = self.size or min(processes.current().count * group_size(*self._extent), end - first)
        numbers = range(first, first + size)  # A checkpoint may come from a device with another group size.
        own = processes.current().own(numbers)
        if not self.size:
            self.projections = self._init(first, own)
            self.size, self.next_stage = size, 0

        def count_iterations(iterations: int) -> None:
            advance(iterations * size)

        while self.next_stage < len(stages):
            check_stop()
            self.projections, self.next_stage = run_group_stage(
                self.projections, self.projected, stages, self.next_stage, should_stop, count_iterations
            )
        ended = self._init_refinements(len(own))
        self.projections = None  # Its arrays are not needed any more.
        finished = [finish_start(ended.pop(0), self.pattern, number, self.settings.refine) for number in own]
        parts = processes.current().gather(*starts_to_parts(finished))
        return (start for rows, arrays in parts for start in starts_from_parts(rows, arrays))

    def end(self) -> None:
        """Note that the starts of the group are recorded."""
        self.size = 0

    def join(self) -> ProjectionState | None:
        """Join the starts under way of all processes; None where there are none."""
        group = processes.current()
        if not self.size or group.is_alone:
            return self.projections
        return join_projections(part for _, part in group.gather(None, projections_to_arrays(self.projections)))

    def restore(self, projections: ProjectionState | None, next_stage: int) -> None:
        """Go on with the starts of a checkpoint, of which this process takes its share."""
        self.next_stage = next_stage
        if projections is None:
            return
        self.size = count_starts(projections)
        own = processes.current().own(range(self.size))
        if len(own) == self.size:
            self.projections = projections
        elif own:
            self.projections = select_starts(projections, own[0], own[-1] + 1)

    @property
    def _extent(self) -> tuple[tuple[int, ...], int]:
        """Shape of the array, and number of starts."""
        return self.pattern.counts.shape, self.settings.starts

    def _init(self, first: int, numbers: range) -> ProjectionState | None:
        """Initialise those starts of the group from ``first`` on that this process works on; None for none."""
        if first >= self.plan.initial:
            self.initial_densities = None  # They are not needed any more.
        elif self.initial_densities is None:
            self.initial_densities = self.initial.compute()
        if not numbers:
            return None
        pattern, threshold = spread_evenly(self.projected), self.settings.start
        return init_starts(pattern, self.seed, numbers, threshold, self.initial_densities)

    def _init_refinements(self, count: int) -> list[RefinementState]:
        """Initialise the refinements of the starts of this process."""
        if self.projections is None:
            return []
        return refinements_of_starts(self.projections, count, self.projected, len(self.pattern.counts))
