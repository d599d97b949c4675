"""Features of one shape: what they are called, their units, what they mean. `shape_features` gives them all.

Lengths are in the unit of the spacing. Nothing depends on where the shape lies, nor, but for what says so, on how it is
turned; the sampling changes a feature only as much as it changes the shape.
"""

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
from jaxtyping import Bool, Float, Num

from ..tables import Column
from . import texture as textures
from .curvature import curvatures
from .surface import Surface, surface_of

LENGTH, AREA, VOLUME = "{0}", "{0}2", "{0}3"

_SIZE = (
    Column("volume", VOLUME, "enclosed by the surface"),
    Column("surface_area", AREA, "of the triangles"),
    Column("surface_to_volume", "1/{0}", "surface area over volume"),
    Column("equivalent_diameter", LENGTH, "of the ball of the same volume"),
    Column("sphericity", "", "area of the ball of the same volume over the surface area; 1 for a ball"),
    Column("convex_volume", VOLUME, "of the convex hull"),
    Column("solidity", "", "volume over that of the convex hull"),
    Column("convexity", "", "area of the convex hull over the surface area"),
    Column("bodies", "", "pieces that do not touch"),
    Column("genus", "", "handles of the surface, of all pieces together: 0 for a ball, 1 for a torus"),
)
_EXTENT = (
    *(Column(f"extent_{axis}", LENGTH, f"along {axis}; depends on how the shape is turned") for axis in "zyx"),
    *(Column(f"extent_{name}", LENGTH, f"along the {name} principal axis") for name in ("major", "middle", "minor")),
    Column("elongation", "", "middle over major extent"),
    Column("flatness", "", "minor over middle extent"),
    Column("feret_diameter", LENGTH, "largest distance between two points"),
    Column("inscribed_radius", LENGTH, "of the largest ball inside"),
)
_MOMENTS = (
    *(
        Column(f"gyration_{name}", LENGTH, f"root-mean-square distance from the centre along the {name} principal axis")
        for name in ("major", "middle", "minor")
    ),
    Column("radius_of_gyration", LENGTH, "root-mean-square distance of the volume from its centre"),
    *(
        Column(
            f"inertia_{name}", "", f"moment of inertia about the {name} axis, over that of the ball of the same volume"
        )
        for name in ("major", "middle", "minor")
    ),
    Column("anisotropy", "", "relative shape anisotropy of the gyration tensor: 0 for a ball, 1 for a line"),
    *(
        Column(f"skewness_{name}", "", f"of the volume along the {name} principal axis, without its sign")
        for name in ("major", "middle", "minor")
    ),
    *(
        Column(f"kurtosis_{name}", "", f"of the volume along the {name} principal axis; 15/7 for a ball")
        for name in ("major", "middle", "minor")
    ),
    Column("tilt", "rad", "of the minor principal axis to z; depends on how the shape is turned"),
)
_SURFACE = (
    Column("radius_mean", LENGTH, "distance of the surface from the centre"),
    Column("radius_std", LENGTH, "its standard deviation"),
    Column("radius_min", LENGTH, "its least"),
    Column("radius_max", LENGTH, "its greatest"),
    Column(
        "roughness",
        LENGTH,
        "height of what a Gaussian of a tenth of the ball's radius takes away, as a standard deviation",
    ),
    *(
        Column(f"mean_curvature_{name}", "1/{0}", f"{text} of the mean curvature; negative where hollow")
        for name, text in (
            ("mean", "mean"),
            ("std", "standard deviation"),
            ("p5", "5 %"),
            ("p50", "half"),
            ("p95", "95 %"),
        )
    ),
    *(
        Column(f"gaussian_curvature_{name}", "1/{0}2", f"{text} of the Gaussian curvature; negative on a saddle")
        for name, text in (
            ("mean", "mean"),
            ("std", "standard deviation"),
            ("p5", "5 %"),
            ("p50", "half"),
            ("p95", "95 %"),
        )
    ),
    Column("bending_energy", "", "integral of the squared mean curvature over 4 pi; 1 for a ball (Willmore)"),
    Column("hollow", "", "share of the surface with negative mean curvature"),
    Column("saddle", "", "share of the surface with negative Gaussian curvature"),
)
_PROJECTION = (
    Column("projected_area", AREA, "of the shadow along z, as are those that follow"),
    Column("projected_perimeter", LENGTH, "of the shadow"),
    Column("projected_circularity", "", "4 pi area over the squared perimeter"),
    Column("projected_eccentricity", "", "of the ellipse with the shadow's moments"),
    Column("projected_solidity", "", "area over that of the convex hull"),
    Column("thickness_mean", LENGTH, "along z, over the shadow"),
    Column("thickness_std", LENGTH, "its standard deviation"),
    Column("thickness_max", LENGTH, "its greatest"),
    Column("thickness_skewness", "", "its skewness"),
    *(Column(f"texture_{name}", "", f"{name} of the thickness along z") for name in textures.PROPERTIES),
    Column("texture_entropy", "bit", "entropy of the thickness along z"),
)
_ALL = tuple(chain(_SIZE, _EXTENT, _MOMENTS, _SURFACE, _PROJECTION))
NAMES = tuple(column.name for column in _ALL)
_ROUGH = 0.1
"""Width of the roughness's Gaussian, in radii of the ball of the same volume."""
_DIRECTIONS = 600
_AXES = ("major", "middle", "minor")

