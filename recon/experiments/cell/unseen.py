"""Part of a cell's spectrum that its views do not determine: the missing cone, and gaps between the views' caps.

The share that is determined follows from linear theory, as that of the damped inverse of a weak specimen. Tikhonov's α
is far below that of the initial guess: a fit goes on where a closed form is damped.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ....physics.optics.born import BornModel
from ....physics.optics.illumination import PlaneWaves
from .forward_model import CellForwardModel

DAMPING = 0.003
"""Tikhonov's α of the share that is determined, as a fraction of the largest gain of the transfer functions."""

Share = Float[np.ndarray, "z y f"]
Contrast = Float[np.ndarray, "z y x"]


def unseen_share(forward_model: CellForwardModel, views: Int[np.ndarray, " view"]) -> Share:
    """Compute the share of each coefficient of the spectrum that some views do not determine.

    Returns:
        Shares from 0 to 1 on the fit's grid, in the order of ``numpy.fft.rfftn``.
    """
    lattice = forward_model.geometry.lattice
    light = PlaneWaves.from_illumination(forward_model.illumination, lattice, views)
    model = BornModel(lattice, forward_model.microscope.numerical_aperture)
    return np.asarray(1 - model.determined_share(light, jnp.float32(DAMPING)), np.float32)


def unseen_part(contrast: Contrast, share: Share) -> Contrast:
    """Weight the spectrum of a contrast by a share of each coefficient."""
    part = np.fft.irfftn(share * np.fft.rfftn(contrast), contrast.shape, axes=(0, 1, 2))
    return np.asarray(part, np.float32)
