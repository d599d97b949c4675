"""A model: a function of space that stands on its own, without jax and without the code that fitted it.

Axes are ``z y x``, lengths metres. What it gives at a point is `ensemble`'s. A model may hold several sets of weights:
its quantities are then the members' means, and ``uncertainty_<quantity>`` is their standard deviation.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from .ensemble import Ensemble, joined, sets_of
from .errors import ConfigError, DataError
from .fields.crystal_head import CrystalHead
from .fields.numpy_fields import NumpyField
from .frame import ModelFrame
from .grid import Grid, cells
from .volume import Quantity, Volume

POINTS_AT_ONCE = 1 << 15
TILE = (32, 64, 64)  # Small enough that the interpolation matrices of a fine grid are narrow, and stay in the cache.
UNCERTAINTY = "uncertainty_"
_AFFINE = ("background", "scale")
DRAWS = "draws"
"""What an architecture says of its ``members`` if each of them is an answer of its own."""

Report = Callable[[int, int], object]


@dataclass(frozen=True)
class ModelQuantity(Quantity):
    """What one output of a model means: its value is ``background + scale · raw``.

    Args:
        background: Value outside the model's box, and where the raw output is 0.
        scale: Value of one unit of raw output.
    """

    background: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Model:
    """A continuous model of a specimen.

    Args:
        architecture: The field's description: type, version, and every constant needed to evaluate it.
        weights: Its named arrays; those of an ensemble carry ``member_0/``, ``member_1/``, … before their names.
        frame: The box it fills.
        quantities: What its outputs mean, in their order; the first is the main one.
        provenance: Where it came from, as plain data for JSON.
        kind: Kind of experiment.

    Raises:
        DataError: If the architecture is not known, or the weights do not fit it.
    """

    architecture: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    frame: ModelFrame
    quantities: tuple[ModelQuantity, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "cell"

    def __post_init__(self) -> None:
        if self._fields.outputs != len(self.quantities):
            raise DataError(f"the field has {self._fields.outputs} outputs for {len(self.quantities)} quantities")

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Model":
        """Read a model file, and check that it gives the values it says it gives.

        Args:
            path: A ``model.h5``, or the run folder that holds one.

        Raises:
            DataError: If the file is missing, torn, not a model, or its self-test fails.
        """
        from .io.model_file import read

        return read(Path(path))

    @classmethod
    def ensemble(
        cls,
        architecture: Mapping[str, Any],
        members: Sequence[Mapping[str, np.ndarray]],
        frame: ModelFrame,
        quantities: tuple[ModelQuantity, ...],
        provenance: Mapping[str, Any],
        kind: str = "cell",
    ) -> "Model":
        """Join the weights of several fits of one architecture; a single one stays as it is."""
        return cls(architecture, joined(members), frame, quantities, provenance, kind)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, whole or not at all."""
        from .io.model_file import write

        write(self, Path(path))

    @cached_property
    def _fields(self) -> Ensemble:
        background, scale = (np.array([getattr(q, name) for q in self.quantities], float) for name in _AFFINE)
        return Ensemble(self.architecture, sets_of(self.weights), self.frame, background, scale)

    @property
    def members(self) -> tuple[NumpyField, ...]:
        """The field of each set of weights, in double precision."""
        return self._fields.members

    @property
    def heads(self) -> tuple[CrystalHead, ...]:
        """What makes quantities of each member's raw outputs; empty where these are the quantities themselves."""
        return self._fields.heads

    @property
    def pointwise(self) -> bool:
        """Whether a lattice is evaluated point by point."""
        return self._fields.pointwise

    def members_apart(self) -> "Iterator[Model]":
        """Each member of the ensemble as a model of its own: a draw of a shape, one of several fits."""
        for weights in self._fields.sets:
            yield replace(self, weights=weights)

    @property
    def draws(self) -> int:
        """Number of answers that it holds: draws of a shape; the members of an ensemble of fits are one."""
        return len(self._fields.sets) if self.architecture.get("members") == DRAWS else 1

    def draw(self, number: int) -> "Model":
        """One of its draws.

        Raises:
            ConfigError: If there is none of that number.
        """
        if not 0 <= number < self.draws:
            raise ConfigError(f"the model has no draw {number}: they are numbered 0 to {self.draws - 1}")
        return self if self.draws == 1 else list(self.members_apart())[number]

    @cached_property
    def given(self) -> tuple[Quantity, ...]:
        """All that the model gives at a point: its quantities, then the uncertainty of each if it is an ensemble."""
        if len(self.members) == 1:
            return self.quantities
        spread = (Quantity(UNCERTAINTY + q.name, q.unit, f"standard deviation of {q.name}") for q in self.quantities)
        return (*self.quantities, *spread)

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(array.size for array in self.weights.values())

    @property
    def spacing(self) -> tuple[float, float, float]:
        """[m] The sampling (z, y, x) that shows what the model holds."""
        z, y, x = self.frame.extent / self.members[0].samples
        return self.frame.spacing or (float(z), float(y), float(x))

    def column(self, quantity: str | None = None) -> int:
        """Find where a quantity stands in ``given``; the main one if none is named.

        Raises:
            ConfigError: If the model does not give it.
        """
        names = [q.name for q in self.given]
        if quantity is None:
            return 0
        if quantity not in names:
            raise ConfigError(f"the model gives no {quantity!r}; it gives {', '.join(names)}")
        return names.index(quantity)

    def __call__(self, points: ArrayLike, quantity: str | None = None) -> Float[np.ndarray, " n"]:
        """Evaluate one quantity at points.

        Args:
            points: [m] Points (z, y, x), shape (n, 3).
            quantity: Its name; the main one by default.

        Returns:
            Its value at each point, in double precision.

        Raises:
            DataError: If the model does not give the quantity, or the points are not (n, 3).
        """
        column = self.column(quantity)
        return self.at(points)[:, column]

    def at(self, points: ArrayLike, progress: Report | None = None) -> Float[np.ndarray, "n q"]:
        """Evaluate all that the model gives at points (n, 3) [m]."""
        points = np.asarray(points, float)
        if points.ndim != 2 or points.shape[1] != 3:
            raise DataError(f"points of the shape {points.shape}; they must be (n, 3): z, y, x in metres")
        values = np.empty((len(points), len(self.given)))
        for start in range(0, len(points), POINTS_AT_ONCE):
            part = slice(start, start + POINTS_AT_ONCE)
            values[part] = self._fields.at(points[part]).T
            if progress:
                progress(min(part.stop, len(points)), len(points))
        return values

    def sample(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        quantity: str | None = None,
    ) -> Float[np.ndarray, "z y x"]:
        """Evaluate one quantity on the product of three axes, by separable interpolation in single precision.

        Args:
            z: [m] Coordinates along z, in any order; y and x likewise.
            y: [m] Coordinates along y.
            x: [m] Coordinates along x.
            quantity: Its name; the main one by default.
        """
        column = self.column(quantity)
        values = np.empty((len(z), len(y), len(x)))
        for tile, axes in _tiles(z, y, x):
            values[tile] = self._fields.on_grid(*axes)[column]
        return values

    def volume(
        self, lattice: Grid | None = None, names: Sequence[str] | None = None, progress: Report | None = None
    ) -> Volume:
        """Sample the model in single precision.

        Args:
            lattice: Where; by default the box at the model's own spacing. On a turned lattice the field is asked at
                turned points: nothing is interpolated.
            names: Quantities; all that the model gives by default.
            progress: Told how many voxels of how many are done.
        """
        lattice = lattice or self.lattice()
        columns = [self.column(name) for name in names] if names else list(range(len(self.given)))
        quantities = tuple(self.given[c] for c in columns)
        values = {q.name: np.empty(lattice.shape, np.float32) for q in quantities}
        done = 0
        for tile, axes in _tiles(*lattice.axes):
            block = self._fields.on_grid(*axes, turn=lattice.turn)
            for column, array in zip(columns, values.values(), strict=True):
                array[tile] = block[column]
            done += block[0].size
            if progress:
                progress(done, lattice.size)
        plain = tuple(Quantity(q.name, q.unit, q.meaning) for q in quantities)
        return Volume(self.kind, *lattice.axes, values, plain, dict(self.frame.attributes), self.frame.length_unit)

    def lattice(self, spacing: Sequence[float] | None = None) -> Grid:
        """Cover the box with samples at the centres of cells of this spacing (z, y, x) [m], or of the model's own."""
        sides = zip(self.frame.low, self.frame.high, spacing or self.spacing, strict=True)
        z, y, x = (cells(*side) for side in sides)
        return Grid(z, y, x)


def _tiles(
    *axes: Float[np.ndarray, " _n"],
) -> Iterator[tuple[tuple[slice, ...], tuple[Float[np.ndarray, " _n"], ...]]]:
    """Cut the product of axes into bricks: the slices of each, and its axes."""
    cuts = ([slice(i, i + step) for i in range(0, len(a), step)] for a, step in zip(axes, TILE, strict=True))
    for tile in product(*cuts):
        yield tile, tuple(a[part] for a, part in zip(axes, tile, strict=True))
