"""Square grid of the directions of light, found from the directions themselves.

Light from a place (y, x) of a flat array of LEDs at a distance h has sin θ = (y, x)/√(y² + x² + h²) in air: the
tangents of its angles lie on a square grid. Other instruments scan a square grid of the apertures n·sin θ.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_LEAST = 6
"""Least number of different directions, of which fewer lie on some grid by chance."""
_TOLERANCE = 0.1
"""Largest distance of a direction from its place along an axis, over the pitch."""
_SQUARE = 0.03
"""Largest relative difference of the pitches along y and x."""
_GRAZING = 1e-6


@dataclass(frozen=True)
class LightGrid:
    """Grid whose rows and columns run along y and x.

    Args:
        first: One place (y, x), a tangent or an aperture.
        pitch: Distance of neighbours.
        is_flat: Whether the tangents of the angles lie on the grid, as of a flat array, or else the apertures.
    """

    first: Float[np.ndarray, " 2"]
    pitch: float
    is_flat: bool

    def nearest(self, na: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
        """Find the directions of the places that are nearest to some directions, each once."""
        places = self.first + self.pitch * np.unique(np.rint(self.numbers(na)), axis=0)
        return np.asarray(places / np.sqrt(1 + (places**2).sum(axis=1, keepdims=True))) if self.is_flat else places

    def numbers(self, na: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Row and column of directions, counted from the first place; whole numbers for those of the grid."""
        return np.asarray((_places(na, is_flat=self.is_flat) - self.first) / self.pitch)


def find_grid(na: Float[np.ndarray, "n 2"]) -> LightGrid | None:
    """Find the grid of directions (y, x) n·sin θ; None where they lie on none."""
    na = np.unique(np.round(na, 6), axis=0)
    if len(na) < _LEAST:
        return None
    grids = {}
    for is_flat in (True, False):
        places = _places(na, is_flat=is_flat)
        steps = [_step(places[:, axis]) for axis in (0, 1)]
        if min(steps) <= 0 or abs(steps[0] - steps[1]) > _SQUARE * max(steps):
            continue
        grid = LightGrid(places[0], (steps[0] + steps[1]) / 2, is_flat)
        grids[float(np.abs(grid.numbers(na) - np.rint(grid.numbers(na))).max())] = grid
    return grids[min(grids)] if grids and min(grids) <= _TOLERANCE else None


def _places(na: Float[np.ndarray, "n 2"], *, is_flat: bool) -> Float[np.ndarray, "n 2"]:
    """Tangents of the angles in air of directions, or the directions themselves."""
    return np.asarray(na / np.sqrt(np.maximum(1 - (na**2).sum(axis=1, keepdims=True), _GRAZING))) if is_flat else na


def _step(values: Float[np.ndarray, " n"]) -> float:
    """Distance of evenly spaced values, of which some may be absent; 0 where there are fewer than three."""
    apart = np.diff(np.sort(values))
    span = float(values.max() - values.min())
    apart = apart[apart > 0.01 * span]
    return span / round(span / float(apart.min())) if len(apart) > 1 else 0.0
