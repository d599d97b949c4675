"""Memory and time of predicting shapes, from their number alone."""

from ...acquisition import Acquisition
from ...io.network_file import STEPS
from ...runs.estimate import PROGRAM_BYTES, Estimate, base_estimate
from .config import ShapeSettings

_STEP_SECONDS = 0.006
"""[s] Of a step of the flow, a shape, on two cores."""
_REFINING_SECONDS = 0.02
"""[s] Of a step of the fit to the picture, a shape."""
_WRITING_SECONDS = 0.05
"""[s] Of sampling and writing a shape of 64³ voxels."""


def estimate(settings: ShapeSettings, acquisition: Acquisition | None) -> Estimate:
    """Estimate the prediction.

    Args:
        settings: The config.
        acquisition: The pictures as read; without them only the program itself is counted.
    """
    if acquisition is None:
        return base_estimate()
    wanted, cells = settings.predict, len(acquisition["images"])
    draws = 1 if wanted.mean else wanted.draws
    voxels = cells * draws * settings.volume.edge**3
    seconds = cells * draws * (_STEP_SECONDS * (1 if wanted.mean else wanted.steps or STEPS))
    seconds += cells * draws * _REFINING_SECONDS * wanted.refine_steps * wanted.refine
    seconds += voxels / 64**3 * _WRITING_SECONDS
    lines = [f"{cells} cells, {draws} draws of each, sampled at {settings.volume.edge} samples along an axis"]
    return Estimate(int(PROGRAM_BYTES + 4 * voxels), float(seconds), lines)
