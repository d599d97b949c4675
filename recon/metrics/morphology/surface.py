"""A closed, smooth surface through a sampled field.

The field is one of three, told apart by what it holds:

========================  ===========================================================================================
signed distance           of both signs; the surface is where it is 0. Inside is the sign that the corners have not
occupancy, grey           0 outside, 1 inside, or any other quantity; the surface is half-way of its range
one-bit                   two values, but for a few samples; made a signed distance, which is smoothed until no voxel
                          shows, and cut where it encloses the volume that the voxels have
========================  ===========================================================================================

Axes are ``z y x`` and so are the coordinates of vertices, in the spacing's unit. Beyond the box is outside, so that a
shape that touches a face of it is closed there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from ...errors import DataError

if TYPE_CHECKING:
    import trimesh

Field = Float[np.ndarray, "z y x"]
Corner = tuple[float, float, float]

SMOOTH = 1.0
"""[voxel] Width of the Gaussian that takes the steps out of a one-bit shape's distance."""
_MARGIN = 6
"""[voxel] Kept around a shape; the blur of a one-bit shape's distance reaches as far."""
_NEAR = 1e-4
"""A sample this near to the surface, in spacings, is moved off it: there marching cubes makes triangles of no area."""
_GREY = 0.1
"""Share of the range beside its ends that counts as them."""
_TRIES = 20


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed surface, and the field it was cut from.

    Args:
        vertices: Points (z, y, x), in the unit of the spacing, in the coordinates of the volume.
        faces: Three vertices each, anticlockwise as seen from outside, in right-handed (x, y, z).
        field: Positive inside and 0 on the surface; a shape's box, and a margin.
        origin: Coordinates of the field's first sample.
        spacing: Of its samples (z, y, x).
        inside: Samples on the surface's inner side.
    """

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    field: Field
    origin: Float[np.ndarray, " 3"]
    spacing: Corner
    inside: Bool[np.ndarray, "z y x"]

    @cached_property
    def mesh(self) -> "trimesh.Trimesh":
        """The same as trimesh has it: vertices (x, y, z)."""
        import trimesh  # not at the top: takes a quarter of a second

        return trimesh.Trimesh(self.vertices[:, ::-1], self.faces, process=False)

    @cached_property
    def radius(self) -> float:
        """Of the ball of the same volume."""
        return float(np.cbrt(3 * self.mesh.volume / (4 * np.pi)))

    @cached_property
    def weights(self) -> Float[np.ndarray, " v"]:
        """The share of the surface's area that belongs to each vertex."""
        areas = np.bincount(self.faces.ravel(), np.repeat(self.mesh.area_faces / 3, 3), len(self.vertices))
        return np.asarray(areas / areas.sum())

    @cached_property
    def filled(self) -> Field:
        """How much of each sample lies inside: ½ + d, clipped to 0 … 1, with d = φ/|∇φ| in samples."""
        return _filled(self.field, _slope(self.field))

    def at_vertices(self, values: Field, *, smooth: bool = False) -> Float[np.ndarray, " v"]:
        """Interpolate what is known at the field's samples: by straight lines, or cubic splines."""
        from scipy.ndimage import map_coordinates

        places = (self.vertices - self.origin) / np.asarray(self.spacing)
        return np.asarray(map_coordinates(values, places.T, order=3 if smooth else 1, mode="nearest"))


def extract_surface(
    values: Num[np.ndarray, "z y x"] | Bool[np.ndarray, "z y x"],
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    *,
    level: float | None = None,
    signed: bool = False,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    smooth: float = SMOOTH,
) -> Surface:
    """Find the surface of a sampled field.

    Args:
        values: The field.
        spacing: Of its samples (z, y, x), in any unit of length.
        level: Value on the surface; by default 0 of a signed distance, else half-way of the range.
        signed: Whether it is a signed distance.
        origin: Coordinates of the first sample (z, y, x).
        smooth: [voxel] Width of the blur of a one-bit shape; 0 shows its voxels.

    Raises:
        DataError: If a value is not finite, or nothing, or everything, lies inside.
    """
    values = np.asarray(values)
    if not np.all(np.isfinite(values)):
        raise DataError(f"{int(np.sum(~np.isfinite(values)))} of {values.size} values are not finite")
    low, high = float(values.min()), float(values.max())
    if level is None:
        level = 0.0 if signed else (low + high) / 2
    field = _one_signed(values, level, signed=signed)
    if not (field > 0).any() or (field > 0).all():
        raise DataError(f"there is no surface at the level {level:.4g}: the values go from {low:.4g} to {high:.4g}")
    steps = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    field, first = _cropped(field)
    if not signed and _is_one_bit(field, low - level, high - level):
        field = _distance(field > 0, steps, smooth)
    corner = np.asarray(origin, float) + first * np.asarray(steps)
    vertices, faces = _marched(field, steps)
    return Surface(vertices + corner, faces, field, corner, steps, field > 0)


