"""Wide gaps between the frames of a rocking curve, by their positions alone."""

import numpy as np
from jaxtyping import Float

LOST = 1.9
"""Widest gap, relative to the median step, up to which no frame is lost: jitter of half a step makes narrower ones."""
SAME = 0.25
"""[step] Largest distance of two frames, along the curve and across [pixel], that are joined."""
LARGEST = 1.5
"""Largest number of frames of the projections, relative to those measured."""


def has_wide_gap(along: Float[np.ndarray, " frame"]) -> bool:
    """Whether frames of a curve are lost.

    Args:
        along: [step] Positions of the frames along the curve, in any order.
    """
    gaps = np.diff(np.sort(along))
    return bool(gaps.max() > LOST * np.median(gaps[gaps > SAME]))
