"""Augmented examples: a simulated crystal rotated, exposed and masked at random.

The 48 symmetries of the cube, the counts, the point-spread function, the background and the mask are drawn anew each
time, so that no two examples of a crystal are alike.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy.ndimage import gaussian_filter

from ....phase_retrieval.holdout import free_pixels
from .inputs import BOX, FILL_FRACTION, PatternInput, normalize_pattern
from .simulated_data import TrainingCrystal

COUNTS = (1e4, 1e9)
"""Range of the diffracted counts."""
_BRIGHT = 20.0
"""Mean counts above which counting noise is as good as normal."""
_BLURRED, _DARK_BACKGROUND = 0.7, (1e-3, 0.3)
_GAP, _PARTIAL, _STOP = 0.15, 0.10, 0.07
"""Fractions of patterns with a gap, with up to a third of the planes of an axis missing, and with a hidden centre."""
_VALIDATED, _WITHHELD = 0.7, 0.05
"""Fraction of patterns of which islands of pixels are withheld for validation, and fraction of their pixels."""
_OFF_CENTRE = 0.3
"""Fraction of patterns that are centred a voxel beside their brightest one."""
_WIDTHS_ERROR = 0.07
"""Relative error of the widths that a pattern's autocorrelation gives."""


class CrystalExample(NamedTuple):
    """Pattern and density of a crystal; a batch of them has a leading axis.

    Args:
        amplitude: Amplitudes (`PatternInput`).
        weight: Weights (`PatternInput`).
        scalars: Scalars (`PatternInput`).
        density: True density, in the box, in the network's units.
    """

    amplitude: Float[np.ndarray, "frame y x"]
    weight: Float[np.ndarray, "frame y x"]
    scalars: Float[np.ndarray, " scalar"]
    density: Complex[np.ndarray, "z y x"]


def make_example(rng: np.random.Generator, crystal: TrainingCrystal) -> CrystalExample:
    """Simulate a measurement of a crystal in a random orientation, exposure and mask."""
    crystal = rotate_crystal(rng, crystal)
    if rng.random() < _OFF_CENTRE:
        crystal = shift_pattern(rng.integers(-1, 2, 3), crystal)
    total = float(np.exp(rng.uniform(*np.log(COUNTS))))
    counts, good = simulate_counts(rng, crystal.modulus, total), draw_mask(rng, crystal.modulus.shape)
    widths = crystal.widths * (1 + _WIDTHS_ERROR * rng.standard_normal(3))
    return pair_with_density(normalize_pattern(np.where(good, counts, 0), good, widths), crystal, widths)


def pair_with_density(
    pattern: PatternInput, crystal: TrainingCrystal, widths: Float[np.ndarray, " 3"]
) -> CrystalExample:
    """Pair a pattern with the crystal's density, in the same units."""
    power = float(np.sum(np.abs(crystal.density) ** 2))
    density = crystal.density * np.sqrt(FILL_FRACTION * float(np.prod(widths)) / power)
    return CrystalExample(pattern.amplitude, pattern.weight, pattern.scalars, density.astype(np.complex64))


def rotate_crystal(rng: np.random.Generator, crystal: TrainingCrystal) -> TrainingCrystal:
    """Apply one of the 48 symmetries of the cube; the pattern turns as the crystal does."""
    order, flips = rng.permutation(3), [axis for axis in range(3) if rng.random() < 0.5]
    modulus, density = crystal.modulus.transpose(order), crystal.density.transpose(order)
    for axis in flips:  # About index n // 2, where the centre is.
        modulus = np.roll(np.flip(modulus, axis), 1, axis)
        density = np.roll(np.flip(density, axis), 1, axis)
    return TrainingCrystal(modulus, density, crystal.widths[order], crystal.strain)


def shift_pattern(steps: np.ndarray, crystal: TrainingCrystal) -> TrainingCrystal:
    """Roll the pattern by whole voxels: the density gets a ramp of phase."""
    modulus, density = np.roll(crystal.modulus, steps, axis=(0, 1, 2)), crystal.density
    for axis, (step, n) in enumerate(zip(steps, modulus.shape, strict=True)):
        ramp = np.exp(2j * np.pi * step * (np.arange(BOX) - BOX // 2) / n)
        density = density * ramp.reshape([-1 if i == axis else 1 for i in range(3)])
    density = density * np.exp(-1j * np.angle(density.sum()))
    return TrainingCrystal(modulus, density.astype(np.complex64), crystal.widths, crystal.strain)


def simulate_counts(
    rng: np.random.Generator, modulus: Float[np.ndarray, "f y x"], total: float
) -> Float[np.ndarray, "f y x"]:
    """Simulate the counts of a pattern, with blur and background at random.

    Args:
        rng: Generator of blur, background and counting noise.
        modulus: Modulus of the far field.
        total: Number of diffracted counts.
    """
    mean = modulus.astype(np.float32) ** 2
    if rng.random() < _BLURRED:
        mean = gaussian_filter(mean, rng.uniform(0.2, 0.7, 3), mode="wrap", truncate=3)
    mean *= total / float(mean.sum())
    if rng.random() < _BLURRED:
        mean += np.exp(rng.uniform(*np.log(_DARK_BACKGROUND)))
    counts = mean + np.sqrt(mean) * rng.standard_normal(mean.shape, dtype=np.float32)
    faint = mean < _BRIGHT
    counts[faint] = rng.poisson(mean[faint])
    return np.maximum(counts, 0).astype(np.float32)


def draw_mask(rng: np.random.Generator, shape: tuple[int, ...]) -> Bool[np.ndarray, "f y x"]:
    """Draw the mask of the measured pixels of a pattern: a gap, missing planes, a hidden centre, withheld islands."""
    good, kind = np.ones(shape, bool), rng.random()
    axis = int(rng.integers(3))
    planes = np.moveaxis(good, axis, 0)
    if kind < _GAP:
        width = int(rng.integers(1, 5))
        first = int(rng.integers(0, len(planes) - width))
        planes[first : first + width] = False
    elif kind < _GAP + _PARTIAL:
        missing = int(rng.integers(2, len(planes) // 3 + 1))
        before = (0, missing // 2, missing)[int(rng.integers(3))]
        planes[:before] = False
        planes[len(planes) - missing + before :] = False
    elif kind < _GAP + _PARTIAL + _STOP:
        radius = int(rng.integers(1, 3))
        good[tuple(slice(n // 2 - radius, n // 2 + radius + 1) for n in shape)] = False
    if rng.random() < _VALIDATED:
        good &= ~free_pixels(good.astype(np.float32), _WITHHELD, int(rng.integers(2**31)))
    return good
