"""Fit of a neural field to one measurement: members of an ensemble, checkpoints, model, volume and numbers."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import processes
from ..errors import Diagnostic, Stopped
from ..fields.base import Field
from ..fields.build import field_for
from ..io.model_file import write_model
from ..metrics import metric_named
from ..model import Model
from ..runs.checkpoint import Checkpoint
from ..runs.context import Gate, RunContext, RunOutcome, Status
from ..version import __version__
from ..volume import Volume
from .fit_loop import Fit
from .likelihood import Likelihood, MetricNames
from .objective import Objective
from .trainer import Callbacks
from .trial import BegunFit

_log = logging.getLogger(__name__)

FITTED_VIEWS = 12
"""Least number of fitted views that their loss is computed from."""

CompareWithTruth = Callable[[Model, Volume | None], Mapping[str, float]]


def fit_field(
    likelihood: Likelihood, context: RunContext, compare_with_truth: CompareWithTruth, begun: BegunFit | None = None
) -> RunOutcome:
    """Fit a neural field, and write the model, the volume and the predictions.

    Args:
        likelihood: Likelihood of the measurement.
        context: Config and folder.
        compare_with_truth: Accuracy of a model against the truth of the acquisition; empty where there is none.
        begun: First member, after the steps of a trial; None to begin with the first step.

    Raises:
        Stopped: If it was asked to end early.
    """
    config, folder = context.config, context.folder
    field = field_for(config.fit, likelihood.grid, len(likelihood.scales), likelihood.sign)
    _log.info("%s on %s samples", field.architecture["type"], likelihood.grid.shape)
    fits, status = _Ensemble(likelihood, field, context, begun).fit()
    numbers = _numbers(likelihood, fits)
    processes.current().finish_sharing()
    best = [fit.best for fit in fits]
    provenance = dict(context.provenance) | {"unflat": __version__, "jax": jax.__version__, "seed": config.seed}
    model = likelihood.model(field.architecture, [parameters for parameters, _ in best], provenance)
    write_model(model, folder.path / "model.h5")
    parameters, nuisance = best[0]
    values = np.asarray(fits[0].objective.compiled.values(parameters))
    numbers["model_parameters"] = float(model.size)
    numbers["model_bytes"] = float((folder.path / "model.h5").stat().st_size)
    numbers |= likelihood.write(folder.path, model, values, jax.tree.map(jnp.asarray, nuisance), provenance)
    truth = None if context.acquisition is None else context.acquisition.truth
    numbers |= compare_with_truth(model, truth)
    return RunOutcome(numbers, _gate(config.fit.gate, likelihood.metric_names, numbers), status)


@dataclass(frozen=True)
class _Ensemble:
    """Fits of one measurement from different seeds, one after the other.

    Args:
        likelihood: Likelihood of the measurement.
        field: Field that is fitted.
        context: Config and folder.
        begun: First member after the steps of a trial, if there was one.
    """

    likelihood: Likelihood
    field: Field
    context: RunContext
    begun: BegunFit | None = None

    def fit(self) -> tuple[list[Fit], Status]:
        """Fit every member, from the newest checkpoint on."""
        settings = self.context.config.fit
        checkpoint = self.context.folder.latest_checkpoint()
        if checkpoint is not None and "member" not in checkpoint.metadata:  # Of the initial guess, which is done.
            checkpoint = None
        fits: list[Fit] = []
        status = Status.COMPLETE
        for member in range(settings.ensemble):
            if self.begun is not None and member == 0 and checkpoint is None:
                fit = self.begun.fit
            else:
                fit = Fit(Objective(self.likelihood, self.field, settings), self.context.config.seed, member)
            fits.append(fit)
            if checkpoint is not None and _restore(fit, checkpoint):
                continue
            fit.init()
            outcome = self._fit_member(fit, fits)
            if outcome is Status.STOPPED:
                reason = self.context.should_stop() or "asked to stop"
                message = f"{reason}: stopped after step {fit.step}"
                raise Stopped(Diagnostic("", message, "run again with --resume to go on"))
            if outcome is Status.CONVERGED:
                status = outcome
            _log.info("%s", outcome.value)
        return fits, status

    def _fit_member(self, fit: Fit, fits: list[Fit]) -> Status:
        """Fit one member; its checkpoints hold the members before it."""
        settings, folder = self.context.config.fit, self.context.folder
        before = fit.member * settings.steps
        tried = 0 if self.begun is None else self.begun.other_steps
        total = settings.ensemble * settings.steps + tried
        last: dict[str, float] = {}

        def metrics(step: int, numbers: dict[str, float]) -> None:
            folder.append_metrics(before + step, **numbers)
            last.update({name: value for name, value in numbers.items() if name != "seconds"})
            self.context.progress(tried + before + step, total, **last)

        def save_checkpoint(step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
            state, done = dict(arrays), {}
            for other in fits[:-1]:
                saved: list[tuple[int, dict[str, np.ndarray], dict[str, Any]]] = []
                other.save(Callbacks(save_checkpoint=lambda *parts, saved=saved: saved.append(parts)))
                state |= {f"done/{other.member}/{name}": array for name, array in saved[0][1].items()}
                done[str(other.member)] = saved[0][2] | {"step": saved[0][0]}
            attributes = metadata | {"step": step, "done": done, "ended": ended, "of_steps": settings.steps}
            folder.save_checkpoint(before + step, state, attributes)

        ended = False
        if self.begun is not None and fit is self.begun.fit:
            for step, numbers in self.begun.records:
                metrics(step, numbers)
            fit.save(Callbacks(save_checkpoint=save_checkpoint))
        outcome = fit.run(Callbacks(metrics, save_checkpoint, self.context.should_stop))
        if outcome is not Status.STOPPED:
            ended = True
            fit.save(Callbacks(save_checkpoint=save_checkpoint))
        return outcome


def _numbers(likelihood: Likelihood, fits: list[Fit]) -> dict[str, float]:
    """Losses of the first member, and the cost of all."""
    fit, names = fits[0], likelihood.metric_names
    parameters, nuisance = fit.best
    numbers: dict[str, float] = {"steps": float(sum(f.step for f in fits)), "views": float(likelihood.views)}
    shown = fit.trained[:: max(1, len(fit.trained) // FITTED_VIEWS)]
    numbers[names.fitted] = likelihood.metric(fit.losses(shown, parameters, nuisance))
    if len(fit.withheld):
        numbers[names.withheld] = likelihood.metric(fit.losses(fit.withheld, parameters, nuisance, withheld=True))
        if fit.start_residual is not None:
            numbers[names.initial] = fit.start_residual
    return numbers


def _gate(limit: float | None, names: MetricNames, numbers: Mapping[str, float]) -> Gate | None:
    if limit is None:
        return None
    name = names.withheld if names.withheld in numbers else names.fitted
    return Gate(metric_named(name).title.lower(), numbers[name], limit)


def _restore(fit: Fit, checkpoint: Checkpoint) -> bool:
    """Restore a member of an ensemble from a checkpoint.

    Returns:
        Whether the member had ended then. One that had taken all the steps of a shorter run goes on, if there are more
        steps to take now.
    """
    current = int(checkpoint.metadata["member"])
    if fit.member > current:
        return False
    if fit.member == current:
        fit.restore(int(checkpoint.metadata["step"]), checkpoint.arrays, checkpoint.metadata)
        return (
            bool(checkpoint.metadata["ended"]) and int(checkpoint.metadata["of_steps"]) == fit.objective.settings.steps
        )
    done = checkpoint.metadata["done"][str(fit.member)]
    prefix = f"done/{fit.member}/"
    arrays = {name[len(prefix) :]: array for name, array in checkpoint.arrays.items() if name.startswith(prefix)}
    fit.restore(int(done["step"]), arrays, done)
    return True
