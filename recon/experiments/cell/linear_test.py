"""Test of a description of light by linear theory: each view predicted from all others.

The images of a weak specimen are linear in its contrast, y = H n, with transfer functions H that follow from the light.
Ridge regression of all views predicts each view from the others in closed form, for each frequency alone: with
A = (H Hᴴ + α)⁻¹ it misses view v by (A y)_v / A_vv (the leave-one-out residual). No specimen is reconstructed and
nothing is compiled: one description of the light takes less than a second.

Light from the opposite directions, at the opposite foci, has the transfer functions −H: it explains the images as well,
by a specimen of the opposite contrast. With one plane of focus, opposite directions alone do so too, by a specimen that
is also mirrored in z. Linear theory knows no difference between the two, and multiple scattering hardly any.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Complex, Float

from ....physics.optics.microscope import Illumination, Microscope

STRENGTHS = (0.1, 0.3, 1.0, 3.0)
"""Values of α that are tried, relative to the largest gain of a frequency; the best is taken."""
_WINDOW = 128
"""[pixel] Largest side of the part of the images that is compared."""
_TAPER = 0.12
"""Share of that side, at each end, over which the images fade to the background."""
_MOST_VIEWS = 32
_MOST_FREQUENCIES = 2500
_MOST_PLANES = 32
_MOST_ELEMENTS = 6e6
"""Largest number of transfer functions' values, over which frequencies are left out."""
_CHUNK = 256
"""Frequencies that are solved at once."""
_LEAST_COSINE = 0.1


@dataclass(frozen=True, eq=False)
class LinearTest:
    """Spectra of some views, and the instrument whose light is tested.

    Args:
        spectra: Spectra of I − 1 of each view, at frequencies that the objective passes.
        frequencies: Those frequencies (y, x), as numerical apertures.
        cell: (y, x) Distance between frequencies on the images' lattice, as a numerical aperture.
        planes: [m] Positions of the planes of the specimen.
        microscope: The instrument.
        light: Light of these views as it is described.
    """

    spectra: Complex[np.ndarray, "f view"]
    frequencies: Float[np.ndarray, "f 2"]
    cell: tuple[float, float]
    planes: Float[np.ndarray, " z"]
    microscope: Microscope
    light: Illumination

    @classmethod
    def of_images(
        cls,
        images: Float[np.ndarray, "view y x"],
        microscope: Microscope,
        light: Illumination,
        depth: tuple[float, float],
    ) -> "LinearTest":
        """Take some views, and the part of them that holds most structure.

        Args:
            images: Normalised bright fields, 1 without a specimen.
            microscope: The instrument.
            light: Light of each view.
            depth: [m] First and last position of the specimen along z.
        """
        views = np.unique(np.linspace(0, len(images) - 1, _MOST_VIEWS).astype(int))
        part = _most_structured(np.asarray(images[views], np.float32))
        chosen = Illumination(light.na[views], light.weights[views], light.defocus[views])
        passed, frequencies, cell = _frequencies(part.shape[1:], microscope, chosen)
        spectra = _spectra(part, passed)
        planes = _planes(depth, microscope, chosen)
        elements = spectra.size * chosen.weights.shape[1] * len(planes)
        stride = max(1, int(np.ceil(max(len(spectra) / _MOST_FREQUENCIES, elements / _MOST_ELEMENTS))))
        return cls(spectra[::stride], frequencies[::stride], cell, planes, microscope, chosen)

    def under(self, light: Illumination) -> "LinearTest":
        """Test other light of the same views."""
        return replace(self, light=light)

    def misfits(self) -> Float[np.ndarray, " view"]:
        """Compute the squared error of predicting each view from the others, over its mean square."""
        spectra = self.spectra
        parts = [slice(i, i + _CHUNK) for i in range(0, len(spectra), _CHUNK)]
        kernels = [_kernel(self._transfer(self.frequencies[part])) for part in parts]
        gain = max(_gain(kernel) for kernel in kernels)
        errors = np.zeros((len(STRENGTHS), spectra.shape[1]))
        for part, kernel in zip(parts, kernels, strict=True):
            for j, strength in enumerate(STRENGTHS):
                inverse = _damped_inverse(kernel, strength * gain)
                missed = (inverse @ spectra[part, :, None])[..., 0] / np.diagonal(inverse, axis1=1, axis2=2)
                errors[j] += np.sum(np.abs(missed) ** 2, axis=0)
        relative = errors / np.maximum(np.sum(np.abs(spectra) ** 2, axis=0), 1e-30)
        return np.asarray(relative[np.argmin(relative.sum(axis=1))], np.float64)

    def _transfer(self, frequencies: Float[np.ndarray, "f 2"]) -> Complex[np.ndarray, "f view z"]:
        """Compute H of every view and plane for phase, up to a factor: born.BornModel in NumPy, without slices."""
        total: Complex[np.ndarray, "f view z"] = np.zeros((), np.complex64)
        brightness = self._brightness
        for source in range(self.light.weights.shape[1]):
            na = self.light.na[:, source].astype(np.float32)
            wave = self._scattered(frequencies, na) + np.conj(self._scattered(-frequencies, na))
            total = total + brightness[None, :, source, None] * wave
        return total

    @cached_property
    def _brightness(self) -> Float[np.ndarray, "view source"]:
        """Brightness of each source within the pupil, over that of the view."""
        within = np.sum(self.light.na**2, axis=-1) <= (1.00001 * self.microscope.numerical_aperture) ** 2
        weights = np.where(within, self.light.weights, 0)
        return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12), np.float32)

    def _scattered(
        self, frequencies: Float[np.ndarray, "f 2"], na: Float[np.ndarray, "view 2"]
    ) -> Complex[np.ndarray, "f view z"]:
        """Compute the amplitude A(s, z) of light that is scattered once."""
        scope = self.microscope
        out = frequencies[:, None] + na[None]
        radius = np.hypot(out[..., 0], out[..., 1])
        cosine = np.sqrt(np.maximum(scope.medium_index**2 - radius**2, _LEAST_COSINE**2))
        incident = np.sqrt(np.maximum(scope.medium_index**2 - np.sum(na**2, axis=1), _LEAST_COSINE**2))
        width = np.abs(out) @ np.array(self.cell, np.float32) / np.maximum(radius, 1e-6)
        passes = np.clip(0.5 + (scope.numerical_aperture - radius) / np.maximum(width, 1e-6), 0, 1)
        distance = (self.light.defocus[:, None] - self.planes) / scope.wavelength
        phase = (2 * np.pi * (cosine - incident))[..., None] * distance.astype(np.float32)
        return np.asarray((1j * passes / cosine)[..., None] * np.exp(1j * phase), np.complex64)


