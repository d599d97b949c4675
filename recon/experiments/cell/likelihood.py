"""A cell's measurement as the fit sees it: images or complex fields under many lights, and the light's way to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from ....physics.optics.born import BornModel
from ....physics.optics.illumination import PlaneWaves
from ....physics.optics.image_formation import ImageFormation
from ....physics.optics.microscope import Illumination, Microscope
from ....physics.optics.rotation import rotate, shear_angles
from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from ...fields.base import FieldGrid
from ...frame import ModelFrame
from ...model import Model, ModelQuantity
from ...optimize.likelihood import Batch, MetricNames, Nuisance, Split, Weights
from ...optimize.losses import amplitude_loss, best_gain, field_loss, poisson_loss
from ...optimize.minibatches import withheld_views
from ...runs.context import RunContext
from .config import CellSettings
from .forward import margins
from .geometry import KEPT_BYTES, Geometry, geometry_of, largest_na
from .illumination import illumination_of, microscope_of
from .initial_guess import linear_start
from .output import write_result
from .preprocess import normalised
from .schema import QUANTITIES

SOURCE_SHIFT = 0.01
"""Expected error of a source's numerical aperture: the unit of its correction."""
FOCUS_SHIFT = 1.0
"""Expected error of the focal plane, in wavelengths of the medium."""


def likelihood(settings: CellSettings, acquisition: Acquisition, _work: RunContext | None = None) -> "CellLikelihood":
    """Make the fit's view of an acquisition; it begins in closed form, and needs no place to work on that.

    Raises:
        ConfigError: If the physics that the config names does not hold for what was measured.
    """
    if faults := _unsuited(settings, acquisition):
        raise ConfigError(*faults)
    ready = normalised(acquisition, settings.acquisition.normalise)
    return CellLikelihood(settings, ready, geometry_of(settings, ready))


def _unsuited(settings: CellSettings, acquisition: Acquisition) -> list[Diagnostic]:
    """What the physics cannot do with this measurement."""
    faults = []
    linear = settings.physics.model == "linear"
    for name, what in (("field", "complex fields"), ("rotation", "a turning specimen")):
        if linear and name in acquisition:
            faults.append(Diagnostic("physics.model", f"linear knows no {what}", "multislice or ssnp"))
    if "field" in acquisition and "pattern" in acquisition:
        message = "a complex field under several sources at once is no one wave's"
        faults.append(Diagnostic("acquisition.field", message, "give the intensities as acquisition.images"))
    return faults


