"""Factor on the contrast of a result that explains the withheld views best.

A prior on smoothness holds contrast down, the more the noisier the images are, and the data then ask for more than the
fit has. Views that were fitted would ask for too much, as their noise was fitted with them; withheld ones do not.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

if TYPE_CHECKING:
    from ...optimize.likelihood import Nuisance
    from .forward_model import CellForwardModel

_FACTORS = (0.8, 1.0, 1.25, 1.6)
"""Factors at which the loss is computed; a polynomial of third degree goes through it."""


def contrast_factor(
    forward_model: "CellForwardModel",
    values: Float[Any, "k z y x"],
    nuisance: "Nuisance",
    views: Int[np.ndarray, " view"],
) -> dict[str, float]:
    """Compute the factor and its standard error by noise.

    Args:
        forward_model: Measured views and their physics.
        values: Contrast on the fit's grid.
        nuisance: Corrections of the instrument.
        views: Views that were withheld from the fit.

    Returns:
        ``contrast_factor``, at most the largest of those tried, and ``contrast_factor_error``; empty without withheld
        views, or where the loss has no minimum above the smallest.
    """
    if not len(views) or not np.any(values):
        return {}
    losses = [float(np.mean(forward_model.losses_of(f * values, nuisance, views))) for f in _FACTORS]
    polynomial = np.polynomial.Polynomial.fit(_FACTORS, losses, 3)
    factors = np.linspace(_FACTORS[0], _FACTORS[-1], 801)
    best = float(factors[np.argmin(polynomial(factors))])
    curvature = float(polynomial.deriv(2)(best))
    if best == _FACTORS[-1]:
        return {"contrast_factor": best, "contrast_factor_error": 0.0}
    if best == _FACTORS[0] or curvature <= 0:
        return {}
    # The loss is a mean of squares over the pixels; at its minimum it is mostly noise.
    pixels = _good_pixels(forward_model, views)
    error = np.sqrt(max(float(polynomial(best)), 0.0) / (pixels * curvature / 2))
    return {"contrast_factor": best, "contrast_factor_error": float(error)}


def _good_pixels(forward_model: "CellForwardModel", views: Int[np.ndarray, " view"]) -> float:
    """Count the pixels that are compared."""
    if forward_model.weights is not None:
        return max(float(forward_model.weights[views].sum()), 1.0)
    return float(len(views) * np.prod(forward_model.measured.shape[1:]))
