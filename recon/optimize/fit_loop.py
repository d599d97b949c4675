"""Fit of a field: its steps, validation by what was withheld, checkpoints."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import processes
from ..errors import DataError, Diagnostic
from ..runs import Status
from ..sharding import replicate
from .likelihood import Batch
from .minibatches import batch_views, map_batches
from .objective import Objective
from .program import FitState
from .series_likelihood import SeriesLikelihood
from .settings import FieldSettings
from .steps import VALIDATE_EVERY
from .trainer import STATE, Callbacks, Trainer, state_from_arrays, state_to_arrays

_FIELD, _NUISANCE = "best/field/", "best/extras/"
"""Prefixes of the names of the best parameters' arrays in a checkpoint."""
_MEAN = f"{STATE}mean_"
"""Prefix of the names of the mean parameters' arrays in a checkpoint."""


@dataclass
class BestParameters:
    """Parameters that explain best what was withheld.

    Args:
        value: Metric of what was withheld with these parameters.
        step: Number of steps that led to them.
        parameters: Parameters of the field.
        nuisance: Parameters of the instrument.
        least: Least value of the metric so far, with these parameters or with earlier ones.
    """

    value: float = float("inf")
    step: int = 0
    parameters: dict[str, np.ndarray] = field(default_factory=dict)
    nuisance: dict[str, np.ndarray] = field(default_factory=dict)
    least: float = float("inf")


CALL_SECONDS = 0.4
"""[s] Time of a call of several steps: a request to stop, and the display, wait for its end."""
CALL_BYTES = 32 << 20
"""[byte] Largest size of the batches of a call."""


