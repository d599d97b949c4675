"""Estimate of memory and time of a prediction, from the number of shapes."""

from ...acquisition import Acquisition
from ...io.network_file import STEPS
from ...runs.estimate import PROGRAM_BYTES, Estimate, base_estimate
from .config import ShapeSettings

_STEP_SECONDS = 0.006
"""[s] Time of a step of the flow for one shape, on two cores."""
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
    draws = 1 if section.mean else section.draws
    voxels = cells * draws * settings.volume.edge**3
    seconds = cells * draws * (_STEP_SECONDS * (1 if section.mean else section.steps or STEPS))
    seconds += cells * draws * _REFINING_SECONDS * section.refine_steps * section.refine
    seconds += voxels / 64**3 * _WRITING_SECONDS
    lines = [f"{cells} cells, {draws} draws of each, sampled at {settings.volume.edge} samples along an axis"]
    return Estimate(int(PROGRAM_BYTES + 4 * voxels), float(seconds), lines)
