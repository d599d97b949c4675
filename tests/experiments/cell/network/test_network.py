"""The cell's network: its units, its posterior mean and draws, and the specimens that it is trained on."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.experiments.cell.network import dataset as dataset_module
from unflat.recon.experiments.cell.network import objective as objective_module
from unflat.recon.experiments.cell.network.completion import Completion, spread_draws
from unflat.recon.experiments.cell.network.config import CellNetwork, CellTrain
from unflat.recon.experiments.cell.network.dataset import cell_dataset, depth_of, simulate_shard
from unflat.recon.experiments.cell.network.denoiser import CellDenoiser, Condition
from unflat.recon.experiments.cell.network.inputs import (
    INSTRUMENT_NUMBERS,
    TILE,
    network_spacing,
    scale_of,
    to_network_input,
)
from unflat.recon.experiments.cell.network.instruments import draw_instrument
from unflat.recon.experiments.cell.network.objective import CellObjective, augment, make_example
from unflat.recon.experiments.cell.network.specimens import Box, draw_absorption, draw_specimen
from unflat.recon.io.network_file import Network, write
from unflat.recon.metrics.missing_cone import Aperture
from unflat.recon.networks.weights import named_weights
from unflat.recon.optimize.simulated_dataset import WorkerPool

APERTURE = Aperture(532e-9, 1.333, 0.58, 0.65)
SPACING = (0.6e-6, 0.2e-6, 0.2e-6)
SORTS = ("beads", "filaments")
SEED = 3
"""Seed of the data sets."""


def smooth_contrast(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Draw a contrast of low frequencies, mostly positive, about 0.01."""
    z, y, x = (2 * np.pi * (np.arange(n) + 0.5) / n for n in shape)
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, 3)
    waves = np.cos(z + phase[0])[:, None, None] * np.cos(2 * y + phase[1])[:, None] * np.cos(x + phase[2])
    return (0.01 * (1 + waves)).astype(np.float32)


def identity() -> CellDenoiser:
    """Build a network whose estimate is its input."""
    denoiser = CellDenoiser((8, 16), (1, 1), seed=0)
    for layer in (denoiser.unet.out, denoiser.skips):
        layer.kernel.set_value(jnp.zeros_like(layer.kernel[...]))
    return denoiser


def shipped_gains(shard: Any, depth: int) -> list[float]:
    """[dB] Gains of the shipped network's posterior mean over the begun fit."""
    denoiser, gains = Completion.load("shipped").denoiser, list[float]()
    estimate = jax.jit(denoiser.estimate)
    for i in range(len(shard["truths"])):
        begun, inside, numbers, truth = (np.asarray(part)[None] for part in make_example(shard, i, 0, depth)[:4])
        mean = np.asarray(estimate(begun, jnp.zeros(1), Condition(*map(jnp.asarray, (begun, inside, numbers)))))
        gains.append(10 * float(np.log10(((begun - truth) ** 2).sum() / ((mean - truth) ** 2).sum())))
    return gains


@pytest.fixture(scope="module")
def completion() -> Completion:
    return Completion(CellDenoiser((8, 16), (1, 1), seed=0), steps=2)