@dataclass(frozen=True, eq=False)
class CellLikelihood:
    """A cell's measurement.

    Args:
        settings: The config.
        acquisition: The measurement, read and checked.
        geometry: The lattice.
    """

    settings: CellSettings
    acquisition: Acquisition
    geometry: Geometry

    @cached_property
    def microscope(self) -> Microscope:
        """The instrument."""
        return microscope_of(self.acquisition)

    @cached_property
    def illumination(self) -> Illumination:
        """The light of each view."""
        return illumination_of(self.acquisition)

    @cached_property
    def measured(self) -> Num[np.ndarray, "view h w"]:
        """Normalised images, or fields divided by their incident wave, cut to what the box covers."""
        if self.is_field:
            return self._cut(_demodulated(self.acquisition["field"], self.illumination, self.microscope))
        images: np.ndarray = np.maximum(self._cut(self.acquisition["images"]), 0).astype(np.float32)
        return images

    @cached_property
    def weights(self) -> Float[np.ndarray, "view h w"] | None:
        """1 for good pixels and 0 for bad ones, or None where all are good."""
        if "mask" not in self.acquisition or not np.any(self.acquisition["mask"]):
            return None
        mask = np.broadcast_to(self.acquisition["mask"], self._uncut.shape)
        return self._cut(mask == 0).astype(np.float32)

    @property
    def is_field(self) -> bool:
        """Whether the instrument gave complex fields."""
        return "field" in self.acquisition

    @property
    def grid(self) -> FieldGrid:
        """The lattice of the specimen."""
        return FieldGrid(self.geometry.lattice.shape, self.geometry.lattice.pitch, self.geometry.resolution)

    @property
    def frame(self) -> ModelFrame:
        """The box: from the outer face of the first sample to that of the last."""
        lattice = self.geometry.lattice
        low = tuple(float(a[0] - d / 2) for a, d in zip(lattice.axes, lattice.pitch, strict=True))
        high = tuple(float(a[-1] + d / 2) for a, d in zip(lattice.axes, lattice.pitch, strict=True))
        facts = {
            "medium_index": self.microscope.medium_index,
            "wavelength": self.microscope.wavelength,
            "numerical_aperture": self.microscope.numerical_aperture,
            "pixel_size_y": self.microscope.pixel_size[0],
            "pixel_size_x": self.microscope.pixel_size[1],
        }
        if "rotation" not in self.acquisition:  # what a turning specimen does not show is no cone
            facts["illumination_na"] = largest_na(self.acquisition)
        return ModelFrame((low[0], low[1], low[2]), (high[0], high[1], high[2]), lattice.pitch, facts)

    @cached_property
    def contrast_scale(self) -> float:
        """Index contrast that bends light by about a radian over the box; the unit of the field's outputs.

        Within a factor of a few of what specimens have; the optimiser needs no more.
        """
        radian = self.microscope.wavelength / (2 * np.pi * self.geometry.lattice.thickness)
        return float(np.clip(radian, 1e-3, 0.05))

    @property
    def scales(self) -> tuple[float, ...]:
        """Value of an output of 1."""
        return tuple(quantity.scale for quantity in self.quantities)

    @property
    def sign(self) -> str:
        """Sign of the specimen relative to the medium."""
        return self.settings.fit.sign

    @property
    def batch_size(self) -> int:
        """Views in a step."""
        return self.settings.fit.batch

    @property
    def metric_names(self) -> MetricNames:
        """Residuals."""
        return MetricNames("residual_fitted", "residual_withheld", "residual_withheld_linear")

    @property
    def quantities(self) -> tuple[ModelQuantity, ...]:
        """Refractive index, and absorption where it is fitted."""
        index, absorption = QUANTITIES
        scale = self.contrast_scale
        found = [ModelQuantity(index.name, index.unit, index.meaning, self.microscope.medium_index, scale)]
        if self.settings.physics.absorption:
            found.append(ModelQuantity(absorption.name, absorption.unit, absorption.meaning, 0.0, scale))
        return tuple(found)

    @property
    def views(self) -> int:
        """Number of views."""
        return self.illumination.views

    @property
    def nuisance_parameters(self) -> dict[str, np.ndarray]:
        """Corrections of sources, focus and pupil that the config asks for."""
        refine = self.settings.fit.refine
        found: dict[str, np.ndarray] = {}
        if refine.sources:
            found["sources"] = np.zeros(self.illumination.na.shape, np.float32)
        if refine.defocus:
            found["defocus"] = np.zeros((), np.float32)
        if refine.zernike:
            found["zernike"] = np.zeros(refine.zernike, np.float32)
        return found

    def split(self) -> Split:
        """Some views are withheld, spread over the acquisition."""
        withheld = withheld_views(self.views, self.settings.fit.withheld, self.settings.seed)
        return Split(np.setdiff1d(np.arange(self.views), withheld), withheld)

    def initial_guess(self, views: np.ndarray) -> Float[np.ndarray, "k z y x"] | None:
        """The linear inverse of the images, where it is wanted; none for turning specimens and for fields."""
        if self.settings.fit.start != "linear" or self.is_field or "rotation" in self.acquisition:
            return None
        return linear_start(self, views)

    def batch(self, views: np.ndarray, *, withheld: bool = False) -> Batch:
        """What was measured in some views; those that judge are others, and measured alike."""
        found: Batch = {
            "view": views.astype(np.int32),
            "measured": self.measured[views],
            "light": PlaneWaves.from_illumination(self.illumination, self.geometry.lattice, views),
            "angles": self._turns[1][views].astype(np.float32),
        }
        if self.weights is not None:
            found["weights"] = self.weights[views]
        return found

    def losses(self, values: Float[Array, "k z y x"], nuisance: Nuisance, batch: Batch) -> Float[Array, " view"]:
        """Relative misfit of each view."""
        modelled, measured = self._modelled(values, nuisance, batch), jnp.asarray(batch["measured"])
        weights = jnp.asarray(batch["weights"]) if "weights" in batch else None
        gain = best_gain(modelled, measured, weights, self._statistics) if self.settings.fit.refine.gain else None
        if self.is_field:
            return field_loss(modelled, measured, weights, gain) / self._energy
        measure = poisson_loss if self.settings.fit.loss == "poisson" else amplitude_loss
        return measure(modelled, measured, weights, gain) / self._energy

    def metric(self, losses: Float[np.ndarray, " view"]) -> float:
        """Residual: root of the mean misfit; that of an empty box is 1."""
        return float(np.sqrt(np.mean(losses)))

    def model(self, architecture: Mapping[str, Any], weights: list[Weights], provenance: Mapping[str, Any]) -> Model:
        """The refractive index as a function of space."""
        return Model.ensemble(architecture, weights, self.frame, self.quantities, "cell", provenance)

    def write(
        self,
        folder: Path,
        model: Model,
        values: Float[np.ndarray, "k z y x"],
        nuisance: Nuisance,
        facts: Mapping[str, Any],
    ) -> dict[str, float]:
        """Write the volume, and some views as measured and as predicted."""
        return write_result(self, folder, model, values, nuisance)

    def predict(self, values: Float[Array, "k z y x"], nuisance: Nuisance, batch: Batch) -> Num[Array, "view h w"]:
        """Images, or fields, as they should have been measured."""
        modelled, measured = self._modelled(values, nuisance, batch), jnp.asarray(batch["measured"])
        if not self.settings.fit.refine.gain:
            return modelled
        weights = jnp.asarray(batch["weights"]) if "weights" in batch else None
        return modelled * best_gain(modelled, measured, weights, self._statistics)[:, None, None]

    @property
    def _statistics(self) -> str:
        return "field" if self.is_field else self.settings.fit.loss

    @cached_property
    def _energy(self) -> float:
        """Misfit of an empty box, averaged over the views: the unit of every misfit."""
        ones = np.ones_like(self.measured[:1])
        difference = np.abs(self.measured - ones) if self.is_field else np.sqrt(self.measured) - ones
        weights = 1.0 if self.weights is None else self.weights
        return float(max(np.mean(weights * difference**2), 1e-12))

    @cached_property
    def _turns(self) -> tuple[tuple[int, ...], Float[np.ndarray, "view rotate"]]:
        if "rotation" not in self.acquisition:
            return (), np.zeros((self.views, 0))
        return shear_angles(self.acquisition["rotation"])

    @cached_property
    def _camera(self) -> ImageFormation:
        march, padded = self.settings.physics.model, self.geometry.padded
        fixed = not self.settings.fit.refine.sources
        waves = self.settings.fit.batch * self.illumination.weights.shape[1]
        kept = 8 * waves * float(np.prod(padded.shape))
        block = padded.shape[0] if fixed and kept <= KEPT_BYTES else None
        sharp = self.settings.physics.sharp_rim
        return ImageFormation(
            padded, self.microscope.numerical_aperture, march, self.geometry.image, block, fixed, sharp
        )

    @cached_property
    def weak_camera(self) -> BornModel:
        """Linear theory of the same microscope."""
        return BornModel(self.geometry.padded, self.microscope.numerical_aperture, self.settings.physics.absorption)

    def _modelled(self, values: Float[Array, "k z y x"], nuisance: Nuisance, batch: Batch) -> Num[Array, "view h w"]:
        axes, light = self._turns[0], self._corrected(batch["light"], nuisance, batch["view"])
        aberrations = nuisance.get("zernike", jnp.zeros(0, values.dtype))
        if not axes:
            return self._seen(values, light, aberrations)

        def one(view: tuple[Array, PlaneWaves]) -> Num[Array, "h w"]:
            angles, own = view
            return self._seen(rotate(values, axes, angles), PlaneWaves(*(array[None] for array in own)), aberrations)[0]

        # One view after the other: a switch over quarter turns then takes one branch, and under vmap it would take all.
        return cast(Array, jax.lax.map(one, (jnp.asarray(batch["angles"]), light)))

    def _corrected(self, light: PlaneWaves, nuisance: Nuisance, views: Int[Array | np.ndarray, " view"]) -> PlaneWaves:
        """The light as the fit believes it to be."""
        if "sources" in nuisance:
            shift = SOURCE_SHIFT / self.microscope.medium_index * nuisance["sources"][views]
            light = light._replace(tilts=light.tilts + shift)
        if "defocus" in nuisance:
            light = light._replace(defocus=light.defocus + FOCUS_SHIFT * nuisance["defocus"])
        return light

    def _seen(
        self, values: Float[Array, "k z y x"], light: PlaneWaves, aberrations: Float[Array, " j"]
    ) -> Num[Array, "view h w"]:
        """What the camera has of a specimen that stays, in each view's light."""
        lattice, padded, camera = self.geometry.lattice, self.geometry.padded, self._camera
        specimen = jnp.pad(values, [(0, 0), (0, 0), *margins(lattice.shape[1:], padded.shape[1:])])
        if self.settings.physics.model == "linear":
            return camera.bin_to_pixels(jnp.maximum(self.weak_camera.images(specimen, light), 0))
        if self.is_field:
            return camera.bin_to_pixels(camera.fields(specimen, light, aberrations)[:, 0])
        return camera.images(specimen, light, aberrations)

    @property
    def _uncut(self) -> Num[np.ndarray, "view h w"]:
        return self.acquisition["field"] if self.is_field else self.acquisition["images"]

    def _cut(self, images: Num[np.ndarray, "view h w"]) -> Num[np.ndarray, "view h w"]:
        """Keep the pixels around the optical axis that the box covers."""
        (top, _), (left, _) = margins(self.geometry.image, images.shape[1:])
        height, width = self.geometry.image
        return images[:, top : top + height, left : left + width]


def _demodulated(
    field: Num[np.ndarray, "view h w"], light: Illumination, microscope: Microscope
) -> Num[np.ndarray, "view h w"]:
    """Divide complex fields by their incident plane wave exp(2πi na·r/λ)."""
    if not np.any(light.na):
        return field.astype(np.complex64)
    axes = ((np.arange(n) - n // 2) * d for n, d in zip(field.shape[1:], microscope.pixel_size, strict=True))
    y, x = np.meshgrid(*axes, indexing="ij")
    na = light.na[:, 0, :, None, None]
    carrier = np.exp(2j * np.pi / microscope.wavelength * (na[:, 0] * y + na[:, 1] * x))
    divided: np.ndarray = (field * carrier.conj()).astype(np.complex64)
    return divided
