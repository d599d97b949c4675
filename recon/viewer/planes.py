"""Planes through a result, dragged and turned freely: coordinates, values and profiles.

Axes are ``z y x``. A plane is given by the position of its centre and the steps from one sample to the next.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..errors import ConfigError
from ..sampled import Sampled

LARGEST = 2048
"""Largest number of samples along an edge."""
_ALONG = 1e-9
"""Share of a step below which it counts as 0 along an axis."""


@dataclass(frozen=True)
class SlicePlane:
    """A plane of samples.

    Args:
        origin: [m] Centre of the plane (z, y, x).
        right: [m] Step from one column to the next.
        down: [m] Step from one row to the next.
        width: Number of columns.
        height: Number of rows.

    Raises:
        ConfigError: If it is none, or too large.
    """

    origin: Float[np.ndarray, " 3"]
    right: Float[np.ndarray, " 3"]
    down: Float[np.ndarray, " 3"]
    width: int
    height: int

    def __post_init__(self) -> None:
        if not (1 <= self.width <= LARGEST and 1 <= self.height <= LARGEST):
            raise ConfigError(f"a plane of {self.height} × {self.width} samples: 1 to {LARGEST} along each edge")
        if not np.isfinite([self.origin, self.right, self.down]).all():
            raise ConfigError("the numbers of a plane are finite")
        if not np.linalg.norm(np.cross(self.right, self.down)) > 0:
            raise ConfigError("the steps right and down of a plane are not parallel, and not 0")

    @property
    def first(self) -> Float[np.ndarray, " 3"]:
        """[m] Position of the sample in the upper left corner."""
        return np.asarray(self.origin - (self.width - 1) / 2 * self.right - (self.height - 1) / 2 * self.down)

    @property
    def axes(self) -> tuple[int, int] | None:
        """Axes along which the rows (down) and columns (right) lie; None for a plane that is turned."""
        along = [np.flatnonzero(np.abs(step) > _ALONG * np.abs(step).max()) for step in (self.down, self.right)]
        if any(len(axis) != 1 for axis in along):
            return None
        return int(along[0][0]), int(along[1][0])

    def points(self, rows: slice = slice(None)) -> Float[np.ndarray, "n 3"]:
        """[m] Positions of the samples of some rows, row by row."""
        down, right = np.arange(self.height)[rows], np.arange(self.width)
        lines = self.first + down[:, None] * self.down
        return np.asarray((lines[:, None] + right[None, :, None] * self.right).reshape(-1, 3))

    def coordinates(self) -> list[Float[np.ndarray, " n"]]:
        """[m] Coordinates along z, y and x of an upright plane."""
        axes = self.axes
        if axes is None:
            raise ConfigError("a plane that is turned has no coordinates of its own")
        rows, columns = axes
        coordinates = [np.array([value]) for value in self.first]
        coordinates[rows] = self.first[rows] + np.arange(self.height) * self.down[rows]
        coordinates[columns] = self.first[columns] + np.arange(self.width) * self.right[columns]
        return coordinates


def sample_plane(specimen: Sampled, quantity: str, plane: SlicePlane) -> Float[np.ndarray, "h w"]:
    """Sample a quantity on a plane, NaN outside the box of the specimen."""
    axes = plane.axes
    if axes is None:
        points = plane.points()
        values = specimen.at(points, [quantity])[:, 0].reshape(plane.height, plane.width)
    else:
        z, y, x = plane.coordinates()
        block = specimen.sample(z, y, x, quantity)
        values = np.squeeze(block, axis=3 - sum(axes))
        values = values.T if axes[0] > axes[1] else values
    values = np.asarray(values, np.float32)
    values[~_within(specimen, plane)] = np.nan
    return values


def sample_profile(
    specimen: Sampled, quantity: str, start: Float[np.ndarray, " 3"], end: Float[np.ndarray, " 3"], count: int
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Sample a quantity along a line.

    Args:
        specimen: Model or volume.
        quantity: Name of the quantity.
        start: [m] First point.
        end: [m] Last point.
        count: Number of points.

    Returns:
        Distance from the first point [m], and the value, NaN outside the box.

    Raises:
        ConfigError: If the number of points is not reasonable.
    """
    if not 2 <= count <= LARGEST**2:
        raise ConfigError(f"a profile of {count} points: 2 to {LARGEST**2}")
    points = start + np.linspace(0, 1, count)[:, None] * (end - start)
    values = specimen.at(points, [quantity])[:, 0]
    values[~specimen.contains(points)] = np.nan
    return np.asarray(np.linspace(0, np.linalg.norm(end - start), count)), values


def _within(specimen: Sampled, plane: SlicePlane) -> np.ndarray:
    return np.asarray(specimen.contains(plane.points()).reshape(plane.height, plane.width))
