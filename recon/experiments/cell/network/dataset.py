"""Data set of simulated specimens: shards of one instrument each, with begun fits, linear answers and the truth.

An instrument's programs are compiled once for all specimens of its shard. The images are by multi-slice propagation;
those under a condenser, which would take minutes, are by linear theory, and have no fit.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import get_args

import jax
import numpy as np
from jaxtyping import Float

from ....optimize.simulated_dataset import Shard, SimulatedDataset, is_ended
from ..config_simulation import Sort
from .begun_fits import STEPS, BegunFits
from .config import CellTrain
from .inputs import finest_detail, instrument_numbers, scale_of
from .instruments import BEYOND, FIELD, Instrument, draw_instrument
from .measurements import Contrasts, Images, invert, measure
from .specimens import Box, draw_absorption, draw_specimen

SHARD = 32
"""Specimens in a shard."""
_DEPTH_TURNS = (24, 16, 32, 24)
"""[voxel] Padded depth of the arrays of one shard after the other."""
_THINNER = 6
"""[voxel] Most voxels along z by which a box is thinner than its padded arrays."""
_WEAK_DELAY, _STRONG_DELAY = (0.08, 0.8), (0.2, 6.0)
"""[rad] Largest delays of the phase of specimens whose images are by linear theory, and by multi-slice propagation."""
_LARGEST_CONTRAST = 0.12
_NEGATIVE = 0.15
"""Share of the shards whose specimens have an index below the medium's."""
_OPEN_SIGN = 0.2
"""Share of the shards whose fits assume no sign of their specimens."""
_SHARES: Mapping[Sort, int] = {"filaments": 2, "bacteria": 3, "tissue": 3}
"""Frequency of the sorts that are harder to complete, relative to that of the others."""
_ABSORBING = 0.3
"""Share of the shards whose specimens absorb, as do their fits."""
_ONE_SIGN = 0.02
"""Contrast of the other sign, over the largest, below which a specimen has one sign."""

Quantities = Float[np.ndarray, "specimen 2 z y x"]


def depth_of(shard: int) -> int:
    """Return the padded depth of the arrays of a shard."""
    return _DEPTH_TURNS[shard % len(_DEPTH_TURNS)]


def cell_dataset(
    folder: Path, seed: int, settings: CellTrain, shards: int, share: tuple[int, int] = (0, 1)
) -> SimulatedDataset:
    """Describe the data set of a seed; arguments as for `SimulatedDataset`."""
    learned = (sort for sort in get_args(Sort) if sort not in settings.left_out)
    sorts = tuple(sort for sort in learned for _ in range(_SHARES.get(sort, 1)))
    simulate = partial(simulate_shard, seed, sorts, SHARD)
    return SimulatedDataset(folder, shards, simulate, ("inputs", "truths", "numbers"), share)


def simulate_shard(
    seed: int, sorts: tuple[Sort, ...], count: int, shard: int, is_ended: Callable[[], bool] = is_ended
) -> Shard | None:
    """Simulate the specimens of a shard.

    Args:
        seed: Seed of the data set.
        sorts: Sorts to draw from; one that is named twice is drawn twice as often.
        count: Number of specimens.
        shard: Number of the shard.
        is_ended: Whether to end early.

    Returns:
        Begun fit and linear answer of each specimen, and its true contrast, both in units of the scale of the one and
        of the other; and the numbers of the instrument with each. None where it was to end early.
    """
    rng = np.random.default_rng([seed, shard])
    instrument = draw_instrument(rng, depth_of(shard) - int(rng.integers(_THINNER + 1)))
    is_tilted = instrument.illumination.weights.shape[1] == 1
    absorbs = is_tilted and rng.random() < _ABSORBING
    factor = np.float32(-1 if rng.random() < _NEGATIVE else 1)
    sign = "any" if rng.random() < _OPEN_SIGN else "nonnegative" if factor > 0 else "nonpositive"
    delays = _STRONG_DELAY if is_tilted else _WEAK_DELAY
    is_one_sided = sign != "any"
    drawn = _draw_contrasts(rng, sorts, count, instrument, delays, is_ended, of_one_sign=is_one_sided, absorb=absorbs)
    if drawn is None:
        return None
    wide, absorption = factor * drawn[:, 0], drawn[:, 1] if absorbs else None
    images = measure(rng, instrument, wide, absorption, nonlinear=is_tilted)
    linear = invert(instrument, images)
    steps, fit_seed = int(rng.choice(STEPS)), int(rng.integers(1 << 31))
    fits = BegunFits(instrument, sign, steps, fit_seed, is_ended, absorbs)
    begun = _fit_each(fits, images) if is_tilted else linear
    if begun is None:
        return None
    jax.clear_caches()  # type: ignore[no-untyped-call]  # No other shard has this instrument's programs.
    edge = (BEYOND - FIELD) // 2
    truth = wide[:, :, edge : edge + FIELD, edge : edge + FIELD]
    return _scaled(instrument, [(begun, is_tilted), (linear, False)], truth)


