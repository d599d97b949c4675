"""Relief of a shape: the part of its code that a blur removes, and its amplitude.

Codes of real cells lose a tenth of the roughness, as points four voxels apart do not resolve all of it, and draws of a
cell differ in it by half as much as they miss the truth. Each draw therefore has an amplitude of its own, drawn from a
normal distribution. Mean and spread of the amplitude were chosen on 27 real cells that their network had not seen, so
that the intervals of the draws cover the truth as often as they should.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from .shape_code import Code

_BLUR = 1.0
"""[point of the code] Standard deviation of the Gaussian."""
_GAIN, _GAIN_SPREAD = 0.35, 0.4
"""Mean and standard deviation of the amplitude that is added to the relief of draws, relative to their own."""
_SURFACE = 0.6
"""Distance in a code within which a point counts as near the surface."""


def relief(code: Code) -> Code:
    """Compute the relief of a code; its mean near the surface is 0, so that adding it leaves the volume unchanged."""
    high = code - gaussian_filter(code, _BLUR, mode="nearest")
    weights = np.maximum(1 - np.abs(code) / _SURFACE, 0)
    return np.asarray(high - (weights * high).sum() / max(float(weights.sum()), 1e-6), np.float32)


def vary_relief(code: Code, deviation: float) -> Code:
    """Amplify the relief of a draw.

    Args:
        code: Code of the draw.
        deviation: Deviation of its amplitude from the mean, in standard deviations.
    """
    return np.asarray(code + (_GAIN + _GAIN_SPREAD * deviation) * relief(code), np.float32)