Weights = Float[np.ndarray, " v"]


def columns(unit: str) -> tuple[Column, ...]:
    """The features, lengths in a unit: ``um``, ``voxel``."""
    return tuple(Column(c.name, c.unit.format(unit), c.meaning) for c in _ALL)


def shape_features(
    values: Num[np.ndarray, "z y x"] | Bool[np.ndarray, "z y x"],
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    *,
    level: float | None = None,
    signed: bool = False,
) -> dict[str, float]:
    """Measure one shape.

    Args:
        values: A signed distance, an occupancy, or what else is larger inside.
        spacing: Of its samples (z, y, x), in any unit.
        level: Value on the surface; 0 of a signed distance, else half-way of the range.
        signed: Whether it is a signed distance.

    Returns:
        The numbers that `columns` describes.

    Raises:
        DataError: If a value is not finite, or there is no surface.
    """
    return features_of(surface_of(values, spacing, level=level, signed=signed))


def features_of(surface: Surface) -> dict[str, float]:
    """Measure the shape that a surface encloses."""
    parts: tuple[Callable[[Surface], dict[str, float]], ...] = (_size, _extent, _moments, _of_surface, _projection)
    found = {name: float(value) for part in parts for name, value in part(surface).items()}
    return {name: found[name] for name in NAMES}


def _radius(surface: Surface) -> float:
    """Of the ball of the same volume."""
    return float(np.cbrt(3 * surface.mesh.volume / (4 * np.pi)))


def _size(surface: Surface) -> dict[str, float]:
    mesh, radius = surface.mesh, _radius(surface)
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
    """Unit vectors all over a hemisphere, evenly (Fibonacci's spiral)."""
    height = (np.arange(count) + 0.5) / count
    turn = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    across = np.sqrt(1 - height**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=-1)


def _inscribed(surface: Surface) -> float:
    """Radius of the largest ball inside, between samples too."""
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
    ball = 2 / 5 * _radius(surface) ** 2
    squares = variance.sum()
    shares, heights = _filled(surface)
    along = (heights - centre) @ axes.T
    scaled = along / np.sqrt(np.maximum(np.average(along**2, axis=0, weights=shares), np.finfo(float).tiny))
    third, fourth = (np.average(scaled**power, axis=0, weights=shares) for power in (3, 4))
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


def _filled(surface: Surface) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """How much of each sample is filled, and where those that are lie (x, y, z)."""
    share = surface.filled
    where = np.argwhere(share > 0)
    return share[tuple(where.T)], (where * np.asarray(surface.spacing) + surface.origin)[:, ::-1]


