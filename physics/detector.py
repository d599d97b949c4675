"""Detectors: noisy counts of a camera, and of a detector in a crystal's far field.

A camera adds the noise of photons and of read-out,

    counts = gain · (Poisson(photons · I + background) + Normal(0, read_noise²))

I is the intensity relative to an empty field. Mean and variance of the counts are gain·(photons·I + background) and
gain²·(photons·I + background + read_noise²).

A pattern of a crystal has the artifacts of real data too,

    counts = min(Poisson(s · |F|² ⊛ psf + aliens + background) + hot pixels, saturation), and 0 in the gaps.

Patterns are (frame, y, x), centred. The scale s sets the sum or the peak of the diffracted counts; √s·ρ is the density
whose |FFT|² is in counts.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float, UInt8
from scipy import ndimage

from .phantoms.crystals.crystal import far_field
from .phantoms.crystals.random_crystal import random_crystal
from .phantoms.random import Seed, generator
from .psf import convolve_gaussian_exact


class DetectorError(ValueError):
    """Numbers that describe no detector."""


@dataclass(frozen=True)
class Detector:
    """Camera with photon and read-out noise.

    Args:
        photons: [photons] Photons detected by each pixel without a specimen; None for a camera without noise.
        read_noise: [electrons] Standard deviation of the read-out.
        background: [electrons] Stray light and dark current per pixel.
        gain: [counts] Counts per electron.

    Raises:
        DetectorError: If a number is negative, or the photons or the gain are zero.
    """

    photons: float | int | None = None
    read_noise: float | int = 0.0
    background: float | int = 0.0
    gain: float | int = 1.0

    def __post_init__(self) -> None:
        for name, value in (("photons", self.photons), ("gain", self.gain)):
            if value is not None and not value > 0:
                raise DetectorError(f"{name} {value:g} is not positive")
        for name, value in (("read noise", self.read_noise), ("background", self.background)):
            if not value >= 0:
                raise DetectorError(f"{name} {value:g} is negative")

    @property
    def scale(self) -> float:
        """[counts] Counts of intensity 1, without the background."""
        return self.gain * (1.0 if self.photons is None else self.photons)

    def expose(self, intensity: Float[np.ndarray, "*shape"], rng: np.random.Generator) -> Float[np.ndarray, "*shape"]:
        """Take images.

        Args:
            intensity: Intensity relative to an empty field, at least 0.
            rng: Random number generator.

        Returns:
            Counts, in float32. A read-out below zero is clipped to zero, as in a camera without an offset.
        """
        if self.photons is None:
            return (self.gain * (intensity + self.background)).astype(np.float32)
        electrons = rng.poisson(self.photons * intensity.astype(np.float64) + self.background).astype(np.float64)
        if self.read_noise > 0:
            electrons += rng.normal(0, self.read_noise, intensity.shape)
        return np.maximum(self.gain * electrons, 0).astype(np.float32)


Gap = tuple[int, int, int]
"""Region that is not measured: axis (0 frame, 1 y, 2 x), first index, and index after the last."""


@dataclass(frozen=True)
class Exposure:
    """Exposure of a diffraction pattern.

    Args:
        total: [counts] Mean sum of the diffracted counts; None where ``peak`` is given.
        peak: [counts] Mean diffracted counts of the brightest pixel, before the point-spread function; None where
            ``total`` is given.
        background: [counts] Background in each pixel.
        sigmas: [pixel] Standard deviations of the point-spread function along (frame, y, x).
        saturation: [counts] Largest counts of a pixel; None for no limit.
        gaps: Regions that are not measured: gaps of the detector, missing frames.
        hot_pixels: Number of pixels that count without light, in every frame.
        aliens: Number of other particles that scatter onto the detector.
        alien_share: Diffracted counts of each alien, relative to the crystal's.

    Raises:
        DetectorError: If the numbers describe no measurement.
    """

    total: float | None = 1e6
    peak: float | None = None
    background: float = 0.0
    sigmas: tuple[float, float, float] = (0.0, 0.0, 0.0)
    saturation: float | None = None
    gaps: tuple[Gap, ...] = ()
    hot_pixels: int = 0
    aliens: int = 0
    alien_share: float = 0.02

    def __post_init__(self) -> None:
        given = [value for value in (self.total, self.peak) if value is not None]
        if len(given) != 1 or not given[0] > 0:
            raise DetectorError(f"total {self.total} and peak {self.peak}: give one of them, and positive")
        for name in ("background", "hot_pixels", "aliens", "alien_share"):
            if not getattr(self, name) >= 0:
                raise DetectorError(f"{name} {getattr(self, name):g} is negative")
        if not min(self.sigmas) >= 0 or (self.saturation is not None and not self.saturation > 0):
            raise DetectorError(f"sigmas {self.sigmas} or saturation {self.saturation}: no such detector")
        for axis, first, last in self.gaps:
            if axis not in (0, 1, 2) or not 0 <= first < last:
                raise DetectorError(f"gap {(axis, first, last)}: give the axis (0, 1, 2), its first index and its end")


@dataclass(frozen=True)
class ExposedScan:
    """Pattern with its truth.

    Args:
        counts: Measured counts; 0 where nothing is measured.
        mask: 0 for good pixels, 1 in a gap or saturated; hot pixels and aliens are not masked.
        modelled: Mean counts of the crystal, with the point-spread function and the background.
        scale: s: the density in units of √counts is √s times the crystal's.
        hot: True for hot pixels.
        aliens: Mean counts of the aliens.
    """

    counts: Float[np.ndarray, "frame y x"]
    mask: UInt8[np.ndarray, "frame y x"]
    modelled: Float[np.ndarray, "frame y x"]
    scale: float
    hot: Bool[np.ndarray, "frame y x"]
    aliens: Float[np.ndarray, "frame y x"]


def expose_scan(field: Complex[np.ndarray, "frame y x"], exposure: Exposure, seed: Seed) -> ExposedScan:
    """Simulate the detection of a pattern.

    Args:
        field: Far field of a crystal in any unit (`crystal.far_field`), centred.
        exposure: Exposure and artifacts.
        seed: Seed or random number generator, of the noise and of the artifacts.
    """
    rng = generator(seed)
    coherent = np.abs(field).astype(np.float64) ** 2
    scale = float(exposure.total / coherent.sum() if exposure.total is not None else exposure.peak / coherent.max())
    modelled = convolve_gaussian_exact(scale * coherent, exposure.sigmas)
    aliens = _simulate_aliens(rng, exposure, scale * float(coherent.sum()), modelled.shape)
    counts = Detector(photons=1.0, background=exposure.background).expose(modelled + aliens, rng).astype(np.float64)
    hot = _draw_hot_pixels(rng, exposure.hot_pixels, modelled.shape)
    counts += np.where(hot, rng.poisson(_draw_hot_level(rng, hot)), 0)
    mask = np.zeros(modelled.shape, np.uint8)
    if exposure.saturation is not None:
        mask[counts >= exposure.saturation] = 1
        counts = np.minimum(counts, exposure.saturation)
    for axis, first, last in exposure.gaps:
        missing = (slice(None),) * axis + (slice(first, last),)
        counts[missing], mask[missing] = 0, 1
    single = np.float32
    return ExposedScan(
        counts.astype(single), mask, (modelled + exposure.background).astype(single), scale, hot, aliens.astype(single)
    )


def _simulate_aliens(
    rng: np.random.Generator, exposure: Exposure, diffracted: float, shape: tuple[int, ...]
) -> Float[np.ndarray, "frame y x"]:
    """Simulate the mean counts of other particles, whose peaks lie beside the middle."""
    total = np.zeros(shape)
    frames, height, width = shape
    for _ in range(exposure.aliens):
        particle = random_crystal(rng, radius=rng.uniform(0.06, 0.2) * min(shape), strains=("waves",))
        pattern = np.abs(far_field(particle, np.eye(3), (frames, height, width), fineness=1)).astype(np.float64) ** 2
        direction = rng.normal(size=3)
        offset = rng.uniform(0.2, 0.4) * np.array(shape) * direction / np.abs(direction).max()
        shifted = ndimage.shift(pattern, np.round(offset), order=0)
        total += exposure.alien_share * diffracted * convolve_gaussian_exact(shifted / shifted.sum(), exposure.sigmas)
    return total


def _draw_hot_pixels(rng: np.random.Generator, number: int, shape: tuple[int, ...]) -> Bool[np.ndarray, "frame y x"]:
    """Draw the hot pixels, the same in every frame."""
    pixels = np.zeros(shape[1] * shape[2], bool)
    pixels[rng.permutation(pixels.size)[:number]] = True
    return np.broadcast_to(pixels.reshape(shape[1:]), shape).copy()


def _draw_hot_level(rng: np.random.Generator, hot: Bool[np.ndarray, "frame y x"]) -> Float[np.ndarray, "1 y x"]:
    """Draw the mean counts of each hot pixel."""
    level: Float[np.ndarray, "1 y x"] = np.exp(rng.uniform(np.log(10), np.log(1e4), (1, *hot.shape[1:])))
    return level
