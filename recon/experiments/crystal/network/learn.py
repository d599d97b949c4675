"""Learning of the network from the results of a series of scans, between the scans.

The density of a sound result teaches the network, with its twin, as a simulated crystal does in the training. The
replay is the scans themselves: islands of pixels of each, always the same ones, are hidden from the network, and draws
must explain them no worse after some steps, or these are taken back. Pixels that a result withholds are in neither: a
draw for a later scan has been taught nothing about those that judge its result.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Complex, PRNGKeyArray

from .....physics.diffraction.far_field import fftshift3, ifftshift3
from ....errors import UnflatError
from ....io.network_file import Network
from ....networks.weights import load_network, named_weights, with_self_test
from ....phase_retrieval.holdout import free_pixels
from ...learner import LearnedNetwork, Learner, MeasuredScan, Units
from ..config import CrystalSettings
from ..guess_density import read_initial_guess
from ..oversampling import estimate_oversampling
from ..partial_curve import without_log
from ..preprocess import preprocess
from ..read import read
from ..warm_start import with_ramp
from . import flow
from .denoiser import ComplexBatch, CrystalDenoiser, PatternBatch, fit_scale, misfit
from .finetune import TOLERANCE
from .inputs import BOX, ResampledPattern, crop_or_pad, resample_pattern
from .sample import pattern_batch
from .simulated_data import centre_mass

STEPS = 30
"""Steps of a lesson."""
TRY_EVERY = 10
"""Steps between two trials."""
RATE = 1e-4
"""Learning rate at first; halved each time that a trial fails."""
WITHHELD = 0.05
"""Fraction of the visible pixels of a scan that judge a lesson."""
_SEED = 3_000_017
"""Seed of the choice of those pixels, and of the noise of the draws that are judged."""
_DRAWS, _DRAW_STEPS = 2, 4
"""Draws of a scan that are judged, and steps to each."""


@dataclass(frozen=True)
class _Example:
    """Scan as the network sees it in a lesson, its hidden pixels alone, and the density of its result with the twin."""

    seen: PatternBatch
    withheld: PatternBatch
    densities: ComplexBatch


@dataclass
class _Course:
    """Networks of a lesson under way.

    Args:
        accepted: Network that passed the last trial.
        trial: Network that is taught further.
        optimiser: State of the optimiser of the trial.
        least: Misfit of the hidden pixels with the accepted network.
        rate: Learning rate.
        best: Least misfit of all trials.
        accepted_steps: Number of steps that led to the accepted network.
        done: Number of steps done.
    """

    accepted: CrystalDenoiser
    trial: CrystalDenoiser
    optimiser: Any
    least: float
    rate: float
    best: float = np.inf
    accepted_steps: int = 0
    done: int = 0

    def judge(self, after: float, block: int) -> None:
        """Keep the last steps, or take them back and halve the rate."""
        self.best = min(self.best, after)
        if after <= TOLERANCE * self.least:
            self.accepted, self.least, self.accepted_steps = self.trial, after, self.accepted_steps + block
        else:
            self.trial, self.rate = self.accepted, self.rate / 2
            self.optimiser = _ADAM.init(self.trial)


class CrystalLearner(Learner):
    """Learner of the network of crystals.

    Args:
        settings: Settings of the runs.
    """

    def __init__(self, settings: CrystalSettings) -> None:
        self._settings = settings

    def require(self, network: Network) -> None:
        """Refuse a network of another architecture."""
        load_network(network, CrystalDenoiser)

    def lesson(self, network: Network, scans: Mapping[str, MeasuredScan]) -> Units:
        """Fine-tune a network to the results of scans; those that cannot be read are left out."""
        examples: dict[str, _Example] = {}
        for name, scan in scans.items():
            try:
                examples[name] = _example(self._settings, scan)
            except UnflatError:
                continue
            yield
        if not examples:
            return None
        return (yield from _teach(network, tuple(examples), list(examples.values()), self._settings.seed))


def _example(settings: CrystalSettings, scan: MeasuredScan) -> _Example:
    """Prepare a scan and its result.

    Raises:
        DataError: If one of them cannot be read.
    """
    with without_log():
        prepared = preprocess(settings, read(settings, scan.path))
        density = with_ramp(read_initial_guess(scan.run / "volume.h5", prepared))
    counts, free = prepared.normalized_counts, prepared.data.free_pixels(settings.phase.free, settings.seed)
    visible = prepared.good & ~free
    hidden = free_pixels(visible.astype(np.float32), WITHHELD, _SEED, peak=prepared.peak)
    sampling = estimate_oversampling(counts, visible)
    shown, whole = (resample_pattern(counts, good, sampling) for good in (visible & ~hidden, visible))
    seen = pattern_batch(shown, _DRAWS)
    withheld = replace(
        whole,
        input=replace(
            whole.input,
            amplitude=whole.input.amplitude * np.float32(whole.input.scale / shown.input.scale),
            weight=np.maximum(whole.input.weight - shown.input.weight, 0),
        ),
    )
    box = _to_box(density, shown)
    twin = np.conj(np.roll(box[::-1, ::-1, ::-1], (1, 1, 1), axis=(0, 1, 2)))
    return _Example(seen, pattern_batch(withheld, _DRAWS), fit_scale(jnp.asarray(np.stack([box, twin])), seen))


def _to_box(density: Complex[np.ndarray, "Z Y X"], pattern: ResampledPattern) -> Complex[np.ndarray, "z y x"]:
    """Resample a density to the network's box, as the network draws it but for the scale.

    Args:
        density: Centred density on the grid conjugate to the measured array.
        pattern: Measured pattern.

    Returns:
        Density with its centre of mass in the middle, and a mean that is real and positive.
    """
    field = np.roll(fftshift3(np.fft.fftn(ifftshift3(density))), pattern.steps, axis=(0, 1, 2))
    resampled = fftshift3(np.fft.ifftn(ifftshift3(crop_or_pad(field, pattern.input.amplitude.shape))))
    box = crop_or_pad(centre_mass(resampled), (BOX,) * 3)
    return np.asarray(box * np.exp(-1j * np.angle(box.sum())), np.complex64)


def _teach(network: Network, names: tuple[str, ...], examples: Sequence[_Example], seed: int) -> Units:
    """Take the steps of a lesson, and judge the network at last as it would be stored."""
    denoiser = load_network(network, CrystalDenoiser)
    before = yield from _free_misfit(denoiser, examples)
    course = _Course(denoiser, denoiser, _ADAM.init(denoiser), before, RATE)
    order = np.random.default_rng([seed, 7]).permutation(len(examples))
    while course.done < STEPS:
        block = min(TRY_EVERY, STEPS - course.done)
        for _ in range(block):
            example = examples[order[course.done % len(examples)]]
            key = jax.random.fold_in(jax.random.key(seed), course.done)
            course.trial, course.optimiser = _take_step(
                course.trial, course.optimiser, example.seen, example.densities, key, course.rate
            )
            jax.tree.leaves(course.optimiser)[0].block_until_ready()
            course.done += 1
            yield
        course.judge((yield from _free_misfit(course.trial, examples)), block)
    if not course.accepted_steps:
        return LearnedNetwork(network, names, course.done, 0, before, course.best)
    learned = with_self_test(replace(network, weights=named_weights(course.accepted)), CrystalDenoiser)
    after = yield from _free_misfit(load_network(learned, CrystalDenoiser), examples)
    if after > TOLERANCE * before:  # By rounding: the gain was tiny.
        return LearnedNetwork(network, names, course.done, 0, before, after)
    return LearnedNetwork(learned, names, course.done, course.accepted_steps, before, after)


def _free_misfit(denoiser: CrystalDenoiser, examples: Sequence[_Example]) -> Generator[None, None, float]:
    """Compute the mean misfit of draws over the hidden pixels; their scale is fitted to the others, as an answer's is.

    Without that, a network would be the better the darker its draws, where it explains hidden pixels badly.
    """
    misfits = []
    for example in examples:
        noise = flow.noise(jax.random.key(_SEED), _DRAWS)
        densities = flow.draw(denoiser, example.seen, noise, _DRAW_STEPS)
        misfits.append(float(jnp.mean(_judge(densities, example.seen, example.withheld))))
        yield
    return float(np.mean(misfits))


@jax.jit
def _judge(densities: ComplexBatch, seen: PatternBatch, withheld: PatternBatch) -> Array:
    return misfit(fit_scale(densities, seen), withheld)


_ADAM = optax.scale_by_adam()


@jax.jit
def _take_step(
    denoiser: CrystalDenoiser,
    optimiser: Any,
    pattern: PatternBatch,
    densities: ComplexBatch,
    key: PRNGKeyArray,
    rate: Array,
) -> tuple[CrystalDenoiser, Any]:
    """Take one step of Adam down the loss of the training."""

    def loss(denoiser: CrystalDenoiser) -> Array:
        return flow.loss(denoiser, pattern, densities, key, jnp.float32)[0]

    gradient = jax.grad(loss)(denoiser)
    with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in integers
        updates, optimiser = _ADAM.update(gradient, optimiser)
    return jax.tree.map(lambda weight, update: weight - rate * update, denoiser, updates), optimiser
