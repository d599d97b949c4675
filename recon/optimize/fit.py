"""Fit of a neural field to one measurement: members of an ensemble, checkpoints, model, volume and numbers."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import jax.numpy as jnp
import numpy as np

from .. import processes
from ..errors import Diagnostic, Stopped
from ..io.model_file import write_model
from ..metrics import metric_named
from ..model import Model
from ..model_series import ModelSeries
from ..runs.checkpoint import Checkpoint
from ..runs.context import Gate, RunContext, RunOutcome, Status
from ..volume import Volume
from .fit_loop import Fit
from .likelihood import MetricNames, Weights
from .model_preview import ModelPreview
from .objective import AnyField, AnyLikelihood, Objective, field_of
from .trainer import Callbacks
from .trial import BegunFit

_log = logging.getLogger(__name__)

FITTED_VIEWS = 12
"""Least number of fitted views that their loss is computed from."""

CompareWithTruth = Callable[[Any, Volume | None], Mapping[str, float]]


@dataclass(frozen=True)
class FitPart:
    """Place of a fit among several fits of one run, which follow each other.

    Args:
        name: Name of the fit, as part of a path, under which its checkpoints are stored; empty for the only fit.
        number: Place in the order, from 0.
        count: Number of fits in all.
        tried: Steps that trials before the first fit took, for the display of progress.
        noun: Name for people of what each fit is of.
    """

    name: str = ""
    number: int = 0
    count: int = 1
    tried: int = 0
    noun: str = "fit"

    def __str__(self) -> str:
        return f" of {self.noun} {self.number + 1} of {self.count}" if self.name else ""


@dataclass(frozen=True)
class FittedField:
    """Result of the fits of a field from different seeds.

    Args:
        architecture: Description of the field.
        members: Weights of each member.
        nuisance: Corrections of the instrument by the first member.
        steps: Steps that all members took.
        initial: Metric of what was withheld at the initial guess of the first member, where there is one.
        status: Reason for which the fits ended.
    """

    architecture: Mapping[str, Any]
    members: list[Weights]
    nuisance: dict[str, np.ndarray]
    steps: int
    initial: float | None
    status: Status


def fit_members(
    likelihood: AnyLikelihood, context: RunContext, begun: BegunFit | None = None, part: FitPart | None = None
) -> FittedField:
    """Fit every member of an ensemble, from the newest checkpoint on, and let go of all but the result.

    Args:
        likelihood: Likelihood of the measurement.
        context: Config and folder.
        begun: First member, after the steps of a trial; None to begin with the first step.
        part: Place among several fits of the run.

    Raises:
        Stopped: If it was asked to end early.
    """
    fits, status = _ensemble(likelihood, context, begun, part or FitPart()).fit()
    best = [fit.best for fit in fits]
    architecture = fits[0].objective.field.architecture
    steps = sum(fit.step for fit in fits)
    return FittedField(architecture, [field for field, _ in best], best[0][1], steps, fits[0].start_residual, status)


def fit_field(
    likelihood: AnyLikelihood, context: RunContext, compare_with_truth: CompareWithTruth, begun: BegunFit | None = None
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
    fits, status = _ensemble(likelihood, context, begun, FitPart()).fit()
    numbers = _numbers(likelihood, fits)
    processes.current().finish_sharing()
    best = [fit.best for fit in fits]
    architecture = fits[0].objective.field.architecture
    model = likelihood.model(architecture, [parameters for parameters, _ in best], provenance_of(context))
    parameters, nuisance = best[0]
    values = np.asarray(fits[0].objective.compiled.values(parameters))
    return finish_fit(likelihood, context, compare_with_truth, FieldResult(model, values, nuisance, numbers, status))


class FieldResult(NamedTuple):
    """Result of a fit that is not written yet.

    Args:
        model: The fitted model.
        values: Values of the first member on the grid.
        nuisance: Corrections of the instrument by the first member.
        numbers: Metrics by name.
        status: Reason for which the fit ended.
    """

    model: Model | ModelSeries
    values: np.ndarray
    nuisance: Mapping[str, np.ndarray]
    numbers: Mapping[str, float]
    status: Status


def provenance_of(context: RunContext) -> dict[str, Any]:
    """Describe the origin of a model: that of the run, with the seed."""
    return dict(context.provenance) | {"seed": context.config.seed}


def finish_fit(
    likelihood: AnyLikelihood, context: RunContext, compare_with_truth: CompareWithTruth, result: FieldResult
) -> RunOutcome:
    """Write the model, the volume and the predictions, and add their numbers."""
    config, folder = context.config, context.folder
    model = result.model
    write_model(model, folder.path / "model.h5")
    folder.remove_preview()
    numbers = dict(result.numbers) | {"model_parameters": float(model.size)}
    numbers["model_bytes"] = float((folder.path / "model.h5").stat().st_size)
    nuisance = {name: jnp.asarray(value) for name, value in result.nuisance.items()}
    numbers |= likelihood.write(folder.path, cast(Any, model), result.values, nuisance, provenance_of(context))
    truth = None if context.acquisition is None else context.acquisition.truth
    numbers |= compare_with_truth(model, truth)
    return RunOutcome(numbers, _gate(config.fit.gate, likelihood.metric_names, numbers), result.status)


def _ensemble(likelihood: AnyLikelihood, context: RunContext, begun: BegunFit | None, part: FitPart) -> "_Ensemble":
    field = field_of(likelihood, context.config.fit)
    if not part.number:
        _log.info("%s on %s samples", field.architecture["type"], likelihood.grid.shape)
    return _Ensemble(likelihood, field, context, begun, part)


@dataclass(frozen=True)
class _Ensemble:
    """Fits of one measurement from different seeds, one after the other.

    Args:
        likelihood: Likelihood of the measurement.
        field: Field that is fitted.
        context: Config and folder.
        begun: First member after the steps of a trial, if there was one.
        part: Place among several fits of the run.
    """

    likelihood: AnyLikelihood
    field: AnyField
    context: RunContext
    begun: BegunFit | None
    part: FitPart

    @property
    def _before(self) -> int:
        """Steps of the fits before this one, if each takes all of them."""
        settings = self.context.config.fit
        return int(self.part.number * settings.ensemble * settings.steps)

    def _latest_checkpoint(self) -> Checkpoint | None:
        """Read the newest checkpoint of this fit, and drop the metrics of the steps after it, which are taken again."""
        folder, settings = self.context.folder, self.context.config.fit
        checkpoint = folder.latest_checkpoint(self.part.name)
        if checkpoint is not None and "member" not in checkpoint.metadata:  # Of the initial guess, which is done.
            checkpoint = None
        if self.part.name and not _has_finished(checkpoint, settings.ensemble, settings.steps):
            taken = 0
            if checkpoint is not None:  # Its own step counts by the number of steps of the run that wrote it.
                taken = int(checkpoint.metadata["member"]) * settings.steps + int(checkpoint.metadata["step"])
            folder.drop_metrics(self._before + taken)
        return checkpoint

    def fit(self) -> tuple[list[Fit], Status]:
        """Fit every member, from the newest checkpoint on."""
        settings = self.context.config.fit
        checkpoint = self._latest_checkpoint()
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
                message = f"{reason}: stopped after step {fit.step}{self.part}"
                raise Stopped(Diagnostic("", message, "run again with --resume to go on"))
            if outcome is Status.CONVERGED:
                status = outcome
            _log.info("%s", outcome.value)
        return fits, status

    def _preview(self, fits: list[Fit]) -> ModelPreview:
        """Make the writer of the model of all members so far."""

        def build() -> Model | ModelSeries:
            weights: list[Weights] = [fit.best[0] for fit in fits]
            return self.likelihood.model(self.field.architecture, weights, provenance_of(self.context))

        return ModelPreview(build, self.context.folder.save_preview)

    def _fit_member(self, fit: Fit, fits: list[Fit]) -> Status:
        """Fit one member; its checkpoints hold the members before it."""
        settings, folder, part = self.context.config.fit, self.context.folder, self.part
        before = self._before + fit.member * settings.steps
        tried = part.tried if self.begun is None else self.begun.other_steps
        total = part.count * settings.ensemble * settings.steps + tried
        last: dict[str, float] = {part.noun: part.number + 1.0} if part.name else {}
        several = part.count * settings.ensemble > 1
        place = {"fit": float(part.number * settings.ensemble + fit.member + 1)} if several else {}

        preview = self._preview(fits)
        # One of several tiles is no model of the specimen; the first process alone writes.
        is_shown = not part.name and processes.current().is_first

        def metrics(step: int, numbers: dict[str, float]) -> None:
            folder.append_metrics(before + step, **numbers, **place)
            if is_shown:
                preview.offer()
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
            folder.save_checkpoint(before + step, state, attributes, part.name)

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


def _has_finished(checkpoint: Checkpoint | None, members: int, steps: int) -> bool:
    """Whether a checkpoint is that of the end of the last member."""
    if checkpoint is None:
        return False
    metadata = checkpoint.metadata
    return bool(metadata["ended"]) and int(metadata["member"]) == members - 1 and int(metadata["of_steps"]) == steps


def _numbers(likelihood: AnyLikelihood, fits: list[Fit]) -> dict[str, float]:
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
