"""Times of two functions that are called in turns, so that a busy machine slows both equally."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

_wait: Callable[[Any], Any] = jax.block_until_ready


@dataclass(frozen=True)
class Timing:
    """Times of a function and of its floor, call by call.

    Args:
        seconds: [s] Wall times of the function.
        floor_seconds: [s] Wall times of the floor.
        cpu: [s] CPU times of the function.
        floor_cpu: [s] CPU times of the floor.
    """

    seconds: tuple[float, ...]
    floor_seconds: tuple[float, ...]
    cpu: tuple[float, ...]
    floor_cpu: tuple[float, ...]

    @property
    def ratios(self) -> np.ndarray:
        """Ratio of the wall times of each pair of calls."""
        return np.divide(self.seconds, self.floor_seconds)

    @property
    def ratio(self) -> float:
        """Median ratio of the wall times of the pairs."""
        return float(np.median(self.ratios))

    @property
    def cpu_ratio(self) -> float:
        """Median ratio of the CPU times of the pairs."""
        return float(np.median(np.divide(self.cpu, self.floor_cpu)))


def time_in_turns(
    function: Callable[[], Any], floor: Callable[[], Any], repeats: int, calls: int = 1, end: float | None = None
) -> Timing:
    """Call a function and its floor in turns, after a first call of each, which compiles.

    Args:
        function: Function, whose result is waited for.
        floor: Function of the least work alone.
        repeats: Number of pairs.
        calls: Number of calls of each of the two in a pair, of which the mean counts.
        end: [s] Monotonic time after which no further pair begins, but for the first; None for no end.
    """
    _wait((function(), floor()))
    pairs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    while not pairs or (len(pairs) < repeats and (end is None or time.monotonic() < end)):
        pairs.append((_timed(function, calls), _timed(floor, calls)))
    (seconds, cpu), (floor_seconds, floor_cpu) = (zip(*(pair[i] for pair in pairs), strict=True) for i in (0, 1))
    return Timing(tuple(seconds), tuple(floor_seconds), tuple(cpu), tuple(floor_cpu))


def _timed(function: Callable[[], Any], calls: int) -> tuple[float, float]:
    """Measure wall and CPU time [s] of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        _wait(function())
    return (time.perf_counter() - wall) / calls, (time.process_time() - cpu) / calls
