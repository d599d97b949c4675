"""Ranges and colours of quantities, from their values on a coarse grid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ..model import UNCERTAINTY
from ..sampled import Quantity, Sampled
from ..visualization.style import DIFFERENCE_COLOURS, INDEX_COLOURS, colour_range
from .grids import sample_grid

PHASE_COLOURS = "twilight"
"""Colour map of phases, the same at −π and π."""
SPREAD_COLOURS = "viridis"
"""Colour map of standard deviations."""
_LONGEST = 40
"""Number of samples along the longest edge of the grid."""
_BOTH_SIDES = 0.05
"""Least share of the larger side of zero at which values count as of both signs."""
_CONSTANT = 1e-30


@dataclass(frozen=True)
class ColourLimits:
    """Range of a quantity.

    Args:
        low: Value of the first colour.
        high: Value of the last colour.
        colours: Name of the colour map.
        diverging: Whether zero is in the middle.
    """

    low: float
    high: float
    colours: str
    diverging: bool = False

    def to_json(self) -> dict[str, Any]:
        """Entries of the description of a quantity."""
        return {"low": self.low, "high": self.high, "colours": self.colours, "diverging": self.diverging}


def limits_of(specimen: Sampled) -> dict[str, ColourLimits]:
    """Choose the ranges of all real quantities of a specimen, by name."""
    axes = specimen.isotropic_axes(_LONGEST)
    values = {q.name: sample_grid(specimen, q.name, axes) for q in specimen.real_quantities}
    return {q.name: _choose(q, values[q.name].ravel(), specimen.background(q.name)) for q in specimen.real_quantities}


def _choose(quantity: Quantity, values: Float[np.ndarray, " n"], background: float) -> ColourLimits:
    low, high = colour_range(values, background, outliers=1e-3)
    if quantity.name.startswith(UNCERTAINTY):
        return ColourLimits(0.0, max(high, _CONSTANT), SPREAD_COLOURS)
    if min(-low, high) > _BOTH_SIDES * max(-low, high):
        bound = max(-low, high)
        return ColourLimits(
            -bound, bound, PHASE_COLOURS if quantity.unit == "rad" else DIFFERENCE_COLOURS, diverging=True
        )
    return ColourLimits(low, high, INDEX_COLOURS)
