"""Layers, the archive of weights, networks written by former versions, and the training loop."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import ndimage

from unflat.recon.errors import DataError
from unflat.recon.experiments.crystal.network import flow as crystal_flow
from unflat.recon.experiments.crystal.network.denoiser import CrystalDenoiser, PatternBatch
from unflat.recon.experiments.shape.network import flow as shape_flow
from unflat.recon.experiments.shape.network.denoiser import ShapeDenoiser
from unflat.recon.experiments.shape.network.inputs import to_network_input
from unflat.recon.io import network_file
from unflat.recon.io.inspect import describe
from unflat.recon.io.seal import is_intact, write_seal
from unflat.recon.networks.layers import (
    GROUPS,
    Convolution,
    Linear,
    convolve,
    convolve_planes,
    depth_to_space,
    group_norm,
    space_to_depth,
)
from unflat.recon.networks.unet import UNet, UNetSize
from unflat.recon.networks.weights import load_network, load_weights, named_weights, with_self_test
from unflat.recon.optimize.network_trainer import NetworkTrainer
from unflat.recon.optimize.train_settings import TrainSettings
from unflat.recon.optimize.trainer import Callbacks, state_from_arrays, state_to_arrays
from unflat.recon.runs import Status
from unflat.recon.runs.checkpoint import Checkpoint

DATA = Path(__file__).parent / "data"
"""A network and samples of networks, written by the version before networks were flax modules."""
SIZE = UNetSize(inputs=3, outputs=2, conditions=4, widths=(8, 16), blocks=(1, 1), condition_width=8)


def small_unet(seed: int) -> UNet:
    """Build a small network."""
    return UNet(SIZE, np.random.default_rng(seed))


def normal(*shape: int, seed: int = 0) -> jax.Array:
    """Draw normal numbers."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


class TestLayers:
    def test_unfolding_undoes_folding_and_keeps_neighbours_together(self) -> None:
        values = normal(2, 8, 4, 12, 3)
        coarse = space_to_depth(values, 4)
        assert coarse.shape == (2, 2, 1, 3, 192)
        np.testing.assert_array_equal(depth_to_space(coarse, 4), values)
        np.testing.assert_allclose(coarse[0, 1, 0, 2].sum(), values[0, 4:, :, 8:].sum(), rtol=1e-4)

    def test_a_convolution_is_the_correlation_with_its_weights(self) -> None:
        values, layer = normal(1, 6, 5, 7, 8), Convolution(8, 3, np.random.default_rng(1))
        layer.bias.set_value(jnp.arange(8, dtype=jnp.float32))
        kernel = np.asarray(layer.kernel[...])
        channels = [
            sum(ndimage.correlate(values[0, ..., i], kernel[..., i, o], mode="constant") for i in range(8)) + o
            for o in range(8)
        ]
        np.testing.assert_allclose(layer(values)[0], np.stack(channels, axis=-1), atol=1e-4)

    def test_a_convolution_by_planes_is_the_convolution(self) -> None:
        values, kernel = normal(2, 6, 5, 7, 3), normal(3, 3, 3, 3, 4, seed=1)
        np.testing.assert_allclose(convolve_planes(values, kernel), convolve(values, kernel), atol=1e-4)

    def test_layers_in_float32_are_those_of_flax(self) -> None:
        linear, convolution = Linear(3, 5, np.random.default_rng(2)), Convolution(4, 2, np.random.default_rng(3))
        values, plane = normal(7, 3), normal(2, 6, 5, 4)
        np.testing.assert_allclose(linear(values), nnx.Linear.__call__(linear, values), atol=1e-6)
        np.testing.assert_allclose(convolution(plane), nnx.Conv.__call__(convolution, plane), atol=1e-5)

    def test_group_normalisation_is_that_of_flax(self) -> None:
        values = 5 + 3 * normal(2, 4, 4, 4, 16)
        reference = nnx.GroupNorm(16, GROUPS, epsilon=1e-5, use_bias=False, use_scale=False, rngs=nnx.Rngs(0))
        normalised = np.asarray(group_norm(values))
        np.testing.assert_allclose(normalised, reference(values), atol=1e-4)
        groups = normalised.reshape(2, -1, 8, 2)
        np.testing.assert_allclose(groups.mean(axis=(1, 3)), 0, atol=1e-5)
        np.testing.assert_allclose(groups.std(axis=(1, 3)), 1, atol=1e-3)


