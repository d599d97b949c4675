"""Dark level of a camera whose file does not describe it, estimated from the noise of whole-number counts.

Photon noise has the variance gain · (counts - dark level): where it is drawn against the counts, the line meets zero at
the dark level. Read-out noise, and structure finer than a few pixels, raise the line and hide a dark level; a fixed
pattern of the pixels' gain, which would feign one, is common to all views and subtracted.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy import ndimage

from ...acquisition import Acquisition
from .camera import good_pixels
from .schema import PATHS

_KERNEL = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0]) / 6
"""Filter whose output has the variance of white noise, and nothing of a smooth image."""
_VIEWS, _EDGE, _BINS = 24, 384, 12
"""Number of views and their edge in pixels that the estimate needs at most; bins of counts."""
_FEWEST_VIEWS = 4
_COARSEST = 1.5
"""[count] Least standard deviation of noise that rounding to whole numbers leaves as it is."""
_REACH = 3.0
"""Standard deviations beyond which a pixel shows fine structure, and not noise."""
_INNER_VARIANCE = 0.9733
"""Variance of a normal distribution that is cut off at that reach."""
_SURE = 3.0
"""Standard errors by which a dark level must exceed the least one that is told."""
_OPEN_SHARE = 0.15
"""Dark level relative to the counts up to which none needs to be excluded."""
_LOWEST = 0.1
"""[%] Percentile of the counts that no dark level exceeds."""
_FEWEST_LEVELS = 16
_LEAST_SHARE = 0.05
"""Dark level relative to the counts below which it does little harm."""


@dataclass(frozen=True)
class DarkLevel:
    """Estimate of a camera's dark level.

    Args:
        counts: [count] The level.
        error: [count] Standard error, from the scatter of the views.
        typical: [count] Median of the images.
    """

    counts: float
    error: float
    typical: float

    @property
    def is_sure(self) -> bool:
        """Whether the level surely harms: above a share of the counts by more than chance."""
        return self.counts - _SURE * self.error > _LEAST_SHARE * self.typical


def dark_level_warnings(acquisition: Acquisition) -> list[str]:
    """Describe a dark level that the noise of counts shows, or leaves open, and the file does not describe.

    Args:
        acquisition: Raw counts, before `correct_camera`.
    """
    if "images" not in acquisition or "dark" in acquisition or not _are_counts(acquisition["images"]):
        return []
    images, where = acquisition["images"], acquisition.place("images", PATHS)
    level = estimate_dark_level(images, good_pixels(acquisition, "images"))
    if level is not None and level.is_sure:
        return [
            f"{where}: the noise vanishes at {level.counts:.0f} ± {level.error:.0f} counts, not at 0: that looks like "
            f"the dark level of the camera, which takes about {level.counts / level.typical:.0%} of the contrast; "
            "measure it without light, and give it as acquisition.dark (0 if the counts have none)"
        ]
    some = images[:: max(len(images) // _VIEWS, 1)]
    typical, highest = float(np.median(some)), float(np.percentile(some, _LOWEST))
    if level is not None:
        highest = min(highest, level.counts + _SURE * level.error)
    if highest <= _OPEN_SHARE * typical:
        return []
    return [
        f"{where}: counts of a camera without a dark level: their noise does not exclude one of up to {highest:.0f} "
        f"counts, which would take {highest / typical:.0%} of the contrast; measure it without light, and give it as "
        "acquisition.dark (0 if the counts have none)"
    ]


def _are_counts(images: Num[np.ndarray, "view y x"]) -> bool:
    """Whether images are whole numbers, and too many for a picture of few levels."""
    some = images[:: max(len(images) // _VIEWS, 1)]
    return bool(some.size and some.max() >= _FEWEST_LEVELS and np.array_equal(some, np.round(some)))


def estimate_dark_level(images: Num[np.ndarray, "view y x"], good: Bool[np.ndarray, "view y x"]) -> DarkLevel | None:
    """Estimate the dark level of a camera.

    Args:
        images: Raw counts.
        good: Mask of the measured pixels.

    Returns:
        The level; None where the images are too few, or their noise is too fine or does not grow with the counts.
    """
    if len(images) < _FEWEST_VIEWS or min(images.shape[1:]) < 16:
        return None
    chosen = np.unique(np.linspace(0, len(images) - 1, _VIEWS).round().astype(int))
    window = tuple(slice(max((n - _EDGE) // 2, 0), max((n - _EDGE) // 2, 0) + _EDGE) for n in images.shape[1:])
    counts, valid = (part[chosen][:, window[0], window[1]] for part in (images, good))
    counts = counts.astype(np.float64)
    valid = ndimage.minimum_filter(valid & (counts < counts.max()), (1, 3, 3))
    mean, noise = (ndimage.convolve(counts, kernel[None]) for kernel in (np.full((3, 3), 1 / 9), _KERNEL))
    valid[:, [0, -1]] = valid[:, :, [0, -1]] = False
    valid &= mean > 0
    if np.count_nonzero(valid) < 1000 or (valid.sum(axis=(1, 2)) == 0).any():
        return None
    power = _bin_power(mean, noise, valid)
    if power is None:
        return None
    whole = _intercept(power.sum(axis=0))
    parts = [_intercept(power.sum(axis=0) - own) for own in power]
    if whole is None or any(part is None for part in parts):
        return None
    scatter = np.array(parts, float)
    error = float(np.sqrt((len(parts) - 1) * np.mean((scatter - scatter.mean()) ** 2)))
    return DarkLevel(whole, error, float(np.median(counts[valid])))


def _bin_power(
    mean: Float[np.ndarray, "view y x"], noise: Float[np.ndarray, "view y x"], valid: Bool[np.ndarray, "view y x"]
) -> Float[np.ndarray, "view bin 3"] | None:
    """Sum number, counts and power of the noise of each view's pixels in bins of their counts."""
    edges = np.quantile(mean[valid], np.linspace(0, 1, _BINS + 1))
    pattern = _fixed_pattern(mean, noise, valid)
    index = np.clip(np.searchsorted(edges, mean, side="right") - 1, 0, _BINS - 1)
    sums = np.zeros((len(mean), _BINS, 3))
    for number in range(_BINS):
        own = valid & (index == number)
        if np.count_nonzero(own) < 50:
            continue
        spread = 1.4826 * float(np.median(np.abs(noise[own])))
        if spread < _COARSEST:
            return None
        own &= np.abs(noise) < _REACH * spread
        square = noise**2 / _INNER_VARIANCE - pattern * mean**2
        for part, values in enumerate((np.ones_like(mean), mean, square)):
            sums[:, number, part] = np.where(own, values, 0).sum(axis=(1, 2))
    return sums


