"""Simulated red blood cell: a class and an implicit surface.

Axes are ``z y x`` in metres, z along the microscope's axis. A real stack shows cells elongated along z: the surface of
a cell is that of such a stack.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .sampling import sample_occupancy, sample_signed_distance
from .surfaces import ImplicitSurface

CLASSES = (
    "spherocyte",
    "stomatocyte_II",
    "stomatocyte_I",
    "discocyte",
    "echinocyte_I",
    "echinocyte_II",
    "echinocyte_III",
    "cell_cluster",
    "keratocyte",
    "knizocyte",
    "multilobate_cell",
    "acanthocyte",
)
"""The classes of Simionato et al., PLoS Comput. Biol. 17, e1008934 (2021): those from
stomatocyte to echinocyte in order, then the others."""


@dataclass(frozen=True)
class RedCell:
    """Red blood cell.

    Args:
        label: Class, one of :data:`CLASSES`.
        surface: Surface around the origin, in the frame of the stack.
    """

    label: str
    surface: ImplicitSurface

    @property
    def bounding_radius(self) -> float:
        """[m] Radius of a ball around the origin that contains the cell."""
        return self.surface.bounding_radius

    def level(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute the level [m] at points [m]: negative inside, 0 on the surface, about the distance near it."""
        return self.surface.level(points)

    def occupancy(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        *,
        fineness: int = 1,
    ) -> Float[np.ndarray, "z y x"]:
        """Compute the filled fraction of each voxel of a grid; arguments as for `sampling.sample_occupancy`."""
        return sample_occupancy(self.surface, z, y, x, fineness=fineness)

    def signed_distance(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "z y x"]:
        """Compute the distance [m] from the surface on a grid [m], negative inside."""
        return sample_signed_distance(self.surface, z, y, x)


@dataclass(frozen=True)
class CellSize:
    """Volume and bounding box of a surface, measured on a coarse grid.

    Args:
        volume: [m³] Volume.
        low: [m] Lower corner (z, y, x) of the bounding box.
        high: [m] Upper corner.
    """

    volume: float
    low: Float[np.ndarray, " 3"]
    high: Float[np.ndarray, " 3"]

    @property
    def middle(self) -> Float[np.ndarray, " 3"]:
        """[m] Middle of the bounding box."""
        return np.asarray((self.low + self.high) / 2)

    @property
    def size(self) -> Float[np.ndarray, " 3"]:
        """[m] Size of the bounding box."""
        return np.asarray(self.high - self.low)


def measure_cell(surface: ImplicitSurface, samples: int = 28) -> CellSize:
    """Measure a surface on a grid over its bounding ball.

    Args:
        surface: Surface around the origin.
        samples: Samples of the grid along each axis.
    """
    axis = surface.bounding_radius * (2 * np.arange(samples) + 1 - samples) / samples
    step = float(axis[1] - axis[0])
    filled = sample_occupancy(surface, axis, axis, axis)
    low, high = np.zeros(3), np.zeros(3)
    for along in range(3):
        # The fullest line across shows how far the body extends into its last voxel.
        fullest = filled.max(axis=tuple(a for a in range(3) if a != along))
        inside = np.flatnonzero(fullest > 0)
        if inside.size:
            first, last = int(inside[0]), int(inside[-1])
            low[along] = axis[first] + step * (0.5 - float(fullest[first]))
            high[along] = axis[last] - step * (0.5 - float(fullest[last]))
    return CellSize(float(filled.sum()) * step**3, low, high)
