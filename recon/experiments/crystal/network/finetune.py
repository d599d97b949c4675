"""Fine-tuning of a network to one measurement, without any truth: its draws are to explain the measured moduli.

The network draws; noise is added to the draws, to a time at random; and the density that the network estimates from
that is to have the measured moduli. Every few steps the network is tried on simulated crystals, the replay: pixels that
it never saw must be explained no worse than before, or the steps are taken back and smaller ones are tried.
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
from ....networks.weights import load_network, load_weights, named_weights
from ....phase_retrieval.holdout import free_pixels
from ....runs import Checkpoint, Progress
from . import flow
from .augmentation import simulate_counts
from .config import CrystalPredict
from .denoiser import ComplexBatch, CrystalDenoiser, PatternBatch, autocorrelation, misfit, multiply_real
from .inputs import ResampledPattern, normalize_pattern
from .sample import pattern_batch
from .simulated_data import simulate_crystal

RATE = 1e-4
"""Learning rate at first; halved each time that a trial fails."""
TRY_EVERY = 5
"""Steps between two trials."""
REPLAY = 4
"""Simulated crystals in the replay."""
TOLERANCE = 1.0
"""Largest free misfit of the replay after some steps, relative to that before them."""
_REPLAY_SEED = 2_000_003
_REPLAY_COUNTS = 1e7
_REPLAY_STEPS = 4
_DRAWS = 2
_EARLIEST, _LATEST = 0.3, 0.95

_NETWORKS = ("accepted", "trial")
_STAGE = "tuning"
"""Entry of the metadata of a checkpoint that a fine-tuning wrote."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Replay:
    """Simulated patterns as the network sees them, and the withheld pixels of each alone."""

    seen: PatternBatch
    withheld: PatternBatch

    def free_misfit(self, denoiser: CrystalDenoiser) -> float:
        """Compute the misfit over pixels that the network did not see."""
        noise = flow.noise(jax.random.key(_REPLAY_SEED), len(self.seen.amplitude))
        densities = flow.draw(denoiser, self.seen, noise, _REPLAY_STEPS)
        return float(jnp.mean(misfit(densities, self.withheld)))


@dataclass
class _FinetuningState:
    """State of the fine-tuning between two trials.

    Args:
        accepted: Network that passed the last trial.
        trial: Network that is tuned further.
        rate: Learning rate.
        before: Free misfit of the replay before the fine-tuning.
        least: Free misfit of the replay with the accepted network.
        steps: Number of steps that led to the accepted network.
        done: Number of steps done.
    """

    accepted: CrystalDenoiser
    trial: CrystalDenoiser
    rate: float
    before: float
    least: float
    steps: int = 0
    done: int = 0

    def checkpoint(self) -> Checkpoint:
        """Collect the arrays and numbers from which the fine-tuning can be resumed."""
        networks = {part: named_weights(getattr(self, part)) for part in _NETWORKS}
        arrays = {f"{part}/{name}": array for part, weights in networks.items() for name, array in weights.items()}
        numbers = {name: value for name, value in vars(self).items() if name not in _NETWORKS}
        return Checkpoint(self.done, arrays, numbers | {_STAGE: True})

    @classmethod
    def restore(cls, checkpoint: Checkpoint, network: Network) -> "_FinetuningState":
        """Resume from what `checkpoint` collected.

        Raises:
            DataError: If the arrays are not those of the network.
        """
        denoisers = []
        for part in _NETWORKS:
            prefix = f"{part}/"
            paths = [path for path in checkpoint.arrays if path.startswith(prefix)]
            weights = {path.removeprefix(prefix): checkpoint.arrays[path] for path in paths}
            denoisers.append(load_weights(load_network(network, CrystalDenoiser), weights))
        accepted, trial = denoisers
        return cls(accepted, trial, **{name: value for name, value in checkpoint.metadata.items() if name != _STAGE})


