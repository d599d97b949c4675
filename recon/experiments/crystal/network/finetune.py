"""Tuning a network to one measurement, without any truth: its answers are to explain the moduli that were measured.

The network draws; noise is put back on what it drew, to a time at random; and what it then takes the noisy density for
is to have the measured moduli. Every few steps it is tried on simulated crystals, the replay: pixels that it never saw
must be explained no worse than before, or the steps are taken back and smaller ones are tried.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ....errors import Stopped
from ....io.network_file import Network
from ....networks.architecture import on_device
from ....phase_retrieval.holdout import free_pixels
from ....runs import Checkpoint, Progress
from . import flow
from .augmentation import exposed
from .config import CrystalPredict
from .denoiser import CrystalDenoiser, Density, PatternBatch, autocorrelation, misfit, scaled
from .inputs import ResampledPattern, pattern_input
from .sample import denoiser_of, pattern_of
from .simulated_data import specimen

RATE = 1e-4
"""Learning rate at first; halved each time that a trial fails."""
TRY_EVERY = 5
"""Steps between two trials."""
REPLAY = 4
"""Simulated crystals in the replay."""
TOLERANCE = 1.0
"""Times the replay's free misfit before the tuning that the one after it may be."""
_REPLAY_SEED = 2_000_003
_REPLAY_COUNTS = 1e7
_REPLAY_STEPS = 4
_DRAWS = 2
_EARLIEST, _LATEST = 0.3, 0.95

_PARTS = ("kept", "trial")
_STAGE = "tuning"
"""Fact of a checkpoint that is of it."""

Parameters = dict[str, Array]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Replay:
    """Simulated patterns: what the network sees of them, and the same with the withheld pixels alone."""

    seen: PatternBatch
    withheld: PatternBatch

    def free_misfit(self, denoiser: CrystalDenoiser, parameters: Parameters) -> float:
        """Misfit over pixels that the network did not see."""
        start = flow.noise(jax.random.key(_REPLAY_SEED), len(self.seen.amplitude))
        found = flow.draw(denoiser, parameters, self.seen, start, _REPLAY_STEPS)
        return float(jnp.mean(misfit(found, self.withheld)))


@dataclass
class _Tuning:
    """The tuning between two trials.

    Args:
        kept: Weights that passed the last trial.
        trial: Those that are tuned further.
        rate: Learning rate.
        before: The replay's free misfit at first.
        least: The same of the weights that are kept.
        steps: How many are in them.
        done: Steps done.
    """

    kept: Parameters
    trial: Parameters
    rate: float
    before: float
    least: float
    steps: int = 0
    done: int = 0

    def checkpoint(self) -> Checkpoint:
        """All that is needed to go on."""
        arrays = {f"{part}/{name}": np.asarray(array) for part in _PARTS for name, array in getattr(self, part).items()}
        numbers = {name: value for name, value in vars(self).items() if name not in _PARTS}
        return Checkpoint(self.done, arrays, numbers | {_STAGE: True})

    @classmethod
    def of(cls, found: Checkpoint) -> "_Tuning":
        """Go on from what `checkpoint` gave."""
        parts: dict[str, Any] = {part: {} for part in _PARTS}
        for path, array in found.arrays.items():
            part, _, name = path.partition("/")
            parts[part][name] = jnp.asarray(array)
        return cls(**parts, **{name: value for name, value in found.metadata.items() if name != _STAGE})


def of_tuning(found: Checkpoint | None) -> Checkpoint | None:
    """A checkpoint, if it is one of a tuning."""
    return found if found is not None and found.metadata.get(_STAGE) else None


