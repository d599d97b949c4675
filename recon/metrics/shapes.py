"""Errors of a shape, and scores of the spread of several draws of it, on voxels.

The four errors are SHAPR's (Waibel et al. 2022, iScience 25, 105298), for comparison with published ones: both volumes
are binarized by Otsu's threshold; the surface is the number of voxels inside that a 3³ dilation of the outside reaches;
the roughness is the number of voxels that change when the shape is blurred by a Gaussian of σ = 2 voxels and cut at ½
again; errors are relative to the truth. As in SHAPR, a face of the array is no surface.

In scores of draws, x_1 … x_k are a quantity of the draws of one cell, and y is that of the truth.
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
"""Nominal coverage of the reported interval."""
_BLUR = 2.0
"""[voxel] Standard deviation of the Gaussian of the roughness."""
BLUR_MARGIN = 10
"""[voxel] Margin around a shape that its blur does not exceed: a Gaussian of σ = 2, cut off at 4σ, reaches 8."""


def otsu_binarize(values: Values) -> Inside:
    """Binarize a volume by Otsu's threshold; a volume of zeros stays empty.

    Raises:
        DataError: If a value is not finite.
    """
    if values.dtype == bool:
        return np.asarray(values)
    if values.dtype == np.float16:
        values = values.astype(np.float32)  # NumPy computes in half precision five times as slowly.
    if not np.all(np.isfinite(values)):
        raise DataError("a shape holds values that are not finite")
    top, low = float(values.max()), float(values.min())
    if not top > low:
        return np.full(values.shape, top > 0)
    if ((values == low) | (values == top)).all():
        return np.asarray(values > low)
    from skimage.filters import threshold_otsu  # Not at the top: takes a second, and one-bit volumes do not need it.

    return np.asarray(values > threshold_otsu(values))


def surface_voxels(inside: Inside) -> int:
    """Count the voxels inside that touch the outside by a face, an edge or a corner."""
    return int(np.count_nonzero(boundary(inside)))


def boundary(inside: Inside) -> Inside:
    """Find the voxels inside that touch the outside by a face, an edge or a corner."""
    interior = inside.copy()
    for axis in range(3):  # The 3³ cube is the product of three rows of 3.
        row = np.moveaxis(interior, axis, 0)
        whole = row.copy()
        row[1:] &= whole[:-1]
        row[:-1] &= whole[1:]
    return np.asarray(inside & ~interior)


def signed_distance(inside: Bool[np.ndarray, "*shape"], spacing: Sequence[float] | None = None) -> np.ndarray:
    """Compute the distance to the surface, half-way between samples inside and outside, negative inside.

    Args:
        inside: Samples inside; those beyond the array are outside.
        spacing: Distance between samples along each axis, in any unit; 1 by default.

    Returns:
        Distance in the unit of the spacing.
    """
    steps = (1.0,) * inside.ndim if spacing is None else spacing
    half = float(np.prod(steps)) ** (1 / inside.ndim) / 2
    padded = np.pad(inside, 1)
    distance: np.ndarray = distance_transform_edt(~padded, sampling=steps) - half
    box = _bounding_box(padded, 1)  # All that lies nearest to samples inside.
    inner = distance_transform_edt(padded[box], sampling=steps)
    distance[box] = np.where(padded[box], half - inner, distance[box])
    return distance[(slice(1, -1),) * inside.ndim]


def roughness_voxels(inside: Inside) -> int:
    """Count the voxels that a Gaussian of σ = 2 and a new cut at ½ change."""
    part = crop_with_margin(inside, BLUR_MARGIN)
    smooth = gaussian_filter(part.astype(np.float64), _BLUR) > 0.5
    return int(np.count_nonzero(smooth != part))


CHARACTERISTICS: Mapping[str, Callable[[Inside], float]] = {
    "volume": lambda inside: float(np.count_nonzero(inside)),
    "surface": lambda inside: float(surface_voxels(inside)),
    "roughness": lambda inside: float(roughness_voxels(inside)),
}
"""Quantities [voxel] that relative errors compare."""


def overlap_error(truth: Inside, result: Inside) -> float:
    """Compute 1 − intersection over union; 0 where both are empty."""
    union = np.count_nonzero(truth | result)
    return 1.0 - np.count_nonzero(truth & result) / union if union else 0.0


def relative_error(truth: float, result: float) -> float:
    """Compute |result − truth| / truth; NaN where the truth is 0."""
    return abs(result - truth) / abs(truth) if truth else float("nan")


def shape_errors(truth: Values, result: Num[np.ndarray, "a b c"] | Bool[np.ndarray, "a b c"]) -> dict[str, float]:
    """Compare two shapes as SHAPR does.

    Args:
        truth: True shape, in any values that Otsu's threshold separates.
        result: Predicted shape, on the same voxels.

    Returns:
        ``overlap_error`` (1 − IoU), and the relative errors ``volume``, ``surface`` and ``roughness``.

    Raises:
        DataError: If their shapes differ, or a value is not finite.
    """
    if truth.shape != result.shape:
        raise DataError(f"the result has the shape {result.shape}, the truth {truth.shape}: sample both on one grid")
    known, own = otsu_binarize(truth), otsu_binarize(result)
    errors = {name: relative_error(measure(known), measure(own)) for name, measure in CHARACTERISTICS.items()}
    return {"overlap_error": overlap_error(known, own), **errors}


def hausdorff(
    truth: Inside,
    result: Inside,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    share: float = 0.95,
) -> float:
    """Compute the distance within which a share of each surface lies of the other, the larger of both directions.

    Args:
        truth: True shape.
        result: Predicted shape.
        spacing: Size of a voxel (z, y, x), in any unit.
        share: Share of the surface; 1 for Hausdorff's distance proper.

    Returns:
        The distance between the centres of surface voxels, in the unit of the spacing; NaN if one of the two is empty.
    """
    if not truth.any() or not result.any():
        return float("nan")
    box = _bounding_box(truth | result, 1)  # A shape at the face of the crop has no surface there: hence the margin.
    one, other = (boundary(shape[box]) for shape in (truth, result))
    if not one.any() or not other.any():
        return float("nan")
    directed = [
        np.percentile(distance_transform_edt(~b, sampling=spacing)[a], 100 * share)
        for a, b in ((one, other), (other, one))
    ]
    return float(max(directed))


def crps(draws: Float[np.ndarray, " k"], truth: float) -> float:
    """Compute the continuous ranked probability score of an ensemble, unbiased in its size ("fair").

    mean |x_i − y| − Σ|x_i − x_j| / (2k(k − 1)); for a single draw it is the absolute error (Ferro 2014, Q. J. R.
    Meteorol. Soc. 140, 1917).
    """
    k = len(draws)
    error = float(np.mean(np.abs(draws - truth)))
    if k < 2:
        return error
    return error - float(np.abs(draws[:, None] - draws[None]).sum()) / (2 * k * (k - 1))


def interval(draws: Float[np.ndarray, " k"], share: float = INTERVAL) -> tuple[float, float, float]:
    """Compute the central interval of draws, and its expected coverage if the truth has the distribution of the draws.

    The i-th smallest of k draws has the probability i/(k + 1) below it: an interval of 90 % needs 19 draws. For fewer
    it is the range of the draws, with a coverage of (k − 1)/(k + 1): 67 % for 5 draws.

    Returns:
        Lower end, upper end, and expected coverage.
    """
    tail, k = (1 - share) / 2, len(draws)
    tail = max(tail, 1 / (k + 1))
    low, high = np.quantile(draws, [tail, 1 - tail], method="weibull")
    return float(low), float(high), 1 - 2 * tail


def diversity(draws: Bool[np.ndarray, "k z y x"]) -> float:
    """Compute 1 − the mean intersection over union of each two draws; NaN for a single one."""
    pairs = [overlap_error(a, b) for a, b in combinations(draws, 2)]
    return float(np.mean(pairs)) if pairs else float("nan")


def crop_with_margin(inside: Inside, margin: int) -> Bool[np.ndarray, "a b c"]:
    """Crop to the bounding box of a shape with a margin, within the array."""
    return inside[_bounding_box(inside, margin)]


def _bounding_box(inside: Bool[np.ndarray, "*shape"], margin: int) -> tuple[slice, ...]:
    """Find the bounding box of a shape with a margin, within the array; the whole array if the shape is empty."""
    box = []
    for axis in range(inside.ndim):
        filled = np.flatnonzero(inside.any(axis=tuple(i for i in range(inside.ndim) if i != axis)))
        if not len(filled):
            return (slice(None),) * inside.ndim
        box.append(slice(max(int(filled[0]) - margin, 0), int(filled[-1]) + 1 + margin))
    return tuple(box)
