"""Data set of simulated crystals: shards of crystals on arrays of one size."""

from functools import partial
from pathlib import Path

import numpy as np

from ....optimize.simulated_dataset import Shard, SimulatedDataset, is_ended
from .simulated_data import TrainingCrystal, simulate_crystal

SHARD = 32
"""Crystals in a shard."""
_SIZE_TURNS = (64, 64, 64, 48)
"""Edges of the arrays of one shard after the other."""


def size_of(shard: int) -> int:
    """Return the edge of the arrays of a shard."""
    return _SIZE_TURNS[shard % len(_SIZE_TURNS)]


def crystal_dataset(folder: Path, seed: int, specimens: int, share: tuple[int, int] = (0, 1)) -> SimulatedDataset:
    """Describe the data set of a seed with so many crystals; other arguments as for `SimulatedDataset`."""
    shards, simulate = -(-specimens // SHARD), partial(simulate_shard, seed, specimens)
    return SimulatedDataset(folder, shards, simulate, ("modulus", "density", "numbers"), share)


def simulate_shard(seed: int, specimens: int, shard: int) -> Shard | None:
    """Simulate the crystals of a shard, the last of which may hold fewer; None where it was to end early."""
    size, crystals = size_of(shard), []
    for i in range(min(SHARD, specimens - shard * SHARD)):
        if is_ended():
            return None
        crystals.append(simulate_crystal(seed, shard * SHARD + i, size))
    density = np.stack([one.density for one in crystals])
    return {
        "modulus": np.stack([one.modulus for one in crystals]).astype(np.float16),
        "density": np.stack([density.real, density.imag], axis=-1).astype(np.float16),
        "numbers": np.stack([[*one.widths, one.strain] for one in crystals]),
    }


def draw_crystal(dataset: SimulatedDataset, rng: np.random.Generator, shard: int) -> TrainingCrystal:
    """Draw one crystal of a shard."""
    arrays = dataset.arrays(shard)
    i = int(rng.integers(len(arrays["modulus"])))
    parts, numbers = arrays["density"][i].astype(np.float32), arrays["numbers"][i]
    density = parts[..., 0] + 1j * parts[..., 1]
    return TrainingCrystal(arrays["modulus"][i].astype(np.float32), density, numbers[:3], float(numbers[3]))
