"""Estimate of memory and time of a prediction, from the number of shapes."""

from ...acquisition import Acquisition
from ...io.network_file import STEPS
from ...runs.estimate import PROGRAM_BYTES, Estimate, base_estimate
from .config import ShapeSettings
from .network.conditioning import pool_size
from .network.config import BATCH
from .network.consensus import DRAWS
from .sections import read_sections

_STEP_SECONDS = 0.006
"""[s] Time of a step of the flow for one shape, on two cores."""
_COMBINING_SECONDS = 1.0
"""[s] Time of combining the draws of a cell to their consensus."""
_REFINING_SECONDS = 0.02
"""[s] Time of a step of the fit to the picture for one shape."""
_WRITING_SECONDS = 0.05
"""[s] Time of sampling and writing a shape of 64³ voxels."""


def estimate(settings: ShapeSettings, acquisition: Acquisition | None) -> Estimate:
    """Estimate memory and time of a prediction.

    Args:
        settings: The config.
        acquisition: Pictures and masks; None counts the program itself only.
    """
    if acquisition is None:
        return base_estimate()
    section, cells = settings.predict, len(acquisition["images"])
    draws, steps = (1, 1) if section.mean else (section.draws, section.steps or STEPS)
    shapes = draws + (not section.mean)  # With the consensus.
    # Refined draws are none of the consensus, which is refined itself.
    drawn = 1 if section.mean else draws + DRAWS if section.refine else max(draws, DRAWS)
    conditioned = sum(bool(own) for own in read_sections(acquisition))
    pool = pool_size(max(draws, DRAWS))
    voxels = cells * shapes * settings.volume.edge**3
    seconds = cells * drawn * steps * _STEP_SECONDS
    more = pool if section.mean else 2 * pool if section.refine else pool - draws
    seconds += conditioned * more * (section.steps or STEPS) * _STEP_SECONDS
    seconds += cells * _COMBINING_SECONDS * (not section.mean)
    seconds += cells * shapes * _REFINING_SECONDS * section.refine_steps * section.refine
    seconds += voxels / 64**3 * _WRITING_SECONDS
    lines = [f"{cells} cells, {draws} draws of each, sampled at {settings.volume.edge} samples along an axis"]
    if not section.mean:
        lines.append(f"the consensus of a cell is of {DRAWS} draws, whatever number is written")
    if conditioned:
        many = "1 cell" if conditioned == 1 else f"{conditioned} cells"
        use = "the mean is changed by" if section.mean else "the draws are taken from"
        lines.append(f"{many} of several sections: {use} a pool of {pool} draws of each")
    return Estimate(int(PROGRAM_BYTES + 4 * voxels), float(seconds), lines, {"draws of a call": min(drawn, BATCH)})