class TestUNet:
    def test_its_weights_follow_from_the_seed(self) -> None:
        first, second, other = (named_weights(small_unet(seed)) for seed in (3, 3, 4))
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[name], second[name]) for name in first)
        assert any(not np.array_equal(first[name], array) for name, array in other.items())

    def test_every_weight_changes_the_output(self) -> None:
        def output(network: UNet) -> jax.Array:
            return jnp.sum(network(normal(2, 8, 8, 8, 3), network.embed(normal(2, 4, seed=2))) ** 2)

        gradient = named_weights(jax.jit(jax.grad(output))(small_unet(0)))
        silent = [name for name, slope in gradient.items() if not np.any(slope)]
        # A bias before a normalisation of its group changes nothing if the group is one channel; here: 1 or 2.
        assert all(name.endswith("first.bias") for name in silent)

    @pytest.mark.parametrize(("widths", "blocks"), [((8, 16), (1,)), ((), ()), ((8, 12), (1, 1))])
    def test_impossible_sizes_are_refused(self, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="width"):
            UNetSize(1, 1, 1, widths, blocks)


class TestFile:
    def test_the_file_gives_the_network_back(self, tmp_path: Path) -> None:
        network = network_file.Network("crystal", {"widths": [8]}, named_weights(small_unet(0)), {"seed": 7})
        network_file.write(network, tmp_path / "network.h5")
        again = network_file.read(tmp_path, "crystal")  # The folder of a run stands for the file in it.
        assert (again.constants, again.provenance) == ({"widths": [8]}, {"seed": 7})
        assert again.weights.keys() == network.weights.keys()
        for name, array in network.weights.items():
            np.testing.assert_allclose(again.weights[name], array, rtol=1e-3, atol=1e-6)

    def test_constants_and_weights_that_are_not_the_architecture_s_are_refused(self) -> None:
        denoiser = ShapeDenoiser((8,), (1,), seed=0)
        constants, weights = denoiser.constants(), named_weights(denoiser)
        again = load_network(network_file.Network("shape", constants, weights), ShapeDenoiser)
        for name, array in named_weights(again).items():
            np.testing.assert_array_equal(array, weights[name])
        former = {name: value for name, value in constants.items() if name != "codes"}
        with pytest.raises(DataError, match="codes is missing"):
            load_network(network_file.Network("shape", former, weights), ShapeDenoiser)
        with pytest.raises(DataError, match=r"not those of its architecture: unet\.input\.bias and 0 more"):
            load_weights(denoiser, weights | {"unet.input.bias": np.zeros(3)})

    def test_a_network_of_another_kind_or_with_infinite_weights_is_refused(self, tmp_path: Path) -> None:
        network = network_file.Network("shape", {}, named_weights(small_unet(0)))
        network_file.write(network, tmp_path / "network.h5")
        with pytest.raises(DataError, match="for a shape, not for a crystal"):
            network_file.read(tmp_path, "crystal")
        with pytest.raises(DataError, match="no such file"):
            network_file.read(tmp_path / "other.h5", "crystal")
        with pytest.raises(DataError, match="not finite"):
            network_file.write(network_file.Network("shape", {}, {"w": np.array([np.nan])}), tmp_path / "bad.h5")
        assert not (tmp_path / "bad.h5").exists()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network's file with the self-test that a training adds."""
    denoiser, path = ShapeDenoiser((8,), (1,), seed=0), tmp_path_factory.mktemp("tested") / "network.h5"
    network = network_file.Network("shape", denoiser.constants(), named_weights(denoiser))
    network_file.write(with_self_test(network, ShapeDenoiser), path)
    return path


