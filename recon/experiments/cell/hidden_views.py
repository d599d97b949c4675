"""Views that are hidden from a trial, to test what a prior says of frequencies that the others do not see. Without jax.

Light of steeper angles sees axial frequencies that the rest does not. Where all light has one angle, as on a ring, half
of the ring does.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ....physics.optics.microscope import Illumination
from ...optimize.steps import FEWEST_STEPS

HIDDEN_SHARE = 1 / 3
"""Share of the views that is hidden: those of the steepest light."""
NARROWER = 0.9
"""Largest aperture of the remaining light, over that of all, up to which the hidden views see more along the axis."""
LEAST_NA = 0.05
"""Aperture of all light below which its directions see the same."""
FEWEST = 4
"""Least number of views that remain."""
_FULL_TURN = 2 * np.pi


class HiddenViews(NamedTuple):
    """Views of a test.

    Args:
        remaining: Views that the test knows.
        hidden: Views that it has to predict; empty where no test is possible.
        text: Light of the hidden views, or the reason for which there are none.
    """

    remaining: Int[np.ndarray, " remaining"]
    hidden: Int[np.ndarray, " hidden"]
    text: str


def choose_hidden_views(illumination: Illumination, views: Int[np.ndarray, " view"]) -> HiddenViews:
    """Choose some of the bright fields of a measurement that see what the others do not.

    Args:
        illumination: Light of all views.
        views: Views to choose from.
    """
    radius, azimuth = _directions(illumination, views)
    order = views[np.argsort(radius, kind="stable")]
    count = round(HIDDEN_SHARE * len(views))
    widest = float(radius.max(initial=0))
    remaining, hidden = order[: len(order) - count], order[len(order) - count :]
    if count and widest > LEAST_NA and len(remaining) >= FEWEST:
        narrower = float(radius[np.isin(views, remaining)].max())
        if narrower <= NARROWER * widest:
            return HiddenViews(np.sort(remaining), np.sort(hidden), "of the steepest light")
    single = np.count_nonzero(illumination.weights[views] > 0, axis=1).max(initial=0) == 1
    in_half = (azimuth - azimuth[0]) % _FULL_TURN < np.pi if len(azimuth) else np.zeros(0, bool)
    if single and widest > LEAST_NA and np.count_nonzero(~in_half) >= FEWEST and in_half.any():
        return HiddenViews(views[~in_half], views[in_half], "of half the ring of light")
    reason = "too few views" if len(views) < 2 * FEWEST else "no view sees frequencies that the others do not"
    return HiddenViews(views, views[:0], reason)


def untestable(chosen: HiddenViews, steps: int, *, has_withheld: bool) -> str:
    """Reason for which a fit cannot test a prior; empty for none.

    Args:
        chosen: Views to hide from its trial.
        steps: Number of its steps.
        has_withheld: Whether views are withheld from it.
    """
    if not len(chosen.hidden):
        return chosen.text
    if steps < FEWEST_STEPS:
        return f"the fit takes {steps} steps, fewer than {FEWEST_STEPS}"
    return "" if has_withheld else "no view is withheld (fit.withheld)"


def _directions(
    illumination: Illumination, views: Int[np.ndarray, " view"]
) -> tuple[Float[np.ndarray, " view"], Float[np.ndarray, " view"]]:
    """Compute the largest aperture of each view's sources, and the azimuth [rad] of their mean direction."""
    na, weights = illumination.na[views], illumination.weights[views]
    radius = np.where(weights > 0, np.hypot(na[..., 0], na[..., 1]), 0).max(axis=1, initial=0)
    y, x = np.moveaxis((weights[..., None] * na).sum(axis=1), -1, 0)
    return radius, np.arctan2(y, x)
