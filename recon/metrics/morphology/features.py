"""Features of a shape: names, units, meanings, and their computation by `shape_features`.

Lengths are in the unit of the spacing. Features do not depend on position and, unless stated, on orientation; sampling
changes a feature only as much as it changes the shape.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from jaxtyping import Bool, Num

from ...errors import ConfigError
from ...io.table import Column
from .projection import projection_features
from .relief import relief_features
from .solid import solid_features
from .surface import Surface, extract_surface
from .texture import PROPERTIES

LENGTH, AREA, VOLUME = "{0}", "{0}2", "{0}3"

_SIZE = (
    Column("volume", VOLUME, "volume enclosed by the surface"),
    Column("surface_area", AREA, "area of the triangles"),
    Column("surface_to_volume", "1/{0}", "surface area over volume"),
    Column("equivalent_diameter", LENGTH, "diameter of the ball of equal volume"),
    Column("sphericity", "", "area of the ball of equal volume over the surface area; 1 for a ball"),
    Column("convex_volume", VOLUME, "volume of the convex hull"),
    Column("solidity", "", "volume over the volume of the convex hull"),
    Column("convexity", "", "area of the convex hull over the surface area"),
    Column("bodies", "", "number of connected components"),
    Column("genus", "", "handles of the surface, over all components: 0 for a ball, 1 for a torus"),
    Column("box_faces", "", "faces of the box that the shape reaches and is closed at: 0 for a whole shape"),
)
_EXTENT = (
    *(Column(f"extent_{axis}", LENGTH, f"extent along {axis}; depends on the orientation") for axis in "zyx"),
    *(
        Column(f"extent_{name}", LENGTH, f"extent along the {name} principal axis")
        for name in ("major", "middle", "minor")
    ),
    Column("elongation", "", "middle over major extent"),
    Column("flatness", "", "minor over middle extent"),
    Column("feret_diameter", LENGTH, "largest distance between two points"),
    Column("inscribed_radius", LENGTH, "radius of the largest ball inside"),
)
_MOMENTS = (
    *(
        Column(f"gyration_{name}", LENGTH, f"root-mean-square distance from the centre along the {name} principal axis")
        for name in ("major", "middle", "minor")
    ),
    Column("radius_of_gyration", LENGTH, "root-mean-square distance of the volume from its centre"),
    *(
        Column(f"inertia_{name}", "", f"moment of inertia about the {name} axis, over that of the ball of equal volume")
        for name in ("major", "middle", "minor")
    ),
    Column("anisotropy", "", "relative shape anisotropy of the gyration tensor: 0 for a ball, 1 for a line"),
    *(
        Column(f"skewness_{name}", "", f"absolute skewness of the volume along the {name} principal axis")
        for name in ("major", "middle", "minor")
    ),
    *(
        Column(f"kurtosis_{name}", "", f"kurtosis of the volume along the {name} principal axis; 15/7 for a ball")
        for name in ("major", "middle", "minor")
    ),
    Column("tilt", "rad", "angle between the minor principal axis and z; depends on the orientation"),
)
_STATISTICS = (
    ("mean", "mean"),
    ("std", "standard deviation"),
    ("p5", "5th percentile"),
    ("p50", "median"),
    ("p95", "95th percentile"),
)
_SURFACE = (
    Column("radius_mean", LENGTH, "mean distance of the surface from the centre"),
    Column("radius_std", LENGTH, "standard deviation of that distance"),
    Column("radius_min", LENGTH, "smallest such distance"),
    Column("radius_max", LENGTH, "largest such distance"),
    Column(
        "roughness",
        LENGTH,
        "standard deviation of the heights that a Gaussian of a tenth of the ball's radius removes",
    ),
    *(
        Column(f"mean_curvature_{name}", "1/{0}", f"{text} of the mean curvature; negative where hollow")
        for name, text in _STATISTICS
    ),
    *(
        Column(f"gaussian_curvature_{name}", "1/{0}2", f"{text} of the Gaussian curvature; negative on a saddle")
        for name, text in _STATISTICS
    ),
    Column("bending_energy", "", "integral of the squared mean curvature over 4 pi; 1 for a ball (Willmore)"),
    Column("hollow", "", "share of the surface with negative mean curvature"),
    Column("saddle", "", "share of the surface with negative Gaussian curvature"),
)
_PROJECTION = (
    Column("projected_area", AREA, "area of the projection along z; this and all below depend on the orientation"),
    Column("projected_perimeter", LENGTH, "perimeter of the projection"),
    Column("projected_circularity", "", "4 pi times the projected area over the squared perimeter"),
    Column("projected_eccentricity", "", "eccentricity of the ellipse with the moments of the projection"),
    Column("projected_solidity", "", "projected area over the area of its convex hull"),
    Column("thickness_mean", LENGTH, "mean thickness along z, over the projection"),
    Column("thickness_std", LENGTH, "standard deviation of the thickness"),
    Column("thickness_max", LENGTH, "largest thickness"),
    Column("thickness_skewness", "", "skewness of the thickness"),
    *(Column(f"texture_{name}", "", f"{name} of the thickness along z") for name in PROPERTIES),
    Column("texture_entropy", "bit", "entropy of the thickness along z"),
)
_ALL = tuple(chain(_SIZE, _EXTENT, _MOMENTS, _SURFACE, _PROJECTION))
NAMES = tuple(column.name for column in _ALL)


def feature_columns(unit: str) -> tuple[Column, ...]:
    """Return the columns of the features, with lengths in a unit: ``um``, ``voxel``."""
    return tuple(Column(c.name, c.unit.format(unit), c.meaning) for c in _ALL)


def shape_features(
    values: Num[np.ndarray, "z y x"] | Bool[np.ndarray, "z y x"],
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    *,
    level: float | None = None,
    signed: bool = False,
) -> dict[str, float]:
    """Compute the features of a shape.

    Args:
        values: Signed distance, occupancy, or another quantity that is larger inside.
        spacing: Distance between samples (z, y, x), in any unit.
        level: Value on the surface; by default 0 of a signed distance, else half-way of the range.
        signed: Whether the values are a signed distance.

    Returns:
        Values of the columns of `feature_columns`.

    Raises:
        DataError: If a value is not finite, or there is no surface.
    """
    return surface_features(extract_surface(values, spacing, level=level, signed=signed))


def surface_features(surface: Surface) -> dict[str, float]:
    """Compute the features of the solid that a surface encloses."""
    features = {**solid_features(surface), **relief_features(surface), **projection_features(surface)}
    return {name: float(features[name]) for name in NAMES}


STANDARD = "standard"
SETS = (STANDARD, "shapr")
"""Names of the sets of features on the command line."""


def require_standard(name: str, kind: str) -> None:
    """Refuse any set of features but the standard one.

    Args:
        name: Name of the set.
        kind: Kind of experiment, for the message.

    Raises:
        ConfigError: If it is another one.
    """
    if name != STANDARD:
        raise ConfigError(f"--features {name}: those are features of shapes, and this is a {kind}; leave it out")
