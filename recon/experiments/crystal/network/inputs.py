"""Input of the network from any measured array, and densities from the network back on the measured array's grid.

The network seeks a crystal in a box of `BOX` voxels. A voxel is as fine as the array reaches in q: where the crystal
fills more voxels than the box has, the array's rim is left out, and the density is coarser; where the array is smaller
than the box, planes that were not measured are put around it.

The input is amplitudes in units in which any crystal's density is about 1.

Notation
--------
w      width of the crystal along each axis [voxel]
V      volume that is expected of it, half of its box [voxel]
n      size of the array

The density is scaled so that Σ|ρ|² = V; then Σ|F|² = V·Πn. The widths come from the autocorrelation
(`oversampling.estimate_oversampling`), so that nothing has to be known of the crystal.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from .....physics.diffraction.far_field import fftshift3, ifftshift3
from ..oversampling import Good, Oversampling, Voxels, local_mean

SCALARS = 5
"""Number of scalars of a pattern: counts, masked share, and the oversampling along each axis."""
FILL_FRACTION = 0.5
"""Share of its box that a crystal is taken to fill."""
_FACE_DEPTH = 2
"""Voxels at the array's faces in which the background is looked for."""
_MIN_COUNTS = 1e-9


@dataclass(frozen=True)
class PatternInput:
    """Pattern in the network's units.

    Args:
        amplitude: √ of the counts without background, scaled, 0 where nothing was measured; zero frequency first.
        weight: 1 where a voxel was measured, else 0; zero frequency first.
        scalars: Counts, masked share and oversampling (`SCALARS`).
        scale: Factor from the network's density to that in √counts.
    """

    amplitude: Float[np.ndarray, "frame y x"]
    weight: Float[np.ndarray, "frame y x"]
    scalars: Float[np.ndarray, " 5"]
    scale: float


def normalize_pattern(counts: Voxels, good: Good, widths: Float[np.ndarray, " 3"]) -> PatternInput:
    """Convert a pattern to the network's units.

    Args:
        counts: Counts, centred on the peak; any finite value where they are not good.
        good: True where a voxel was measured.
        widths: [voxel] Widths of the crystal along (frame, y, x).
    """
    light = np.where(good, np.maximum(counts - _background(counts, good), 0), 0).astype(np.float64)
    volume = FILL_FRACTION * float(np.prod(widths))
    scale = float(np.sqrt(max(light.sum(), _MIN_COUNTS) / (volume * counts.size)))
    oversampling = np.array(counts.shape) / widths
    scalars = [np.log10(1 + counts[good].sum()) / 5 - 1, 1 - good.mean(), *(oversampling / 3 - 1)]
    return PatternInput(
        ifftshift3(np.sqrt(light) / scale).astype(np.float32),
        ifftshift3(good).astype(np.float32),
        np.array(scalars, np.float32),
        scale,
    )


def _background(counts: Voxels, good: Good) -> float:
    """Mean count of the array's faces: an upper limit of the background."""
    faces = np.ones(counts.shape, bool)
    faces[_FACE_DEPTH:-_FACE_DEPTH, _FACE_DEPTH:-_FACE_DEPTH, _FACE_DEPTH:-_FACE_DEPTH] = False
    faces &= good
    return float(counts[faces].mean()) if faces.any() else 0.0


BOX = 32
"""Edge of the box of voxels in which the crystal is sought."""
AUTOCORRELATION_BOX = 2 * BOX
"""Edge of the box in which its autocorrelation lies."""
_MAX_WIDTH = 30.0
"""[voxel] Width of a crystal that the box holds with a margin."""
_VISIBLE_WIDTH = 0.92
"""Share of a crystal's width that its autocorrelation shows above the noise: the mean over 48 simulated crystals, from
0.85 at 1e5 counts to 0.94 at 1e8."""
_UNDERSAMPLED = 1.5
"""Oversampling that is assumed where the autocorrelation fills the array."""


@dataclass(frozen=True)
class ResampledPattern:
    """Measured array resampled for the network, and the inverse.

    Args:
        input: Resampled pattern.
        shape: Shape of the measured array.
        steps: Voxels by which it was rolled, to have its brightest place in the middle.
    """

    input: PatternInput
    shape: tuple[int, int, int]
    steps: tuple[int, int, int]

    def to_detector_grid(self, densities: Complex[np.ndarray, "draw z y x"]) -> Complex[np.ndarray, "draw Z Y X"]:
        """Resample densities to the grid conjugate to the measured array, in √counts, centred.

        Args:
            densities: Densities in the network's box and units.
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
    rolled, seen = (_shift_with_zeros(array, steps) for array in (np.where(good, counts, 0), good))
    ratios = [
        _VISIBLE_WIDTH * r if ok else _UNDERSAMPLED
        for r, ok in zip(sampling.ratio, sampling.is_sufficient, strict=True)
    ]
    shape = tuple(_edge_of(n, ratio) for n, ratio in zip(counts.shape, ratios, strict=True))
    widths = np.array(shape) / np.array(ratios)
    return ResampledPattern(
        normalize_pattern(crop_or_pad(rolled, shape), crop_or_pad(seen, shape), widths), (frame, y, x), steps
    )


def crop_or_pad(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Cut a centred array, or put zeros around it, so that it has a shape and its centre stays at ``n // 2``."""
    result = np.zeros(shape, array.dtype)
    source, target = [], []
    for n, m in zip(array.shape, shape, strict=True):
        before = min(n // 2, m // 2)
        after = min(n - n // 2, m - m // 2)
        source.append(slice(n // 2 - before, n // 2 + after))
        target.append(slice(m // 2 - before, m // 2 + after))
    result[tuple(target)] = array[tuple(source)]
    return result


def _edge_of(n: int, ratio: float) -> int:
    """Edge of the array along one axis: even, at least the box, and so that the crystal fits into the box."""
    most = 2 * int(_MAX_WIDTH * ratio / 2)
    return max(BOX, min(n + n % 2, most))


def _shift_with_zeros(array: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Move an array by whole voxels, with zeros from beyond its edges."""
    moved = np.roll(array, steps, axis=tuple(range(array.ndim)))
    for axis, step in enumerate(steps):
        planes = np.moveaxis(moved, axis, 0)
        if step > 0:
            planes[:step] = 0
        elif step < 0:
            planes[step:] = 0
    return moved
