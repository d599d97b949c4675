"""The crystal's network: its input on any array, its data set, its flow, and its densities on the measured array."""

import os
import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate

from unflat.physics.diffraction.far_field import fftshift3, ifftshift3
from unflat.recon.errors import Stopped
from unflat.recon.experiments.crystal.network import finetune, flow
from unflat.recon.experiments.crystal.network.augmentation import (
    draw_mask,
    pair_with_density,
    rotate_crystal,
    shift_pattern,
)
from unflat.recon.experiments.crystal.network.config import CrystalPredict
from unflat.recon.experiments.crystal.network.dataset import crystal_dataset, draw_crystal, size_of
from unflat.recon.experiments.crystal.network.denoiser import (
    BOX,
    ComplexBatch,
    CrystalDenoiser,
    PatternBatch,
    autocorrelation,
    fit_scale,
    misfit,
    project,
)
from unflat.recon.experiments.crystal.network.inputs import crop_or_pad, normalize_pattern, resample_pattern
from unflat.recon.experiments.crystal.network.sample import interpolate_frames
from unflat.recon.experiments.crystal.network.simulated_data import TrainingCrystal, centre_mass, simulate_crystal
from unflat.recon.experiments.crystal.oversampling import Oversampling, estimate_oversampling
from unflat.recon.io.network_file import Network
from unflat.recon.networks.weights import named_weights
from unflat.recon.optimize.simulated_dataset import simulate_in_background
from unflat.recon.runs import Checkpoint
from unflat.recon.runs.context import silent

BRIGHT = 1e9
"""Counts of patterns in which noise is nothing."""


@pytest.fixture(scope="module")
def crystal() -> TrainingCrystal:
    """A strained crystal."""
    return simulate_crystal(3, 5, 64)


def pattern_beside(drawn: TrainingCrystal, good: np.ndarray | None = None) -> tuple[PatternBatch, ComplexBatch]:
    """A crystal's pattern without noise, and its density, with a batch axis."""
    counts = drawn.modulus.astype(np.float64) ** 2
    counts *= BRIGHT / counts.sum()
    good = np.ones(counts.shape, bool) if good is None else good
    both = pair_with_density(normalize_pattern(counts, good, drawn.widths), drawn, drawn.widths)
    *seen, density = (jnp.asarray(array)[None] for array in both)
    return PatternBatch(*seen), density


def test_a_specimen_follows_from_its_number_and_stands_in_the_middle(crystal: TrainingCrystal) -> None:
    again, other = simulate_crystal(3, 5, 64), simulate_crystal(3, 6, 64)
    np.testing.assert_array_equal(crystal.density, again.density)
    assert not np.allclose(crystal.density, other.density, atol=0.1)
    mass = np.abs(crystal.density) ** 2
    middle = [np.average(np.arange(BOX) - BOX // 2, weights=mass.sum(axis=tuple({0, 1, 2} - {i}))) for i in range(3)]
    np.testing.assert_allclose(middle, 0, atol=0.2)
    assert crystal.modulus[32, 32, 32] == crystal.modulus.max() == 1
    assert crystal.density.sum().real > 0
    assert abs(crystal.density.sum().imag) < 1e-3 * crystal.density.sum().real


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_density_of_an_example_explains_its_pattern(number: int) -> None:
    rng = np.random.default_rng(number)
    drawn = rotate_crystal(rng, shift_pattern(np.array([1, -1, 0]), simulate_crystal(3, number, 48)))
    pattern, density = pattern_beside(drawn)
    assert float(jnp.sqrt(misfit(density, pattern)[0])) < 0.1  # What lies outside the box is missing.
    wrong, _ = pattern_beside(simulate_crystal(3, number + 1, 48))
    assert float(jnp.sqrt(misfit(density, wrong)[0])) > 0.3


def test_a_density_is_moved_by_a_share_of_a_voxel() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(24) - 12] * 3, indexing="ij"))
    offset = np.array([1.3, -2.6, 0.4]).reshape(3, 1, 1, 1)
    blob, middle = (np.exp(-((grid - shift) ** 2).sum(axis=0) / 8 + 0.5j) for shift in (offset, 0 * offset))
    np.testing.assert_allclose(centre_mass(blob), middle, atol=1e-4)


