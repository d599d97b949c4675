"""Layers are what they are called, a network's file gives it back, and a training learns, goes on, and says no."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from unflat.recon.errors import DataError
from unflat.recon.experiments.shape.network.denoiser import ShapeDenoiser
from unflat.recon.io import network_file
from unflat.recon.networks.architecture import built
from unflat.recon.networks.layers import at_once, by_planes, convolution, depth_to_space, group_norm, space_to_depth
from unflat.recon.networks.unet import UNet
from unflat.recon.optimize.train_settings import TrainSettings
from unflat.recon.optimize.trainer import Trainer, TrainingCallbacks
from unflat.recon.runs.checkpoint import Checkpoint

SMALL = UNet(inputs=3, outputs=2, conditions=4, widths=(8, 16), blocks=(1, 1), width_of_conditions=8)


def drawn(*shape: int, seed: int = 0) -> jax.Array:
    """Random numbers."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_unfolding_undoes_folding_and_keeps_neighbours_together() -> None:
    values = drawn(2, 8, 4, 12, 3)
    coarse = space_to_depth(values, 4)
    assert coarse.shape == (2, 2, 1, 3, 192)
    np.testing.assert_array_equal(depth_to_space(coarse, 4), values)
    np.testing.assert_allclose(coarse[0, 1, 0, 2].sum(), values[0, 4:, :, 8:].sum(), rtol=1e-4)


def test_a_convolution_is_the_correlation_with_its_weights() -> None:
    values, weights = drawn(1, 6, 5, 7, 2), drawn(3, 3, 3, 2, 4, seed=1)
    parameters = {"c.w": weights, "c.b": jnp.arange(4, dtype=jnp.float32)}
    found = convolution(parameters, "c", values)
    channels = [
        sum(ndimage.correlate(values[0, ..., i], weights[..., i, o], mode="constant") for i in range(2)) + o
        for o in range(4)
    ]
    np.testing.assert_allclose(found[0], np.stack(channels, axis=-1), atol=1e-4)


def test_both_ways_to_convolve_are_one() -> None:
    values, weights = drawn(2, 6, 5, 7, 3), drawn(3, 3, 3, 3, 4, seed=1)
    np.testing.assert_allclose(by_planes(values, weights), at_once(values, weights), atol=1e-4)


