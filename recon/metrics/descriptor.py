"""Rotation-invariant descriptor of a closed surface: spherical harmonics of its proximity, on spherical shells.

The descriptor is that of Kazhdan, Funkhouser & Rusinkiewicz (Symp. Geometry Processing 2003, 156) with the parameters
of their program ShapeDescriptor, which Simionato et al. (PLoS Comput. Biol. 17, e1008934 (2021)) applied to red blood
cells.

Notation
--------
c, s   area-weighted centre of the surface, and rms distance of the surface from it
d      distance from the surface in units of s/16, the voxels of a cube of 64³ that is 4 s wide
f      proximity exp(−d²/16): 1 on the surface, 1/e at a distance of four voxels
r      radius of a shell, ½, 1½ … 31½ voxels

On each shell r f is expanded in spherical harmonics. Degrees 1 and 3 to 15 contribute the norm of their part each.
Degrees 0 and 2 together are a quadratic form on the sphere, whose invariants under rotation are its three eigenvalues:
they are given as coefficients of the orthonormal functions a + b x², a + b y², a + b z², the smallest first. The
largest number is scaled to 1, as in their data.

Arrays are (z, y, x), slowest first.
"""

from functools import cache
from math import factorial

import numpy as np
from jaxtyping import Bool, Float

from ..errors import DataError

SHELLS, BANDS = 32, 17
"""Shape of a descriptor: radii from the inside, and numbers at each: three for degrees 0 and 2, then 1, 3, 4 … 15."""
_CUBE = 64
_DEGREES = 16
_RINGS, _AROUND = 32, 64
_PROXIMITY_SCALE = 16.0
"""[voxel²] Square of the distance at which the proximity is 1/e."""


def shape_descriptor(
    occupancy: Float[np.ndarray, "z y x"], spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> Float[np.ndarray, "shell band"]:
    """Compute the descriptor of the half-filled surface of a volume, invariant to rotation, translation and scale.

    Args:
        occupancy: Occupancy, 0…1.
        spacing: Distance between samples (z, y, x), in any unit.

    Raises:
        DataError: If there is no surface.
    """
    from scipy import ndimage

    voxels = _rasterise(*_surface(occupancy, spacing))
    square = ndimage.distance_transform_edt(~voxels) ** 2
    directions, _ = _sphere()
    radii = np.arange(SHELLS) + 0.5
    points = _CUBE / 2 + radii[:, None, None] * directions
    proximity = ndimage.map_coordinates(np.exp(-square / _PROXIMITY_SCALE), points.reshape(-1, 3).T, order=1)
    shells = proximity.reshape(SHELLS, -1) * radii[:, None]
    descriptor = np.empty((SHELLS, BANDS))
    descriptor[:, :3] = _quadratic_invariants(shells)
    descriptor[:, 3:] = np.sqrt(_degree_powers(shells)[:, [1, *range(3, _DEGREES)]])
    return np.asarray(descriptor / descriptor.max())


def descriptor_distance(
    one: Float[np.ndarray, "*n shell band"], other: Float[np.ndarray, "*n shell band"]
) -> Float[np.ndarray, "*n"]:
    """Compute the Euclidean distance of descriptors: 0 for the same shape.

    Args:
        one: Descriptors.
        other: Descriptors to compare them with.
    """
    return np.asarray(np.sqrt(np.sum((one - other) ** 2, axis=(-2, -1))))


def _surface(
    occupancy: Float[np.ndarray, "z y x"], spacing: tuple[float, float, float]
) -> tuple[Float[np.ndarray, "vertex 3"], np.ndarray]:
    """Triangulate the half-filled surface, closed at the faces of the volume."""
    from skimage.measure import marching_cubes

    padded = np.pad(np.asarray(occupancy, np.float32), 1)
    if not padded.max() > 0.5:
        raise DataError("no sample is more than half filled: there is no surface to describe")
    vertices, faces, _, _ = marching_cubes(padded, 0.5, spacing=spacing)
    return np.asarray(vertices, np.float64), faces


def _rasterise(vertices: Float[np.ndarray, "vertex 3"], faces: np.ndarray) -> Bool[np.ndarray, "a b c"]:
    """Mark the voxels of the cube that the surface passes through."""
    corners = vertices[faces]
    sides = corners[:, 1:] - corners[:, :1]
    areas = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) / 2
    centre = np.average(corners.mean(axis=1), axis=0, weights=areas)
    corners = corners - centre
    # The mean of |p|² over a triangle is (Σ|corner|² + |Σ corner|²)/12.
    square = ((corners**2).sum(axis=(1, 2)) + (corners.sum(axis=1) ** 2).sum(axis=1)) / 12
    scale = np.sqrt(np.average(square, weights=areas))
    corners = corners * (_CUBE / 4 / scale) + _CUBE / 2
    grid = np.zeros((_CUBE, _CUBE, _CUBE), bool)
    for weights in _triangle_points(1 + int(np.ceil(1.5 * np.abs(np.diff(corners, axis=1)).max()))):
        index = np.floor(np.einsum("k,tkx->tx", weights, corners) + 0.5).astype(int)
        index = index[((index >= 0) & (index < _CUBE)).all(axis=1)]
        grid[tuple(index.T)] = True
    return grid


