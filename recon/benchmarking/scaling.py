"""Growth of measured times with the size of the problem."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .case import Size
from .measurement import BenchmarkResult


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
