"""Planes through a specimen at any position and angle: the coordinates of their samples, and values tile by tile.

Axes are ``z y x``, in metres, or in voxels where their size is not known. A plane is given by the position of its
centre and the steps from one sample to the next.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from jaxtyping import Float

from .errors import ConfigError

_ALONG = 1e-9
"""Share of a step below which it counts as 0 along an axis."""
_TILE = 128
"""Edge of the tiles: points close together, and few enough that what is computed of them stays in a cache."""
_MOST_THREADS = 8


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
        ConfigError: If it is none.
    """

    origin: Float[np.ndarray, " 3"]
    right: Float[np.ndarray, " 3"]
    down: Float[np.ndarray, " 3"]
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ConfigError(f"a plane of {self.height} × {self.width} samples has none")
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
        """Axes along which columns go down and rows to the right; None for a plane that is turned."""
        along = [np.flatnonzero(np.abs(step) > _ALONG * np.abs(step).max()) for step in (self.down, self.right)]
        if any(len(axis) != 1 for axis in along):
            return None
        return int(along[0][0]), int(along[1][0])

    def coordinates(self) -> tuple[Float[np.ndarray, " z"], Float[np.ndarray, " y"], Float[np.ndarray, " x"]]:
        """[m] Coordinates along z, y and x of an upright plane.

        Raises:
            ConfigError: If it is turned.
        """
        axes = self.axes
        if axes is None:
            raise ConfigError("a plane that is turned has no coordinates along the axes")
        first, lines = self.first, [np.array([value]) for value in self.first]
        for axis, step, count in zip(axes, (self.down, self.right), (self.height, self.width), strict=True):
            lines[axis] = first[axis] + np.arange(count) * step[axis]
        z, y, x = lines
        return z, y, x

    def points(self, rows: slice = slice(None), columns: slice = slice(None)) -> Float[np.ndarray, "n 3"]:
        """[m] Positions of the samples of some rows and columns, row by row."""
        down, right = np.arange(self.height)[rows], np.arange(self.width)[columns]
        points = np.empty((len(down), len(right), 3))
        for axis in range(3):
            line = self.first[axis] + down * self.down[axis]
            np.add(line[:, None], right * self.right[axis], out=points[:, :, axis])
        return points.reshape(-1, 3)

    def evaluate(self, function: Callable[[Float[np.ndarray, "n 3"]], np.ndarray]) -> Float[np.ndarray, "h w"]:
        """Evaluate a function of points [m] on the plane, tile by tile on several threads, in single precision."""
        return self.evaluate_tiles(lambda rows, columns: function(self.points(rows, columns)))

    def evaluate_tiles(
        self, function: Callable[[slice, slice], np.ndarray], edge: int = _TILE
    ) -> Float[np.ndarray, "h w"]:
        """Evaluate a function of rows and columns, tile by tile on several threads, in single precision.

        Args:
            function: Function of the rows and columns of a tile.
            edge: Edge of a tile.
        """
        values = np.empty((self.height, self.width), np.float32)

        def fill(tile: tuple[slice, slice]) -> None:
            part = values[tile]
            part[...] = np.reshape(function(*tile), part.shape)

        list(_pool().map(fill, self._tiles(edge)))
        return values

    def _tiles(self, edge: int) -> Iterator[tuple[slice, slice]]:
        starts = product(range(0, self.height, edge), range(0, self.width, edge))
        return ((slice(row, row + edge), slice(column, column + edge)) for row, column in starts)


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that all planes share; tiles of two planes at once take turns."""
    return ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS), "plane")
