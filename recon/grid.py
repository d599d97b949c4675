"""Grids of samples: axes ``z y x`` in metres, and a rotation of the specimen.

A rotation is a matrix that takes the specimen's (z, y, x) to the laboratory's. Angles are right-handed in (x, y, z):
about z, x rotates toward y.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .errors import ConfigError

AXES = {"z": (0.0, 0.0, 1.0), "y": (0.0, 1.0, 0.0), "x": (1.0, 0.0, 0.0)}
MOST_SAMPLES = 1_000_000  # Along one axis: more than is ever needed, so that a wrong unit is detected here.

Region = tuple[tuple[float | None, float | None], ...]
"""[m] Ends (low, high) along z, y and x; None where an end is that of a box."""


@dataclass(frozen=True)
class Grid:
    """The product of three axes, in the laboratory.

    Args:
        z: [m] Coordinates along z.
        y: [m] Coordinates along y.
        x: [m] Coordinates along x.
        rotation: Rotation of the specimen about the origin; none by default.
    """

    z: Float[np.ndarray, " z"]
    y: Float[np.ndarray, " y"]
    x: Float[np.ndarray, " x"]
    rotation: Float[np.ndarray, "3 3"] | None = None

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[m] The three axes."""
        return self.z, self.y, self.x

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of samples (z, y, x)."""
        return len(self.z), len(self.y), len(self.x)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """[m] Distance between samples (z, y, x); 0 along an axis of one sample."""
        z, y, x = (float(a[-1] - a[0]) / max(len(a) - 1, 1) for a in self.axes)
        return z, y, x

    def coincides(self, other: "Grid", tolerance: float = 1e-3) -> bool:
        """Return whether the samples of another grid coincide with these; rotations are not compared.

        Args:
            other: The other grid, in the same unit.
            tolerance: Largest distance between corresponding samples, relative to the spacing.
        """
        if self.shape != other.shape:
            return False
        axes = zip(self.axes, other.axes, self.spacing, strict=True)
        return all(bool(np.all(np.abs(a - b) <= tolerance * max(step, 1e-12))) for a, b, step in axes)

    @property
    def size(self) -> int:
        """Number of samples."""
        return int(np.prod(self.shape, dtype=object))


def compose(rotations: Sequence[Float[np.ndarray, "3 3"]]) -> Float[np.ndarray, "3 3"] | None:
    """Multiply rotations that are applied one after the other; None if there are none."""
    product = None
    for rotation in rotations:
        product = rotation if product is None else rotation @ product
    return product


def cell_count(low: float, high: float, spacing: float) -> int:
    """Count the whole cells of a spacing that fit between two ends [m]; at least one."""
    return max(1, int(np.floor((high - low) / spacing + 1e-6)))


def cell_centres(low: float, high: float, spacing: float) -> Float[np.ndarray, " n"]:
    """Place samples at the centres of the cells that fit between two ends.

    Args:
        low: [m] Lower end.
        high: [m] Upper end.
        spacing: [m] Size of a cell; the remainder is shared between the two ends.

    Raises:
        ConfigError: If there is nothing between the ends, or the spacing is not positive.
    """
    if not (spacing > 0 and np.isfinite(spacing)):
        raise ConfigError(f"a spacing of {spacing:g} m; it must be positive")
    if not high > low:
        raise ConfigError(f"nothing lies between {low:g} m and {high:g} m; the lower end comes first")
    count = cell_count(low, high, spacing)
    if count > MOST_SAMPLES:
        raise ConfigError(f"{count} samples {spacing:g} m apart from {low:g} m to {high:g} m; take a larger spacing")
    return (low + high) / 2 + (np.arange(count) - (count - 1) / 2) * spacing


def take_window(values: np.ndarray, first: Sequence[int], size: Sequence[int], fill: float = 0) -> np.ndarray:
    """Copy a window of an array, which may lie beyond its ends.

    Args:
        values: The array.
        first: Index along each axis at which the window begins; negative before the array.
        size: Number of samples of the window along each axis.
        fill: Value beyond the array.
    """
    window = np.full(tuple(size), fill, values.dtype)
    source, target = [], []
    for start, count, total in zip(first, size, values.shape, strict=True):
        low, high = max(start, 0), max(min(start + count, total), max(start, 0))
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    window[tuple(target)] = values[tuple(source)]
    return window


def resize_about_middle(values: np.ndarray, size: Sequence[int], fill: float = 0) -> np.ndarray:
    """Crop or pad an array such that sample ``n // 2`` along each axis stays the middle.

    Args:
        values: The array.
        size: Number of samples along each axis.
        fill: Value beyond the array.
    """
    return take_window(values, [old // 2 - new // 2 for old, new in zip(values.shape, size, strict=True)], size, fill)
