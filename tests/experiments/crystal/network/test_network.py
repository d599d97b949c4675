"""What the network sees is the physics', whatever the array; what it answers comes back in counts."""

from dataclasses import dataclass
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
from unflat.recon.experiments.crystal.network.augmentation import measured, off_centre, truth_beside, turned
from unflat.recon.experiments.crystal.network.config import CrystalPredict
from unflat.recon.experiments.crystal.network.dataset import SHARD, SimulatedDataset, filled, size_of
from unflat.recon.experiments.crystal.network.denoiser import (
    BOX,
    CrystalDenoiser,
    Density,
    PatternBatch,
    autocorrelation,
    cut,
    misfit,
    placed,
    project,
    scaled_to,
)
from unflat.recon.experiments.crystal.network.inputs import fitted, pattern_input, resample_pattern
from unflat.recon.experiments.crystal.network.simulated_data import TrainingCrystal, in_the_middle, specimen
from unflat.recon.experiments.crystal.oversampling import Oversampling, estimate_oversampling
from unflat.recon.io.network_file import Network
from unflat.recon.runs import Checkpoint
from unflat.recon.runs.context import silent

BRIGHT = 1e9
"""Counts of patterns in which noise is nothing."""


@pytest.fixture(scope="module")
def crystal() -> TrainingCrystal:
    """A strained crystal."""
    return specimen(3, 5, 64)


def pattern_beside(drawn: TrainingCrystal, good: np.ndarray | None = None) -> tuple[PatternBatch, Density]:
    """A crystal's pattern without noise, and its density, with a batch axis."""
    counts = drawn.modulus.astype(np.float64) ** 2
    counts *= BRIGHT / counts.sum()
    good = np.ones(counts.shape, bool) if good is None else good
    both = truth_beside(pattern_input(counts, good, drawn.widths), drawn, drawn.widths)
    *seen, density = (jnp.asarray(array)[None] for array in both)
    return PatternBatch(*seen), density


def test_a_specimen_follows_from_its_number_and_stands_in_the_middle(crystal: TrainingCrystal) -> None:
    again, other = specimen(3, 5, 64), specimen(3, 6, 64)
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
    drawn = turned(rng, off_centre(np.array([1, -1, 0]), specimen(3, number, 48)))
    pattern, density = pattern_beside(drawn)
    assert float(jnp.sqrt(misfit(density, pattern)[0])) < 0.1  # What lies outside the box is missing.
    wrong, _ = pattern_beside(specimen(3, number + 1, 48))
    assert float(jnp.sqrt(misfit(density, wrong)[0])) > 0.3


def test_a_density_is_moved_by_a_share_of_a_voxel() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(24) - 12] * 3, indexing="ij"))
    offset = np.array([1.3, -2.6, 0.4]).reshape(3, 1, 1, 1)
    blob, middle = (np.exp(-((grid - shift) ** 2).sum(axis=0) / 8 + 0.5j) for shift in (offset, 0 * offset))
    np.testing.assert_allclose(in_the_middle(blob), middle, atol=1e-4)


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
    found = np.asarray(autocorrelation(pattern)[0])
    assert np.linalg.norm(found - direct) / np.linalg.norm(direct) < 0.1


