"""Data set of simulated specimens: shards of one instrument each, with its linear answers and the truth.

An instrument's program is compiled once for all specimens of its shard. The images are those of linear theory for weak
specimens, and by multi-slice propagation for stronger ones, whose linear answers are wrong as a measurement's are.
"""

from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Float

from ....optimize.simulated_dataset import Shard, SimulatedDataset, is_ended
from ..config_simulation import Sort
from .config import CellTrain
from .inputs import finest_detail, instrument_numbers, scale_of
from .instruments import BEYOND, FIELD, Instrument, draw_instrument
from .measurements import Contrasts, invert, measure
from .specimens import Box, draw_specimen

SHARD = 32
"""Specimens in a shard."""
_DEPTH_TURNS = (24, 16, 32, 24)
"""[voxel] Padded depth of the arrays of one shard after the other."""
_THINNER = 6
"""[voxel] Most voxels along z by which a box is thinner than its padded arrays."""
_WEAK_DELAY, _STRONG_DELAY = (0.08, 0.8), (0.3, 5.0)
"""[rad] Largest delays of the phase of specimens whose images are by linear theory, and by multi-slice propagation."""
_LARGEST_CONTRAST = 0.12
_NEGATIVE = 0.15
"""Share of the specimens whose index is below the medium's."""


def depth_of(shard: int) -> int:
    """Return the padded depth of the arrays of a shard."""
    return _DEPTH_TURNS[shard % len(_DEPTH_TURNS)]


def cell_dataset(
    folder: Path, seed: int, settings: CellTrain, shards: int, share: tuple[int, int] = (0, 1)
) -> SimulatedDataset:
    """Describe the data set of a seed; arguments as for `SimulatedDataset`."""
    sorts = tuple(sort for sort in get_args(Sort) if sort not in settings.left_out)
    simulate = partial(simulate_shard, seed, sorts, settings.nonlinear, SHARD)
    return SimulatedDataset(folder, shards, simulate, ("linear", "truth", "numbers"), share)


def simulate_shard(seed: int, sorts: tuple[Sort, ...], nonlinear: float, count: int, shard: int) -> Shard | None:
    """Simulate the specimens of a shard.

    Args:
        seed: Seed of the data set.
        sorts: Sorts to draw from, all alike often.
        nonlinear: Share of the shards whose images are by multi-slice propagation.
        count: Number of specimens.
        shard: Number of the shard.

    Returns:
        Linear answers and true contrasts in units of the answers' scale, and the numbers of the instrument, for each
        specimen. None where it was to end early.
    """
    rng = np.random.default_rng([seed, shard])
    instrument = draw_instrument(rng, depth_of(shard) - int(rng.integers(_THINNER + 1)))
    # Waves from each source of a condenser, to each focus, would take minutes.
    is_strong = rng.random() < nonlinear and instrument.illumination.weights.shape[1] == 1
    chosen = [sorts[int(i)] for i in rng.integers(len(sorts), size=count)]
    contrasts = []
    for sort in chosen:
        if is_ended():
            return None
        contrasts.append(_draw_contrast(rng, sort, instrument, _STRONG_DELAY if is_strong else _WEAK_DELAY))
    wide = np.stack(contrasts)
    images = measure(rng, instrument, wide, nonlinear=is_strong)
    edge = (BEYOND - FIELD) // 2
    truth = wide[:, :, edge : edge + FIELD, edge : edge + FIELD]
    return _scaled(instrument, invert(instrument, images), truth)


def _scaled(instrument: Instrument, linear: Contrasts, truth: Contrasts) -> dict[str, np.ndarray]:
    """Divide by the scale of each answer, and collect the numbers of its instrument."""
    scales = np.array([scale_of(one) for one in linear])
    pitch = np.array(instrument.lattice.pitch)
    numbers = [instrument_numbers(pitch, instrument.aperture, scale) for scale in scales]
    factors = 1 / scales[:, None, None, None]
    return {
        "linear": (linear * factors).astype(np.float16),
        "truth": np.clip(truth * factors, -100, 100).astype(np.float16),
        "numbers": np.stack(numbers),
    }


def _draw_contrast(
    rng: np.random.Generator, sort: Sort, instrument: Instrument, delays: tuple[float, float]
) -> Float[np.ndarray, "z y x"]:
    """Draw a specimen, and sample its contrast with its surroundings; it delays the phase by an amount in a range."""
    lattice = instrument.lattice
    pitch = lattice.pitch[1]
    box = Box(lattice.thickness, FIELD * pitch, finest_detail(instrument.aperture)[1])
    beside = (np.arange(BEYOND) - BEYOND // 2) * pitch
    contrast = draw_specimen(rng, sort, box).sample(lattice.planes, beside, beside)
    delay = 2 * np.pi / lattice.wavelength * np.abs(contrast.sum(axis=0)).max() * lattice.pitch[0]
    factor = np.exp(rng.uniform(np.log(delays[0]), np.log(delays[1]))) / max(float(delay), 1e-6)
    factor = min(factor, _LARGEST_CONTRAST / max(float(np.abs(contrast).max()), 1e-6))
    return np.asarray(contrast * (factor if rng.random() > _NEGATIVE else -factor), np.float32)
