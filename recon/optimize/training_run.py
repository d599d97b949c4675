"""Trainings in a run folder: resumed from a checkpoint, reported, and archived as a network's file."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic, Stopped
from ..io.network_file import SHIPPED, TEACHER, Network, read, teacher_path, write
from ..networks.weights import named_weights, with_self_test
from ..runs import RunContext, Status
from .network_trainer import NetworkTrainer
from .trainer import Callbacks


@dataclass
class TrainingRun:
    """Trainings, one after the other, in one run folder.

    Args:
        context: Folder, provenance and progress callback of the run.
        total: Number of steps of all trainings.
        before: Number of steps of the trainings that are done.
        seconds: [s] Time spent on all of them so far.
    """

    context: RunContext
    total: int
    before: int = 0
    seconds: float = 0.0

    def run(self, trainer: NetworkTrainer, metadata: Mapping[str, Any]) -> None:
        """Take all steps of a training that are left, from its newest checkpoint on if there is one.

        Args:
            trainer: Training.
            metadata: Values that tell the training's checkpoints from those of the others.

        Raises:
            DataError: If the newest checkpoint is not one of this training.
            Stopped: If the training was asked to end early.
        """
        folder, began, spent = self.context.folder, time.monotonic(), self.seconds
        checkpoint = folder.latest_checkpoint()
        if checkpoint is not None and all(checkpoint.metadata.get(name) == value for name, value in metadata.items()):
            trainer.restore(checkpoint)
            spent = float(checkpoint.metadata["seconds"])

        latest: dict[str, float] = {}

        def note_step(step: int) -> None:  # A time limit counts from the first one on.
            self.context.progress(self.before + step, self.total, **latest)

        def progress(step: int, metrics: dict[str, float]) -> None:
            latest.update(metrics)
            folder.append_metrics(self.before + step, **metrics)
            self.context.progress(self.before + step, self.total, **metrics)

        def save_checkpoint(step: int, arrays: dict[str, np.ndarray], of_trainer: dict[str, Any]) -> None:
            seconds = spent + time.monotonic() - began
            folder.save_checkpoint(self.before + step, arrays, of_trainer | dict(metadata) | {"seconds": seconds})

        self.context.progress(self.before + trainer.step, self.total)
        stops = self.context.should_stop, self.context.stop_reason
        outcome = trainer.run(Callbacks(progress, save_checkpoint, stops[0], note_step, stops[1]))
        self.seconds = spent + time.monotonic() - began
        if outcome is Status.STOPPED:
            step = self.before + trainer.step
            raise Stopped(f"{self.context.should_stop()}: stopped after {step} steps; run again with --resume to go on")

    def write(
        self,
        trainer: NetworkTrainer,
        kind: str,
        numbers: Mapping[str, float],
        path: Path,
        statistics: Mapping[str, np.ndarray] | None = None,
        metadata: Mapping[str, Any] | None = None,
        trained_on: str = "",
    ) -> dict[str, float]:
        """Write the network that a training led to.

        Args:
            trainer: Training.
            kind: Kind of experiment.
            numbers: Numbers of the training, for the file's provenance.
            path: File to write.
            statistics: Arrays learned beside the weights.
            metadata: Further entries of the provenance.
            trained_on: Description of the specimens of the training in one line.

        Returns:
            Number of weights (``network_parameters``) and size of the file in bytes (``network_bytes``).
        """
        network = trainer.mean_network
        weights = named_weights(network)
        provenance = dict(self.context.provenance) | {
            "seed": trainer.seed,
            "numbers": dict(numbers),
        }
        provenance |= dict(metadata or {})
        trained = Network(kind, network.constants(), weights, provenance, statistics or {}, trained_on)
        write(with_self_test(trained, type(network)), path)
        size = float(sum(array.size for array in weights.values()))
        return {"network_parameters": size, "network_bytes": float(path.stat().st_size)}


def initial_weights(name: str | None, kind: str, constants: Mapping[str, Any]) -> Mapping[str, np.ndarray] | None:
    """Read the weights that a training starts from, if a network is named.

    Args:
        name: ``train.network``.
        kind: Kind of experiment.
        constants: Constants of the architecture that is trained.

    Raises:
        DataError: If the network cannot be read, is of another architecture, or is distilled.
    """
    if name is None:
        return None
    network = read(teacher_path(name, kind), kind)
    if missing := sorted(set(constants) - set(network.constants)):
        message = f"{name} was written by a former version, which did not save {', '.join(missing)}"
        raise DataError(Diagnostic("train.network", message, "train it again from nothing (train.network=null)"))
    other = {part: _plain(network.constants[part]) for part in constants}
    if different := {part: value for part, value in other.items() if value != _plain(constants[part])}:
        there = ", ".join(f"network.{part}={value}" for part, value in different.items())
        message = f"{name} is of another architecture than this config's"
        raise DataError(Diagnostic("train.network", message, f"train with {there}"))
    if network.distilled:
        message = f"{name} is distilled to {network.steps} steps, and its network before that is not beside it"
        remedy = f"name the {TEACHER}.h5 of its training"
        if name == SHIPPED:
            remedy = f"name benchmarks/networks/{kind}-{TEACHER}.h5 of unflat's source repository"
        raise DataError(Diagnostic("train.network", message, remedy))
    return network.weights


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
