"""Constraints of the sections of a cell on its code: the signed distance at points of their planes.

On the outline of a section the distance to the surface is 0. Elsewhere the section gives its sign, and bounds it by
the distance to the outline within the plane. The distance at any point is linear in the code.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, map_coordinates

from ....metrics.shapes import signed_distance
from ..cells import CellBatch
from ..sections import SectionPlane
from .shape_code import PIXELS, UNIT, interpolation_matrix

_GRID, _OUTLINE = 8.0, 2.0
"""[voxel] Distance between points of the plane, and along the outline."""
_SMOOTHING = 0.6
"""[voxel] Standard deviation of the Gaussian that removes the pixel steps from an outline."""
_LEAST_DISTANCE = 1.0
"""[voxel] Lower bound of the distance to the surface at points that are farther than this from the outline."""
_FEWEST_POINTS = 3
"""Smallest number of points of a piece of outline that is used."""
_FAR = 1.5 * PIXELS
"""[voxel] Distance to the outline of an empty section."""


class PlanePoints(NamedTuple):
    """Points of a plane: positions in the cube of the network, and distance to the outline within the plane [voxel]."""

    positions: Float[np.ndarray, "point 3"]
    distances: Float[np.ndarray, " point"]


@dataclass(frozen=True)
class SectionConstraints:
    """Constraints of all sections of a cell, the first included.

    Args:
        positions: [voxel] Positions (z, y, x) of the points.
        distances: [voxel] Signed distance to the outline within the plane of each.
    """

    positions: Float[np.ndarray, "point 3"]
    distances: Float[np.ndarray, " point"]

    @classmethod
    def of_cell(cls, cells: CellBatch, number: int) -> "SectionConstraints":
        """Sample the masks of a cell's sections.

        Args:
            cells: All cells.
            number: Number of the cell.
        """
        first = SectionPlane.tilted(0.0), cells.masks[number]
        every = (first, *cells.further_masks(number))
        parts = [plane_points(plane, mask, cells.voxel_lengths) for plane, mask in every]
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    @cached_property
    def matrix(self) -> Float[np.ndarray, "point code"]:
        """Matrix from a code to the distances at the points [voxel]."""
        rows = [interpolation_matrix(self.positions[:, axis]) for axis in range(3)]
        product = np.einsum("pa,pb,pc->pabc", *rows, optimize=True).reshape(len(self.positions), -1)
        return np.asarray(product * UNIT, np.float32)

    def misfit(self, distances: Float[np.ndarray, "code point"]) -> Float[np.ndarray, "code point"]:
        """[voxel] Compute the change of distances at the points that the sections ask for; 0 where they agree.

        Args:
            distances: Distances of each code at the points.
        """
        nearest = np.clip(self.distances, -_LEAST_DISTANCE, _LEAST_DISTANCE)
        low, high = np.minimum(nearest, self.distances), np.maximum(nearest, self.distances)
        return np.asarray(np.clip(distances, low, high) - distances)


def plane_points(plane: SectionPlane, mask: Float[np.ndarray, "y x"], voxel: tuple[float, float, float]) -> PlanePoints:
    """Sample a section at points of a grid and along its outline, within the cube of the network.

    Args:
        plane: Place of the section.
        mask: Share of each pixel in the section.
        voxel: [length_unit] Voxel size (z, y, x) of the mask's grid.
    """
    size = len(mask)
    scale = PIXELS / size
    corner, right, below = plane.grid_positions(size, voxel)[[0, 0, -1], [0, -1, 0]] * scale
    across, down = (right - corner) / (size - 1), (below - corner) / (size - 1)
    distance = _distance(mask > 0.5, scale * voxel[1] / min(voxel))
    step = _GRID / scale
    grid = np.arange(step / 2, size - 0.5, step)
    pixels = np.concatenate(
        [
            np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2),
            *_outline(distance, _OUTLINE / scale),
        ]
    )
    positions = corner + pixels[:, :1] * down + pixels[:, 1:] * across
    within = (np.abs(positions) < PIXELS / 2).all(axis=1)
    values = map_coordinates(distance, pixels.T, order=1, mode="nearest")
    return PlanePoints(positions[within], values[within].astype(np.float32))


def _distance(inside: np.ndarray, scale: float) -> Float[np.ndarray, "y x"]:
    """[voxel] Signed distance to the outline within the plane, without the steps of the pixels."""
    if not inside.any():
        return np.full(inside.shape, _FAR)
    return np.asarray(gaussian_filter(signed_distance(inside) * scale, _SMOOTHING * len(inside) / PIXELS))


def _outline(distance: Float[np.ndarray, "y x"], step: float) -> list[Float[np.ndarray, "point 2"]]:
    """Place points on the pieces of an outline.

    Args:
        distance: Signed distance to the outline.
        step: [pixel] Distance between the points.
    """
    from skimage.measure import find_contours

    pieces = []
    for line in find_contours(distance, 0.0):
        reach = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        places = np.arange(0.0, reach[-1], step)
        if len(places) >= _FEWEST_POINTS:
            pieces.append(np.stack([np.interp(places, reach, line[:, axis]) for axis in (0, 1)], axis=-1))
    return pieces
