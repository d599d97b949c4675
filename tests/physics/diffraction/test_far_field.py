"""Far field of a density: identities, symmetries and likelihoods."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.diffraction.far_field import chi_rms, deviance, far_field, fftshift3, ifftshift3, intensity
from unflat.physics.psf import gaussian_transfer

SHAPE = (10, 12, 15)
widths = st.tuples(*[st.floats(0.0, 1.2)] * 3)


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def noise(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def spots(seed: int) -> np.ndarray:
    """Intensities of a large dynamic range."""
    return np.exp(np.random.default_rng(seed).normal(0, 3, SHAPE))


@pytest.mark.parametrize("shape", [(4, 5, 6), (7, 7, 8), (2, 4, 5, 6)])
def test_the_centre_is_n_half_in_files_and_0_in_fft_order(shape: tuple[int, ...]) -> None:
    marked = np.zeros(shape)
    marked[..., shape[-3] // 2, shape[-2] // 2, shape[-1] // 2] = 1
    for array in (marked, jnp.asarray(marked)):
        corner = ifftshift3(array)
        assert np.all(corner[..., 0, 0, 0] == 1)
        assert type(fftshift3(corner)) is type(array)
        np.testing.assert_array_equal(fftshift3(corner), marked)


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_parseval(seed: int) -> None:
    density = noise(seed)
    counts = intensity(jnp.asarray(density))
    assert np.sum(counts) == pytest.approx(density.size * np.sum(np.abs(density) ** 2))


def test_the_far_field_is_the_sum_with_a_minus_sign() -> None:
    density, (z, y, x) = noise(0), np.indices(SHAPE)
    result = np.asarray(far_field(jnp.asarray(density)))
    for q in ((0, 0, 0), (1, 0, 0), (2, 3, 14), (9, 6, 1)):
        turns = q[0] * z / SHAPE[0] + q[1] * y / SHAPE[1] + q[2] * x / SHAPE[2]
        assert result[q] == pytest.approx(np.sum(density * np.exp(-2j * np.pi * turns)))


def test_friedel_pairs_are_equal_for_a_real_density_only() -> None:
    def mates(density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        counts = np.asarray(intensity(jnp.asarray(density.astype(complex))))
        return counts, np.roll(counts[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))

    np.testing.assert_allclose(*mates(noise(1).real), rtol=1e-9)
    plus, minus = mates(noise(1))
    assert not np.allclose(plus, minus, rtol=0.1)


@given(st.tuples(*[st.integers(-20, 20)] * 3), st.floats(-4, 4))
@settings(max_examples=10, deadline=None)
def test_shift_phase_and_twin_leave_the_intensity(shift: tuple[int, int, int], phase: float) -> None:
    density = noise(2)
    twin = np.roll(np.conj(density[::-1, ::-1, ::-1]), 1, axis=(0, 1, 2))
    counts = intensity(jnp.asarray(density))
    for other in (np.roll(density, shift, axis=(0, 1, 2)), density * np.exp(1j * phase), twin):
        np.testing.assert_allclose(intensity(jnp.asarray(other)), counts, rtol=1e-9, atol=1e-9)


@given(st.tuples(*[st.integers(-5, 5)] * 3))
@settings(max_examples=10, deadline=None)
def test_a_ramp_of_phase_moves_the_peak(shift: tuple[int, int, int]) -> None:
    density = noise(3)
    grid = np.meshgrid(*(np.arange(n) / n for n in SHAPE), indexing="ij")
    ramp = np.exp(2j * np.pi * sum(s * g for s, g in zip(shift, grid, strict=True)))
    moved = np.roll(intensity(jnp.asarray(density)), shift, axis=(0, 1, 2))
    np.testing.assert_allclose(intensity(jnp.asarray(density * ramp)), moved, rtol=1e-8, atol=1e-8)


def test_a_batch_is_its_members() -> None:
    batch, transfer = noise(4, (3, *SHAPE)), gaussian_transfer(SHAPE, jnp.array([0.3, 0.5, 0.7]))
    together = intensity(jnp.asarray(batch), transfer, 2.0)
    for result, density in zip(together, batch, strict=True):
        np.testing.assert_allclose(result, intensity(jnp.asarray(density), transfer, 2.0), rtol=1e-9)


def test_the_model_is_differentiable_in_the_widths() -> None:
    density = jnp.asarray(noise(5))

    def weight(sigmas: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(intensity(density, gaussian_transfer(SHAPE, sigmas), 1.0) / 300))

    sigmas, step = jnp.array([0.4, 0.6, 0.2]), 1e-5
    slope = jax.grad(weight)(sigmas)
    for axis in range(3):
        d = step * jnp.eye(3)[axis]
        difference = (weight(sigmas + d) - weight(sigmas - d)) / (2 * step)
        assert slope[axis] == pytest.approx(float(difference), rel=1e-6)
    assert np.all(np.isfinite(jax.grad(weight)(jnp.zeros(3))))


def textbook_deviance(counts: np.ndarray, modelled: np.ndarray, weights: np.ndarray) -> float:
    modelled = np.maximum(modelled, 0.1)
    logarithm = np.log(np.where(counts > 0, counts, 1) / modelled)
    each = modelled - counts + np.where(counts > 0, counts * logarithm, 0)
    return float(2 * np.sum(weights * each) / np.sum(weights))


@given(st.integers(0, 1000), st.floats(0.01, 1e6))
@settings(max_examples=20, deadline=None)
def test_the_deviance_is_that_of_the_definition(seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    modelled, weights = level * spots(seed), (rng.random(SHAPE) < 0.8).astype(float)
    counts = rng.poisson(np.minimum(modelled, 1e12)).astype(float)
    result = deviance(jnp.asarray(counts), jnp.asarray(modelled), jnp.asarray(weights))
    assert result == pytest.approx(textbook_deviance(counts, modelled, weights), rel=1e-6, abs=1e-9)


def test_the_deviance_of_perfect_counting_is_1_in_single_precision_too() -> None:
    """Pixels of 1e8 counts lose no precision."""
    rng = np.random.default_rng(6)
    for level in (30.0, 1e4, 1e8):
        modelled = np.full((40, 40, 40), level, np.float32)
        counts = rng.poisson(modelled).astype(np.float32)
        result = deviance(*(jnp.asarray(a) for a in (counts, modelled, np.ones_like(counts))))
        assert result.dtype == jnp.float32
        assert result == pytest.approx(1, abs=0.03)


def test_the_slope_of_the_deviance_is_1_minus_i_over_c() -> None:
    counts, modelled = np.array([0.0, 1.0, 8.0, 1e6]), np.array([0.5, 3.0, 5.0, 1.1e6])
    cube = [jnp.asarray(a, jnp.float32).reshape(1, 2, 2) for a in (counts, modelled, np.ones(4))]
    slope = jax.grad(deviance, argnums=1)(*cube)
    np.testing.assert_allclose(slope.ravel(), 2 / 4 * (1 - counts / modelled), rtol=1e-5)


def test_masked_pixels_have_no_influence() -> None:
    counts, modelled = spots(7), spots(8)
    weights = (np.random.default_rng(9).random(SHAPE) < 0.6).astype(float)
    spoilt = np.where(weights > 0, counts, 1e9)
    for measure in (deviance, lambda i, c, w: chi_rms(jnp.sqrt(c), i, w)):
        arguments = [[jnp.asarray(a) for a in (c, modelled, weights)] for c in (counts, spoilt)]
        assert measure(*arguments[0]) == pytest.approx(float(measure(*arguments[1])))


def test_chi_rms_is_the_relative_error_of_the_amplitude() -> None:
    counts, weights = jnp.asarray(spots(10)), jnp.ones(SHAPE)
    assert chi_rms(jnp.sqrt(counts), counts, weights) == 0
    assert chi_rms(1.07 * jnp.sqrt(counts), counts, weights) == pytest.approx(0.07)
