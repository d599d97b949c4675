"""Losses: zero at the truth, stationary in their gain, independent of masked pixels, equal near their minimum."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from unflat.recon.optimize import losses

Loss = Callable[..., jax.Array]
amplitude_loss, poisson_loss, field_loss = map(jax.jit, (losses.amplitude_loss, losses.poisson_loss, losses.field_loss))
best_gain = jax.jit(losses.best_gain, static_argnums=3)
LOSSES: dict[str, Loss] = {"amplitude": amplitude_loss, "poisson": poisson_loss, "field": field_loss}
every = pytest.mark.parametrize("statistics", LOSSES)


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def views(statistics: str, seed: int, spread: float = 0.3) -> tuple[jax.Array, jax.Array]:
    """Modelled and measured views."""
    rng = np.random.default_rng(seed)
    shape = (3, 8, 9)
    if statistics == "field":
        modelled = 1 + spread * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
        measured = modelled * np.exp(0.4j) + spread * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
    else:
        modelled = rng.uniform(1 - spread, 1 + spread, shape)
        measured = modelled * rng.uniform(1 - spread, 1 + spread, shape)
    return jnp.asarray(modelled), jnp.asarray(measured)


def some_mask(seed: int) -> jax.Array:
    return jnp.asarray((np.random.default_rng(seed).uniform(size=(3, 8, 9)) < 0.7).astype(float))


@every
def test_loss_of_the_truth_is_zero(statistics: str) -> None:
    """Up to the floor that keeps the loss of dark pixels finite."""
    modelled, _ = views(statistics, 0)
    np.testing.assert_allclose(LOSSES[statistics](modelled, modelled, None, None), 0, atol=1e-11)


@every
@pytest.mark.parametrize("masked", [False, True])
def test_best_gain_is_stationary_and_minimal(statistics: str, masked: bool) -> None:
    modelled, measured = views(statistics, 1)
    weights = some_mask(2) if masked else None
    gain = best_gain(modelled, measured, weights, statistics)
    loss = LOSSES[statistics]

    def total(log_gain: jax.Array) -> jax.Array:
        return jnp.sum(loss(modelled, measured, weights, gain * jnp.exp(log_gain).astype(gain.dtype)))

    assert np.all(np.abs(jax.jit(jax.grad(total))(jnp.zeros(3))) < 2e-6)
    for step in (-0.05, 0.05):
        worse = loss(modelled, measured, weights, gain * np.exp(step).astype(gain.dtype))
        assert np.all(worse > loss(modelled, measured, weights, gain))
    if statistics == "field":
        turned = loss(modelled, measured, weights, gain * np.exp(np.complex128(0.05j)))
        assert np.all(turned > loss(modelled, measured, weights, gain))


@every
@given(st.floats(0.1, 10), st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_gain_recovers_the_exposure(statistics: str, brightness: float, seed: int) -> None:
    modelled, _ = views(statistics, seed)
    factor = brightness * np.exp(0.7j) if statistics == "field" else brightness
    gain = best_gain(modelled, factor * modelled, None, statistics)
    np.testing.assert_allclose(gain, np.full(3, factor), rtol=1e-4)
    np.testing.assert_allclose(LOSSES[statistics](modelled, factor * modelled, None, gain), 0, atol=1e-9 * brightness)


@every
def test_masked_pixels_are_ignored(statistics: str) -> None:
    """Values of masked pixels have no influence, and the mean is over the good ones."""
    modelled, measured = views(statistics, 3)
    weights = some_mask(4)
    spoiled = jnp.where(weights > 0, measured, 1e3)
    loss = LOSSES[statistics]
    for gain in (None, best_gain(modelled, measured, weights, statistics)):
        clean = loss(modelled, measured, weights, gain)
        np.testing.assert_allclose(loss(modelled, spoiled, weights, gain), clean, rtol=1e-12)
    np.testing.assert_allclose(
        best_gain(modelled, spoiled, weights, statistics),
        best_gain(modelled, measured, weights, statistics),
        rtol=1e-12,
    )
    one = np.flatnonzero(np.asarray(weights[0]).ravel())[0]
    single = jnp.zeros(72).at[one].set(1.0).reshape(8, 9)
    only = loss(modelled[:1], measured[:1], single[None], None)
    pixel = tuple(array[0].ravel()[one].reshape(1, 1, 1) for array in (modelled, measured))
    np.testing.assert_allclose(only, loss(*pixel, None, None), rtol=1e-12)


@every
def test_a_fully_masked_view_has_zero_loss_and_gradient(statistics: str) -> None:
    modelled, measured = views(statistics, 5)
    loss = LOSSES[statistics]
    nothing = jnp.zeros(modelled.shape)
    for gain in (None, best_gain(modelled, measured, nothing, statistics)):
        np.testing.assert_array_equal(loss(modelled, measured, nothing, gain), 0)
    slope = jax.jit(jax.grad(lambda m: jnp.sum(loss(m.astype(measured.dtype), measured, nothing, None))))(modelled.real)
    np.testing.assert_array_equal(slope, 0)


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_poisson_and_amplitude_agree_near_their_minimum(seed: int) -> None:
    """Both are (d − m)²/4m to second order; they differ at the third."""
    ratios = []
    for spread in (0.02, 0.002):
        modelled, measured = views("poisson", seed, spread)
        amplitude, poisson = (f(modelled, measured, None, None) for f in (amplitude_loss, poisson_loss))
        expected = jnp.mean((measured - modelled) ** 2 / (4 * modelled), axis=(1, 2))
        np.testing.assert_allclose(amplitude, expected, rtol=2 * spread)
        ratios.append(np.abs(np.asarray(poisson / amplitude) - 1).max())
    assert ratios[0] < 0.01
    assert ratios[1] < 0.3 * ratios[0] + 1e-4


def test_poisson_deviance_of_counts_is_one_per_pixel() -> None:
    """The deviance 2 Σ(m − d + d ln(d/m)) is χ² with one degree of freedom a pixel; the loss is ¼ of it per photon."""
    photons = 200.0
    counts = np.random.default_rng(6).poisson(photons, (1, 300, 300)) / photons
    loss = float(poisson_loss(jnp.ones((1, 300, 300)), jnp.asarray(counts), None, None)[0])
    assert 4 * photons * loss == pytest.approx(1, rel=0.02)
    amplitude = float(amplitude_loss(jnp.ones((1, 300, 300)), jnp.asarray(counts), None, None)[0])
    assert 4 * photons * amplitude == pytest.approx(1, rel=0.02)


@every
def test_gradients_are_finite_in_the_dark(statistics: str) -> None:
    """A dark model, a dark measurement, or both."""
    bright, _ = views(statistics, 7)

    @jax.jit
    @jax.value_and_grad
    def loss(modelled: jax.Array, measured: jax.Array) -> jax.Array:
        gain = best_gain(modelled, measured, None, statistics)
        return jnp.sum(LOSSES[statistics](modelled, measured, None, gain))

    for modelled, measured in ((0 * bright, 0 * bright), (0 * bright, bright), (bright, 0 * bright)):
        value, slope = loss(modelled, measured)
        assert np.isfinite(value)
        assert np.all(np.isfinite(slope))


@every
def test_gradients_match_finite_differences(statistics: str) -> None:
    """At the best gain, whose own derivative drops out."""
    modelled, measured = views(statistics, 8)
    weights = some_mask(9)

    def loss(modelled: jax.Array) -> jax.Array:
        gain = best_gain(modelled, measured, weights, statistics)
        return jnp.sum(LOSSES[statistics](modelled, measured, weights, gain))

    slope = np.asarray(jax.jit(jax.grad(loss))(modelled))
    rng, step = np.random.default_rng(10), 1e-6
    way = rng.normal(size=modelled.shape)
    ahead, behind = (modelled + (sign * step * way).astype(modelled.dtype) for sign in (1, -1))
    difference = (loss(ahead) - loss(behind)) / (2 * step)
    assert np.sum(slope.real * way) == pytest.approx(float(difference), rel=1e-5, abs=1e-8)


def test_gradients_of_the_amplitude_loss_pass_check_grads() -> None:
    modelled, measured = views("amplitude", 11)
    check_grads(
        lambda m: amplitude_loss(jnp.asarray(m), measured, None, None), (modelled,), order=2, modes=["rev"], eps=1e-5
    )
