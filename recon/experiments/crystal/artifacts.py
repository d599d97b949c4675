"""Artifacts of a diffraction pattern: hot pixels, and speckle of other particles (aliens).

A crystal that is oversampled at least twice has no spot of one pixel: the neighbours of a maximum hold at least 4/π² of
it. Its far field is centrosymmetric but for its strain, |F(q)| = |F(−q)| for a real density (Friedel), and strain makes
one side brighter than the other by some factor, not by orders of magnitude.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from .oversampling import Good, Voxels, find_brightest_peak, local_mean

Frame = Float[np.ndarray, "y x"]
GoodFrame = Bool[np.ndarray, "y x"]
HOT_RATIO = 6.0
"""Least ratio of a hot pixel to the brightest of its neighbours in the frame; diffraction reaches about 2.5."""
ALIEN_RATIO = 30.0
"""Least ratio of a region to the surroundings of its mirror image through the peak."""
_EDGE_RATIO = 6.0
"""Least such ratio of the faint surroundings that are masked with a region."""
HOT_SIGMAS = 8.0
"""Least excess of a hot pixel over its neighbours, in standard deviations of counting noise."""
_MIN_COUNTS = 60.0
"""Least counts in 27 voxels of a region."""
_REPEATED, _REPEATED_SHARE = 3, 0.05
"""Number and fraction of the frames from which a hot pixel is taken to be hot in all."""
_APART = 4.0
"""Least ratio of a region to the saddle between it and the peak: flares of facets are ridges of the peak."""
_PEAK_RADIUS = 0.12
"""Distance from the peak, relative to the array's size, within which no region is an alien."""
_PEAK_EXTENT = 256
"""Largest size of an array by which that distance is measured: a peak is no wider on a larger detector."""


@dataclass(frozen=True)
class Region:
    """Connected region of voxels.

    Args:
        centre: Index of the mean voxel (frame, y, x).
        voxels: Number of voxels.
        counts: Sum of the counts.
        indices: Indices of the voxels along (frame, y, x).
    """

    centre: tuple[int, int, int]
    voxels: int
    counts: float
    indices: tuple[np.ndarray, ...]


def find_bragg_peak(
    counts: Voxels, good: Good, flux: Float[np.ndarray, " frame"] | None = None
) -> tuple[int, int, int]:
    """Find the Bragg peak, ignoring hot pixels.

    Args:
        counts: Counts.
        good: Mask of the voxels to use.
        flux: Relative flux of the beam in each frame, by which the counts are divided; None if it is steady.

    Returns:
        Index (frame, y, x) of the peak.
    """
    cold = good & ~find_hot_pixels(counts, good)
    return find_brightest_peak(counts / _by_frame(flux), cold if cold.any() else good)


def find_hot_pixels(
    counts: Voxels, good: Good, peak: tuple[int, int, int] | None = None
) -> Bool[np.ndarray, "frame y x"]:
    """Find pixels that are brighter than diffraction can be beside their neighbours, frame by frame.

    A pixel that is hot in several frames is hot in all, also where its neighbours are as bright.

    Args:
        counts: Counts.
        good: Mask of the voxels to use.
        peak: Index of the Bragg peak, which is excluded: it may be saturated or barely sampled.

    Returns:
        Mask of the hot pixels.
    """
    hot = np.zeros(counts.shape, bool)
    for marked, frame, usable in zip(hot, counts, good, strict=True):
        marked[hot_pixels_of_frame(np.where(usable, frame, 0).astype(np.float32), usable)] = True
    always = hot.sum(axis=0) >= least_frames_of_hot_pixel(len(hot))
    if peak is not None:
        near = tuple(slice(max(0, i - 2), i + 3) for i in peak)
        hot[near] = False
    hot |= always
    hot &= good
    return hot


def hot_pixels_of_frame(values: Frame, good: GoodFrame) -> tuple[np.ndarray, np.ndarray]:
    """Find the hot pixels of one frame, among those bright enough to be hot.

    Args:
        values: Counts; 0 where they are not good.
        good: Mask of the pixels to use.

    Returns:
        Rows and columns.
    """
    y, x = np.nonzero(values > HOT_SIGMAS)  # The least excess over neighbours without a count.
    brightest = np.zeros(y.size, values.dtype)
    comparable = np.zeros(y.size, bool)
    rows, columns = values.shape
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        v, u = y + dy, x + dx
        inside = (v >= 0) & (v < rows) & (u >= 0) & (u < columns)
        v, u = np.where(inside, v, 0), np.where(inside, u, 0)
        brightest = np.maximum(brightest, np.where(inside, values[v, u], 0))
        comparable |= inside & good[v, u]
    hot = (values[y, x] > HOT_RATIO * brightest + HOT_SIGMAS * np.sqrt(brightest + 1)) & comparable
    return y[hot], x[hot]


