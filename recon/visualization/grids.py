"""Specimens on grids of cubic cells, in single precision, for volumes, pictures and ranges."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ..model import Model
from ..sampled import Axis, Sampled
from ..slice_plane import SlicePlane


def sample_grid(specimen: Sampled, quantity: str, axes: Sequence[Axis]) -> Float[np.ndarray, "z y x"]:
    """Sample a quantity on the product of three evenly spaced axes [m]; outside the box it is the background."""
    z, y, x = axes
    if not isinstance(specimen, Model) or not specimen.is_pointwise or min(len(y), len(x)) < 2:
        return np.asarray(specimen.sample(z, y, x, quantity), np.float32)
    values = np.empty((len(z), len(y), len(x)), np.float32)
    right, down = np.array([0.0, 0.0, x[1] - x[0]]), np.array([0.0, y[1] - y[0], 0.0])
    for layer, height in zip(values, z, strict=True):  # Plane by plane, as points that lie close together.
        centre = np.array([height, (y[0] + y[-1]) / 2, (x[0] + x[-1]) / 2])
        layer[...] = specimen.on_plane(SlicePlane(centre, right, down, len(x), len(y)), quantity)
    np.nan_to_num(values, copy=False, nan=specimen.background(quantity))
    return values
