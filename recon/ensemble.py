"""Fields of a model in their box: the values of each set of weights, and the mean and spread of all.

Axes are ``z y x``, lengths metres. In the box a quantity is ``background + scale · raw``, with ``raw`` the output of
the architecture's field, or of the head that maps all outputs to an amplitude and a phase; outside it is the
background.

The weights of several sets are named ``member_0/…``, ``member_1/…``; those of a single one have no such prefix. Weights
named ``consensus/…`` are those of one more field of the same architecture, whose values stand for the mean.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from .fields import near_points
from .fields.density_head import DensityHead
from .fields.numpy_fields import NumpyField, build_numpy_field
from .fields.numpy_pyramid import NumpyPyramid
from .fields.numpy_section import NumpySection
from .frame import ModelFrame, inside

_MEMBER = "member_"
_CONSENSUS = "consensus/"


def join_weights(
    sets: Sequence[Mapping[str, np.ndarray]], consensus: Mapping[str, np.ndarray] | None = None
) -> Mapping[str, np.ndarray]:
    """Join the weights of several sets under prefixed names; those of a single set stay as they are.

    Args:
        sets: Weights of each member.
        consensus: Weights of the field that stands for all of them, if there is one.
    """
    own = {_CONSENSUS + name: array for name, array in (consensus or {}).items()}
    if len(sets) == 1:
        return {**sets[0], **own}
    return {f"{_MEMBER}{i}/{name}": w for i, weights in enumerate(sets) for name, w in weights.items()} | own


def split_weights(weights: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], ...]:
    """Split joined weights into those of each member."""
    sets: dict[str, dict[str, np.ndarray]] = {} if weights else {"": {}}
    for name, array in weights.items():
        if name.startswith(_CONSENSUS):
            continue
        member, _, rest = name.partition("/") if name.startswith(_MEMBER) else ("", "", name)
        sets.setdefault(member, {})[rest] = array
    # By their number: as text, member_10 would stand before member_2.
    return tuple(sets[member] for member in sorted(sets, key=lambda member: (len(member), member)))


def consensus_weights(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Select the weights of the consensus from joined ones; empty if there is none."""
    return {name.removeprefix(_CONSENSUS): array for name, array in weights.items() if name.startswith(_CONSENSUS)}


Axes = tuple[Float[np.ndarray, " z"], Float[np.ndarray, " y"], Float[np.ndarray, " x"]]


def at_grid_points(
    evaluate: Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "q n"]],
    axes: Axes,
    rotation: Float[np.ndarray, "3 3"] | None,
) -> Float[np.ndarray, "q z y x"]:
    """Evaluate a function of points on the product of three axes, point by point.

    Args:
        evaluate: The function.
        axes: [m] Coordinates along z, y and x.
        rotation: Rotation of the specimen about the origin; None for none.
    """
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    # Rows times the matrix is the inverse rotation: the laboratory's points, seen from the specimen.
    rotated = points.reshape(-1, 3) @ (np.eye(3) if rotation is None else rotation)
    return evaluate(rotated).reshape(-1, *points.shape[:3])


