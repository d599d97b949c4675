"""Simulated crystal: shape and displacement in continuous space, sampled on any grid, skewed grids included.

Notation
--------
ρ      complex density, s·e^(iφ): filled fraction s of a voxel, phase φ = −G·u
G      Bragg vector [1/m]
a_i    steps of the grid [m], rows of a matrix

Vectors are (z, y, x) of the laboratory; arrays are (z, y, x), centred on sample ``n // 2``.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from .polyhedron import Shape
from .strain import DisplacementField


@dataclass(frozen=True)
class Crystal:
    """Strained crystal around the origin.

    Args:
        shape: Shape.
        displacement_fields: Displacement fields, which add.
        bragg_vector: [1/m] Bragg vector G.
    """

    shape: Shape
    displacement_fields: tuple[DisplacementField, ...]
    bragg_vector: Float[np.ndarray, " 3"]

    def displacement(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute the displacement along G [m] at points [m]."""
        direction = self.bragg_vector / np.linalg.norm(self.bragg_vector)
        return sum((field.along(points, direction) for field in self.displacement_fields), np.zeros(len(points)))

    def phase(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute the phase −G·u [rad] at points [m], unwrapped.

        It jumps at the branch cut of each dislocation and at stacking faults.
        """
        phase: Float[np.ndarray, " point"] = -np.linalg.norm(self.bragg_vector) * self.displacement(points)
        return phase


def density(
    crystal: Crystal, steps: Float[np.ndarray, "3 3"], shape: tuple[int, int, int]
) -> Complex[np.ndarray, "z y x"]:
    """Sample a crystal: the filled fraction of each voxel, with the phase at its centre.

    Args:
        crystal: Crystal.
        steps: [m] Rows: step of position along the array's axes (`bragg_geometry.real_space_steps`).
        shape: Shape of the array.

    Returns:
        complex64, centred; |ρ| is 1 inside.
    """
    filled = crystal.shape.occupancy(steps, shape)
    inside = filled > 0
    points = (np.argwhere(inside) - np.array(shape) // 2) @ steps
    sampled = np.zeros(shape, np.complex64)
    sampled[inside] = filled[inside] * np.exp(1j * crystal.phase(points))
    return sampled


def far_field(
    crystal: Crystal, steps: Float[np.ndarray, "3 3"], shape: tuple[int, int, int], fineness: int = 2
) -> Complex[np.ndarray, "z y x"]:
    """Compute the far field F(q) = ∫ρ e^(−iq·r), in units of a voxel, at the q of the measured array.

    A crystal has sharper edges than voxels: the grid is refined, and the transform of the voxel divided out, so that
    simulation and reconstruction do not share a discretisation.

    Args:
        crystal: Crystal.
        steps: [m] Rows: step of position along the conjugate array's axes.
        shape: Shape of the measured array (frame, y, x).
        fineness: Samples of the density per voxel along each axis, against aliasing: with 1, the intensity near the
            edges of the array is inaccurate.

    Returns:
        complex64, centred.
    """
    fine_shape = (shape[0] * fineness, shape[1] * fineness, shape[2] * fineness)
    sampled = density(crystal, steps / fineness, fine_shape)
    field = fft.fftshift(fft.fftn(fft.ifftshift(sampled), overwrite_x=True))
    central = [slice(n * fineness // 2 - n // 2, n * fineness // 2 - n // 2 + n) for n in shape]
    z, y, x = (fineness * np.sinc((np.arange(n) - n // 2) / (fineness * n)) for n in shape)
    return np.asarray(field[tuple(central)] / (z[:, None, None] * y[:, None] * x), np.complex64)
