"""A closed, smooth surface through a sampled field.

The field is one of three, which its values distinguish:

========================  ===========================================================================================
signed distance           of both signs; the surface is where it is 0. Inside is the sign opposite to the corners'
occupancy, grey           0 outside, 1 inside, or any other quantity; the surface is half-way of its range. Inside is
                          above it, or below it if the value outside the box is known to lie above
one-bit                   two values, except for a few samples; the surface hides the voxels, and encloses as much
========================  ===========================================================================================

Edges are kept sharp (`dual_contouring`). The field of a one-bit shape is a signed distance, smoothed to hide the
voxels, less the level that encloses their volume.

Axes and the coordinates of vertices are ``z y x``, in the unit of the spacing. Outside lies beyond the box: a shape
that touches a face of it is closed there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from ...errors import DataError
from .dual_contouring import contour_field, crossing_count
from .flat_voxels import contour_mask, parts_of_voxels

if TYPE_CHECKING:
    import trimesh

Field = Float[np.ndarray, "z y x"]
Corner = tuple[float, float, float]

SMOOTHING_WIDTH = 1.0
"""[voxel] Width of the Gaussian that removes the steps from the distance of a one-bit shape."""
_MARGIN = 6
"""[voxel] Margin around a shape, which exceeds the reach of the blur of a one-bit shape's distance."""
_LEAST_DISTANCE = 1e-4
"""[spacing] Least distance of a sample from the surface: nearer ones cause triangles of no area in marching cubes."""
_END_FRACTION = 0.1
"""Fraction of the range at each end within which a value counts as that end."""
_MOST_CROSSINGS = 400_000
"""Largest number of samples at the surface for which edges are kept sharp: those of a ball of 250 samples across."""
_ROUNDING = 1e-6
"""Relative difference of a value from the background that single precision explains."""
_MOST_ITERATIONS = 20
"""Largest number of steps of the search for the level that encloses a volume."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Closed surface, and the field whose zero level set it is.

    Args:
        vertices: Points (z, y, x), in the unit of the spacing, in the coordinates of the volume.
        faces: Three vertices of each triangle, anticlockwise as seen from outside, in right-handed (x, y, z).
        field: Field, positive inside and 0 on the surface, in the shape's bounding box with a margin.
        origin: Coordinates of the field's first sample.
        spacing: Distance between samples (z, y, x).
        inside: Samples on the surface's inner side.
        box_faces: Number of faces of the volume's box that the shape reaches, and is closed at.
    """

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    field: Field
    origin: Float[np.ndarray, " 3"]
    spacing: Corner
    inside: Bool[np.ndarray, "z y x"]
    box_faces: int = 0

    @cached_property
    def mesh(self) -> "trimesh.Trimesh":
        """Surface as a mesh of trimesh, with vertices (x, y, z)."""
        import trimesh  # Not at the top: takes a quarter of a second.

        return trimesh.Trimesh(self.vertices[:, ::-1], self.faces, process=False)

    @cached_property
    def radius(self) -> float:
        """Radius of the ball of the same volume."""
        return float(np.cbrt(3 * self.mesh.volume / (4 * np.pi)))

    @cached_property
    def weights(self) -> Float[np.ndarray, " v"]:
        """Fraction of the surface's area that belongs to each vertex."""
        areas = np.bincount(self.faces.ravel(), np.repeat(self.mesh.area_faces / 3, 3), len(self.vertices))
        return np.asarray(areas / areas.sum())

    @property
    def mean_curvature(self) -> float:
        """Mean curvature, averaged over the surface: half of Σ angle · length over the edges, over the area."""
        corners = self.vertices[self.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        doubled_areas = np.linalg.norm(normals, axis=1)
        normals /= np.maximum(doubled_areas, np.finfo(float).tiny)[:, None]
        one, other, edge = self._neighbours()
        length = np.linalg.norm(edge, axis=1)
        direction = edge / np.maximum(length, np.finfo(float).tiny)[:, None]
        sine = np.einsum("ij,ij->i", np.cross(normals[other], normals[one]), direction)
        angle = np.arctan2(sine, np.einsum("ij,ij->i", normals[one], normals[other]))
        return float((angle * length).sum() / doubled_areas.sum())

    def _neighbours(self) -> tuple[Int[np.ndarray, " e"], Int[np.ndarray, " e"], Float[np.ndarray, "e 3"]]:
        """Faces on both sides of each edge, and the edge as a vector in the sense of the first face."""
        starts, ends = self.faces.T.ravel(), np.roll(self.faces, -1, axis=1).T.ravel()
        keys = np.minimum(starts, ends) * len(self.vertices) + np.maximum(starts, ends)
        order = np.argsort(keys, kind="stable")
        groups = np.flatnonzero(np.diff(keys[order], prepend=-1, append=-1))
        pairs = groups[:-1][np.diff(groups) == 2]
        first, second = order[pairs], order[pairs + 1]
        count = len(self.faces)
        return first % count, second % count, self.vertices[ends[first]] - self.vertices[starts[first]]

    @cached_property
    def filled(self) -> Field:
        """Share of each sample that lies inside: ½ + d, clipped to 0 … 1, with d = φ/|∇φ| in samples."""
        return _filled_share(self.field, _gradient_norm(self.field))

    def at_vertices(self, values: Field, *, smooth: bool = False) -> Float[np.ndarray, " v"]:
        """Interpolate values at the field's samples to the vertices, linearly or by cubic splines."""
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
    smooth: float = SMOOTHING_WIDTH,
    sharp: bool = True,
    background: float | None = None,
) -> Surface:
    """Extract the surface of a sampled field.

    Args:
        values: The field.
        spacing: Distance between samples (z, y, x), in any unit of length.
        level: Value on the surface; by default 0 of a signed distance, else half-way of the range.
        signed: Whether the values are a signed distance.
        origin: Coordinates of the first sample (z, y, x).
        smooth: [voxel] Width of the Gaussian on a one-bit shape; 0 shows its voxels.
        sharp: Whether to keep sharp edges. Marching cubes, which bevels them, is several times as fast, and is taken
            for very large surfaces anyway.
        background: Value outside the box: inside is the other side of the level. Where all values are one that is
            larger, the surface is that of the box; by default it has none.

    Raises:
        DataError: If a value is not finite, or nothing, or everything without a background, lies inside.
    """
    values = np.asarray(values)
    if not np.all(np.isfinite(values)):
        raise DataError(f"{int(np.sum(~np.isfinite(values)))} of {values.size} values are not finite")
    low, high = float(values.min()), float(values.max())
    is_one_value = level is None and not signed and low == high
    fills_box = is_one_value and background is not None and high > background + _ROUNDING * abs(background)
    if level is None:
        level = 0.0 if signed else ((background or 0.0) if fills_box else low) / 2 + high / 2
    field = _positive_inside(values, level, signed=signed, below=background is not None and background > level)
    if not (field > 0).any() or ((field > 0).all() and not fills_box):
        raise DataError(f"there is no surface at the level {level:.4g}: the values go from {low:.4g} to {high:.4g}")
    steps = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    reached, ends = _count_box_faces(field > 0), (float(field.min()), float(field.max()))
    field, first = _crop(field)
    inside = field > 0
    is_one_bit = fills_box or (not signed and (values.dtype == bool or _is_one_bit(field, *ends)))
    if is_one_bit:
        field = _smooth_distance(inside, steps, smooth)
    corner = np.asarray(origin, float) + first * np.asarray(steps)
    parts = parts_of_voxels(steps)
    many = crossing_count(inside) * parts.prod() > _MOST_CROSSINGS
    # Of a field on flat voxels nothing is gained: only a mask can be interpolated between its slices.
    if not sharp or not smooth or many or (parts.max() > 1 and not is_one_bit):
        vertices, faces = _march(field, steps)
    else:
        vertices, faces = contour_mask(inside, steps) if is_one_bit else contour_field(field)
        vertices = vertices * np.asarray(steps)
    return Surface(vertices + corner, faces, field, corner, steps, field > 0, reached)


