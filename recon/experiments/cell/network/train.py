"""Training of a network on simulated specimens."""

from typing import get_args

from ....optimize.simulated_dataset import WorkerPool
from ....optimize.simulated_training import train_on_simulations
from ....optimize.training_run import initial_weights
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
    section, network = settings.train, settings.network
    constants = CellDenoiser(network.widths, network.blocks).constants()
    weights = initial_weights(section.network, "cell", constants)
    shards = -(-section.specimens // SHARD)
    dataset = cell_dataset(folder.common / _DATASET, settings.seed, section, shards, folder.place)

    def objective(workers: WorkerPool) -> CellObjective:
        return CellObjective(network, section, settings.seed, dataset, workers, context.should_stop, weights)

    return train_on_simulations(context, "cell", dataset, objective, describe(section))


def describe(settings: CellTrain) -> str:
    """Describe the specimens of a training in one line."""
    sorts = [sort for sort in get_args(Sort) if sort not in settings.left_out]
    return f"simulated specimens only ({', '.join(sorts)}); no measured one"
