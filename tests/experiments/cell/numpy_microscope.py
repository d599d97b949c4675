"""Small multi-slice microscope in NumPy, independent of unflat's: a large ball with a denser one inside it.

Lengths are micrometres. The camera takes every second sample of the lattice. Directions are periodic on the lattice, so
that the tilted wave needs no margin.
"""

import numpy as np
from jaxtyping import Complex, Float

WAVELENGTH, MEDIUM = 0.532, 1.333
SAMPLES, PITCH, SLICES, STEP = 96, 0.2, 50, 0.2
DEPTH = SLICES * STEP


def index(contrast: float = 0.03) -> Float[np.ndarray, "z y x"]:
    """Sample the refractive index."""
    axes = [(np.arange(n) - n // 2) * d for n, d in ((SLICES, STEP), (SAMPLES, PITCH), (SAMPLES, PITCH))]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    large = np.clip((3.4 - np.sqrt(z**2 + y**2 + x**2)) / 0.3 + 0.5, 0, 1)
    small = np.clip((1.0 - np.sqrt((z - 0.7) ** 2 + (y + 1) ** 2 + (x - 1.4) ** 2)) / 0.3 + 0.5, 0, 1)
    return MEDIUM + contrast * (0.7 * large + 0.5 * small)


def directions(count: int, largest: float) -> Float[np.ndarray, "view 2"]:
    """Spread apertures (y, x) over a disc, each on a frequency of the lattice."""
    k = np.arange(count) + 0.5
    radius, angle = largest * np.sqrt(k / count), 2.399963 * k
    na = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    cycle = WAVELENGTH / (SAMPLES * PITCH)
    return np.round(na / cycle) * cycle


def image(n: np.ndarray, na: Float[np.ndarray, " 2"], aperture: float) -> Float[np.ndarray, "y x"]:
    """Compute the intensity on the camera, 1 where an empty bright field is."""
    frequency = np.fft.fftfreq(SAMPLES, PITCH)
    fy, fx = frequency[:, None], frequency[None, :]
    eta = np.sqrt(np.maximum((MEDIUM / WAVELENGTH) ** 2 - fy**2 - fx**2, 0))

    def kernel(distance: float) -> Complex[np.ndarray, "y x"]:
        return np.exp(2j * np.pi * eta * distance) * (eta > 0)

    def propagate(wave: Complex[np.ndarray, "y x"], factor: Complex[np.ndarray, "y x"]) -> Complex[np.ndarray, "y x"]:
        return np.fft.ifft2(np.fft.fft2(wave) * factor)

    position = (np.arange(SAMPLES) - SAMPLES // 2) * PITCH
    wave = np.exp(2j * np.pi / WAVELENGTH * (na[0] * position[:, None] + na[1] * position))
    wave = propagate(wave, kernel(-DEPTH / 2 + STEP / 2))
    cosine, step = np.sqrt(1 - (na**2).sum() / MEDIUM**2), kernel(STEP)
    for piece in n:  # From the middle of a slice to that of the next one.
        wave = propagate(wave * np.exp(2j * np.pi / WAVELENGTH * (piece - MEDIUM) * STEP / cosine), step)
    spectrum = np.fft.fft2(wave) * kernel(-DEPTH / 2 - STEP / 2) * (np.hypot(fy, fx) <= aperture / WAVELENGTH)
    return np.abs(np.fft.ifft2(spectrum))[::2, ::2] ** 2
