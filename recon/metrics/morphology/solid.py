"""Features of the solid that a surface encloses: size, extent, and moments.

Vertices, centres and axes are (x, y, z), as in trimesh.
"""

import numpy as np
from jaxtyping import Float

from .surface import Surface

_DIRECTIONS = 600
_AXES = ("major", "middle", "minor")


def solid_features(surface: Surface) -> dict[str, float]:
    """Compute size, extent and moments of the solid."""
    return {**_size(surface), **_extent(surface), **_moments(surface)}


def _size(surface: Surface) -> dict[str, float]:
    mesh, radius = surface.mesh, surface.radius
    hull = mesh.convex_hull
    bodies = int(mesh.body_count)
    return {
        "volume": mesh.volume,
        "surface_area": mesh.area,
        "surface_to_volume": mesh.area / mesh.volume,
        "equivalent_diameter": 2 * radius,
        "sphericity": 4 * np.pi * radius**2 / mesh.area,
        "convex_volume": hull.volume,
        "solidity": mesh.volume / hull.volume,
        "convexity": hull.area / mesh.area,
        "bodies": bodies,
        "genus": bodies - mesh.euler_number / 2,
        "box_faces": surface.box_faces,
    }


def _axes(surface: Surface) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, "3 3"], Float[np.ndarray, " 3"]]:
    """Centre of the solid (x, y, z), its principal axes as rows, the longest first, and the variances along them."""
    mesh = surface.mesh
    properties = mesh.mass_properties
    inertia = np.asarray(properties.inertia) / mesh.volume  # trimesh's density is 1
    variance, axes = np.linalg.eigh(np.trace(inertia) / 2 * np.eye(3) - inertia)
    return np.asarray(properties.center_mass), axes.T[::-1], np.maximum(variance[::-1], 0)


def _extent(surface: Surface) -> dict[str, float]:
    centre, axes, _ = _axes(surface)
    lengths = dict(zip("zyx", np.ptp(surface.vertices, axis=0), strict=True))
    major, middle, minor = np.ptp((surface.mesh.vertices - centre) @ axes.T, axis=0)
    return {
        **{f"extent_{axis}": length for axis, length in lengths.items()},
        **dict(zip((f"extent_{name}" for name in _AXES), (major, middle, minor), strict=True)),
        "elongation": middle / major,
        "flatness": minor / middle,
        "feret_diameter": _feret(np.asarray(surface.mesh.convex_hull.vertices)),
        "inscribed_radius": _inscribed(surface),
    }


def _feret(points: Float[np.ndarray, "n 3"]) -> float:
    """Largest distance between two points of a convex hull.

    Its ends are the outermost points along their own line: of all points only those are compared that are the outermost
    along one of many directions.
    """
    from scipy.spatial.distance import pdist

    along = _directions(_DIRECTIONS) @ points.T
    outermost = np.unique(np.concatenate([along.argmin(axis=1), along.argmax(axis=1)]))
    return float(pdist(points[outermost]).max())


def _directions(count: int) -> Float[np.ndarray, "n 3"]:
    """Unit vectors evenly distributed over a hemisphere (Fibonacci spiral)."""
    height = (np.arange(count) + 0.5) / count
    azimuth = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    across = np.sqrt(1 - height**2)
    return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), height], axis=-1)


def _inscribed(surface: Surface) -> float:
    """Compute the radius of the largest ball inside, with its centre anywhere between samples."""
    from scipy.ndimage import distance_transform_edt
    from scipy.optimize import minimize
    from scipy.spatial import cKDTree

    depth = distance_transform_edt(surface.inside, sampling=surface.spacing)
    deepest = np.array(np.unravel_index(int(np.argmax(depth)), depth.shape))
    start = deepest * np.asarray(surface.spacing) + surface.origin
    tree = cKDTree(surface.vertices)
    step = min(surface.spacing)
    best = minimize(
        lambda point: -tree.query(point)[0] / step,
        start,
        method="Nelder-Mead",
        options={"xatol": 0.02 * step, "fatol": 1e-3, "initial_simplex": start + step * np.eye(4, 3, -1)},
    )
    return float(-best.fun * step)


def _moments(surface: Surface) -> dict[str, float]:
    centre, axes, variance = _axes(surface)
    ball = 2 / 5 * surface.radius**2
    squares = variance.sum()
    fractions, heights = _filled_samples(surface)
    along = (heights - centre) @ axes.T
    scaled = along / np.sqrt(np.maximum(np.average(along**2, axis=0, weights=fractions), np.finfo(float).tiny))
    third, fourth = (np.average(scaled**power, axis=0, weights=fractions) for power in (3, 4))
    pairs = variance[0] * variance[1] + variance[1] * variance[2] + variance[2] * variance[0]
    return {
        **{f"gyration_{name}": np.sqrt(v) for name, v in zip(_AXES, variance, strict=True)},
        "radius_of_gyration": np.sqrt(squares),
        **{f"inertia_{name}": (squares - v) / ball for name, v in zip(_AXES, variance, strict=True)},
        "anisotropy": 1 - 3 * pairs / squares**2,
        **{f"skewness_{name}": abs(v) for name, v in zip(_AXES, third, strict=True)},
        **{f"kurtosis_{name}": v for name, v in zip(_AXES, fourth, strict=True)},
        "tilt": np.arccos(min(abs(axes[2, 2]), 1.0)),
    }


def _filled_samples(surface: Surface) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Return filled fractions and coordinates (x, y, z) of the samples that are at least partly inside."""
    filled = surface.filled
    index = np.argwhere(filled > 0)
    return filled[tuple(index.T)], (index * np.asarray(surface.spacing) + surface.origin)[:, ::-1]
