"""Physics of a cell's views: from index contrast on the fit's grid to the images of each view, and their loss.

Everything measured comes with the batch, so that one compiled program serves all scans of one shape, light and config.
"""

from dataclasses import dataclass
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from ....physics.optics.born import BornModel
from ....physics.optics.illumination import PlaneWaves
from ....physics.optics.image_formation import ImageFormation
from ....physics.optics.rotation import rotate
from ...optimize.likelihood import Batch, Nuisance
from ...optimize.losses import amplitude_loss, best_gain, field_loss, poisson_loss
from .corrections import aberrations_of, corrected_light
from .geometry import Geometry
from .imaging import padding_widths


@dataclass(frozen=True)
class ViewModel:
    """Physics of a cell's views, a hashable constant of compiled programs.

    Args:
        geometry: Lattices of specimen, wave and image.
        formation: Image formation; its scattering may be ``linear``.
        statistics: Loss: ``field``, ``amplitude`` or ``poisson``.
        fits_gain: Whether the brightness of each view is fitted.
        absorbs: Whether the imaginary index is modelled.
        axes: Axes of the rotations that make up each view's orientation; empty for a specimen at rest.
    """

    geometry: Geometry
    formation: ImageFormation
    statistics: str
    fits_gain: bool
    absorbs: bool
    axes: tuple[int, ...] = ()

    @property
    def born_model(self) -> BornModel:
        """Linear theory of the same microscope."""
        return BornModel(self.geometry.padded, self.formation.numerical_aperture, self.absorbs)

    @partial(jax.jit, static_argnums=0)
    def predict(
        self, values: Float[Array, "k z y x"], nuisance: Nuisance, batch: Batch
    ) -> tuple[Num[Array, "view h w"], Num[Array, " view"]]:
        """Predict the images, or fields, at the brightness of the measured ones, which is 1 where it is not fitted."""
        modelled = self._modelled(values, nuisance, batch)
        gain = cast(Array, self.gains_of(modelled, batch))
        return modelled * gain[:, None, None], gain

    @partial(jax.jit, static_argnums=0)
    def losses(self, values: Float[Array, "k z y x"], nuisance: Nuisance, batch: Batch) -> Float[Array, " view"]:
        """Loss of each view, relative to the mean loss of an empty box."""
        return cast(Array, self.losses_of(self._modelled(values, nuisance, batch), batch))

    @partial(jax.jit, static_argnums=0)
    def modelled(self, values: Float[Array, "k z y x"], nuisance: Nuisance, batch: Batch) -> Num[Array, "view h w"]:
        """Model the images, or fields, at the brightness of an empty field of 1."""
        return self._modelled(values, nuisance, batch)

    @partial(jax.jit, static_argnums=0)
    def gains_of(self, modelled: Num[Array, "view h w"], batch: Batch) -> Num[Array, " view"]:
        """Compute the fitted brightness of modelled views; 1 where it is not fitted."""
        gain = self._gain(modelled, batch)
        return jnp.ones(len(batch["view"])) if gain is None else gain

    @partial(jax.jit, static_argnums=0)
    def losses_of(self, modelled: Num[Array, "view h w"], batch: Batch) -> Float[Array, " view"]:
        """Loss of modelled views at their fitted brightness, relative to the mean loss of an empty box."""
        by_name = {"field": field_loss, "poisson": poisson_loss, "amplitude": amplitude_loss}
        measured, weights, gain = self._measured(batch), self._weights(batch), self._gain(modelled, batch)
        return by_name[self.statistics](modelled, measured, weights, gain) / jnp.asarray(batch["empty_loss"])

    @partial(jax.jit, static_argnums=0)
    def born_inverse(
        self, images: Float[Array, "view y x"], light: PlaneWaves, strength: Float[Array, ""]
    ) -> Float[Array, "k z y x"]:
        """Invert images on the padded lattice by linear theory; see `BornModel.inverse`."""
        return self.born_model.inverse(images, light, strength)

    @staticmethod
    def _measured(batch: Batch) -> Num[Array, "view h w"]:
        return jnp.asarray(batch["measured"])

    @staticmethod
    def _weights(batch: Batch) -> Float[Array, "view h w"] | None:
        """Weights of the pixels; None where all are good."""
        return jnp.asarray(batch["weights"]) if "weights" in batch else None

    def _gain(self, modelled: Num[Array, "view h w"], batch: Batch) -> Num[Array, " view"] | None:
        """Compute the gain that brings each view nearest to the measured one; None where it is not fitted."""
        if not self.fits_gain:
            return None
        gain = best_gain(modelled, self._measured(batch), self._weights(batch), self.statistics)
        if "bright" in batch:
            # A dark field is as bright as its light and its specimen are strong: a gain of its own would hide both.
            gain = jnp.where(jnp.asarray(batch["bright"]), gain, jnp.asarray(batch["dark_field_gain"]))
        return gain

    def _modelled(self, values: Float[Array, "k z y x"], nuisance: Nuisance, batch: Batch) -> Num[Array, "view h w"]:
        axes = self.axes
        light = corrected_light(batch["light"], nuisance, batch["view"], self.geometry.lattice.medium_index)
        # Those of a batch are known beforehand, and the same for all its views.
        aberrations = jnp.asarray(batch["aberrations"])[0] if "aberrations" in batch else aberrations_of(nuisance)
        if not axes:
            return self._imaged(values, light, aberrations)

        def image_rotated(view: tuple[Array, PlaneWaves]) -> Num[Array, "h w"]:
            angles, waves = view
            light = PlaneWaves(*(array[None] for array in waves))
            return self._imaged(rotate(values, axes, angles), light, aberrations)[0]

        # One view after the other: a switch over quarter turns then takes one branch, and under vmap it would take all.
        return cast(Array, jax.lax.map(image_rotated, (jnp.asarray(batch["angles"]), light)))

    def _imaged(
        self, values: Float[Array, "k z y x"], light: PlaneWaves, aberrations: Float[Array, " j"]
    ) -> Num[Array, "view h w"]:
        """Images of a specimen at rest, one for each view's light."""
        lattice, padded, formation = self.geometry.lattice, self.geometry.padded, self.formation
        specimen = jnp.pad(values, [(0, 0), (0, 0), *padding_widths(lattice.shape[1:], padded.shape[1:])])
        if self.formation.scattering == "linear":
            return formation.bin_to_pixels(jnp.maximum(self.born_model.images(specimen, light), 0))
        if self.statistics == "field":
            return formation.bin_to_pixels(formation.fields(specimen, light, aberrations)[:, 0])
        return formation.images(specimen, light, aberrations)
