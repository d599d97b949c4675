"""Misfit of a crystal's counts compared with counting noise: how much is left over what chance explains.

The Poisson deviance of a right model has a known expectation in every voxel, which depends on the modelled counts alone
(`expected_deviance`). The ratio of the two sums is 1 where only noise is left, however dark or bright the pattern is.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import xlogy

from ....physics.diffraction.far_field import LEAST_COUNTS, expected_deviance

BRIGHT_COUNTS = 5.0
"""[counts] Modelled counts above which a voxel is bright."""


def noise_numbers(
    counts: Float[np.ndarray, "frame y x"],
    modelled: Float[np.ndarray, "frame y x"],
    good: Bool[np.ndarray, "frame y x"],
    withheld: Bool[np.ndarray, "frame y x"],
) -> dict[str, float]:
    """Compare the misfit with counting noise.

    Args:
        counts: Measured counts.
        modelled: Modelled counts.
        good: Mask of the measured voxels.
        withheld: Mask of the voxels that were not fitted.

    Returns:
        ``noise_ratio``: deviance over its expectation, of all good voxels; ``noise_ratio_bright``: of those with more
        than `BRIGHT_COUNTS` modelled counts; ``noise_ratio_free``: of the withheld voxels among these;
        ``excess_chi``: relative error of the amplitudes beyond noise, √(Σ(D − E)₊ / 4ΣI).
    """
    model = np.maximum(modelled.astype(np.float64), LEAST_COUNTS)
    measured = np.where(good, counts, 0).astype(np.float64)
    excess = np.where(good, 2 * (model - measured + xlogy(measured, measured / model)), 0)
    expected = np.where(good, expected_deviance(modelled.astype(np.float64)), 0)
    bright = good & (modelled > BRIGHT_COUNTS)
    numbers = {"noise_ratio": _ratio(excess, expected, good), "noise_ratio_bright": _ratio(excess, expected, bright)}
    numbers["noise_ratio_free"] = _ratio(excess, expected, bright & withheld)
    numbers["excess_chi"] = float(np.sqrt(max(excess.sum() - expected.sum(), 0) / (4 * max(measured.sum(), 1e-12))))
    return {name: value for name, value in numbers.items() if np.isfinite(value)}


def _ratio(
    deviance: Float[np.ndarray, "frame y x"],
    expected: Float[np.ndarray, "frame y x"],
    chosen: Bool[np.ndarray, "frame y x"],
) -> float:
    """Sum over the chosen voxels; not a number where there are none."""
    return float(deviance[chosen].sum() / expected[chosen].sum()) if chosen.any() else float("nan")
