"""The fit's loop: steps, judgement by what was withheld, checkpoints, an early end. It knows no screen and no file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from time import monotonic
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..errors import DataError, Diagnostic
from .likelihood import Batch
from .minibatches import batch_views
from .objective import FitState, Objective
from .settings import FieldSettings

JUDGE_EVERY = 25
"""Steps between two looks at what was withheld."""


class Outcome(Enum):
    """How a fit ended; the value is the sentence for people."""

    COMPLETE = "All steps were taken."
    CONVERGED = "What was withheld stopped getting better."
    STOPPED = "The fit was asked to stop; run again with --resume to go on."


@dataclass
class BestParameters:
    """What was withheld has said so far.

    Args:
        best: Figure of the state that is kept.
        best_step: Its step.
        parameters: Its field.
        nuisance: Its corrections of the instrument.
        least: Least figure yet, of the same state or of one before it.
    """

    best: float = float("inf")
    best_step: int = 0
    parameters: dict[str, np.ndarray] = field(default_factory=dict)
    nuisance: dict[str, np.ndarray] = field(default_factory=dict)
    least: float = float("inf")


@dataclass(frozen=True)
class FitCallbacks:
    """Whom the loop tells, and asks.

    Args:
        metrics: Called with the step and numbers after each step.
        save: Called with the step, arrays and facts when a checkpoint is due.
        stop: Asked before each step; a text means to end, and why.
    """

    metrics: Callable[[int, dict[str, float]], None] = lambda step, numbers: None
    save: Callable[[int, dict[str, np.ndarray], dict[str, Any]], None] = lambda step, arrays, facts: None
    stop: Callable[[], str | None] = lambda: None


@dataclass
class Fit:
    """One fit of a field to a measurement.

    Args:
        objective: The loss and its step.
        seed: Of the field's start and the order of views.
        member: Which of an ensemble this is: changes both.
    """

    objective: Objective
    seed: int
    member: int = 0

    def __post_init__(self) -> None:
        self.trained, self.withheld = self.objective.likelihood.split()
        self.judgement = BestParameters()
        self.start_residual: float | None = None
        self.step = 0
        self._state: FitState | None = None

    @cached_property
    def _advance(self) -> Callable[[FitState, Batch], tuple[FitState, Float[Array, ""]]]:
        return self.objective.step()

    @cached_property
    def _compiled_losses(self) -> Callable[[dict[str, Array], dict[str, Array], Batch], Float[Array, " view"]]:
        def losses(parameters: dict[str, Array], nuisance: dict[str, Array], batch: Batch) -> Float[Array, " view"]:
            return self.objective.likelihood.losses(self.objective.values(parameters), nuisance, batch)

        return jax.jit(losses)

    @property
    def state(self) -> FitState:
        """The state now."""
        if self._state is None:
            self.begin()
        return cast(FitState, self._state)

    def begin(self) -> None:
        """Start from the experiment's first answer, if it has one."""
        problem = self.objective.likelihood
        start = problem.initial_guess(self.trained)
        self._state = self.objective.init(self.seed + 1000 * self.member, start)
        if start is not None and len(self.withheld):
            found = jax.jit(problem.losses)(
                jnp.asarray(start, jnp.float32), self._state.nuisance, problem.batch(self.withheld, withheld=True)
            )
            self.start_residual = problem.metric(np.asarray(found))

    def run(self, watcher: FitCallbacks) -> Outcome:
        """Take all steps that are left, or until what was withheld gets no better, or until asked to stop."""
        settings = self.objective.settings
        began = saved = monotonic()
        while self.step < settings.steps:
            if watcher.stop():
                self.save(watcher)
                return Outcome.STOPPED
            if self.step == 0 and len(self.withheld):
                self.judge()  # The start may be the best that there is.
            batch = self.objective.likelihood.batch(self.views_now())
            self._state, loss = self._advance(self.state, batch)
            self.step += 1
            numbers = {"loss": float(loss)}
            if not np.isfinite(numbers["loss"]):
                raise DataError(_diverged(self.step, settings))
            if len(self.withheld) and (self.step % JUDGE_EVERY == 0 or self.step == settings.steps):
                numbers["withheld"] = self.judge()
            numbers["seconds"] = monotonic() - began
            watcher.metrics(self.step, numbers)
            if self.step - self.judgement.best_step >= settings.patience and len(self.withheld):
                return Outcome.CONVERGED
            if monotonic() - saved > settings.checkpoint_every:
                self.save(watcher)
                saved = monotonic()
        return Outcome.COMPLETE

    def views_now(self) -> Int[np.ndarray, " batch"]:
        """Views of the step to come."""
        return batch_views(
            self.step, self.trained, self.objective.likelihood.batch_size, self.seed + 1000 * self.member
        )

    def judge(self) -> float:
        """Figure of what was withheld. Keeps the parameters if it is the best yet, or by ``fit.slack`` no worse."""
        found = self.losses(self.withheld, self.state.field, self.state.nuisance, withheld=True)
        residual = self.objective.likelihood.metric(found)
        least = self.judgement.least
        if residual < (1 + self.objective.settings.slack) * least:
            self.judgement = BestParameters(
                residual,
                self.step,
                {name: np.array(value) for name, value in self.state.field.items()},
                {name: np.array(value) for name, value in self.state.nuisance.items()},
                min(residual, least),
            )
        return residual

    def losses(
        self,
        views: Int[np.ndarray, " view"],
        parameters: dict[str, Any],
        nuisance: dict[str, Any],
        *,
        withheld: bool = False,
    ) -> Float[np.ndarray, " view"]:
        """Misfit of each of some views, in batches of one size, so that one program serves all."""
        size = min(self.objective.likelihood.batch_size, len(self.trained))
        found: list[float] = []
        for first in range(0, len(views), size):
            part = views[first : first + size]
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part))])
            batch = self.objective.likelihood.batch(filled, withheld=withheld)
            found += np.asarray(self._compiled_losses(parameters, nuisance, batch))[: len(part)].tolist()
        return np.array(found)

    @property
    def answer(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Parameters of field and instrument: the best for what was withheld, or the last where nothing was."""
        if self.judgement.parameters:
            return self.judgement.parameters, self.judgement.nuisance
        return (
            {name: np.array(value) for name, value in self.state.field.items()},
            {name: np.array(value) for name, value in self.state.nuisance.items()},
        )

    def save(self, watcher: FitCallbacks) -> None:
        """Hand out all that is needed to go on."""
        leaves = jax.tree_util.tree_leaves(self.state)
        arrays = {f"state/{i:04d}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        arrays |= {f"best/field/{name}": value for name, value in self.judgement.parameters.items()}
        arrays |= {f"best/extras/{name}": value for name, value in self.judgement.nuisance.items()}
        best = self.judgement.best if np.isfinite(self.judgement.best) else None
        facts = {"best": best, "best_step": self.judgement.best_step, "member": self.member}
        facts["least"] = self.judgement.least if best is not None else None
        facts["start_residual"] = self.start_residual
        watcher.save(self.step, arrays, facts)

    def restore(self, step: int, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Go on from what `save` handed out."""
        template = self.objective.init(self.seed, None)
        structure = jax.tree_util.tree_structure(template)
        names = sorted(name for name in arrays if name.startswith("state/"))
        self._state = jax.tree_util.tree_unflatten(structure, [jnp.asarray(arrays[name]) for name in names])

        def under(prefix: str) -> dict[str, np.ndarray]:
            return {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)}

        best = float(facts["best"]) if facts["best"] is not None else float("inf")
        self.start_residual = facts["start_residual"]
        least = float(facts["least"]) if facts["least"] is not None else float("inf")
        self.judgement = BestParameters(best, facts["best_step"], under("best/field/"), under("best/extras/"), least)
        self.step = step


def _diverged(step: int, settings: FieldSettings) -> Diagnostic:
    return Diagnostic(
        "fit",
        f"the loss is no number after step {step}",
        f"lower fit.learning_rate ({settings.learning_rate:g}); if that does not help, look for wild values in the "
        "images",
    )
