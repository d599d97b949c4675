"""The light of some views as the wave's kernels take it: dimensionless, of jax's arrays.

An `Illumination` describes the same in SI, as the laboratory has it.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .instrument import Illumination
from .lattice import Lattice


class Light(NamedTuple):
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
    def of(
        cls, illumination: Illumination, lattice: Lattice, views: Int[np.ndarray, " view"] | slice = slice(None)
    ) -> "Light":
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
