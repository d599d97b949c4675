"""Numbers by which a crystal's result is judged where no truth is known.

Misfit: the Poisson deviance of a right model has a known expectation in every voxel, which depends on the modelled
counts alone (`expected_deviance`). The ratio of the two sums is 1 where only noise is left, however dark or bright the
pattern is. Evenness: the density of a crystal's lattice is uniform but for defects, while a wrong phase leaves holes
and hills in it, even where few counts are explained as well as noise allows.
"""

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import ndimage

from ....physics.diffraction.far_field import expected_deviance, pixel_deviance
from .laboratory import Solution
from .preprocess import PreprocessedScan

BRIGHT_COUNTS = 5.0
"""[counts] Modelled counts above which a voxel is bright."""
_SMOOTHING = 0.7
"""[voxel] Width of the Gaussian that blurs the amplitude to find the crystal's inside."""
_INSIDE_LEVEL = 0.35
"""Blurred amplitude at the surface, in units of the amplitude's rms."""
_EROSION = 1
"""[voxel] Depth of the surface layer that is left out: there the amplitude falls off."""
_DEPTHS = (1.9, 2.9, 4.5)
"""[voxel] Depths between the layers within which amplitudes are compared."""
_QUARTILES_OF_NORMAL = 1.349
"""Distance of the quartiles of a normal distribution, in standard deviations."""
_BLOCK = 8
"""[frame] Frames whose deviance is computed at a time."""
_LEAST_VOXELS = 20
"""Number of inner voxels that a statement on their amplitude needs."""


def amplitude_variation(density: Complex[np.ndarray, "z y x"], support: Bool[np.ndarray, "z y x"]) -> float:
    """Compute the relative variation of the amplitude inside a crystal, its surface left out.

    Voxels are compared with those of about the same depth: the amplitude falls off towards the surface, as far as the
    resolution blurs it, and small crystals would look uneven. By the quartiles: a void, a twin's plane or a
    dislocation's core are few voxels, and wrong phases spoil all.

    Args:
        density: Density.
        support: Mask of the voxels where it may differ from 0.

    Returns:
        The standard deviation over the median of the layer; not a number for a crystal too small to have an inside.
    """
    if not support.any():
        return float("nan")
    amplitude = np.where(support, np.abs(density), 0).astype(np.float64)
    level = _INSIDE_LEVEL * np.sqrt(np.mean(amplitude[support] ** 2))
    body = ndimage.binary_fill_holes(ndimage.gaussian_filter(amplitude, _SMOOTHING) > level)
    inside = ndimage.binary_erosion(body, iterations=_EROSION)
    if np.count_nonzero(inside) < _LEAST_VOXELS:
        return float("nan")
    layer = np.digitize(ndimage.distance_transform_edt(body)[inside], _DEPTHS)
    layers = [amplitude[inside][layer == each] for each in range(len(_DEPTHS) + 1)]
    layers = [each for each in layers if each.size >= _LEAST_VOXELS // (len(_DEPTHS) + 1)]
    levels = np.maximum.accumulate([np.median(each) for each in layers])  # A blurred surface is fainter, no hollow is.
    relative = np.concatenate([each / of for each, of in zip(layers, levels, strict=True)])
    low, middle, high = np.percentile(relative, [25, 50, 75])
    return float((high - low) / (_QUARTILES_OF_NORMAL * middle))


def quality_numbers(
    scan: PreprocessedScan,
    modelled: Float[np.ndarray, "frame y x"],
    withheld: Bool[np.ndarray, "frame y x"],
    solution: Solution,
) -> dict[str, float]:
    """Compute all numbers that the verdict rests on and phasing itself does not give.

    Args:
        scan: Preprocessed measurement.
        modelled: Modelled counts.
        withheld: Mask of the voxels that were not fitted.
        solution: Density in the detector's frame with its support.

    Returns:
        Those of `noise_numbers`; ``amplitude_variation``; ``masked_counts``: share of the modelled counts that fall on
        voxels that were not measured. A number that cannot be computed is left out.
    """
    numbers = noise_numbers(scan.counts, modelled, scan.good, withheld)
    numbers["amplitude_variation"] = amplitude_variation(solution.density, solution.support)
    numbers["masked_counts"] = float(modelled[~scan.good].sum() / max(modelled.sum(), 1e-30))
    return {name: value for name, value in numbers.items() if np.isfinite(value)}


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
        ``excess_chi``: relative error of the amplitudes beyond noise, √(Σ(D − E)₊ / 4ΣI), of all good voxels;
        ``excess_chi_free``: that of the bright withheld ones.
    """
    # Rows: good voxels, the bright ones, the withheld ones among these.
    sums = np.zeros((3, 3))
    for first in range(0, len(counts), _BLOCK):
        block = slice(first, first + _BLOCK)
        sums += _deviance_sums(counts[block], modelled[block], good[block], withheld[block])
    names = ("noise_ratio", "noise_ratio_bright", "noise_ratio_free")
    numbers = {name: _ratio(*row[:2]) for name, row in zip(names, sums.tolist(), strict=True)}
    excess, _, excess_free = (_excess_chi(*row) for row in sums.tolist())
    return numbers | {"excess_chi": excess} | ({"excess_chi_free": excess_free} if sums[2, 1] > 0 else {})


def _deviance_sums(
    counts: Float[np.ndarray, "frame y x"],
    modelled: Float[np.ndarray, "frame y x"],
    good: Bool[np.ndarray, "frame y x"],
    withheld: Bool[np.ndarray, "frame y x"],
) -> Float[np.ndarray, "3 3"]:
    """Sum the deviance, its expectation and the counts over good, bright, and withheld bright voxels of a block."""
    measured, values = counts[good].astype(np.float64), modelled[good].astype(np.float64)
    each = pixel_deviance(measured, values), expected_deviance(values), measured
    bright = values > BRIGHT_COUNTS
    chosen = np.ones_like(bright), bright, bright & withheld[good]
    return np.array([[values[mask].sum() for values in each] for mask in chosen])


def _excess_chi(deviance: float, expectation: float, counts: float) -> float:
    """Compute the relative error of the amplitudes beyond noise."""
    return float(np.sqrt(max(deviance - expectation, 0.0) / (4 * max(counts, 1e-12))))


def _ratio(deviance: float, expectation: float) -> float:
    """Divide two sums; not a number where they are of no voxel."""
    return deviance / expectation if expectation > 0 else float("nan")
