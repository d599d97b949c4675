"""Objective of the cell's network: true contrasts of simulated specimens, given their begun fits or linear answers."""

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
_FITS = 0.9
"""Share of the examples whose input is a begun fit; that of the others is the linear answer."""
_BEGUN, _LINEAR = 0, 1
"""Places of the two inputs in a shard's arrays."""
_LARGEST_FACTOR = 2.0
"""Largest factor, either way, by which the scale of an example is changed: parts of a field are fainter than others."""
_NEGATIVE = 0.1
"""Share of the examples of which most is less dense than the medium."""
_Z_90 = 1.645
"""Half the 90 % interval of a normal distribution, in standard deviations."""
_NOMINAL = 0.9
"""Share of the voxels in doubt that the interval is to hold."""
_DOUBT = 0.1
"""Change of a voxel, in units of the input, from which it is in doubt."""
_STRENGTH = 5
"""Place, among the numbers of the instrument, of the strength of the specimen (`inputs.instrument_numbers`)."""


class Example(NamedTuple):
    """One specimen: the network's input, the truth on the same grid, and the error of such inputs."""

    contrast: Float[np.ndarray, "z y x"]
    inside: Float[np.ndarray, "z y x"]
    numbers: Float[np.ndarray, " number"]
    truth: Float[np.ndarray, "z y x"]
    input_error: np.float32


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
    _errors: dict[tuple[int, int], float] = field(default_factory=dict, init=False)

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
            source = _BEGUN if rng.random() < _FITS else _LINEAR
            number = int(rng.integers(len(arrays["truths"])))
            example = make_example(arrays, number, source, depth, self._input_error(shard, source))
            examples.append(augment(rng, example))
        return stack(examples)

    def _input_error(self, shard: int, source: int) -> float:
        """Mean square error of the inputs of a shard, the geometric mean over its specimens."""
        if (shard, source) not in self._errors:
            arrays = self.dataset.arrays(shard)
            contrast, truth = (arrays[name][:, source].astype(np.float32) for name in ("inputs", "truths"))
            squares = ((contrast - truth) ** 2).mean(axis=(1, 2, 3))
            self._errors[shard, source] = float(np.exp(np.log(np.maximum(squares, 1e-9)).mean()))
        return self._errors[shard, source]

    def loss(self, network: CellDenoiser, batch: Any, key: Array) -> tuple[Float[Array, ""], Metrics]:
        """Compute the loss of a batch (`flow.loss`)."""
        contrast, inside, numbers, truth, input_error = batch
        dtype = jnp.dtype(self.settings.precision)
        return flow.loss(network, Condition(contrast, inside, numbers), truth, input_error, key, dtype)

    def validate(self, network: CellDenoiser, should_stop: Callable[[], str | None]) -> dict[str, float] | None:
        """Compare the posterior mean with the begun fits, on specimens that no training sees, of known sign.

        Returns:
            Median gain of the signal-to-noise ratio over the fits' [dB], and the ratio itself; the factor on the
            network's own spread that makes its intervals right for every other specimen, and the share of the voxels in
            doubt of the others whose 90 % interval then holds the truth; the gain over linear answers; and of the sorts
            that are left out the first gain alone. None if a stop was requested meanwhile.
        """
        parts = ("learned", "left out") if self.settings.left_out else ("learned",)
        if not all(self._simulate_held_out(part, should_stop) for part in parts):
            return None
        begun, linear = (self._judge(network, "learned", source) for source in (_BEGUN, _LINEAR))
        deviations = begun.pop("deviations")
        numbers = {name: float(np.median(values)) for name, values in begun.items()}
        factor = float(np.median([np.quantile(each, _NOMINAL) for each in deviations[::2]])) / _Z_90
        covered = [np.mean(each <= _Z_90 * factor) for each in deviations[1::2] or deviations]
        numbers |= {"spread_factor": factor, "held_out_coverage": float(np.median(covered))}
        numbers["held_out_gain_linear"] = float(np.median(linear["held_out_gain"]))
        if self.settings.left_out:
            left_out = self._judge(network, "left out", _BEGUN)
            numbers["left_out_gain"] = float(np.median(left_out["held_out_gain"]))
        return numbers

    def _judge(self, network: CellDenoiser, part: str, source: int) -> dict[str, list[Any]]:
        gains, ratios, deviations = list[float](), list[float](), list[np.ndarray]()
        for number, shard in enumerate(self._validation[part]):
            count = len(shard["truths"])
            batch = stack([make_example(shard, i, source, depth_of(number)) for i in range(count)])
            sign = np.where(batch[3].sum(axis=(1, 2, 3), keepdims=True) < 0, np.float32(-1), np.float32(1))
            contrast, inside, numbers, truth = sign * batch[0], batch[1], batch[2], sign * batch[3]
            mean, log_spread = map(
                np.asarray, _estimate(network, Condition(*map(jnp.asarray, (contrast, inside, numbers))))
            )
            before, after = (_snr(one, truth) for one in (contrast, mean))
            gains += list(after - before)
            ratios += list(after)
            deviations += _deviations(truth, mean, np.exp(log_spread), contrast)
        return {"held_out_gain": gains, "held_out_snr": ratios, "deviations": deviations}

    def _simulate_held_out(self, part: str, should_stop: Callable[[], str | None]) -> bool:
        """Make shards that no training sees, once, of the sorts that are learned, or of those that are left out.

        Returns:
            False if a stop was requested meanwhile.
        """
        if part in self._validation:
            return True
        left_out, shards = self.settings.left_out, list[Shard]()
        sorts = tuple(sort for sort in get_args(Sort) if (sort in left_out) == (part == "left out"))
        count = -(-self.settings.trials // _VALIDATION_SHARDS)
        for i in range(_VALIDATION_SHARDS):
            shard = simulate_shard(_VALIDATION_SEED, sorts, count, i, lambda: should_stop() is not None)
            if shard is None:
                return False
            shards.append(shard)
        self._validation[part] = shards
        return True


@jax.jit
def _estimate(network: CellDenoiser, condition: Condition) -> tuple[Array, Array]:
    return network.estimate_with_spread(condition.contrast, jnp.zeros(len(condition.contrast)), condition)


def make_example(arrays: Shard, number: int, source: int, depth: int, input_error: float = 0.0) -> Example:
    """Take one specimen of a shard, with one of its inputs, on arrays of a padded depth.

    Args:
        arrays: Arrays of the shard.
        number: Number of the specimen.
        source: Number of the input.
        depth: Padded depth.
        input_error: Mean square error of such inputs; that of the example is at least its own.
    """
    contrast, truth = (arrays[name][number, source].astype(np.float32) for name in ("inputs", "truths"))
    own_error = float(((contrast - truth) ** 2).mean())
    sizes = [depth, *contrast.shape[1:]]
    inside = pad(np.ones_like(contrast), sizes)
    numbers = arrays["numbers"][number, source].astype(np.float32)
    return Example(pad(contrast, sizes), inside, numbers, pad(truth, sizes), np.float32(max(input_error, own_error)))


def augment(rng: np.random.Generator, example: Example) -> Example:
    """Mirror a specimen, exchange its lateral axes, and change its scale and the sign of most of it.

    It is mirrored along z too: the light sees a weak specimen and its mirror image alike.
    """
    contrast, inside, truth = example.contrast, example.inside, example.truth
    for axis in range(3):
        if rng.random() < 0.5:
            contrast, inside, truth = (np.flip(values, axis) for values in (contrast, inside, truth))
    if rng.random() < 0.5:
        contrast, truth = contrast.swapaxes(1, 2), truth.swapaxes(1, 2)
    factor = np.exp(rng.uniform(-1, 1) * np.log(_LARGEST_FACTOR))
    sign = np.float32(1 if (truth.sum(dtype=float) >= 0) == (rng.random() >= _NEGATIVE) else -1)
    contrast, truth = sign * contrast, sign * truth
    numbers = example.numbers.copy()
    numbers[_STRENGTH] -= np.log10(factor) / 2  # The scale by which the contrast is divided.
    contrast, truth = np.float32(factor) * contrast, np.float32(factor) * truth
    return Example(contrast, inside, numbers, truth, np.float32(factor**2 * example.input_error))


def stack(examples: list[Example]) -> Batch:
    """Stack examples along a new first axis."""
    return tuple(np.stack(arrays) for arrays in zip(*examples, strict=True))


def _snr(values: Float[np.ndarray, "batch z y x"], truth: Float[np.ndarray, "batch z y x"]) -> Float[np.ndarray, " b"]:
    """[dB] Signal-to-noise ratio of contrasts."""
    axes = (1, 2, 3)
    power = (truth.astype(np.float64) ** 2).sum(axis=axes)
    error = ((values.astype(np.float64) - truth) ** 2).sum(axis=axes)
    return np.asarray(10 * np.log10(power / np.maximum(error, 1e-300)))


def _deviations(truth: np.ndarray, mean: np.ndarray, spread: np.ndarray, contrast: np.ndarray) -> list[np.ndarray]:
    """Compute the error of the mean in units of the spread, in the voxels in doubt of each specimen; one at least.

    In doubt are those that the truth, or the network, moves from the input by more than a tenth of its scale.
    """
    deviation, moved = np.abs(truth - mean) / spread, np.maximum(np.abs(truth - contrast), np.abs(mean - contrast))
    limits = np.minimum(_DOUBT, moved.max(axis=(1, 2, 3)))
    return [one[some >= limit] for one, some, limit in zip(deviation, moved, limits, strict=True)]
