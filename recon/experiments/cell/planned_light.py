"""Light of a cell's measurement as its plan sees it: apertures, pixels that hold it, turns, photons."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ....physics.optics.microscope import Illumination, Microscope
from ...acquisition import Acquisition
from ...metrics.missing_cone import Aperture
from .caps import aperture_of
from .illumination import illumination_of, microscope_of
from .image_noise import estimate_noise


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
        return aperture_of(self.acquisition)

    @property
    def has_images(self) -> bool:
        """Whether the views are images, not complex fields."""
        return "images" in self.acquisition

    @property
    def is_linear(self) -> bool:
        """Whether the linear model of images at rest holds."""
        return not self.turns and self.has_images


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


def coarsest_pixel(light: PlannedLight) -> tuple[float, float]:
    """[m] Largest pixel along y and along x that holds what the camera sees.

    An image of light along p holds frequencies up to NA + |p| along an axis, that of a dark field up to 2 NA: two waves
    that pass the pupil. A field, demodulated by its light, fills the pupil only.
    """
    m = light.microscope
    if not light.has_images:
        return (m.wavelength / (2 * m.numerical_aperture),) * 2
    own, lit = light.illumination.na, light.illumination.weights > 0
    is_dark = (own**2).sum(axis=-1, keepdims=True) > m.numerical_aperture**2
    widest = np.where(is_dark, m.numerical_aperture, np.abs(own))[lit].max(axis=0)
    y, x = m.wavelength / (2 * (m.numerical_aperture + widest))
    return float(y), float(x)


def largest_gap(light: PlannedLight) -> float:
    """[rad] Largest gap between the angles of a turning specimen, of half a turn: the wedge that they leave."""
    angles = np.sort(turn_angles(light)[1] % np.pi)
    return float(np.diff(np.append(angles, angles[0] + np.pi)).max())


def turn_angles(light: PlannedLight) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " view"]]:
    """Find the axis (z, y, x) of a specimen's turn, and the angle [rad] of each view about it from the first."""
    from scipy.spatial.transform import Rotation

    rotations = light.acquisition["rotation"]
    steps = np.stack([Rotation.from_matrix(turn @ rotations[0].T).as_rotvec() for turn in rotations])
    longest = steps[np.argmax(np.linalg.norm(steps, axis=1))]
    length = float(np.linalg.norm(longest))
    axis = longest / length if length > 1e-9 else np.array([0.0, 1.0, 0.0])
    return axis, steps @ axis


def cone_angle(light: PlannedLight) -> float:
    """[rad] Angle about k_z within which the lowest frequencies are missing."""
    smaller = min(light.microscope.numerical_aperture, light.aperture.illumination_na)
    return float(np.pi / 2 - np.arcsin(smaller / light.microscope.medium_index))
