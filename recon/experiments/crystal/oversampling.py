"""Where a diffraction pattern has its peak, and how finely it samples the crystal.

Arrays are (frame, y, x). Masked voxels count for nothing: every mean is taken over the good ones.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

Voxels = Float[np.ndarray, "frame y x"]
Good = Bool[np.ndarray, "frame y x"]
_NOISE = 4.0
"""Standard deviations of counting noise that an autocorrelation must exceed to belong to the crystal."""
_FAINT = 3e-3
"""Share of its maximum below which an autocorrelation does not count."""
_CLEAR = 0.02
"""Share of its maximum that an autocorrelation has at the array's edge only where the crystal is undersampled."""


def local_mean(counts: Voxels, good: Good, size: int = 3) -> Voxels:
    """Mean of the good voxels in a cube around each voxel; 0 where none is good.

    Args:
        counts: Counts; what is not good may be anything finite.
        good: Which voxels count.
        size: Edge of the cube in voxels.
    """
    from scipy.ndimage import uniform_filter

    total = uniform_filter(np.where(good, counts, 0).astype(np.float32), size, mode="constant")
    share = uniform_filter(good.astype(np.float32), size, mode="constant")
    return np.where(share > 0.5 / size**3, total / np.maximum(share, 0.5 / size**3), 0).astype(np.float64)


def find_brightest_peak(counts: Voxels, good: Good) -> tuple[int, int, int]:
    """Find the Bragg peak: the centre of mass of all that is at least half as bright as the brightest place.

    Args:
        counts: Counts.
        good: Which voxels count.

    Returns:
        Its nearest voxel (frame, y, x).
    """
    smooth = local_mean(counts, good)
    top = np.where(smooth >= 0.5 * smooth.max(), smooth, 0)
    # Far from the brightest voxel another particle may shine: the mean would fall between the two.
    brightest = np.unravel_index(int(np.argmax(top)), top.shape)
    near = tuple(slice(max(0, int(i) - 8), int(i) + 9) for i in brightest)
    part = top[near]
    grid = np.meshgrid(*(np.arange(s.start, s.start + n) for s, n in zip(near, part.shape, strict=True)), indexing="ij")
    frame, y, x = (round(float((axis * part).sum() / part.sum())) for axis in grid)
    return frame, y, x


def significance(counts: Voxels, good: Good) -> float:
    """How far the brightest cube of 3 voxels stands above the median one, in standard deviations of counting noise."""
    smooth = 27 * local_mean(counts, good)
    if not good.any():
        return 0.0
    level = float(np.median(smooth[good]))
    return (float(smooth.max()) - level) / float(np.sqrt(max(level, 1.0)))


@dataclass(frozen=True)
class Oversampling:
    """How finely a pattern samples its crystal, by the autocorrelation of the density.

    The autocorrelation, the Fourier transform of the intensity, is twice as wide as the crystal. It is measured where
    it stands out of the counting noise, so that faint edges are missed.

    Args:
        ratio: Size of the array over the width of the crystal along (frame, y, x): an upper limit.
        enough: Whether the autocorrelation has died away at the array's edge: at less than 2 it has not.
    """

    ratio: tuple[float, float, float]
    enough: tuple[bool, bool, bool]


def estimate_oversampling(counts: Voxels, good: Good) -> Oversampling:
    """Estimate how finely a pattern samples its crystal.

    Args:
        counts: Counts.
        good: Which voxels count; the others are taken as 0.
    """
    from scipy.fft import fftn
    from scipy.ndimage import label

    kept = np.where(good, counts, 0).astype(np.float32)
    total = max(float(kept.sum()), 1.0)
    correlation = np.fft.fftshift(np.abs(fftn(kept))) / total
    regions, _ = label(correlation > max(_FAINT, _NOISE / np.sqrt(total)))
    own = regions == regions[tuple(n // 2 for n in counts.shape)]
    ratio, enough = [], []
    for axis, count in enumerate(counts.shape):
        others = tuple(i for i in range(3) if i != axis)
        ratio.append(float(2 * count / (np.count_nonzero(own.any(axis=others)) + 1)))
        edge = float(correlation.max(axis=others)[0])
        enough.append(bool(edge < max(_CLEAR, 2 * _NOISE / np.sqrt(total))))
    return Oversampling((ratio[0], ratio[1], ratio[2]), (enough[0], enough[1], enough[2]))
