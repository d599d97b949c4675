"""Image formation: from a specimen and its illumination to the images of a microscope.

    contrast --scattering--> exit spectra --refocus, pupil--> fields at the camera --|·|², sum over sources--> image

Images are normalised: 1 where there is no specimen. Axes are ``z y x``; all inputs are dimensionless (sines in the
medium, cycles of the wave in the medium).
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from . import multislice, ssnp
from .illumination import PlaneWaves
from .lattice import Lattice
from .propagation import kernel
from .pupil import incident_transmission, pupil, relative_brightness

ScatteringModel = Callable[..., Complex[Array, "wave y x"]]
SCATTERING_MODELS: dict[str, ScatteringModel] = {"multislice": multislice.exit_spectra, "ssnp": ssnp.exit_spectra}
"""Models of the light's way through the specimen, by the names that a config uses."""


@dataclass(frozen=True)
class ImageFormation:
    """Image formation by wave propagation through the specimen and the objective.

    Args:
        lattice: Samples of the specimen, padded.
        numerical_aperture: NA of the objective.
        scattering: Model of the scattering, a key of `SCATTERING_MODELS`.
        shape: Pixels (y, x) of the image, around the optical axis; each averages ``lattice.binning``² samples.
        block: Slices between the states that are stored for a gradient; see `slice_scan`.
        fixed_light: Whether to omit the gradient of the tilts, for a faster backward pass.
        sharp_rim: Whether the pupil is cut along the samples of the spectrum; see `pupil`.
    """

    lattice: Lattice
    numerical_aperture: float
    scattering: str
    shape: tuple[int, int]
    block: int | None = None
    fixed_light: bool = False
    sharp_rim: bool = False

    def fields(
        self,
        contrast: Float[Array, "channel z y x"],
        light: PlaneWaves,
        aberrations: Float[Array, " j"],
    ) -> Complex[Array, "view source y x"]:
        """Compute the demodulated fields at the camera on the whole lattice, 1 where there is no specimen.

        Args:
            contrast: Index contrast on the lattice.
            light: Illumination of each view.
            aberrations: [rad] Zernike coefficients from defocus on.
        """
        views, sources = light.weights.shape
        tilts = light.tilts.reshape(-1, 2)
        spectra = SCATTERING_MODELS[self.scattering](contrast, self.lattice, tilts, self.block, self.fixed_light)
        last = self.lattice.cycles(float(self.lattice.planes[-1]))

        def focused(spectrum: Complex[Array, "y x"], tilt: Array, focus: Array) -> Complex[Array, "y x"]:
            passed = pupil(self.lattice, self.numerical_aperture, tilt, aberrations, self.sharp_rim)
            incident = incident_transmission(self.lattice, self.numerical_aperture, tilt, aberrations)
            return spectrum * kernel(self.lattice, tilt, focus - last) * passed / incident

        waves = jnp.fft.ifft2(jax.vmap(focused)(spectra, tilts, jnp.repeat(light.defocus, sources)))
        return waves.reshape(views, sources, *waves.shape[1:])

    def images(
        self,
        contrast: Float[Array, "channel z y x"],
        light: PlaneWaves,
        aberrations: Float[Array, " j"],
    ) -> Float[Array, "view h w"]:
        """Compute the images, relative to an empty field's; the sources of a view add incoherently."""
        waves = self.fields(contrast, light, aberrations)
        each = self.bin_to_pixels(waves.real**2 + waves.imag**2)
        share = relative_brightness(self.lattice, self.numerical_aperture, light.tilts, light.weights)
        return jnp.einsum("vs,vshw->vhw", share, each)

    def bin_to_pixels(
        self, values: Float[Array, "*n y x"] | Complex[Array, "*n y x"]
    ) -> Float[Array, "*n h w"] | Complex[Array, "*n h w"]:
        """Average the lattice's samples over each pixel of the camera's frame."""
        k = self.lattice.binning
        y, x = (n // 2 - k // 2 - k * (size // 2) for n, size in zip(self.lattice.shape[1:], self.shape, strict=True))
        h, w = self.shape
        frame = values[..., y : y + k * h, x : x + k * w]
        return frame if k == 1 else frame.reshape(*values.shape[:-2], h, k, w, k).mean(axis=(-3, -1))
