"""Choice between models of a measurement by the beginning of a fit of each, compared by what was withheld.

A constraint that holds replaces frequencies that were not measured, and what was withheld is predicted better; one that
does not hold makes it worse. So does physics that the specimen has, or lacks. Both show within the first third of the
steps. The fit that is chosen goes on from there, so that a choice costs the steps of the others alone.
"""

from dataclasses import dataclass, field

import jax
import numpy as np
from jaxtyping import Float

from ..errors import Diagnostic, Stopped
from ..fields.build import field_for
from ..runs.context import RunContext
from .fit_loop import VALIDATE_EVERY, Fit
from .likelihood import Likelihood
from .objective import Objective
from .trainer import Callbacks

_SHARE = 1 / 3
"""Share of the steps that every model is tried for."""


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
        return np.asarray(jax.jit(self.fit.objective.values)(self.fit.state.field))


def trial_steps(steps: int) -> int:
    """Compute the number of steps of a trial: a multiple of the steps between validations, at most all."""
    return min(steps, max(1, round(_SHARE * steps / VALIDATE_EVERY)) * VALIDATE_EVERY)


class Trial:
    """Fits of several models of one measurement, begun one after the other.

    Args:
        context: Config and folder.
        count: Number of models that will be tried, for the display of progress.
    """

    def __init__(self, context: RunContext, count: int) -> None:
        self.context, self.count = context, count
        self.steps = trial_steps(context.config.fit.steps)
        self.fits: list[BegunFit] = []

    def begin(self, likelihood: Likelihood) -> BegunFit:
        """Take the first steps of a fit.

        Raises:
            Stopped: If the run was asked to end early.
        """
        settings, context = self.context.config.fit, self.context
        grid = field_for(settings, likelihood.grid, len(likelihood.scales), likelihood.sign)
        begun = BegunFit(Fit(Objective(likelihood, grid, settings), context.config.seed))
        self.fits.append(begun)
        before = (len(self.fits) - 1) * self.steps
        total = settings.ensemble * settings.steps + max(self.count - 1, len(self.fits) - 1) * self.steps

        def record(step: int, numbers: dict[str, float]) -> None:
            begun.records.append((step, numbers))
            shown = {name: value for name, value in numbers.items() if name != "seconds"}
            context.progress(before + step, total, **shown)

        def should_stop() -> str | None:
            return context.should_stop() or ("trial" if begun.fit.step >= self.steps else None)

        begun.fit.init()
        begun.fit.run(Callbacks(record, should_stop=should_stop))
        if begun.fit.step < self.steps and (reason := context.should_stop()):
            message = f"{reason}: stopped during a trial of {self.steps} steps"
            raise Stopped(Diagnostic("", message, "run again with --resume to begin the trial again"))
        return begun

    def choose(self, chosen: BegunFit) -> BegunFit:
        """Return the fit to go on with, which then knows the steps of the others."""
        chosen.other_steps = sum(begun.fit.step for begun in self.fits if begun is not chosen)
        return chosen
