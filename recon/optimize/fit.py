"""A whole fit: from settings and an acquisition to a run folder with model, volume, predictions and numbers."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..acquisition import Acquisition
from ..errors import ConfigError, DataError, Diagnostic, QualityError, Stopped
from ..experiments.base import Experiment
from ..fields.base import Field
from ..fields.build import field_for
from ..io.model_file import write_model
from ..metrics import metric_named
from ..model import Model
from ..runs import Checkpoint, RunContext, peak_memory
from ..version import __version__
from .fit_loop import Fit, FitCallbacks, Outcome
from .likelihood import Likelihood, MetricNames
from .objective import Objective

_log = logging.getLogger(__name__)

SHOWN = 12
"""Views, at least, that the misfit of what was fitted is taken from."""


@dataclass(frozen=True)
class Reconstruction:
    """A fit of one measurement into one run folder.

    Args:
        kind: What was measured.
        settings: The config.
        acquisition: The measurement.
        work: Where everything goes, and who is told.
    """

    kind: Experiment
    settings: Any
    acquisition: Acquisition
    work: RunContext

    def run(self) -> dict[str, float]:
        """Fit, and write what came of it.

        Returns:
            The numbers of ``metrics.json``.

        Raises:
            ConfigError: If no field can be fitted to this kind.
            Stopped: If it was asked to end early.
            QualityError: If the result, which is kept, is below the gate.
        """
        began = time.monotonic()
        if self.kind.problem is None:
            raise ConfigError(f"kind: no neural field is fitted to a {self.kind.name} yet")
        problem = self.kind.problem(self.settings, self.acquisition, self.work)
        field = field_for(self.settings.fit, problem.grid, len(problem.scales), problem.sign)
        _log.info("%s on %s samples", field.architecture["type"], problem.grid.shape)
        fits = self._fit_all(problem, field)
        answers = [fit.answer for fit in fits]
        provenance = dict(self.work.provenance) | {
            "unflat": __version__,
            "jax": jax.__version__,
            "seed": self.settings.seed,
        }
        model = problem.model(field.architecture, [parameters for parameters, _ in answers], provenance)
        write_model(model, self.work.folder.path / "model.h5")
        parameters, nuisance = answers[0]
        values = np.asarray(jax.jit(fits[0].objective.values)(parameters))
        numbers = self._numbers(problem, fits, model)
        numbers |= problem.write(self.work.folder.path, model, values, jax.tree.map(jnp.asarray, nuisance), provenance)
        numbers |= self._against_truth(model)
        numbers |= {"peak_memory_bytes": float(peak_memory()), "seconds": time.monotonic() - began}
        self.work.folder.write_metrics(numbers)
        self._gate(problem.metric_names, numbers)
        return numbers

    def _fit_all(self, problem: Likelihood, field: Field) -> list[Fit]:
        """Fit every member of the ensemble, going on from the newest checkpoint."""
        settings = self.settings.fit
        found = self.work.folder.latest_checkpoint()
        if found is not None and "member" not in found.metadata:  # It is of the way to the start, which is behind us.
            found = None
        fits: list[Fit] = []
        for member in range(settings.ensemble):
            fit = Fit(Objective(problem, field, settings), self.settings.seed, member)
            fits.append(fit)
            if found is not None and _restored(fit, found):
                continue
            outcome = self._fit_one(fit, fits)
            if outcome is Outcome.STOPPED:
                reason = self.work.stop() or "asked to stop"
                raise Stopped(
                    Diagnostic("", f"{reason}: stopped after step {fit.step}", "run again with --resume to go on")
                )
            _log.info("%s", outcome.value)
        return fits

    def _fit_one(self, fit: Fit, fits: list[Fit]) -> Outcome:
        """Fit one member; its checkpoints carry the members before it."""
        settings = self.settings.fit
        before = fit.member * settings.steps
        total = settings.ensemble * settings.steps
        last: dict[str, float] = {}

        def metrics(step: int, numbers: dict[str, float]) -> None:
            self.work.folder.append_metrics(before + step, **numbers)
            last.update({name: value for name, value in numbers.items() if name != "seconds"})
            self.work.progress(before + step, total, **last)

        def save_state(step: int, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
            whole, done = dict(arrays), {}
            for other in fits[:-1]:
                kept: list[tuple[int, dict[str, np.ndarray], dict[str, Any]]] = []
                other.save(FitCallbacks(save=lambda *state, kept=kept: kept.append(state)))
                whole |= {f"done/{other.member}/{name}": array for name, array in kept[0][1].items()}
                done[str(other.member)] = kept[0][2] | {"step": kept[0][0]}
            state = facts | {"step": step, "done": done, "ended": ended, "of_steps": settings.steps}
            self.work.folder.save_checkpoint(before + step, whole, state)

        ended = False
        outcome = fit.run(FitCallbacks(metrics, save_state, self.work.stop))
        if outcome is not Outcome.STOPPED:
            ended = True
            fit.save(FitCallbacks(save=save_state))
        return outcome

    def _numbers(self, problem: Likelihood, fits: list[Fit], model: Model) -> dict[str, float]:
        """What is known of the fit's quality and cost."""
        fit, names = fits[0], problem.metric_names
        parameters, nuisance = fit.answer
        numbers: dict[str, float] = {"steps": float(sum(f.step for f in fits)), "views": float(problem.views)}
        shown = fit.trained[:: max(1, len(fit.trained) // SHOWN)]
        numbers[names.fitted] = problem.metric(fit.losses(shown, parameters, nuisance))
        if len(fit.withheld):
            numbers[names.withheld] = problem.metric(fit.losses(fit.withheld, parameters, nuisance, withheld=True))
            if fit.start_residual is not None:
                numbers[names.initial] = fit.start_residual
        if self.settings.fit.gate is not None:
            numbers["gate"] = self.settings.fit.gate
        numbers["model_parameters"] = float(model.size)
        numbers["model_bytes"] = float((self.work.folder.path / "model.h5").stat().st_size)
        return numbers

    def _against_truth(self, model: Model) -> dict[str, float]:
        if self.acquisition.truth is None:
            return {}
        try:
            return self.kind.score(model, self.acquisition.truth)
        except DataError as error:  # The fit is none the worse for it.
            _log.warning("not compared with the truth: %s", error)
            return {}

    def _gate(self, names: MetricNames, numbers: Mapping[str, float]) -> None:
        gate = self.settings.fit.gate
        name = names.withheld if names.withheld in numbers else names.fitted
        reached = numbers[name]
        if gate is not None and not reached <= gate:  # Nor does one that is no number pass.
            raise QualityError(
                Diagnostic(
                    "",
                    f"the {metric_named(name).title.lower()} {reached:.3g} is not below the gate of {gate:g}",
                    "the result is kept, and its report tells more",
                )
            )


def _restored(fit: Fit, found: Checkpoint) -> bool:
    """Put a member of an ensemble back to where a checkpoint has it; whether it had ended then.

    One that had taken all the steps of a shorter run goes on, if there are more steps to take now.
    """
    current = int(found.metadata["member"])
    if fit.member > current:
        return False
    if fit.member == current:
        fit.restore(int(found.metadata["step"]), found.arrays, found.metadata)
        return bool(found.metadata["ended"]) and int(found.metadata["of_steps"]) == fit.objective.settings.steps
    facts = found.metadata["done"][str(fit.member)]
    fit.restore(int(facts["step"]), _under(found.arrays, f"done/{fit.member}/"), facts)
    return True


def _under(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
