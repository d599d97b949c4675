"""Part of a specimen's spectrum that tilted light transmits, and the missing cone that it does not.

Notation
--------
p      transverse frequency of the light, |p| ≤ NA_i / λ [cycles/m]
q      transverse frequency of the scattered wave, |q| ≤ NA / λ
u, w   transverse and axial frequency of the specimen
η(u)   √((n_m/λ)² − |u|²)

A wave that arrives along p and leaves along q carries the spectrum at u = q − p, w = η(q) − η(p) (Wolf 1969).
Over all p and q of the illumination and the objective, w runs between two bounds at each |u|; a real contrast has
the same spectrum, conjugated, at (−u, −w). The region outside is the missing cone: no tilt of the light reaches it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ..errors import DataError


@dataclass(frozen=True)
class Aperture:
    """Apertures that bound the directions of the light and of the scattered waves.

    Args:
        wavelength: [m] Vacuum wavelength λ.
        medium_index: Refractive index n_m around the specimen.
        illumination_na: Numerical aperture NA_i of the illumination.
        numerical_aperture: NA of the objective.

    Raises:
        DataError: If an aperture is negative or exceeds the medium's index, or the wavelength is not positive.
    """

    wavelength: float
    medium_index: float
    illumination_na: float
    numerical_aperture: float

    def __post_init__(self) -> None:
        if not self.wavelength > 0:
            raise DataError(f"the wavelength {self.wavelength:g} m is not positive")
        for name, na in (("illumination", self.illumination_na), ("objective", self.numerical_aperture)):
            if not 0 <= na <= self.medium_index:
                raise DataError(
                    f"the {name}'s aperture {na:g} is not within 0 and the medium's index {self.medium_index:g}"
                )


def visible_frequencies(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], aperture: Aperture
) -> Bool[np.ndarray, "z y x"]:
    """Find the frequencies of a volume's FFT that tilted light transmits.

    Args:
        shape: Number of samples (z, y, x).
        spacing: [m] Distance between samples (z, y, x).
        aperture: Apertures of illumination and objective.

    Returns:
        True where transmitted, in the order of ``numpy.fft.fftn``.
    """
    w, uy, ux = (np.fft.fftfreq(n, d) if n > 1 else np.zeros(1) for n, d in zip(shape, spacing, strict=True))
    return visible_frequencies_at((w, uy, ux), aperture)


def visible_frequencies_at(
    axes: tuple[Float[np.ndarray, " z"], Float[np.ndarray, " y"], Float[np.ndarray, " x"]], aperture: Aperture
) -> Bool[np.ndarray, "z y x"]:
    """Find the frequencies on a grid that tilted light transmits.

    Args:
        axes: [1/m] Frequencies along z, y and x.
        aperture: Apertures of illumination and objective.
    """
    w, uy, ux = axes
    rho = np.hypot(uy[:, None], ux[None, :])
    low, high = axial_bounds(rho, aperture)
    w = w[:, None, None]
    within = (rho <= (aperture.illumination_na + aperture.numerical_aperture) / aperture.wavelength)[None]
    return np.asarray(within & (((w >= low) & (w <= high)) | ((-w >= low) & (-w <= high))))


def filter_visible(volume: Float[np.ndarray, "z y x"], seen: Bool[np.ndarray, "z y x"]) -> Float[np.ndarray, "z y x"]:
    """Set the frequencies outside ``seen`` to 0.

    Args:
        volume: Contrast, 0 in the medium.
        seen: Frequencies to retain, in the order of ``numpy.fft.fftn``.

    Raises:
        DataError: If the shapes differ.
    """
    from scipy import fft

    if volume.shape != seen.shape:
        raise DataError(f"a spectrum of shape {seen.shape} does not belong to a volume of shape {volume.shape}")
    spectrum = fft.rfftn(volume.astype(np.float64))
    half = seen[..., : spectrum.shape[-1]]
    return np.asarray(fft.irfftn(np.where(half, spectrum, 0), volume.shape), np.float64)


def axial_bounds(
    rho: Float[np.ndarray, "*n"], aperture: Aperture
) -> tuple[Float[np.ndarray, "*n"], Float[np.ndarray, "*n"]]:
    """[cycles/m] Compute the smallest and the largest w at each |u| up to the lateral cut-off.

    η falls with |u|, ever more steeply: η(q) − η(p) is largest for the steepest light and the scattered wave nearest to
    the axis, and smallest for the reverse.
    """
    light, objective = (na / aperture.wavelength for na in (aperture.illumination_na, aperture.numerical_aperture))
    steepest_in = np.minimum(light, objective + rho)
    steepest_out = np.minimum(objective, light + rho)
    return (
        _eta(steepest_out, aperture) - _eta(np.abs(steepest_out - rho), aperture),
        _eta(np.abs(steepest_in - rho), aperture) - _eta(steepest_in, aperture),
    )


def _eta(u: Float[np.ndarray, "*n"], aperture: Aperture) -> Float[np.ndarray, "*n"]:
    """[cycles/m] Axial frequency of a wave in the medium."""
    return np.asarray(np.sqrt(np.maximum((aperture.medium_index / aperture.wavelength) ** 2 - u**2, 0)))
