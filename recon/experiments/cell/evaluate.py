"""Accuracy of a cell's refractive index against the truth.

Everything is computed on the contrast n − n_m at the truth's samples: a model is evaluated there, a volume on another
lattice is interpolated by cubic splines. Outside the result's box is medium.
"""

import numpy as np
from jaxtyping import Float

from ...errors import DataError
from ...metrics import (
    VISIBLE_SUFFIX,
    Aperture,
    correlation,
    estimate_shift,
    filter_visible,
    index_of_highest_contrast,
    line_width,
    peak_signal_to_noise,
    relative_l2,
    root_mean_square_over_range,
    shell_correlation,
    signal_to_noise,
    structural_similarity,
    visible_frequencies,
)
from ...sampled import Sampled
from ...volume import Volume

_QUANTITY = "refractive_index"
_APERTURE = ("wavelength", "medium_index", "illumination_na", "numerical_aperture")

_METRICS = {
    "snr": signal_to_noise,
    "psnr": peak_signal_to_noise,
    "ssim": structural_similarity,
    "ncc": correlation,
    "nrmse_range": root_mean_square_over_range,
    "relative_l2": relative_l2,
}

Contrast = Float[np.ndarray, "z y x"]
Shift = tuple[float, float, float]


def score(
    result: Sampled, truth: Volume, *, register: bool = False, aperture: Aperture | None = None
) -> dict[str, float]:
    """Compare a reconstruction with the truth.

    Args:
        result: A model or a volume with a refractive index.
        truth: The specimen as it is, with its ``medium_index``.
        register: Whether to move the result onto the truth first, and report the shift.
        aperture: Aperture of light and objective, for the metrics without the missing cone. By default it is taken from
            the attributes of the result or the truth; where they lack it, those metrics are omitted.

    Returns:
        Numbers by the names of `metrics.METRICS`.

    Raises:
        DataError: If a refractive index or the medium's index is missing, or the boxes do not overlap.
    """
    medium = _medium_index(result, truth)
    true = np.asarray(truth.only(_QUANTITY).main, np.float64) - medium
    covered = _coverage(result, truth)
    fitted = _contrast(result, truth, medium)
    numbers: dict[str, float] = {}
    if register:
        shift = estimate_shift(true, fitted, truth.spacing)
        fitted = _contrast(result, truth, medium, shift)
        numbers |= dict(zip(("shift_z", "shift_y", "shift_x"), shift, strict=True))
    numbers = _accuracy(true, fitted) | _sharpness(true, fitted, truth.spacing) | {"coverage": covered} | numbers
    opening = aperture or _aperture(result, truth)
    if opening is not None:
        seen = visible_frequencies(truth.shape, truth.spacing, opening)
        numbers |= {
            name + VISIBLE_SUFFIX: v
            for name, v in _accuracy(filter_visible(true, seen), filter_visible(fitted, seen)).items()
        }
    return numbers


def _accuracy(true: Contrast, fitted: Contrast) -> dict[str, float]:
    return {name: metric(true, fitted) for name, metric in _METRICS.items()}


def _sharpness(true: Contrast, fitted: Contrast, spacing: Shift) -> dict[str, float]:
    """Measure the resolution, and the axial width of the truth's brightest feature in both."""
    numbers = {"resolution": shell_correlation(true, fitted, spacing).resolution()}
    if true.shape[0] >= 4:
        point = index_of_highest_contrast(true)
        z, y, x = (float(i) for i in point)
        numbers["axial_width"] = line_width(fitted, spacing, (z, y, x), baseline=0.0)
        numbers["axial_width_truth"] = line_width(true, spacing, (z, y, x), baseline=0.0)
    return numbers


def _contrast(result: Sampled, truth: Volume, medium: float, shift: Shift = (0.0, 0.0, 0.0)) -> Contrast:
    """Sample the result's n − n_m at the truth's samples, moved by a shift [m]."""
    z, y, x = (axis - d for axis, d in zip((truth.z, truth.y, truth.x), shift, strict=True))
    return result.sample(z, y, x, quantity=_QUANTITY) - medium


def _medium_index(result: Sampled, truth: Volume) -> float:
    for attributes in (truth.attributes, result.attributes):
        if "medium_index" in attributes:
            return float(attributes["medium_index"])
    raise DataError(
        "neither the truth nor the result holds the medium's index: write it as the attribute medium_index of /volume"
    )


def _aperture(result: Sampled, truth: Volume) -> Aperture | None:
    attributes = {**truth.attributes, **result.attributes}
    if not all(name in attributes for name in _APERTURE):
        return None
    wavelength, medium, light, objective = (float(attributes[name]) for name in _APERTURE)
    return Aperture(wavelength, medium, light, objective)


def _coverage(result: Sampled, truth: Volume) -> float:
    """Compute the fraction of the truth's samples inside the result's box.

    Raises:
        DataError: If there are none.
    """
    low, high = result.bounds
    fraction = 1.0
    for name, axis, a, b, spacing in zip("zyx", (truth.z, truth.y, truth.x), low, high, truth.spacing, strict=True):
        inside = float(np.mean((axis >= a - 0.01 * spacing) & (axis <= b + 0.01 * spacing)))
        if inside == 0:
            raise DataError(
                f"the result covers {name} {a * 1e6:.3g} … {b * 1e6:.3g} µm, the truth {axis[0] * 1e6:.3g} … "
                f"{axis[-1] * 1e6:.3g} µm: they do not overlap; check the units of their coordinates"
            )
        fraction *= inside
    return fraction
