"""Lattice of samples of a field and an index, and its frequencies.

Notation
--------
λ      vacuum wavelength [m]
n_m    refractive index of the medium
s      transverse frequency (sy, sx) in units of n_m/λ: the sine of the wave's angle in the medium
Δz     distance between slices [m]; slice q stands at (q − Q//2)·Δz + centre

Arrays are ``z y x``, slowest first; sample ``n // 2`` is on the optical axis. SI and float64 here, on the host; what
enters a jitted function is dimensionless: sines, and distances in cycles of the wave in the medium.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ..fft_sizes import next_even_size


class SamplingError(ValueError):
    """Sampling that cannot represent the field."""


@dataclass(frozen=True)
class Lattice:
    """Lattice of samples of a specimen and of the waves that pass through it.

    Args:
        shape: Number of samples (z, y, x).
        pitch: [m] Distance between samples (z, y, x).
        wavelength: [m] Vacuum wavelength.
        medium_index: Refractive index around the specimen.
        centre_z: [m] Position of slice ``shape[0] // 2``.
        binning: Samples per camera pixel along y and x. The optical axis passes through the middle of a pixel; for an
            even number it lies between two samples, half a pitch beside sample ``n // 2``.

    Raises:
        SamplingError: If a size or a distance is not positive.
    """

    shape: tuple[int, int, int]
    pitch: tuple[float, float, float]
    wavelength: float
    medium_index: float
    centre_z: float = 0.0
    binning: int = 1

    def __post_init__(self) -> None:
        lengths = (*self.pitch, self.wavelength, self.medium_index)
        if min(self.shape) < 1 or not all(length > 0 for length in lengths):
            raise SamplingError(
                f"no lattice has the shape {self.shape}, the pitch {self.pitch} m, the wavelength {self.wavelength} m "
                f"and the medium's index {self.medium_index}"
            )

    @property
    def planes(self) -> Float[np.ndarray, " z"]:
        """[m] Position of each slice."""
        return self.centre_z + (np.arange(self.shape[0]) - self.shape[0] // 2) * self.pitch[0]

    @property
    def axes(self) -> tuple[Float[np.ndarray, " z"], Float[np.ndarray, " y"], Float[np.ndarray, " x"]]:
        """[m] Coordinates of the samples along z, y, x."""
        beside = 0.0 if self.binning % 2 else 0.5
        y, x = ((np.arange(n) - n // 2 + beside) * d for n, d in zip(self.shape[1:], self.pitch[1:], strict=True))
        return self.planes, y, x

    @property
    def sines(self) -> tuple[Float[np.ndarray, "y 1"], Float[np.ndarray, "1 x"]]:
        """Transverse frequencies of the FFT, in units of n_m/λ."""
        scale = self.wavelength / self.medium_index
        sy, sx = (np.fft.fftfreq(n, d) * scale for n, d in zip(self.shape[1:], self.pitch[1:], strict=True))
        return sy[:, None], sx[None, :]

    def cycles(self, distance: float) -> float:
        """Convert a distance [m] to wavelengths in the medium."""
        return distance * self.medium_index / self.wavelength

    @property
    def thickness(self) -> float:
        """[m] Thickness from the first slice's face to the last one's."""
        return self.shape[0] * self.pitch[0]

    def pad(self, margin: float) -> "Lattice":
        """Pad the lattice laterally by at least a margin [m] in all, to even sizes that the FFT transforms quickly.

        The optical axis stays at sample ``n // 2``: sample i becomes sample i + (N // 2 − n // 2).
        """
        y, x = (next_even_size(n + margin / d) for n, d in zip(self.shape[1:], self.pitch[1:], strict=True))
        return replace(self, shape=(self.shape[0], y, x))


def lateral_padding(thickness: float, sine: float) -> float:
    """Compute the lateral padding [m]: the sideways shift of the steepest wave through a thickness.

    The FFT makes the lattice periodic, so that one gap separates both edges.

    Args:
        thickness: [m] Thickness of the specimen's box.
        sine: Sine of the steepest wave's angle in the medium.
    """
    sine = min(sine, 0.95)
    return thickness * sine / float(np.sqrt(1 - sine**2))
