"""BenchmarkResult of many functions at many sizes, within a time and the memory of the device."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ..errors import DeviceError, Diagnostic
from ..memory import available_memory, format_bytes
from .case import Benchmark, Case, Size
from .timing import Timing, time_in_turns

_PAIR_SECONDS = 2.0
"""[s] Time for the pairs of calls of a function at one size; two pairs are taken in any case."""
_FEWEST_PAIRS, _MOST_PAIRS = 2, 15
_CALL_SECONDS = 0.03
"""[s] Shortest time that is measured: shorter calls are repeated."""
_GROWTH = 1.2
"""Power of the problem's size with which the time of a call is expected to grow, for what is still to be measured."""
_MEMORY_SHARE = 0.8
"""Share of the memory that an array-heavy call may take."""


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

    @property
    def seconds(self) -> float:
        """[s] Least time of a step."""
        return min(self.timing.seconds) / self.steps

    @property
    def floor_seconds(self) -> float:
        """[s] Least time of the floor of a step."""
        return min(self.timing.floor_seconds) / self.steps


@dataclass(frozen=True)
class Scaling:
    """Growth of the time with the size of the problem: time ~ samples^exponent.

    Args:
        kind: Kind of experiment.
        name: Name of the function.
        sweep: ``edge`` or ``batch``: the number that grew.
        batch_name: Name of the elements of a batch.
        sizes: Sizes of the fit.
        exponent: Exponent of the function.
        floor_exponent: Exponent of its floor.
    """

    kind: str
    name: str
    sweep: str
    batch_name: str
    sizes: tuple[Size, ...]
    exponent: float
    floor_exponent: float


@dataclass(frozen=True)
class Limits:
    """Limits of a measurement.

    Args:
        seconds: [s] Time for everything; larger sizes are left out when it would be exceeded.
        edges: Edges to measure whatever their time, instead of the usual ones; None for those.
        quick: Whether to take small problems and no further sizes.
    """

    seconds: float
    edges: tuple[int, ...] | None = None
    quick: bool = False


QUICK_EDGE, QUICK_BATCH = 32, 2


def measure_all(
    benchmarks: Mapping[str, Sequence[Benchmark]],
    limits: Limits,
    report: Callable[[BenchmarkResult], None] = lambda measurement: None,
    report_omission: Callable[[str], None] = lambda omitted: None,
) -> list[BenchmarkResult]:
    """Measure every function at the size of the table first, then whole jobs and further sizes as there is time.

    Args:
        benchmarks: Functions of each kind.
        limits: Time and sizes.
        report: Callback with each measurement.
        report_omission: Callback with a description of what is left out, for want of time or memory.

    Raises:
        DeviceError: If a size that was asked for does not fit into the memory.
    """
    end = time.monotonic() + limits.seconds
    measurements: list[BenchmarkResult] = []

    def measure(kind: str, benchmark: Benchmark, size: Size, sweep: str) -> BenchmarkResult:
        measured = _measure(kind, benchmark, size, sweep)
        measurements.append(measured)
        report(measured)
        return measured

    firsts = []
    listed = [(kind, one) for kind, several in benchmarks.items() for one in several]
    for kind, benchmark in sorted(listed, key=lambda item: item[1].is_job):
        size = _first_size(benchmark, limits)
        if benchmark.is_job and time.monotonic() > end:
            report_omission(f"{kind}: {benchmark.name}")
            continue
        _require_memory(benchmark, size)
        firsts.append((kind, benchmark, measure(kind, benchmark, size, "")))
    sweeps = [(*first, sweep, sizes) for first in firsts for sweep, sizes in _further_sizes(first[1], limits).items()]
    for done, (kind, benchmark, last, sweep, sizes) in enumerate(sweeps):
        share_end = time.monotonic() + max(end - time.monotonic(), 0) / (len(sweeps) - done)
        for size in sizes:
            if limits.edges is None and not (_fits(benchmark, size) and _in_time(last, size, share_end)):
                report_omission(f"{kind}: {benchmark.name} from {size.describe(benchmark.batch_name)} on")
                break
            _require_memory(benchmark, size)
            last = measure(kind, benchmark, size, sweep)
    return measurements


