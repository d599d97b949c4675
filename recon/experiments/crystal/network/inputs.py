"""Input of the network from any measured array, and the network's densities on the conjugate grid of that array.

The network's box has `BOX` voxels along each edge. The size of a voxel is inverse to the extent of the array in q:
where the crystal is wider than the box, the outer voxels of the array are cropped, and the density is coarser; where
the array is smaller than the box, it is padded with voxels that count as unmeasured.

The input is amplitudes in units in which any crystal's density is about 1.

Notation
--------
w      width of the crystal along each axis [voxel]
V      expected volume of the crystal, `FILL_FRACTION`·Πw [voxel]
n      size of the array

The density is scaled so that Σ|ρ|² = V; then Σ|F|² = V·Πn. The widths come from the autocorrelation
(`oversampling.estimate_oversampling`), so that nothing has to be known of the crystal.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from .....physics.diffraction.far_field import AnyArray, fftshift3, ifftshift3
from ..oversampling import Good, Oversampling, Voxels, local_mean

SCALARS = 5
"""Number of scalars of a pattern: one for the counts, one for the mask, and one for the oversampling of each axis."""
FILL_FRACTION = 0.5
"""Fraction of its bounding box, of the edges w, that a crystal is expected to fill."""
_FACE_DEPTH = 2
"""[voxel] Depth of the layer at the array's faces in which the background is estimated."""
_MIN_COUNTS = 1e-9
"""Floor of the sum of the counts, so that an empty pattern has a finite scale."""


@dataclass(frozen=True)
class PatternInput:
    """Pattern in the network's units.

    Args:
        amplitude: √(counts − background)/scale, 0 where nothing was measured; in FFT order (origin at index 0).
        weight: 1 where a voxel was measured, else 0; in FFT order.
        scalars: log10(1 + Σ counts)/5 − 1, fraction of masked voxels, and oversampling/3 − 1 along (frame, y, x).
        scale: Factor from the network's density to that in √counts.
    """

    amplitude: Float[np.ndarray, "frame y x"]
    weight: Float[np.ndarray, "frame y x"]
    scalars: Float[np.ndarray, " 5"]
    scale: float


def normalize_pattern(counts: Voxels, good: Good, widths: Float[np.ndarray, " 3"]) -> PatternInput:
    """Subtract the background of a pattern and convert it to the network's units.

    Args:
        counts: Counts, centred on the peak; any finite value where they are not good.
        good: True where a voxel was measured.
        widths: [voxel] Widths of the crystal along (frame, y, x).
    """
    intensity = np.where(good, np.maximum(counts - _background(counts, good), 0), 0).astype(np.float64)
    volume = FILL_FRACTION * float(np.prod(widths))
    scale = float(np.sqrt(max(intensity.sum(), _MIN_COUNTS) / (volume * counts.size)))
    oversampling = np.array(counts.shape) / widths
    scalars = [np.log10(1 + counts[good].sum()) / 5 - 1, 1 - good.mean(), *(oversampling / 3 - 1)]
    return PatternInput(
        ifftshift3(np.sqrt(intensity) / scale).astype(np.float32),
        ifftshift3(good).astype(np.float32),
        np.array(scalars, np.float32),
        scale,
    )


def _background(counts: Voxels, good: Good) -> float:
    """Estimate the background by the mean count of the measured voxels at the array's faces, which it cannot exceed.

    It is 0 where no voxel of the faces was measured.
    """
    faces = np.ones(counts.shape, bool)
    faces[_FACE_DEPTH:-_FACE_DEPTH, _FACE_DEPTH:-_FACE_DEPTH, _FACE_DEPTH:-_FACE_DEPTH] = False
    faces &= good
    return float(counts[faces].mean()) if faces.any() else 0.0


BOX = 32
"""[voxel] Edge of the network's box, which holds the crystal."""
AUTOCORRELATION_BOX = 2 * BOX
"""[voxel] Edge of the box of the autocorrelation, which is twice as wide as the crystal."""
_MAX_WIDTH = 30.0
"""[voxel] Largest width of a crystal in the network's box, with a margin of a voxel on each side."""
_VISIBLE_WIDTH = 0.92
"""Fraction of a crystal's width that its autocorrelation shows above the noise: the mean over 48 simulated crystals,
from 0.85 at 1e5 counts to 0.94 at 1e8."""
_UNDERSAMPLED = 1.5
"""Oversampling that is assumed where the autocorrelation fills the array."""


