"""Choices that a cell's config leaves to the data: whether the specimen absorbs, and the sign of its contrast.

Each is made once, before the fit or in its first steps, and stored in the run's ``choices.json``: a resumed run makes
the same. The model's file holds their outcome, its quantities and the field's sign, for whatever reads it later.
"""

import logging
from dataclasses import dataclass

import numpy as np

from ...optimize.sign_trial import ANY, BegunFit, choose_sign, trial_steps
from ...runs.context import RunContext
from .absorption_test import absorption_ratio
from .initial_guess import STRENGTH, invert_born_model
from .likelihood import CellLikelihood
from .verdict import ABSORPTION_RATIO

_log = logging.getLogger(__name__)

_SIGNS = {"any": 0.0, "nonnegative": 1.0, "nonpositive": -1.0}


@dataclass(frozen=True)
class ChosenFit:
    """Likelihood under the choices made.

    Args:
        likelihood: Likelihood with settings that leave nothing open.
        numbers: Choices as numbers for ``metrics.json``; only those that the config left open.
        begun: Fit that the choice of the sign began, if it did.
    """

    likelihood: CellLikelihood
    numbers: dict[str, float]
    begun: BegunFit | None = None


def choose(likelihood: CellLikelihood, context: RunContext) -> ChosenFit:
    """Make the choices that the config leaves open, or read those that the run made before.

    Raises:
        Stopped: If the run was asked to end early.
    """
    earlier, numbers = context.folder.read_choices(), dict[str, float]()
    if likelihood.settings.physics.absorption == "auto":
        numbers |= _absorption(likelihood, earlier)
        likelihood = likelihood.with_choices(absorbs=bool(numbers["absorption_chosen"]))
        context.folder.write_choices(earlier | numbers)
    begun = None
    if likelihood.settings.fit.sign == "auto":
        names = {number: name for name, number in _SIGNS.items()}
        sign = names.get(earlier.get("sign_chosen", np.nan))
        if sign is None:
            sign, begun = _sign(likelihood, context)
        likelihood = likelihood.with_choices(sign=sign)
        numbers["sign_chosen"] = _SIGNS[sign]
        context.folder.write_choices(earlier | numbers)
    return ChosenFit(likelihood, numbers, begun)


def _absorption(likelihood: CellLikelihood, earlier: dict[str, float]) -> dict[str, float]:
    if "absorption_chosen" in earlier:
        return {name: earlier[name] for name in ("absorption_chosen", "absorption_ratio") if name in earlier}
    ratio = absorption_ratio(likelihood)
    absorbs = ratio is not None and ratio < ABSORPTION_RATIO
    if absorbs:
        _log.info("physics.absorption: true, as linear theory with absorption leaves %.2f of the residual", ratio)
    numbers = {"absorption_chosen": float(absorbs)}
    return numbers if ratio is None else numbers | {"absorption_ratio": ratio}


def _sign(likelihood: CellLikelihood, context: RunContext) -> tuple[str, BegunFit | None]:
    if not trial_steps(likelihood.settings.fit.steps) or not len(likelihood.split().withheld):
        _log.info("fit.sign: any, as the steps or the views are too few to choose")
        return ANY, None
    signs = (_likely_sign(likelihood), ANY)
    begun = choose_sign({sign: likelihood.with_choices(sign=sign) for sign in signs}, context)
    return begun.sign, begun


def _likely_sign(likelihood: CellLikelihood) -> str:
    """Guess the sign by the skewness of the linear inverse; an absorbing specimen has no negative absorption."""
    if likelihood.absorbs or likelihood.is_field or "rotation" in likelihood.acquisition:
        return "nonnegative"
    fitted = likelihood.split().fitted
    bright = fitted[likelihood.is_bright[fitted]]
    if not len(bright):
        return "nonnegative"
    contrast = invert_born_model(likelihood, bright, STRENGTH)
    return "nonnegative" if np.sum(contrast.astype(np.float64) ** 3) >= 0 else "nonpositive"
