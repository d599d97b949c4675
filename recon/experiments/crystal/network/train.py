"""A whole training: from a config to a run folder with the network, its log and its numbers."""

import os
import shutil

from ....io.network_file import FILE_NAME
from ....optimize.trainer import Trainer
from ....optimize.training_run import TrainingRun, first_weights
from ....runs import RunContext, RunOutcome
from .config import CrystalTrain
from .dataset import SHARD, SimulatedDataset, filled
from .denoiser import CrystalDenoiser
from .objective import CrystalObjective

_STOCK = "crystals"
"""Folder of the simulated crystals within a run's; it goes when the training is done."""


def train(context: RunContext) -> RunOutcome:
    """Train a network on simulated crystals.

    Args:
        context: Config and folder.

    Raises:
        DataError: If the network to go on from cannot be read, or is of another architecture.
        Stopped: If it was asked to end early.
    """
    settings, work = context.config, context
    wanted, folder = settings.train, work.folder
    denoiser = CrystalDenoiser(settings.network.widths, settings.network.blocks)
    weights = first_weights(wanted.network, "crystal", denoiser.constants())
    pool, course = (
        SimulatedDataset(folder.path / _STOCK, settings.seed, -(-wanted.specimens // SHARD)),
        TrainingRun(work, wanted.steps),
    )
    with filled(pool, workers_of(wanted)) as makers:
        task = CrystalObjective(denoiser, wanted, settings.seed, pool, makers, work.should_stop, weights)
        training = Trainer(task, wanted, settings.seed)
        course.run(training, {})
    judged = training.judged or task.judge(training.state.mean)  # A run that was done already judges again.
    numbers = judged | {"steps": float(wanted.steps), "examples": float(wanted.steps * wanted.batch)}
    numbers |= course.write(training, "crystal", denoiser.constants(), numbers, folder.path / FILE_NAME)
    shutil.rmtree(folder.path / _STOCK, ignore_errors=True)
    return RunOutcome(numbers | {"seconds": course.seconds})


def workers_of(settings: CrystalTrain) -> int:
    """Processes that simulate."""
    if settings.workers != "auto":
        return max(1, settings.workers)
    return max(1, len(os.sched_getaffinity(0)) - 2 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) - 2)