def _fixed_pattern(
    mean: Float[np.ndarray, "view y x"], noise: Float[np.ndarray, "view y x"], valid: Bool[np.ndarray, "view y x"]
) -> float:
    """Estimate the variance of the relative pattern that all views share, such as that of the pixels' gain."""
    relative = np.where(valid, noise / np.maximum(mean, 1e-12), 0)
    spread = 1.4826 * np.median(np.abs(relative[valid]))
    relative = np.clip(relative, -_REACH * spread, _REACH * spread)
    count = valid.sum(axis=0)
    crossed = relative.sum(axis=0) ** 2 - (relative**2).sum(axis=0)
    return float(max(crossed.sum() / max((count * (count - 1)).sum(), 1), 0.0))


def _intercept(sums: Float[np.ndarray, "bin 3"]) -> float | None:
    """Counts at which the line through power against counts meets zero; None if noise does not grow with the counts."""
    number, counts, power = sums[sums[:, 0] > 0].T
    x, y = counts / number, power / number
    weights = number / x**2
    centre, level = np.average(x, weights=weights), np.average(y, weights=weights)
    slope = float((weights * (x - centre) * (y - level)).sum() / max((weights * (x - centre) ** 2).sum(), 1e-30))
    return None if slope <= 0 else float(centre - level / slope)
