"""Noise of a camera, estimated from images themselves: from the frequencies that no objective passes.

The field behind a pupil of numerical aperture NA holds no frequency above NA/λ, and its intensity none above 2 NA/λ. If
the pixels sample more finely, the corners of an image's spectrum hold noise alone, and the local power of that part,
compared with the local brightness, is the camera's photon transfer curve: variance = slope · intensity + floor.

Where the pixels are coarser, signal covers the whole spectrum, but is weakest in its corners, and weaker still in the
difference from a model. Their power is then an upper limit of the noise.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy import ndimage

from ....physics.optics.microscope import Microscope
from .spectra import fading_window

_LARGEST_SHARE = 0.25
"""Largest share of the spectrum, the outermost part, that is taken: a wrong aperture then does little harm."""
_FEWEST_FREQUENCIES = 24
"""Smallest number of frequencies of an image that tell its noise."""
_MARGIN = 2.0
"""Distance from the rim of the signal's spectrum, in samples of the spectrum: the window blurs it so far."""
_SMOOTHING = 0.7
"""[pixel] Standard deviation of the filter that gives the local brightness: a wider one flattens the transfer curve."""
_CERTAIN = 4.0
"""Deviation of a view's noise from that of the others, in standard errors, from which it counts."""
_ROUNDS = 4
"""Rounds of the fit of the transfer curve, whose weights depend on itself."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


@dataclass(frozen=True)
class ImageNoise:
    """Noise of normalised images, 1 where there is no specimen.

    Args:
        slope: Variance at an intensity of 1, of the part that grows with the intensity: 1 / photons of an empty pixel.
        floor: Variance without light.
        scales: Factor on the variance of each view, whose light may be dimmer or brighter.
        error: Relative standard error of the variance.
    """

    slope: float
    floor: float
    scales: Float[np.ndarray, " view"]
    error: float

    @property
    def photons(self) -> float:
        """Photons of an empty field's pixel whose counting noise is as large as all noise there."""
        return 1 / (self.slope + self.floor)

    def variance(self, intensity: Float[np.ndarray, "view y x"]) -> Float[np.ndarray, "view y x"]:
        """Compute the variance of noise at a mean intensity of each view."""
        return np.asarray(self.scales[:, None, None] * (self.slope * np.maximum(intensity, 0) + self.floor))

    def amplitude_error(self, intensity: Float[np.ndarray, "view y x"]) -> Float[np.ndarray, "view y x"]:
        """Compute the mean of (√I − √Ī)² that noise alone makes, where a measured I below 0 counts as 0."""
        mean = np.maximum(intensity, 0)
        deviation, amplitude = np.sqrt(self.variance(mean)), np.sqrt(mean)
        total: Float[np.ndarray, "view y x"] = np.zeros_like(mean)
        for node, weight in zip(_NODES, _WEIGHTS / _WEIGHTS.sum(), strict=True):
            total += weight * (np.sqrt(np.maximum(mean + node * deviation, 0)) - amplitude) ** 2
        return total

    def misfit_of(self, images: Num[np.ndarray, "view y x"]) -> Float[np.ndarray, "view y x"]:
        """Compute the same for measured images, whose mean intensity is that of the neighbouring pixels."""
        smooth = ndimage.gaussian_filter(images.astype(np.float64), (0, _SMOOTHING, _SMOOTHING), mode="nearest")
        return self.amplitude_error(smooth)


def estimate_noise(
    measured: Num[np.ndarray, "view y x"],
    modelled: Num[np.ndarray, "view y x"],
    good: Bool[np.ndarray, "view y x"],
    microscope: Microscope,
) -> ImageNoise | None:
    """Estimate the noise of images.

    Args:
        measured: Normalised images.
        modelled: Images of a model, good or bad: whatever it explains can then not pass for noise.
        good: Mask of the measured pixels.
        microscope: Instrument, whose aperture, wavelength and pixel tell which frequencies hold no signal.

    Returns:
        The noise, or an upper limit of it; None where the images are too small.
    """
    height, width = measured.shape[1:]
    free = _noise_frequencies((height, width), microscope)
    if np.count_nonzero(free) < _FEWEST_FREQUENCIES:
        return None
    window = fading_window((height, width))
    response = np.abs(np.fft.fft2(np.abs(np.fft.ifft2(free)) ** 2))
    views = zip(measured, modelled, good, strict=True)
    parts = [_noise_power(image, model, mask, window, free, response) for image, model, mask in views]
    power, bright, dark = (np.stack(part) for part in zip(*parts, strict=True))
    slope, floor = _transfer_curve(power, bright, dark)
    if slope + floor <= 0:
        return None
    ratio = power.sum(axis=1) / (slope * bright + floor * dark).sum(axis=1)
    # A factor of its own for each view whose noise differs by more than the chance of so few numbers.
    chance = 2 * np.mean(window**4) / (np.mean(window**2) ** 2 * np.count_nonzero(free))
    scales = np.where((ratio - 1) ** 2 > _CERTAIN**2 * chance, ratio, 1.0)
    return ImageNoise(slope, floor, scales, float(np.sqrt(chance / len(measured))))


