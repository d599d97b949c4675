"""Bodies whose surface is the zero of a level, and their occupancy of voxels.

The level f [m] is about the signed distance: negative inside. A voxel is filled to ½ − f/|∇f∘Δ|, clipped to 0…1, as in
`body`; the gradient is that between neighbouring samples. Voxels that are not small against the finest detail of the
body are divided.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from .body import average_parts, subdivide

_LEAST_VOXELS_PER_DETAIL = 2.0
"""Number of voxels in the finest detail below which voxels are divided."""
_MOST_DIVISIONS = 8
"""Largest number of divisions of a voxel along an axis."""
_CHUNK_SAMPLES = 2_000_000
"""Samples that are processed together, which limits the memory."""

B = TypeVar("B", bound="ImplicitBody")


@dataclass(frozen=True)
class ImplicitBody(ABC):
    """Body with a level and a complex refractive index.

    Args:
        centre: [m] Centre (z, y, x).
        index: Refractive index (absolute).
        absorption: Imaginary refractive index.
        orientation: Columns: the body's axes in (z, y, x); None for z, y, x.
    """

    centre: Float[np.ndarray, " 3"]
    index: float
    absorption: float = 0.0
    orientation: Float[np.ndarray, "3 3"] | None = None

    @property
    @abstractmethod
    def own_half_extent(self) -> Float[np.ndarray, " 3"]:
        """[m] Half the size of a box around the centre, along the body's own axes, that contains the body."""

    @property
    @abstractmethod
    def detail(self) -> float:
        """[m] Finest detail, such as half the thickness of a wall."""

    @abstractmethod
    def level(self, q: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute f [m] at points of the body's own frame [m]."""

    @property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Columns: the body's axes in (z, y, x)."""
        return np.eye(3) if self.orientation is None else self.orientation

    @property
    def half_extent(self) -> Float[np.ndarray, " 3"]:
        """[m] Half the size along z, y, x of a box that contains the body."""
        return np.asarray(np.abs(self.axes) @ self.own_half_extent)

    def rotate(self: B, rotation: Float[np.ndarray, "3 3"]) -> B:
        """Rotate the body about the origin: the point r moves to ``rotation @ r``."""
        return replace(self, centre=rotation @ self.centre, orientation=rotation @ self.axes)

    def occupancy(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        size: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, "z y x"]:
        """Compute the fraction of each voxel that the body fills; arguments as for `Body.occupancy`."""
        divisions = np.ceil(_LEAST_VOXELS_PER_DETAIL * size / self.detail)
        parts = [int(n) for n in np.clip(divisions, 1, _MOST_DIVISIONS)]
        fine = size / parts
        _, fy, fx = (subdivide(a, float(d), m) for a, d, m in zip((z, y, x), size, parts, strict=True))
        filled = np.empty((len(z), len(y), len(x)))
        step = max(1, _CHUNK_SAMPLES // (parts[0] * len(fy) * len(fx)))
        for start in range(0, len(z), step):
            fz = subdivide(z[start : start + step], float(size[0]), parts[0])
            filled[start : start + step] = average_parts(self._occupancy_of_small_voxels(fz, fy, fx, fine), parts)
        return filled

    def _occupancy_of_small_voxels(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        size: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, "z y x"]:
        """Compute the occupancy of voxels that are small against the body, with a further sample on each side."""
        level = self.level_on(*(_extend(a, float(d)) for a, d in zip((z, y, x), size, strict=True)))
        slopes = [np.gradient(level, axis=axis) if step > 0 else np.zeros_like(level) for axis, step in enumerate(size)]
        width = np.maximum(np.sqrt(sum(slope**2 for slope in slopes)), 1e-12)
        filled = np.clip(0.5 - level / width, 0, 1)
        return np.asarray(filled[tuple(slice(1, -1) if step > 0 else slice(None) for step in size)])

    def level_on(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "z y x"]:
        """Compute f [m] on a grid."""
        points = np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1).reshape(-1, 3)
        return self.level((points - self.centre) @ self.axes).reshape(len(z), len(y), len(x))


def _extend(axis: Float[np.ndarray, " n"], step: float) -> Float[np.ndarray, " m"]:
    """Add a sample at both ends; none in a plane."""
    return np.concatenate([[axis[0] - step], axis, [axis[-1] + step]]) if step > 0 else axis