def scalings(measurements: Iterable[BenchmarkResult]) -> list[Scaling]:
    """Fit the exponents of the times, of each function that was measured at several sizes."""
    listed = list(measurements)
    results = []
    for first in (one for one in listed if not one.sweep):
        for sweep in ("edge", "batch"):
            own = [one for one in listed if (one.kind, one.name) == (first.kind, first.name)]
            own = [one for one in own if one.sweep in ("", sweep)]
            if len(own) < 2:
                continue
            samples = np.log([one.size.samples for one in own])
            exponents = [
                float(np.polyfit(samples, np.log(seconds), 1)[0])
                for seconds in ([one.seconds for one in own], [one.floor_seconds for one in own])
            ]
            sizes = tuple(one.size for one in own)
            results.append(Scaling(first.kind, first.name, sweep, first.batch_name, sizes, exponents[0], exponents[1]))
    return results


def compile_case(case: Case) -> Callable[..., Any]:
    """Compile the function of a case, handing over the memory of a state."""
    return jax.jit(case.function, donate_argnums=(0,) if case.carries_state else ())


def time_case(case: Case, pairs: int, calls: int = 1, *, is_job: bool = False) -> Timing:
    """Time the function of a case and its floor in turns; see `time_in_turns`."""
    return time_in_turns(_caller(case, is_job=is_job), case.floor, pairs, calls)


def _first_size(benchmark: Benchmark, limits: Limits) -> Size:
    """Size of the table: the least one that was asked for, or a small one for a quick look."""
    size = benchmark.size
    if limits.edges is not None and benchmark.edges:
        return size._replace(edge=limits.edges[0])
    if limits.quick:
        edge = min(size.edge, QUICK_EDGE) if benchmark.edges else size.edge
        return Size(edge, min(size.batch, QUICK_BATCH))
    return size


def _further_sizes(benchmark: Benchmark, limits: Limits) -> dict[str, list[Size]]:
    """List the sizes beyond the first one, along each direction in which it grows."""
    first = _first_size(benchmark, limits)
    if limits.edges is not None:
        further = [first._replace(edge=edge) for edge in limits.edges[1:]] if benchmark.edges else []
        return {"edge": further} if further else {}
    if limits.quick:
        return {}
    edges = [first._replace(edge=edge) for edge in benchmark.edges if edge > first.edge]
    batches = [first._replace(batch=batch) for batch in benchmark.batches if batch > first.batch]
    return {name: sizes for name, sizes in (("edge", edges), ("batch", batches)) if sizes}


def _measure(kind: str, benchmark: Benchmark, size: Size, sweep: str) -> BenchmarkResult:
    case = benchmark.build(size)
    call = _caller(case, is_job=benchmark.is_job)
    timing = time_in_turns(call, case.floor, 1)
    pairs = int(_PAIR_SECONDS / (timing.seconds[0] + timing.floor_seconds[0]))
    pairs = min(max(pairs, 1 if benchmark.is_job else _FEWEST_PAIRS), _MOST_PAIRS)
    if pairs > 1:
        calls = max(1, round(_CALL_SECONDS / timing.seconds[0]))
        timing = time_in_turns(call, case.floor, pairs, calls=calls)
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
    )


def _caller(case: Case, *, is_job: bool) -> Callable[[], Any]:
    """Function without arguments that calls the compiled function of a case, with its latest state."""
    if is_job:
        return lambda: case.function(*case.arguments)
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


def _in_time(last: BenchmarkResult, size: Size, end: float) -> bool:
    """Whether a size is likely measured before the end, judged by a smaller one."""
    grown = (size.samples / last.size.samples) ** _GROWTH
    call = grown * last.steps * (last.seconds + last.floor_seconds)
    # A second for compiling, and a call of each for it.
    return bool(time.monotonic() + 1.0 + (2 + _FEWEST_PAIRS) * call < end)


def _fits(benchmark: Benchmark, size: Size) -> bool:
    return benchmark.memory(size) < _MEMORY_SHARE * device_memory()


def _require_memory(benchmark: Benchmark, size: Size) -> None:
    """Refuse a size that does not fit.

    Raises:
        DeviceError: If it does not.
    """
    if _fits(benchmark, size):
        return
    need, have = format_bytes(benchmark.memory(size)), format_bytes(device_memory())
    message = f"{benchmark.name} of {size.describe(benchmark.batch_name)} needs about {need} of memory, and {have} are"
    raise DeviceError(Diagnostic("--sizes", f"{message} available", "name smaller sizes"))


def device_memory() -> int:
    """Memory [byte] that arrays of the first device can take."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return int(statistics["bytes_limit"]) - int(statistics.get("bytes_in_use", 0))
    return available_memory()
