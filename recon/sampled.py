"""Interface of a specimen with a value at every point: a continuous model, or a volume between its samples.

Metrics, pictures and reports sample a result at coordinates of their own choosing. Outside its box a quantity has its
background: for a refractive index that of the medium.

Axes are ``z y x``, slowest first, in metres, or in voxels where their size is not known.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from .errors import ConfigError, DataError
from .slice_plane import SlicePlane

Point3 = tuple[float, float, float]
Axis = Float[np.ndarray, " _n"]
Points = Float[np.ndarray, "n 3"]
Progress = Callable[[int, int], object]
"""Callback with the number of values that are done, and of all."""


@dataclass(frozen=True)
class Quantity:
    """Name, unit and meaning of a number that a model or volume gives at each point."""

    name: str
    unit: str
    meaning: str


class Sampled(ABC):
    """A specimen whose quantities can be sampled at any point."""

    if TYPE_CHECKING:  # At run time these are fields of one subclass and properties of the other.

        @property
        def kind(self) -> str:
            """Kind of experiment."""

        @property
        def quantities(self) -> tuple[Quantity, ...]:
            """All quantities; the first is the main one."""

        @property
        def attributes(self) -> Mapping[str, float | str]:
            """Metadata, such as ``medium_index``."""

        @property
        def names(self) -> tuple[str, ...]:
            """Names of the cells, where they are known."""

        @property
        def labels(self) -> tuple[str, ...]:
            """Classes of the cells, where they are known."""

        @property
        def length_unit(self) -> Literal["m", "voxel"]:
            """``m``, or ``voxel`` where the size of a sample is not known and coordinates count samples."""

    @property
    @abstractmethod
    def spacing(self) -> Point3:
        """[m] Distance between samples (z, y, x) that shows all detail."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[Point3, Point3]:
        """[m] Low and high corner (z, y, x) of the upright box around the specimen."""

    @property
    def real_quantities(self) -> tuple[Quantity, ...]:
        """Quantities that can be sampled."""
        return self.quantities

    @property
    def draws(self) -> int:
        """Number of independent draws of the specimen."""
        return 1

    @property
    def cells(self) -> int | None:
        """Number of specimens in a result of many; None for a single one."""
        return None

    @abstractmethod
    def cell(self, number: int, draw: int | None = None) -> "Sampled":
        """Select one cell.

        Args:
            number: Number of the cell.
            draw: Number of the draw; by default the consensus, or the mean of all draws if there is none.

        Raises:
            ConfigError: If there is no such cell or draw.
        """

    @abstractmethod
    def draw(self, number: int) -> "Sampled":
        """Select one draw.

        Raises:
            ConfigError: If there is no draw of that number.
        """

    @abstractmethod
    def contains(self, points: Points) -> Bool[np.ndarray, " n"]:
        """Return which points [m] lie in the specimen's box; all others get the background."""

    @abstractmethod
    def background(self, quantity: str | None = None) -> float:
        """Return the value of a quantity (by default the main one) outside the box.

        Raises:
            ConfigError: If there is no such quantity.
        """

    @abstractmethod
    def at(
        self, points: ArrayLike, quantities: Sequence[str] = (), progress: Progress | None = None
    ) -> Float[np.ndarray, "n q"]:
        """Sample quantities at points, in double precision.

        Args:
            points: [m] Points (z, y, x), shape (n, 3).
            quantities: Names of the quantities; all real ones by default.
            progress: Callback for progress.

        Returns:
            Values, one column a quantity.

        Raises:
            ConfigError: If there is no such quantity.
            DataError: If the points are not (n, 3).
        """

    @abstractmethod
    def sample(self, z: Axis, y: Axis, x: Axis, quantity: str | None = None) -> Float[np.ndarray, "z y x"]:
        """Sample one quantity on the product of three axes; faster than :meth:`at`.

        Args:
            z: [m] Coordinates along z, in any order.
            y: [m] Coordinates along y.
            x: [m] Coordinates along x.
            quantity: Name of the quantity; the main one by default.

        Raises:
            ConfigError: If there is no such quantity.
        """

    def on_plane(self, plane: SlicePlane, quantity: str | None = None) -> Float[np.ndarray, "h w"]:
        """Sample one quantity on a plane at any angle, in single precision.

        Args:
            plane: The plane.
            quantity: Name of the quantity; the main one by default.

        Returns:
            Values; NaN outside the specimen's box.

        Raises:
            ConfigError: If there is no such quantity.
        """
        name = self.real_quantity(quantity).name

        def evaluate(points: Points) -> Float[np.ndarray, " n"]:
            return np.where(self.contains(points), self.at(points, [name])[:, 0], np.nan)

        return plane.evaluate(evaluate)

    def __call__(self, points: ArrayLike, quantity: str | None = None) -> Float[np.ndarray, " n"]:
        """Sample one quantity at points, in double precision.

        Args:
            points: [m] Points (z, y, x), shape (n, 3).
            quantity: Name of the quantity; the main one by default.

        Raises:
            ConfigError: If there is no such quantity.
            DataError: If the points are not (n, 3).
        """
        return self.at(points, [self.real_quantity(quantity).name])[:, 0]

    def quantity(self, name: str | None = None) -> Quantity:
        """Return the quantity of a name; the main one by default.

        Raises:
            ConfigError: If there is none of that name.
            DataError: If there is none at all.
        """
        for quantity in self.quantities:
            if name is None or quantity.name == name:
                return Quantity(quantity.name, quantity.unit, quantity.meaning)
        if name is None or not self.quantities:
            raise DataError("the result holds no quantity")
        raise ConfigError(f"no quantity {name!r}: there are {', '.join(q.name for q in self.quantities)}")

    def real_quantity(self, name: str | None = None) -> Quantity:
        """Return the real quantity of a name; the main one by default.

        Raises:
            ConfigError: If there is none of that name, or it is complex.
            DataError: If the main quantity is complex, or there is none at all.
        """
        quantity, real = self.quantity(name), [q.name for q in self.real_quantities]
        if quantity.name not in real:
            kind_of_error = DataError if name is None else ConfigError
            raise kind_of_error(f"{quantity.name} is complex: choose a real quantity ({', '.join(real) or 'none'})")
        return quantity

    def isotropic_axes(self, longest: int = 160) -> tuple[Axis, Axis, Axis]:
        """[m] Return the axes of cubic cells that fill the box.

        Args:
            longest: Number of cells along the longest edge.

        Raises:
            DataError: If the box is a single point.
        """
        low, high = (np.asarray(corner) for corner in self.bounds)
        pitch = float((high - low).max()) / longest
        if not pitch > 0:
            raise DataError("the result is a single point: there is nothing to draw")
        counts = np.maximum(np.rint((high - low) / pitch), 1).astype(int)
        cells = zip((low + high) / 2, counts, strict=True)
        z, y, x = (centre + (np.arange(n) - (n - 1) / 2) * pitch for centre, n in cells)
        return z, y, x


def as_points(points: ArrayLike) -> Points:
    """Convert an array to points in double precision.

    Raises:
        DataError: If its shape is not (n, 3).
    """
    array = np.asarray(points, float)
    if array.ndim != 2 or array.shape[1] != 3:
        raise DataError(f"points of the shape {array.shape}; they must be (n, 3): z, y, x in metres")
    return array
