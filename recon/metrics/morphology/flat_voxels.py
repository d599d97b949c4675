"""Surface of one-bit samples that are further apart along one axis than along the others.

The slices across that axis are interpolated by their shape: a point between two slices is inside where the distances
from the outlines in both, positive inside, have a positive mean (Raya and Udupa 1990, IEEE Trans. Med. Imaging 9, 32).
Where a slice has no part of the shape near a point, the shape ends before it: half-way if its outline has not narrowed,
as that of a box, else by the mean of the distances from the surface in both slices.

Lengths are in samples of the array, axes ``z y x``.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from .dual_contouring import Triangles, contour_voxels

Inside = Bool[np.ndarray, "z y x"]
Spacing = tuple[float, float, float]

_WIDTH = 1.6
"""[part] Width of the average of normals: the outlines of slices leave steps."""
_LEAST_NARROWING = 0.5
"""[pixel of a slice] Distance by which an outline narrows from slice to slice where a shape ends round."""
_REACH = 3.0
"""[distance of slices] Distance from an outline within which it counts as near."""


def parts_of_voxels(spacing: Spacing) -> Int[np.ndarray, " 3"]:
    """Number of parts along each axis that make voxels nearly cubes."""
    return np.maximum(np.rint(np.asarray(spacing) / min(spacing)), 1).astype(np.int64)


def contour_mask(inside: Inside, spacing: Spacing) -> Triangles:
    """Extract the surface of one-bit samples, which encloses as much as their voxels.

    Args:
        inside: Samples inside; none on the faces of the array.
        spacing: Distance between samples.
    """
    parts = parts_of_voxels(spacing)
    if parts.max() == 1:
        return contour_voxels(inside)
    fine, steps = inside, list(spacing)
    for axis, count in enumerate(parts):
        if count > 1:
            fine = _interpolate_slices(fine, axis, int(count), steps)
            steps[axis] /= count
    enclosed = float(np.count_nonzero(inside)) * float(parts.prod())
    vertices, faces = contour_voxels(fine, enclosed, _WIDTH)
    return (vertices + 0.5) / parts - 0.5, faces


def _interpolate_slices(inside: Inside, axis: int, count: int, spacing: list[float]) -> Bool[np.ndarray, "a b c"]:
    """Divide each slice across an axis into a number of slices, of which those between two are interpolated."""
    from ..shapes import signed_distance

    slices = np.moveaxis(inside, axis, 0)
    depths = -np.moveaxis(signed_distance(inside, spacing), axis, 0)
    across = [step for other, step in enumerate(spacing) if other != axis]
    outlines = [_outline_distance(own, across) for own in slices]
    ends = [_ends_flat(outlines, low, min(across)) for low in range(len(slices) - 1)]
    places = np.clip((np.arange(len(slices) * count) + 0.5) / count - 0.5, 0, len(slices) - 1)
    fine = np.empty((len(places), *slices.shape[1:]), bool)
    for number, place in enumerate(places):
        low = min(int(place), len(slices) - 2)
        share, nearest = place - low, slices[int(np.rint(place))]
        first, second = outlines[low], outlines[low + 1]
        is_far = np.maximum(np.abs(first), np.abs(second)) > _REACH * spacing[axis]
        with np.errstate(invalid="ignore"):
            mean = first * (1 - share) + second * share > 0
        depth = depths[low] * (1 - share) + depths[low + 1] * share > 0
        between = np.where(is_far, np.where(ends[low], nearest, depth), mean)
        fine[number] = np.where(slices[low] == slices[low + 1], nearest, between)
    return np.moveaxis(fine, 0, axis)


def _ends_flat(outlines: list[Float[np.ndarray, "a b"]], low: int, pixel: float) -> Bool[np.ndarray, "a b"]:
    """Find the points at which a shape that ends between two slices ends flat: its outline does not narrow before."""
    first, second = outlines[low], outlines[low + 1]
    before = outlines[low - 1] if low else np.full_like(first, -np.inf)
    after = outlines[low + 2] if low + 2 < len(outlines) else np.full_like(first, -np.inf)
    with np.errstate(invalid="ignore"):
        narrowing = np.where(first > 0, before - first, after - second)
    return np.asarray(~(narrowing > _LEAST_NARROWING * pixel))


def _outline_distance(own: Bool[np.ndarray, "a b"], spacing: list[float]) -> Float[np.ndarray, "a b"]:
    """Distance from the outline in a slice, positive inside; infinite where there is none."""
    from scipy.ndimage import distance_transform_edt

    if not own.any() or own.all():
        return np.where(own, np.inf, -np.inf)
    half = min(spacing) / 2
    inner, outer = (distance_transform_edt(part, spacing) for part in (own, ~own))
    return np.asarray(np.where(own, inner - half, half - outer))
