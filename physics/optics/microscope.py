"""Microscope and illumination, in SI.

Axes are ``z y x``. Light travels towards +z; images are (y, x), y down, x right; the optical axis passes through pixel
``n // 2``; z = 0 is the focal plane and the volume's centre.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

RIM_TOLERANCE = 1e-5
"""Relative widening of the pupil's rim, so that a source exactly on it is inside in float32."""


class InstrumentError(ValueError):
    """Numbers that describe no valid instrument."""


@dataclass(frozen=True)
class Microscope:
    """Microscope that images a specimen in a medium.

    Args:
        wavelength: [m] Vacuum wavelength λ.
        numerical_aperture: NA of the objective.
        medium_index: Refractive index n_m around the specimen.
        pixel_size: [m] Size of a pixel (y, x) in the specimen.

    Raises:
        InstrumentError: If a number is not positive, or the aperture exceeds the medium's index.
    """

    wavelength: float
    numerical_aperture: float
    medium_index: float
    pixel_size: tuple[float, float]

    def __post_init__(self) -> None:
        for name, value in (
            ("wavelength", self.wavelength),
            ("numerical aperture", self.numerical_aperture),
            ("medium index", self.medium_index),
            ("pixel size", self.pixel_size[0]),
            ("pixel size", self.pixel_size[1]),
        ):
            if not value > 0:
                raise InstrumentError(f"{name} {value:g} is not positive")
        if self.numerical_aperture > self.medium_index:
            raise InstrumentError(
                f"numerical aperture {self.numerical_aperture:g} exceeds the medium's index {self.medium_index:g}"
            )


@dataclass(frozen=True)
class Illumination:
    """Plane waves that illuminate each view.

    Args:
        na: Numerical aperture (y, x) of each source of each view: n·sin θ, signed.
        weights: Brightness of each source in each view; sources add incoherently.
        defocus: [m] Plane of focus of each view along +z.

    Raises:
        InstrumentError: If the shapes differ, or a view is dark.
    """

    na: Float[np.ndarray, "view source 2"]
    weights: Float[np.ndarray, "view source"]
    defocus: Float[np.ndarray, " view"]

    def __post_init__(self) -> None:
        if self.na.shape[:2] != self.weights.shape or self.na.shape[:1] != self.defocus.shape:
            raise InstrumentError(
                f"illumination of shape {self.na.shape}, weights {self.weights.shape}, defocus {self.defocus.shape}"
            )
        dark = np.flatnonzero(~(self.weights.sum(axis=1) > 0))
        if dark.size:
            raise InstrumentError(f"view {dark[0]} has no light: its weights sum to {self.weights[dark[0]].sum():g}")

    @property
    def views(self) -> int:
        """Number of views."""
        return len(self.na)

    def transmitted(self, numerical_aperture: float) -> Float[np.ndarray, " view"]:
        """Compute the brightness of each view without a specimen: 0 in a dark field.

        Args:
            numerical_aperture: NA of the objective, within which a source is seen directly.
        """
        within = np.sum(self.na**2, axis=-1) <= (numerical_aperture * (1 + RIM_TOLERANCE)) ** 2
        brightness: Float[np.ndarray, " view"] = np.sum(np.where(within, self.weights, 0), axis=1)
        return brightness

    @classmethod
    def from_directions(
        cls, na: Float[np.ndarray, "view 2"], defocus: Float[np.ndarray, " view"] | None = None
    ) -> "Illumination":
        """Describe views of one plane wave each.

        Args:
            na: Numerical aperture (y, x) of each view: n·sin θ, signed.
            defocus: [m] Plane of focus of each view along +z; None for 0.
        """
        views = len(na)
        return cls(
            np.asarray(na, float)[:, None, :],
            np.ones((views, 1)),
            np.zeros(views) if defocus is None else np.asarray(defocus, float),
        )
