"""Measurement of many functions at many sizes, within a time and the memory of the device."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple, TypeVar

import jax

from ..errors import DeviceError, Diagnostic, Stopped
from ..memory import available_memory, format_bytes
from .case import Benchmark, Size
from .measurement import FEWEST_PAIRS, BenchmarkResult, measure

_GROWTH = 1.2
"""Power of the problem's size with which the time of a call is expected to grow, for what is still to be measured."""
_STARTUP_SECONDS, _JOB_STARTUP_SECONDS = 2.0, 15.0
"""[s] Expected time of compiling and first calls of a function, and of a whole run, before any was measured."""
_MEMORY_SHARE = 0.8
"""Share of the available memory that a function may take."""
_LEVELS_BEFORE_JOBS = 2
"""Number of further sizes along each direction that come before the whole runs."""
QUICK_EDGE, QUICK_BATCH = 32, 2
_T = TypeVar("_T")


@dataclass(frozen=True)
class Limits:
    """Limits of a measurement.

    Args:
        end: [s] Monotonic time at which it ends: what would take longer is left out. None for no end.
        edges: Edges to measure instead of the usual ones; None for those.
        quick: Whether to take small problems and no further sizes.
    """

    end: float | None = None
    edges: tuple[int, ...] | None = None
    quick: bool = False


class _Item(NamedTuple):
    """Function that is measured at a size."""

    kind: str
    benchmark: Benchmark
    size: Size
    sweep: str = ""

    def describe(self) -> str:
        return f"{self.kind}: {self.benchmark.name}, {self.size.describe(self.benchmark.batch_name)}"


def measure_all(
    benchmarks: Mapping[str, Sequence[Benchmark]],
    limits: Limits,
    report: Callable[[BenchmarkResult], None],
    report_omission: Callable[[str], None] = lambda omission: None,
) -> None:
    """Measure every function at the size of the table first, then further sizes and whole runs as there is time.

    Args:
        benchmarks: Functions of each kind.
        limits: Time and sizes.
        report: Callback with each result, at once.
        report_omission: Callback with a description of what is left out, and why.

    Raises:
        DeviceError: If an edge that was asked for does not fit into the memory, before anything is measured.
        Stopped: If a signal stopped a whole run.
    """
    listed = [(kind, one) for kind, several in benchmarks.items() for one in several]
    if limits.edges is not None:
        _require_memory([one for _, one in listed if one.edges], limits.edges[-1])
    run = _BenchmarkRun(limits.end, report, report_omission)
    for item in _plan(listed, limits):
        run.take(item)


def _plan(listed: Sequence[tuple[str, Benchmark]], limits: Limits) -> Iterator[_Item]:
    """Order of the measurements: small before large, and the kinds in turns, so that an early end has some of each."""
    functions: dict[str, list[_Item]] = {}
    sweeps: dict[str, list[list[_Item]]] = {}
    for kind, one in listed:
        if one.is_job:
            continue
        functions.setdefault(kind, []).append(_Item(kind, one, _first_size(one, limits)))
        for sweep, sizes in _further_sizes(one, limits).items():
            sweeps.setdefault(kind, []).append([_Item(kind, one, size, sweep) for size in sizes])
    yield from _in_turns(functions.values())
    levels = [[item for item in level if item is not None] for level in zip_longest(*_in_turns(sweeps.values()))]
    for level in levels[:_LEVELS_BEFORE_JOBS]:
        yield from level
    yield from (_Item(kind, one, _first_size(one, limits)) for kind, one in listed if one.is_job)
    for level in levels[_LEVELS_BEFORE_JOBS:]:
        yield from level


def _in_turns(lists: Iterable[Sequence[_T]]) -> Iterator[_T]:
    """Iterate over the first of all lists, then over the second of all, and so on."""
    return (item for several in zip_longest(*lists) for item in several if item is not None)


@dataclass
class _BenchmarkRun:
    """Measurements so far, from which the time of the next one is estimated.

    Args:
        end: [s] Monotonic time of the end; None for no end.
        report: Callback with each result.
        report_omission: Callback with a description of what is left out, and why.
        latest: Latest result of each function.
        ended: Functions of which larger sizes are left out, and the direction.
    """

    end: float | None
    report: Callable[[BenchmarkResult], None]
    report_omission: Callable[[str], None]
    latest: dict[tuple[str, str], BenchmarkResult] = field(default_factory=dict)
    ended: set[tuple[str, str, str]] = field(default_factory=set)

    def take(self, item: _Item) -> None:
        """Measure, or leave out what does not fit into the time or the memory, and all larger sizes."""
        key = (item.kind, item.benchmark.name)
        if (*key, "") in self.ended or (*key, item.sweep) in self.ended:
            return
        reason = self._obstacle(item) or self._measure(item)
        if reason:
            self.ended.add((*key, item.sweep))
            self.report_omission(f"{item.describe()} ({reason})")

    def _obstacle(self, item: _Item) -> str:
        if not _fits(item.benchmark, item.size):
            return _shortage(item.benchmark, item.size)
        if self.end is not None and time.monotonic() + self._expected(item) > self.end:
            return "time"
        return ""

    def _measure(self, item: _Item) -> str:
        """Measure, and return the reason if that came to nothing."""
        try:
            result = measure(*item, end=self.end)
        except Stopped:
            if self.end is None or time.monotonic() < self.end:
                raise
            return "time"
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return "out of memory"
        self.latest[item.kind, item.benchmark.name] = result
        self.report(result)
        return ""

    def _expected(self, item: _Item) -> float:
        """Expected time [s], judged by a smaller size of the function, or by the mean of other functions."""
        last = self.latest.get((item.kind, item.benchmark.name))
        if item.benchmark.is_job:
            return _JOB_STARTUP_SECONDS
        if last is None:
            others = [one.startup for one in self.latest.values()]
            return sum(others) / len(others) if others else _STARTUP_SECONDS
        grown = float(max(1.0, item.size.samples / last.size.samples) ** _GROWTH)
        call = grown * last.steps * (last.seconds + last.floor_seconds)
        return last.startup + (1 + FEWEST_PAIRS) * call


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


def _fits(benchmark: Benchmark, size: Size) -> bool:
    return benchmark.memory(size) < _MEMORY_SHARE * device_memory()


def _shortage(benchmark: Benchmark, size: Size) -> str:
    """Compare the memory that is needed with the memory that there is."""
    need, have = format_bytes(benchmark.memory(size)), format_bytes(device_memory())
    return f"needs about {need}, more than {_MEMORY_SHARE:.0%} of the {have} of memory available"


def _require_memory(benchmarks: Sequence[Benchmark], edge: int) -> None:
    """Refuse an edge that does not fit.

    Raises:
        DeviceError: If it does not.
    """
    for benchmark in benchmarks:
        size = benchmark.size._replace(edge=edge)
        if not _fits(benchmark, size):
            message = f"{benchmark.name} of {size.describe(benchmark.batch_name)} {_shortage(benchmark, size)}"
            raise DeviceError(Diagnostic("--sizes", message, "name smaller sizes"))


def device_memory() -> int:
    """Memory [byte] that arrays of the first device can take."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return int(statistics["bytes_limit"]) - int(statistics.get("bytes_in_use", 0))
    return available_memory()
