"""Time of the forward model and its gradient relative to the Fourier transforms that they need, as `unflat bench`."""

import numpy as np

from unflat.recon.benchmarking.measurement import time_case
from unflat.recon.benchmarking.timing import Timing
from unflat.recon.experiments.cell.benchmarks import Problem, forward_case, gradient_case

from .ledger import Numbers


def transforms_ratio(march: str, shape: tuple[int, int, int], waves: int, repeats: int) -> Numbers:
    """Measure one physics.

    Args:
        march: ``multislice`` or ``ssnp``.
        shape: Slices and samples (z, y, x).
        waves: Number of views in a batch.
        repeats: Number of pairs.

    Returns:
        Ratios of wall time and of CPU time, medians, for ``forward`` (2Q transforms a wave and one for the image),
        ``gradient`` with the waves of all slices in memory (twice that), and ``blocks`` with those at the heads of
        blocks, where the slices are computed again (2Q more).
    """
    slices = shape[0]
    stored, recomputed = (Problem(march, shape, waves, recomputed) for recomputed in (False, True))
    cases = {"forward": forward_case(stored), "gradient": gradient_case(stored), "blocks": gradient_case(recomputed)}
    needed = {"forward": 2 * slices + 1, "gradient": 4 * slices + 2, "blocks": 6 * slices + 2}
    figures: Numbers = {"slices": slices, "waves": waves, "needed": needed}
    return figures | {name: summary(time_case(case, repeats)) for name, case in cases.items()}


def summary(timing: Timing) -> dict[str, float]:
    """Ratios of wall and CPU time (median, least, largest), and median times."""
    return {
        "ratio": timing.ratio,
        "cpu_ratio": timing.cpu_ratio,
        "least": float(min(timing.ratios)),
        "most": float(max(timing.ratios)),
        "seconds": float(np.median(timing.seconds)),
        "transforms_seconds": float(np.median(timing.floor_seconds)),
    }
