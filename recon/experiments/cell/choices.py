"""Choices that a cell's config leaves to the data: whether the specimen absorbs, and the sign of its contrast.

Where the light is corrected as a whole, it is first corrected roughly, so that the choices and the fit begin from the
right one: a specimen that was begun under the wrong light keeps its traces. Each choice is made once, before the fit or
in its first steps, and stored in the run's ``choices.json`` at once: a resumed run makes the same. The model's file
holds their outcome, its quantities and the field's sign, for whatever reads it later.
"""

import logging
from dataclasses import replace

import numpy as np

from ...optimize.steps import FEWEST_STEPS, LEAST_TRIAL
from ...optimize.trial import TRIAL_STEPS, BegunFit, Trial
from ...runs.context import RunContext
from .absorption_test import absorption_ratio
from .likelihood import CellLikelihood
from .output import structure_left
from .prior_choice import PriorChoice, earlier_numbers, tried_models

_log = logging.getLogger(__name__)

SUSPECT = 0.9
"""Residual of linear theory with absorption, over that without, below which a fit with absorption is tried.

Linear theory alone is no proof: of 29 simulated phase specimens two, which scatter strongly, had less, 0.67 and 0.88.
"""
GAIN = 0.95
"""Withheld residual of the begun fit with absorption, over that without, below which the specimen absorbs."""
CLEAR_GAIN = 0.7
"""The same where linear theory does not suspect absorption: a specimen cut by the border, or wrong light, may be
explained a little better by an absorption that is not there."""
POOR_STRUCTURE, ERRORS = 0.25, 2.0
"""Structure of the withheld views that a begun fit leaves, less its standard errors, from which absorption is tried."""
TOLERANCE = 0.01
"""Relative excess of the withheld residual up to which the data do not contradict a sign."""
_CORRECTION = "light_correction"
"""Name of the rough corrections of the light in ``choices.json``."""
_SIGNS = {"any": 0.0, "nonnegative": 1.0, "nonpositive": -1.0}