class TestSelfTest:
    @pytest.fixture
    def path(self, original: Path, tmp_path: Path) -> Path:
        """A copy of that file."""
        return Path(shutil.copy(original, tmp_path))

    def test_a_changed_weight_is_noticed_though_the_seal_is_right(self, path: Path) -> None:
        load_network(network_file.read(path, "shape"), ShapeDenoiser)
        with h5py.File(path, "r+") as file:
            file["weights/unet.down.0.0.first.kernel"][1, 1, 2, 3] += 1
        write_seal(path)
        assert is_intact(path)
        assert "self-test: " in "".join(describe(path))
        with pytest.raises(
            DataError, match=r"network\.h5:/selftest: the network gives .* where it gave .*copy it again"
        ):
            load_network(network_file.read(path, "shape"), ShapeDenoiser)

    def test_a_file_of_an_earlier_version_is_loaded_without(self, path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file["selftest"]
            file["weights/unet.down.0.0.first.kernel"][1, 1, 2, 3] += 1
        load_network(network_file.read(path, "shape"), ShapeDenoiser)
        assert "no self-test: an earlier version wrote it" in "".join(describe(path))

    @pytest.mark.parametrize("values", [np.zeros(3, np.float32), np.full(512, np.nan, np.float32)])
    def test_values_that_are_none_of_a_self_test_are_refused(self, path: Path, values: np.ndarray) -> None:
        with h5py.File(path, "r+") as file:
            del file["selftest/values"]
            file["selftest/values"] = values
        with pytest.raises(DataError, match="/selftest"):
            load_network(network_file.read(path, "shape"), ShapeDenoiser)

    def test_other_weights_lose_the_self_test(self, path: Path) -> None:
        network = network_file.read(path, "shape")
        other = network_file.as_stored(replace(network, weights={k: 2 * w for k, w in network.weights.items()}))
        load_network(other, ShapeDenoiser)

    @pytest.mark.parametrize("kind", ["crystal", "shape"])
    def test_the_shipped_networks_have_one(self, kind: str) -> None:
        assert network_file.read("shipped", kind).self_test is not None
        assert is_intact(network_file.path_of("shipped", kind))


class TestFormerVersions:
    """Networks give the samples that they gave before they were flax modules."""

    @staticmethod
    def crystal_samples(network: network_file.Network) -> np.ndarray:
        """Draw a density for the pattern of a cut block, on every fourth voxel."""
        z, y, x = np.meshgrid(*[np.arange(32) - 16] * 3, indexing="ij")
        inside = (np.abs(z) <= 6) & (np.abs(y + 0.4 * x) <= 6) & (np.abs(x) <= 5) & (z + y + x < 8)
        density = (inside * np.exp(1j * (0.5 * np.sin(0.4 * z) + 0.03 * x * y))).astype(np.complex64)
        amplitude = np.abs(np.fft.fftn(np.fft.ifftshift(np.pad(density, 8)))).astype(np.float32)
        scalars = np.array([0.4, 0.0, 0.2, 0.2, 0.3], np.float32)
        pattern = PatternBatch(*(jnp.asarray(array)[None] for array in (amplitude, np.ones_like(amplitude), scalars)))
        parts = 0.5 * np.random.default_rng(0).normal(size=(2, 1, 32, 32, 32))
        noise = jnp.asarray(parts[0] + 1j * parts[1], jnp.complex64)
        denoiser = load_network(network, CrystalDenoiser)
        return np.asarray(crystal_flow.draw(denoiser, pattern, noise, 2))[:, ::4, ::4, ::4]

    def test_the_shipped_crystal_network_draws_the_same_densities(self) -> None:
        samples = self.crystal_samples(network_file.read("shipped", "crystal"))
        np.testing.assert_allclose(samples, np.load(DATA / "samples-before-nnx.npz")["crystal"], atol=1e-4)

    def test_a_file_with_former_names_of_weights_opens(self) -> None:
        network = network_file.read(DATA / "crystal-before-nnx.h5", "crystal")
        assert {"unet.input.kernel", "unet.up.0.0.tune.bias", "skips.kernel"} <= network.weights.keys()
        np.testing.assert_array_equal(network.statistics["reference"], [0, 1, 2])
        samples = self.crystal_samples(network)
        np.testing.assert_allclose(samples, np.load(DATA / "samples-before-nnx.npz")["small_crystal"], atol=1e-4)

    def test_weights_drawn_from_a_seed_are_the_same(self) -> None:
        former = network_file.read(DATA / "crystal-before-nnx.h5", "crystal").weights
        weights = named_weights(CrystalDenoiser((8, 8), (1, 1), seed=5))
        assert weights.keys() == former.keys()
        for name, array in weights.items():
            np.testing.assert_array_equal(array.astype(np.float16), former[name])

    def test_the_shipped_shape_network_draws_the_same_codes(self) -> None:
        y, x = np.mgrid[:64, :64] - 31.5
        image = np.exp(-(y**2 + (x + 4) ** 2) / 500) * (1 + 0.1 * np.sin(x / 3))
        picture = to_network_input(image, (np.hypot(y / 1.2, x + 3) < 17).astype(float))
        seen = np.stack([picture.channels(height) for height in (3.2, 3.5)])
        noise = jnp.asarray(np.random.default_rng(1).normal(size=(2, 16, 16, 16)), jnp.float32)
        denoiser = load_network(network_file.read("shipped", "shape"), ShapeDenoiser)
        samples = np.asarray(shape_flow.draw(denoiser, jnp.asarray(seen), noise, 2))[:, ::2, ::2, ::2]
        np.testing.assert_allclose(samples, np.load(DATA / "samples-before-nnx.npz")["shape"], atol=1e-4)


def test_commands_without_a_network_do_not_import_flax() -> None:
    modules = (
        "cli.main",
        "cli.fit",
        "cli.phase",
        "recon.optimize.fit",
        "recon.io.network_file",
        "recon.networks.settings",
    )
    lines = [f"import unflat.{name}" for name in modules]
    lines += ["import sys", "from unflat.recon.experiments import get_experiment"]
    lines += ["[get_experiment(kind) for kind in ('cell', 'crystal', 'shape')]", "assert 'flax' not in sys.modules"]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=120)