def finetuning_checkpoint(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Return a checkpoint if a fine-tuning wrote it, else None."""
    return checkpoint if checkpoint is not None and checkpoint.metadata.get(_STAGE) else None


def finetune(
    network: Network,
    pattern: ResampledPattern,
    settings: CrystalPredict,
    seed: int,
    progress: Progress,
    should_stop: Callable[[], str | None],
    checkpoint: Checkpoint | None = None,
    save_checkpoint: Callable[[int, dict[str, np.ndarray], dict[str, Any]], None] | None = None,
) -> tuple[Network, int]:
    """Fine-tune a network.

    Args:
        network: Trained network.
        pattern: Measured pattern.
        settings: Steps of the fine-tuning and of the draws.
        seed: Seed of noise and times.
        progress: Called after each step.
        should_stop: Called before each trial's steps; returns the reason to stop, or None.
        checkpoint: Checkpoint to resume from.
        save_checkpoint: Called with step, arrays and metadata before an early end; None where no checkpoint is due.

    Returns:
        The tuned network, which may be the old one, and the number of steps that were kept.

    Raises:
        Stopped: If the fine-tuning was asked to end early.
    """
    batch, replay = pattern_batch(pattern, _DRAWS), _replay()
    correlation = autocorrelation(batch)
    if checkpoint is None:
        denoiser = load_network(network, CrystalDenoiser)
        least = replay.free_misfit(denoiser)
        state = _FinetuningState(denoiser, denoiser, RATE, least, least)
    else:
        state = _FinetuningState.restore(checkpoint, network)
    while state.done < settings.adapt:
        if reason := should_stop():
            if save_checkpoint is not None:
                save_checkpoint(*vars(state.checkpoint()).values())
            done = f"stopped after {state.done} steps of tuning the network"
            raise Stopped(f"{reason}: {done}; run again with --resume to go on")
        noise = flow.noise(jax.random.key(seed + state.done), _DRAWS)
        drawn = flow.draw(state.trial, batch, noise, settings.steps)
        block = min(TRY_EVERY, settings.adapt - state.done)
        for _ in range(block):
            key = jax.random.fold_in(jax.random.key(seed), state.done)
            state.trial, squared_chi = _update(state.trial, drawn, batch, correlation, key, state.rate)
            state.done += 1
            progress(state.done, settings.adapt, chi=float(jnp.sqrt(squared_chi)))
        _try(state, replay, block)
    summary = f"{state.steps} of {state.done} steps of tuning were kept; "
    summary += f"replay's free misfit {state.before:.4g} -> {state.least:.4g}"
    _log.info("%s", summary)
    provenance = dict(network.provenance) | {"finetune": summary}
    return Network(network.kind, network.constants, named_weights(state.accepted), provenance), state.steps


def _try(state: _FinetuningState, replay: _Replay, block: int) -> None:
    """Keep the last steps, or take them back and halve the rate."""
    after = replay.free_misfit(state.trial)
    if after <= TOLERANCE * state.least:
        state.accepted, state.steps, state.least = state.trial, state.steps + block, after
    else:
        state.trial, state.rate = state.accepted, state.rate / 2


@jax.jit
def _update(
    denoiser: CrystalDenoiser,
    drawn: ComplexBatch,
    pattern: PatternBatch,
    correlation: ComplexBatch,
    key: Array,
    rate: Array,
) -> tuple[CrystalDenoiser, Array]:
    """Take one step down the misfit of the density that the network estimates from a noisy draw."""
    time_key, noise_key = jax.random.split(key)
    time = jax.random.uniform(time_key, (len(drawn),), minval=_EARLIEST, maxval=_LATEST)
    fraction = time[:, None, None, None]
    noisy = multiply_real(flow.noise(noise_key, len(drawn)), 1 - fraction) + multiply_real(drawn, fraction)

    def loss(denoiser: CrystalDenoiser) -> Array:
        return jnp.mean(misfit(denoiser.estimate(noisy, time, pattern, correlation), pattern))

    squared_chi, gradient = jax.value_and_grad(loss)(denoiser)
    norm, size = _norm(gradient), _norm(denoiser)
    # The step is a fraction of the weights' own norm: one measurement is no ground for Adam's moments.
    factor = rate * size / jnp.maximum(norm, 1e-12)
    return jax.tree.map(lambda weight, slope: weight - factor * slope, denoiser, gradient), squared_chi


def _norm(network: CrystalDenoiser) -> Array:
    """Root of the sum of the squares of all weights."""
    return jnp.sqrt(jnp.sum(jnp.stack([jnp.sum(array**2) for array in jax.tree.leaves(network)])))


def _replay() -> _Replay:
    """Simulate crystals with islands of pixels that the network does not see."""
    rng, seen, withheld = np.random.default_rng(_REPLAY_SEED), [], []
    for number in range(REPLAY):
        crystal = simulate_crystal(_REPLAY_SEED, number, 64)
        counts = simulate_counts(rng, crystal.modulus, _REPLAY_COUNTS)
        good = ~free_pixels(np.ones(counts.shape, np.float32), 0.05, number)
        shown = normalize_pattern(np.where(good, counts, 0), good, crystal.widths)
        whole = normalize_pattern(counts, np.ones(counts.shape, bool), crystal.widths)
        amplitude = whole.amplitude * np.float32(whole.scale / shown.scale)
        seen.append((shown.amplitude, shown.weight, shown.scalars))
        withheld.append((amplitude, 1 - shown.weight, shown.scalars))
    return _Replay(
        *(PatternBatch(*(jnp.asarray(np.stack(part)) for part in zip(*rows, strict=True))) for rows in (seen, withheld))
    )