class TestCompletion:
    def test_a_network_that_changes_nothing_gives_its_input_back(self) -> None:
        contrast = smooth_contrast((15, 2 * TILE, 40))  # In tiles.
        mean = Completion(identity()).mean(contrast, SPACING, APERTURE, is_fit=True)
        assert mean.shape == contrast.shape
        np.testing.assert_allclose(mean, contrast, atol=2e-4)

    def test_the_mean_is_on_the_grid_of_the_answer_and_an_empty_one_is_possible(self, completion: Completion) -> None:
        contrast = smooth_contrast((11, 24, 30))
        mean = completion.mean(contrast, SPACING, APERTURE, is_fit=True)
        assert mean.shape == contrast.shape
        assert np.abs(mean - contrast).max() > 1e-4
        assert np.all(np.isfinite(completion.mean(np.zeros_like(contrast), SPACING, APERTURE, is_fit=True)))

    def test_draws_follow_from_the_seed_and_deviate_as_the_network_estimates(self, completion: Completion) -> None:
        contrast, steps = smooth_contrast((11, 24, 30)), list[int]()
        two = completion.draws(contrast, SPACING, APERTURE, 2, 5, steps.append, is_fit=True)
        again, other = (completion.draws(contrast, SPACING, APERTURE, 2, seed, is_fit=True) for seed in (5, 6))
        assert steps == [1, 2, 3, 4]
        assert two.shape == (2, *contrast.shape)
        np.testing.assert_array_equal(two, again)
        assert np.abs(two[0] - two[1]).max() > 1e-5
        assert np.abs(two - other).max() > 1e-5

    def test_draws_are_stretched_to_a_spread_about_the_mean(self) -> None:
        rng = np.random.default_rng(0)
        draws = 3 + 0.1 * rng.normal(size=(200, 6, 6, 6)).astype(np.float32)
        spread = np.full((6, 6, 6), 0.3, np.float32)
        stretched = spread_draws(draws, np.ones((6, 6, 6), np.float32), spread)
        np.testing.assert_allclose(stretched.mean(axis=0), 1, atol=1e-4)
        np.testing.assert_allclose(stretched.std(axis=0, ddof=1).mean(), 0.3, rtol=0.03)
        assert np.all(np.isfinite(spread_draws(np.ones((2, 6, 6, 6)), np.ones((6, 6, 6)), spread)))

    def test_a_file_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        denoiser = CellDenoiser((8,), (1,), seed=0)
        weights = named_weights(denoiser)
        for kind in ("cell", "shape"):
            write(Network(kind, denoiser.constants(), weights), tmp_path / f"{kind}.h5")
        assert Completion.load(str(tmp_path / "cell.h5")).denoiser.widths == (8,)
        with pytest.raises(DataError, match="for a shape, not for a cell"):
            Completion.load(str(tmp_path / "shape.h5"))


class TestUnits:
    def test_the_voxel_is_tied_to_the_apertures_and_the_scale_to_the_specimen(self) -> None:
        assert network_spacing(APERTURE)[1] == pytest.approx(532e-9 / (0.65 + 0.58) / 2)
        small, large = (np.zeros((12, n, n), np.float32) for n in (20, 60))
        for values in (small, large):
            values[5:7, 8:12, 8:12] = -0.02
            assert scale_of(values) == pytest.approx(0.02)
        doubled = Aperture(2 * 532e-9, 1.333, 0.58, 0.65)
        twice: Any = tuple(2 * d for d in SPACING)
        one = to_network_input(small, SPACING, APERTURE, 4, is_fit=True)
        two = to_network_input(small, twice, doubled, 4, is_fit=True)
        np.testing.assert_allclose(one.contrast, two.contrast)
        np.testing.assert_allclose(one.instrument, two.instrument, atol=1e-5)
        assert np.all(np.array(one.contrast.shape) % 4 == 0)
        assert len(one.instrument) == INSTRUMENT_NUMBERS

    def test_the_estimate_ignores_noise_at_the_start_and_is_zero_outside_the_box(self) -> None:
        rng = np.random.default_rng(0)
        contrast, one, two = (jnp.asarray(rng.normal(size=(1, 8, 8, 8)), jnp.float32) for _ in range(3))
        inside = jnp.ones((1, 8, 8, 8)).at[:, :2].set(0)
        condition = Condition(contrast, inside, jnp.zeros((1, INSTRUMENT_NUMBERS)))
        estimate = jax.jit(CellDenoiser((8,), (1,), seed=1).estimate)
        first, second = (estimate(noisy, jnp.zeros(1), condition) for noisy in (one, two))
        np.testing.assert_array_equal(first, second)
        assert not np.any(first[:, :2])
        assert np.any(estimate(one, jnp.full(1, 0.5), condition) != estimate(two, jnp.full(1, 0.5), condition))


def _is_condenser(shard: int) -> bool:
    """Whether the instrument of a shard has a condenser."""
    rng = np.random.default_rng([SEED, shard])
    slices = depth_of(shard) - int(rng.integers(7))
    return draw_instrument(rng, slices).illumination.weights.shape[1] > 1


def test_absorption_leaves_the_index_as_it_is_and_some_bodies_clear() -> None:
    rng = np.random.default_rng(0)
    specimen = draw_specimen(rng, "beads", Box(8e-6, 8e-6, 0.3e-6))
    stained = draw_absorption(rng, specimen)
    assert [body.index for body in stained.bodies] == [body.index for body in specimen.bodies]
    absorption = [body.absorption for body in stained.bodies]
    contrast = max(abs(body.index - specimen.medium_index) for body in specimen.bodies)
    assert 0 < max(absorption) <= 0.25 * contrast
    assert min(absorption) == 0


