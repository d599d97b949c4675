"""Likelihood of a series of acquisitions of one specimen: that of each, on one grid.

Views are numbered through: those of the first acquisition, then those of the next. A batch of a step has as many views
of each acquisition; a batch of a validation has views of one. Corrections of the instrument are each acquisition's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..fields.base import FieldGrid
from ..fields.numpy_fields import MOTION
from ..fields.series import motion_of
from ..io.model_file import FILE_NAME as MODEL_FILE
from ..io.model_file import write_model
from ..model_series import SERIES, ModelSeries
from ..runs.contents import SERIES as SERIES_FOLDER
from ..series_axis import SeriesAxis
from .likelihood import Batch, Likelihood, MetricNames, Nuisance, Split, Weights
from .minibatches import batch_views, map_batches
from .program import shared_losses
from .series_program import ACQUISITION, SMOOTHNESS, SPATIAL, SeriesLossFunction

PREFIX = "acquisition_"
"""Beginning of the names of one acquisition's numbers: ``acquisition_0/residual_fitted``."""


@dataclass(frozen=True, eq=False)
class SeriesLikelihood:
    """Likelihood of a series; see `Likelihood`.

    Args:
        parts: Likelihood of each acquisition.
        axis: Coordinate of the series.
        names: Name of each acquisition, as a part of a path.
        smoothness: Strength of the prior on changes from one acquisition to the next.
        moves: Whether the specimen may move, stretch and change its contrast as a whole.
        spatial: Factor of the priors on each acquisition, as neighbours support it.
    """

    parts: tuple[Likelihood, ...]
    axis: SeriesAxis
    names: tuple[str, ...]
    smoothness: float
    moves: bool
    spatial: float = 1.0

    def with_strengths(self, smoothness: float, spatial: float) -> "SeriesLikelihood":
        """Return the likelihood of the same series with other strengths of the priors."""
        return replace(self, smoothness=smoothness, spatial=spatial)

    @property
    def grid(self) -> FieldGrid:
        """Grid of the specimen, the same for all."""
        return self.parts[0].grid

    @property
    def scales(self) -> tuple[float, ...]:
        """Physical value of a field's output of 1, for each output."""
        return self.parts[0].scales

    @property
    def sign(self) -> str:
        """Sign to which the outputs are constrained."""
        return self.parts[0].sign

    @property
    def views(self) -> int:
        """Number of views of all acquisitions."""
        return int(self._first[-1])

    @cached_property
    def _first(self) -> Int[np.ndarray, " acquisition_plus_1"]:
        """Number of the first view of each acquisition, and of all views."""
        return np.concatenate([[0], np.cumsum([part.views for part in self.parts])]).astype(int)

    @cached_property
    def _splits(self) -> tuple[Split, ...]:
        return tuple(part.split() for part in self.parts)

    @cached_property
    def batch_size(self) -> int:
        """Number of views of one acquisition in a step, and in a batch of a validation."""
        return min(min(part.batch_size, len(own.fitted)) for part, own in zip(self.parts, self._splits, strict=True))

    @property
    def metric_names(self) -> MetricNames:
        """Names of the metrics."""
        return self.parts[0].metric_names

    @cached_property
    def nuisance_parameters(self) -> dict[str, np.ndarray]:
        """Corrections of the instruments, stacked; shorter ones are filled up with zeros, which nothing reads."""
        each = [part.nuisance_parameters for part in self.parts]
        stacked = {}
        for name in each[0]:
            arrays = [np.asarray(own[name], np.float32) for own in each]
            shape = np.max([array.shape for array in arrays], axis=0).astype(int) if arrays[0].ndim else ()
            stacked[name] = np.zeros((len(arrays), *shape), np.float32)
            for number, array in enumerate(arrays):
                place = (slice(number, number + 1), *(slice(n) for n in array.shape))
                stacked[name][place] = array[None]
        return stacked

    def nuisance_of(self, nuisance: Mapping[str, Array | np.ndarray], number: int) -> dict[str, Array]:
        """Select the corrections of one acquisition's instrument, without the zeros that fill them up."""
        own = self.parts[number].nuisance_parameters
        return {
            name: jnp.asarray(array[number])[tuple(slice(n) for n in np.shape(own[name]))]
            for name, array in nuisance.items()
        }

    def split(self) -> Split:
        """Choose the withheld views of each acquisition."""
        parts = [[own[i] + first for own, first in zip(self._splits, self._first, strict=False)] for i in (0, 1)]
        return Split(np.concatenate(parts[0]), np.concatenate(parts[1]))

    def step_views(self, step: int, seed: int) -> Int[np.ndarray, " view"]:
        """Choose the views of a step: as many of each acquisition."""
        each = zip(self._splits, self._first, strict=False)
        return np.concatenate(
            [
                first + batch_views(step, own.fitted, self.batch_size, seed + 100 * number)
                for number, (own, first) in enumerate(each)
            ]
        )

    @property
    def has_one_batch(self) -> bool:
        """Whether all steps have the same views: each acquisition has one."""
        return all(len(own.fitted) == 1 for own in self._splits)

    def groups(self, views: Int[np.ndarray, " view"]) -> Iterator[tuple[int, Int[np.ndarray, " own"]]]:
        """Yield the number of each acquisition that some views are of, and those, by the acquisition's own numbers."""
        for number, (first, end) in enumerate(zip(self._first[:-1], self._first[1:], strict=True)):
            own = views[(views >= first) & (views < end)] - first
            if len(own):
                yield number, own

    def map_batches(self, function: Any, views: Int[np.ndarray, " view"]) -> Float[np.ndarray, " view"]:
        """Compute a number for each of some views, in rising order, in batches of one acquisition each."""
        each = [map_batches(function, own + self._first[number], self.batch_size) for number, own in self.groups(views)]
        return np.concatenate(each) if each else np.zeros(0)

    def initial_guess(self, views: np.ndarray) -> Float[np.ndarray, "acquisition k z y x"] | None:
        """Compute values to start from for each acquisition; None where one has none."""
        guesses = [self.parts[number].initial_guess(own) for number, own in self.groups(views)]
        return None if any(guess is None for guess in guesses) else np.stack(guesses)  # type: ignore[arg-type]

    def batch(self, views: np.ndarray, *, withheld: bool = False) -> Batch:
        """Gather the measurement of some views, acquisition after acquisition."""
        parts = []
        for number, own in self.groups(views):
            part = self.parts[number].batch(own, withheld=withheld)
            for name, template in self._templates.items():
                if name not in part:  # A mask, or a mark of bright fields, that another acquisition has.
                    part[name] = np.ones((len(own), *np.shape(template)[1:]), np.asarray(template).dtype)
            part[ACQUISITION] = np.full(len(own), number, np.int32)
            part[SMOOTHNESS] = np.full(len(own), self.smoothness, np.float32)
            part[SPATIAL] = np.full(len(own), self.spatial, np.float32)
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        joined: Batch = jax.tree.map(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *parts)
        return joined

    @cached_property
    def _templates(self) -> dict[str, Any]:
        """One view of every entry of a batch that any acquisition has."""
        entries: dict[str, Any] = {}
        for part in self.parts:
            entries = part.batch(np.zeros(1, int)) | entries
        return entries

    @cached_property
    def loss_function(self) -> SeriesLossFunction:
        """Loss of the views of one acquisition."""
        return SeriesLossFunction(tuple(getattr(part, "loss_function", part) for part in self.parts))

    @property
    def is_shareable(self) -> bool:
        """Whether the loss functions hold no measured numbers."""
        return all(hasattr(part, "loss_function") for part in self.parts)

    def losses(
        self, values: Float[Array, "acquisition k z y x"], nuisance: Nuisance, batch: Batch
    ) -> Float[Array, " view"]:
        """Compute the loss of each view of one acquisition."""
        return self.loss_function.losses(values, nuisance, batch)

    def metric(self, losses: Float[np.ndarray, " view"]) -> float:
        """Compute the metric of views of any acquisitions."""
        return self.parts[0].metric(losses)

    def model(
        self, architecture: Mapping[str, Any], weights: Sequence[Weights], provenance: Mapping[str, Any]
    ) -> ModelSeries:
        """Make the continuous model of the series."""
        (stacked,), spatial = weights, {name: value for name, value in architecture.items() if name != SERIES}
        varying, motion = architecture[SERIES]["varying"], stacked.get(MOTION)
        models = []
        for number, part in enumerate(self.parts):
            own = {name: array[number] if name in varying else array for name, array in stacked.items()}
            own.pop(MOTION, None)
            models.append(part.model(spatial, [own], provenance))
        return ModelSeries.join(models, self.axis, varying, None if motion is None else motion_of(motion))

    def write(
        self,
        folder: Path,
        model: ModelSeries,
        values: Float[np.ndarray, "acquisition k z y x"],
        nuisance: Nuisance,
        provenance: Mapping[str, Any],
    ) -> dict[str, float]:
        """Write the result of each acquisition, as of a run of its own, into ``series/NAME``.

        Returns:
            Numbers of each acquisition; their names begin with `PREFIX` and its number.
        """
        numbers: dict[str, float] = {"acquisitions": float(len(self.parts))}
        for number, (part, own) in enumerate(zip(self.parts, model.at_acquisitions(), strict=True)):
            place = folder / SERIES_FOLDER / self.names[number]
            place.mkdir(parents=True, exist_ok=True)
            write_model(own, place / MODEL_FILE)
            corrections = self.nuisance_of(nuisance, number)
            each = self._residuals(part, self._splits[number], values[number], corrections)
            each |= part.write(place, own, values[number], corrections, provenance)
            numbers |= {f"{PREFIX}{number}/{name}": value for name, value in each.items()}
        return numbers

    def _residuals(self, part: Likelihood, split: Split, values: np.ndarray, nuisance: Nuisance) -> dict[str, float]:
        """Compute the metrics of one acquisition."""
        function = getattr(part, "loss_function", None)
        losses = part.losses if function is None else shared_losses(function)
        numbers = {"views": float(part.views)}
        for name, views, withheld in (
            (part.metric_names.fitted, split.fitted, False),
            (part.metric_names.withheld, split.withheld, True),
        ):
            if len(views):

                def compute(some: np.ndarray, withheld: bool = withheld) -> Array:
                    return losses(jnp.asarray(values), nuisance, part.batch(some, withheld=withheld))

                numbers[name] = part.metric(map_batches(compute, views, self.batch_size))
        return numbers
