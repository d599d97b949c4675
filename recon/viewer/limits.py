"""Ranges and colours of quantities, from the planes and by the rule of the report's figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ..metrics.line_profile import index_of_highest_contrast
from ..model import UNCERTAINTY, Model
from ..sampled import Quantity, Sampled
from ..slice_plane import SlicePlane
from ..visualization.style import DIFFERENCE_COLOURS, INDEX_COLOURS, colour_range
from ..volume import Volume
from .grids import sample_grid
from .planes import sample_plane

PHASE_COLOURS = "twilight"
"""Colour map of phases, the same at −π and π."""
SPREAD_COLOURS = "viridis"
"""Colour map of standard deviations."""
_FINE, _COARSE = (96, 480), (40, 200)
"""Number of samples along the longest edge of the grid in which the planes are placed, and of the planes.

The fine ones are those of the report; the coarse ones are for volumes, for many draws, and for networks, which take
seconds more.
"""
_HALF_TURN = np.pi * (1 + 1e-6)
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
    planes = _planes_of(specimen)
    return {q.name: _choose(q, _values(specimen, q.name, planes), specimen) for q in specimen.real_quantities}


def _planes_of(specimen: Sampled) -> list[SlicePlane]:
    """Place three planes through the highest contrast of the main quantity, as the report does."""
    is_fast = isinstance(specimen, Model) and not specimen.is_pointwise and specimen.draws == 1
    longest, size = _FINE if is_fast else _COARSE
    axes, main = specimen.isotropic_axes(longest), specimen.real_quantities[0].name
    index = index_of_highest_contrast(sample_grid(specimen, main, axes), background=specimen.background(main))
    point = [float(axis[i]) for axis, i in zip(axes, index, strict=True)]
    low, high = (np.asarray(corner) for corner in specimen.bounds)
    pitch = float((high - low).max()) / size
    counts = [max(1, int(n)) for n in np.rint((high - low) / pitch)]
    planes = []
    for normal, (down, right) in enumerate(((1, 2), (0, 2), (0, 1))):
        centre = (low + high) / 2
        centre[normal] = point[normal]
        steps = pitch * np.eye(3)
        planes.append(SlicePlane(centre, steps[right], steps[down], counts[right], counts[down]))
    return planes


def _values(specimen: Sampled, quantity: str, planes: list[SlicePlane]) -> Float[np.ndarray, " n"]:
    return np.concatenate([sample_plane(specimen, quantity, plane).ravel() for plane in planes])


def _choose(quantity: Quantity, values: Float[np.ndarray, " n"], specimen: Sampled) -> ColourLimits:
    low, high = colour_range(values, specimen.background(quantity.name))
    if quantity.name.startswith(UNCERTAINTY):
        return ColourLimits(0.0, max(high, _CONSTANT), SPREAD_COLOURS)
    if quantity.unit == "rad" and _largest(quantity.name, values, specimen) <= _HALF_TURN:
        return ColourLimits(-np.pi, np.pi, PHASE_COLOURS)
    if min(-low, high) > _BOTH_SIDES * max(-low, high):
        bound = max(-low, high)
        return ColourLimits(-bound, bound, DIFFERENCE_COLOURS, diverging=True)
    return ColourLimits(low, high, INDEX_COLOURS)


def _largest(quantity: str, values: Float[np.ndarray, " n"], specimen: Sampled) -> float:
    """Largest magnitude: that of the samples of a volume, because splines between wrapped phases overshoot."""
    known = specimen.values[quantity] if isinstance(specimen, Volume) else values
    return float(np.nanmax(np.abs(known), initial=0.0))