def _one_signed(values: np.ndarray, level: float, *, signed: bool) -> Field:
    """Make the field positive inside: there an occupancy is larger; a signed distance may be of either sign."""
    field = np.asarray(values, np.float64) - level
    corners = field[:: max(field.shape[0] - 1, 1), :: max(field.shape[1] - 1, 1), :: max(field.shape[2] - 1, 1)]
    return -field if signed and np.median(corners) > 0 else field


def _is_one_bit(field: Field, low: float, high: float) -> bool:
    """Whether hardly a sample on the surface has a value between those far from it."""
    from scipy.ndimage import binary_erosion

    between = (field > low + _GREY * (high - low)) & (field < high - _GREY * (high - low))
    inside = field > 0
    return bool(np.count_nonzero(between) < np.count_nonzero(inside & ~binary_erosion(inside)) / 2)


def _cropped(field: Field) -> tuple[Float[np.ndarray, "a b c"], Int[np.ndarray, " 3"]]:
    """Cut out the box of the shape with a margin, beyond the array's own faces too.

    There the field goes on as it came, outside whatever it was: a shape that fills its box to the last sample is closed
    half a sample beyond.
    """
    where, first, beyond = [], [], []
    for axis in range(3):
        inside = np.flatnonzero((field > 0).any(axis=tuple(i for i in range(3) if i != axis)))
        low, high = int(inside[0]) - _MARGIN, int(inside[-1]) + 1 + _MARGIN
        where.append(slice(max(low, 0), high))
        first.append(low)
        beyond.append((max(-low, 0), max(high - field.shape[axis], 0)))
    part = np.pad(field[tuple(where)], beyond, mode="edge")
    outside = np.pad(np.zeros(field[tuple(where)].shape, bool), beyond, constant_values=True)
    part[outside] = -np.abs(part[outside])
    return part, np.array(first)


def _distance(inside: Bool[np.ndarray, "z y x"], spacing: Corner, smooth: float) -> Field:
    """Signed distance of a one-bit shape, smoothed, and shifted so that it encloses as much as its voxels."""
    from scipy.ndimage import gaussian_filter

    from ..shapes import signed_distance

    distance = -signed_distance(inside, spacing)
    if not smooth:
        return distance
    distance = gaussian_filter(distance, smooth, mode="nearest")
    return np.asarray(distance - _level_of_volume(distance, float(np.count_nonzero(inside)), max(spacing)))


def _level_of_volume(distance: Field, voxels: float, reach: float) -> float:
    """The level above which a distance fills a number of voxels, those on the surface in part."""
    slope, low, high = _slope(distance), -2 * reach, 2 * reach
    for _ in range(_TRIES):
        level = (low + high) / 2
        low, high = (level, high) if _filled(distance - level, slope).sum() > voxels else (low, level)
    return (low + high) / 2


def _slope(field: Field) -> Field:
    """Change of the field from one sample to the next, across the surface: as far as a voxel reaches there."""
    return np.asarray(np.sqrt(sum(np.gradient(field, axis=axis) ** 2 for axis in range(3))))


def _filled(field: Field, slope: Field) -> Field:
    return np.asarray(np.clip(0.5 + np.divide(field, slope, out=np.sign(field), where=slope > 0), 0, 1))


def _marched(field: Field, spacing: Corner) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    from skimage.measure import marching_cubes

    slope = max(float(np.abs(np.diff(field, axis=axis)).max()) for axis in range(3))
    clear = np.where(np.abs(field) < _NEAR * slope, np.copysign(_NEAR * slope, field), field)
    marched: tuple[Any, ...] = marching_cubes(clear.astype(np.float32), 0.0, spacing=spacing)
    return marched[0].astype(np.float64), marched[1].astype(np.int64)