class Line:
    """Objective of a network of one number: the slope of a line through noisy points."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken

    def init(self, seed: int) -> dict[str, np.ndarray]:
        """Start from a flat line."""
        return {"slope": np.zeros(1, np.float32)}

    def batch(self, step: int) -> tuple[np.ndarray, ...]:
        """Draw points on the line."""
        x = np.random.default_rng(step).normal(size=16).astype(np.float32)
        return x, 3 * x

    def loss(self, network: dict[str, Any], batch: Any, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Compute the mean square error at the points."""
        x, y = batch
        noise = 0.01 * jax.random.normal(key, x.shape)
        error = jnp.mean((network["slope"] * x - y + noise) ** 2)
        return jnp.where(self.broken, jnp.nan, error), {"error": error}

    def validate(self, network: dict[str, Any], should_stop: Callable[[], str | None]) -> dict[str, float] | None:
        """Return the slope."""
        return {"slope": float(network["slope"][0])}


def train(settings: TrainSettings, stop_after: int | None = None, objective: Any = None) -> NetworkTrainer:
    """Train a line, and resume once from a checkpoint if the training is to stop."""
    trainer = NetworkTrainer(objective or Line(), settings, seed=1)
    saved: list[tuple[int, dict[str, np.ndarray]]] = []
    calls = iter(range(10**6))

    def should_stop() -> str | None:
        return "enough" if stop_after is not None and next(calls) >= stop_after else None

    def save_checkpoint(step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        saved.append((step, arrays))

    outcome = trainer.run(Callbacks(save_checkpoint=save_checkpoint, should_stop=should_stop))
    if outcome is Status.STOPPED:
        step, arrays = saved[-1]
        assert step == stop_after
        trainer = NetworkTrainer(Line(), settings, seed=1)
        trainer.restore(Checkpoint(step, arrays, {}))
        assert trainer.run(Callbacks()) is Status.COMPLETE
    return trainer


@cache
def whole() -> NetworkTrainer:
    """Train a line to the end."""
    return train(SETTINGS)


SETTINGS = TrainSettings(steps=120, learning_rate=0.1, warm_up=5, weight_decay=0, memory=0.9, judge_every=50)


class TestTraining:
    def test_a_training_learns_and_its_mean_follows(self) -> None:
        assert whole().validation["slope"] == pytest.approx(3, abs=0.05)

    def test_a_resumed_training_comes_to_the_same_numbers(self) -> None:
        parts = train(SETTINGS, stop_after=37)
        for a, b in zip(jax.tree.leaves(whole().state), jax.tree.leaves(parts.state), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_a_loss_that_is_not_finite_ends_the_training(self) -> None:
        with pytest.raises(DataError, match="no number any more at step 25"):
            train(SETTINGS, objective=Line(broken=True))

    def test_an_error_while_examples_are_made_is_raised(self) -> None:
        class Failing(Line):
            def batch(self, step: int) -> tuple[np.ndarray, ...]:
                raise DataError("the disk is full")

        with pytest.raises(DataError, match="the disk is full"):
            train(SETTINGS, objective=Failing())

    def test_a_training_stops_where_examples_were_given_up(self) -> None:
        class GivenUp(Line):
            def batch(self, step: int) -> Any:
                return super().batch(step) if step < 3 else None

        trainer = NetworkTrainer(GivenUp(), SETTINGS, seed=1)
        assert trainer.run(Callbacks()) is Status.STOPPED
        assert trainer.step == 3

    @pytest.mark.parametrize("step", [50, 120])
    def test_a_training_that_is_stopped_in_a_validation_goes_on_with_it(self, step: int) -> None:
        class Stopping(Line):
            reason: str | None = None

            def validate(self, network: Any, should_stop: Callable[[], str | None]) -> dict[str, float] | None:
                self.reason = "enough" if trainer.step == step else None
                return None if should_stop() else super().validate(network, should_stop)

        objective, saved, rows = Stopping(), list[Checkpoint](), list[tuple[int, dict[str, float]]]()
        trainer = NetworkTrainer(objective, SETTINGS, seed=1)
        callbacks = Callbacks(
            save_checkpoint=lambda *parts: saved.append(Checkpoint(*parts)),
            should_stop=lambda: objective.reason,
            stop_reason=lambda: objective.reason,
        )
        assert trainer.run(callbacks) is Status.STOPPED
        assert (trainer.step, len(saved)) == (step, 1)
        trainer = NetworkTrainer(Line(), SETTINGS, seed=1)
        trainer.restore(saved[0])
        assert trainer.run(Callbacks(lambda *row: rows.append(row))) is Status.COMPLETE
        validated = [number for number, metrics in rows if "slope" in metrics]
        assert validated == [number for number in (50, 100, 120) if number >= step]
        assert trainer.validation == whole().validation


class TestNamedStates:
    """States of optimisers are saved and restored by names."""

    def test_names_are_paths_and_their_order_does_not_matter(self) -> None:
        trainer = whole()
        arrays = state_to_arrays(trainer.state)
        assert {"state/network/slope", "state/mean/slope", "state/step"} <= arrays.keys()
        assert any(name.startswith("state/optimiser/") and name.endswith("/nu/slope") for name in arrays)
        shuffled = dict(sorted(arrays.items(), reverse=True))
        again = state_from_arrays(NetworkTrainer(Line(), SETTINGS, seed=1).state, shuffled)
        for a, b in zip(jax.tree.leaves(trainer.state), jax.tree.leaves(again), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_two_arrays_of_one_shape_are_not_exchanged(self) -> None:
        state = {"a": jnp.zeros(2), "b": jnp.ones(2)}
        again = state_from_arrays({"b": jnp.zeros(2), "a": jnp.zeros(2)}, state_to_arrays(state))
        np.testing.assert_array_equal(again["b"], 1)

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"state/network/slope": np.zeros(2)}, "state/network/slope is 2 in it, and 1 here"),
            ({"state/network/slope": None}, "state/network/slope is missing in it, and 1 here"),
            ({"state/network/offset": np.zeros((2, 3))}, "state/network/offset is 2x3 in it, and missing here"),
        ],
    )
    def test_a_checkpoint_of_another_state_is_refused(self, change: dict[str, Any], expected: str) -> None:
        arrays = state_to_arrays(NetworkTrainer(Line(), SETTINGS, seed=1).state) | change
        checkpoint = Checkpoint(0, {name: array for name, array in arrays.items() if array is not None}, {})
        with pytest.raises(DataError, match=f"{expected}; start anew with --force"):
            NetworkTrainer(Line(), SETTINGS, seed=1).restore(checkpoint)

    def test_a_checkpoint_by_position_is_refused(self) -> None:
        leaves = jax.tree.leaves(NetworkTrainer(Line(), SETTINGS, seed=1).state)
        arrays = {f"state/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        with pytest.raises(DataError, match="another version of the code"):
            NetworkTrainer(Line(), SETTINGS, seed=1).restore(Checkpoint(0, arrays, {}))
