"""Objective of the cell's network: true contrasts of simulated specimens, given their linear answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....networks.weights import load_weights
from ....optimize.network_trainer import Batch, Metrics
from ....optimize.simulated_dataset import Shard, SimulatedDataset, WorkerPool
from ....optimize.simulated_training import available_shards
from ..config_simulation import Sort
from . import flow
from .config import CellNetwork, CellTrain
from .dataset import SHARD, depth_of, simulate_shard
from .denoiser import CellDenoiser, Condition
from .inputs import pad

_VALIDATION_SEED = 1_000_003
_VALIDATION_SHARDS = 4
"""Instruments of a validation."""
_LARGEST_FACTOR = 2.0
"""Largest factor, either way, by which the scale of an example is changed: parts of a field are fainter than others."""
_NEGATIVE = 0.1
"""Share of the examples of which most is less dense than the medium."""
_STRENGTH = 5
"""Place, among the numbers of the instrument, of the strength of the specimen (`inputs.instrument_numbers`)."""


class Example(NamedTuple):
    """One specimen: the network's input, and the truth on the same grid."""

    linear: Float[np.ndarray, "z y x"]
    inside: Float[np.ndarray, "z y x"]
    numbers: Float[np.ndarray, " number"]
    truth: Float[np.ndarray, "z y x"]


@dataclass
class CellObjective:
    """Loss of the cell's network on simulated specimens, and its validation.

    Args:
        network: Architecture.
        settings: Settings of the training.
        seed: Seed of the specimens.
        dataset: Simulated specimens.
        workers: Processes that simulate them.
        should_stop: Called while specimens are waited for; returns the reason to stop, or None.
        weights: Weights to begin with; None draws them.
    """

    network: CellNetwork
    settings: CellTrain
    seed: int
    dataset: SimulatedDataset
    workers: WorkerPool
    should_stop: Callable[[], str | None]
    weights: Mapping[str, np.ndarray] | None = None
    _validation: dict[str, list[Shard]] = field(default_factory=dict, init=False)

    def init(self, seed: int) -> CellDenoiser:
        """Build the network before the training."""
        denoiser = CellDenoiser(self.network.widths, self.network.blocks, seed)
        return denoiser if self.weights is None else load_weights(denoiser, self.weights)

    def available(self, step: int) -> int:
        """Number of shards that a step may draw from: the data set grows as it is used."""
        return available_shards(self.settings, step, SHARD, self.dataset.shards)

    def batch(self, step: int) -> Batch | None:
        """Make the examples of a step, on arrays of one depth."""
        rng = np.random.default_rng([self.seed, step])
        depth = depth_of(int(rng.integers(self.available(step))))
        shards = [i for i in range(self.available(step)) if depth_of(i) == depth]
        examples = []
        for _ in range(self.settings.batch):
            shard = int(rng.choice(shards))
            if not self.dataset.wait_for(shard, self.should_stop, self.workers):
                return None
            arrays = self.dataset.arrays(shard)
            example = make_example(arrays, int(rng.integers(len(arrays["truth"]))), depth)
            examples.append(augment(rng, example))
        return stack(examples)

    def loss(self, network: CellDenoiser, batch: Any, key: Array) -> tuple[Float[Array, ""], Metrics]:
        """Compute the loss of a batch (`flow.loss`)."""
        linear, inside, numbers, truth = batch
        dtype = jnp.dtype(self.settings.precision)
        return flow.loss(network, Condition(linear, inside, numbers), truth, key, dtype)

    def validate(self, network: CellDenoiser) -> dict[str, float]:
        """Compare the posterior mean with the linear answer, on specimens that no training sees.

        Returns:
            Median gain of the signal-to-noise ratio over the linear answer [dB], and the ratio itself; of the sorts
            that are left out, the gain alone.
        """
        gains, ratios = self._judge(network, "learned")
        numbers = {"held_out_gain": float(np.median(gains)), "held_out_snr": float(np.median(ratios))}
        if self.settings.left_out:
            numbers["left_out_gain"] = float(np.median(self._judge(network, "left out")[0]))
        return numbers

    def _judge(self, network: CellDenoiser, part: str) -> tuple[list[float], list[float]]:
        gains, ratios = list[float](), list[float]()
        for number, shard in enumerate(self._held_out(part)):
            count = len(shard["truth"])
            batch = stack([make_example(shard, i, depth_of(number)) for i in range(count)])
            linear, inside, numbers, truth = map(jnp.asarray, batch)
            mean = _mean(network, Condition(linear, inside, numbers))
            before, after = (_snr(np.asarray(one), np.asarray(truth)) for one in (linear, mean))
            gains += list(after - before)
            ratios += list(after)
        return gains, ratios

    def _held_out(self, part: str) -> list[Shard]:
        """Shards that no training sees, of the sorts that are learned, or of those that are left out."""
        if part not in self._validation:
            left_out = self.settings.left_out
            sorts = tuple(sort for sort in get_args(Sort) if (sort in left_out) == (part == "left out"))
            count, nonlinear = -(-self.settings.trials // _VALIDATION_SHARDS), self.settings.nonlinear
            shards = (simulate_shard(_VALIDATION_SEED, sorts, nonlinear, count, i) for i in range(_VALIDATION_SHARDS))
            self._validation[part] = [shard for shard in shards if shard is not None]
        return self._validation[part]


@jax.jit
def _mean(network: CellDenoiser, condition: Condition) -> Array:
    return network.estimate(condition.contrast, jnp.zeros(len(condition.contrast)), condition)


def make_example(arrays: Shard, number: int, depth: int) -> Example:
    """Take one specimen of a shard, on arrays of a padded depth."""
    linear, truth = (arrays[name][number].astype(np.float32) for name in ("linear", "truth"))
    sizes = [depth, *linear.shape[1:]]
    inside = pad(np.ones_like(linear), sizes)
    return Example(pad(linear, sizes), inside, arrays["numbers"][number].astype(np.float32), pad(truth, sizes))


def augment(rng: np.random.Generator, example: Example) -> Example:
    """Mirror a specimen, exchange its lateral axes, and change its scale and the sign of most of it."""
    linear, truth = example.linear, example.truth
    for axis in (1, 2):
        if rng.random() < 0.5:
            linear, truth = np.flip(linear, axis), np.flip(truth, axis)
    if rng.random() < 0.5:
        linear, truth = linear.swapaxes(1, 2), truth.swapaxes(1, 2)
    factor = np.exp(rng.uniform(-1, 1) * np.log(_LARGEST_FACTOR))
    sign = np.float32(1 if (truth.sum(dtype=float) >= 0) == (rng.random() >= _NEGATIVE) else -1)
    linear, truth = sign * linear, sign * truth
    numbers = example.numbers.copy()
    numbers[_STRENGTH] -= np.log10(factor) / 2  # The scale by which the contrast is divided.
    return Example(np.float32(factor) * linear, example.inside, numbers.astype(np.float32), np.float32(factor) * truth)


def stack(examples: list[Example]) -> Batch:
    """Stack examples along a new first axis."""
    return tuple(np.stack(arrays) for arrays in zip(*examples, strict=True))


def _snr(values: Float[np.ndarray, "batch z y x"], truth: Float[np.ndarray, "batch z y x"]) -> Float[np.ndarray, " b"]:
    """[dB] Signal-to-noise ratio of contrasts."""
    axes = (1, 2, 3)
    power = (truth.astype(np.float64) ** 2).sum(axis=axes)
    error = ((values.astype(np.float64) - truth) ** 2).sum(axis=axes)
    return np.asarray(10 * np.log10(power / np.maximum(error, 1e-300)))
