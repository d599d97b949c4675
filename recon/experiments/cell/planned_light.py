"""Light of a cell's measurement as its plan sees it: apertures, caps of the Ewald sphere, resolution, photons."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from ....physics.optics.microscope import Illumination, Microscope
from ...acquisition import Acquisition
from ...metrics.ewald_caps import Cap
from ...metrics.missing_cone import Aperture
from .geometry import largest_na, resolution_of
from .illumination import illumination_of, microscope_of
from .image_noise import estimate_noise

_MOST_SOURCES = 2000
"""Largest number of caps that are counted, spread over all; more are not told apart by the samples of the ball."""


@dataclass(frozen=True)
class PlannedLight:
    """Light of a measurement as its plan sees it.

    Args:
        acquisition: Instrument and views, measured or planned.
        depth: [m] Depth of the box.
        photons: Photons of an empty pixel in a view; None if unknown.
    """

    acquisition: Acquisition
    depth: float
    photons: float | None

    @property
    def microscope(self) -> Microscope:
        """Instrument."""
        return microscope_of(self.acquisition)

    @property
    def illumination(self) -> Illumination:
        """Light and focus of each view."""
        return illumination_of(self.acquisition)

    @property
    def turns(self) -> bool:
        """Whether the specimen turns."""
        return "rotation" in self.acquisition

    @property
    def aperture(self) -> Aperture:
        """Largest apertures of light and objective."""
        m = self.microscope
        return Aperture(m.wavelength, m.medium_index, largest_na(self.acquisition), m.numerical_aperture)

    @property
    def is_linear(self) -> bool:
        """Whether the linear model of images at rest holds."""
        return not self.turns and "images" in self.acquisition

    def caps(self) -> list[Cap]:
        """List the caps of all sources of all views, equal ones once."""
        light = self.illumination
        rotations = self.acquisition.arrays.get("rotation")
        views, sources = np.nonzero(light.weights > 0)
        keys = np.round(light.na[views, sources], 6)
        if rotations is None:
            keys = np.unique(keys, axis=0)
            chosen = keys[_evenly_spread(len(keys))]
            return [Cap((float(y), float(x))) for y, x in chosen]
        order = _evenly_spread(len(views))
        return [Cap((float(keys[i, 0]), float(keys[i, 1])), rotations[views[i]]) for i in order]


def _evenly_spread(count: int) -> Int[np.ndarray, " n"]:
    """Indices of all of a number, or of as many as are counted, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_SOURCES)).round().astype(np.int64))


def photons_of(acquisition: Acquisition) -> float | None:
    """Estimate the photons of an empty pixel from the noise of the bright fields; None where they do not tell it."""
    if "images" not in acquisition:
        return None
    images = acquisition["images"].astype(np.float64)
    levels = np.median(images, axis=(1, 2))
    microscope = microscope_of(acquisition)
    bright = illumination_of(acquisition).transmitted(microscope.numerical_aperture) > 0
    bright &= levels > 0
    if not bright.any():
        return None
    normal = images[bright] / levels[bright, None, None]
    good = np.isfinite(normal)
    if "mask" in acquisition:
        mask = np.broadcast_to(acquisition["mask"], images.shape)[bright]
        good &= mask == 0
    noise = estimate_noise(np.where(good, normal, 1), np.ones_like(normal), good, microscope)
    return None if noise is None else noise.photons


def axial_period(light: PlannedLight) -> float:
    """[m] Finest period along z that the directions show: each shows w from η(NA) − η(p) to η(0) − η(p)."""
    m, own = light.microscope, light.illumination
    tilts = np.hypot(own.na[..., 0], own.na[..., 1])[own.weights > 0]
    n = m.medium_index
    along, rim = np.sqrt(np.maximum(n**2 - tilts**2, 0)), np.sqrt(n**2 - m.numerical_aperture**2)
    return float(m.wavelength / np.maximum(n - along, along - rim).max())


def axial_resolution(light: PlannedLight) -> float:
    """[m] Inverse width of the band of axial frequencies, as a fit states it."""
    return resolution_of(light.microscope, light.aperture.illumination_na, light.turns)[0]


def lateral_resolution(light: PlannedLight) -> tuple[float, float]:
    """[m] Period of the highest frequency along y and along x."""
    weights, na = light.illumination.weights, light.illumination.na
    widest = np.abs(na[weights > 0]).max(axis=0)
    if light.turns:
        widest = np.full(2, light.aperture.illumination_na)
    y, x = light.microscope.wavelength / (light.microscope.numerical_aperture + widest)
    return float(y), float(x)


def cone_angle(light: PlannedLight) -> float:
    """[rad] Angle about k_z within which the lowest frequencies are missing."""
    smaller = min(light.microscope.numerical_aperture, light.aperture.illumination_na)
    return float(np.pi / 2 - np.arcsin(smaller / light.microscope.medium_index))