def _of_surface(surface: Surface) -> dict[str, float]:
    mean, gaussian = curvatures(surface)
    weights = surface.weights
    distance = np.linalg.norm(surface.mesh.vertices - surface.mesh.center_mass, axis=1)
    middle, spread = _spread(distance, weights)
    return {
        "radius_mean": middle,
        "radius_std": spread,
        "radius_min": distance.min(),
        "radius_max": distance.max(),
        "roughness": _roughness(surface),
        **_statistics("mean_curvature", mean, weights),
        **_statistics("gaussian_curvature", gaussian, weights),
        "bending_energy": np.sum(weights * mean**2) * surface.mesh.area / (4 * np.pi),
        "hollow": np.sum(weights[mean < 0]),
        "saddle": np.sum(weights[gaussian < 0]),
    }


def _roughness(surface: Surface) -> float:
    """Standard deviation of the height of the surface over itself, smoothed.

    On a flat surface a Gaussian of width s leaves an occupancy of ½; of one that stands out by h, ½ − h/(s√2π): an
    integral invariant (Pottmann et al. 2009, Comput. Aided Geom. Des. 26, 37), which takes no derivative of the data.
    """
    from scipy.ndimage import gaussian_filter

    width = _ROUGH * _radius(surface)
    blurred = gaussian_filter(surface.filled, [width / step for step in surface.spacing])
    height = (0.5 - surface.at_vertices(blurred)) * width * np.sqrt(2 * np.pi)
    return _spread(height, surface.weights)[1]


def _spread(values: Weights, weights: Weights) -> tuple[float, float]:
    mean = float(np.sum(weights * values))
    return mean, float(np.sqrt(np.sum(weights * (values - mean) ** 2)))


def _statistics(name: str, values: Weights, weights: Weights) -> dict[str, float]:
    """Mean, standard deviation and percentiles over the area."""
    mean, spread = _spread(values, weights)
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - weights[order] / 2
    p5, p50, p95 = np.interp((0.05, 0.5, 0.95), below, values[order])
    found = {"mean": mean, "std": spread, "p5": p5, "p50": p50, "p95": p95}
    return {f"{name}_{key}": float(value) for key, value in found.items()}


def _projection(surface: Surface) -> dict[str, float]:
    """What is seen along z. The shadow's outline is where the largest value of the field along z is 0."""
    dz, dy, dx = surface.spacing
    shadow = surface.field.max(axis=0)
    thickness = surface.filled.sum(axis=0) * dz
    values = thickness[shadow > 0]
    mean, spread = float(values.mean()), float(values.std())
    area, perimeter, hull = _outline(shadow, (dy, dx))
    found = textures.texture(thickness, shadow > 0, (dy, dx))
    return {
        "projected_area": area,
        "projected_perimeter": perimeter,
        "projected_circularity": 4 * np.pi * area / perimeter**2,
        "projected_eccentricity": _eccentricity(surface.filled.max(axis=0), (dy, dx)),
        "projected_solidity": area / hull,
        "thickness_mean": mean,
        "thickness_std": spread,
        "thickness_max": values.max(),
        "thickness_skewness": float(np.mean((values - mean) ** 3)) / spread**3 if spread > 0 else 0.0,
        **{f"texture_{name}": value for name, value in found.items()},
    }


def _outline(shadow: Float[np.ndarray, "y x"], pitch: tuple[float, float]) -> tuple[float, float, float]:
    """Area, perimeter, and area of the convex hull of where a picture is above 0, between its pixels."""
    from scipy.spatial import ConvexHull
    from skimage.measure import find_contours

    lines = [line * pitch for line in find_contours(shadow, 0.0)]
    # Holes are run round the other way, and take away.
    areas = [float(np.sum(a[:-1, 0] * a[1:, 1] - a[1:, 0] * a[:-1, 1])) / 2 for a in lines]
    length = sum(float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()) for line in lines)
    return abs(sum(areas)), length, float(ConvexHull(np.concatenate(lines)).volume)


def _eccentricity(filled: Float[np.ndarray, "y x"], pitch: tuple[float, float]) -> float:
    """Of the ellipse with the same second moments."""
    where = np.argwhere(filled > 0)
    least, greatest = np.linalg.eigvalsh(np.cov((where * pitch).T, aweights=filled[tuple(where.T)]))
    return float(np.sqrt(max(1 - least / greatest, 0.0)))
