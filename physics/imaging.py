"""From a specimen and its light to the images that a microscope takes of it.

    contrast --march--> exit spectrum --refocus, pupil--> field at the camera --|·|², sum over sources--> image

Images are normalised: 1 where there is no specimen. Axes ``z y x``; all numbers that enter are dimensionless (sines in
the medium, cycles of the wave in the medium).
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from . import multislice, ssnp
from .lattice import Lattice
from .pupil import incident_transmission, pupil
from .waves import kernel

March = Callable[..., Complex[Array, "y x"]]
MARCHES: dict[str, March] = {"multislice": multislice.exit_spectrum, "ssnp": ssnp.exit_spectrum}
"""Ways to march through the specimen."""


@dataclass(frozen=True)
class Camera:
    """How a lattice becomes an image.

    Args:
        lattice: Samples of the specimen, padded.
        numerical_aperture: NA of the objective.
        march: How light crosses the specimen: a key of `MARCHES`.
        block: Slices between the states that are kept for a gradient; see `slices.walk`.
        shape: Pixels (y, x) of the image, around the optical axis; each averages ``lattice.binning``² samples.
    """

    lattice: Lattice
    numerical_aperture: float
    march: str
    shape: tuple[int, int]
    block: int | None = None

    def field(
        self,
        contrast: Float[Array, "channel z y x"],
        tilt: Float[Array, " 2"],
        defocus: Float[Array, ""],
        aberrations: Float[Array, " j"],
    ) -> Complex[Array, "y x"]:
        """Demodulated field at the camera, on the whole lattice: 1 where there is no specimen.

        Args:
            contrast: Index contrast on the lattice.
            tilt: Incident wave.
            defocus: Plane of focus, in cycles from z = 0 along +z.
            aberrations: [rad] Zernike coefficients from defocus on.
        """
        spectrum = MARCHES[self.march](contrast, self.lattice, tilt, self.block)
        last = self.lattice.cycles(float(self.lattice.planes[-1]))
        passed = pupil(self.lattice, self.numerical_aperture, tilt, aberrations)
        spectrum = spectrum * kernel(self.lattice, tilt, defocus - last) * passed
        incident = incident_transmission(self.lattice, self.numerical_aperture, tilt, aberrations)
        return jnp.fft.ifft2(spectrum) / incident

    def image(
        self,
        contrast: Float[Array, "channel z y x"],
        tilts: Float[Array, "source 2"],
        weights: Float[Array, " source"],
        defocus: Float[Array, ""],
        aberrations: Float[Array, " j"],
    ) -> Float[Array, "h w"]:
        """Image of the specimen lit by sources that add incoherently, relative to the image of an empty field."""

        def one(tilt: Float[Array, " 2"]) -> Float[Array, "h w"]:
            wave = self.field(contrast, tilt, defocus, aberrations)
            return self.pixels(wave.real**2 + wave.imag**2)

        images = jax.vmap(one)(tilts)
        return jnp.tensordot(weights / jnp.sum(weights), images, 1)

    def pixels(self, values: Float[Array, "y x"] | Complex[Array, "y x"]) -> Float[Array, "h w"] | Complex[Array, "h w"]:
        """Average the lattice's samples over each pixel, and cut the camera's frame out."""
        k = self.lattice.binning
        y, x = (n // 2 - k // 2 - k * (size // 2) for n, size in zip(self.lattice.shape[1:], self.shape, strict=True))
        h, w = self.shape
        frame = values[y : y + k * h, x : x + k * w]
        return frame if k == 1 else frame.reshape(h, k, w, k).mean(axis=(1, 3))
