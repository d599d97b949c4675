"""Continuous model of a series of acquisitions of one specimen: a model at any position of the series.

The series has one coordinate, such as a time, with a position for each acquisition. Between two positions the weights
are interpolated linearly, and so are the motion of the specimen as a whole and its contrast, where they are modelled:
at a position, the series is an ordinary `Model`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from .errors import DataError
from .fields.numpy_fields import MOTION
from .frame import ModelFrame
from .model import Model, ModelQuantity
from .series_axis import SeriesAxis

SERIES = "series"
"""Entry of an architecture that is of a series, and attribute of a model with its position."""
_VERSION = 1
_HEAD = "head/"
"""Beginning of the names of a head's weights, which each acquisition has for itself."""


@dataclass(frozen=True, eq=False)
class ModelSeries:
    """A continuous model of a series.

    Args:
        architecture: Description of the field at any position, and of the series.
        weights: Named arrays; those that vary have the acquisition as their first axis.
        frame: Box of the model.
        outputs: Meaning of each output of the field.
        kind: Kind of experiment.
        axis: Coordinate of the series.
        provenance: Origin of the model, as plain data for JSON.

    Raises:
        DataError: If the weights are not those of the series.
    """

    architecture: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    frame: ModelFrame
    outputs: tuple[ModelQuantity, ...]
    kind: str
    axis: SeriesAxis
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        series, count = self.architecture.get(SERIES), len(self.axis.positions)
        if not isinstance(series, Mapping) or series.get("version") != _VERSION:
            raise DataError(f"its series is of a version not known here; this version of unflat reads {_VERSION}")
        if series.get("count") != count:
            raise DataError(f"its series of {series.get('count')} acquisitions has {count} positions")
        varying = self._varying
        if wrong := [n for n in varying if n not in self.weights or len(self.weights[n]) != count]:
            raise DataError(f"its weights {wrong[0]} are not one for each of {count} acquisitions")

    @classmethod
    def join(
        cls,
        models: Sequence[Model],
        axis: SeriesAxis,
        varying: Sequence[str],
        motion: Float[np.ndarray, "acquisition 7"] | None,
    ) -> "ModelSeries":
        """Join the models of all acquisitions, which differ in their weights alone.

        Args:
            models: Model of each acquisition.
            axis: Coordinate of the series.
            varying: Names of the weights of the field that differ; those of a head do so as well.
            motion: Shift along z, y and x, logarithm of the stretch along them, and that of the contrast, of each
                acquisition; None for none.
        """
        first = models[0]
        added = sorted({name for m in models for name in m.weights} - set(first.weights)) + [
            name for name in first.weights if name.startswith(_HEAD) and name not in varying
        ]
        models = [_completed(m, added, models) for m in models]
        varying = [*varying, *added]
        first = models[0]
        series = {"version": _VERSION, "count": len(models), "varying": list(varying), "moves": motion is not None}
        weights = {name: np.stack([m.weights[name] for m in models]) for name in varying}
        weights |= {name: array for name, array in first.weights.items() if name not in varying}
        weights |= {} if motion is None else {MOTION: motion}
        architecture = {**first.architecture, SERIES: series}
        return cls(architecture, weights, first.frame, first.outputs, first.kind, axis, first.provenance)

    @property
    def _varying(self) -> tuple[str, ...]:
        names = tuple(map(str, self.architecture[SERIES]["varying"]))
        return (*names, MOTION) if self.architecture[SERIES]["moves"] else names

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(array.size for array in self.weights.values())

    def at(self, position: float) -> Model:
        """Return the model at a position.

        Raises:
            ConfigError: If the position lies before the first or after the last acquisition.
        """
        number, share = self.axis.locate(position)
        weights = dict(self.weights)
        for name in self._varying:
            own = self.weights[name]
            weights[name] = own[number] if share == 0 else _between(own[number], own[number + 1], share)
        architecture = {name: value for name, value in self.architecture.items() if name != SERIES}
        outputs = self.outputs
        if MOTION in weights:
            motion = np.asarray(weights.pop(MOTION), float)
            architecture[MOTION] = {"shift": motion[:3].tolist(), "stretch": np.exp(motion[3:6]).tolist()}
            outputs = tuple(replace(q, scale=q.scale * float(np.exp(motion[6]))) for q in outputs)
        attributes = {**self.frame.attributes, SERIES: self.axis.describe(position)}
        frame = replace(self.frame, attributes=attributes)
        return Model(architecture, weights, frame, outputs, self.kind, self.provenance)

    def at_acquisitions(self) -> Iterator[Model]:
        """Yield the model at each acquisition."""
        return map(self.at, self.axis.positions)

    @property
    def default(self) -> float:
        """Position of the last acquisition, which is shown where none is asked for."""
        return self.axis.positions[-1]


def _completed(model: Model, names: Sequence[str], models: Sequence[Model]) -> Model:
    """Add zeros for weights that other models have: those of a head that another one does without."""
    shapes = {name: next(m.weights[name] for m in models if name in m.weights) for name in names}
    zeros = {name: np.zeros_like(array) for name, array in shapes.items()}
    return replace(model, weights={**zeros, **model.weights})


def _between(one: np.ndarray, other: np.ndarray, share: float) -> Float[np.ndarray, "*n"]:
    return np.asarray((1 - share) * one.astype(np.float64) + share * other.astype(np.float64))
