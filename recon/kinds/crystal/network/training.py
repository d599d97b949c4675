"""A whole training: from a config to a run folder with the network, its log and its numbers."""

import os
import shutil
import time
from collections.abc import Mapping

import jax
import numpy as np

from ..... import __version__
from ....errors import DataError, Fault, Stopped
from ....networks.file import FILE_NAME, Network, read, write
from ....runs import Workplace, peak_memory
from ....training.loop import Training, Watcher
from ....training.settings import TrainSettings
from ..settings import CrystalSettings
from .answer import denoiser_of
from .denoiser import Denoiser
from .pool import SHARD, Pool, filled
from .task import CrystalTask

_STOCK = "crystals"
"""Folder of the simulated crystals within a run's; it goes when the training is done."""


def train(settings: CrystalSettings, work: Workplace) -> dict[str, float]:
    """Train a network on simulated crystals.

    Args:
        settings: The config.
        work: Where everything goes, and who is told.

    Returns:
        The numbers of ``metrics.json``.

    Raises:
        DataError: If the network to go on from cannot be read, or is of another architecture.
        Stopped: If it was asked to end early.
    """
    began, wanted, folder = time.monotonic(), settings.train, work.folder
    denoiser = Denoiser(settings.network.widths, settings.network.blocks)
    weights = first_weights(wanted, denoiser)
    pool = Pool(folder.path / _STOCK, settings.seed, -(-wanted.specimens // SHARD))
    with filled(pool, workers_of(wanted)) as makers:
        task = CrystalTask(denoiser, wanted, settings.seed, pool, makers, work.stop, weights)
        training = Training(task, wanted, settings.seed)
        done, spent = 0, 0.0
        if (state := folder.latest_checkpoint()) is not None:
            training.restore(state)
            done, spent = state.step, float(state.facts["seconds"])

        def told(step: int, numbers: dict[str, float]) -> None:
            folder.metrics(step, **numbers)
            work.progress(step, wanted.steps, **numbers)

        def save(step: int, arrays: dict[str, np.ndarray]) -> None:
            folder.save_checkpoint(step, arrays, {"seconds": spent + time.monotonic() - began})

        work.progress(done, wanted.steps)
        if not training.run(Watcher(told, save, work.stop)):
            step = int(training.state.step)
            raise Stopped(f"{work.stop()}: stopped after {step} steps; run again with --resume to go on")
    judged = training.judged or task.judge(training.state.mean)  # A run that was done already judges again.
    weights = {name: np.asarray(array) for name, array in training.state.mean.items()}
    numbers = judged | {"steps": float(wanted.steps), "examples": float(wanted.steps * wanted.batch)}
    numbers |= {"network_parameters": float(sum(array.size for array in weights.values()))}
    facts = dict(work.provenance) | {
        "unflat": __version__,
        "jax": jax.__version__,
        "seed": settings.seed,
        "numbers": numbers,
    }
    path = folder.path / FILE_NAME
    write(Network("crystal", denoiser.constants(), weights, facts), path)
    shutil.rmtree(folder.path / _STOCK, ignore_errors=True)
    numbers |= {"network_bytes": float(path.stat().st_size), "peak_memory_bytes": float(peak_memory())}
    numbers["seconds"] = spent + time.monotonic() - began
    folder.write_numbers(numbers)
    return numbers


def first_weights(wanted: TrainSettings, denoiser: Denoiser) -> Mapping[str, np.ndarray] | None:
    """Weights of the network to go on from."""
    if wanted.network is None:
        return None
    network = read(wanted.network, "crystal")
    if denoiser_of(network) != denoiser:
        there = ", ".join(f"network.{name}={list(value)}" for name, value in network.constants.items())
        message = f"{wanted.network} is of another architecture than this config's"
        raise DataError(Fault("train.network", message, f"train with {there}"))
    return network.weights


def workers_of(settings: TrainSettings) -> int:
    """Processes that simulate."""
    if settings.workers != "auto":
        return max(1, settings.workers)
    return max(1, len(os.sched_getaffinity(0)) - 2 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) - 2)
