"""Training of a network on simulated crystals."""

from ....optimize.simulated_dataset import WorkerPool
from ....optimize.simulated_training import train_on_simulations
from ....optimize.training_run import initial_weights
from ....runs import RunContext, RunOutcome
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
    section, network = settings.train, settings.network
    constants = CrystalDenoiser(network.widths, network.blocks).constants()
    weights = initial_weights(section.network, "crystal", constants)
    dataset = crystal_dataset(folder.common / _DATASET, settings.seed, section.specimens, folder.place)

    def objective(workers: WorkerPool) -> CrystalObjective:
        return CrystalObjective(network, section, settings.seed, dataset, workers, context.should_stop, weights)

    return train_on_simulations(context, "crystal", dataset, objective)
