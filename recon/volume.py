"""Sampled volume: named quantities on a rectangular grid in metres, axes ``z y x``, cubic splines between samples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped
from numpy.typing import ArrayLike

from .errors import ConfigError, DataError
from .grid import Grid
from .sampled import Axis, Point3, Points, Progress, Quantity, Sampled, as_points
from .splines import SplineCache, interpolate, nearest_sample, on_circle

SIGNED_DISTANCE = "signed_distance"
"""Quantity that is 0 on a surface, negative inside."""
_REFRACTIVE_INDEX = "refractive_index"
MEDIUM_INDEX = "medium_index"
"""Attribute of the refractive index of the medium."""
_ROUNDING = 1e-3
"""[sample] Distance beyond a face of the box within which a point counts as inside."""
_BLOCK = 200_000
"""Points that are interpolated at once."""


@dataclass(frozen=True)
class Volume(Sampled):
    """Quantities sampled on the product of three axes.

    Args:
        kind: Kind of experiment.
        z: [m] Coordinates of the samples along z, evenly spaced, rising.
        y: [m] Coordinates along y.
        x: [m] Coordinates along x.
        values: Arrays (z, y, x) by the quantity's name, or (cell, draw, z, y, x) of many cells.
        quantities: Unit and meaning of each name in ``values``.
        attributes: Metadata such as ``medium_index``, stored beside the values.
        length_unit: ``m``, or ``voxel`` where the size of a sample is not known and coordinates count samples.
        names: Names of the cells of a volume of many, where they are known.
        labels: Classes of the cells, where they are known.
        cell_attributes: Further metadata of each cell of a volume of many, in their order.
        consensus: Arrays (cell, z, y, x) by the quantity's name, of the one specimen that stands for a cell's draws.

    Raises:
        DataError: If an array's shape is not that of the axes.
    """

    kind: str
    z: Float[np.ndarray, " z"]
    y: Float[np.ndarray, " y"]
    x: Float[np.ndarray, " x"]
    values: dict[str, Num[np.ndarray, "*lead z y x"]]
    quantities: tuple[Quantity, ...]
    attributes: dict[str, float | str] = field(default_factory=dict)
    length_unit: Literal["m", "voxel"] = "m"
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    cell_attributes: tuple[dict[str, float | str], ...] = ()
    consensus: dict[str, Num[np.ndarray, "cell z y x"]] = field(default_factory=dict)
    _splines: SplineCache = field(default_factory=SplineCache, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, array in self.values.items():
            if array.shape[-3:] != self.shape:
                raise DataError(f"{name} has the shape {array.shape} on axes of {self.shape} samples")
        missing = {*self.values} - {q.name for q in self.quantities}
        if missing:
            raise DataError(f"no unit is known for {', '.join(sorted(missing))}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of samples (z, y, x)."""
        return len(self.z), len(self.y), len(self.x)

    @property
    def grid(self) -> Grid:
        """The axes."""
        return Grid(self.z, self.y, self.x)

    @property
    def spacing(self) -> Point3:
        """[m] Distance between samples (z, y, x); 0 along an axis of one sample."""
        return self.grid.spacing

    @property
    def bounds(self) -> tuple[Point3, Point3]:
        """[m] Low and high corner (z, y, x), half a sample beyond the outermost samples."""
        axes = tuple(zip((self.z, self.y, self.x), self.spacing, strict=True))
        low, high = [float(a[0]) - d / 2 for a, d in axes], [float(a[-1]) + d / 2 for a, d in axes]
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    @property
    def real_quantities(self) -> tuple[Quantity, ...]:
        """Quantities that can be interpolated: all that are not complex."""
        return tuple(q for q in self.quantities if not np.iscomplexobj(self.values[q.name]))

    @property
    def cells(self) -> int | None:
        """Number of cells of a volume of many; None for a single specimen."""
        return self.main.shape[0] if self.main.ndim > 3 else None

    @property
    def draws(self) -> int:
        """Number of draws of each cell."""
        return self.main.shape[1] if self.main.ndim > 3 else 1

    def draw(self, number: int) -> "Volume":
        """Select one draw of the only cell.

        Raises:
            ConfigError: If there is no draw of that number.
            DataError: If there are several cells.
        """
        if self.cells is not None and self.cells > 1:
            raise DataError(f"the volume holds {self.cells} cells, and one is needed")
        return self if self.cells is None and number == 0 else self.cell(0, number)

    def cell(self, number: int, draw: int | None = None) -> "Volume":
        """Select one cell of a volume of many.

        Args:
            number: Number of the cell.
            draw: Number of the draw; by default the consensus, or the mean of all draws if there is none.

        Raises:
            ConfigError: If there is no such cell or draw.
        """
        for what, index, count in (("cell", number, self.cells or 1), ("draw", draw or 0, self.draws)):
            if not 0 <= index < count:
                raise ConfigError(f"the volume has no {what} {index}: they are numbered 0 to {count - 1}")
        if self.cells is None:
            return self
        values = {name: self._select(name, number, draw) for name in self.values}
        attributes = self.attributes | (self.cell_attributes[number] if self.cell_attributes else {})
        return replace(self, values=values, attributes=attributes, cell_attributes=(), consensus={})

    def _select(self, name: str, cell: int, draw: int | None) -> Float[np.ndarray, "z y x"]:
        """Select a draw of a cell, or the consensus or mean of its draws."""
        if draw is not None:
            return np.asarray(self.values[name][cell, draw], np.float32)
        if name in self.consensus:
            return np.asarray(self.consensus[name][cell], np.float32)
        return np.asarray(np.asarray(self.values[name][cell], np.float32).mean(axis=0))

    def contains(self, points: Points) -> Bool[np.ndarray, " n"]:
        """Return which points [m] lie within half a sample of the samples; an axis of one sample has no ends."""
        return _inside(self._index(points), self.shape)

    def background(self, quantity: str | None = None) -> float:
        """Return the value of a quantity outside the samples.

        A refractive index is that of the medium (0 where it is not known), a signed distance the largest of the volume,
        any other quantity 0.

        Raises:
            ConfigError: If there is no such quantity.
        """
        name = self.quantity(quantity).name
        if name == SIGNED_DISTANCE:
            return float(np.max(self.values[name]))
        return float(self.attributes.get(MEDIUM_INDEX, 0.0)) if name == _REFRACTIVE_INDEX else 0.0

    def at(
        self, points: ArrayLike, quantities: Sequence[str] = (), progress: Progress | None = None
    ) -> Float[np.ndarray, "n q"]:
        """Interpolate real quantities at points, by cubic splines.

        Integers and truth values, such as a support, are those of the nearest sample; wrapped phases are interpolated
        on the circle.
        """
        places = as_points(points)
        names = [self.real_quantity(name).name for name in quantities] or [q.name for q in self.real_quantities]
        index = self._index(places)
        inside, nearest = _inside(index, self.shape), np.clip(index, 0, np.array(self.shape) - 1).T
        table = np.empty((len(places), len(names)))
        for column, name in enumerate(names):
            evaluate = self._evaluator(name)
            for start in range(0, len(places), _BLOCK):
                part = slice(start, start + _BLOCK)
                table[part, column] = np.where(inside[part], evaluate(nearest[:, part]), self.background(name))
                if progress is not None:
                    done = column * len(places) + min(part.stop, len(places))
                    progress(done, table.size)
        return table

    def sample(self, z: Axis, y: Axis, x: Axis, quantity: str | None = None) -> Float[np.ndarray, "z y x"]:
        """Interpolate one real quantity on the product of three axes, by cubic splines.

        Integers and truth values are those of the nearest sample; wrapped phases are interpolated on the circle. At the
        volume's own samples its values are returned as they are.
        """
        name = self.real_quantity(quantity).name
        if self.grid.coincides(Grid(z, y, x), _ROUNDING):
            return self._single(name).astype(np.float64)
        indices = [self._index_along(axis, np.asarray(c, np.float64)) for axis, c in enumerate((z, y, x))]
        in_z, in_y, in_x = (_inside(i, n) for i, n in zip(indices, self.shape, strict=True))
        nearest = [np.clip(i, 0, n - 1) for i, n in zip(indices, self.shape, strict=True)]
        evaluate, plane = self._evaluator(name), np.meshgrid(*nearest[1:], indexing="ij")
        values = np.empty((len(z), len(y), len(x)))
        # By planes: the coordinates of a whole volume are three times as large as the volume.
        for k, height in enumerate(nearest[0]):
            values[k] = evaluate(np.stack([np.full_like(plane[0], height), *plane]))
        return np.where(in_z[:, None, None] & in_y[:, None] & in_x, values, self.background(name))

    def _evaluator(self, name: str) -> Callable[[Float[np.ndarray, "3 *n"]], Shaped[np.ndarray, "*n"]]:
        """Return the function of fractional indices: splines, or the nearest sample of integers and truth values."""
        samples = self._single(name)
        if samples.dtype.kind in "biu":
            return lambda index: samples[tuple(nearest_sample(index))]
        is_phase = self.quantity(name).unit == "rad"
        coefficients = self._splines.get(name, lambda: on_circle(samples) if is_phase else samples)
        if np.iscomplexobj(coefficients):
            return lambda index: np.angle(interpolate(coefficients, index))
        return lambda index: interpolate(coefficients, index)

    def _index(self, points: Points) -> Points:
        """Convert points [m] to fractional indices of samples."""
        return np.stack([self._index_along(axis, points[:, axis]) for axis in range(3)], axis=-1)

    def _index_along(self, axis: int, coordinates: Axis) -> Axis:
        spacing, first = self.spacing[axis], (self.z, self.y, self.x)[axis][0]
        return np.asarray((coordinates - first) / spacing if spacing > 0 else np.zeros(len(coordinates)))

    def _single(self, name: str) -> Shaped[np.ndarray, "z y x"]:
        """Return the array of a volume of one specimen.

        Raises:
            DataError: If the volume holds several cells.
        """
        array = self.values[name]
        if array.ndim != 3:
            raise DataError(f"{name} has the shape {array.shape}: choose one cell and one draw")
        return array

    @property
    def main(self) -> Num[np.ndarray, "*lead z y x"]:
        """The first quantity."""
        return self.values[self.quantities[0].name]

    def only(self, name: str) -> "Volume":
        """The same volume with one quantity."""
        quantities = tuple(q for q in self.quantities if q.name == name)
        if not quantities:
            raise DataError(f"no quantity {name!r}; there are {', '.join(self.values)}")
        consensus = {own: array for own, array in self.consensus.items() if own == name}
        return replace(self, values={name: self.values[name]}, quantities=quantities, consensus=consensus)


def centred_axis(count: int, spacing: float, centre: float = 0.0) -> Float[np.ndarray, " n"]:
    """[m] ``count`` samples ``spacing`` apart, sample ``count // 2`` at ``centre``."""
    return centre + (np.arange(count) - count // 2) * float(spacing)


def _inside(index: Float[np.ndarray, "n *axes"], shape: int | tuple[int, int, int]) -> Bool[np.ndarray, " n"]:
    """Return which fractional indices lie within half a sample of the samples, along one axis or along three."""
    within = (index >= -0.5 - _ROUNDING) & (index <= np.array(shape) - 0.5 + _ROUNDING)
    return np.asarray(within if within.ndim == 1 else within.all(axis=1))