def _draw_contrasts(
    rng: np.random.Generator,
    sorts: tuple[Sort, ...],
    count: int,
    instrument: Instrument,
    delays: tuple[float, float],
    is_ended: Callable[[], bool],
    *,
    of_one_sign: bool,
    absorb: bool,
) -> Quantities | None:
    """Draw contrasts, and imaginary indices, of specimens and surroundings; None where it was to end early."""
    drawn = []
    for _ in range(count):
        sort = sorts[int(rng.integers(len(sorts)))]
        one = None
        while one is None or (of_one_sign and not _has_one_sign(one[0])):
            if is_ended():
                return None
            one = _draw_contrast(rng, sort, instrument, delays, absorb=absorb)
        drawn.append(one)
    return np.stack(drawn)


def _fit_each(fits: BegunFits, images: Images) -> Contrasts | None:
    """Begin a fit to the images of each specimen; None where the simulation was to end early."""
    contrasts = []
    for one in images:
        contrast = fits.fit(one)
        if contrast is None:
            return None
        contrasts.append(contrast)
    return np.stack(contrasts)


def _has_one_sign(contrast: Float[np.ndarray, "z y x"]) -> bool:
    low, high = float(contrast.min()), float(contrast.max())
    return min(-low, high) <= _ONE_SIGN * max(-low, high)


def _scaled(instrument: Instrument, inputs: list[tuple[Contrasts, bool]], truth: Contrasts) -> dict[str, np.ndarray]:
    """Divide by the scale of each input, and collect the numbers of its instrument.

    Args:
        instrument: Instrument.
        inputs: Inputs of each kind, and whether they are those of a fit.
        truth: True contrasts.
    """
    pitch = np.array(instrument.lattice.pitch)
    arrays: dict[str, list[np.ndarray]] = {"inputs": [], "truths": [], "numbers": []}
    for values, is_fit in inputs:
        scales = np.array([scale_of(one) for one in values])
        factors = 1 / scales[:, None, None, None]
        numbers = [instrument_numbers(pitch, instrument.aperture, scale, is_fit=is_fit) for scale in scales]
        arrays["inputs"].append((values * factors).astype(np.float16))
        arrays["truths"].append(np.clip(truth * factors, -100, 100).astype(np.float16))
        arrays["numbers"].append(np.stack(numbers))
    return {name: np.stack(each, axis=1) for name, each in arrays.items()}


def _draw_contrast(
    rng: np.random.Generator, sort: Sort, instrument: Instrument, delays: tuple[float, float], *, absorb: bool
) -> Float[np.ndarray, "2 z y x"]:
    """Draw a specimen, and sample its contrast, and its imaginary index, with its surroundings.

    It delays the phase by an amount in a range.
    """
    lattice = instrument.lattice
    pitch = lattice.pitch[1]
    box = Box(lattice.thickness, FIELD * pitch, finest_detail(instrument.aperture)[1])
    beside = (np.arange(BEYOND) - BEYOND // 2) * pitch
    specimen = draw_specimen(rng, sort, box)
    specimen = draw_absorption(rng, specimen) if absorb else specimen
    contrast = specimen.sample(lattice.planes, beside, beside)
    delay = 2 * np.pi / lattice.wavelength * np.abs(contrast.sum(axis=0)).max() * lattice.pitch[0]
    factor = np.exp(rng.uniform(np.log(delays[0]), np.log(delays[1]))) / max(float(delay), 1e-6)
    factor = min(factor, _LARGEST_CONTRAST / max(float(np.abs(contrast).max()), 1e-6))
    absorption = specimen.absorption(lattice.planes, beside, beside)
    return np.asarray(factor * np.stack([contrast, absorption]), np.float32)
