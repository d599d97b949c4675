"""Simulated crystal: shape and displacement in continuous space, sampled on any grid, skewed grids included.

Notation
--------
ρ      complex density, s·e^(iφ): filled fraction s of a voxel, phase φ = −G·u
G      Bragg vector [1/m]
a_i    steps of the grid [m], rows of a matrix

Vectors are (z, y, x) of the laboratory; arrays are (z, y, x), centred on sample ``n // 2``.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from ...diffraction.frame_amplitudes import frame_amplitudes
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

    def scale_displacement(self, factor: float) -> "Crystal":
        """Multiply the displacement of the lattice; the shape stays the same."""
        return replace(self, displacement_fields=tuple(field.scale(factor) for field in self.displacement_fields))


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
    sampled = _sample_finely(crystal, steps, shape, fineness)
    field = fft.fftshift(fft.fftn(fft.ifftshift(sampled), overwrite_x=True))
    positions = np.zeros((shape[0], 3))
    positions[:, 0] = np.arange(shape[0]) - shape[0] // 2
    return _divide_voxel(field[_central(shape[0], fineness)], positions, shape, fineness)


def far_field_of_frames(
    crystal: Crystal,
    steps: Float[np.ndarray, "3 3"],
    shape: tuple[int, int, int],
    positions: Float[np.ndarray, "frame 3"],
    fineness: int = 2,
) -> Complex[np.ndarray, "frame y x"]:
    """Compute the far field of frames that are each at their own q, by a sum over the samples; see :func:`far_field`.

    Args:
        crystal: Crystal.
        steps: [m] Rows: step of position along the axes conjugate to an even curve.
        shape: Shape of the array of an even curve (frame, y, x).
        positions: Position of each frame along the curve, in steps from its middle, and its offsets along y and x
            [pixel]; any number of frames.
        fineness: Samples of the density per voxel along each axis.
    """
    sampled = _sample_finely(crystal, steps, shape, fineness)
    return _divide_voxel(frame_amplitudes(sampled, positions), positions, shape, fineness)


def _sample_finely(
    crystal: Crystal, steps: Float[np.ndarray, "3 3"], shape: tuple[int, int, int], fineness: int
) -> Complex[np.ndarray, "z y x"]:
    """Sample a crystal several times per voxel."""
    return density(crystal, steps / fineness, (shape[0] * fineness, shape[1] * fineness, shape[2] * fineness))


def _central(count: int, fineness: int) -> slice:
    """Select the measured pixels among those of a finer density."""
    first = count * fineness // 2 - count // 2
    return slice(first, first + count)


def _divide_voxel(
    field: Complex[np.ndarray, "frame rows columns"],
    positions: Float[np.ndarray, "frame 3"],
    shape: tuple[int, int, int],
    fineness: int,
) -> Complex[np.ndarray, "frame y x"]:
    """Divide the transform of a finer voxel out of a field, in the measured pixels, in units of a voxel."""
    along, down, right = positions.T
    rows, columns = (
        np.arange(n) - n // 2 + offset[:, None] for n, offset in zip(shape[1:], (down, right), strict=True)
    )
    z, y, x = (
        fineness * np.sinc(pixels / (fineness * n)) for n, pixels in zip(shape, (along, rows, columns), strict=True)
    )
    measured = field[:, _central(shape[1], fineness), _central(shape[2], fineness)]
    return np.asarray(measured / (z[:, None, None] * y[:, :, None] * x[:, None, :]), np.complex64)
