"""Illumination in the dimensionless units of the jitted kernels; `microscope.Illumination` describes the same in SI."""

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
