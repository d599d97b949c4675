"""What the crystal's network learns: densities and moduli of simulated crystals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....optimize.task import Batch, Numbers
from . import flow
from .augmentation import Example, example
from .config import CrystalTrain
from .dataset import SHARD, SimulatedDataset, WorkerPool, size_of
from .denoiser import CrystalDenoiser, PatternBatch, misfit
from .simulated_data import specimen

STEPS_OF_TRIAL = 8
_OTHER_SEED = 1_000_003
_TRIAL_SIZE = 64


@dataclass
class CrystalObjective:
    """The task.

    Args:
        denoiser: The network.
        settings: How it is trained.
        seed: Of the crystals and their exposures.
        pool: The stock of crystals.
        makers: Who fills it.
        stop: Asked while the stock is waited for.
        weights: Parameters to begin with; None draws them.
    """

    denoiser: CrystalDenoiser
    settings: CrystalTrain
    seed: int
    pool: SimulatedDataset
    makers: WorkerPool
    stop: Callable[[], str | None]
    weights: Mapping[str, np.ndarray] | None = None
    _trial: tuple[Example, ...] = field(default=(), init=False)

    def initialise(self, seed: int) -> dict[str, np.ndarray]:
        """The parameters to begin with, drawn where none were given."""
        return self.denoiser.initialise(seed) if self.weights is None else dict(self.weights)

    def available(self, step: int) -> int:
        """Shards that a step may draw from: the stock grows as it is used."""
        looks = (step + 1) * self.settings.batch
        return int(np.clip(np.ceil(looks / (self.settings.looks * SHARD)), 4, self.pool.shards))

    def batch(self, step: int) -> Batch | None:
        """Examples of a step, on arrays of one size."""
        rng = np.random.default_rng([self.seed, step])
        first = int(rng.integers(self.available(step)))
        shards = [i for i in range(self.available(step)) if size_of(i) == size_of(first)]
        examples = []
        for _ in range(self.settings.batch):
            shard = int(rng.choice(shards))
            if not self.pool.wait_for(shard, self.stop, self.makers):
                return None
            examples.append(example(rng, self.pool.draw(rng, shard)))
        return stacked(examples)

    def loss(self, parameters: dict[str, Array], batch: Any, key: Array) -> tuple[Float[Array, ""], Numbers]:
        """See `flow.loss`."""
        *pattern, density = batch
        dtype = jnp.dtype(self.settings.precision)
        return flow.loss(self.denoiser, parameters, PatternBatch(*pattern), density, key, dtype)

    def judge(self, parameters: dict[str, Array]) -> dict[str, float]:
        """Draw one density for each held-out crystal: chi_rms, and the correlation with the truth or its twin."""
        chi, same = [], []
        for first in range(0, self.settings.trials, self.settings.batch):
            batch = stacked(self._trials()[first : first + self.settings.batch])
            pattern, truth = PatternBatch(*map(jnp.asarray, batch[:-1])), batch[-1]
            start = flow.noise(jax.random.key(first), len(truth))
            found = flow.draw(self.denoiser, parameters, pattern, start, STEPS_OF_TRIAL)
            chi += list(np.sqrt(np.asarray(misfit(found, pattern))))
            same += [_correlation(one, known) for one, known in zip(np.asarray(found), truth, strict=True)]
        return {"held_out_chi": float(np.median(chi)), "held_out_correlation": float(np.median(same))}

    def _trials(self) -> tuple[Example, ...]:
        if not self._trial:
            rng = np.random.default_rng(_OTHER_SEED)
            self._trial = tuple(
                example(rng, specimen(_OTHER_SEED, i, _TRIAL_SIZE)) for i in range(self.settings.trials)
            )
        return self._trial


def stacked(examples: list[Example] | tuple[Example, ...]) -> Batch:
    """Examples as arrays with a leading axis."""
    return tuple(np.stack(arrays) for arrays in zip(*examples, strict=True))


def _correlation(found: np.ndarray, truth: np.ndarray) -> float:
    """Modulus of the complex correlation with the truth or its twin, whichever is larger; both stand in the middle."""
    norm = np.linalg.norm(found) * np.linalg.norm(truth)
    twin = np.conj(np.roll(truth[::-1, ::-1, ::-1], (1, 1, 1), axis=(0, 1, 2)))
    return float(max(abs(np.vdot(truth, found)), abs(np.vdot(twin, found))) / max(norm, 1e-30))