@dataclass(frozen=True)
class ResampledPattern:
    """Measured array resampled for the network, and the inverse.

    Args:
        input: Resampled pattern.
        shape: Shape of the measured array.
        steps: [voxel] Shift along each axis that moved the brightest place to the middle.
    """

    input: PatternInput
    shape: tuple[int, int, int]
    steps: tuple[int, int, int]

    def to_conjugate_grid(self, densities: Complex[np.ndarray, "draw z y x"]) -> Complex[np.ndarray, "draw Z Y X"]:
        """Resample densities to the conjugate grid of the measured array.

        Args:
            densities: Densities in the network's box and units.

        Returns:
            Centred densities, scaled so that the moduli of their FFT are in √counts.
        """
        return np.stack([self._resample(density) for density in densities]).astype(np.complex64)

    def _resample(self, density: Complex[np.ndarray, "z y x"]) -> Complex[np.ndarray, "Z Y X"]:
        boxed = crop_or_pad(density * self.input.scale, self.input.amplitude.shape)
        field = crop_or_pad(fftshift3(np.fft.fftn(ifftshift3(boxed))), self.shape)
        field = np.roll(field, [-step for step in self.steps], axis=(0, 1, 2))
        return np.asarray(fftshift3(np.fft.ifftn(ifftshift3(field))))


def resample_pattern(counts: Voxels, good: Good, sampling: Oversampling) -> ResampledPattern:
    """Resample a measured array for the network.

    Args:
        counts: Counts, 0 where they are not good, with the peak about the middle.
        good: True where a voxel was measured.
        sampling: Oversampling of the crystal along each axis.
    """
    frame, y, x = counts.shape
    brightest = np.unravel_index(int(np.argmax(local_mean(counts, good))), counts.shape)
    steps = tuple(n // 2 - int(i) for n, i in zip(counts.shape, brightest, strict=True))
    shifted, measured = (_shift_with_zeros(array, steps) for array in (np.where(good, counts, 0), good))
    ratios = [
        _VISIBLE_WIDTH * r if ok else _UNDERSAMPLED
        for r, ok in zip(sampling.ratio, sampling.is_sufficient, strict=True)
    ]
    shape = tuple(_edge_of(n, ratio) for n, ratio in zip(counts.shape, ratios, strict=True))
    widths = np.array(shape) / np.array(ratios)
    return ResampledPattern(
        normalize_pattern(crop_or_pad(shifted, shape), crop_or_pad(measured, shape), widths), (frame, y, x), steps
    )


def crop_or_pad(array: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """Crop centred arrays, or pad them with zeros, so that their centre stays at ``n // 2``.

    Args:
        array: Array of numpy or jax; axes before the last ``len(shape)`` are a batch.
        shape: Shape of the result along the last axes.
    """
    batch = array.ndim - len(shape)
    crop, pad = [slice(None)] * batch, [(0, 0)] * batch
    for n, m in zip(array.shape[batch:], shape, strict=True):
        before = min(n // 2, m // 2)
        after = min(n - n // 2, m - m // 2)
        crop.append(slice(n // 2 - before, n // 2 + after))
        pad.append((m // 2 - before, m - m // 2 - after))
    cropped = array[tuple(crop)]
    return np.pad(cropped, pad) if isinstance(cropped, np.ndarray) else jnp.pad(cropped, pad)


def _edge_of(n: int, ratio: float) -> int:
    """Compute the edge of the resampled array: even, at least `BOX`, and such that the crystal fits into the box."""
    largest = 2 * int(_MAX_WIDTH * ratio / 2)
    return max(BOX, min(n + n % 2, largest))


def _shift_with_zeros(array: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Shift an array by whole voxels, with zeros from beyond its edges."""
    moved = np.roll(array, steps, axis=tuple(range(array.ndim)))
    for axis, step in enumerate(steps):
        planes = np.moveaxis(moved, axis, 0)
        if step > 0:
            planes[:step] = 0
        elif step < 0:
            planes[step:] = 0
    return moved
