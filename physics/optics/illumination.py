"""Illumination in the dimensionless units of the jitted kernels, and patterns of directions: ring, spiral, grid.

`microscope.Illumination` describes the same in SI. Patterns are arrays (view, 2) of numerical apertures n·sin θ along
(y, x).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .lattice import Lattice
from .microscope import Illumination


class PlaneWaves(NamedTuple):
    """Plane waves and focus of each view, as a pytree; mapped over its first axis it is that of one view.

    Attributes:
        tilts: Incident waves (y, x) in units of n_m/λ: the sine of their angle in the medium.
        weights: Brightness of each source; sources of a view add incoherently.
        defocus: Plane of focus of each view, in cycles of the wave in the medium from z = 0 along +z.
    """

    tilts: Float[Array, "*view source 2"]
    weights: Float[Array, "*view source"]
    defocus: Float[Array, "*view"]

    @classmethod
    def from_illumination(
        cls, illumination: Illumination, lattice: Lattice, views: Int[np.ndarray, " view"] | slice = slice(None)
    ) -> "PlaneWaves":
        """Convert the illumination of some views, in single precision.

        Args:
            illumination: Illumination of all views, in SI.
            lattice: Lattice, whose wavelength and medium are the units.
            views: Indices of the views.
        """
        # Computed on the host: on the device these small steps would compile programs of their own.
        return cls(
            jnp.asarray(illumination.na[views] / lattice.medium_index, jnp.float32),
            jnp.asarray(illumination.weights[views], jnp.float32),
            jnp.asarray(illumination.defocus[views] * lattice.cycles(1.0), jnp.float32),
        )


def ring(count: int, na: float | int, start: float = 0.0) -> Float[np.ndarray, "view 2"]:
    """Compute directions evenly around a ring.

    Args:
        count: Number of directions.
        na: Numerical aperture of each direction.
        start: [rad] Angle of the first direction, from +x towards +y.
    """
    angles = start + 2 * np.pi * np.arange(count) / count
    directions: Float[np.ndarray, "view 2"] = na * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return directions


def spiral(count: int, na: float | int) -> Float[np.ndarray, "view 2"]:
    """Compute directions that fill a disc evenly, from the axis outwards (Vogel, Math. Biosci. 44, 179 (1979)).

    Args:
        count: Number of directions.
        na: Numerical aperture of the outermost direction.
    """
    radii = na * np.sqrt(np.arange(count) / max(count - 1, 1))
    angles = np.arange(count) * np.pi * (3 - np.sqrt(5))
    directions: Float[np.ndarray, "view 2"] = radii[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return directions


def grid(count: int, na: float | int) -> Float[np.ndarray, "view 2"]:
    """Compute directions on a square grid within a disc, row by row, as of an LED board.

    Args:
        count: Number of directions; of the coarsest grid with so many, the outermost are left out.
        na: Numerical aperture of the outermost direction.
    """
    half = 0
    while True:
        steps = np.arange(-half, half + 1)
        points = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        squared = np.sum(points**2, axis=1)
        inside = squared <= max(half, 1) ** 2
        if inside.sum() >= count:
            break
        half += 1
    # Sorted by the distance from the axis and, at equal distances and in the result, by the order of the grid.
    nearest = np.sort(np.argsort(squared, kind="stable")[:count])
    selected = points[nearest].astype(float)
    outermost = np.sqrt(squared[nearest].max())
    return selected * na / outermost if outermost else selected


PATTERNS = {"ring": ring, "spiral": spiral, "grid": grid}
"""Patterns by the names that a config uses."""