def test_what_is_not_measured_keeps_the_moduli_of_the_density(crystal: TrainingCrystal) -> None:
    nothing, _ = pattern_beside(crystal, np.zeros((64, 64, 64), bool))
    rng = np.random.default_rng(0)
    density = jnp.asarray(rng.normal(size=(1, BOX, BOX, BOX)) + 1j * rng.normal(size=(1, BOX, BOX, BOX)), jnp.complex64)
    np.testing.assert_allclose(project(density, nothing), density, atol=1e-4)


def test_the_true_density_is_nearly_unchanged_by_the_projection(crystal: TrainingCrystal) -> None:
    pattern, density = pattern_beside(crystal)
    change = jnp.linalg.norm((project(density, pattern) - density).ravel()) / jnp.linalg.norm(density.ravel())
    assert float(change) < 0.1


def test_the_autocorrelation_is_that_of_the_density(crystal: TrainingCrystal) -> None:
    pattern, density = pattern_beside(crystal)
    one = np.asarray(density[0])
    direct = correlate(one, one, mode="full", method="fft")  # Σ ρ(r + d) ρ*(r), d from -31 to 31.
    direct = np.pad(direct, ((1, 0),) * 3) / np.sum(np.abs(one) ** 2)
    computed = np.asarray(autocorrelation(pattern)[0])
    assert np.linalg.norm(computed - direct) / np.linalg.norm(direct) < 0.1


