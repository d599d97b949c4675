"""A whole small run of a kind of experiment as a benchmark: simulated measurement in, files and report out."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..benchmarking.case import Benchmark, Case, Size
from ..errors import QualityError
from .base import Experiment
from .run import RunOptions, run_method

_JOB_BYTES = 1.5e9
"""[byte] Memory of a small job."""
_SHORTEST_LIMIT = 1e-3
"""[s] Time limit of a run that begins too late."""


@contextmanager
def _silence() -> Iterator[None]:
    """Log no warnings: the result of a benchmark is of no interest."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def small_job(
    experiment: Experiment,
    method: str,
    changes: Mapping[str, Any],
    floor: Callable[[Size], tuple[Callable[[], Any], str]],
    size: Size,
    batch_name: str,
) -> Benchmark:
    """Describe a run of a method on a small simulated specimen, with its report; the first call compiles.

    Args:
        experiment: Kind of experiment.
        method: ``fit``, ``phase`` or ``predict``.
        changes: Sections of the config, which differ from the defaults.
        floor: Function that makes the least work of the run at a size, and its description.
        size: Size of the problem.
        batch_name: Name of the elements of a batch, in the plural.
    """

    def build(size: Size) -> Case:
        folder = tempfile.TemporaryDirectory(prefix="unflat-bench-")
        config = experiment.Config.model_validate({"kind": experiment.name, **changes})
        acquisition = experiment.simulate(config)

        def run(end: float | None) -> None:
            limit = None if end is None else max(end - time.monotonic(), _SHORTEST_LIMIT)
            options = RunOptions(Path(folder.name) / "run", force=True, time_limit=limit)
            with _silence(), suppress(QualityError):  # The time counts, not the result of a few steps.
                run_method(method, config, acquisition, options)

        least, work = floor(size)
        return Case(run, (), least, work)

    return Benchmark(f"whole {method}, small", build, size, lambda size: _JOB_BYTES, batch_name=batch_name, is_job=True)