@pytest.mark.parametrize("shape", [(8, 9, 10), (33, 32, 31)])
def test_cutting_undoes_placing(shape: tuple[int, int, int]) -> None:
    small = jnp.asarray(np.random.default_rng(0).normal(size=(1, 6, 6, 6)), jnp.complex64)
    whole = placed(small, shape)
    np.testing.assert_array_equal(cut(whole, 6), small)
    assert whole[0, shape[0] // 2, shape[1] // 2, shape[2] // 2] == small[0, 3, 3, 3]


@pytest.mark.parametrize("shape", [(64, 64, 64), (80, 64, 50), (40, 96, 64)])
def test_an_answer_comes_back_in_counts_on_any_array(crystal: TrainingCrystal, shape: tuple[int, int, int]) -> None:
    whole = fitted(crystal.density, shape)
    field = fftshift3(np.fft.fftn(ifftshift3(whole)))
    counts = np.abs(np.roll(field, (1, -2, 3), axis=(0, 1, 2))) ** 2
    counts *= BRIGHT / counts.sum()
    good = np.ones(shape, bool)
    brought = resample_pattern(counts, good, estimate_oversampling(counts, good))
    # An ideal network: the density that has the moduli of what it was shown, by the field itself.
    seen = np.roll(field, (1, -2, 3), axis=(0, 1, 2))
    brightest = np.unravel_index(int(np.argmax(counts)), shape)
    seen = np.roll(seen, [n // 2 - i for n, i in zip(shape, brightest, strict=True)], axis=(0, 1, 2))
    ideal = fftshift3(np.fft.ifftn(ifftshift3(fitted(seen, brought.sight.amplitude.shape))))
    pattern = PatternBatch(
        *(jnp.asarray(a)[None] for a in (brought.sight.amplitude, brought.sight.weight, np.zeros(5)))
    )
    answer = scaled_to(jnp.asarray(fitted(ideal, (BOX, BOX, BOX)), jnp.complex64)[None], pattern)
    back = brought.back(np.asarray(answer))[0]
    assert back.shape == shape
    modelled = np.abs(np.fft.fftn(back)) ** 2
    lost = np.sum((np.sqrt(modelled) - ifftshift3(np.sqrt(counts))) ** 2) / counts.sum()
    assert np.sqrt(lost) < 0.1  # The box cuts off ringing, and a longer array its rim.


def test_an_undersampled_axis_is_taken_to_fill_the_box() -> None:
    counts = np.random.default_rng(0).poisson(3.0, (48, 64, 64)).astype(float)
    counts[24, 32, 32] = 1e4
    poor = Oversampling((2.0, 2.4, 3.0), (False, True, True))
    brought = resample_pattern(counts, np.ones(counts.shape, bool), poor)
    assert brought.sight.amplitude.shape == (44, 64, 64)  # 30 voxels at an oversampling of 1.5.
    np.testing.assert_allclose(brought.sight.scalars[2:], np.array([1.5, 0.92 * 2.4, 0.92 * 3.0]) / 3 - 1, rtol=1e-5)


def test_symmetries_and_masks_are_drawn_without_end() -> None:
    rng = np.random.default_rng(0)
    shares = [measured(rng, (48, 48, 48)).mean() for _ in range(60)]
    assert max(shares) == 1
    assert min(shares) > 0.6
    assert len(set(shares)) > 20


@dataclass(frozen=True)
class Oracle(CrystalDenoiser):
    """Knows that every density is 1 in one octant."""

    def estimate(
        self, parameters: Any, noisy: Density, time: Any, pattern: Any, correlation: Any, dtype: Any = None
    ) -> Density:
        return jnp.broadcast_to(octant(), noisy.shape)


def octant() -> jax.Array:
    """1 in one octant."""
    return jnp.zeros((BOX, BOX, BOX), jnp.complex64).at[16:, 16:, 16:].set(1)


@pytest.mark.parametrize("steps", [1, 5])
def test_the_flow_ends_at_what_the_network_knows(crystal: TrainingCrystal, steps: int) -> None:
    pattern, _ = pattern_beside(crystal)
    told: list[int] = []
    found = flow.draw(Oracle(), {}, pattern, flow.noise(jax.random.key(0), 1), steps, told.append)
    np.testing.assert_allclose(found[0], octant(), atol=1e-5)
    assert told == list(range(1, steps + 1))


def test_a_small_network_learns_one_crystal(crystal: TrainingCrystal) -> None:
    denoiser = CrystalDenoiser((8, 16), (1, 1))
    pattern, density = pattern_beside(crystal)
    parameters = {name: jnp.asarray(array) for name, array in denoiser.initialise(0).items()}

    @jax.jit
    def step(parameters: dict[str, jax.Array], key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        def loss(parameters: dict[str, jax.Array]) -> jax.Array:
            return flow.loss(denoiser, parameters, pattern, density, key, jnp.float32)[0]

        value, slope = jax.value_and_grad(loss)(parameters)
        return value, {name: array - 0.02 * jnp.sign(slope[name]) * 0.1 for name, array in parameters.items()}

    losses = []
    for i in range(30):
        value, parameters = step(parameters, jax.random.key(i))
        losses.append(float(value))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_a_tuning_that_was_stopped_comes_to_the_same_network(
    crystal: TrainingCrystal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "REPLAY", 1)
    monkeypatch.setattr(finetune, "TRY_EVERY", 1)
    monkeypatch.setattr(finetune, "TOLERANCE", 1e3)  # every step is kept
    denoiser = CrystalDenoiser((8,), (1,))
    network = Network("crystal", denoiser.constants(), denoiser.initialise(0))
    counts = crystal.modulus.astype(np.float64) ** 2
    counts *= 1e7 / counts.sum()
    good = np.ones(counts.shape, bool)
    brought = resample_pattern(counts, good, estimate_oversampling(counts, good))
    wanted = CrystalPredict(adapt=3, steps=1)
    whole, kept = finetune.finetune(network, brought, wanted, 0, silent, lambda: None)
    assert kept == 3
    asked, saved = iter([None, "enough"]), list[Checkpoint]()

    def save(*state: Any) -> None:
        saved.append(Checkpoint(*state))

    with pytest.raises(Stopped, match=r"enough: stopped after 1 steps .*run again with --resume to go on"):
        finetune.finetune(network, brought, wanted, 0, silent, lambda: next(asked), None, save)
    assert finetune.of_tuning(saved[-1]) is saved[-1]
    assert finetune.of_tuning(Checkpoint(1, {}, {"table": []})) is None
    again, kept = finetune.finetune(network, brought, wanted, 0, silent, lambda: None, saved[-1])
    assert kept == 3
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(again.weights[name], array)


def test_a_pool_is_the_same_whoever_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unflat.recon.experiments.crystal.network.dataset.SHARD", 2)
    one, two = (SimulatedDataset(tmp_path / name, seed=4, shards=1) for name in ("one", "two"))
    for pool in (one, two):
        pool.folder.mkdir()
        pool.make(0)
    a, b = (pool.draw(np.random.default_rng(0), 0) for pool in (one, two))
    np.testing.assert_array_equal(a.density, b.density)
    np.testing.assert_allclose(a.modulus.max(), 1, rtol=1e-3)
    assert a.modulus.shape == (size_of(0),) * 3
    assert SHARD == 32


def test_what_its_makers_fail_with_is_told(tmp_path: Path) -> None:
    from unflat.recon.errors import DataError

    pool = SimulatedDataset(tmp_path / "pool", seed=-1, shards=1)  # No seed for a generator.
    with filled(pool, 1) as makers, pytest.raises(DataError, match="was not made"):
        pool.wait_for(0, lambda: None, makers)


def test_a_training_goes_on_from_a_network_of_its_own_architecture_only(tmp_path: Path) -> None:
    from unflat.recon.errors import DataError
    from unflat.recon.io.network_file import Network, write
    from unflat.recon.optimize.training_run import first_weights

    small, other = CrystalDenoiser((8, 16), (1, 1)), CrystalDenoiser((8,), (1,))
    given = {name: array.astype(np.float16).astype(np.float32) for name, array in small.initialise(0).items()}
    write(Network("crystal", small.constants(), given), tmp_path / "network.h5")
    name = str(tmp_path / "network.h5")
    found = first_weights(name, "crystal", small.constants())
    assert found is not None
    assert first_weights(None, "crystal", small.constants()) is None
    np.testing.assert_array_equal(found["in.w"], given["in.w"])
    with pytest.raises(DataError, match="another architecture") as refused:
        first_weights(name, "crystal", other.constants())
    assert "network.widths=[8, 16]" in refused.value.faults[0].remedy
