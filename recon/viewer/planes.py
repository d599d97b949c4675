"""Planes and profiles of a result that a page asks for."""

import numpy as np
from jaxtyping import Float

from ..errors import ConfigError
from ..sampled import Sampled
from ..slice_plane import SlicePlane

LARGEST = 2048
"""Largest number of samples along an edge."""
MOST_POINTS = 10_000
"""Largest number of points of a profile: more than a screen has pixels."""


def sample_plane(specimen: Sampled, quantity: str, plane: SlicePlane) -> Float[np.ndarray, "h w"]:
    """Sample a quantity on a plane, NaN outside the box of the specimen.

    Raises:
        ConfigError: If the plane is too large.
    """
    if max(plane.width, plane.height) > LARGEST:
        raise ConfigError(f"a plane of {plane.height} × {plane.width} samples: at most {LARGEST} along each edge")
    return specimen.on_plane(plane, quantity)


def sample_profile(
    specimen: Sampled, quantity: str, start: Float[np.ndarray, " 3"], end: Float[np.ndarray, " 3"], count: int
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Sample a quantity along a line.

    Args:
        specimen: Model or volume.
        quantity: Name of the quantity.
        start: [m] First point.
        end: [m] Last point.
        count: Number of points.

    Returns:
        Distance from the first point [m], and the value, NaN outside the box.

    Raises:
        ConfigError: If the number of points is not reasonable.
    """
    if not 2 <= count <= MOST_POINTS:
        raise ConfigError(f"a profile of {count} points: 2 to {MOST_POINTS}")
    points = start + np.linspace(0, 1, count)[:, None] * (end - start)
    values = specimen.at(points, [quantity])[:, 0]
    values[~specimen.contains(points)] = np.nan
    return np.asarray(np.linspace(0, np.linalg.norm(end - start), count)), values
