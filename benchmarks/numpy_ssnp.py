"""Microscope in NumPy, independent of unflat's physics: split-step non-paraxial propagation on fine voxels.

The state is the wave and its derivative along z (Lim et al., Light: Science & Applications 8, 82, 2019); a step turns
both in Fourier space, and the scattering of a layer changes the derivative. A tilted wave is periodic up to its phase,
so that any direction is possible. Lengths are micrometres, axes ``z y x``.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float

WAVELENGTH, MEDIUM, APERTURE = 0.532, 1.333, 0.65
PIXEL, FINER = 0.2, 2
"""Pixel of the camera, and samples of the lattice along its side."""
STEP = 0.1
"""Thickness of a layer."""
WIDTH = 4
"""Width of the periodic lattice over that of the images: at 2 the coarse rim of the pupil shifts the fitted light."""


@dataclass(frozen=True)
class Ellipsoid:
    """Ellipsoid that adds a contrast to the index inside it; its edge is soft.

    Args:
        contrast: Index added.
        centre: Position of its centre.
        radii: Half axes.
    """

    contrast: float
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]

    def sample(self, *axes: Float[np.ndarray, " n"]) -> Float[np.ndarray, "z y x"]:
        """Sample the contrast."""
        parts = [(a - c) / r for a, c, r in zip(axes, self.centre, self.radii, strict=True)]
        z, y, x = np.ix_(*parts)
        distance = (np.sqrt(z**2 + y**2 + x**2) - 1) * min(self.radii)
        return self.contrast * np.clip(0.5 - distance / 0.2, 0, 1)


def random_cell(seed: int, width: float, depth: float) -> list[Ellipsoid]:
    """Draw a cell with a nucleus, a few granules and vacuoles, inside a box."""
    rng = np.random.default_rng([seed, 41])
    radii = np.array([depth * rng.uniform(0.3, 0.38), *(width * rng.uniform(0.26, 0.38, 2))])
    parts = [Ellipsoid(rng.uniform(0.018, 0.032), (0.0, 0.0, 0.0), _point(radii))]
    nucleus = radii * rng.uniform(0.35, 0.5)
    parts.append(Ellipsoid(rng.uniform(0.008, 0.016), _point(rng.uniform(-0.3, 0.3, 3) * radii), _point(nucleus)))
    for _ in range(int(rng.integers(5, 12))):
        radius = rng.uniform(0.25, 0.7, 3)
        contrast = float(rng.choice([0.02, 0.012, -0.012]))
        parts.append(Ellipsoid(contrast, _point(rng.uniform(-0.55, 0.55, 3) * radii), _point(radius)))
    return parts


def _point(values: Float[np.ndarray, " 3"]) -> tuple[float, float, float]:
    z, y, x = (float(value) for value in values)
    return z, y, x


def sample(parts: list[Ellipsoid], *axes: Float[np.ndarray, " n"]) -> Float[np.ndarray, "z y x"]:
    """Sample the contrast of a specimen on the product of three axes."""
    return np.asarray(sum(part.sample(*axes) for part in parts))


def spiral(views: int, largest: float) -> Float[np.ndarray, "view 2"]:
    """Spread directions (y, x) evenly over an aperture."""
    k = np.arange(views) + 0.5
    radius, angle = largest * np.sqrt(k / views), 2.399963 * k
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)


def images(
    parts: list[Ellipsoid], directions: Float[np.ndarray, "view 2"], pixels: int, depth: float, focus: float = 0.0
) -> Float[np.ndarray, "view y x"]:
    """Compute the images of a specimen, 1 where it is empty.

    Args:
        parts: The specimen.
        directions: n·sin θ of each view along (y, x).
        pixels: Side of the images.
        depth: Thickness of the specimen's box, whose middle is in focus.
        focus: Position of the focal plane.
    """
    side, layers = WIDTH * FINER * pixels, round(depth / STEP)
    pitch = PIXEL / FINER
    axes = ((np.arange(layers) - (layers - 1) / 2) * STEP, *([(np.arange(side) - side // 2) * pitch] * 2))
    contrast = sample(parts, *axes)
    potential = ((2 * np.pi / WAVELENGTH) ** 2 * STEP * ((MEDIUM + contrast) ** 2 - MEDIUM**2)).astype(np.float32)
    start = side // 2 - FINER * (pixels // 2)
    window = slice(start, start + FINER * pixels, FINER)
    return np.stack([_image(potential, na, pitch, focus)[window, window] for na in directions])


def _image(
    potential: Float[np.ndarray, "z y x"], na: Float[np.ndarray, " 2"], pitch: float, focus: float
) -> Float[np.ndarray, "y x"]:
    """Cross all layers, keep what goes forward, and focus it; everything is relative to the incident wave's phase."""
    frequency = np.fft.fftfreq(potential.shape[1], pitch)
    fy, fx = (frequency + na[0] / WAVELENGTH)[:, None], (frequency + na[1] / WAVELENGTH)[None, :]
    square = (MEDIUM / WAVELENGTH) ** 2 - fy**2 - fx**2
    travels = square > (0.05 * MEDIUM / WAVELENGTH) ** 2
    kz = 2 * np.pi * np.sqrt(np.where(travels, square, 1.0))
    cosine, sine = (travels * turn(kz * STEP) for turn in (np.cos, np.sin))
    wave = np.zeros(square.shape, np.complex64)
    wave[0, 0] = square.size
    slope = 1j * kz * wave
    wave, slope = _turn(wave, slope, kz, *(travels * turn(kz * STEP / 2) for turn in (np.cos, np.sin)))
    for layer in potential:
        slope = slope - scipy.fft.fft2(layer * scipy.fft.ifft2(wave.astype(np.complex64)))
        wave, slope = _turn(wave, slope, kz, cosine, sine)
    forward = (wave - 1j * slope / kz) / 2
    # The last step went half a layer too far.
    back = -(len(potential) / 2 + 0.5) * STEP + focus
    pupil = travels & (np.hypot(fy, fx) <= APERTURE / WAVELENGTH)
    return np.abs(scipy.fft.ifft2(pupil * forward * np.exp(1j * kz * back))) ** 2


def _turn(
    wave: Complex[np.ndarray, "y x"],
    slope: Complex[np.ndarray, "y x"],
    kz: Float[np.ndarray, "y x"],
    cosine: Float[np.ndarray, "y x"],
    sine: Float[np.ndarray, "y x"],
) -> tuple[Complex[np.ndarray, "y x"], Complex[np.ndarray, "y x"]]:
    return cosine * wave + sine / kz * slope, cosine * slope - kz * sine * wave
