"""Loop of a fit or a training: steps, progress, checkpoints, an early stop. It knows no screen and no file.

The state of an optimiser is saved and restored by the names of its arrays, never by their order.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from .. import processes
from ..errors import DataError, Diagnostic, Interrupted, Stopped
from ..runs.context import Status, never_stop

NEWS = 10.0
"""[s] Time that the news of the end of another process may come after the failure of a computation with it."""
STATE = "state/"
"""Prefix of the names of a state's arrays in a checkpoint."""

S = TypeVar("S")


@dataclass(frozen=True)
class Callbacks:
    """Callbacks of the loop.

    Args:
        progress: Called with the number of steps done and their metrics.
        save_checkpoint: Called with the number of steps done, arrays and metadata when a checkpoint is due.
        should_stop: Called before each step; returns the reason to stop, or None.
        note_step: Called with the number of steps done where there are no metrics.
        stop_reason: Like `should_stop`, but without asking other processes; called within work that one does for all.
    """

    progress: Callable[[int, dict[str, float]], None] = lambda step, metrics: None
    save_checkpoint: Callable[[int, dict[str, np.ndarray], dict[str, Any]], None] = lambda step, arrays, metadata: None
    should_stop: Callable[[], str | None] = never_stop
    note_step: Callable[[int], None] = lambda step: None
    stop_reason: Callable[[], str | None] = never_stop


class Trainer(ABC):
    """Optimiser that takes one step after the other until it is done, has converged, or is to stop."""

    step: int = 0
    """Number of steps done."""

    @property
    @abstractmethod
    def total_steps(self) -> int:
        """Number of steps in all."""

    @property
    @abstractmethod
    def checkpoint_interval(self) -> float:
        """[s] Time between two checkpoints."""

    @property
    def is_converged(self) -> bool:
        """Whether further steps are of no use."""
        return False

    def prepare(self) -> bool:
        """Get ready for the next step; False if that was given up because of a request to stop."""
        return True

    @abstractmethod
    def advance(self) -> list[tuple[int, dict[str, float]]]:
        """Take one step, or a few; returns the metrics to report, which may be none, with the step that each is of."""

    @abstractmethod
    def checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Collect the arrays and metadata from which `step` and everything else can be restored."""

    def run(self, callbacks: Callbacks) -> Status:
        """Take the steps that are left."""
        saved = monotonic()
        while self.step < self.total_steps:
            if callbacks.should_stop():
                self.save(callbacks)
                return Status.STOPPED
            try:
                if not self.prepare():
                    self.save(callbacks)
                    return Status.STOPPED
                records = self.advance()
            except (jax.errors.JaxRuntimeError, Stopped, Interrupted) as error:
                is_of_jax = isinstance(error, jax.errors.JaxRuntimeError)
                loss = processes.current().wait_for_loss(NEWS if is_of_jax else 0)
                if loss is None or not loss.is_stop:
                    raise
                self.save(callbacks)  # The state is whole: it is replaced by that of a step that all have taken.
                return Status.STOPPED
            for step, metrics in records:
                callbacks.progress(step, metrics)
            if not records:
                callbacks.note_step(self.step)
            if self.is_converged:
                return Status.CONVERGED
            if monotonic() - saved > self.checkpoint_interval:
                self.save(callbacks)
                saved = monotonic()
        return Status.COMPLETE

    def save(self, callbacks: Callbacks) -> None:
        """Hand a checkpoint to the callback."""
        callbacks.save_checkpoint(self.step, *self.checkpoint())


def state_to_arrays(state: Any) -> dict[str, np.ndarray]:
    """Name the arrays of a state by their paths in it, as in ``state/optimiser/0/mu/grid_1``."""
    return {_name(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)}


def state_from_arrays(template: S, arrays: Mapping[str, np.ndarray]) -> S:
    """Restore a state from `state_to_arrays`.

    Args:
        template: State of the same structure.
        arrays: Arrays of a checkpoint; those without the prefix of a state are ignored.

    Raises:
        DataError: If names or shapes are not those of the template.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    expected = {_name(path): np.shape(leaf) for path, leaf in leaves}
    shapes = {name: np.shape(array) for name, array in arrays.items() if name.startswith(STATE)}
    if shapes != expected:
        raise DataError(_mismatch(shapes, expected))
    state: S = jax.tree_util.tree_unflatten(structure, [jnp.asarray(arrays[name]) for name in expected])
    return state


def _name(path: tuple[Any, ...]) -> str:
    return STATE + jax.tree_util.keystr(path, simple=True, separator="/")


def _mismatch(shapes: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> Diagnostic:
    """Say which arrays of a checkpoint are missing, superfluous or of another shape."""
    wrong = sorted(name for name in shapes.keys() | expected.keys() if shapes.get(name) != expected.get(name))
    here, there = (sizes.get(wrong[0]) for sizes in (expected, shapes))
    message = f"is of another version of the code or of another config: {wrong[0]} is {_shape(there)} in it, and "
    message += f"{_shape(here)} here"
    if len(wrong) > 1:
        message += f"; {len(wrong) - 1} more differ"
    return Diagnostic("the newest checkpoint", message, "start anew with --force, or use the version that wrote it")


def _shape(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return "missing"
    return "x".join(map(str, shape)) if shape else "a number"
