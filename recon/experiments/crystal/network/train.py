"""Training of a network: from a config to a run folder with the network, its log and its numbers."""

import shutil

from .... import processes
from ....devices import usable_cores
from ....io.network_file import FILE_NAME
from ....optimize.network_trainer import NetworkTrainer
from ....optimize.simulated_dataset import simulate_in_background
from ....optimize.training_run import TrainingRun, initial_weights
from ....runs import RunContext, RunOutcome
from .config import CrystalTrain
from .dataset import crystal_dataset
from .denoiser import CrystalDenoiser
from .objective import CrystalObjective

_DATASET = "crystals"
"""Folder of the simulated crystals within a run's; it is removed when the training is done."""


def train(context: RunContext) -> RunOutcome:
    """Train a network on simulated crystals.

    Args:
        context: Config and folder.

    Raises:
        DataError: If the network to go on from cannot be read, or is of another architecture.
        Stopped: If the training was asked to end early.
    """
    settings, folder = context.config, context.folder
    section = settings.train
    constants = CrystalDenoiser(settings.network.widths, settings.network.blocks).constants()
    weights = initial_weights(section.network, "crystal", constants)
    dataset = crystal_dataset(folder.common / _DATASET, settings.seed, section.specimens, folder.place)
    run = TrainingRun(context, section.steps)
    with simulate_in_background(dataset, worker_count(section)) as workers:
        objective = CrystalObjective(
            settings.network, section, settings.seed, dataset, workers, context.should_stop, weights
        )
        trainer = NetworkTrainer(objective, section, settings.seed)
        run.run(trainer, {})
    processes.current().gather(None)  # No other process works in the folder of the crystals any more.
    processes.current().finish_sharing()
    # A run that was done already is validated again.
    validation = trainer.validation or objective.validate(trainer.mean_network)
    numbers = validation | {"steps": float(section.steps), "examples": float(section.steps * section.batch)}
    numbers |= run.write(trainer, "crystal", numbers, folder.path / FILE_NAME)
    shutil.rmtree(dataset.folder, ignore_errors=True)
    return RunOutcome(numbers | {"seconds": run.seconds})


def worker_count(settings: CrystalTrain) -> int:
    """Number of processes that simulate."""
    if settings.workers != "auto":
        return max(1, settings.workers)
    return max(1, usable_cores() - 2)
