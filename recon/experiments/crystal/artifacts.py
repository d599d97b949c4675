"""What in a diffraction pattern is not the crystal's: hot pixels, and speckle of other particles.

A crystal that is sampled at least twice as finely as needed cannot make a spot of one pixel: the neighbours of a
maximum hold at least 4/π² of it. And its far field is centrosymmetric but for its strain, which makes one side
brighter than the other by some factor, not by orders of magnitude: |F(q)| = |F(−q)| for a real density (Friedel).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from .oversampling import Good, Voxels, find_brightest_peak, local_mean

HOT_RATIO = 6.0
"""Times that a pixel must exceed the brightest of its neighbours in the frame; diffraction allows about 2.5."""
ALIEN_RATIO = 30.0
"""Times that a region must exceed all that lies around its mirror image through the peak."""
_EDGE_RATIO = 6.0
"""The same, for the region's faint surroundings that are masked with it."""
_SIGMAS = 8.0
_LEAST = 60.0
"""Counts in 27 voxels from which a region may be judged."""
_REPEATED, _REPEATED_SHARE = 3, 0.05
"""Frames, and share of them, in which a pixel that is hot in all must have been found so."""
_APART = 4.0
"""Times that a region must exceed the saddle between it and the peak: flares of facets are ridges of the peak."""
_NEAR = 0.12
"""Distance from the peak, as a share of the array's size, within which nothing is judged."""


@dataclass(frozen=True)
class Region:
    """Voxels that belong together.

    Args:
        centre: Their middle (frame, y, x).
        voxels: How many.
        counts: What they hold.
        where: Their indices along (frame, y, x).
    """

    centre: tuple[int, int, int]
    voxels: int
    counts: float
    where: tuple[np.ndarray, ...]


def find_bragg_peak(counts: Voxels, good: Good) -> tuple[int, int, int]:
    """Find the Bragg peak among pixels that are brighter than it.

    Args:
        counts: Counts.
        good: Which voxels count.
    """
    cold = good & ~find_hot_pixels(counts, good)
    return find_brightest_peak(counts, cold if cold.any() else good)


def find_hot_pixels(
    counts: Voxels, good: Good, peak: tuple[int, int, int] | None = None
) -> Bool[np.ndarray, "frame y x"]:
    """Find pixels that are brighter than diffraction can be beside such neighbours, each frame by itself.

    A pixel that is hot in several frames is hot in all, also where its neighbours are as bright.

    Args:
        counts: Counts.
        good: Which voxels count.
        peak: The Bragg peak; a saturated or barely sampled one is not judged.
    """
    from scipy.ndimage import maximum_filter

    kept = np.where(good, counts, 0).astype(np.float32)
    around = np.ones((1, 3, 3), bool)
    around[0, 1, 1] = False
    brightest = maximum_filter(kept, footprint=around, mode="constant")
    hot = good & (kept > HOT_RATIO * brightest + _SIGMAS * np.sqrt(brightest + 1))
    # Where all neighbours are masked there is nothing to judge by.
    seen = maximum_filter(good, footprint=around, mode="constant")
    hot &= seen
    always = hot.sum(axis=0) >= max(_REPEATED, _REPEATED_SHARE * len(hot))
    if peak is not None:
        near = tuple(slice(max(0, i - 2), i + 3) for i in peak)
        hot[near] = False
    return np.asarray((hot | always) & good)


def find_aliens(
    counts: Voxels, good: Good, peak: tuple[int, int, int]
) -> tuple[Bool[np.ndarray, "frame y x"], list[Region]]:
    """Find regions far brighter than their mirror image through the peak.

    Args:
        counts: Counts.
        good: Which voxels count.
        peak: The Bragg peak, the centre of symmetry.

    Returns:
        The voxels, and the regions that they form. Where the mirror image was not measured nothing is judged.
    """
    from scipy.ndimage import label, maximum_filter

    bright = 27 * local_mean(counts, good)
    mirror, judged = _mirrored(bright, peak), _mirrored(good.astype(np.float64), peak) > 0
    against = maximum_filter(mirror, 5, mode="constant") + 1.0
    distance = sum(
        ((np.arange(n) - p) / n).reshape([-1 if i == axis else 1 for i in range(3)]) ** 2
        for axis, (n, p) in enumerate(zip(counts.shape, peak, strict=True))
    )
    judged &= good & (distance > _NEAR**2)
    seeds = judged & (bright > ALIEN_RATIO * against) & (bright > _LEAST)
    if not seeds.any():
        return np.zeros(counts.shape, bool), []
    grown, _ = label(judged & (bright > _EDGE_RATIO * against) & (bright > _LEAST / 3))
    found = np.isin(grown, np.unique(grown[seeds]))
    broad = local_mean(counts, good, 5)
    regions = [region for region in _regions(found & good, counts) if _is_apart(region, broad, peak)]
    alien = np.zeros(counts.shape, bool)
    for region in regions:
        alien[region.where] = True
    return alien, regions


def _is_apart(region: Region, broad: Voxels, peak: tuple[int, int, int]) -> bool:
    """Whether a region is a peak of its own, and no part of a ridge that leads to the Bragg peak."""
    from scipy.ndimage import label

    values = broad[region.where]
    top = int(np.argmax(values))
    hills, _ = label(broad > values[top] / _APART)
    own = hills[tuple(int(axis[top]) for axis in region.where)]
    return bool(own != hills[peak])


def _mirrored(array: Voxels, peak: tuple[int, int, int]) -> Voxels:
    """The array at 2·peak − index; 0 where that lies outside."""
    out = np.zeros_like(array)
    source, target = [], []
    for n, p in zip(array.shape, peak, strict=True):
        low, high = max(0, 2 * p - n + 1), min(n, 2 * p + 1)
        target.append(slice(low, high))
        source.append(slice(2 * p - high + 1, 2 * p - low + 1))
    out[tuple(target)] = array[tuple(source)][::-1, ::-1, ::-1]
    return out


def _regions(mask: Bool[np.ndarray, "frame y x"], counts: Voxels) -> list[Region]:
    """List the connected parts of a mask, the brightest first."""
    from scipy.ndimage import label

    labels, number = label(mask, structure=np.ones((3, 3, 3)))
    found = []
    for i in range(1, number + 1):
        where = np.nonzero(labels == i)
        frame, y, x = (round(float(np.mean(axis))) for axis in where)
        found.append(Region((frame, y, x), len(where[0]), float(counts[where].sum()), where))
    return sorted(found, key=lambda region: -region.counts)
