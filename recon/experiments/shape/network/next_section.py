"""Choice of a further section: the plane of a small set whose section would tell most about the rest of a shape.

Each draw in turn is taken as the truth and left out. The others are weighted by the agreement of their sections with
its own (kernel ridge regression on the distances in the plane), and predict its shape. The variance that is left,
relative to that about the mean of the others, is what is to be expected after the section. The ridge with the smallest
error over all draws is taken: a section that tells nothing reduces nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float

from ..cells import CellBatch
from ..sections import SectionPlane
from .shape_code import CLIP, PIXELS, UNIT, interpolate, interpolation_matrix, pixel_centres

_HEIGHTS = (-12.0, -6.0, 6.0, 12.0)
"""[voxel] Heights of the candidates parallel to the first section."""
_SOFTNESS = 4.0
"""[voxel] Distance from the surface at which samples are wholly inside or outside."""
_SAMPLES = 32
"""Samples along each axis of shapes and sections."""
_RIDGES = np.logspace(-2, 2, 9)
"""Ridges that are tried, relative to the mean variance of the sections."""
_INTERCEPT = 1e6
"""Variance of the common mean of all draws, relative to that of the sections: it is left free."""


@dataclass(frozen=True)
class Candidate:
    """Plane of a section that could be measured.

    Args:
        height: [voxel] Height above the first section.
        about_y: [deg] Tilt of the specimen about y.
        about_x: [deg] Tilt of the specimen about x.
    """

    height: float
    about_y: float = 0.0
    about_x: float = 0.0

    def plane(self, voxel: float) -> SectionPlane:
        """Plane in the units of the cell.

        Args:
            voxel: [length_unit] Edge of the network's voxels along z.
        """
        return SectionPlane.tilted(self.height * voxel, (np.deg2rad(self.about_y), np.deg2rad(self.about_x)))

    def describe(self, voxel: float, unit: str) -> str:
        """Describe the plane in words.

        Args:
            voxel: [unit] Edge of the network's voxels along z.
            unit: Unit of length.
        """
        if self.about_y or self.about_x:
            axis = "y" if self.about_y else "x"
            return f"the middle plane at a tilt of {self.about_y or self.about_x:.0f} degrees about {axis}"
        return f"the plane {abs(self.height) * voxel:.2g} {unit} {'above' if self.height > 0 else 'below'} the first"


CANDIDATES = (*(Candidate(height) for height in _HEIGHTS), Candidate(0.0, about_y=90.0), Candidate(0.0, about_x=90.0))
"""Planes that are compared."""


def expected_reductions(codes: Float[np.ndarray, "draw z y x"]) -> Float[np.ndarray, "candidate 2"]:
    """Compute the share of the variance of a cell's draws that the section of each candidate is expected to remove.

    Args:
        codes: Codes of the draws, three or more.

    Returns:
        Shares of the variance of the samples near the surface, and of that of the volume.
    """
    along_z, across, planes = _matrices()
    distances = np.stack([interpolate(code, along_z, across, across).ravel() for code in codes])
    values = np.clip(distances * np.float32(UNIT / _SOFTNESS), -1, 1), (distances < 0).sum(axis=1, keepdims=True) * 1.0
    cuts = [_cuts(codes, matrices) for matrices in planes]
    return np.array([[_reduction(cut, own) for own in values] for cut in cuts])


def advice_numbers(reductions: Float[np.ndarray, "candidate 2"], cells: CellBatch) -> dict[str, float]:
    """Name the best candidate in numbers: place, and the expected shares of shape and volume.

    Args:
        reductions: Shares of each candidate (`expected_reductions`).
        cells: The cells, for the unit of length.
    """
    best = int(reductions[:, 0].argmax())
    one, (shape, volume) = CANDIDATES[best], reductions[best]
    height = "next_section_height" + ("" if cells.voxel is not None else "_voxels")
    numbers = {
        height: one.height * _voxel(cells),
        "next_section_tilt_y": one.about_y,
        "next_section_tilt_x": one.about_x,
    }
    return numbers | {"next_section_gain": float(shape), "next_section_gain_volume": float(volume)}


def advice_sentence(reductions: Float[np.ndarray, "candidate 2"], cells: CellBatch) -> str:
    """Name the best candidate in one line.

    Args:
        reductions: Shares of each candidate, mean of the cells.
        cells: The cells, for the unit of length.
    """
    best = int(reductions[:, 0].argmax())
    scale, unit = (1e6, "um") if cells.voxel is not None else (1.0, "pixels")
    plane = CANDIDATES[best].describe(_voxel(cells) * scale, unit)
    shape, volume = 100 * reductions[best]
    return (
        f"a further section would narrow the draws most in {plane}: it is expected to remove {shape:.0f} % of their "
        f"variance, and {volume:.0f} % of that of the volume"
    )


def _voxel(cells: CellBatch) -> float:
    """[length_unit] Edge of the network's voxels along z."""
    return float(cells.voxel_lengths[0] * cells.images.shape[1] / PIXELS)


def _cuts(codes: Float[np.ndarray, "draw z y x"], matrices: Sequence[np.ndarray]) -> Float[np.ndarray, "draw point"]:
    """Distances of the draws in a plane."""
    distances = [np.clip(interpolate(code, *matrices), -CLIP, CLIP).ravel() for code in codes]
    return np.stack(distances) * UNIT


def _reduction(cuts: Float[np.ndarray, "draw point"], values: Float[np.ndarray, "draw value"]) -> float:
    """Share of the variance of values that ridge regression on the cuts explains of draws that are left out."""
    count = len(cuts)
    deviations = cuts - cuts.mean(axis=0)
    kernel = deviations @ deviations.T
    scale = max(float(np.trace(kernel)) / count, 1e-12)
    values = values - values.mean(axis=0)
    gram = values @ values.T
    whole = ((count / (count - 1)) ** 2) * float(np.trace(gram) - gram.sum() / count)
    if whole <= 0:
        return 0.0
    left = []
    for ridge in _RIDGES:
        inverse = np.linalg.inv(kernel / scale + ridge * np.eye(count) + _INTERCEPT)
        rows = inverse / np.diag(inverse)[:, None]  # Errors of the draws left out are these rows times their values.
        left.append(float(np.einsum("ij,jk,ik->", rows, gram, rows)))
    return float(np.clip(1 - min(left) / whole, 0.0, 1.0))


@cache
def _matrices() -> tuple[np.ndarray, np.ndarray, tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]]:
    """Interpolation along z and across of the samples of shapes, and of the points of each candidate's plane."""
    across = interpolation_matrix(pixel_centres(_SAMPLES)).astype(np.float32)
    heights = (np.arange(_SAMPLES) - _SAMPLES // 2) * (PIXELS / _SAMPLES)
    along_z = interpolation_matrix(heights).astype(np.float32)
    planes = []
    for one in CANDIDATES:
        at = [interpolation_matrix(np.array([place])).astype(np.float32) for place in (one.height, 0.5, 0.5)]
        x = at[2] if one.about_y else across
        y = at[1] if one.about_x else across
        planes.append((along_z if one.about_y or one.about_x else at[0], y, x))
    return along_z, across, tuple(planes)