class Choices:
    """Choices of one run.

    Args:
        likelihood: Likelihood under the config as it is.
        context: Config and folder.
        following: Number of steps after the choices, as for `Trial`.
    """

    def __init__(self, likelihood: CellLikelihood, context: RunContext, following: int | None = None) -> None:
        self.likelihood, self.context = likelihood, context
        self.numbers: dict[str, float] = {}
        self.begun: BegunFit | None = None
        self._earlier = context.folder.read_choices()
        self._light = ""
        corrects_light = self._corrects_light and _CORRECTION not in self._earlier
        count = 1 + self._tries_signs + corrects_light + tried_models(likelihood.settings)
        self._trial = Trial(context, count, following)

    @property
    def planned_steps(self) -> int:
        """Number of steps of all trials."""
        return self._trial.planned_steps

    @property
    def _corrects_light(self) -> bool:
        fit = self.likelihood.settings.fit
        return fit.refine.sources == "rigid" and fit.steps >= FEWEST_STEPS

    @property
    def _tries_signs(self) -> bool:
        fit = self.likelihood.settings.fit
        return (
            fit.sign == "auto"
            and fit.steps >= FEWEST_STEPS
            and len(self.likelihood.split().withheld) > 0
            and "sign_chosen" not in self._earlier
        )

    def make(self) -> None:
        """Make the choices that the config leaves open, or read those that the run made before.

        Raises:
            Stopped: If the run was asked to end early.
        """
        if self._corrects_light:
            self._correct_light()
        if self.likelihood.settings.physics.absorption == "auto":
            self._choose_absorption()
            self._write()
        if self.likelihood.settings.fit.sign == "auto":
            self._choose_sign()
            self._write()
        if self.likelihood.settings.fit.prior != "none":
            self._choose_prior()
            self._write()
        if self.begun is not None:
            self.begun = self._trial.choose(self.begun)
            self.numbers[TRIAL_STEPS] = float(self.begun.other_steps)
            self._write()
        elif TRIAL_STEPS in self._earlier:
            self.numbers[TRIAL_STEPS] = float(self._earlier[TRIAL_STEPS])

    def _write(self) -> None:
        self.context.folder.write_choices(self._earlier | self.numbers)

    def _correct_light(self) -> None:
        """Find the turn, shift and scale of the light by a fit that is then abandoned; read them if they were found."""
        if _CORRECTION not in self._earlier:
            mean = self._begin(self.likelihood).fit.state.mean_nuisance["array"]
            self._earlier[_CORRECTION] = np.asarray(mean, float).tolist()
            self._write()
        corrections = {"array": np.array(self._earlier[_CORRECTION], np.float32)}
        self.likelihood = replace(self.likelihood, first_corrections=corrections)
        self._light = "corrected-"

    def begin(self) -> BegunFit:
        """Begin a fit under the choices, where none of them needed one."""
        return self._begin(self.likelihood)

    def begin_trial(self, name: str, likelihood: CellLikelihood) -> BegunFit:
        """Begin a fit of a name under the corrected light."""
        return self._trial.begin(f"{self._light}{name}", likelihood)

    def _begin(self, likelihood: CellLikelihood) -> BegunFit:
        """Try a model, whose name tells its absorption and its sign."""
        absorbs = "absorbing" if likelihood.absorbs else "clear"
        return self.begin_trial(f"{absorbs}-{likelihood.sign}", likelihood)

    def _choose_absorption(self) -> None:
        names = ("absorption_chosen", "absorption_ratio", "absorption_trial")
        self.numbers |= {name: float(self._earlier[name]) for name in names if name in self._earlier}
        if "absorption_chosen" in self.numbers:
            self.likelihood = self.likelihood.with_choices(absorbs=bool(self.numbers["absorption_chosen"]))
            return
        plain, absorbing = (self.likelihood.with_choices(absorbs=absorbs) for absorbs in (False, True))
        ratio, self.likelihood = absorption_ratio(plain), plain
        self.numbers["absorption_chosen"] = 0.0
        if ratio is None:
            return
        self.numbers["absorption_ratio"] = ratio
        if self._is_absorption_tried(ratio):
            self.begun, other = self.begun or self._begin(plain), self._begin(absorbing)
            with_it, without = other.withheld, self.begun.withheld
            self.numbers["absorption_trial"] = with_it / max(without, 1e-12)
            if with_it < (GAIN if ratio < SUSPECT else CLEAR_GAIN) * without:
                self.begun, self.likelihood, self.numbers["absorption_chosen"] = other, absorbing, 1.0
            taken = "true" if self.likelihood.absorbs else "false"
            _log.info("physics.absorption: %s (withheld residual %.4f with, %.4f without)", taken, with_it, without)

    def _is_absorption_tried(self, ratio: float) -> bool:
        """Whether linear theory suspects absorption, or the fit without it explains little of the withheld views.

        Where delays are so strong that linear theory fails, it does not see absorption. The fit without it is begun
        for the choice of the sign anyway.
        """
        if ratio < SUSPECT or not self._tries_signs:
            return ratio < SUSPECT and self.likelihood.settings.fit.steps >= LEAST_TRIAL
        self.begun = self._begin(self.likelihood)
        nuisance = self.begun.fit.state.mean_nuisance
        numbers = structure_left(self.likelihood, self.likelihood.split().withheld, self.begun.values, nuisance)
        surely = numbers.get("structure_unexplained", 0.0) - ERRORS * numbers.get("structure_error", 0.0)
        return surely > POOR_STRUCTURE

    def _choose_prior(self) -> None:
        """Test the prior by hidden views, and begin a fit with it where they trust it."""
        from .network.completion import Completion

        network = Completion.load(self.likelihood.settings.fit.prior)
        choice = PriorChoice(self.likelihood, self.context, network, self.begin_trial, earlier_numbers(self._earlier))
        self.begun = choice.make(self.begun)
        self.likelihood = choice.likelihood
        self.numbers |= choice.numbers

    def _choose_sign(self) -> None:
        if not self._tries_signs:
            names = {number: name for name, number in _SIGNS.items()}
            sign = names.get(self._earlier.get("sign_chosen", 0.0), "any")
            if "sign_chosen" not in self._earlier:
                _log.info("fit.sign: any, as the steps or the views are too few to choose")
        else:
            free = self.begun or self._begin(self.likelihood)
            sign = "nonnegative" if np.sum(free.values[0].astype(np.float64) ** 3) >= 0 else "nonpositive"
            bound = free
            if not (self.likelihood.absorbs and sign == "nonpositive"):  # Which would be a gain of light.
                bound = self._begin(self.likelihood.with_choices(sign=sign))
                residuals = f"withheld residual {bound.withheld:.4f} {sign}, {free.withheld:.4f} any"
                _log.info("fit.sign: tried for %d steps (%s)", self._trial.steps, residuals)
            is_bound = bound is not free and bound.withheld <= (1 + TOLERANCE) * free.withheld
            self.begun, sign = (bound, sign) if is_bound else (free, "any")
            _log.info("fit.sign: %s", sign)
        self.likelihood = self.likelihood.with_choices(sign=sign)
        self.numbers["sign_chosen"] = _SIGNS[sign]