class Fit(Trainer):
    """Fit of a field to a measurement.

    Args:
        objective: Loss and its step.
        seed: Seed of the field's start and of the order of views.
        member: Number of the fit in an ensemble: changes both.
    """

    def __init__(self, objective: Objective, seed: int, member: int = 0) -> None:
        self.objective, self.seed, self.member = objective, seed, member
        self.trained, self.withheld = objective.likelihood.split()
        self.validation = BestParameters()
        self.start_residual: float | None = None
        self._state: FitState | None = None
        self._began = monotonic()
        self._calls, self._most_steps = 0, 1
        self._seconds_a_step: float | None = None

    @property
    def total_steps(self) -> int:
        """Number of steps in all."""
        return self.objective.settings.steps

    @property
    def checkpoint_interval(self) -> float:
        """[s] Time between two checkpoints."""
        return self.objective.settings.checkpoint_every

    @property
    def is_converged(self) -> bool:
        """Whether what was withheld has got no better for long."""
        return len(self.withheld) > 0 and self.step - self.validation.step >= self.objective.settings.patience

    @property
    def state(self) -> FitState:
        """Variables of the fit after the steps done."""
        if self._state is None:
            self.init()
        return cast(FitState, self._state)

    def init(self) -> None:
        """Start from the experiment's initial guess, if it has one; a fit that was restored stays as it is."""
        if self._state is not None:
            return
        likelihood = self.objective.likelihood
        start = likelihood.initial_guess(self.trained)
        initial = self.objective.init(self.seed + 1000 * self.member, start)
        if start is not None and len(self.withheld):
            values = jnp.asarray(start, jnp.float32)
            losses = self._losses_of(values, initial.nuisance, self.withheld, withheld=True)
            self.start_residual = likelihood.metric(losses)
        self._state = replicate(initial)

    def run(self, callbacks: Callbacks) -> Status:
        """Take the steps that are left, or until what was withheld gets no better, or until asked to stop."""
        self._began = monotonic()
        return super().run(callbacks)

    def prepare(self) -> bool:
        """Validate the start, which may be the best that there is."""
        if self.step == 0 and len(self.withheld):
            self.validate()
        return True

    def advance(self) -> list[tuple[int, dict[str, float]]]:
        """Take a few steps; returns the loss of each, and the metric of what was withheld when it is due.

        The steps are one call of the device, which takes about `CALL_SECONDS`: none waits for the loss of the one
        before. The numbers do not depend on how many steps a call takes.
        """
        likelihood, first = self.objective.likelihood, self.step
        count = int(processes.current().share_value(self._steps_in_call()))
        own = 1 if self._has_one_batch else count  # All steps have the same views, or each has views of its own.
        batches = [likelihood.batch(self.views_of(first + i)) for i in range(own)]
        self._most_steps = VALIDATE_EVERY if self._has_one_batch else self._capacity(batches[0])
        began = monotonic()
        stacked = _stack(batches, 1 if self._has_one_batch else self._most_steps)
        schedule, expected = self.objective.schedule, self.objective.expected
        state, losses = self.objective.compiled.advance_many(self.state, stacked, count, schedule, expected)
        records = [(first + 1 + i, {"loss": float(loss)}) for i, loss in enumerate(np.asarray(losses)[:count])]
        self._state = state  # Now: of several processes, one may have ended, and the state before is valid.
        self._seconds_a_step = (monotonic() - began) / count if self._calls else None  # The first one compiles.
        self._calls += 1
        for self.step, metrics in records:
            if not np.isfinite(metrics["loss"]):
                raise DataError(_diverged(self.step, self.objective.settings))
            metrics["seconds"] = monotonic() - self._began
        if len(self.withheld) and (self.step % VALIDATE_EVERY == 0 or self.step == self.total_steps):
            records[-1][1]["withheld"] = self.validate()
        return records

    def _steps_in_call(self) -> int:
        """Number of steps of the next call, which ends where a validation is due."""
        due = min(VALIDATE_EVERY - self.step % VALIDATE_EVERY, self.total_steps - self.step)
        if self._seconds_a_step is None:
            return 1
        return max(1, min(due, self._most_steps, int(CALL_SECONDS / max(self._seconds_a_step, 1e-6))))

    def _capacity(self, batch: Batch) -> int:
        """Number of steps that the arrays of a call have room for, the same in all calls of fits of any length."""
        size: int = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(batch))
        return max(1, min(VALIDATE_EVERY, CALL_BYTES // max(size, 1)))

    @property
    def _has_one_batch(self) -> bool:
        likelihood = self.objective.likelihood
        return likelihood.has_one_batch if isinstance(likelihood, SeriesLikelihood) else len(self.trained) == 1

    def views_of(self, step: int) -> Int[np.ndarray, " batch"]:
        """Views of a step."""
        likelihood, seed = self.objective.likelihood, self.seed + 1000 * self.member
        if isinstance(likelihood, SeriesLikelihood):
            return likelihood.step_views(step, seed)
        return batch_views(step, self.trained, likelihood.batch_size, seed)

    def validate(self) -> float:
        """Compute the metric of what was withheld; keep the parameters if it is the least or near (``fit.slack``)."""
        losses = self.losses(self.withheld, self.state.mean_field, self.state.mean_nuisance, withheld=True)
        value = self.objective.likelihood.metric(losses)
        least = self.validation.least
        if value < (1 + self.objective.settings.slack) * least:
            self.validation = BestParameters(value, self.step, *self._parameters(), min(value, least))
        return value

    def losses(
        self,
        views: Int[np.ndarray, " view"],
        parameters: dict[str, Any],
        nuisance: dict[str, Any],
        *,
        withheld: bool = False,
    ) -> Float[np.ndarray, " view"]:
        """Compute the loss of each of some views, in the first of several processes, for all of them."""

        def compute() -> list[float]:
            parts = (_of_this_process(parameters), _of_this_process(nuisance))
            values = self.objective.compiled.values(parts[0])
            losses: list[float] = self._losses_of(values, parts[1], views, withheld=withheld).tolist()
            return losses

        return np.array(processes.current().share_or_compute(compute))

    def _losses_of(
        self, values: Array, nuisance: dict[str, Any], views: Int[np.ndarray, " view"], *, withheld: bool
    ) -> Float[np.ndarray, " view"]:
        likelihood = self.objective.likelihood
        compute = self.objective.compiled.losses

        def losses_of_batch(batch: Int[np.ndarray, " batch"]) -> Array:
            return compute(values, nuisance, likelihood.batch(batch, withheld=withheld))

        if isinstance(likelihood, SeriesLikelihood):
            return likelihood.map_batches(losses_of_batch, views)
        return map_batches(losses_of_batch, views, min(likelihood.batch_size, len(self.trained)))

    @property
    def best(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Mean parameters of field and instrument: the best for what was withheld, or the last if nothing was."""
        if self.validation.parameters:
            return self.validation.parameters, self.validation.nuisance
        return self._parameters()

    def _parameters(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Copy the mean parameters of field and instrument after the steps done."""
        both = (self.state.mean_field, self.state.mean_nuisance)
        field, nuisance = ({name: np.array(value) for name, value in part.items()} for part in both)
        return field, nuisance

    def checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Collect the arrays and numbers from which the fit can be resumed."""
        arrays = state_to_arrays(self.state)
        arrays |= {_FIELD + name: value for name, value in self.validation.parameters.items()}
        arrays |= {_NUISANCE + name: value for name, value in self.validation.nuisance.items()}
        value, least = self.validation.value, self.validation.least
        numbers = {name: number if np.isfinite(value) else None for name, number in (("best", value), ("least", least))}
        metadata = numbers | {"best_step": self.validation.step, "member": self.member}
        return arrays, metadata | {"start_residual": self.start_residual}

    def restore(self, step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        """Resume from what `checkpoint` collected after a number of steps.

        Raises:
            DataError: If the arrays are not those of this fit.
        """
        template = self.objective.init(self.seed, None)
        self._state = replicate(state_from_arrays(template, _complete_former_state(template, arrays)))

        def under(prefix: str) -> dict[str, np.ndarray]:
            return {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)}

        value, least = (float("inf") if metadata[name] is None else float(metadata[name]) for name in ("best", "least"))
        self.validation = BestParameters(value, metadata["best_step"], under(_FIELD), under(_NUISANCE), least)
        self.start_residual, self.step = metadata["start_residual"], step


def _complete_former_state(template: FitState, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Complete the state's arrays of a checkpoint of an earlier version, which held no means; name those numbered.

    Before 0.2 the arrays of the state were numbered: ``state/0003``.
    """
    names = [name for name in state_to_arrays(template) if not name.startswith(_MEAN)]
    former = [f"{STATE}{i:04d}" for i in range(len(names))]
    if {name for name in arrays if name.startswith(STATE)} == set(former):
        arrays = arrays | {name: arrays[number] for name, number in zip(names, former, strict=True)}
        arrays = {name: array for name, array in arrays.items() if name not in former}
    latest = {
        _MEAN + name.removeprefix(STATE): array
        for name, array in arrays.items()
        if name.startswith((f"{STATE}field/", f"{STATE}nuisance/"))
    }
    return latest | arrays


def _of_this_process(arrays: dict[str, Any]) -> dict[str, Any]:
    """Take arrays that all processes have whole as arrays of this one."""
    return arrays if jax.process_count() == 1 else {name: np.asarray(array) for name, array in arrays.items()}


def _diverged(step: int, settings: FieldSettings) -> Diagnostic:
    return Diagnostic(
        "fit",
        f"the loss is no number after step {step}",
        f"lower fit.learning_rate ({settings.learning_rate:g}); if that does not help, look for wild values in the "
        "images",
    )


def _stack(batches: list[Batch], count: int) -> Batch:
    """Stack batches along a first axis of a given length; what is beyond the last of them is zero."""

    def stack(*leaves: Any) -> Any:
        if count == 1:
            return jnp.asarray(leaves[0])[None]
        first = np.asarray(leaves[0])
        arrays = np.zeros((count, *first.shape), first.dtype)
        for array, leaf in zip(arrays, leaves, strict=False):
            array[...] = leaf
        return arrays

    stacked: Batch = jax.tree.map(stack, *batches)
    return stacked