def _count_box_faces(inside: Bool[np.ndarray, "z y x"]) -> int:
    """Count the faces of an array that have a sample inside; an axis of one sample has none."""
    axes = [axis for axis in range(3) if inside.shape[axis] > 1]
    return sum(bool(np.take(inside, end, axis=axis).any()) for axis in axes for end in (0, -1))


def _positive_inside(values: np.ndarray, level: float, *, signed: bool, below: bool) -> Field:
    """Make the field positive inside, where an occupancy is larger; a signed distance may have either sign."""
    field = np.asarray(values, np.float64) - level
    if below and not signed:
        return -field
    corners = field[:: max(field.shape[0] - 1, 1), :: max(field.shape[1] - 1, 1), :: max(field.shape[2] - 1, 1)]
    return -field if signed and np.median(corners) > 0 else field


def _is_one_bit(field: Field, low: float, high: float) -> bool:
    """Tell whether hardly any sample at the surface has an intermediate value."""
    from scipy.ndimage import binary_erosion

    between = (field > low + _END_FRACTION * (high - low)) & (field < high - _END_FRACTION * (high - low))
    inside = field > 0
    return bool(np.count_nonzero(between) < np.count_nonzero(inside & ~binary_erosion(inside)) / 2)


def _crop(field: Field) -> tuple[Float[np.ndarray, "a b c"], Int[np.ndarray, " 3"]]:
    """Crop to the bounding box of the shape with a margin, which may exceed the array.

    Beyond the array the field continues with the values of its faces, made negative: a shape that fills the array is
    closed half a sample beyond it.
    """
    box, first, beyond = [], [], []
    for axis in range(3):
        inside = np.flatnonzero((field > 0).any(axis=tuple(i for i in range(3) if i != axis)))
        low, high = int(inside[0]) - _MARGIN, int(inside[-1]) + 1 + _MARGIN
        box.append(slice(max(low, 0), high))
        first.append(low)
        beyond.append((max(-low, 0), max(high - field.shape[axis], 0)))
    part = np.pad(field[tuple(box)], beyond, mode="edge")
    outside = np.pad(np.zeros(field[tuple(box)].shape, bool), beyond, constant_values=True)
    part[outside] = -np.abs(part[outside])
    return part, np.array(first)


