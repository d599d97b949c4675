"""From a surface to numbers on a grid: how much of each voxel it fills, and the distance from it.

Arrays are (z, y, x), slowest first; coordinates in metres.

A field c of which the surface is the level {c = 0} has there the distance c/|∇c|, to first order. Voxels beside the
surface therefore know their foot on it to a small part of a voxel; all others take the nearest of these feet, found by
the exact distance transform of the voxels beside the surface (scipy's, whose feature transform tells which).
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from .surfaces import ImplicitSurface

Grid = tuple[Float[np.ndarray, " z"], Float[np.ndarray, " y"], Float[np.ndarray, " x"]]
Spacing = tuple[float, float, float]
_FLAT = 2.0
"""Voxels sideways from a foot over which the surface is taken for flat."""


def grid_points(z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]) -> np.ndarray:
    """All points of a grid (point, 3), in float32, in the order of its array."""
    points = np.empty((len(z), len(y), len(x), 3), np.float32)
    points[..., 0], points[..., 1], points[..., 2] = z[:, None, None], y[:, None], x
    return points.reshape(-1, 3)


def sample_level(
    surface: ImplicitSurface, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
) -> Float[np.ndarray, "z y x"]:
    """[m] Level of a surface at the points of a grid [m]."""
    level: Float[np.ndarray, "z y x"] = surface.level(grid_points(z, y, x)).reshape(len(z), len(y), len(x))
    return level


def sample_occupancy(
    surface: ImplicitSurface,
    z: Float[np.ndarray, " z"],
    y: Float[np.ndarray, " y"],
    x: Float[np.ndarray, " x"],
    *,
    fineness: int = 1,
) -> Float[np.ndarray, "z y x"]:
    """Filled share of each voxel of an evenly spaced grid.

    Args:
        surface: What fills it.
        z: [m] Middles of the voxels.
        y: [m] Likewise.
        x: [m] Likewise.
        fineness: Samples to a voxel along each axis: more where parts are thinner than two voxels.
    """
    axes = tuple(_finer(axis, fineness) for axis in (z, y, x))
    filled = occupancy_from_level(sample_level(surface, *axes))
    if fineness == 1:
        return filled
    shape = (len(z), fineness, len(y), fineness, len(x), fineness)
    return np.asarray(filled.reshape(shape).mean(axis=(1, 3, 5)))


def sample_signed_distance(
    surface: ImplicitSurface, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
) -> Float[np.ndarray, "z y x"]:
    """[m] Distance from a surface at the points of an evenly spaced grid, negative inside."""
    return signed_distance(sample_level(surface, z, y, x), _spacing((z, y, x)))


def occupancy_from_level(level: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, "z y x"]:
    """Filled share of each voxel, ½ − f/|∇f∘Δ| clipped: of a flat surface the sum over voxels is the volume.

    Args:
        level: Negative inside, smooth across the surface, on a grid whose voxels are of the size Δ.
    """
    width = np.sqrt(sum(_difference(level, axis) ** 2 for axis in range(3) if level.shape[axis] > 1))
    filled = (level < 0).astype(level.dtype)
    # Two voxels away from the surface none is partly filled, whatever the level's slope is there.
    near = _widened(_beside_surface(level < 0))
    filled[near] = np.clip(0.5 - level[near] / np.maximum(width[near], np.finfo(level.dtype).tiny), 0, 1)
    return filled


def signed_distance(level: Float[np.ndarray, "z y x"], spacing: Spacing) -> Float[np.ndarray, "z y x"]:
    """[m] Distance from the surface {level = 0}, negative where the level is.

    Args:
        level: Any field that is smooth across its surface: a surface's own level, ½ − a blurred occupancy.
        spacing: [m] Distance between samples (z, y, x).

    Returns:
        float32; as large as the grid, with the level's sign, where there is no surface.
    """
    sign = np.where(level < 0, -1, 1).astype(np.float32)
    beside = _beside_surface(level < 0)
    if not beside.any():
        return sign * np.float32(np.linalg.norm(np.array(spacing) * level.shape))
    index = ndimage.distance_transform_edt(~beside, sampling=spacing, return_distances=False, return_indices=True)
    slopes = [_slope(level, axis) / np.float32(step) for axis, step in enumerate(spacing)]
    slopes = [slope[beside] for slope in slopes]
    square = np.maximum(sum(s * s for s in slopes), np.finfo(np.float32).tiny)
    longest = np.float32(np.linalg.norm(spacing))  # no foot is farther than a voxel's diagonal
    own = np.clip(level[beside] / np.sqrt(square), -longest, longest)
    numbers = np.cumsum(beside.ravel()).reshape(beside.shape)[tuple(index)] - 1
    along, total = np.zeros(level.shape, np.float32), np.zeros(level.shape, np.float32)
    for axis, step in enumerate(spacing):
        shape = [1, 1, 1]
        shape[axis] = -1
        here = np.arange(level.shape[axis]).reshape(shape)
        normal = (slopes[axis] / np.sqrt(square)).astype(np.float32)
        away = ((here - index[axis]) * np.float32(step)).astype(np.float32) + (own * normal)[numbers]
        along += away * normal[numbers]
        total += away * away
    sideways = np.maximum(total - along * along, 0)
    distance = np.where(sideways < (_FLAT * max(spacing)) ** 2, np.abs(along), np.sqrt(total))
    return np.asarray(sign * distance, np.float32)


def _beside_surface(inside: Bool[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """Voxels of which a neighbour is on the surface's other side."""
    beside = np.zeros(inside.shape, bool)
    for axis in range(3):
        one = (slice(None),) * axis
        crossed = inside[(*one, slice(1, None))] != inside[(*one, slice(None, -1))]
        beside[(*one, slice(1, None))] |= crossed
        beside[(*one, slice(None, -1))] |= crossed
    return beside


def _widened(chosen: Bool[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """The voxels, and those that share a face with one."""
    wide = chosen.copy()
    for axis in range(3):
        one = (slice(None),) * axis
        wide[(*one, slice(1, None))] |= chosen[(*one, slice(None, -1))]
        wide[(*one, slice(None, -1))] |= chosen[(*one, slice(1, None))]
    return wide


def _difference(level: Float[np.ndarray, "z y x"], axis: int) -> Float[np.ndarray, "z y x"]:
    """Change over a voxel, central; one-sided at the ends."""
    return np.asarray(np.gradient(level, axis=axis))


def _slope(level: Float[np.ndarray, "z y x"], axis: int) -> Float[np.ndarray, "z y x"]:
    return _difference(level, axis) if level.shape[axis] > 1 else np.zeros_like(level)


def _finer(axis: Float[np.ndarray, " n"], parts: int) -> Float[np.ndarray, " m"]:
    """Middles of the parts of voxels [m]."""
    step = float(axis[-1] - axis[0]) / max(len(axis) - 1, 1)
    return np.asarray((axis[:, None] + step * ((np.arange(parts) + 0.5) / parts - 0.5)).ravel())


def _spacing(axes: tuple[np.ndarray, ...]) -> Spacing:
    z, y, x = (float(a[-1] - a[0]) / max(len(a) - 1, 1) for a in axes)
    return z, y, x
