"""A training as a run: it begins with other weights, goes on from a checkpoint, is told of, and leaves a network."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..errors import DataError, Diagnostic, Stopped
from ..io.network_file import TEACHER, Network, path_before, read, write
from ..runs import RunContext
from ..version import __version__
from .trainer import Trainer, TrainingCallbacks


@dataclass
class TrainingRun:
    """One training after the other in one run folder.

    Args:
        work: Where everything goes, and who is told.
        total: Steps of all trainings.
        before: Steps of those that are done.
        seconds: Spent on all of them so far.
    """

    work: RunContext
    total: int
    before: int = 0
    seconds: float = 0.0

    def run(self, training: Trainer, facts: Mapping[str, Any]) -> None:
        """Take all steps of a training that are left, from its newest checkpoint on if there is one.

        Args:
            training: Which.
            facts: What tells its checkpoints from those of the others.

        Raises:
            Stopped: If it was asked to end early.
        """
        folder, state, began, done = self.work.folder, self.work.folder.latest_checkpoint(), time.monotonic(), 0
        spent = self.seconds
        if state is not None and all(state.metadata.get(name) == value for name, value in facts.items()):
            training.restore(state)
            done, spent = int(training.state.step), float(state.metadata["seconds"])

        def told(step: int, numbers: dict[str, float]) -> None:
            folder.append_metrics(self.before + step, **numbers)
            self.work.progress(self.before + step, self.total, **numbers)

        def save(step: int, arrays: dict[str, np.ndarray]) -> None:
            facts_now = dict(facts) | {"seconds": spent + time.monotonic() - began}
            folder.save_checkpoint(self.before + step, arrays, facts_now)

        self.work.progress(self.before + done, self.total)
        ended = training.run(TrainingCallbacks(told, save, self.work.should_stop))
        self.seconds = spent + time.monotonic() - began
        if not ended:
            step = self.before + int(training.state.step)
            raise Stopped(f"{self.work.should_stop()}: stopped after {step} steps; run again with --resume to go on")

    def write(
        self,
        training: Trainer,
        kind: str,
        constants: Mapping[str, Any],
        numbers: Mapping[str, float],
        path: Path,
        statistics: Mapping[str, np.ndarray] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> dict[str, float]:
        """Write the network that a training came to, what was learned beside it, and facts; gives its size."""
        weights = {name: np.asarray(array) for name, array in training.state.mean.items()}
        known = dict(self.work.provenance) | {
            "unflat": __version__,
            "jax": jax.__version__,
            "seed": training.seed,
            "numbers": dict(numbers),
        }
        write(Network(kind, constants, weights, known | dict(facts or {}), statistics or {}), path)
        size = float(sum(array.size for array in weights.values()))
        return {"network_parameters": size, "network_bytes": float(path.stat().st_size)}


def first_weights(name: str | None, kind: str, constants: Mapping[str, Any]) -> Mapping[str, np.ndarray] | None:
    """Weights of the network to go on from, if one is named.

    Args:
        name: ``train.network``.
        kind: Of the experiment.
        constants: Of the architecture that is trained.

    Raises:
        DataError: If it cannot be read, is of another architecture, or is distilled.
    """
    if name is None:
        return None
    network = read(path_before(name, kind), kind)
    if missing := sorted(set(constants) - set(network.constants)):
        message = f"{name} was written by a former version, which did not tell {', '.join(missing)}"
        raise DataError(Diagnostic("train.network", message, "train it again from nothing (train.network=null)"))
    other = {part: _plain(network.constants[part]) for part in constants}
    if different := {part: value for part, value in other.items() if value != _plain(constants[part])}:
        there = ", ".join(f"network.{part}={value}" for part, value in different.items())
        message = f"{name} is of another architecture than this config's"
        raise DataError(Diagnostic("train.network", message, f"train with {there}"))
    if network.distilled:
        message = f"{name} is distilled to {network.steps} steps, and what it was before is not beside it"
        raise DataError(Diagnostic("train.network", message, f"name the {TEACHER}.h5 of its training"))
    return network.weights


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
