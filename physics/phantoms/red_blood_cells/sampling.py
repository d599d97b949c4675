"""Sampling of implicit surfaces on grids: occupancy of voxels, and signed distance.

Arrays are (z, y, x), slowest first; coordinates in metres.

The distance from the level {c = 0} of a field c is c/|∇c|, to first order. It gives the foot points of voxels beside
the surface to a small part of a voxel; all other voxels take the nearest of these foot points, by the feature transform
of scipy's exact distance transform.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from .surfaces import ImplicitSurface

Grid = tuple[Float[np.ndarray, " z"], Float[np.ndarray, " y"], Float[np.ndarray, " x"]]
Spacing = tuple[float, float, float]
_FLAT = 2.0
"""Voxels sideways from a foot point over which the surface is assumed flat."""


def grid_points(z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]) -> np.ndarray:
    """List all points of a grid (point, 3), in float32, in the order of its array."""
    points = np.empty((len(z), len(y), len(x), 3), np.float32)
    points[..., 0], points[..., 1], points[..., 2] = z[:, None, None], y[:, None], x
    return points.reshape(-1, 3)


def sample_level(
    surface: ImplicitSurface, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
) -> Float[np.ndarray, "z y x"]:
    """Compute the level [m] of a surface at the points of a grid [m]."""
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
    """Compute the filled fraction of each voxel of an evenly spaced grid.

    Args:
        surface: Surface.
        z: [m] Centres of the voxels along z.
        y: [m] Centres along y.
        x: [m] Centres along x.
        fineness: Samples per voxel along each axis; above 1 for parts thinner than two voxels.
    """
    axes = tuple(_subdivide(axis, fineness) for axis in (z, y, x))
    filled = occupancy_from_level(sample_level(surface, *axes))
    if fineness == 1:
        return filled
    shape = (len(z), fineness, len(y), fineness, len(x), fineness)
    return np.asarray(filled.reshape(shape).mean(axis=(1, 3, 5)))


def sample_signed_distance(
    surface: ImplicitSurface, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
) -> Float[np.ndarray, "z y x"]:
    """Compute the distance [m] from a surface on an evenly spaced grid, negative inside."""
    return signed_distance(sample_level(surface, z, y, x), _spacing((z, y, x)))


def occupancy_from_level(level: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, "z y x"]:
    """Compute the filled fraction of each voxel, ½ − f/|∇f∘Δ| clipped; its sum is the volume below a flat surface.

    Args:
        level: Level f, negative inside, smooth across the surface, on a grid of voxel size Δ.
    """
    width = np.sqrt(sum(_difference(level, axis) ** 2 for axis in range(3) if level.shape[axis] > 1))
    filled = (level < 0).astype(level.dtype)
    # Two voxels away from the surface no voxel is partly filled, whatever the slope of the level there.
    near = _dilate(_beside_surface(level < 0))
    filled[near] = np.clip(0.5 - level[near] / np.maximum(width[near], np.finfo(level.dtype).tiny), 0, 1)
    return filled


def signed_distance(level: Float[np.ndarray, "z y x"], spacing: Spacing) -> Float[np.ndarray, "z y x"]:
    """Compute the distance [m] from the surface {level = 0}, negative where the level is.

    Args:
        level: Any field that is smooth across its surface: the level of a surface, ½ − a blurred occupancy.
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
    longest = np.float32(np.linalg.norm(spacing))  # no foot point is farther than a voxel's diagonal
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
    """Find the voxels with a neighbour on the other side of the surface."""
    beside = np.zeros(inside.shape, bool)
    for axis in range(3):
        one = (slice(None),) * axis
        crossed = inside[(*one, slice(1, None))] != inside[(*one, slice(None, -1))]
        beside[(*one, slice(1, None))] |= crossed
        beside[(*one, slice(None, -1))] |= crossed
    return beside


def _dilate(voxels: Bool[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """Add the voxels that share a face with one of a set."""
    wide = voxels.copy()
    for axis in range(3):
        one = (slice(None),) * axis
        wide[(*one, slice(1, None))] |= voxels[(*one, slice(None, -1))]
        wide[(*one, slice(None, -1))] |= voxels[(*one, slice(1, None))]
    return wide


def _difference(level: Float[np.ndarray, "z y x"], axis: int) -> Float[np.ndarray, "z y x"]:
    """Compute central differences per voxel, one-sided at the ends."""
    return np.asarray(np.gradient(level, axis=axis))


def _slope(level: Float[np.ndarray, "z y x"], axis: int) -> Float[np.ndarray, "z y x"]:
    return _difference(level, axis) if level.shape[axis] > 1 else np.zeros_like(level)


def _subdivide(axis: Float[np.ndarray, " n"], parts: int) -> Float[np.ndarray, " m"]:
    """Compute the centres [m] of the parts of voxels."""
    step = float(axis[-1] - axis[0]) / max(len(axis) - 1, 1)
    return np.asarray((axis[:, None] + step * ((np.arange(parts) + 0.5) / parts - 0.5)).ravel())


def _spacing(axes: tuple[np.ndarray, ...]) -> Spacing:
    z, y, x = (float(a[-1] - a[0]) / max(len(a) - 1, 1) for a in axes)
    return z, y, x
