"""Regions bounded by planes, and their occupancy of the voxels of any grid, skewed grids included.

Notation
--------
r      point (z, y, x) of the laboratory [m]
n, d   outward unit normal and offset [m] of a facet: the inside is n·r ≤ d
a_i    steps of the grid [m]: a voxel is the parallelepiped that they span

A voxel whose centre is δ = d − n·r below a facet is filled to P(Σ h_i U_i ≤ δ), with h_i = |n·a_i| and U_i even in
−½…½: a piecewise cubic, exact for every flat facet. Where two facets meet in a voxel their fractions are multiplied,
which is exact for normal facets; such voxels are divided first, as the error falls with the square of their size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import ConvexHull, HalfspaceIntersection

_PARTS = 3
"""Parts, along each axis, of a voxel in which facets meet."""
_CHUNK = 20_000
"""Voxels that are divided together, which limits the memory."""


class ShapeError(ValueError):
    """Invalid facets or flaws of a crystal's shape."""


@dataclass(frozen=True)
class Polyhedron:
    """Intersection of half-spaces, which may be unbounded, as a wedge or a plate.

    Args:
        normals: Outward normals of length 1.
        offsets: [m] Distance of each facet from the origin along its normal.
    """

    normals: Float[np.ndarray, "facet 3"]
    offsets: Float[np.ndarray, " facet"]

    def depth(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point facet"]:
        """Compute the depth [m] of points below each facet."""
        below: Float[np.ndarray, "point facet"] = self.offsets - points @ self.normals.T
        return below

    def contains(self, points: Float[np.ndarray, "point 3"]) -> Bool[np.ndarray, " point"]:
        """Whether points [m] lie inside."""
        return np.asarray(np.all(self.depth(points) >= 0, axis=1))

    def translate(self, offset: Float[np.ndarray, " 3"]) -> "Polyhedron":
        """Move by an offset [m]."""
        return replace(self, offsets=self.offsets + self.normals @ offset)

    def rotate(self, rotation: Float[np.ndarray, "3 3"]) -> "Polyhedron":
        """Rotate about the origin: the point r moves to ``rotation @ r``."""
        return replace(self, normals=self.normals @ rotation.T)

    def scale(self, factor: float) -> "Polyhedron":
        """Magnify about the origin."""
        return replace(self, offsets=factor * self.offsets)

    def add_facet(self, normal: Float[np.ndarray, " 3"], offset: float) -> "Polyhedron":
        """Add a facet."""
        return Polyhedron(np.vstack([self.normals, normal]), np.append(self.offsets, offset))

    def vertices(self) -> Float[np.ndarray, "vertex 3"]:
        """Compute the corners [m].

        Raises:
            ShapeError: If the facets do not enclose the origin, or have no bounds.
        """
        if not np.all(self.offsets > 0):
            raise ShapeError(f"the origin is not inside: a facet lies {self.offsets.min():g} m from it")
        size = float(np.median(self.offsets))  # the library has absolute tolerances, unfit for 1e-7 m
        half_spaces = np.column_stack([self.normals, -self.offsets / size])
        corners = size * HalfspaceIntersection(half_spaces, np.zeros(3)).intersections
        if not np.isfinite(corners).all():
            raise ShapeError(f"{len(self.offsets)} facets leave the region unbounded: add facets")
        return np.asarray(corners)

    def volume(self) -> float:
        """Compute the enclosed volume [m³]."""
        corners = self.vertices()
        size = float(np.abs(corners).max())
        return float(ConvexHull(corners / size).volume) * size**3


@dataclass(frozen=True)
class Shape:
    """Convex body with holes.

    Args:
        body: Outer facets, around the origin.
        holes: Parts that are missing: notches, voids, plates that scatter to another peak.
    """

    body: Polyhedron
    holes: tuple[Polyhedron, ...] = ()

    def contains(self, points: Float[np.ndarray, "point 3"]) -> Bool[np.ndarray, " point"]:
        """Whether points [m] lie in the crystal."""
        inside = self.body.contains(points)
        for hole in self.holes:
            inside &= ~hole.contains(points)
        return inside

    def occupancy(self, steps: Float[np.ndarray, "3 3"], shape: tuple[int, int, int]) -> Float[np.ndarray, "z y x"]:
        """Compute the filled fraction of each voxel, 0…1.

        Args:
            steps: [m] Rows: step of position along the array's axes.
            shape: Shape of the array; the origin is at its sample ``n // 2``.
        """
        filled = np.zeros(shape)
        first, last = self._box(steps, shape)
        if np.all(last > first):
            middle = np.array(shape) // 2
            axes = [np.arange(a, b) - m for a, b, m in zip(first, last, middle, strict=True)]
            filled[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = self._occupancy(axes, steps)
        return filled

    def _box(self, steps: Float[np.ndarray, "3 3"], shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Compute the first and last sample (exclusive) along each axis that the body may touch."""
        positions = self.body.vertices() @ np.linalg.inv(steps) + np.array(shape) // 2
        first = np.clip(np.floor(positions.min(axis=0)).astype(int) - 1, 0, shape)
        last = np.clip(np.ceil(positions.max(axis=0)).astype(int) + 2, 0, shape)
        return first, last

    def _occupancy(self, axes: Sequence[np.ndarray], steps: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "z y x"]:
        filled, met = _grid_fractions(self.body, axes, steps)
        for hole in self.holes:
            taken, edges = _grid_fractions(hole, axes, steps)
            filled *= 1 - taken
            met += edges
        mixed = np.nonzero((met > 1) & (filled > 0))
        centres = np.column_stack([axis[i] for axis, i in zip(axes, mixed, strict=True)]) @ steps
        filled[mixed] = self._divide_voxels(centres, steps)
        return filled

    def _divide_voxels(
        self, centres: Float[np.ndarray, "point 3"], steps: Float[np.ndarray, "3 3"]
    ) -> Float[np.ndarray, " point"]:
        """Compute the fractions of single voxels [m], each the mean over its parts."""
        part = (np.arange(_PARTS) + 0.5) / _PARTS - 0.5
        inner = np.array(list(product(part, repeat=3))) @ steps
        means = []
        for start in range(0, len(centres), _CHUNK):
            points = (centres[start : start + _CHUNK, None] + inner).reshape(-1, 3)
            filled = _point_fractions(self.body, points, steps / _PARTS)
            for hole in self.holes:
                filled *= 1 - _point_fractions(hole, points, steps / _PARTS)
            means.append(filled.reshape(-1, len(inner)).mean(axis=1))
        return np.concatenate(means) if means else np.zeros(0)


def _grid_fractions(
    region: Polyhedron, axes: Sequence[np.ndarray], steps: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "z y x"], np.ndarray]:
    """Compute the product of the facets' fractions in each voxel of a grid, and the number of facets through it."""
    filled = np.ones([len(axis) for axis in axes])
    met = np.zeros(filled.shape, np.uint8)
    z, y, x = axes
    for normal, offset in zip(region.normals, region.offsets, strict=True):
        slopes = steps @ normal
        depth = (offset - slopes[0] * z)[:, None, None] - (slopes[1] * y)[:, None] - slopes[2] * x
        reach = np.abs(slopes).sum() / 2
        band = np.abs(depth) < reach
        met += band
        filled[depth <= -reach] = 0
        filled[band] *= _fraction(depth[band], slopes)
    return filled, met


def _point_fractions(
    region: Polyhedron, points: Float[np.ndarray, "point 3"], steps: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, " point"]:
    """Compute the product of the facets' fractions in voxels at any points."""
    filled = np.ones(len(points))
    for depth, normal in zip(region.depth(points).T, region.normals, strict=True):
        slopes = steps @ normal
        reach = np.abs(slopes).sum() / 2
        band = np.abs(depth) < reach
        filled[depth <= -reach] = 0
        filled[band] *= _fraction(depth[band], slopes)
    return filled


def _fraction(depth: Float[np.ndarray, " point"], slopes: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " point"]:
    """Compute the fraction of a voxel below a plane, Σ_s s1 s2 s3 (δ + s·h/2)₊³ / (6 h1 h2 h3) over all signs s."""
    widths = np.abs(slopes)
    # A plane along an edge would divide zero by zero; this tilt is negligible.
    widths = np.maximum(widths, 1e-3 * widths.max())
    total = np.zeros(len(depth))
    for signs in product((-0.5, 0.5), repeat=3):
        total += np.sign(np.prod(signs)) * np.maximum(depth + signs @ widths, 0) ** 3
    fraction: Float[np.ndarray, " point"] = np.clip(total / (6 * np.prod(widths)), 0, 1)
    return fraction
