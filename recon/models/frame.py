"""Where a model stands in the world: axes ``z y x``, lengths in metres."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from ..errors import DataError

EDGE = 1e-9  # A point this far outside (in half boxes) is on the box's face: coordinates are rounded.


@dataclass(frozen=True)
class Frame:
    """The box in which a model is defined.

    Args:
        low: [m] Its corner of smallest (z, y, x).
        high: [m] Its corner of largest (z, y, x).
        spacing: [m] The sampling (z, y, x) that shows what the model holds: the voxel it was fitted on, where there was
            one.
        attributes: Further plain facts: ``medium_index``.

    Raises:
        DataError: If the box is not one.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    spacing: tuple[float, float, float] | None = None
    attributes: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (np.all(np.isfinite([self.low, self.high])) and np.all(self.extent > 0)):
            raise DataError(f"the model's box from {self.low} to {self.high} m has no volume")
        if self.spacing is not None and not all(d > 0 for d in self.spacing):
            raise DataError(f"the model's spacing {self.spacing} m is not positive")

    @property
    def extent(self) -> Float[np.ndarray, " 3"]:
        """[m] Size of the box (z, y, x)."""
        return np.subtract(self.high, self.low)

    @property
    def world_from_model(self) -> Float[np.ndarray, "4 4"]:
        """Affine map of homogeneous normalised points (z, y, x, 1), −1 … 1 in the box, to metres."""
        affine = np.diag([*(self.extent / 2), 1.0])
        affine[:3, 3] = np.add(self.low, self.high) / 2
        return affine

    def normalised(self, coordinates: Float[np.ndarray, "*n"], axis: int) -> Float[np.ndarray, "*n"]:
        """Turn coordinates along one axis [m] into −1 … 1."""
        low, high = self.low[axis], self.high[axis]
        s: np.ndarray = (2 * coordinates - (low + high)) / (high - low)
        return s

    def points(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Turn points [m] into normalised ones."""
        return np.stack([self.normalised(points[:, axis], axis) for axis in range(3)], axis=-1)

    def contains(self, points: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
        """Tell which points [m] lie in the box."""
        within: np.ndarray = np.all(inside(self.points(points)), axis=-1)
        return within


def inside(s: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """Tell which normalised coordinates lie in the box."""
    within: np.ndarray = np.abs(s) <= 1 + EDGE
    return within
