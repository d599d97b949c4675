"""Errors of a shape, and of the spread of several draws of it, on voxels.

The four errors are SHAPR's (Waibel et al. 2022, iScience 25, 105298), so that numbers can be set beside published ones:
both volumes are made one-bit by Otsu's threshold; the surface is the number of voxels inside that a 3³ dilation of the
outside reaches; the roughness is the number of voxels that change when a Gaussian of σ = 2 voxels has blurred the shape
and it is cut at ½ again; errors are relative to the truth. Nothing lies outside the array: a face of the array is no
surface, as there.

Of draws: x_1 … x_k are a quantity of the draws of one cell, y is that of the truth.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ..errors import DataError

Inside = Bool[np.ndarray, "z y x"]
Values = Num[np.ndarray, "z y x"] | Inside

INTERVAL = 0.9
"""Share of the truths that the reported interval is to hold."""
_BLUR = 2.0
"""[voxel] Of the roughness."""
_REACH = 10
"""[voxel] A blur of σ = 2 that is cut off at 4σ reaches no farther than 8."""


def otsu_binarize(values: Values) -> Inside:
    """Cut a volume by Otsu's threshold; a volume of zeros stays empty.

    Raises:
        DataError: If a value is not finite.
    """
    if values.dtype == bool:
        return np.asarray(values)
    if not np.all(np.isfinite(values)):
        raise DataError("a shape holds values that are not finite")
    top, low = float(values.max()), float(values.min())
    if not top > low:
        return np.full(values.shape, top > 0)
    if ((values == low) | (values == top)).all():
        return np.asarray(values > low)
    from skimage.filters import threshold_otsu  # not at the top: takes a second, and one-bit volumes need it not

    return np.asarray(values > threshold_otsu(values))


def surface_voxels(inside: Inside) -> int:
    """Number of voxels inside that touch the outside by a face, an edge or a corner."""
    return int(np.count_nonzero(boundary(inside)))


def boundary(inside: Inside) -> Inside:
    """Tell the voxels inside that touch the outside by a face, an edge or a corner."""
    deep = inside.copy()
    for axis in range(3):  # The 3³ cube is the product of three rows of 3.
        row = np.moveaxis(deep, axis, 0)
        whole = row.copy()
        row[1:] &= whole[:-1]
        row[:-1] &= whole[1:]
    return np.asarray(inside & ~deep)


def signed_distance(inside: Bool[np.ndarray, "*shape"], spacing: Sequence[float] | None = None) -> np.ndarray:
    """Distance to the surface half-way between samples inside and outside, negative inside.

    Args:
        inside: Samples inside; outside lies beyond the array.
        spacing: Distance between samples along each axis, in any unit; 1 by default.

    Returns:
        Distance in the unit of the spacing.
    """
    steps = (1.0,) * inside.ndim if spacing is None else spacing
    half = float(np.prod(steps)) ** (1 / inside.ndim) / 2
    padded = np.pad(inside, 1)
    inner, outer = (distance_transform_edt(side, sampling=steps) for side in (padded, ~padded))
    distance: np.ndarray = np.where(padded, half - inner, outer - half)
    return distance[(slice(1, -1),) * inside.ndim]


def roughness_voxels(inside: Inside) -> int:
    """Number of voxels that a Gaussian of σ = 2 and a new cut at ½ change."""
    part = _around(inside, _REACH)
    smooth = gaussian_filter(part.astype(np.float64), _BLUR) > 0.5
    return int(np.count_nonzero(smooth != part))


CHARACTERISTICS: Mapping[str, Callable[[Inside], float]] = {
    "volume": lambda inside: float(np.count_nonzero(inside)),
    "surface": lambda inside: float(surface_voxels(inside)),
    "roughness": lambda inside: float(roughness_voxels(inside)),
}
"""What the relative errors compare, in voxels."""


def overlap_error(truth: Inside, found: Inside) -> float:
    """1 − intersection over union; 0 where both are empty."""
    union = np.count_nonzero(truth | found)
    return 1.0 - np.count_nonzero(truth & found) / union if union else 0.0


def relative_error(truth: float, found: float) -> float:
    """|found − truth| / truth; NaN where the truth is 0."""
    return abs(found - truth) / abs(truth) if truth else float("nan")


def shape_errors(truth: Values, found: Num[np.ndarray, "a b c"] | Bool[np.ndarray, "a b c"]) -> dict[str, float]:
    """Compare two shapes as SHAPR does.

    Args:
        truth: The shape as it is, any values that Otsu's threshold parts.
        found: The shape to judge, on the same voxels.

    Returns:
        ``overlap_error`` (1 − IoU), and the relative errors ``volume``, ``surface`` and ``roughness``.

    Raises:
        DataError: If their shapes differ, or a value is not finite.
    """
    if truth.shape != found.shape:
        raise DataError(f"the result has the shape {found.shape}, the truth {truth.shape}: sample both on one lattice")
    known, own = otsu_binarize(truth), otsu_binarize(found)
    errors = {name: relative_error(of(known), of(own)) for name, of in CHARACTERISTICS.items()}
    return {"overlap_error": overlap_error(known, own), **errors}


def hausdorff(
    truth: Inside,
    found: Inside,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    share: float = 0.95,
) -> float:
    """Distance within which a share of each surface lies of the other: the larger of the two directions.

    Args:
        truth: The shape as it is.
        found: The shape to judge.
        spacing: Size of a voxel (z, y, x), in any unit.
        share: 1 gives Hausdorff's own distance.

    Returns:
        The distance between the centres of surface voxels, in the unit of the spacing; NaN if one of the two is empty.
    """
    if not truth.any() or not found.any():
        return float("nan")
    one, other = boundary(truth), boundary(found)
    if not one.any() or not other.any():
        return float("nan")
    ways = [
        np.percentile(distance_transform_edt(~b, sampling=spacing)[a], 100 * share)
        for a, b in ((one, other), (other, one))
    ]
    return float(max(ways))


def crps(draws: Float[np.ndarray, " k"], truth: float) -> float:
    """Continuous ranked probability score of an ensemble, unbiased in its size ("fair").

    mean |x_i − y| − Σ|x_i − x_j| / (2k(k − 1)); of one draw it is the absolute error (Ferro 2014, Q. J. R. Meteorol.
    Soc. 140, 1917).
    """
    k = len(draws)
    error = float(np.mean(np.abs(draws - truth)))
    if k < 2:
        return error
    return error - float(np.abs(draws[:, None] - draws[None]).sum()) / (2 * k * (k - 1))


def interval(draws: Float[np.ndarray, " k"], share: float = INTERVAL) -> tuple[float, float, float]:
    """Give the middle interval of draws, and which share of truths it holds if truth and draws are of one kind.

    The i-th smallest of k draws has the probability i/(k + 1) below it: so many draws as 19 are needed for an interval
    of 90 %. Of fewer it is the whole range of the draws, which holds (k − 1)/(k + 1): 67 % of truths for 5 draws.

    Returns:
        Lower end, upper end, and the share it ought to hold.
    """
    tail, k = (1 - share) / 2, len(draws)
    tail = max(tail, 1 / (k + 1))
    low, high = np.quantile(draws, [tail, 1 - tail], method="weibull")
    return float(low), float(high), 1 - 2 * tail


def diversity(draws: Bool[np.ndarray, "k z y x"]) -> float:
    """1 − the mean intersection over union of each two draws; NaN of a single one."""
    pairs = [overlap_error(a, b) for a, b in combinations(draws, 2)]
    return float(np.mean(pairs)) if pairs else float("nan")


def _around(inside: Inside, margin: int) -> Bool[np.ndarray, "a b c"]:
    """Cut out the box that holds a shape, with a margin as far as the array goes."""
    where = []
    for axis in range(3):
        filled = np.flatnonzero(inside.any(axis=tuple(i for i in range(3) if i != axis)))
        if not len(filled):
            return inside
        where.append(slice(max(int(filled[0]) - margin, 0), int(filled[-1]) + 1 + margin))
    return inside[tuple(where)]
