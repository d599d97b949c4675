"""Likelihood of a cell: the fit's view of images or complex fields under many lights."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from ...frame import ModelFrame
from ...model import Model, ModelQuantity
from ...optimize.likelihood import MetricNames, Nuisance, Split, Weights
from ...optimize.minibatches import withheld_views
from ...optimize.spectral_prior import SpectralPrior
from .camera import good_pixels
from .config import CellSettings
from .corrections import FOCUS_SHIFT, no_corrections
from .forward_model import CellForwardModel
from .geometry import geometry_of, largest_na
from .initial_guess import STRENGTH, find_initial_guess, invert_born_model
from .output import write_result
from .preprocess import normalise
from .schema import ABSORPTION, REFRACTIVE_INDEX
from .view_selection import drop_dark_fields

OFF_CENTRE = 0.25
"""Distance of the specimen from the middle of the box, in axial resolutions, from which a fitted focus starts there."""


def likelihood(settings: CellSettings, acquisition: Acquisition) -> "CellLikelihood":
    """Make the likelihood of an acquisition.

    Raises:
        ConfigError: If the physics that the config names does not hold for this measurement.
    """
    if faults := _unsupported(settings, acquisition):
        raise ConfigError(*faults)
    if settings.physics.model == "linear" and "images" in acquisition:
        acquisition = drop_dark_fields(acquisition, "physics.model: linear predicts none of their light")
    normalised = normalise(acquisition, settings.acquisition.normalise)
    levels = _levels(acquisition, normalised) if "images" in acquisition else None
    return CellLikelihood(settings, normalised, geometry_of(settings, normalised), levels)


def _levels(acquisition: Acquisition, normalised: Acquisition) -> Float[np.ndarray, " view"]:
    """Compute the brightness of each view that a normalisation removed, by its good pixels."""
    good = good_pixels(acquisition, "images")
    before, after = (
        np.sum(each["images"], axis=(1, 2), dtype=np.float64, where=good) for each in (acquisition, normalised)
    )
    return np.asarray(before / np.where(after > 0, after, 1))


def _unsupported(settings: CellSettings, acquisition: Acquisition) -> list[Diagnostic]:
    """Find parts of the measurement that the chosen physics cannot predict."""
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
class CellLikelihood(CellForwardModel):
    """Forward model of a cell with all that a fit needs: scales, withheld views, initial guess, model and output.

    Args:
        first_corrections: Corrections of the instrument that the fit begins with, by name; those left out are zero.
        expected: Prior on the frequencies of the index that the views do not determine, if there is one.
        first_values: Values on the grid that the fit begins with, in place of the linear inverse.
        own_split: Views of the fit and of its validation, in place of a random choice.
    """

    first_corrections: Mapping[str, np.ndarray] = field(default_factory=dict)
    expected: SpectralPrior | None = None
    first_values: Float[np.ndarray, "k z y x"] | None = None
    own_split: Split | None = None

    @property
    def frame(self) -> ModelFrame:
        """The box: from the outer face of the first sample to that of the last."""
        lattice = self.geometry.lattice
        low = tuple(float(a[0] - d / 2) for a, d in zip(lattice.axes, lattice.pitch, strict=True))
        high = tuple(float(a[-1] + d / 2) for a, d in zip(lattice.axes, lattice.pitch, strict=True))
        attributes = {
            "medium_index": self.microscope.medium_index,
            "wavelength": self.microscope.wavelength,
            "numerical_aperture": self.microscope.numerical_aperture,
            "pixel_size_y": self.microscope.pixel_size[0],
            "pixel_size_x": self.microscope.pixel_size[1],
        }
        if "rotation" not in self.acquisition:  # The missing frequencies of a turning specimen are no cone.
            attributes["illumination_na"] = largest_na(self.acquisition)
        return ModelFrame((low[0], low[1], low[2]), (high[0], high[1], high[2]), lattice.pitch, attributes)

    @cached_property
    def contrast_scale(self) -> float:
        """Index contrast that delays light by about a radian over the box; the unit of the field's outputs.

        Within a factor of a few of what specimens have; the optimiser needs no more.
        """
        radian = self.microscope.wavelength / (2 * np.pi * self.geometry.lattice.thickness)
        return float(np.clip(radian, 1e-3, 0.05))

    @property
    def quantities(self) -> tuple[ModelQuantity, ...]:
        """Refractive index, and absorption where it is fitted."""
        backgrounds = {REFRACTIVE_INDEX: self.microscope.medium_index}
        if self.absorbs:
            backgrounds[ABSORPTION] = 0.0
        return tuple(
            ModelQuantity(quantity.name, quantity.unit, quantity.meaning, background, self.contrast_scale)
            for quantity, background in backgrounds.items()
        )

    @property
    def scales(self) -> tuple[float, ...]:
        """Index contrast of an output of 1."""
        return tuple(quantity.scale for quantity in self.quantities)

    @property
    def sign(self) -> str:
        """Sign of the specimen relative to the medium; any where the config leaves it open."""
        return "any" if self.settings.fit.sign == "auto" else self.settings.fit.sign

    def with_choices(
        self, *, absorbs: bool | None = None, sign: str | None = None, prior: str | None = None
    ) -> "CellLikelihood":
        """Return the likelihood of the same measurement with other physics, another sign or another prior."""
        physics, fit = self.settings.physics, self.settings.fit
        if absorbs is not None:
            physics = physics.model_copy(update={"absorption": absorbs})
        if sign is not None:
            fit = fit.model_copy(update={"sign": sign})
        if prior is not None:
            fit = fit.model_copy(update={"prior": prior})
        return replace(self, settings=self.settings.model_copy(update={"physics": physics, "fit": fit}))

    @property
    def metric_names(self) -> MetricNames:
        """Names of the residuals."""
        return MetricNames("residual_fitted", "residual_withheld", "residual_withheld_linear")

    @property
    def nuisance_parameters(self) -> dict[str, np.ndarray]:
        """Corrections of the instrument that the config asks for, as the fit begins with them."""
        parameters = no_corrections(self.settings.fit.refine, self.illumination)
        if "defocus" in parameters:
            parameters["defocus"] = self._first_focus
        return parameters | dict(self.first_corrections)

    @cached_property
    def _first_focus(self) -> Float[np.ndarray, ""]:
        """Focus that puts the specimen, by linear theory, into the middle of the box; 0 where it is about there.

        Images tell the distance of the focus from the specimen, and not where the two are: the box decides.
        """
        if self._starts_flat or not self.is_bright.any():
            return np.zeros((), np.float32)
        lattice = self.geometry.lattice
        energy = np.sum(invert_born_model(self, np.flatnonzero(self.is_bright), STRENGTH) ** 2, axis=(0, 2, 3))
        middle = float(np.mean(lattice.planes))
        offset = middle - float(np.sum(energy * lattice.planes) / max(float(energy.sum()), 1e-30))
        is_far = abs(offset) > OFF_CENTRE * self.geometry.resolution[0]
        return np.array(lattice.cycles(offset) / FOCUS_SHIFT if is_far else 0, np.float32)

    def split(self) -> Split:
        """Withhold some views, spread over the acquisition."""
        if self.own_split is not None:
            return self.own_split
        withheld = withheld_views(self.views, self.settings.fit.withheld, self.settings.seed)
        return Split(np.setdiff1d(np.arange(self.views), withheld), withheld)

    def initial_guess(self, views: np.ndarray) -> Float[np.ndarray, "k z y x"] | None:
        """Invert the images by linear theory, where the config asks for it; not for turning specimens and fields."""
        if self.first_values is not None:
            missing = len(self.quantities) - len(self.first_values)  # Absorption, where it was chosen since.
            return np.pad(self.first_values, [(0, missing), (0, 0), (0, 0), (0, 0)])
        if self.settings.fit.start != "linear" or self._starts_flat:
            return None
        bright = views[self.is_bright[views]]
        return find_initial_guess(self, bright) if len(bright) else None

    @property
    def _starts_flat(self) -> bool:
        """Whether linear theory does not hold: for turning specimens and fields."""
        return self.is_field or "rotation" in self.acquisition

    def metric(self, losses: Float[np.ndarray, " view"]) -> float:
        """Residual: root of the mean loss; that of an empty box is 1."""
        return float(np.sqrt(np.mean(losses)))

    def model(self, architecture: Mapping[str, Any], weights: list[Weights], provenance: Mapping[str, Any]) -> Model:
        """Make the model of the refractive index as a function of space."""
        return Model.ensemble(architecture, weights, self.frame, self.quantities, self.settings.kind, provenance)

    def write(
        self,
        folder: Path,
        model: Model,
        values: Float[Array | np.ndarray, "k z y x"],
        nuisance: Nuisance,
        provenance: Mapping[str, Any],
    ) -> dict[str, float]:
        """Write the volume, and some views as measured and as predicted."""
        return write_result(folder, model, self, self.split(), values, nuisance)
