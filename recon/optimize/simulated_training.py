"""Training of a network on simulated specimens: from an objective to a run folder with network, log and numbers."""

import math
import shutil
from collections.abc import Callable

from .. import processes
from ..devices import usable_cores
from ..errors import Stopped
from ..io.network_file import FILE_NAME
from ..runs import RunContext, RunOutcome
from .network_trainer import NetworkTrainer, TrainingObjective
from .simulated_dataset import SimulatedDataset, WorkerPool, simulate_in_background
from .train_settings import SimulatedTrainSettings
from .training_run import TrainingRun

_LEAST_SHARDS = 4
"""Shards that the first step may draw from."""


def train_on_simulations(
    context: RunContext,
    kind: str,
    dataset: SimulatedDataset,
    objective_of: Callable[[WorkerPool], TrainingObjective],
    trained_on: str = "",
) -> RunOutcome:
    """Train a network while other processes simulate its specimens.

    Args:
        context: Config and folder.
        kind: Kind of experiment.
        dataset: Specimens; their folder is removed when the training is done.
        objective_of: Builds the loss and validation, given the processes that simulate.
        trained_on: Description of the specimens in one line.

    Raises:
        DataError: If a process that simulates failed.
        Stopped: If the training was asked to end early.
    """
    settings, folder = context.config, context.folder
    section: SimulatedTrainSettings = settings.train
    run = TrainingRun(context, section.steps)
    with simulate_in_background(dataset, _worker_count(section)) as workers:
        if processes.current().is_alone:
            _await_first(context, dataset, workers)
        objective = objective_of(workers)
        trainer = NetworkTrainer(objective, section, settings.seed)
        run.run(trainer, {})
    processes.current().gather(None)  # No other process works in the folder of the specimens any more.
    processes.current().finish_sharing()
    numbers = trainer.validation | {"steps": float(section.steps), "examples": float(section.steps * section.batch)}
    numbers |= run.write(trainer, kind, numbers, folder.path / FILE_NAME, trained_on=trained_on)
    shutil.rmtree(dataset.folder, ignore_errors=True)
    return RunOutcome(numbers | {"seconds": run.seconds})


def _await_first(context: RunContext, dataset: SimulatedDataset, workers: WorkerPool) -> None:
    """Wait for the specimens of the first steps; each shard is kept, so that a time limit counts from the first one on.

    Raises:
        DataError: If a process that simulates failed.
        Stopped: If the training was asked to end meanwhile.
    """
    first = min(_LEAST_SHARDS, dataset.shards)
    missing = [shard for shard in range(first) if not dataset.has(shard)]
    made = first - len(missing)
    if missing:
        context.progress(made, first, simulated=float(made))
    for shard in missing:
        if not dataset.wait_for(shard, context.should_stop, workers):
            raise Stopped(f"{context.should_stop()}: stopped before the first step; run again with --resume")
        made += 1
        context.progress(made, first, simulated=float(made))


def available_shards(settings: SimulatedTrainSettings, step: int, shard: int, shards: int) -> int:
    """Number of shards that a step may draw from: the data set grows as it is used.

    Args:
        settings: Settings of the training.
        step: Number of the step, from 0.
        shard: Number of specimens of a shard.
        shards: Number of shards when all are made.
    """
    looks = (step + 1) * settings.batch
    return min(max(math.ceil(looks / (settings.looks * shard)), _LEAST_SHARDS), shards)


def _worker_count(settings: SimulatedTrainSettings) -> int:
    """Number of processes that simulate."""
    return max(1, usable_cores() - 2 if settings.workers == "auto" else settings.workers)