def _smooth_distance(inside: Bool[np.ndarray, "z y x"], spacing: Corner, smooth: float) -> Field:
    """Compute the smoothed distance of a one-bit shape, positive inside, which encloses the volume of its voxels."""
    from scipy.ndimage import gaussian_filter

    from ..shapes import signed_distance

    distance = -signed_distance(inside, spacing)
    if not smooth:
        return distance
    distance = gaussian_filter(distance, smooth, mode="nearest")
    return np.asarray(distance - _level_enclosing(distance, float(np.count_nonzero(inside)), max(spacing)))


def _level_enclosing(distance: Field, voxels: float, reach: float) -> float:
    """Find the level above which a distance fills a number of voxels, those at the surface in part."""
    slope, low, high = _gradient_norm(distance), -2 * reach, 2 * reach
    partial = (_filled_share(distance - low, slope) > 0) & (_filled_share(distance - high, slope) < 1)
    rest = voxels - np.count_nonzero(distance[~partial] > 0)  # The others are in or out at any level of the range.
    distance, slope = distance[partial], slope[partial]
    for _ in range(_MOST_ITERATIONS):
        level = (low + high) / 2
        low, high = (level, high) if _filled_share(distance - level, slope).sum() > rest else (low, level)
    return (low + high) / 2


def _gradient_norm(field: Field) -> Field:
    """Norm of the field's gradient, per sample."""
    return np.asarray(np.sqrt(sum(np.gradient(field, axis=axis) ** 2 for axis in range(3))))


def _filled_share(
    field: Float[np.ndarray, "*shape"], slope: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    return np.asarray(np.clip(0.5 + np.divide(field, slope, out=np.sign(field), where=slope > 0), 0, 1))


def _march(field: Field, spacing: Corner) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    from skimage.measure import marching_cubes

    slope = max(float(np.abs(np.diff(field, axis=axis)).max()) for axis in range(3))
    clear = np.where(np.abs(field) < _LEAST_DISTANCE * slope, np.copysign(_LEAST_DISTANCE * slope, field), field)
    marched: tuple[Any, ...] = marching_cubes(clear.astype(np.float32), 0.0, spacing=spacing)
    return marched[0].astype(np.float64), marched[1].astype(np.int64)
