"""Forward model of a cell's measurement: from index contrast on the fit's grid to the images of each view."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from ....physics.optics.illumination import PlaneWaves
from ....physics.optics.image_formation import ImageFormation
from ....physics.optics.microscope import Illumination, Microscope
from ....physics.optics.rotation import shear_angles
from ...acquisition import Acquisition
from ...fields.base import FieldGrid
from ...optimize.likelihood import Batch, Nuisance
from ...optimize.minibatches import map_batches
from ...optimize.program import shared_losses
from .config import CellSettings
from .corrections import no_corrections
from .geometry import STORED_WAVE_BYTES, Geometry, views_in_step
from .illumination import illumination_of, incident_wave, microscope_of
from .imaging import padding_widths
from .preprocess import brightness_of, complete_dark_fields, estimate_background_levels
from .view_model import ViewModel

Values: TypeAlias = Float[Array | np.ndarray, "k z y x"]
"""Index contrast on the fit's grid."""


@dataclass(frozen=True, eq=False)
class CellForwardModel:
    """Measured views of a cell, and the physics that predicts them.

    Args:
        settings: The config.
        acquisition: The measurement, read, checked and normalised.
        geometry: Lattices of specimen, wave and image.
        levels: Brightness of each view that the measurement was divided by; None for complex fields.
    """

    settings: CellSettings
    acquisition: Acquisition
    geometry: Geometry
    levels: Float[np.ndarray, " view"] | None = None

    @cached_property
    def microscope(self) -> Microscope:
        """The instrument."""
        return microscope_of(self.acquisition)

    @cached_property
    def illumination(self) -> Illumination:
        """The light of each view."""
        return illumination_of(self.acquisition)

    @property
    def is_field(self) -> bool:
        """Whether the instrument gave complex fields."""
        return "field" in self.acquisition

    @cached_property
    def measured(self) -> Num[np.ndarray, "view h w"]:
        """Normalised images, or fields divided by their incident wave, cropped to the box."""
        if self.is_field:
            fields = self.acquisition["field"] * incident_wave(self.acquisition).conj()
            return self._crop(fields.astype(np.complex64))
        images: np.ndarray = np.maximum(self._crop(self.acquisition["images"]), 0).astype(np.float32)
        return images

    @cached_property
    def weights(self) -> Float[np.ndarray, "view h w"] | None:
        """1 for good pixels and 0 for bad ones, or None where all are good."""
        if "mask" not in self.acquisition or not np.any(self.acquisition["mask"]):
            return None
        images = self.acquisition["field" if self.is_field else "images"]
        mask = np.broadcast_to(self.acquisition["mask"], images.shape)
        return self._crop((mask == 0).astype(np.float32))

    @cached_property
    def is_bright(self) -> Bool[np.ndarray, " view"]:
        """Whether the light of a view comes through the pupil; else it is a dark field."""
        return self.illumination.transmitted(self.microscope.numerical_aperture) > 0

    @cached_property
    def dark_field_gain(self) -> float:
        """Brightness of a dark field's light in the measurement, which the bright fields show; 1 once normalised."""
        if self.is_field or self.is_bright.all() or not self.is_bright.any():
            return 1.0
        levels = complete_dark_fields(estimate_background_levels(self.acquisition), self.acquisition)
        totals = brightness_of(self.acquisition)[1]
        return float(np.median(levels[~self.is_bright, 0, 0] / totals[~self.is_bright]))

    @property
    def views(self) -> int:
        """Number of views."""
        return self.illumination.views

    @property
    def grid(self) -> FieldGrid:
        """The lattice of the specimen."""
        return FieldGrid(self.geometry.lattice.shape, self.geometry.lattice.pitch, self.geometry.resolution)

    @property
    def nuisance_parameters(self) -> dict[str, np.ndarray]:
        """Corrections of sources, focus and pupil that the config asks for, all zero."""
        return no_corrections(self.settings.fit.refine, self.illumination)

    @property
    def absorbs(self) -> bool:
        """Whether the imaginary index is modelled; where the config leaves it open, it is not."""
        return self.settings.physics.absorption is True

    @property
    def batch_size(self) -> int:
        """Views in a step."""
        return views_in_step(self.settings, self.acquisition)

    def batch(self, views: np.ndarray, *, withheld: bool = False) -> Batch:
        """Gather images and conditions of some views; withheld views are measured like all others."""
        batch: Batch = {
            "view": views.astype(np.int32),
            "measured": self.measured[views],
            "light": PlaneWaves.from_illumination(self.illumination, self.geometry.lattice, views),
            "angles": self._rotations[1][views].astype(np.float32),
            # An argument, and no constant of the program: it then serves, from the cache, all scans of one shape.
            "empty_loss": np.full(len(views), self.empty_loss, np.float32),
        }
        if not self.is_bright.all():
            batch["bright"] = self.is_bright[views]
            batch["dark_field_gain"] = np.full(len(views), self.dark_field_gain, np.float32)
        if self.weights is not None:
            batch["weights"] = self.weights[views]
        return batch

    @cached_property
    def loss_function(self) -> ViewModel:
        """Physics of the views, without anything that was measured."""
        statistics = "field" if self.is_field else self.settings.fit.loss
        has_gain = self.settings.fit.refine.gain
        return ViewModel(self.geometry, self._image_formation, statistics, has_gain, self.absorbs, self._rotations[0])

    def predict(self, values: Values, nuisance: Nuisance, batch: Batch) -> Num[Array, "view h w"]:
        """Predict the images, or fields, at the brightness of the measured ones."""
        return self.predict_with_gains(values, nuisance, batch)[0]

    def predict_with_gains(
        self, values: Values, nuisance: Nuisance, batch: Batch
    ) -> tuple[Num[Array, "view h w"], Num[Array, " view"]]:
        """Predict the images, or fields, at the brightness of the measured ones, which is 1 where it is not fitted."""
        images, gains = self.loss_function.predict(values, nuisance, batch)
        return images, gains

    def losses(self, values: Values, nuisance: Nuisance, batch: Batch) -> Float[Array, " view"]:
        """Loss of each view, relative to the mean loss of an empty box."""
        return shared_losses(self.loss_function)(values, nuisance, batch)

    def losses_of(
        self, values: Values, nuisance: Nuisance, views: Int[np.ndarray, " view"], *, withheld: bool = False
    ) -> Float[np.ndarray, " view"]:
        """Loss of each of some views, by the program that the steps of the fit are validated with."""

        def losses_of_batch(batch: Int[np.ndarray, " batch"]) -> Float[Array, " batch"]:
            return self.losses(values, nuisance, self.batch(batch, withheld=withheld))

        return map_batches(losses_of_batch, views, min(self.batch_size, self.views))

    @cached_property
    def empty_loss(self) -> float:
        """Loss of an empty box, averaged over the good pixels of all views: the unit of every loss."""
        empty = (self.is_bright | self.is_field).astype(np.float32)[:, None, None]
        squares = (np.abs(self.measured - empty) if self.is_field else np.sqrt(self.measured) - empty) ** 2
        if self.weights is None:
            return float(max(np.mean(squares), 1e-12))
        good = float(np.sum(self.weights, dtype=np.float64))
        return float(max(np.sum(self.weights * squares, dtype=np.float64) / max(good, 1.0), 1e-12))

    @cached_property
    def _rotations(self) -> tuple[tuple[int, ...], Float[np.ndarray, "view rotate"]]:
        """Axes of the rotations that make up each view's orientation, and their angles [rad]."""
        if "rotation" not in self.acquisition:
            return (), np.zeros((self.views, 0))
        return shear_angles(self.acquisition["rotation"])

    @cached_property
    def _image_formation(self) -> ImageFormation:
        padded, physics = self.geometry.padded, self.settings.physics
        fixed_light = not self.settings.fit.refine.sources
        waves = self.batch_size * self.illumination.weights.shape[1]
        stored = 8 * waves * float(np.prod(padded.shape))
        block = padded.shape[0] if fixed_light and stored <= STORED_WAVE_BYTES else None
        aperture = self.microscope.numerical_aperture
        return ImageFormation(
            padded, aperture, physics.model, self.geometry.image, block, fixed_light, physics.sharp_rim
        )

    def _crop(self, images: Num[np.ndarray, "view h w"]) -> Num[np.ndarray, "view H W"]:
        """Pixels around the optical axis that the box covers."""
        (top, _), (left, _) = padding_widths(self.geometry.image, images.shape[1:])
        height, width = self.geometry.image
        return images[:, top : top + height, left : left + width]
