"""Consensus of a cell's draws: the one shape with the smallest expected error.

The mean of the draws' codes has the largest overlap with them, but is smoother and, where they differ, smaller than
they are. Its relief is amplified and its surface is shifted until roughness and volume are those that the draws have:
the median roughness, and the volume with the smallest expected relative error.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d

from ....metrics.shapes import BLUR_MARGIN, crop_with_margin
from .relief import relief
from .shape_code import (
    PIXELS,
    UNIT,
    WIDTH,
    Code,
    interpolate,
    interpolation_matrix,
    pixel_centres,
    section_correction,
    section_interpolation,
)

DRAWS = 20
"""Number of draws of a consensus."""
_BLUR = 2.0
"""[voxel] Standard deviation of the Gaussian of the roughness, as in `metrics.shapes`."""
_LARGEST_GAIN, _LARGEST_SHIFT = 4.0, 0.5
"""Largest amplification of the relief, and largest shift of the surface in units of the code."""
_ROUNDS, _SHIFTS = 6, 2
"""Bisections of the amplification, and secant steps of the shift in each."""
_PROBE = 0.02
"""Shift by which the slope of the volume is measured."""

Outline = Float[np.ndarray, "m m"]


@dataclass(frozen=True)
class PredictedCodes:
    """Codes of predicted shapes.

    Args:
        draws: Code of each cell and draw.
        consensus: Code of the one shape of each cell; None where the draws are the means already.
    """

    draws: Float[np.ndarray, "cell draw z y x"]
    consensus: Float[np.ndarray, "cell z y x"] | None

    def of_cell(self, number: int) -> tuple[Float[np.ndarray, "draw z y x"], Code | None]:
        """Codes of the draws of a cell, and of their consensus."""
        return self.draws[number], None if self.consensus is None else self.consensus[number]


def consensus(codes: Float[np.ndarray, "draw z y x"], outline: Outline) -> Code:
    """Combine draws of a cell to one shape.

    Args:
        codes: Codes of the draws.
        outline: [voxel] Signed distance to the outline of the section, at `shape_code.section_points`.
    """
    drawn = [voxels_inside(code, outline) for code in codes]
    volume = _best_volume(np.array([np.count_nonzero(one) for one in drawn], float))
    roughness = float(np.median([_roughness(one) for one in drawn]))
    mean = np.asarray(codes.mean(axis=0), np.float32)
    high, low_gain, high_gain, shift = relief(mean), 0.0, _LARGEST_GAIN, 0.0
    for _ in range(_ROUNDS):
        gain = (low_gain + high_gain) / 2
        shift, own = _shift_to_volume(mean + gain * high, outline, volume, shift)
        if _roughness(own) < roughness:
            low_gain = gain
        else:
            high_gain = gain
    return np.asarray(mean + gain * high + shift, np.float32)


def _best_volume(volumes: Float[np.ndarray, " draw"]) -> float:
    """Volume with the smallest expected error relative to the true one: the median weighted by 1 / volume."""
    ordered = np.sort(volumes)
    weights = 1 / np.maximum(ordered, 1.0)
    middle = np.cumsum(weights) - weights / 2
    return float(np.interp(weights.sum() / 2, middle, ordered))


def _shift_to_volume(
    code: Code, outline: Outline, volume: float, shift: float
) -> tuple[float, Bool[np.ndarray, "z y x"]]:
    """Shift the surface of a code, beginning with a shift, until it has a volume; return shift and voxels."""
    own = voxels_inside(code + shift, outline)
    slope = (np.count_nonzero(voxels_inside(code + shift + _PROBE, outline)) - np.count_nonzero(own)) / _PROBE
    for _ in range(_SHIFTS):
        step = (volume - np.count_nonzero(own)) / min(slope, -1.0)
        shift = float(np.clip(shift + step, -_LARGEST_SHIFT, _LARGEST_SHIFT))
        own = voxels_inside(code + shift, outline)
    return shift, own


def voxels_inside(code: Code, outline: Outline) -> Bool[np.ndarray, "z y x"]:
    """Voxels inside a shape, on the cube of the network."""
    along_z, across, section, near = _matrices()
    distance = interpolate(code * np.float32(UNIT), along_z, across, across)
    correction = section @ section_correction(code, outline) @ section.T
    return np.asarray(distance + near[:, None, None] * correction < 0)


@cache
def _matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Interpolation along z and across, that of the section, and the weight of its correction along z."""
    z, across = np.arange(PIXELS, dtype=float) - PIXELS // 2, pixel_centres()
    matrices = (interpolation_matrix(z), interpolation_matrix(across), section_interpolation(across))
    along_z, in_plane, section = (one.astype(np.float32) for one in matrices)
    return along_z, in_plane, section, np.exp(-0.5 * (z / WIDTH) ** 2).astype(np.float32)


def _roughness(inside: Bool[np.ndarray, "z y x"]) -> int:
    """Count the voxels that a blur and a new cut at ½ change."""
    part = crop_with_margin(inside, BLUR_MARGIN)
    smooth = part.astype(np.float32)
    for axis in range(3):
        smooth = gaussian_filter1d(smooth, _BLUR, axis=axis)
    return int(np.count_nonzero((smooth > 0.5) != part))