def finetune(
    network: Network,
    brought: ResampledPattern,
    wanted: CrystalPredict,
    seed: int,
    progress: Progress,
    stop: Callable[[], str | None],
    state: Checkpoint | None = None,
    save: Callable[[int, dict[str, np.ndarray], dict[str, Any]], None] | None = None,
) -> tuple[Network, int]:
    """Tune a network.

    Args:
        network: As trained.
        brought: The measurement.
        wanted: Steps of the tuning and of the draws.
        seed: Of noise and times.
        progress: Told of the steps.
        stop: Asked before each trial's steps.
        state: A checkpoint of the same tuning to go on from.
        save: Given step, arrays and facts of a checkpoint before an early end; None where none is to be kept.

    Returns:
        The tuned network, which may be the old one, and the number of steps that were kept.

    Raises:
        Stopped: If it was asked to end early.
    """
    denoiser, parameters = denoiser_of(network), on_device(network.weights)
    pattern, replay = pattern_of(brought, _DRAWS), _replay()
    correlation = autocorrelation(pattern)
    if state is None:
        least = replay.free_misfit(denoiser, parameters)
        now = _Tuning(parameters, parameters, RATE, least, least)
    else:
        now = _Tuning.of(state)
    while now.done < wanted.adapt:
        if reason := stop():
            if save is not None:
                save(*vars(now.checkpoint()).values())
            done = f"stopped after {now.done} steps of tuning the network"
            raise Stopped(f"{reason}: {done}; run again with --resume to go on")
        noise = flow.noise(jax.random.key(seed + now.done), _DRAWS)
        drawn = flow.draw(denoiser, now.trial, pattern, noise, wanted.steps)
        block = min(TRY_EVERY, wanted.adapt - now.done)
        for _ in range(block):
            key = jax.random.fold_in(jax.random.key(seed), now.done)
            now.trial, left = _tuned(denoiser, now.trial, drawn, pattern, correlation, key, now.rate)
            now.done += 1
            progress(now.done, wanted.adapt, chi=float(jnp.sqrt(left)))
        after = replay.free_misfit(denoiser, now.trial)
        if after <= TOLERANCE * now.least:
            now.kept, now.steps, now.least = now.trial, now.steps + block, after
        else:
            now.trial, now.rate = now.kept, now.rate / 2
    weights = {name: np.asarray(array) for name, array in now.kept.items()}
    misfits = f"replay's free misfit {now.before:.4g} -> {now.least:.4g}"
    told = f"{now.steps} of {now.done} steps of tuning were kept; {misfits}"
    _log.info("%s", told)
    facts = dict(network.provenance) | {"finetune": told}
    return Network(network.kind, network.constants, weights, facts), now.steps


def _tune(
    denoiser: CrystalDenoiser,
    parameters: Parameters,
    drawn: Density,
    pattern: PatternBatch,
    correlation: Density,
    key: Array,
    rate: Array,
) -> tuple[Parameters, Array]:
    """One step down the misfit of what the network takes a noisy draw for."""
    of_time, of_noise = jax.random.split(key)
    time = jax.random.uniform(of_time, (len(drawn),), minval=_EARLIEST, maxval=_LATEST)
    share = time[:, None, None, None]
    noisy = scaled(flow.noise(of_noise, len(drawn)), 1 - share) + scaled(drawn, share)

    def missed(parameters: Parameters) -> Array:
        return jnp.mean(misfit(denoiser.estimate(parameters, noisy, time, pattern, correlation), pattern))

    left, gradient = jax.value_and_grad(missed)(parameters)
    norm, size = _norm(gradient), _norm(parameters)
    # Downhill by a share of the weights' own size: one measurement is no ground for Adam's moments.
    factor = rate * size / jnp.maximum(norm, 1e-12)
    return {name: array - factor * gradient[name] for name, array in parameters.items()}, left


def _norm(parameters: Parameters) -> Array:
    """Root of the sum of all squares."""
    return jnp.sqrt(jnp.sum(jnp.stack([jnp.sum(array**2) for array in parameters.values()])))


_tuned = jax.jit(_tune, static_argnums=0)


def _replay() -> _Replay:
    """Simulated crystals with islands of pixels that the network does not see."""
    rng, seen, withheld = np.random.default_rng(_REPLAY_SEED), [], []
    for number in range(REPLAY):
        drawn = specimen(_REPLAY_SEED, number, 64)
        counts = exposed(rng, drawn.modulus, _REPLAY_COUNTS)
        good = ~free_pixels(np.ones(counts.shape, np.float32), 0.05, number)
        shown = pattern_input(np.where(good, counts, 0), good, drawn.widths)
        whole = pattern_input(counts, np.ones(counts.shape, bool), drawn.widths)
        amplitude = whole.amplitude * np.float32(whole.scale / shown.scale)
        seen.append((shown.amplitude, shown.weight, shown.scalars))
        withheld.append((amplitude, 1 - shown.weight, shown.scalars))
    return _Replay(
        *(PatternBatch(*(jnp.asarray(np.stack(part)) for part in zip(*rows, strict=True))) for rows in (seen, withheld))
    )
