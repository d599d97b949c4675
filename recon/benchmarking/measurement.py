"""Measurement of one function at one size, in turns with its floor, until an end."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from .case import Benchmark, Case, Size
from .timing import Timing, time_in_turns

_PAIR_SECONDS = 1.5
"""[s] Time for the pairs of calls of a function at one size; three pairs are taken where there is time."""
FEWEST_PAIRS = 3
_MOST_PAIRS = 15
_CALL_SECONDS = 0.03
"""[s] Shortest time that is measured: shorter calls are repeated."""


@dataclass(frozen=True)
class BenchmarkResult:
    """Times of a function at one size.

    Args:
        kind: Kind of experiment.
        name: Name of the function.
        size: Size of the problem.
        batch_name: Name of the elements of a batch.
        timing: Times of the calls.
        steps: Number of steps of a call.
        floor_work: Description of the floor.
        bytes_moved: [byte] Memory that the floor reads and writes; 0 where memory does not bound it.
        goal: Largest ratio that is aimed at; None for no goal.
        sweep: ``edge`` or ``batch`` for a further size, empty for that of the table.
        startup: [s] Time before the first pair: arrays, compiling, a first call of both.
    """

    kind: str
    name: str
    size: Size
    batch_name: str
    timing: Timing
    steps: int
    floor_work: str
    bytes_moved: float
    goal: float | None
    sweep: str = ""
    startup: float = 0.0

    @property
    def seconds(self) -> float:
        """[s] Median time of a step."""
        return float(np.median(self.timing.seconds)) / self.steps

    @property
    def floor_seconds(self) -> float:
        """[s] Median time of the floor of a step."""
        return float(np.median(self.timing.floor_seconds)) / self.steps

    @property
    def is_spread_known(self) -> bool:
        """Whether there are several pairs of calls."""
        return len(self.timing.seconds) > 1

    @property
    def meets_goal(self) -> bool | None:
        """Whether the ratio is below its goal; None without a goal, or where pairs lie on both sides of it."""
        if (
            self.goal is None
            or not self.is_spread_known
            or min(self.timing.ratios) <= self.goal < max(self.timing.ratios)
        ):
            return None
        return self.timing.ratio <= self.goal


def measure(kind: str, benchmark: Benchmark, size: Size, sweep: str, end: float | None = None) -> BenchmarkResult:
    """Measure a function at a size.

    Args:
        kind: Kind of experiment.
        benchmark: The function.
        size: Size of the problem.
        sweep: ``edge`` or ``batch`` for a further size, empty for that of the table.
        end: [s] Monotonic time after which no further pair of calls begins; None for no end.

    Raises:
        Stopped: If a whole run was stopped at the end, or by a signal.
    """
    began = time.monotonic()
    case = benchmark.build(size)
    call = _caller(case, is_job=benchmark.is_job, end=end)
    timing = time_in_turns(call, case.floor, 1, end=end)
    startup = time.monotonic() - began - timing.seconds[0] - timing.floor_seconds[0]
    pairs = int(_PAIR_SECONDS / (timing.seconds[0] + timing.floor_seconds[0]))
    pairs = min(max(pairs, 1 if benchmark.is_job else FEWEST_PAIRS), _MOST_PAIRS)
    if pairs > 1:
        calls = max(1, round(_CALL_SECONDS / timing.seconds[0]))
        timing = time_in_turns(call, case.floor, pairs, calls=calls, end=end)
    return BenchmarkResult(
        kind,
        benchmark.name,
        size,
        benchmark.batch_name,
        timing,
        case.steps,
        case.floor_work,
        case.bytes_moved,
        benchmark.goal,
        sweep,
        startup,
    )


def compile_case(case: Case) -> Callable[..., Any]:
    """Compile the function of a case, handing over the memory of a state."""
    return jax.jit(case.function, donate_argnums=(0,) if case.carries_state else ())


def time_case(case: Case, pairs: int, calls: int = 1, *, is_job: bool = False) -> Timing:
    """Time the function of a case and its floor in turns; see `time_in_turns`."""
    return time_in_turns(_caller(case, is_job=is_job), case.floor, pairs, calls)


def _caller(case: Case, *, is_job: bool, end: float | None = None) -> Callable[[], Any]:
    """Function without arguments that calls the compiled function of a case, with its latest state."""
    if is_job:
        return lambda: case.function(end)
    compiled, rest = compile_case(case), case.arguments[1:]
    if not case.carries_state:
        return lambda: compiled(*case.arguments)
    state = jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, jax.Array) else leaf, case.arguments[0])
    structure: Any = jax.tree.structure(state)

    def call() -> Any:
        nonlocal state
        result = compiled(state, *rest)
        state = result if jax.tree.structure(result) == structure else result[0]
        return result

    return call
