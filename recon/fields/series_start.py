"""First motions of a series: shift and stretch of each acquisition's specimen, from values on a grid.

The shift is the peak of a cross-correlation with the first acquisition, the stretch the ratio of the widths of what
stands out from the noise. The scale of initial guesses cannot be trusted: all begin with one contrast, the median.
Coordinates are normalised.
"""

import numpy as np
from jaxtyping import Float

from .base import grid_axes

LARGEST_SHIFT = 0.5
"""Largest shift that is believed before the fit."""
LARGEST_STRETCH, LARGEST_CONTRAST = 1.3, 2.0
"""Largest stretch and contrast that are believed, and inverse of the least ones."""
_FLOOR = 0.25
"""Part of the largest magnitude below which values count as noise."""


def first_motions(
    values: Float[np.ndarray, "acquisition k z y x"],
) -> tuple[Float[np.ndarray, "acquisition k z y x"], Float[np.ndarray, "acquisition 7"]]:
    """Estimate the motion of each acquisition from its first output; none for one without contrast.

    Returns:
        The values with one contrast, and the motions, without a change of contrast.
    """
    motions, contrasts = np.zeros((len(values), 7)), np.ones(len(values))
    first = np.asarray(values[0, 0], np.float64)
    if not first.any():
        return values, motions
    middle, width, energy = _moments(first)
    for number in range(1, len(values)):
        other = np.asarray(values[number, 0], np.float64)
        if not other.any():
            continue
        _, own_width, own_energy = _moments(other)
        stretch = np.clip(width / own_width, 1 / LARGEST_STRETCH, LARGEST_STRETCH)
        contrast = np.sqrt(own_energy / energy * float(np.prod(stretch)))
        contrasts[number] = np.clip(contrast, 1 / LARGEST_CONTRAST, LARGEST_CONTRAST)
        motions[number, :3] = middle - stretch * (middle + _shift(first, other))
        motions[number, 3:6] = np.log(stretch)
    factors = (np.median(contrasts) / contrasts).reshape(-1, 1, 1, 1, 1)
    return np.asarray(factors * values, values.dtype), motions


def at_rest(values: Float[np.ndarray, "k z y x"], motion: Float[np.ndarray, " 7"]) -> Float[np.ndarray, "k z y x"]:
    """Undo a motion: resample values on a grid that fills the box, and divide them by the contrast."""
    from scipy.ndimage import affine_transform

    shape = np.array(values.shape[1:])
    stretch = np.exp(motion[3:6])
    # Sample i stands at s = (2 i + 1)/n - 1; the field at rest has at s what the moved one has at (s - shift)/stretch.
    first = (1 / shape - 1 - motion[:3]) / stretch
    offset = ((first + 1) * shape - 1) / 2
    moved = [affine_transform(own, 1 / stretch, offset, order=1, mode="nearest") for own in values]
    return np.asarray(np.stack(moved) / np.exp(motion[6]), values.dtype)


def _shift(first: Float[np.ndarray, "z y x"], other: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, " 3"]:
    from skimage.registration import phase_cross_correlation

    samples, _, _ = phase_cross_correlation(other, first, upsample_factor=10, normalization=None, disambiguate=False)
    shift = 2 * np.asarray(samples) / np.array(first.shape)
    return np.asarray(np.where(np.abs(shift) < LARGEST_SHIFT, shift, 0))


def _moments(
    values: Float[np.ndarray, "z y x"],
) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"], float]:
    """Compute middle and width along each axis, and sum of squares, of what stands out from the noise."""
    magnitude = np.abs(values)
    weights = np.where(magnitude > _FLOOR * np.percentile(magnitude, 99.5), magnitude, 0) ** 2
    total = max(float(weights.sum()), 1e-300)
    z, y, x = values.shape
    middle, width = np.zeros(3), np.zeros(3)
    for axis, s in enumerate(grid_axes((z, y, x))):
        line = weights.sum(axis=tuple(i for i in range(3) if i != axis)) / total
        middle[axis] = line @ s
        width[axis] = np.sqrt(max(line @ (s - middle[axis]) ** 2, 1e-12))
    return middle, width, total