def test_normalised_values_have_mean_0_and_variance_1_in_each_group() -> None:
    values = 5 + 3 * drawn(2, 4, 4, 4, 16)
    groups = np.asarray(group_norm(values)).reshape(2, -1, 8, 2)
    np.testing.assert_allclose(groups.mean(axis=(1, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(groups.std(axis=(1, 3)), 1, atol=1e-3)


def test_a_network_follows_from_its_seed() -> None:
    first, second = SMALL.initialise(3), SMALL.initialise(3)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert any(not np.array_equal(first[name], array) for name, array in SMALL.initialise(4).items())


def test_every_weight_of_a_network_moves_its_answer() -> None:
    parameters = {name: jnp.asarray(array) for name, array in SMALL.initialise(0).items()}

    def answer(parameters: dict[str, jax.Array]) -> jax.Array:
        told = SMALL.conditioned(parameters, drawn(2, 4, seed=2))
        return jnp.sum(SMALL.apply(parameters, drawn(2, 8, 8, 8, 3), told) ** 2)

    gradient = jax.jit(jax.grad(answer))(parameters)
    silent = [name for name, slope in gradient.items() if not np.any(np.asarray(slope))]
    # A bias before a normalisation of its group moves nothing if the group is one channel; here groups have 1 or 2.
    assert all(name.endswith("first.b") for name in silent)


@pytest.mark.parametrize(("widths", "blocks"), [((8, 16), (1,)), ((), ()), ((8, 12), (1, 1))])
def test_a_network_that_cannot_be_is_refused(widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="width"):
        UNet(1, 1, 1, widths, blocks)


def test_the_file_gives_the_network_back(tmp_path: Path) -> None:
    network = network_file.Network("crystal", {"widths": [8]}, SMALL.initialise(0), {"seed": 7})
    network_file.write(network, tmp_path / "network.h5")
    found = network_file.read(tmp_path, "crystal")  # The folder of a run stands for the file in it.
    assert (found.constants, found.provenance) == ({"widths": [8]}, {"seed": 7})
    for name, array in network.weights.items():
        np.testing.assert_allclose(found.weights[name], array, rtol=1e-3, atol=1e-6)


def test_a_network_that_does_not_tell_all_of_its_architecture_is_refused() -> None:
    denoiser = ShapeDenoiser((8,), (1,))
    known = denoiser.constants()
    weights = denoiser.initialise(0)
    assert built(network_file.Network("shape", known, weights), ShapeDenoiser) == denoiser
    former = {name: value for name, value in known.items() if name != "codes"}
    with pytest.raises(DataError, match="codes is not told"):
        built(network_file.Network("shape", former, weights), ShapeDenoiser)


def test_a_network_of_another_kind_or_without_end_is_refused(tmp_path: Path) -> None:
    network = network_file.Network("shape", {}, SMALL.initialise(0))
    network_file.write(network, tmp_path / "network.h5")
    with pytest.raises(DataError, match="for a shape, not for a crystal"):
        network_file.read(tmp_path, "crystal")
    with pytest.raises(DataError, match="no such file"):
        network_file.read(tmp_path / "other.h5", "crystal")
    with pytest.raises(DataError, match="not finite"):
        network_file.write(network_file.Network("shape", {}, {"w": np.array([np.nan])}), tmp_path / "bad.h5")
    assert not (tmp_path / "bad.h5").exists()


class Line:
    """A task: find the slope of a line through noisy points."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken

    def initialise(self, seed: int) -> dict[str, np.ndarray]:
        return {"slope": np.zeros(1, np.float32)}

    def batch(self, step: int) -> tuple[np.ndarray, ...]:
        x = np.random.default_rng(step).normal(size=16).astype(np.float32)
        return x, 3 * x

    def loss(self, parameters: dict[str, Any], batch: Any, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        x, y = batch
        noise = 0.01 * jax.random.normal(key, x.shape)
        missed = jnp.mean((parameters["slope"] * x - y + noise) ** 2)
        return jnp.where(self.broken, jnp.nan, missed), {"missed": missed}

    def judge(self, parameters: dict[str, Any]) -> dict[str, float]:
        return {"slope": float(parameters["slope"][0])}


def trained(settings: TrainSettings, stop_after: int | None = None, task: Any = None) -> Trainer:
    """Train a line, and go on once from a checkpoint if it is to stop."""
    training = Trainer(task or Line(), settings, seed=1)
    kept: list[tuple[int, dict[str, np.ndarray]]] = []
    asked = iter(range(10**6))

    def stop() -> str | None:
        return "enough" if stop_after is not None and next(asked) >= stop_after else None

    done = training.run(TrainingCallbacks(save=lambda step, arrays: kept.append((step, arrays)), stop=stop))
    if not done:
        step, arrays = kept[-1]
        assert step == stop_after
        training = Trainer(Line(), settings, seed=1)
        training.restore(Checkpoint(step, arrays, {}))
        assert training.run(TrainingCallbacks())
    return training


SETTINGS = TrainSettings(steps=120, learning_rate=0.1, warm_up=5, weight_decay=0, memory=0.9, judge_every=50)


def test_a_training_learns_and_its_mean_follows() -> None:
    training = trained(SETTINGS)
    assert training.judged["slope"] == pytest.approx(3, abs=0.05)


def test_a_training_that_goes_on_comes_to_the_same_numbers() -> None:
    whole, parts = trained(SETTINGS), trained(SETTINGS, stop_after=37)
    for a, b in zip(jax.tree.leaves(whole.state), jax.tree.leaves(parts.state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    with pytest.raises(DataError, match="no number any more at step 25"):
        trained(SETTINGS, task=Line(broken=True))


def test_what_fails_while_examples_are_made_is_raised() -> None:
    class Failing(Line):
        def batch(self, step: int) -> tuple[np.ndarray, ...]:
            raise DataError("the disk is full")

    with pytest.raises(DataError, match="the disk is full"):
        trained(SETTINGS, task=Failing())