@pytest.fixture
def one_instrument(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all shards of number 0 have one instrument, of an absorbing specimen, and keep its programs."""
    monkeypatch.setattr(dataset_module, "_ABSORBING", 1.0)
    monkeypatch.setattr(objective_module, "_VALIDATION_SEED", SEED)
    monkeypatch.setattr(jax, "clear_caches", lambda: None)


@pytest.mark.usefixtures("one_instrument")
class TestTraining:
    def test_begun_fits_are_nearer_the_truth_than_linear_answers_and_the_network_than_both(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dataset_module, "STEPS", (25,))
        shard = simulate_shard(SEED, SORTS, 2, 0)
        assert shard is not None
        assert shard["inputs"].shape == shard["truths"].shape
        assert shard["inputs"].shape[2] <= depth_of(0)
        pairs = ((shard["inputs"][:, source], shard["truths"][:, source]) for source in (0, 1))
        begun, linear = (
            [np.corrcoef(*map(np.ravel, each))[0, 1] for each in zip(*pair, strict=True)] for pair in pairs
        )
        assert min(linear) > 0.2
        assert np.all(np.greater(begun, linear))
        np.testing.assert_array_equal(shard["numbers"][:, :, -1], [[1, 0]] * 2)
        assert np.median(shipped_gains(shard, depth_of(0))) > 0.2

    def test_specimens_under_a_condenser_have_linear_answers_alone(self) -> None:
        number = next(i for i in range(200) if _is_condenser(i))
        shard, again = (simulate_shard(SEED, SORTS, 1, number) for _ in range(2))
        assert shard is not None
        assert again is not None
        np.testing.assert_array_equal(shard["inputs"][:, 0], shard["inputs"][:, 1])
        assert not np.any(shard["numbers"][:, :, -1])
        for name, array in shard.items():
            np.testing.assert_array_equal(array, again[name])

    def test_a_mirrored_example_is_the_same_specimen(self) -> None:
        rng = np.random.default_rng(0)
        truth = rng.normal(size=(1, 1, 6, 8, 8)).astype(np.float16)
        arrays = {"inputs": truth, "truths": 2 * truth, "numbers": np.zeros((1, 1, INSTRUMENT_NUMBERS))}
        example = make_example(arrays, 0, 0, 8)
        assert example.truth.shape == example.inside.shape == (8, 8, 8)
        assert example.inside.sum() == 6 * 64
        changed = [augment(rng, example) for _ in range(8)]
        for one in changed:
            np.testing.assert_allclose(one.truth, 2 * one.contrast, atol=1e-5)  # The sign is that of both.
            # What is divided by a larger scale is fainter, and the strength that is told is larger.
            factor = np.abs(one.contrast).max() / np.abs(example.contrast).max()
            assert one.numbers[5] == pytest.approx(-np.log10(factor) / 2, abs=1e-4)
        assert len({float(one.contrast[1, 0, 0]) for one in changed}) > 4

    def test_an_objective_makes_batches_and_judges_learned_and_left_out_sorts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dataset_module, "SHARD", 2)
        monkeypatch.setattr(dataset_module, "STEPS", (1,))
        monkeypatch.setattr(objective_module, "_VALIDATION_SHARDS", 1)
        left_out = ("cell", "cluster", "bacteria", "diatom", "tissue")
        settings = CellTrain(batch=2, trials=2, left_out=left_out, precision="float32")
        dataset = cell_dataset(tmp_path, SEED, settings, shards=1)
        dataset.make(0)
        workers = WorkerPool.__new__(WorkerPool)  # Without processes.
        network = CellNetwork(widths=(8, 16), blocks=(1, 1))
        objective = CellObjective(network, settings, SEED, dataset, workers, lambda: None)
        batch, again = objective.batch(0), objective.batch(0)
        assert batch is not None
        assert again is not None
        for one, other in zip(batch, again, strict=True):
            np.testing.assert_array_equal(one, other)
        assert batch[0].shape == (2, depth_of(0), 48, 48)
        loss, numbers = jax.jit(objective.loss)(identity(), tuple(map(jnp.asarray, batch)), jax.random.key(0))
        assert np.isfinite(float(loss))
        assert float(numbers["error"]) > 0
        calls = iter(range(1000))
        assert objective.validate(identity(), lambda: "enough" if next(calls) > 3 else None) is None  # In a fit.
        assert next(calls) < 7
        validation = objective.validate(identity(), lambda: None)
        assert validation is not None
        assert validation["held_out_gain"] == pytest.approx(0, abs=1e-3)  # The begun fit itself.
        assert validation["left_out_gain"] == pytest.approx(0, abs=1e-3)
        assert validation["held_out_gain_linear"] == pytest.approx(0, abs=1e-3)
        assert 0 <= validation["held_out_coverage"] <= 1
