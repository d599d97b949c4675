"""Code of a shape: its signed distance at few points, interpolated by a cubic spline.

A cell fills a cube of `PIXELS`³ voxels, whose middle plane z = 0 is the section that the picture shows. The code is the
distance to the surface, negative inside, at EDGE³ points PITCH apart, in units of `UNIT` and clipped at `CLIP`. Values
on a grid are linear in the code along each axis: one matrix an axis computes them, in NumPy and in jax.

Positions are in voxels from the centre of the cube.
"""

from functools import cache

import numpy as np
from jaxtyping import Float
from scipy.ndimage import spline_filter1d

from ....fields.numpy_spline import spline_band

PIXELS = 64
"""Edge of the picture and of the cube of the network."""
EDGE = 16
"""Number of points of the code along an axis."""
PITCH = PIXELS / EDGE
UNIT = 8.0
"""[voxel] Unit of distance in a code."""
CLIP = 1.5
"""Largest distance in a code, which clips larger ones."""
HALF = PITCH * (EDGE + 1) / 2
"""Half edge of the box in which the spline is defined: one point beyond the outermost ones of the code."""
WIDTH = 4.0
"""[voxel] Distance from the section within which it is corrected: a smaller one would leave a visible seam."""
_SECTION_PITCH = 1.0
"""[voxel] Distance between the points of the section's spline."""
_LEAST_DISTANCE = 1.0
"""[voxel] Lower bound of the distance to the surface at points that are farther than this from the outline."""

Code = Float[np.ndarray, "16 16 16"]


def code_points() -> Float[np.ndarray, " 16"]:
    """[voxel] Positions of the code's points along each axis."""
    return (np.arange(EDGE) - (EDGE - 1) / 2) * PITCH


def pixel_centres(count: int = PIXELS) -> Float[np.ndarray, " n"]:
    """[voxel] Centres of the pixels when the picture is divided into ``count``."""
    return (np.arange(count) - (count - 1) / 2) * PIXELS / count


@cache
def spline_matrix() -> Float[np.ndarray, "20 16"]:
    """Matrix from the code along an axis to the coefficients of its cubic B-spline in the box of half edge `HALF`.

    The code is extrapolated linearly by one point at each end, where the slope of the spline is 0.
    """
    extended = np.pad(np.eye(EDGE), ((1, 1), (0, 0)))
    extended[0, :2], extended[-1, -2:] = (2, -1), (-1, 2)
    return _mirrored_coefficients(extended)


def _mirrored_coefficients(samples: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n+2 m"]:
    """Cubic spline coefficients along the first axis, with mirrored ones beyond both ends."""
    inner = spline_filter1d(samples, order=3, axis=0, mode="mirror")
    return np.concatenate([inner[1:2], inner, inner[-2:-1]])


def interpolation_matrix(places: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 16"]:
    """Matrix from the code along an axis to the values of the spline at positions [voxel]."""
    coefficients = spline_matrix()
    band = spline_band(places / HALF, len(coefficients))
    return np.asarray(band.weights @ coefficients[band.used])


def encode(distance: Float[np.ndarray, "z y x"], places: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Code:
    """Sample the code of a distance.

    Args:
        distance: [voxel] Signed distance on a grid about the centre.
        places: [voxel] Axes of the grid; they contain the outermost points of the code.
    """
    from scipy.interpolate import interpn

    points = np.stack(np.meshgrid(*[code_points()] * 3, indexing="ij"), axis=-1)
    return np.asarray(np.clip(interpn(places, distance, points) / UNIT, -CLIP, CLIP), np.float32)


def decode(code: Code, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> Float[np.ndarray, "z y x"]:
    """[voxel] Evaluate the signed distance on a grid, without the correction of the section."""
    return interpolate(code * UNIT, *(interpolation_matrix(places) for places in (z, y, x)))


def interpolate(
    code: Float[np.ndarray, "a b c"],
    along_z: Float[np.ndarray, "z a"],
    along_y: Float[np.ndarray, "y b"],
    along_x: Float[np.ndarray, "x c"],
) -> Float[np.ndarray, "z y x"]:
    """Apply a matrix along each axis of a code, one axis after the other."""
    planes = (along_z @ code.reshape(len(code), -1)).reshape(len(along_z), *code.shape[1:])
    return np.asarray((along_y @ planes) @ along_x.T)


@cache
def _section_matrices() -> tuple[Float[np.ndarray, "1 16"], Float[np.ndarray, "m 16"]]:
    """Matrices from the code to the values at z = 0, and at `section_points`."""
    return interpolation_matrix(np.zeros(1)), interpolation_matrix(section_points())


def section_points() -> Float[np.ndarray, " n"]:
    """[voxel] Positions of the points of the section's spline along y and x."""
    return np.arange(-HALF, HALF + _SECTION_PITCH / 2, _SECTION_PITCH)


def section_correction(code: Code, section: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "m m"]:
    """[voxel] Compute the correction in the plane of the section that moves the surface onto the section's outline.

    Where the shape has the sign of the section it is unchanged, except for distances larger than the section allows.

    Args:
        code: Code of the shape.
        section: [voxel] Signed distance within the plane to the section's outline, at `section_points`.
    """
    along_z, in_plane = _section_matrices()
    own = interpolate(code * UNIT, along_z, in_plane, in_plane)[0]
    nearest = np.clip(section, -_LEAST_DISTANCE, _LEAST_DISTANCE)
    low, high = np.minimum(nearest, section), np.maximum(nearest, section)
    return np.asarray(np.clip(own, low, high) - own)


def section_coefficients(values: Float[np.ndarray, "m m"]) -> Float[np.ndarray, "k k"]:
    """Coefficients of the section's spline through values at `section_points`."""
    return _mirrored_coefficients(_mirrored_coefficients(values).T).T


def section_interpolation(places: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n m"]:
    """Matrix from values at `section_points` to the values of their spline at positions [voxel] along an axis."""
    coefficients = _mirrored_coefficients(np.eye(len(section_points())))
    band = spline_band(places / HALF, len(coefficients))
    return np.asarray(band.weights @ coefficients[band.used])
