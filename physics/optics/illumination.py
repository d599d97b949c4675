"""The light of some views as the wave's kernels take it: dimensionless, of jax's arrays.

An `Illumination` describes the same in SI, as the laboratory has it.

Directions of light that a laboratory chooses: a ring, a spiral, a grid.

Each is an array (view, 2) of numerical apertures n·sin θ along (y, x).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .lattice import Lattice
from .microscope import Illumination


class PlaneWaves(NamedTuple):
    """The plane waves that light each view, and where it is focused.

    A pytree: mapped over its views, it is the light of one.

    Attributes:
        tilts: Incident waves (y, x) in units of n_m/λ: the sine of their angle in the medium.
        weights: Brightness of each; sources of a view add incoherently; 0 for none.
        defocus: Plane of focus of each view, in cycles of the wave in the medium from z = 0 along +z.
    """

    tilts: Float[Array, "*view source 2"]
    weights: Float[Array, "*view source"]
    defocus: Float[Array, "*view"]

    @classmethod
    def from_illumination(
        cls, illumination: Illumination, lattice: Lattice, views: Int[np.ndarray, " view"] | slice = slice(None)
    ) -> "PlaneWaves":
        """Light of some views, in single precision.

        Args:
            illumination: Of all views.
            lattice: Whose wavelength and medium are the units.
            views: Which.
        """
        # Chosen, divided and rounded on the host: the device gets three small arrays and no program of its own.
        return cls(
            jnp.asarray(illumination.na[views] / lattice.medium_index, jnp.float32),
            jnp.asarray(illumination.weights[views], jnp.float32),
            jnp.asarray(illumination.defocus[views] * lattice.cycles(1.0), jnp.float32),
        )


def ring(count: int, na: float | int, start: float = 0.0) -> Float[np.ndarray, "view 2"]:
    """Directions evenly around a ring.

    Args:
        count: How many.
        na: Numerical aperture of each.
        start: [rad] Angle of the first, from +x toward +y.
    """
    angles = start + 2 * np.pi * np.arange(count) / count
    directions: Float[np.ndarray, "view 2"] = na * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return directions


def spiral(count: int, na: float | int) -> Float[np.ndarray, "view 2"]:
    """Directions that fill a disc evenly, from the axis to its rim (Vogel's sunflower, Math. Biosci. 44, 179 (1979)).

    Args:
        count: How many.
        na: Numerical aperture of the outermost.
    """
    radii = na * np.sqrt(np.arange(count) / max(count - 1, 1))
    angles = np.arange(count) * np.pi * (3 - np.sqrt(5))
    directions: Float[np.ndarray, "view 2"] = radii[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return directions


def grid(count: int, na: float | int) -> Float[np.ndarray, "view 2"]:
    """Directions on a square grid within a disc, row by row, as an LED board gives them.

    Args:
        count: How many; the grid is as fine as it takes to have that many, and the outermost are left out.
        na: No direction has a larger numerical aperture.
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
    # Ring by ring from the axis; the order of the grid decides within a ring, and again at the end.
    nearest = np.sort(np.argsort(squared, kind="stable")[:count])
    chosen = points[nearest].astype(float)
    outermost = np.sqrt(squared[nearest].max())
    return chosen * na / outermost if outermost else chosen


PATTERNS = {"ring": ring, "spiral": spiral, "grid": grid}
"""The patterns by the names that a config uses."""
