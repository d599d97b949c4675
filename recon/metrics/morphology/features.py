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
