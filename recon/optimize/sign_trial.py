"""Choice of the sign to which a field is constrained, by the beginning of fits with and without the constraint.

Where it holds, the constraint replaces frequencies that were not measured, and what was withheld is predicted better.
Where it does not hold, it is predicted worse. Both show within the first third of the steps. The fit that is chosen
goes on from there, so that the choice costs the steps of the others alone.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import Diagnostic, Stopped
from ..fields.build import field_for
from ..runs.context import RunContext
from .fit_loop import VALIDATE_EVERY, Fit
from .likelihood import Likelihood
from .objective import Objective
from .trainer import Callbacks

_log = logging.getLogger(__name__)

TRIAL = 1 / 3
"""Share of the steps that every sign is tried for."""
FEWEST_STEPS = 100
"""Number of steps of a fit from which signs are tried."""
TOLERANCE = 0.01
"""Relative excess of the withheld metric up to which the data do not contradict a constraint."""
ANY = "any"


@dataclass
class BegunFit:
    """Fit that a trial began.

    Args:
        sign: Sign to which its field is constrained.
        likelihood: Likelihood of the measurement under this sign.
        fit: Fit after the steps of the trial.
        other_steps: Steps that the other fits of the trial took.
        records: Numbers of each step.
    """

    sign: str
    likelihood: Likelihood
    fit: Fit
    other_steps: int = 0
    records: list[tuple[int, dict[str, float]]] = field(default_factory=list)

    @property
    def withheld(self) -> float:
        """Least metric of what was withheld."""
        return self.fit.validation.least


def trial_steps(steps: int) -> int:
    """Compute the number of steps of a trial: a multiple of the steps between validations; 0 for no trial."""
    return 0 if steps < FEWEST_STEPS else max(1, round(TRIAL * steps / VALIDATE_EVERY)) * VALIDATE_EVERY


def choose_sign(candidates: Mapping[str, Likelihood], context: RunContext) -> BegunFit:
    """Begin a fit for each sign, and choose the one that the withheld data do not contradict.

    Args:
        candidates: Likelihood by its sign, the one without constraint last.
        context: Config and folder.

    Returns:
        The begun fit to go on with: a constraint is preferred within `TOLERANCE`.

    Raises:
        Stopped: If it was asked to end early.
    """
    settings = context.config.fit
    steps = trial_steps(settings.steps)
    total = settings.ensemble * settings.steps + (len(candidates) - 1) * steps
    trials: list[BegunFit] = []
    for sign, likelihood in candidates.items():
        grid = field_for(settings, likelihood.grid, len(likelihood.scales), sign)
        trial = BegunFit(sign, likelihood, Fit(Objective(likelihood, grid, settings), context.config.seed))
        _take_steps(trial, steps, len(trials) * steps, total, context)
        trials.append(trial)
    chosen = min(trials, key=lambda trial: trial.withheld * (1 + TOLERANCE * (trial.sign == ANY)))
    residuals = ", ".join(f"{trial.sign} {trial.withheld:.4f}" for trial in trials)
    _log.info("fit.sign: %s, by the withheld residual after %d steps (%s)", chosen.sign, steps, residuals)
    chosen.other_steps = sum(trial.fit.step for trial in trials if trial is not chosen)
    return chosen


def _take_steps(trial: BegunFit, steps: int, before: int, total: int, context: RunContext) -> None:
    """Take the first steps of a fit."""
    fit = trial.fit

    def record(step: int, numbers: dict[str, float]) -> None:
        trial.records.append((step, numbers))
        shown = {name: value for name, value in numbers.items() if name != "seconds"}
        context.progress(before + step, total, **shown)

    fit.init()
    fit.run(Callbacks(record, should_stop=lambda: context.should_stop() or ("trial" if fit.step >= steps else None)))
    if fit.step < steps and (reason := context.should_stop()):
        message = f"{reason}: stopped during the trial of fit.sign"
        raise Stopped(Diagnostic("", message, "run again with --resume to begin it again"))