@cache
def _triangle_points(steps: int) -> Float[np.ndarray, "place 3"]:
    """Barycentric coordinates of a regular grid of points in a triangle."""
    return np.array([(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)], float) / steps


@cache
def _sphere() -> tuple[Float[np.ndarray, "place 3"], Float[np.ndarray, " place"]]:
    """Directions over the sphere, and quadrature weights: exact for degrees below 2 · rings."""
    cosine, weight = np.polynomial.legendre.leggauss(_RINGS)
    azimuth = 2 * np.pi * np.arange(_AROUND) / _AROUND
    sine = np.sqrt(1 - cosine**2)
    directions = np.stack(
        [np.repeat(cosine, _AROUND), np.outer(sine, np.sin(azimuth)).ravel(), np.outer(sine, np.cos(azimuth)).ravel()],
        axis=1,
    )
    return directions, np.repeat(weight, _AROUND) * (2 * np.pi / _AROUND)


@cache
def _legendre() -> Float[np.ndarray, "degree order ring"]:
    """Normalised associated Legendre functions on the rings, times their weights."""
    from scipy.special import lpmv

    cosine, weight = np.polynomial.legendre.leggauss(_RINGS)
    table = np.zeros((_DEGREES, _DEGREES, _RINGS))
    for degree in range(_DEGREES):
        for order in range(degree + 1):
            norm = (2 * degree + 1) / (4 * np.pi) * factorial(degree - order) / factorial(degree + order)
            table[degree, order] = np.sqrt(norm) * lpmv(order, degree, cosine) * weight
    return table


def _degree_powers(shells: Float[np.ndarray, "shell place"]) -> Float[np.ndarray, "shell degree"]:
    """Squared norm of the part of each degree."""
    rings = np.fft.rfft(shells.reshape(SHELLS, _RINGS, _AROUND), axis=2)[:, :, :_DEGREES] * (2 * np.pi / _AROUND)
    coefficients = np.einsum("lmt,stm->slm", _legendre(), rings)
    multiplicity = np.where(np.arange(_DEGREES) > 0, 2.0, 1.0)  # Negative orders are as large as positive ones.
    return np.asarray((np.abs(coefficients) ** 2 * multiplicity).sum(axis=2))


def _quadratic_invariants(shells: Float[np.ndarray, "shell place"]) -> Float[np.ndarray, "shell 3"]:
    """Invariants of degrees 0 and 2."""
    directions, weights = _sphere()
    rows, columns = np.triu_indices(3)
    products = directions[:, rows] * directions[:, columns]
    overlap = (products * weights[:, None]).T @ products
    solved = np.linalg.solve(overlap, (products * weights[:, None]).T @ shells.T).T
    form = np.zeros((SHELLS, 3, 3))
    form[:, rows, columns] = solved / np.where(rows == columns, 1, 2)
    form[:, columns, rows] = form[:, rows, columns]
    values = np.linalg.eigvalsh(form)
    # ⟨1, x²⟩ = 4π/3, ⟨x², y²⟩ = 4π/15, ⟨x², x²⟩ = 4π/5.
    one, mixed, own = 4 * np.pi / 3, 4 * np.pi / 15, 4 * np.pi / 5
    b = 1 / np.sqrt(own - mixed)
    a = (-b * one + np.sqrt(max((b * one) ** 2 - 4 * np.pi * b**2 * mixed, 0))) / (4 * np.pi)
    total = values.sum(axis=1, keepdims=True)
    return np.asarray(a * one * total + b * (mixed * total + (own - mixed) * values))
