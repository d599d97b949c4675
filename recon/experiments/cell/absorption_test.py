"""Test of a fit without absorption: whether the specimen absorbs, by linear theory.

Refraction redistributes light, absorption removes it, and a model of refraction alone explains lost light by a contrast
that is too strong. The closed-form linear reconstruction with absorption and without it, both judged by views that were
withheld from them, tell the two apart within seconds: on phase objects, weak or strong, absorption explains nothing
more (ratio 0.89 to 1.1), on a stained cell it does (0.7).
"""

import jax.numpy as jnp
import numpy as np

from ...optimize.likelihood import Nuisance
from .corrections import corrected_light
from .initial_guess import FACTORS, STRENGTH, invert_born_model
from .likelihood import CellLikelihood

POOR_RESIDUAL = 0.3
"""Residual of a fit above which the test is made."""
_MOST_VIEWS = 48


def absorption_ratio(likelihood: CellLikelihood) -> float | None:
    """Compute the residual of linear theory with absorption, over that without.

    Args:
        likelihood: Likelihood of a fit without absorption.

    Returns:
        The ratio; None for complex fields, turning specimens, too few bright fields, or blank ones.
    """
    split = likelihood.split()
    fitted, withheld = (views[likelihood.is_bright[views]] for views in (split.fitted, split.withheld))
    if likelihood.is_field or "rotation" in likelihood.acquisition or len(fitted) < 4 or not len(withheld):
        return None
    fitted = fitted[np.unique(np.linspace(0, len(fitted) - 1, _MOST_VIEWS).astype(int))]
    without, absorbing = (likelihood.with_choices(absorbs=absorbs) for absorbs in (False, True))
    nuisance = {name: jnp.asarray(value) for name, value in without.nuisance_parameters.items()}
    with_it, without_it = (_linear_residual(each, nuisance, fitted, withheld) for each in (absorbing, without))
    return with_it / without_it if without_it > 0 else None


def _linear_residual(likelihood: CellLikelihood, nuisance: Nuisance, fitted: np.ndarray, withheld: np.ndarray) -> float:
    """Compute the residual of withheld views for the linear inverse of the fitted ones, at its best scale."""
    light = corrected_light(likelihood.batch(fitted)["light"], nuisance, fitted, likelihood.microscope.medium_index)
    inverse = invert_born_model(likelihood, fitted, STRENGTH, light)
    losses = (likelihood.losses_of(factor * inverse, nuisance, withheld, withheld=True) for factor in FACTORS)
    return min(likelihood.metric(each) for each in losses)
