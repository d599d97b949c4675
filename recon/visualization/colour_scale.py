"""Colour map and range of a quantity: one rule for figures, movies, reports and the live view."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from ..model import UNCERTAINTY
from ..sampled import Quantity
from .style import DIFFERENCE_COLOURS, INDEX_COLOURS, INK, colour_range

PHASE_COLOURS = "twilight"
"""Colour map of wrapped phases, the same at −π and π."""
SPREAD_COLOURS = "viridis"
"""Colour map of standard deviations."""
_BOTH_SIDES = 0.05
"""Least share of the larger side of zero at which values count as of both signs."""
_ROUGH = 1e-2
"""Share of the samples beyond the range of values with a sign, and of spreads, which are rough at an object's rim."""
_HALF_TURN = np.pi * (1 + 1e-6)
_NEARLY_HALF_TURN = 0.9 * np.pi
"""Magnitude that the largest hundredth of phases exceeds if they are wrapped."""
_CONSTANT = 1e-30


@dataclass(frozen=True)
class ColourScale:
    """Colours of a quantity.

    Args:
        low: Value of the first colour.
        high: Value of the last colour.
        colours: Name of the colour map.
        diverging: Whether zero is in the middle.
    """

    low: float
    high: float
    colours: str = INDEX_COLOURS
    diverging: bool = False

    @property
    def limits(self) -> tuple[float, float]:
        """Values of the first and the last colour."""
        return self.low, self.high

    @property
    def ground(self) -> float:
        """Colour around a specimen, from 0 for the first to 1 for the last: that of zero where values have a sign."""
        return 0.0 if self.colours in (INDEX_COLOURS, SPREAD_COLOURS) else 0.5

    @property
    def mark(self) -> str:
        """Colour of lines and scale bars on pictures: dark where the middle of the colours is white."""
        return INK if self.colours == DIFFERENCE_COLOURS else "white"

    @property
    def interpolation(self) -> str | None:
        """Interpolation of matplotlib between samples; None for that of the style.

        Between −π and π of wrapped phases there is no mean.
        """
        return "nearest" if self.colours == PHASE_COLOURS else None

    def within(self, limits: tuple[float, float] | None) -> "ColourScale":
        """The same colours for other limits; None for its own."""
        return self if limits is None else replace(self, low=limits[0], high=limits[1])

    def to_json(self) -> dict[str, Any]:
        """Entries of the description of a quantity."""
        return {"low": self.low, "high": self.high, "colours": self.colours, "diverging": self.diverging}


def choose_scale(
    quantity: Quantity,
    values: Float[np.ndarray, "..."],
    background: float | None = None,
    samples: Shaped[np.ndarray, "..."] | None = None,
) -> ColourScale:
    """Choose the colours of values.

    Phases that reach ±π and stay within have the cyclic map, of one turn; values of both signs a map that is white at
    0, in the middle; uncertainties begin at 0.

    Args:
        quantity: Quantity of the values.
        values: Values that are drawn with the colours.
        background: Value of the medium; None for values without one.
        samples: Samples by which the reach of signed values and spreads is chosen; the values themselves by default.
    """
    if quantity.name.startswith(UNCERTAINTY):
        return ColourScale(0.0, max(_reach(samples, values), _CONSTANT), SPREAD_COLOURS)
    low, high = colour_range(values, background)
    if not min(-low, high) > _BOTH_SIDES * max(-low, high):
        return ColourScale(low, high)
    reach, own = _reach(samples, values), values if samples is None else samples
    if quantity.unit == "rad" and reach > _NEARLY_HALF_TURN and np.nanmax(np.abs(own)) <= _HALF_TURN:
        return ColourScale(-np.pi, np.pi, PHASE_COLOURS)
    bound = reach or max(-low, high)
    return ColourScale(-bound, bound, DIFFERENCE_COLOURS, diverging=True)


def _reach(samples: Shaped[np.ndarray, "..."] | None, values: Float[np.ndarray, "..."]) -> float:
    """Magnitude that most samples do not exceed, apart from those that are exactly 0: outside an object."""
    own = np.abs(values if samples is None else samples)
    inside = own[np.isfinite(own) & (own > 0)]
    return float(np.percentile(inside, 100 - 100 * _ROUGH)) if inside.size else 0.0
