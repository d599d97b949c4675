"""Peak of a diffraction pattern, and oversampling of the crystal.

Arrays are (frame, y, x). Masked voxels are ignored: every mean is taken over the good ones.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

Voxels = Float[np.ndarray, "frame y x"]
Good = Bool[np.ndarray, "frame y x"]
_NOISE = 4.0
"""Least autocorrelation of the crystal, in standard deviations of counting noise."""
_MIN_AUTOCORRELATION = 3e-3
"""Least autocorrelation of the crystal, relative to its maximum."""
_CLEAR = 0.02
"""Autocorrelation at the array's edge, relative to its maximum, above which the crystal is undersampled."""


def circular_extent(occupied: Bool[np.ndarray, " n"]) -> int:
    """Compute the length of the shortest interval of a periodic line that holds all occupied samples.

    An FFT has no edge: a crystal may lie across that of its array.

    Args:
        occupied: Mask of the occupied samples.
    """
    positions = np.flatnonzero(occupied)
    if not positions.size:
        return 0
    steps = np.diff(positions, append=positions[0] + len(occupied))
    return len(occupied) - int(steps.max()) + 1


def local_mean(counts: Voxels, good: Good, size: int = 3) -> Voxels:
    """Average the good voxels in a cube around each voxel, in float32; 0 where none is good.

    Args:
        counts: Counts; any finite value where they are not good.
        good: Mask of the voxels to use.
        size: [voxel] Edge of the cube.
    """
    from scipy.ndimage import uniform_filter

    mean = uniform_filter(np.where(good, counts, np.float32(0)).astype(np.float32, copy=False), size, mode="constant")
    fraction = uniform_filter(good.astype(np.float32), size, mode="constant")
    mean[fraction <= 0.5 / size**3] = 0
    mean /= np.maximum(fraction, np.float32(0.5 / size**3), out=fraction)
    return np.asarray(mean)


def find_brightest_peak(counts: Voxels, good: Good) -> tuple[int, int, int]:
    """Find the brightest peak: the centre of mass of all that is at least half as bright as its maximum.

    Args:
        counts: Counts.
        good: Mask of the voxels to use.

    Returns:
        Index (frame, y, x) of the nearest voxel.
    """
    smooth = local_mean(counts, good)
    top = np.where(smooth >= 0.5 * smooth.max(), smooth, np.float32(0))
    # Another particle may be as bright, far from the maximum: the mean would lie between the two.
    brightest = np.unravel_index(int(np.argmax(top)), top.shape)
    near = tuple(slice(max(0, int(i) - 8), int(i) + 9) for i in brightest)
    part = top[near]
    grid = np.meshgrid(*(np.arange(s.start, s.start + n) for s, n in zip(near, part.shape, strict=True)), indexing="ij")
    frame, y, x = (round(float((axis * part).sum() / part.sum())) for axis in grid)
    return frame, y, x


def fill_masked(counts: Voxels, good: Good) -> Voxels:
    """Replace masked voxels by the mean of the good ones around, in growing cubes until there are any."""
    filled, known = np.where(good, counts, np.float32(0)), good
    for size in (5, 9, 17):
        if known.all():
            break
        mean = local_mean(filled, known, size)
        # Means fall off towards the middle of a hole: voxels far from good ones are taken to be brighter.
        filled = np.where(known, filled, np.float32(1.5) * mean)
        known = known | (mean > 0)
    return filled


def masked_share(counts: Voxels, good: Good) -> float:
    """Estimate the share of all counts that masked voxels hide of the peak, by the good ones around them."""
    if good.all() or not good.any():
        return 0.0
    counts = counts.astype(np.float32)
    background = np.median(local_mean(counts, good)[good])  # Planes beyond the data hide nothing else.
    hidden = max(float(fill_masked(counts - background, good).sum(where=~good, dtype=np.float64)), 0.0)
    return hidden / max(float(counts.sum(where=good, dtype=np.float64)) + hidden, 1.0)


def significance(counts: Voxels, good: Good) -> float:
    """Compute the excess of the brightest 3 x 3 x 3 cube over the median, in standard deviations of counting noise."""
    if not good.any():
        return 0.0
    smooth = 27 * local_mean(counts, good)
    level = float(np.median(smooth[good]))
    return (float(smooth.max()) - level) / float(np.sqrt(max(level, 1.0)))


@dataclass(frozen=True)
class Oversampling:
    """Oversampling of a crystal by its pattern, from the autocorrelation of the density.

    The autocorrelation, the Fourier transform of the intensity, is twice as wide as the crystal. It is measured where
    it exceeds the counting noise, so that faint edges are missed.

    Args:
        ratio: Upper limit of the size of the array over the width of the crystal along (frame, y, x).
        is_sufficient: Whether the autocorrelation vanishes at the array's edge along each axis; below 2 it does not.
    """

    ratio: tuple[float, float, float]
    is_sufficient: tuple[bool, bool, bool]


def estimate_oversampling(counts: Voxels, good: Good) -> Oversampling:
    """Estimate the oversampling of a crystal by its pattern.

    Args:
        counts: Counts.
        good: Mask of the voxels to use; the others are taken as 0.
    """
    from scipy.fft import fftn
    from scipy.ndimage import label

    values = np.where(good, counts, 0).astype(np.float32)
    total = max(float(values.sum(dtype=np.float64)), 1.0)
    correlation = np.fft.fftshift(np.abs(fftn(values))) / total
    regions, _ = label(correlation > max(_MIN_AUTOCORRELATION, _NOISE / np.sqrt(total)))
    central = regions == regions[tuple(n // 2 for n in counts.shape)]
    ratio, sufficient = [], []
    for axis, count in enumerate(counts.shape):
        others = tuple(i for i in range(3) if i != axis)
        ratio.append(float(2 * count / (np.count_nonzero(central.any(axis=others)) + 1)))
        edge = float(correlation.max(axis=others)[0])
        sufficient.append(bool(edge < max(_CLEAR, 2 * _NOISE / np.sqrt(total))))
    return Oversampling((ratio[0], ratio[1], ratio[2]), (sufficient[0], sufficient[1], sufficient[2]))
