"""Volumes for the volume rendering of a browser: values on cubic cells, in half precision."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float16

from ..errors import ConfigError
from ..sampled import Sampled
from ..visualization.colour_scale import ColourScale
from ..visualization.grids import sample_grid

LARGEST = 256
"""Largest number of samples along an edge."""


class Texture(NamedTuple):
    """A volume for a 3D texture.

    Args:
        values: (value − low) / (high − low), not clipped; outside the box of the specimen that of the background.
        header: Shape, limits, and outer faces of the cells [m].
    """

    values: Float16[np.ndarray, "z y x"]
    header: dict[str, Any]


def sample_texture(specimen: Sampled, quantity: str, limits: ColourScale, longest: int) -> Texture:
    """Sample a quantity on cubic cells that fill the box.

    Args:
        specimen: Model or volume.
        quantity: Name of the quantity.
        limits: Values of 0 and 1.
        longest: Number of cells along the longest edge.

    Raises:
        ConfigError: If there are too many.
    """
    if not 2 <= longest <= LARGEST:
        raise ConfigError(f"a texture of {longest} samples along its longest edge: 2 to {LARGEST}")
    axes = specimen.isotropic_axes(longest)
    values = sample_grid(specimen, quantity, axes)
    low, high = np.float32(limits.low), np.float32(limits.high)
    scaled = (values - low) / (high - low)
    pitch = float(axes[int(np.argmax([len(axis) for axis in axes]))][1] - axes[int(np.argmax(values.shape))][0])
    bounds = [[float(axis[end] + side * pitch / 2) for axis in axes] for end, side in ((0, -1), (-1, 1))]
    header = {
        "shape": list(values.shape),
        "low": limits.low,
        "high": limits.high,
        "bounds": bounds,
        "type": "float16",
    }
    largest = float(np.finfo(np.float16).max)
    return Texture(np.clip(scaled, -largest, largest).astype(np.float16), header)