def _kernel(transfer: Complex[np.ndarray, "f view z"]) -> Complex[np.ndarray, "f view view"]:
    kernel: Complex[np.ndarray, "f view view"] = transfer @ np.conj(np.swapaxes(transfer, 1, 2))
    return kernel


def _gain(kernel: Complex[np.ndarray, "f view view"]) -> float:
    """Compute the largest gain of a frequency, averaged over the views."""
    return float(np.trace(kernel, axis1=1, axis2=2).real.max()) / kernel.shape[1] or 1.0


def _damped_inverse(kernel: Complex[np.ndarray, "f view view"], strength: float) -> Complex[np.ndarray, "f view view"]:
    damped = kernel + np.asarray(strength * np.eye(kernel.shape[1]), kernel.dtype)
    inverse: Complex[np.ndarray, "f view view"] = np.linalg.inv(damped)
    return inverse


def _most_structured(images: Float[np.ndarray, "view y x"]) -> Float[np.ndarray, "view h w"]:
    """Cut out the window whose pixels differ most from the background."""
    structure = np.mean((images - 1) ** 2, axis=0)
    height, width = (min(n, _WINDOW) // 2 * 2 for n in structure.shape)
    summed = np.pad(structure.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = summed[height:, width:] - summed[:-height, width:] - summed[height:, :-width] + summed[:-height, :-width]
    top, left = (int(i) for i in np.unravel_index(int(np.argmax(inside)), inside.shape))
    return images[:, top : top + height, left : left + width]


def _spectra(images: Float[np.ndarray, "view h w"], passed: Bool[np.ndarray, "y x"]) -> Complex[np.ndarray, "f view"]:
    """Compute the spectra of the images' deviation from 1, which fade at the edges."""
    window = _taper(images.shape[1])[:, None] * _taper(images.shape[2])
    deviation = images - 1
    deviation = deviation - (deviation * window).sum(axis=(1, 2), keepdims=True) / window.sum()
    spectra = np.fft.rfft2(deviation * window)
    return np.asarray(np.moveaxis(spectra[:, passed], 0, 1), np.complex64)


def _frequencies(
    shape: tuple[int, ...], microscope: Microscope, light: Illumination
) -> tuple[Bool[np.ndarray, "y x"], Float[np.ndarray, "f 2"], tuple[float, float]]:
    """List the frequencies of half a plane that objective and light transfer, and the distances between them."""
    y, x = (size / microscope.wavelength for size in microscope.pixel_size)
    along_y, along_x = np.meshgrid(np.fft.fftfreq(shape[0], y), np.fft.rfftfreq(shape[1], x), indexing="ij")
    radius = np.hypot(along_y, along_x)
    largest = microscope.numerical_aperture + float(np.hypot(light.na[..., 0], light.na[..., 1]).max())
    passed = (radius < largest) & (radius > 0)
    frequencies = np.stack([along_y[passed], along_x[passed]], axis=1).astype(np.float32)
    return passed, frequencies, (1 / (shape[0] * y), 1 / (shape[1] * x))


def _taper(count: int) -> Float[np.ndarray, " n"]:
    edge = np.minimum(np.arange(count) + 0.5, count - np.arange(count) - 0.5) / (count * _TAPER)
    return np.asarray(np.where(edge < 1, 0.5 - 0.5 * np.cos(np.pi * np.minimum(edge, 1)), 1), np.float32)


def _planes(depth: tuple[float, float], microscope: Microscope, light: Illumination) -> Float[np.ndarray, " z"]:
    """Place planes through the depth, half the axial resolution apart."""
    n, objective = microscope.medium_index, microscope.numerical_aperture
    largest = min(float(np.hypot(light.na[..., 0], light.na[..., 1]).max()), objective)
    sag = 2 * n - np.sqrt(n**2 - objective**2) - np.sqrt(n**2 - largest**2)
    count = int(np.ceil((depth[1] - depth[0]) / (0.5 * microscope.wavelength / sag))) + 1
    return np.linspace(*depth, int(np.clip(count, 1, _MOST_PLANES)))