@dataclass(frozen=True, eq=False)
class Ensemble:
    """One architecture with one set of weights or several, in its box.

    Its values have a row for each quantity, that of the consensus or else the mean of the members; with several
    members, another row for the sample standard deviation (over n − 1) of each.

    Args:
        architecture: Description of the field.
        sets: Weights of each member.
        consensus: Weights of the consensus; empty if there is none.
        frame: Box of the model.
        background: Value of each quantity outside the box, and where its raw output is 0.
        scale: Value of one unit of raw output.
    """

    architecture: Mapping[str, Any]
    sets: tuple[dict[str, np.ndarray], ...]
    consensus: dict[str, np.ndarray]
    frame: ModelFrame
    background: Float[np.ndarray, " k"]
    scale: Float[np.ndarray, " k"]

    @cached_property
    def members(self) -> tuple[NumpyField, ...]:
        """The field of each set of weights, in double precision."""
        return self._evaluated[bool(self.consensus) :]

    @cached_property
    def _evaluated(self) -> tuple[NumpyField, ...]:
        """The consensus, if there is one, and the members, in double precision."""
        return self._fields(np.float64)

    @cached_property
    def _single(self) -> tuple[NumpyField, ...]:
        """The fields in single precision, for grids: several times as fast, and as exact as a volume file."""
        return self._fields(np.float32)

    def _fields(self, dtype: type[np.floating[Any]]) -> tuple[NumpyField, ...]:
        return tuple(build_numpy_field(self.architecture, weights, dtype) for weights in self._all_sets)

    @property
    def _all_sets(self) -> tuple[dict[str, np.ndarray], ...]:
        """Weights of the consensus, if there is one, and of the members."""
        return (self.consensus, *self.sets) if self.consensus else self.sets

    @cached_property
    def heads(self) -> tuple[DensityHead, ...]:
        """Map from each member's raw outputs to quantities; empty where the outputs are the quantities."""
        if "head" not in self.architecture:
            return ()
        return tuple(DensityHead.load(self.architecture["head"], weights) for weights in self._all_sets)

    @property
    def outputs(self) -> int:
        """Number of quantities of a member."""
        return self.heads[0].outputs if self.heads else self.members[0].outputs

    @property
    def is_pointwise(self) -> bool:
        """Whether a grid is evaluated point by point: a skewed box or a head leaves nothing to separate."""
        return bool(self.heads) or self.frame.edges is not None

    def at(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "q n"]:
        """Evaluate at points [m], in double precision."""
        s = self.frame.points(points)
        within = self.frame.contains(points)
        values = self.outside(len(points))
        if within.any():
            values[:, within] = self._physical(np.stack(self._raw_at(s[within])))
        return values

    def on_grid(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        *,
        rotation: Float[np.ndarray, "3 3"] | None = None,
    ) -> Float[np.ndarray, "q z y x"]:
        """Evaluate on the product of three axes [m], by separable interpolation in single precision where it can be.

        Args:
            z: [m] Coordinates along z, in any order.
            y: [m] Coordinates along y.
            x: [m] Coordinates along x.
            rotation: Rotation of the specimen about the origin.
        """
        if rotation is not None or self.is_pointwise:
            return at_grid_points(self.at, (z, y, x), rotation)
        axes = [self.frame.normalised(a, axis) for axis, a in enumerate((z, y, x))]
        within = [inside(s) for s in axes]
        values = self.outside(len(z), len(y), len(x))
        if all(w.any() for w in within):
            parts = [s[w] for s, w in zip(axes, within, strict=True)]
            raw = np.stack([member.on_grid(*parts) for member in self._single])
            values[np.ix_(np.full(len(values), True), *within)] = self._physical(raw)
        return values

    def near(self, points: Float[np.ndarray, "n 3"], column: int) -> Float[np.ndarray, " n"]:
        """Evaluate one quantity at points [m] that lie close together, in single precision; NaN outside the box.

        Args:
            points: [m] Points.
            column: Row of the quantity among the values.
        """
        s = self.frame.points(points)
        within = np.all(inside(s), axis=-1)
        values = np.full(len(s), np.nan, np.float32)
        if not within.any():
            return values
        output, is_spread = column % self.outputs, column >= self.outputs
        numbers = tuple(range(len(self._all_sets)))
        if self.consensus:
            numbers = numbers[1:] if is_spread else numbers[:1]
        raw = np.stack(list(self._raw_near(numbers, output, s[within])))
        scaled = raw * self.scale[output] + self.background[output]
        values[within] = scaled.std(axis=0, ddof=1) if is_spread else scaled.mean(axis=0)
        return values

    def _raw_near(
        self, numbers: tuple[int, ...], output: int, s: Float[np.ndarray, "n 3"]
    ) -> Iterator[Float[np.ndarray, " n"]]:
        """Evaluate one output of some sets of weights at normalised points that lie close together."""
        if self.heads:
            for number in numbers:
                near, precise = self._single[number].near, self._evaluated[number].near
                yield self.heads[number].value(output, near, precise, s)
            return
        fields = [self._single[number] for number in numbers]
        joint = [near_points.interpolate(spline, s) for spline in self._joint_splines(numbers)]
        for position, field in enumerate(fields):
            parts = [np.split(values, len(fields))[position] for values in joint]
            if isinstance(field, NumpyPyramid | NumpySection):
                yield field.from_splines(parts, s)[output]
            else:
                yield field.near(s)[output]

    def _joint_splines(self, numbers: tuple[int, ...]) -> list[np.ndarray]:
        """Join the splines of some sets of weights as features of one: points share the weights of a spline's sum."""
        if numbers not in self._joint:
            fields = [self._single[number] for number in numbers]
            each = [field.splines for field in fields if isinstance(field, NumpyPyramid | NumpySection)]
            self._joint[numbers] = [np.concatenate(level, axis=-1) for level in zip(*each, strict=True)]
        return self._joint[numbers]

    @cached_property
    def _joint(self) -> dict[tuple[int, ...], list[np.ndarray]]:
        return {}

    @property
    def spacing(self) -> Float[np.ndarray, " 3"]:
        """[m] Resolution (z, y, x) of the field."""
        return np.asarray(self.frame.extent / self.members[0].samples)

    def clip(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Move points that lie outside the box by rounding onto its faces."""
        return np.asarray(np.clip(points, self.frame.low, self.frame.high))

    def clip_axes(self, axes: Sequence[Float[np.ndarray, " _n"]]) -> list[Float[np.ndarray, " _n"]]:
        """Move coordinates along each axis into the box, as `clip`."""
        return [np.clip(a, low, high) for a, low, high in zip(axes, self.frame.low, self.frame.high, strict=True)]

    def _raw_at(self, s: Float[np.ndarray, "n 3"]) -> list[Float[np.ndarray, "k n"]]:
        """Evaluate the consensus and each member at normalised points."""
        if not self.heads:
            return [member.at(s) for member in self._evaluated]
        return [head.values(member.at, s) for head, member in zip(self.heads, self._evaluated, strict=True)]

    def _physical(self, raw: Float[np.ndarray, "member k *n"]) -> Float[np.ndarray, "q *n"]:
        scale, background = (v.reshape(-1, *[1] * (raw.ndim - 2)) for v in (self.scale, self.background))
        scaled = raw * scale + background
        members = scaled[bool(self.consensus) :]
        middle = scaled[0] if self.consensus else members.mean(axis=0)
        return middle if len(members) == 1 else np.concatenate([middle, members.std(axis=0, ddof=1)])

    def outside(self, *shape: int) -> Float[np.ndarray, "q *n"]:
        """Return the background, without spread."""
        background = self.background if len(self.sets) == 1 else np.pad(self.background, (0, len(self.background)))
        return np.tile(background.reshape(-1, *[1] * len(shape)), (1, *shape))
