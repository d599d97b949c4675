"""The code of a shape: its signed distance at few points, between which a spline leads.

A cell fills a cube of `PIXELS`³ voxels, whose middle plane z = 0 is the section that the picture shows. The code is the
distance to the surface, negative inside, at EDGE³ points PITCH apart, in units of `UNIT` and clipped at `CLIP`. All
from a code to values on a lattice is linear along each axis, so that a matrix an axis does it, in NumPy as in jax.

Positions are in voxels from the cube's middle.
"""

from functools import cache

import numpy as np
from jaxtyping import Float
from scipy.ndimage import spline_filter1d

from ....fields.numpy_spline import spline_band

PIXELS = 64
"""Edge of the picture, and of the cube, that the network knows."""
EDGE = 16
"""Points of the code along an axis."""
PITCH = PIXELS / EDGE
UNIT = 8.0
"""[voxel] Distance that is 1 in a code."""
CLIP = 1.5
"""Largest distance in a code: farther from the surface it says nothing."""
HALF = PITCH * (EDGE + 1) / 2
"""Half the edge of the box in which the spline is defined: a point beyond the code's outermost ones."""
WIDTH = 4.0
"""[voxel] How far from the section it is held: nearer, and a seam would be seen where a shape was moved."""
_RIM = 1.0
"""Distance of the points of the section's own spline."""
_AT_LEAST = 1.0
"""[voxel] So far from its outline, the section is sure to be so far from the surface at least."""

Code = Float[np.ndarray, "16 16 16"]


def code_points() -> Float[np.ndarray, " 16"]:
    """Where the code's points stand along each axis."""
    return (np.arange(EDGE) - (EDGE - 1) / 2) * PITCH


def pixel_centres(count: int = PIXELS) -> Float[np.ndarray, " n"]:
    """Centres of so many pixels across the picture."""
    return (np.arange(count) - (count - 1) / 2) * PIXELS / count


@cache
def spline_matrix() -> Float[np.ndarray, "20 16"]:
    """Matrix from the code along an axis to the coefficients of its cubic B-spline in the box of half edge `HALF`.

    The code goes on along a straight line for a point at each end, and the spline ends there without slope.
    """
    longer = np.pad(np.eye(EDGE), ((1, 1), (0, 0)))
    longer[0, :2], longer[-1, -2:] = (2, -1), (-1, 2)
    return _mirrored(longer)


def _mirrored(samples: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n+2 m"]:
    inner = spline_filter1d(samples, order=3, axis=0, mode="mirror")
    return np.concatenate([inner[1:2], inner, inner[-2:-1]])


def interpolation_matrix(places: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 16"]:
    """Matrix from the code along an axis to the spline's values at positions."""
    own = spline_matrix()
    band = spline_band(places / HALF, len(own))
    found: np.ndarray = band.weights @ own[band.used]
    return found


def encode(distance: Float[np.ndarray, "z y x"], places: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Code:
    """Take the code of a distance.

    Args:
        distance: [voxel] On a lattice around the middle.
        places: The lattice's axes; they reach to the outermost points of the code at least.
    """
    from scipy.interpolate import interpn

    points = np.stack(np.meshgrid(*[code_points()] * 3, indexing="ij"), axis=-1)
    found: np.ndarray = np.clip(interpn(places, distance, points) / UNIT, -CLIP, CLIP).astype(np.float32)
    return found


def decode(code: Code, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> Float[np.ndarray, "z y x"]:
    """[voxel] The distance on a lattice, without regard for the section."""
    found = np.einsum(
        "za,yb,xc,abc->zyx",
        interpolation_matrix(z),
        interpolation_matrix(y),
        interpolation_matrix(x),
        code * UNIT,
        optimize=True,
    )
    return np.asarray(found)


def section_points() -> Float[np.ndarray, " n"]:
    """Positions of the points of the section's own spline."""
    return np.arange(-HALF, HALF + _RIM / 2, _RIM)


def section_correction(code: Code, section: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "m m"]:
    """[voxel] What is to be added in the plane of the section, so that the surface passes where the section's does.

    Where the shape has the section's sign already it is left alone, but for distances longer than the section allows.

    Args:
        code: The shape.
        section: Signed distance within the plane to the section's outline, at `section_points`.
    """
    own = decode(code, np.zeros(1), section_points(), section_points())[0]
    nearest = np.clip(section, -_AT_LEAST, _AT_LEAST)
    low, high = np.minimum(nearest, section), np.maximum(nearest, section)
    found: np.ndarray = np.clip(own, low, high) - own
    return found


def section_coefficients(values: Float[np.ndarray, "m m"]) -> Float[np.ndarray, "k k"]:
    """Coefficients of the section's own spline through values at `section_points`."""
    return _mirrored(_mirrored(values).T).T
