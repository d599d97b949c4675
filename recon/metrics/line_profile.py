"""Full width at half maximum of a filament or bead along an axis."""

import numpy as np
from jaxtyping import Float

from ..errors import DataError

_POINTS_PER_SAMPLE = 32
"""Interpolated points of a profile for each sample."""


def full_width_half_maximum(
    position: Float[np.ndarray, " n"],
    profile: Float[np.ndarray, " n"],
    *,
    near: float | None = None,
    baseline: float | None = None,
) -> float:
    """Compute the full width at half maximum of a peak, between samples.

    The samples are interpolated by a cubic spline. From the peak, the half level is searched outward on either side;
    other peaks are ignored.

    Args:
        position: [m] Positions, evenly spaced and increasing.
        profile: Values; the peak is a maximum.
        near: [m] Position from which the profile rises to the peak; by default the peak is the global maximum.
        baseline: Level of the background. By default the tenth percentile of the profile, which is robust against the
            dark lobes that a missing cone causes beside a peak.

    Returns:
        The width in the unit of ``position``; NaN where the profile does not fall to the half level on both sides.

    Raises:
        DataError: If there are fewer than four samples.
    """
    from scipy.interpolate import CubicSpline

    if len(position) < 4:
        raise DataError(f"a width needs at least 4 samples along the line; there are {len(position)}")
    fine = np.linspace(position[0], position[-1], _POINTS_PER_SAMPLE * (len(position) - 1) + 1)
    spline = CubicSpline(position, profile)
    values = np.asarray(spline(fine), np.float64)
    peak = int(np.argmax(values)) if near is None else _climb(values, int(np.argmin(np.abs(fine - near))))
    level = float(np.percentile(profile, 10)) if baseline is None else baseline
    half = level + (values[peak] - level) / 2
    if not values[peak] > level:
        return float("nan")
    left = _crossing(fine[peak::-1], values[peak::-1], half)
    right = _crossing(fine[peak:], values[peak:], half)
    return abs(right - left)


def line_width(
    volume: Float[np.ndarray, "z y x"],
    spacing: tuple[float, float, float],
    point: tuple[float, float, float],
    *,
    axis: int = 0,
    averaging: float = 1.0,
    baseline: float | None = None,
) -> float:
    """Compute the full width at half maximum along an axis, through a point.

    Args:
        volume: Values; the feature may be brighter or darker than its surroundings.
        spacing: [m] Distance between samples (z, y, x).
        point: Index (z, y, x) of the point, which may lie between samples.
        axis: Index of the axis; 0 for the axial width.
        averaging: [sample] Standard deviation of the Gaussian that averages neighbouring lines, against noise.
        baseline: Level of the background, as for :func:`full_width_half_maximum`.

    Returns:
        [m] The width; NaN where the volume ends before the profile has fallen to half.
    """
    profile = line_profile(volume, point, axis=axis, averaging=averaging)
    position = np.arange(len(profile)) * spacing[axis]
    level = float(np.percentile(profile, 50)) if baseline is None else baseline
    here = profile[int(np.clip(round(point[axis]), 0, len(profile) - 1))]
    sign = 1.0 if here >= level else -1.0
    return full_width_half_maximum(
        position,
        sign * profile,
        near=point[axis] * spacing[axis],
        baseline=None if baseline is None else sign * baseline,
    )


def line_profile(
    volume: Float[np.ndarray, "z y x"], point: tuple[float, float, float], *, axis: int = 0, averaging: float = 1.0
) -> Float[np.ndarray, " n"]:
    """Sample values along an axis through a point (index, may lie between samples), averaged over neighbouring lines.

    Raises:
        DataError: If the point lies outside the volume.
    """
    lines = np.moveaxis(volume, axis, 0)
    centre = [c for i, c in enumerate(point) if i != axis]
    for c, count, name in zip(centre, lines.shape[1:], [n for i, n in enumerate("zyx") if i != axis], strict=True):
        if not -0.5 <= c <= count - 0.5:
            raise DataError(f"the line lies outside the volume: {name} index {c:g} of {count} samples")
    weights = [_gaussian(count, c, averaging) for count, c in zip(lines.shape[1:], centre, strict=True)]
    return np.asarray(np.einsum("nab,a,b->n", lines.astype(np.float64), *weights, optimize=True), np.float64)


def index_of_highest_contrast(
    volume: Float[np.ndarray, "z y x"], *, background: float = 0.0, smoothing: float = 1.0
) -> tuple[int, int, int]:
    """Find the index (z, y, x) of the filament or bead with the largest contrast to the background, of either sign.

    Args:
        volume: Values.
        background: Level of the surroundings.
        smoothing: [sample] Standard deviation of the Gaussian that suppresses single hot voxels.
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(np.abs(volume.astype(np.float64) - background), smoothing, mode="nearest")
    z, y, x = np.unravel_index(int(np.argmax(smooth)), volume.shape)
    return int(z), int(y), int(x)


def _climb(values: Float[np.ndarray, " n"], start: int) -> int:
    """Find the index of the local maximum uphill from an index."""
    here = start
    while True:
        around = values[max(here - 1, 0) : here + 2]
        best = max(here - 1, 0) + int(np.argmax(around))
        if best == here or values[best] <= values[here]:
            return here
        here = best


def _crossing(position: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"], level: float) -> float:
    """Find the position at which values first fall below a level; NaN if they do not."""
    below = np.flatnonzero(values < level)
    if not below.size or below[0] == 0:
        return float("nan")
    i = int(below[0])
    fraction = (values[i - 1] - level) / (values[i - 1] - values[i])
    return float(position[i - 1] + fraction * (position[i] - position[i - 1]))


def _gaussian(count: int, centre: float, width: float) -> Float[np.ndarray, " n"]:
    """Compute Gaussian weights of samples about a centre, with sum 1; linear interpolation if the width is 0."""
    distance = np.arange(count) - float(np.clip(centre, 0, count - 1))
    weights = np.exp(-0.5 * (distance / width) ** 2) if width > 0 else np.maximum(1 - np.abs(distance), 0)
    return np.asarray(weights / weights.sum(), np.float64)
