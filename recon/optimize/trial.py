"""Choice between models of a measurement by the beginning of a fit of each, compared by what was withheld.

A constraint that holds replaces frequencies that were not measured, and what was withheld is predicted better; one that
does not hold makes it worse. So does physics that the specimen has, or lacks. Both show within the first quarter of the
steps. The fit that is chosen goes on from there, so that a choice costs the steps of the others alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, cast

import numpy as np
from jaxtyping import Float

from ..errors import Diagnostic, Stopped
from ..fields.config import FieldChoice
from ..runs.context import RunContext
from .fit_loop import Fit
from .objective import AnyLikelihood, Objective, field_of
from .settings import FitSettings
from .steps import trial_steps
from .trainer import Callbacks

TRIAL_STEPS = "trial_steps"
"""Metric of the steps of the fits that were tried and not chosen."""


@dataclass
class BegunFit:
    """Fit that a trial began.

    Args:
        fit: Fit after the steps of the trial.
        records: Numbers of each step.
        other_steps: Steps that the other fits of the trial took.
    """

    fit: Fit
    records: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    other_steps: int = 0

    @property
    def withheld(self) -> float:
        """Least metric of what was withheld."""
        return self.fit.validation.least

    @property
    def values(self) -> Float[np.ndarray, "k z y x"]:
        """Physical values on the grid."""
        parameters = {name: np.asarray(array) for name, array in self.fit.state.mean_field.items()}
        return np.asarray(self.fit.objective.compiled.values(parameters))


def begin_fit(
    likelihood: AnyLikelihood,
    settings: FitSettings,
    seed: int,
    steps: int,
    is_ended: Callable[[], bool] = lambda: False,
) -> BegunFit:
    """Take at least so many first steps of a fit that no folder stores.

    Args:
        likelihood: Likelihood of the measurement.
        settings: Field, strengths and rates.
        seed: Seed of the fit.
        steps: Number of steps.
        is_ended: Whether to end early.
    """
    shape = field_of(likelihood, cast(FieldChoice, settings))
    fit = Fit(Objective(likelihood, shape, settings), seed)
    fit.init()
    fit.run(Callbacks(should_stop=lambda: "begun" if fit.step >= steps or is_ended() else None))
    return BegunFit(fit)


def _finite(records: list[tuple[int, dict[str, float]]]) -> list[tuple[int, dict[str, float]]]:
    """Leave out numbers that JSON cannot hold."""
    return [(step, {name: value for name, value in numbers.items() if isfinite(value)}) for step, numbers in records]


class Trial:
    """Fits of several models of one measurement, begun one after the other.

    Each is stored in the run's folder under the name of its model, so that a run that was stopped goes on from there.

    Args:
        context: Config and folder.
        count: Number of models that will be tried, for the display of progress.
        following: Number of steps after the trials, likewise; None for those of the fit that goes on from one.
    """

    def __init__(self, context: RunContext, count: int, following: int | None = None) -> None:
        self.context, self.count = context, count
        fit = context.config.fit
        self.steps = trial_steps(fit.steps)
        self._following = fit.ensemble * fit.steps - self.steps if following is None else following
        self._begun = 0
        self._steps_taken = 0

    @property
    def planned_steps(self) -> int:
        """Number of steps of all trials."""
        return max(self.count, self._begun) * self.steps

    def begin(self, name: str, likelihood: AnyLikelihood) -> BegunFit:
        """Take the first steps of a fit, or those that are left of them.

        Args:
            name: Name of the model, as part of a path.
            likelihood: Likelihood of the measurement under the model.

        Raises:
            Stopped: If the run was asked to end early.
        """
        settings, context = self.context.config.fit, self.context
        begun = BegunFit(Fit(Objective(likelihood, field_of(likelihood, settings), settings), context.config.seed))
        before = self._begun * self.steps
        self._begun += 1
        total = self.planned_steps + self._following
        stored = context.folder.latest_trial(name)
        if stored and stored.step <= self.steps:  # A longer one, of an earlier version, cannot be compared.
            begun.fit.restore(stored.step, stored.arrays, stored.metadata)
            begun.records = [(int(step), numbers) for step, numbers in stored.metadata["records"]]

        def record(step: int, numbers: dict[str, float]) -> None:
            begun.records.append((step, numbers))
            shown = {name: value for name, value in numbers.items() if name != "seconds"}
            context.progress(before + step, total, **shown)

        def save(step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
            context.folder.save_trial(name, step, arrays, metadata | {"records": _finite(begun.records)})

        def should_stop() -> str | None:
            return context.should_stop() or ("trial" if begun.fit.step >= self.steps else None)

        begun.fit.init()
        if begun.fit.step < self.steps:
            begun.fit.run(Callbacks(record, save, should_stop))
        if begun.fit.step < self.steps and (reason := context.should_stop()):
            message = f"{reason}: stopped after step {begun.fit.step} of a trial of {self.steps} steps"
            raise Stopped(Diagnostic("", message, "run again with --resume to go on"))
        self._steps_taken += begun.fit.step
        return begun

    def choose(self, chosen: BegunFit) -> BegunFit:
        """Return the fit to go on with, which then knows the steps of the others."""
        chosen.other_steps = self._steps_taken - chosen.fit.step
        return chosen
