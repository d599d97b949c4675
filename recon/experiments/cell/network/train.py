"""Training of a network: from a config to a run folder with the network, its log and its numbers."""

import shutil
from typing import get_args

from .... import processes
from ....devices import usable_cores
from ....io.network_file import FILE_NAME
from ....optimize.network_trainer import NetworkTrainer
from ....optimize.simulated_dataset import simulate_in_background
from ....optimize.training_run import TrainingRun, initial_weights
from ....runs import RunContext, RunOutcome
from ..config_simulation import Sort
from .config import CellTrain
from .dataset import SHARD, cell_dataset
from .denoiser import CellDenoiser
from .objective import CellObjective

_DATASET = "specimens"
"""Folder of the simulated specimens within a run's; it is removed when the training is done."""


def train(context: RunContext) -> RunOutcome:
    """Train a network on simulated specimens.

    Args:
        context: Config and folder.

    Raises:
        DataError: If the network to go on from cannot be read, or is of another architecture.
        Stopped: If the training was asked to end early.
    """
    settings, folder = context.config, context.folder
    section = settings.train
    constants = CellDenoiser(settings.network.widths, settings.network.blocks).constants()
    weights = initial_weights(section.network, "cell", constants)
    shards = -(-section.specimens // SHARD)
    dataset = cell_dataset(folder.common / _DATASET, settings.seed, section, shards, folder.place)
    run = TrainingRun(context, section.steps)
    workers = section.workers if section.workers != "auto" else usable_cores() - 2
    with simulate_in_background(dataset, max(1, workers)) as pool:
        objective = CellObjective(settings.network, section, settings.seed, dataset, pool, context.should_stop, weights)
        trainer = NetworkTrainer(objective, section, settings.seed)
        run.run(trainer, {})
    processes.current().gather(None)  # No other process works in the folder of the specimens any more.
    processes.current().finish_sharing()
    # A run that was done already is validated again.
    validation = trainer.validation or objective.validate(trainer.mean_network)
    numbers = validation | {"steps": float(section.steps), "examples": float(section.steps * section.batch)}
    numbers |= run.write(trainer, "cell", numbers, folder.path / FILE_NAME, trained_on=describe(section))
    shutil.rmtree(dataset.folder, ignore_errors=True)
    return RunOutcome(numbers | {"seconds": run.seconds})


def describe(settings: CellTrain) -> str:
    """Describe the specimens of a training in one line."""
    sorts = [sort for sort in get_args(Sort) if sort not in settings.left_out]
    return f"simulated specimens only ({', '.join(sorts)}); no measured one"
