"""Position of a model in the world: axes ``z y x``, lengths in metres.

A model's box is upright, or skewed as the grid of a rocking curve is: a parallelepiped. ``low`` and ``high`` are then
the corners of the upright box around it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from .errors import DataError

FACE_TOLERANCE = 1e-9  # [half box] A point this far outside is on the face of the box: coordinates are rounded.
_SMALLEST_VOLUME_RATIO = 1e-6
"""Smallest volume of a skewed box relative to the upright box of its extent; a flatter one is degenerate."""

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class ModelFrame:
    """The box in which a model is defined.

    Args:
        low: [m] Corner of smallest (z, y, x).
        high: [m] Corner of largest (z, y, x).
        spacing: [m] Sampling (z, y, x) that shows all detail: the voxel of the fit, where there was one.
        attributes: Metadata, such as ``medium_index``.
        edges: [m] The three edges of a skewed box, each a vector (z, y, x); None for an upright one.
        length_unit: ``m``, or ``voxel`` where the size of a sample is not known and coordinates count samples.

    Raises:
        DataError: If the box is not one.
    """

    low: Vector
    high: Vector
    spacing: Vector | None = None
    attributes: Mapping[str, float | str] = field(default_factory=dict)
    edges: tuple[Vector, Vector, Vector] | None = None
    length_unit: Literal["m", "voxel"] = "m"

    def __post_init__(self) -> None:
        unit = self.length_unit
        if not (np.all(np.isfinite([self.low, self.high])) and np.all(self.extent > 0)):
            raise DataError(f"the model's box from {self.low} to {self.high} {unit} has no volume")
        if self.spacing is not None and not all(d > 0 for d in self.spacing):
            raise DataError(f"the model's spacing {self.spacing} {unit} is not positive")
        if self.edges is not None and not abs(np.linalg.det(self.edges)) > _SMALLEST_VOLUME_RATIO * np.prod(
            self.extent
        ):
            raise DataError(f"the edges {self.edges} {unit} of the model's box span no volume")

    @classmethod
    def skewed(
        cls,
        middle: Float[np.ndarray, " 3"],
        edges: Float[np.ndarray, "3 3"],
        spacing: Vector | None = None,
        attributes: Mapping[str, float | str] | None = None,
        length_unit: Literal["m", "voxel"] = "m",
    ) -> "ModelFrame":
        """Make the frame of a parallelepiped; an upright one where its edges are.

        Args:
            middle: [m] Centre (z, y, x).
            edges: [m] Rows: edges along the model's own z, y and x.
            spacing: [m] Sampling (z, y, x) that shows all detail.
            attributes: Metadata.
            length_unit: ``m`` or ``voxel``.
        """
        half = np.abs(edges).sum(axis=0) / 2
        low, high, (a, b, c) = middle - half, middle + half, (_vector(edge) for edge in edges)
        upright = np.array_equal(edges, np.diag(np.abs(np.diag(edges))))
        skewed_edges = None if upright else (a, b, c)
        return cls(_vector(low), _vector(high), spacing, attributes or {}, skewed_edges, length_unit)

    @property
    def extent(self) -> Float[np.ndarray, " 3"]:
        """[m] Size of the upright box (z, y, x)."""
        return np.subtract(self.high, self.low)

    @property
    def world_from_model(self) -> Float[np.ndarray, "4 4"]:
        """Affine map of homogeneous normalised points (z, y, x, 1), −1 … 1 in the box, to metres."""
        affine = np.diag([*(self.extent / 2), 1.0])
        if self.edges is not None:
            affine[:3, :3] = np.transpose(self.edges) / 2
        affine[:3, 3] = np.add(self.low, self.high) / 2
        return affine

    def normalised(self, coordinates: Float[np.ndarray, "*n"], axis: int) -> Float[np.ndarray, "*n"]:
        """Convert coordinates along one axis of an upright box [m] to −1 … 1."""
        low, high = self.low[axis], self.high[axis]
        s: np.ndarray = (2 * coordinates - (low + high)) / (high - low)
        return s

    def points(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Convert points [m] to normalised ones."""
        if self.edges is not None:
            affine = self.world_from_model
            normalised: np.ndarray = (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
            return normalised
        return np.stack([self.normalised(points[:, axis], axis) for axis in range(3)], axis=-1)

    def contains(self, points: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
        """Return which points [m] lie in the box."""
        within: np.ndarray = np.all(inside(self.points(points)), axis=-1)
        return within


def inside(s: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """Return which normalised coordinates lie in the box."""
    within: np.ndarray = np.abs(s) <= 1 + FACE_TOLERANCE
    return within


def _vector(numbers: Float[np.ndarray, " 3"]) -> Vector:
    z, y, x = (float(number) for number in numbers)
    return z, y, x
