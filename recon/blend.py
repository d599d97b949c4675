"""Blend of fields that each describe a tile of one box: a smooth partition of unity over their overlaps.

A tile has a field in a box of its own, and a window: a product of one function of each coordinate, 1 in its middle,
falling to 0 towards its neighbours with two continuous derivatives. The value at a point is the mean of the tiles'
values there, weighted by their windows over the sum of all windows, which therefore leaves no seam.

The weights of the tiles are named ``tile_0/…``, ``tile_1/…``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float

from .ensemble import Axes, Ensemble, at_grid_points
from .errors import DataError
from .fields.density_head import DensityHead
from .fields.numpy_fields import NumpyField
from .frame import FACE_TOLERANCE, ModelFrame, Vector

_TILE = "tile_"
Ramp = tuple[float, float, float, float]
"""Coordinates between which a window rises from 0 to 1, and those between which it falls; equal ones: it does not."""
Weights = Mapping[str, np.ndarray]


def smooth_step(t: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Rise from 0 at 0 to 1 at 1 with two continuous derivatives, alike about the middle."""
    t = np.clip(t, 0, 1)
    step: np.ndarray = t**3 * (10 + t * (6 * t - 15))
    return step


@dataclass(frozen=True)
class Tile:
    """Part of a box with a field of its own.

    Args:
        low: [m] Corner of smallest (z, y, x) of the field's box.
        high: [m] Corner of largest (z, y, x).
        window: [m] Ramps of the window along z, y and x.

    Raises:
        DataError: If the window is none, or reaches beyond the field's box.
    """

    low: Vector
    high: Vector
    window: tuple[Ramp, Ramp, Ramp]

    def __post_init__(self) -> None:
        for low, high, ramp in zip(self.low, self.high, self.window, strict=True):
            slack = FACE_TOLERANCE * (high - low)
            if list(ramp) != sorted(ramp) or not (low - slack <= ramp[0] < ramp[3] <= high + slack):
                raise DataError(f"a tile from {low:g} to {high:g} m has the window {ramp}, which is none within it")

    def along(self, axis: int, coordinates: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Evaluate the window's factor along one axis."""
        a, b, c, d = self.window[axis]
        factor = np.ones(np.shape(coordinates))
        if b > a:
            factor = factor * smooth_step((coordinates - a) / (b - a))
        if d > c:
            factor = factor * smooth_step((d - coordinates) / (d - c))
        return np.asarray(factor)


def join_tiles(weights: Sequence[Weights]) -> dict[str, np.ndarray]:
    """Join the weights of all tiles under prefixed names."""
    return {f"{_TILE}{i}/{name}": array for i, each in enumerate(weights) for name, array in each.items()}


def split_tiles(weights: Weights, count: int) -> list[dict[str, np.ndarray]]:
    """Split joined weights into those of each tile.

    Raises:
        DataError: If they are not those of as many tiles.
    """
    parts: list[dict[str, np.ndarray]] = [{} for _ in range(count)]
    for name, array in weights.items():
        tile, _, rest = name.partition("/")
        number = tile.removeprefix(_TILE)
        if not (tile.startswith(_TILE) and number.isdecimal() and int(number) < count):
            raise DataError(f"its weights {name} belong to none of its {count} tiles")
        parts[int(number)][rest] = array
    if empty := [i for i, part in enumerate(parts) if not part]:
        raise DataError(f"its tile_{empty[0]} has no weights")
    return parts


@dataclass(frozen=True, eq=False)
class Blend:
    """Fields of all tiles in the box that they cover; it evaluates like an `Ensemble`.

    Args:
        parts: Field of each tile, in its own box.
        tiles: Boxes and windows.
        frame: Upright box of the whole.

    Raises:
        DataError: If the windows leave a part of the box without a field.
    """

    parts: tuple[Ensemble, ...]
    tiles: tuple[Tile, ...]
    frame: ModelFrame

    def __post_init__(self) -> None:
        if self.frame.edges is not None:
            raise DataError("tiles of a skewed box cannot be blended")
        if len({len(part.sets) for part in self.parts}) > 1:
            raise DataError("its tiles have different numbers of members")
        if len({part.outputs for part in self.parts}) > 1:
            raise DataError("its tiles have different numbers of quantities")
        if not (self._total(self._between_ramps) > 0).all():
            raise DataError("its tiles leave a part of the box empty")

    @property
    def members(self) -> tuple[NumpyField, ...]:
        """Fields of the first tile: one for each member."""
        return self.parts[0].members

    @property
    def heads(self) -> tuple[DensityHead, ...]:
        """Heads of the first tile's fields; empty where the outputs are the quantities."""
        return self.parts[0].heads

    @property
    def outputs(self) -> int:
        """Number of quantities of a member."""
        return self.parts[0].outputs

    @property
    def is_pointwise(self) -> bool:
        """Whether a grid is evaluated point by point."""
        return self.parts[0].is_pointwise

    @property
    def spacing(self) -> Float[np.ndarray, " 3"]:
        """[m] Resolution (z, y, x) of the finest field."""
        return np.asarray(np.min([part.spacing for part in self.parts], axis=0))

    @property
    def sets(self) -> tuple[dict[str, np.ndarray], ...]:
        """Weights of each member, of all tiles."""
        return tuple(join_tiles([part.sets[i] for part in self.parts]) for i in range(len(self.parts[0].sets)))

    @property
    def consensus(self) -> dict[str, np.ndarray]:
        """Weights of the consensus, of all tiles; empty if there is none."""
        return join_tiles([part.consensus for part in self.parts])

    def at(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "q n"]:
        """Evaluate at points [m], in double precision; outside the box the background."""
        within = self.frame.contains(points)
        clipped = np.clip(points[within], self.frame.low, self.frame.high)
        windows = [np.prod([tile.along(i, clipped[:, i]) for i in range(3)], axis=0) for tile in self.tiles]
        values, total = self.parts[0].outside(len(points)), np.sum(windows, axis=0)
        blended = np.zeros((len(values), len(clipped)))
        for part, window in zip(self.parts, windows, strict=True):
            seen = window > 0
            if seen.any():
                blended[:, seen] += window[seen] / total[seen] * part.at(part.clip(clipped[seen]))
        values[:, within] = blended
        return values

    def near(self, points: Float[np.ndarray, "n 3"], column: int) -> Float[np.ndarray, " n"]:
        """Evaluate one quantity at points [m] that lie close together; see `Ensemble.near`."""
        within = self.frame.contains(points)
        clipped = np.clip(points[within], self.frame.low, self.frame.high)
        values, total = np.full(len(points), np.nan, np.float32), np.zeros(len(clipped))
        blended = np.zeros(len(clipped))
        for part, tile in zip(self.parts, self.tiles, strict=True):
            window = np.prod([tile.along(i, clipped[:, i]) for i in range(3)], axis=0)
            seen = window > 0
            if seen.any():
                blended[seen] += window[seen] * part.near(part.clip(clipped[seen]), column)
                total += window
        values[within] = blended / total
        return values

    def on_grid(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        *,
        rotation: Float[np.ndarray, "3 3"] | None = None,
    ) -> Float[np.ndarray, "q z y x"]:
        """Evaluate on the product of three axes [m], each tile where its window is not 0; see `Ensemble.on_grid`."""
        if rotation is not None or self.is_pointwise:
            return at_grid_points(self.at, (z, y, x), rotation)
        axes = (z, y, x)
        within = [self._inside(axis, coordinates) for axis, coordinates in enumerate(axes)]
        values = self.parts[0].outside(len(z), len(y), len(x))
        if all(w.any() for w in within):
            ends = zip(axes, within, self.frame.low, self.frame.high, strict=True)
            inner_z, inner_y, inner_x = (np.clip(a[w], low, high) for a, w, low, high in ends)
            values[np.ix_(np.full(len(values), True), *within)] = self._on_inner_grid((inner_z, inner_y, inner_x))
        return values

    def _inside(self, axis: int, coordinates: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        return np.asarray(np.abs(self.frame.normalised(coordinates, axis)) <= 1 + FACE_TOLERANCE)

    def _on_inner_grid(self, axes: Axes) -> Float[np.ndarray, "q z y x"]:
        blended = np.zeros((len(self.parts[0].outside(0)), *(len(a) for a in axes)))
        for part, tile in zip(self.parts, self.tiles, strict=True):
            factors = [tile.along(axis, coordinates) for axis, coordinates in enumerate(axes)]
            seen = [np.flatnonzero(factor) for factor in factors]
            if not all(len(indices) for indices in seen):
                continue
            window = _outer([factor[indices] for factor, indices in zip(factors, seen, strict=True)])
            places = part.clip_axes([a[indices] for a, indices in zip(axes, seen, strict=True)])
            blended[np.ix_(np.arange(len(blended)), *seen)] += window * part.on_grid(*places)
        blended /= self._total(axes)
        return blended

    def _total(self, axes: Axes) -> Float[np.ndarray, "z y x"]:
        """Sum of all windows on the product of three axes."""
        total = np.zeros([len(axis) for axis in axes])
        for tile in self.tiles:
            total += _outer([tile.along(i, axis) for i, axis in enumerate(axes)])
        return total

    @property
    def _between_ramps(self) -> Axes:
        """Coordinates at and between all ends of ramps: if the sum of the windows is 0 anywhere, it is at one."""
        axes = []
        for axis, (low, high) in enumerate(zip(self.frame.low, self.frame.high, strict=True)):
            ends = np.unique(
                np.clip([low, high, *(end for tile in self.tiles for end in tile.window[axis])], low, high)
            )
            axes.append(np.concatenate([ends, (ends[1:] + ends[:-1]) / 2]))
        z, y, x = axes
        return z, y, x

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield the numbers of each two tiles whose windows overlap."""
        for i, j in product(range(len(self.tiles)), repeat=2):
            ramps = zip(self.tiles[i].window, self.tiles[j].window, strict=True)
            if i < j and all(a[0] < b[3] and b[0] < a[3] for a, b in ramps):
                yield i, j


def _outer(factors: Sequence[Float[np.ndarray, " _n"]]) -> Float[np.ndarray, "z y x"]:
    z, y, x = factors
    return np.asarray(z[:, None, None] * y[None, :, None] * x[None, None, :])