def _noise_frequencies(shape: tuple[int, int], microscope: Microscope) -> Bool[np.ndarray, "y x"]:
    """Find the frequencies that hold no signal, or least of it: the outermost ones.

    Signal that coarse pixels fold back comes from a square whose centre is farther away than 0, so that frequencies
    free of signal are free of its folded part as well.
    """
    steps = [1 / (n * d) for n, d in zip(shape, microscope.pixel_size, strict=True)]
    y, x = (np.fft.fftfreq(n, d) for n, d in zip(shape, microscope.pixel_size, strict=True))
    radius = np.hypot(y[:, None], x[None, :])
    cutoff = 2 * microscope.numerical_aperture / microscope.wavelength + _MARGIN * max(steps)
    outer = radius >= np.quantile(radius, 1 - _LARGEST_SHARE)
    free = outer & (radius > cutoff)
    return np.asarray(free if np.count_nonzero(free) >= _FEWEST_FREQUENCIES else outer)


def _noise_power(
    image: Num[np.ndarray, "y x"],
    model: Num[np.ndarray, "y x"],
    good: Bool[np.ndarray, "y x"],
    window: Float[np.ndarray, "y x"],
    free: Bool[np.ndarray, "y x"],
    response: Num[np.ndarray, "y x"],
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Compute the local power of an image's noise frequencies, and that of noise of variance I and of variance 1."""
    weights = good.astype(np.float64)
    share = ndimage.gaussian_filter(weights, _SMOOTHING, mode="nearest")
    smooth = ndimage.gaussian_filter(image * weights, _SMOOTHING, mode="nearest") / np.maximum(share, 1e-6)
    difference = np.where(good, image - model, 0).astype(np.float64)
    difference -= difference.sum() / max(weights.sum(), 1.0) * weights
    high = np.fft.ifft2(np.fft.fft2(difference * window) * free).real
    counted = np.where(good, window**2, 0)
    bright, dark = (
        np.maximum(np.fft.ifft2(np.fft.fft2(counted * variance) * response).real, 0)
        for variance in (np.maximum(smooth, 0), np.ones_like(smooth))
    )
    inner = dark > 0.2 * dark.max()
    return high[inner] ** 2, bright[inner], dark[inner]


def _transfer_curve(
    power: Float[np.ndarray, "view n"], bright: Float[np.ndarray, "view n"], dark: Float[np.ndarray, "view n"]
) -> tuple[float, float]:
    """Fit power = slope · bright + floor · dark, neither below 0; the power of noise scatters as its own mean."""
    slope, floor = 0.0, float(power.mean() / dark.mean())
    for _ in range(_ROUNDS):
        weights = 1 / np.maximum(slope * bright + floor * dark, 1e-30) ** 2
        matrix = [[float((weights * a * b).sum()) for b in (bright, dark)] for a in (bright, dark)]
        vector = [float((weights * a * power).sum()) for a in (bright, dark)]
        determinant = matrix[0][0] * matrix[1][1] - matrix[0][1] ** 2
        if determinant <= 1e-9 * matrix[0][0] * matrix[1][1]:  # All pixels are equally bright.
            return vector[0] / matrix[0][0], 0.0
        slope = (vector[0] * matrix[1][1] - vector[1] * matrix[0][1]) / determinant
        floor = (vector[1] * matrix[0][0] - vector[0] * matrix[0][1]) / determinant
        if slope < 0:
            slope, floor = 0.0, vector[1] / matrix[1][1]
        elif floor < 0:
            slope, floor = vector[0] / matrix[0][0], 0.0
    return slope, floor