def least_frames_of_hot_pixel(frames: int) -> float:
    """Return the number of frames, of those of a scan, in which a pixel is hot that is hot in all."""
    return max(_REPEATED, _REPEATED_SHARE * frames)


def find_aliens(
    counts: Voxels, good: Good, peak: tuple[int, int, int], flux: Float[np.ndarray, " frame"] | None = None
) -> tuple[Bool[np.ndarray, "frame y x"], list[Region]]:
    """Find regions far brighter than their mirror image through the peak.

    Args:
        counts: Counts.
        good: Mask of the voxels to use.
        peak: Index of the Bragg peak, the centre of symmetry.
        flux: Relative flux of the beam in each frame, under which one photon stands for more or less; None if steady.

    Returns:
        Mask of the voxels, and the regions that they form; none where the mirror image was not measured.
    """
    from scipy.ndimage import label, maximum_filter

    photon = np.float32(1) / _by_frame(flux)
    bright = local_mean(counts * photon, good)
    bright *= 27
    comparable = _mirror(good, peak)
    reference = maximum_filter(_mirror(bright, peak), 5, mode="constant")
    reference += _mirror(np.broadcast_to(photon, counts.shape), peak)
    comparable &= good & _is_far(counts.shape, peak)
    least = _MIN_COUNTS * photon
    seeds = comparable & (bright > ALIEN_RATIO * reference) & (bright > least)
    if not seeds.any():
        return np.zeros(counts.shape, bool), []
    grown, _ = label(comparable & (bright > _EDGE_RATIO * reference) & (bright > least / 3))
    selected = np.isin(grown, np.unique(grown[seeds]))
    broad = local_mean(counts * photon, good, 5)
    regions = [region for region in _find_regions(selected & good, counts) if _is_apart(region, broad, peak)]
    alien = np.zeros(counts.shape, bool)
    for region in regions:
        alien[region.indices] = True
    return alien, regions


def _by_frame(flux: Float[np.ndarray, " frame"] | None) -> Float[np.ndarray, "frame 1 1"]:
    """Relative flux in float32, to divide the counts of each frame by; 1 if it is steady."""
    return np.ones((1, 1, 1), np.float32) if flux is None else flux.astype(np.float32)[:, None, None]


def _is_far(shape: tuple[int, ...], peak: tuple[int, int, int]) -> Good:
    """Mask the voxels that are too far from the peak to be its own flank."""
    lines = [((np.arange(n) - p) / min(n, _PEAK_EXTENT)) ** 2 for n, p in zip(shape, peak, strict=True)]
    along_frame, along_y, along_x = (line.astype(np.float32) for line in lines)
    return np.asarray(along_frame[:, None, None] + along_y[:, None] + along_x > _PEAK_RADIUS**2)


def _is_apart(region: Region, broad: Voxels, peak: tuple[int, int, int]) -> bool:
    """Whether a region is a separate peak, and not part of a ridge that leads to the Bragg peak."""
    from scipy.ndimage import label

    values = broad[region.indices]
    top = int(np.argmax(values))
    hills, _ = label(broad > values[top] / _APART)
    own = hills[tuple(int(axis[top]) for axis in region.indices)]
    return bool(own != hills[peak])


def _mirror(array: Voxels | Good, peak: tuple[int, int, int]) -> np.ndarray:
    """Reflect an array through the peak: its values at 2·peak − index; 0 where that lies outside."""
    out = np.zeros_like(array)
    source, target = [], []
    for n, p in zip(array.shape, peak, strict=True):
        low, high = max(0, 2 * p - n + 1), min(n, 2 * p + 1)
        target.append(slice(low, high))
        source.append(slice(2 * p - high + 1, 2 * p - low + 1))
    out[tuple(target)] = array[tuple(source)][::-1, ::-1, ::-1]
    return out


def _find_regions(mask: Bool[np.ndarray, "frame y x"], counts: Voxels) -> list[Region]:
    """List the connected parts of a mask, the brightest first."""
    from scipy.ndimage import label

    labels, number = label(mask, structure=np.ones((3, 3, 3)))
    regions = []
    for i in range(1, number + 1):
        indices = np.nonzero(labels == i)
        frame, y, x = (round(float(np.mean(axis))) for axis in indices)
        regions.append(Region((frame, y, x), len(indices[0]), float(counts[indices].sum()), indices))
    return sorted(regions, key=lambda region: -region.counts)
