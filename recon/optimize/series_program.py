"""Program of the fit of a series: every step takes some views of each acquisition, and prefers neighbours that agree.

The change from one acquisition to the next, with the motion of the specimen as a whole left out, is penalised by its
total variation: it is likely 0 in most of the box, and may be large where something happens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from ..fields.base import grid_axes
from ..fields.series import SeriesField
from .likelihood import Batch, LossFunction, Nuisance
from .program import LOSS_LIMIT, ROUNDING, FitProgram, sharded_losses, tikhonov, total_variation
from .spectral_prior import SpectralPrior

ACQUISITION, SMOOTHNESS, SPATIAL = "acquisition", "smoothness", "spatial"
"""Entries of a batch: number of the acquisition of each view; strength of the prior, and factor of those in space.

They are no constants of the program, which all trials share.
"""
_OWN = (ACQUISITION, SMOOTHNESS, SPATIAL)


@dataclass(frozen=True)
class SeriesLossFunction:
    """Loss of views of a series, all of one acquisition in a batch.

    Args:
        parts: Loss function of each acquisition.
    """

    parts: tuple[LossFunction, ...]

    @property
    def are_equal(self) -> bool:
        """Whether all acquisitions have the same."""
        return all(part == self.parts[0] for part in self.parts)

    def losses(
        self, values: Float[Array, "acquisition k z y x"], nuisance: Nuisance, batch: Batch
    ) -> Float[Array, " view"]:
        """Compute the loss of each view of one acquisition."""
        number = batch[ACQUISITION][0]
        arguments = (values[number], at_number(nuisance, number), without_own(batch))
        if self.are_equal:
            return self.parts[0].losses(*arguments)
        losses: Array = lax.switch(number, [partial(_losses, part) for part in self.parts], *arguments)
        return losses


def _losses(part: LossFunction, values: Array, nuisance: Nuisance, batch: Batch) -> Array:
    losses: Array = part.losses(values, nuisance, batch)
    return losses


def at_number(nuisance: Mapping[str, Array], number: int | Int[Array, ""]) -> dict[str, Array]:
    """Select the corrections of one acquisition's instrument."""
    return {name: array[number] for name, array in nuisance.items()}


def without_own(batch: Batch) -> Batch:
    """Leave out of a batch what only the series needs."""
    return {name: value for name, value in batch.items() if name not in _OWN}


@dataclass(frozen=True)
class SeriesProgram(FitProgram):
    """Loss of the fields of a series; see `FitProgram`."""

    @property
    def series(self) -> SeriesField:
        """Fields of all acquisitions."""
        if not isinstance(self.field, SeriesField):
            raise TypeError(f"{self.field} is no field of a series")
        return self.field

    def values(self, parameters: dict[str, Array]) -> Float[Array, "acquisition k z y x"]:
        """Evaluate the physical values of all acquisitions on the grid."""
        raw = self.series.all_on_grid(parameters, grid_axes(self.grid.shape))
        return raw * self.scale[None]

    def loss(
        self,
        trained: tuple[dict[str, Array], dict[str, Array]],
        batch: Batch,
        expected: SpectralPrior | None = None,
    ) -> Float[Array, ""]:
        """Compute the mean loss of some views of each acquisition plus the priors; nothing is expected of a series."""
        count, strength, factor = self.series.count, batch[SMOOTHNESS][0], batch[SPATIAL][0]
        views = jax.tree.map(lambda leaf: leaf.reshape(count, len(leaf) // count, *leaf.shape[1:]), without_own(batch))
        before = jnp.zeros((len(self.scales), *self.grid.shape), jnp.float32)
        if self._functions.are_equal:
            numbers = jnp.arange(count, dtype=jnp.int32)
            step = partial(self._acquisition, trained, self._functions.parts[0])
            _, terms = lax.scan(step, before, (numbers, views))
        else:
            each = []
            for number, part in enumerate(self._functions.parts):
                own = jax.tree.map(lambda leaf, number=number: leaf[number], views)
                before, terms = self._acquisition(trained, part, before, (jnp.int32(number), own))
                each.append(terms)
            terms = jnp.stack(each)
        data_loss, prior, change = jnp.mean(terms, axis=0)
        # As in FitProgram.loss. Of n acquisitions, n - 1 have one before.
        total = factor * prior + strength * change * count / (count - 1)
        loss: Array = data_loss + jnp.minimum(jax.lax.stop_gradient(data_loss), LOSS_LIMIT) * total
        return loss

    @property
    def _functions(self) -> SeriesLossFunction:
        if not isinstance(self.loss_function, SeriesLossFunction):
            raise TypeError(f"{self.loss_function} is no loss of a series")
        return self.loss_function

    @partial(jax.checkpoint, static_argnums=(0, 2))
    def _acquisition(
        self,
        trained: tuple[dict[str, Array], dict[str, Array]],
        function: LossFunction,
        before: Float[Array, "k z y x"],
        item: tuple[Int[Array, ""], Any],
    ) -> tuple[Float[Array, "k z y x"], Float[Array, " 3"]]:
        """Compute the terms of one acquisition: mean loss, spatial priors, change from the one before.

        Returns:
            Its raw outputs at rest, and the three terms.
        """
        (parameters, nuisance), (number, views), axes = trained, item, grid_axes(self.grid.shape)
        raw = self.series.at_rest(parameters, number, axes)
        seen = self.series.on_grid(parameters, number, axes) if self.series.moves else raw
        own = at_number(nuisance, number)
        losses = sharded_losses(function, seen * self.scale, own, views, across_processes=True)
        prior = jnp.zeros_like(losses[0])
        if self.tv:
            prior = prior + self.tv * total_variation(raw, self.grid, self.tv_axial)
        if self.tikhonov:
            prior = prior + self.tikhonov * tikhonov(raw)
        change = jnp.mean(jnp.sqrt((raw - before) ** 2 + ROUNDING**2) - ROUNDING)
        change = jnp.where(number > 0, change, 0.0)
        return raw, jnp.stack([jnp.mean(losses), prior, change])
