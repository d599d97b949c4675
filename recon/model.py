"""Continuous model of a specimen: a function of space, evaluated in NumPy without jax and without the code of the fit.

Axes are ``z y x``, lengths metres; :mod:`.ensemble` evaluates the field. A model may hold several sets of weights: its
quantities are then those of the consensus, or else the members' means, and ``uncertainty_<quantity>`` is the members'
standard deviation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from .blend import Blend, Tile, join_tiles, split_tiles
from .ensemble import Ensemble, consensus_weights, join_weights, split_weights
from .errors import ConfigError, DataError
from .fields.density_head import DensityHead
from .fields.numpy_fields import NumpyField
from .frame import ModelFrame
from .grid import Grid, Region, cell_centres, compose
from .sampled import Axis, Point3, Points, Progress, Quantity, Sampled, as_points
from .slice_plane import SlicePlane
from .volume import Volume

POINTS_AT_ONCE = 1 << 15
TILE = (32, 64, 64)  # Small enough that the interpolation matrices of a fine grid are narrow, and stay in the cache.
_UPRIGHT_TILE = 64
"""Edge of the tiles of an upright plane: a BLAS distributes the products of larger ones over threads of its own."""
UNCERTAINTY = "uncertainty_"
DRAWS = "draws"
"""Value of ``members`` in an architecture whose members are independent draws."""


@dataclass(frozen=True)
class ModelQuantity(Quantity):
    """Meaning of one output of a model: its value is ``background + scale · raw``.

    Args:
        background: Value outside the model's box, and where the raw output is 0.
        scale: Value of one unit of raw output.
    """

    background: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Model(Sampled):
    """A continuous model of a specimen.

    Args:
        architecture: Description of the field: type, version, and every constant needed to evaluate it.
        weights: Named arrays of the field; those of an ensemble carry ``member_0/``, ``member_1/``, … before their
            names, and those of a consensus ``consensus/``.
        frame: Box of the model.
        outputs: Meaning of each output of the field; the first is the main one.
        kind: Kind of experiment.
        provenance: Origin of the model, as plain data for JSON.
        tiles: Parts of the box with a field each, which are blended; empty for one field. The names of the weights of
            each part begin with ``tile_0/``, ``tile_1/``, …

    Raises:
        DataError: If the architecture is not known, or the weights do not fit it.
    """

    architecture: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    frame: ModelFrame
    outputs: tuple[ModelQuantity, ...]
    kind: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    tiles: tuple[Tile, ...] = ()

    def __post_init__(self) -> None:
        if self._fields.outputs != len(self.outputs):
            raise DataError(f"the field has {self._fields.outputs} outputs for {len(self.outputs)} quantities")

    @classmethod
    def ensemble(
        cls,
        architecture: Mapping[str, Any],
        members: Sequence[Mapping[str, np.ndarray]],
        frame: ModelFrame,
        outputs: tuple[ModelQuantity, ...],
        kind: str,
        provenance: Mapping[str, Any],
        consensus: Mapping[str, np.ndarray] | None = None,
    ) -> "Model":
        """Join the weights of several fits of one architecture; those of a single one stay as they are."""
        return cls(architecture, join_weights(members, consensus), frame, outputs, kind, provenance)

    @classmethod
    def blend(cls, parts: "Sequence[Model]", tiles: Sequence[Tile], frame: ModelFrame) -> "Model":
        """Blend models of the tiles of a box into one, with the outputs, kind and provenance of the first.

        Args:
            parts: Model of each tile, of one architecture; their own boxes do not count.
            tiles: Box and window of each.
            frame: Box of the whole.
        """
        first, weights = parts[0], join_tiles([part.weights for part in parts])
        return cls(first.architecture, weights, frame, first.outputs, first.kind, first.provenance, tuple(tiles))

    @cached_property
    def _fields(self) -> Ensemble | Blend:
        if not self.tiles:
            return self._field_in(self.frame, self.weights)
        boxes = [ModelFrame(tile.low, tile.high, length_unit=self.length_unit) for tile in self.tiles]
        weights = split_tiles(self.weights, len(self.tiles))
        parts = tuple(self._field_in(box, each) for box, each in zip(boxes, weights, strict=True))
        return Blend(parts, self.tiles, self.frame)

    def _field_in(self, frame: ModelFrame, weights: Mapping[str, np.ndarray]) -> Ensemble:
        background, scale = (np.array([getattr(q, n) for q in self.outputs], float) for n in ("background", "scale"))
        return Ensemble(self.architecture, split_weights(weights), consensus_weights(weights), frame, background, scale)

    def overlaps(self) -> "Iterator[tuple[Model, Model, Tile, Tile]]":
        """Yield the models of each two tiles whose windows overlap, in their own boxes, and the tiles."""
        if isinstance(self._fields, Blend):
            weights = split_tiles(self.weights, len(self.tiles))
            for pair in self._fields.pairs():
                one, other = (self._tile_alone(i, weights[i]) for i in pair)
                yield one, other, self.tiles[pair[0]], self.tiles[pair[1]]

    def _tile_alone(self, number: int, weights: Mapping[str, np.ndarray]) -> "Model":
        tile = self.tiles[number]
        return replace(self, frame=replace(self.frame, low=tile.low, high=tile.high), weights=weights, tiles=())

    @property
    def members(self) -> tuple[NumpyField, ...]:
        """The field of each set of weights, in double precision."""
        return self._fields.members

    @property
    def heads(self) -> tuple[DensityHead, ...]:
        """Map from each member's raw outputs to quantities; empty where the outputs are the quantities."""
        return self._fields.heads

    @property
    def is_pointwise(self) -> bool:
        """Whether a grid is evaluated point by point."""
        return self._fields.is_pointwise

    def split_members(self) -> "Iterator[Model]":
        """Yield each member of the ensemble as a model of its own: a draw of a shape, one of several fits."""
        for weights in self._fields.sets:
            yield replace(self, weights=weights)

    @property
    def consensus(self) -> "Model | None":
        """The one specimen that stands for all members, if the model holds it."""
        weights = self._fields.consensus
        return replace(self, weights=weights) if weights else None

    @property
    def draws(self) -> int:
        """Number of independent draws; the members of an ensemble of fits are one."""
        return len(self._fields.sets) if self.architecture.get("members") == DRAWS else 1

    def draw(self, number: int) -> "Model":
        """Select one draw; an ensemble of fits is one, with its mean and spread.

        Raises:
            ConfigError: If there is no draw of that number.
        """
        if not 0 <= number < self.draws:
            raise ConfigError(f"the model has no draw {number}: they are numbered 0 to {self.draws - 1}")
        return self if self.draws == 1 and self.consensus is None else list(self.split_members())[number]

    def cell(self, number: int, draw: int | None = None) -> "Model":
        """Select the only cell, number 0, and one draw of it; the consensus or mean of all draws by default.

        Raises:
            ConfigError: If there is no such cell or draw.
        """
        if number != 0:
            raise ConfigError(f"the model has no cell {number}: it is of one")
        return self if draw is None else self.draw(draw)

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """Outputs of the model, then the uncertainty of each if it is an ensemble."""
        if len(self.members) == 1:
            return self.outputs
        spread = (Quantity(UNCERTAINTY + q.name, q.unit, f"standard deviation of {q.name}") for q in self.outputs)
        return (*self.outputs, *spread)

    @property
    def attributes(self) -> Mapping[str, float | str]:
        """Metadata of the frame, such as ``medium_index``."""
        return self.frame.attributes

    @property
    def names(self) -> tuple[str, ...]:
        """Name of the cell, where it is known."""
        return (str(self.attributes["name"]),) if self.attributes.get("name") else ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Class of the cell, where it is known."""
        return (str(self.attributes["label"]),) if self.attributes.get("label") else ()

    @property
    def length_unit(self) -> Literal["m", "voxel"]:
        """``m``, or ``voxel`` where the size of a sample is not known and coordinates count samples."""
        return self.frame.length_unit

    @property
    def bounds(self) -> tuple[Point3, Point3]:
        """[m] Low and high corner (z, y, x) of the upright box around the model."""
        (a, b, c), (d, e, f) = self.frame.low, self.frame.high
        return (float(a), float(b), float(c)), (float(d), float(e), float(f))

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(array.size for array in self.weights.values())

    @property
    def spacing(self) -> Point3:
        """[m] Sampling (z, y, x) that shows all detail: the voxel of the fit, or the field's own resolution."""
        z, y, x = self._fields.spacing
        return self.frame.spacing or (float(z), float(y), float(x))

    def contains(self, points: Points) -> Bool[np.ndarray, " n"]:
        """Return which points [m] lie in the model's box."""
        return self.frame.contains(points)

    def background(self, quantity: str | None = None) -> float:
        """Return the value of a quantity (by default the main one) outside the box; 0 for an uncertainty.

        Raises:
            ConfigError: If there is no such quantity.
        """
        name = self.quantity(quantity).name
        return next((float(q.background) for q in self.outputs if q.name == name), 0.0)

    def at(
        self, points: ArrayLike, quantities: Sequence[str] = (), progress: Progress | None = None
    ) -> Float[np.ndarray, "n q"]:
        """Evaluate quantities (all by default) at points (n, 3) [m], in double precision."""
        places, columns = as_points(points), self._columns(quantities)
        values = np.empty((len(places), len(columns)))
        for start in range(0, len(places), POINTS_AT_ONCE):
            part = slice(start, start + POINTS_AT_ONCE)
            values[part] = self._fields.at(places[part])[columns].T
            if progress:
                progress(min(part.stop, len(places)), len(places))
        return values

    def on_plane(self, plane: SlicePlane, quantity: str | None = None) -> Float[np.ndarray, "h w"]:
        """Evaluate one quantity on a plane in single precision; NaN outside the box."""
        (column,) = self._columns([self.quantity(quantity).name])
        axes = plane.axes
        if axes is None or self.is_pointwise or len(self.members) > 1:
            # Members of an ensemble share the weights of points, not those of grids.
            return plane.evaluate(lambda points: self._fields.near(points, column))
        down, right = axes
        lines = plane.coordinates()

        def evaluate(rows: slice, columns: slice) -> Float[np.ndarray, "h w"]:
            z, y, x = (a[rows] if i == down else a[columns] if i == right else a for i, a in enumerate(lines))
            values = np.squeeze(self._fields.on_grid(z, y, x)[column], axis=3 - down - right)
            tile = values.T if down > right else values
            return np.where(self.contains(plane.points(rows, columns)).reshape(tile.shape), tile, np.nan)

        return plane.evaluate_tiles(evaluate, _UPRIGHT_TILE)

    def sample(self, z: Axis, y: Axis, x: Axis, quantity: str | None = None) -> Float[np.ndarray, "z y x"]:
        """Evaluate one quantity on the product of three axes [m], by separable interpolation in single precision."""
        (column,) = self._columns([self.quantity(quantity).name])
        values = np.empty((len(z), len(y), len(x)))
        for tile, axes in _tiles(z, y, x):
            values[tile] = self._fields.on_grid(*axes)[column]
        return values

    def volume(self, grid: Grid | None = None, names: Sequence[str] = (), progress: Progress | None = None) -> Volume:
        """Sample the model in single precision.

        Args:
            grid: Grid to sample; by default the box at the model's own spacing. On a rotated grid the field is
                evaluated at rotated points, without interpolation.
            names: Names of the quantities; all by default.
            progress: Callback for progress, in voxels.

        Raises:
            ConfigError: If there is no such quantity.
        """
        grid = grid or self.grid()
        columns = self._columns(names)
        quantities = tuple(self.quantities[c] for c in columns)
        values = {q.name: np.empty(grid.shape, np.float32) for q in quantities}
        done = 0
        for tile, axes in _tiles(*grid.axes):
            block = self._fields.on_grid(*axes, rotation=grid.rotation)
            for column, array in zip(columns, values.values(), strict=True):
                array[tile] = block[column]
            done += block[0].size
            if progress:
                progress(done, grid.size)
        plain = tuple(Quantity(q.name, q.unit, q.meaning) for q in quantities)
        return Volume(self.kind, *grid.axes, values, plain, dict(self.attributes), self.length_unit)

    def grid(
        self,
        *,
        spacing: Sequence[float] | None = None,
        region: Region | None = None,
        rotations: Sequence[Float[np.ndarray, "3 3"]] = (),
    ) -> Grid:
        """Cover the box, or a part of space, with samples at the centres of cells.

        Args:
            spacing: [m] Size of a cell (z, y, x); the model's own by default.
            region: [m] Ends (low, high) along z, y and x; None is the end of the model's box.
            rotations: Rotations of the specimen about the origin, applied one after the other.

        Raises:
            ConfigError: If the region is empty.
        """
        ends = zip(region or 3 * ((None, None),), *self.bounds, spacing or self.spacing, strict=True)
        sides = ((low if a is None else a, high if b is None else b, d) for (a, b), low, high, d in ends)
        z, y, x = (cell_centres(*side) for side in sides)
        return Grid(z, y, x, compose(rotations))

    def _columns(self, names: Sequence[str]) -> list[int]:
        """Find quantities among all that the model has; all of them if none is named."""
        known = [q.name for q in self.quantities]
        return [known.index(self.quantity(name).name) for name in names] or list(range(len(known)))


def _tiles(*axes: Axis) -> Iterator[tuple[tuple[slice, ...], tuple[Axis, ...]]]:
    """Cut the product of axes into bricks, larger ones in a plane: the slices of each, and its axes."""
    factor = 2 if min(map(len, axes)) == 1 else 1
    cuts = ([slice(i, i + factor * n) for i in range(0, len(a), factor * n)] for a, n in zip(axes, TILE, strict=True))
    for tile in product(*cuts):
        yield tile, tuple(a[part] for a, part in zip(axes, tile, strict=True))