@pytest.mark.parametrize("shape", [(8, 9, 10), (33, 32, 31)])
def test_cropping_undoes_padding(shape: tuple[int, int, int]) -> None:
    small = jnp.asarray(np.random.default_rng(0).normal(size=(1, 6, 6, 6)), jnp.complex64)
    whole = crop_or_pad(small, shape)
    np.testing.assert_array_equal(crop_or_pad(whole, (6, 6, 6)), small)
    assert whole[0, shape[0] // 2, shape[1] // 2, shape[2] // 2] == small[0, 3, 3, 3]


@pytest.mark.parametrize("shape", [(64, 64, 64), (80, 64, 50), (40, 96, 64)])
def test_an_answer_comes_back_in_counts_on_any_array(crystal: TrainingCrystal, shape: tuple[int, int, int]) -> None:
    whole = crop_or_pad(crystal.density, shape)
    field = fftshift3(np.fft.fftn(ifftshift3(whole)))
    counts = np.abs(np.roll(field, (1, -2, 3), axis=(0, 1, 2))) ** 2
    counts *= BRIGHT / counts.sum()
    good = np.ones(shape, bool)
    resampled = resample_pattern(counts, good, estimate_oversampling(counts, good))
    # An ideal network: the density that has the moduli of what it was shown, by the field itself.
    seen = np.roll(field, (1, -2, 3), axis=(0, 1, 2))
    brightest = np.unravel_index(int(np.argmax(counts)), shape)
    seen = np.roll(seen, [n // 2 - i for n, i in zip(shape, brightest, strict=True)], axis=(0, 1, 2))
    ideal = fftshift3(np.fft.ifftn(ifftshift3(crop_or_pad(seen, resampled.input.amplitude.shape))))
    pattern = PatternBatch(
        *(jnp.asarray(a)[None] for a in (resampled.input.amplitude, resampled.input.weight, np.zeros(5)))
    )
    answer = fit_scale(jnp.asarray(crop_or_pad(ideal, (BOX, BOX, BOX)), jnp.complex64)[None], pattern)
    back = resampled.to_conjugate_grid(np.asarray(answer))[0]
    assert back.shape == shape
    modelled = np.abs(np.fft.fftn(back)) ** 2
    lost = np.sum((np.sqrt(modelled) - ifftshift3(np.sqrt(counts))) ** 2) / counts.sum()
    assert np.sqrt(lost) < 0.1  # The box cuts off ringing, and a longer array its rim.


def test_uneven_frames_are_interpolated_for_the_network() -> None:
    along = np.array([-4, -3.4, -2, -1.2, 0, 0.7, 0.5, 3])
    amplitude = 20.0 + along[:, None, None] * np.ones((1, 2, 2))
    good = np.ones((8, 2, 2), bool)
    good[1, 0, 0] = False
    counts, is_seen = interpolate_frames(amplitude**2, good, along)
    np.testing.assert_array_equal(is_seen[:, 1, 1], [1, 1, 1, 1, 1, 0, 0, 1])
    np.testing.assert_array_equal(is_seen[:3, 0, 0], [1, 0, 1])
    np.testing.assert_allclose(np.sqrt(counts[is_seen[:, 1, 1], 1, 1]), 20 + np.array([-4, -3, -2, -1, 0, 3.0]))


def test_an_undersampled_axis_is_taken_to_fill_the_box() -> None:
    counts = np.random.default_rng(0).poisson(3.0, (48, 64, 64)).astype(float)
    counts[24, 32, 32] = 1e4
    poor = Oversampling((2.0, 2.4, 3.0), (False, True, True))
    resampled = resample_pattern(counts, np.ones(counts.shape, bool), poor)
    assert resampled.input.amplitude.shape == (44, 64, 64)  # 30 voxels at an oversampling of 1.5.
    np.testing.assert_allclose(resampled.input.scalars[2:], np.array([1.5, 0.92 * 2.4, 0.92 * 3.0]) / 3 - 1, rtol=1e-5)


def test_symmetries_and_masks_are_drawn_without_end() -> None:
    rng = np.random.default_rng(0)
    shares = [draw_mask(rng, (48, 48, 48)).mean() for _ in range(60)]
    assert max(shares) == 1
    assert min(shares) > 0.6
    assert len(set(shares)) > 20


class Oracle(CrystalDenoiser):
    """Network whose estimate is always 1 in one octant."""

    def estimate(
        self, noisy: ComplexBatch, time: Any, pattern: Any, correlation: Any, dtype: Any = None
    ) -> ComplexBatch:
        return jnp.broadcast_to(octant(), noisy.shape)


def octant() -> jax.Array:
    """1 in one octant."""
    return jnp.zeros((BOX, BOX, BOX), jnp.complex64).at[16:, 16:, 16:].set(1)


@pytest.mark.parametrize("steps", [1, 5])
def test_the_flow_ends_at_what_the_network_knows(crystal: TrainingCrystal, steps: int) -> None:
    pattern, _ = pattern_beside(crystal)
    reported: list[int] = []
    density = flow.draw(Oracle((8,), (1,)), pattern, flow.noise(jax.random.key(0), 1), steps, reported.append)
    np.testing.assert_allclose(density[0], octant(), atol=1e-5)
    assert reported == list(range(1, steps + 1))


def test_a_small_network_learns_one_crystal(crystal: TrainingCrystal) -> None:
    denoiser = CrystalDenoiser((8, 16), (1, 1), seed=0)
    pattern, density = pattern_beside(crystal)

    @jax.jit
    def step(denoiser: CrystalDenoiser, key: jax.Array) -> tuple[jax.Array, CrystalDenoiser]:
        def loss(denoiser: CrystalDenoiser) -> jax.Array:
            return flow.loss(denoiser, pattern, density, key, jnp.float32)[0]

        value, slopes = jax.value_and_grad(loss)(denoiser)
        return value, jax.tree.map(lambda array, slope: array - 0.002 * jnp.sign(slope), denoiser, slopes)

    losses = []
    for i in range(30):
        value, denoiser = step(denoiser, jax.random.key(i))
        losses.append(float(value))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_a_tuning_that_was_stopped_comes_to_the_same_network(
    crystal: TrainingCrystal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "REPLAY", 1)
    monkeypatch.setattr(finetune, "TRY_EVERY", 1)
    monkeypatch.setattr(finetune, "TOLERANCE", 1e3)  # every step is kept
    denoiser = CrystalDenoiser((8,), (1,), seed=0)
    network = Network("crystal", denoiser.constants(), named_weights(denoiser))
    counts = crystal.modulus.astype(np.float64) ** 2
    counts *= 1e7 / counts.sum()
    good = np.ones(counts.shape, bool)
    resampled = resample_pattern(counts, good, estimate_oversampling(counts, good))
    settings = CrystalPredict(adapt=3, steps=1)
    whole, steps = finetune.finetune(network, resampled, settings, 0, silent, lambda: None)
    assert steps == 3
    asked, saved = iter([None, "enough"]), list[Checkpoint]()

    def save(*state: Any) -> None:
        saved.append(Checkpoint(*state))

    with pytest.raises(Stopped, match=r"enough: stopped after 1 steps .*run again with --resume to go on"):
        finetune.finetune(network, resampled, settings, 0, silent, lambda: next(asked), None, save)
    assert finetune.finetuning_checkpoint(saved[-1]) is saved[-1]
    assert finetune.finetuning_checkpoint(Checkpoint(1, {}, {"table": []})) is None
    again, steps = finetune.finetune(network, resampled, settings, 0, silent, lambda: None, saved[-1])
    assert steps == 3
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(again.weights[name], array)


def test_a_data_set_depends_on_its_seed_only(tmp_path: Path) -> None:
    one, two = (crystal_dataset(tmp_path / name, seed=4, specimens=2) for name in ("one", "two"))
    for dataset in (one, two):
        dataset.folder.mkdir()
        dataset.make(0)
    a, b = (draw_crystal(dataset, np.random.default_rng(0), 0) for dataset in (one, two))
    np.testing.assert_array_equal(a.density, b.density)
    np.testing.assert_allclose(a.modulus.max(), 1, rtol=1e-3)
    assert a.modulus.shape == (size_of(0),) * 3
    assert len(one.arrays(0)["modulus"]) == 2
    assert crystal_dataset(tmp_path, seed=4, specimens=33).shards == 2


def test_an_error_of_a_simulating_process_is_raised(tmp_path: Path) -> None:
    from unflat.recon.errors import DataError

    dataset = crystal_dataset(tmp_path / "crystals", seed=-1, specimens=1)  # No seed for a generator.
    with simulate_in_background(dataset, 1) as workers:
        with pytest.raises(DataError, match="was not made"):
            dataset.wait_for(0, lambda: None, workers)
        assert not dataset.wait_for(0, lambda: "SIGTERM received", workers), "a request to stop comes first"
        (process,) = workers._executor._processes
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT):  # To all of a job.
            os.kill(process, number)
        assert workers._executor.submit(int, "3").result(timeout=60) == 3


def test_a_training_goes_on_from_a_network_of_its_own_architecture_only(tmp_path: Path) -> None:
    from unflat.recon.errors import DataError
    from unflat.recon.io.network_file import Network, write
    from unflat.recon.optimize.training_run import initial_weights

    small, other = CrystalDenoiser((8, 16), (1, 1), seed=0), CrystalDenoiser((8,), (1,))
    given = {name: array.astype(np.float16).astype(np.float32) for name, array in named_weights(small).items()}
    write(Network("crystal", small.constants(), given), tmp_path / "network.h5")
    name = str(tmp_path / "network.h5")
    weights = initial_weights(name, "crystal", small.constants())
    assert weights is not None
    assert initial_weights(None, "crystal", small.constants()) is None
    np.testing.assert_array_equal(weights["unet.input.kernel"], given["unet.input.kernel"])
    with pytest.raises(DataError, match="another architecture") as refused:
        initial_weights(name, "crystal", other.constants())
    assert "network.widths=[8, 16]" in refused.value.faults[0].remedy
