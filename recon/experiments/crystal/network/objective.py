"""Objective of the crystal's network: densities and moduli of simulated crystals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....networks.weights import load_weights
from ....optimize.network_trainer import Batch, Metrics
from ....optimize.simulated_dataset import SimulatedDataset, WorkerPool
from ....optimize.simulated_training import available_shards
from . import flow
from .augmentation import CrystalExample, make_example
from .config import CrystalNetwork, CrystalTrain
from .dataset import SHARD, draw_crystal, size_of
from .denoiser import CrystalDenoiser, PatternBatch, misfit
from .simulated_data import simulate_crystal

VALIDATION_STEPS = 8
"""Steps of the flow in a validation."""
_VALIDATION_SEED = 1_000_003
_VALIDATION_SIZE = 64


@dataclass
class CrystalObjective:
    """Loss of the crystal's network on simulated crystals, and its validation.

    Args:
        network: Architecture.
        settings: Settings of the training.
        seed: Seed of the crystals and their exposures.
        dataset: Simulated crystals.
        workers: Processes that simulate them.
        should_stop: Called while crystals are waited for; returns the reason to stop, or None.
        weights: Weights to begin with; None draws them.
    """

    network: CrystalNetwork
    settings: CrystalTrain
    seed: int
    dataset: SimulatedDataset
    workers: WorkerPool
    should_stop: Callable[[], str | None]
    weights: Mapping[str, np.ndarray] | None = None
    _validation: tuple[CrystalExample, ...] = field(default=(), init=False)

    def init(self, seed: int) -> CrystalDenoiser:
        """Build the network before the training."""
        denoiser = CrystalDenoiser(self.network.widths, self.network.blocks, seed)
        return denoiser if self.weights is None else load_weights(denoiser, self.weights)

    def available(self, step: int) -> int:
        """Number of shards that a step may draw from: the data set grows as it is used."""
        return available_shards(self.settings, step, SHARD, self.dataset.shards)

    def batch(self, step: int) -> Batch | None:
        """Make the examples of a step, on arrays of one size."""
        rng = np.random.default_rng([self.seed, step])
        first = int(rng.integers(self.available(step)))
        shards = [i for i in range(self.available(step)) if size_of(i) == size_of(first)]
        examples = []
        for _ in range(self.settings.batch):
            shard = int(rng.choice(shards))
            if not self.dataset.wait_for(shard, self.should_stop, self.workers):
                return None
            examples.append(make_example(rng, draw_crystal(self.dataset, rng, shard)))
        return stack(examples)

    def loss(self, network: CrystalDenoiser, batch: Any, key: Array) -> tuple[Float[Array, ""], Metrics]:
        """Compute the loss of a batch (`flow.loss`)."""
        *pattern, density = batch
        return flow.loss(network, PatternBatch(*pattern), density, key, jnp.dtype(self.settings.precision))

    def validate(self, network: CrystalDenoiser, should_stop: Callable[[], str | None]) -> dict[str, float] | None:
        """Draw one density for each held-out crystal: chi_rms, and the correlation with the truth or its twin.

        None if a stop was requested meanwhile.
        """
        chi, correlations = [], []
        if not self._simulate_held_out(should_stop):
            return None
        for first in range(0, self.settings.trials, self.settings.batch):
            if should_stop():
                return None
            batch = stack(self._validation[first : first + self.settings.batch])
            pattern, truth = PatternBatch(*map(jnp.asarray, batch[:-1])), batch[-1]
            start = flow.noise(jax.random.key(first), len(truth))
            drawn = flow.draw(network, pattern, start, VALIDATION_STEPS)
            chi += list(np.sqrt(np.asarray(misfit(drawn, pattern))))
            correlations += [_correlation(one, known) for one, known in zip(np.asarray(drawn), truth, strict=True)]
        return {"held_out_chi": float(np.median(chi)), "held_out_correlation": float(np.median(correlations))}

    def _simulate_held_out(self, should_stop: Callable[[], str | None]) -> bool:
        """Make examples of crystals that no training sees, once; False if a stop was requested meanwhile."""
        if self._validation:
            return True
        rng, examples = np.random.default_rng(_VALIDATION_SEED), list[CrystalExample]()
        for i in range(self.settings.trials):
            if should_stop():
                return False
            examples.append(make_example(rng, simulate_crystal(_VALIDATION_SEED, i, _VALIDATION_SIZE)))
        self._validation = tuple(examples)
        return True


def stack(examples: list[CrystalExample] | tuple[CrystalExample, ...]) -> Batch:
    """Stack examples along a new first axis."""
    return tuple(np.stack(arrays) for arrays in zip(*examples, strict=True))


def _correlation(density: np.ndarray, truth: np.ndarray) -> float:
    """Modulus of the complex correlation with the truth or its twin, whichever is larger; both stand in the middle."""
    norm = np.linalg.norm(density) * np.linalg.norm(truth)
    twin = np.conj(np.roll(truth[::-1, ::-1, ::-1], (1, 1, 1), axis=(0, 1, 2)))
    return float(max(abs(np.vdot(truth, density)), abs(np.vdot(twin, density))) / max(norm, 1e-30))
