"""Point-spread functions: sums, variances, and agreement of all ways of convolution with each other and with scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from unflat.physics.psf import (
    WIDEST_SIGMA,
    convolve_gaussian,
    convolve_gaussian_exact,
    convolve_gaussian_open,
    convolve_kernel,
    convolve_transfer,
    gaussian_kernel,
    gaussian_matrix,
    gaussian_transfer,
    resample_kernel,
)

SHAPE = (10, 12, 15)
widths = st.tuples(*[st.floats(0.0, WIDEST_SIGMA)] * 3)


def spots(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(SHAPE) ** 12 * 1e4


@given(widths)
@settings(max_examples=20, deadline=None)
def test_the_gaussian_is_positive_and_has_its_sum_and_variance(sigmas: tuple[float, ...]) -> None:
    kernel = gaussian_kernel(sigmas)
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    assert all(n % 2 for n in kernel.shape)
    assert kernel.min() > 0
    for axis, sigma in enumerate(sigmas):
        across = kernel.sum(axis=tuple({0, 1, 2} - {axis}))
        n = np.arange(len(across)) - len(across) // 2
        assert np.sum(n * across) == pytest.approx(0, abs=1e-12)
        assert np.sum(n**2 * across) == pytest.approx(sigma**2, rel=1e-5, abs=1e-7)


def test_a_wide_gaussian_is_the_sampled_one() -> None:
    kernel = gaussian_kernel((4.0, 0.0, 0.0))[:, 0, 0]
    n = np.arange(len(kernel)) - len(kernel) // 2
    expected = np.exp(-(n**2) / 32) / np.sqrt(32 * np.pi)
    np.testing.assert_allclose(kernel, expected, atol=0.02 * expected.max())


@given(widths, st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_periodic_convolutions_agree_with_the_kernel_and_keep_the_counts(
    sigmas: tuple[float, float, float], seed: int
) -> None:
    """The kernel as a reader of a volume file would apply it: each tap, shifted round the edges."""
    counts, kernel = spots(seed), gaussian_kernel(sigmas)
    expected = np.zeros(SHAPE)
    for tap in np.ndindex(kernel.shape):
        shift = [t - n // 2 for t, n in zip(tap, kernel.shape, strict=True)]
        if kernel[tap] > 1e-13:
            expected += kernel[tap] * np.roll(counts, shift, axis=(0, 1, 2))
    with jax.enable_x64(True):
        by_fft = np.asarray(convolve_transfer(jnp.asarray(counts), gaussian_transfer(SHAPE, jnp.array(sigmas))))
    np.testing.assert_allclose(by_fft, expected, rtol=1e-6, atol=1e-8 * counts.max())
    assert np.sum(by_fft) == pytest.approx(counts.sum(), rel=1e-9)
    np.testing.assert_allclose(convolve_gaussian_exact(counts, sigmas), expected, rtol=1e-6, atol=1e-8 * counts.max())
    by_taps = convolve_gaussian(jnp.asarray(counts, jnp.float32), jnp.asarray(sigmas, jnp.float32))
    np.testing.assert_allclose(by_taps, expected, atol=3e-3 * expected.max())
    assert np.sum(by_taps, dtype=float) == pytest.approx(counts.sum(), rel=1e-5)


def test_narrow_taps_are_those_of_the_kernel_for_values_of_any_sign() -> None:
    sigmas, values = (0.7, 0.3, 0.0), np.random.default_rng(0).normal(size=SHAPE)
    result = convolve_gaussian(jnp.asarray(values, jnp.float32), jnp.asarray(sigmas, jnp.float32))
    np.testing.assert_allclose(result, convolve_gaussian_exact(values, sigmas), atol=1e-4)


def test_narrow_taps_round_each_pixel_by_its_neighbourhood() -> None:
    """A peak of 1e8 counts changes nothing far from it; by FFTs in float32 it leaves counts there."""
    values = np.ones(SHAPE, np.float32)
    values[0, 0, 0] = 1e8
    result = convolve_gaussian(jnp.asarray(values), jnp.full(3, 0.5, jnp.float32))
    np.testing.assert_allclose(result[5, 6, 7], 1, rtol=1e-6)


def test_no_counts_are_negative_beside_a_strong_peak() -> None:
    peak = np.zeros(SHAPE, np.float32)
    peak[0, 0, 0] = 1e8
    result = convolve_transfer(jnp.asarray(peak), gaussian_transfer(SHAPE, jnp.full(3, 0.3, jnp.float32)))
    assert result.dtype == jnp.float32
    assert np.min(result) >= 0
    assert np.sum(result, dtype=float) == pytest.approx(1e8, rel=1e-5)


def test_the_variance_of_the_matrix_is_that_of_the_gaussian_and_of_a_sample() -> None:
    row = np.asarray(gaussian_matrix(41, 2.5)[20], np.float64)
    places = np.arange(41) - 20
    assert row.sum() == pytest.approx(1, abs=1e-4)
    assert (row * places**2).sum() == pytest.approx(2.5**2 + 1 / 12, rel=1e-3)


def test_open_convolutions_agree_with_each_other_and_compute_single_slices() -> None:
    stack = jnp.asarray(np.random.default_rng(1).random((2, *SHAPE)), jnp.float32)
    sigmas = (0.9, 0.6, 1.2)
    z, y, x = (np.asarray(gaussian_matrix(13, sigma))[6] for sigma in sigmas)
    whole = convolve_gaussian_open(stack, sigmas)
    kernel = jnp.asarray(z[:, None, None] * y[:, None] * x)
    np.testing.assert_allclose(convolve_kernel(stack, kernel), whole, atol=1e-4)
    np.testing.assert_allclose(convolve_gaussian_open(stack, sigmas, slice(4, 6)), whole[:, 4:6], atol=1e-6)


def test_an_open_convolution_is_that_of_an_array_with_darkness_around() -> None:
    stack = jnp.asarray(np.random.default_rng(4).random(SHAPE), jnp.float32)
    padded = convolve_gaussian_open(jnp.pad(stack, 8), (1.5, 2.0, 1.0))
    np.testing.assert_allclose(
        convolve_gaussian_open(stack, (1.5, 2.0, 1.0)), padded[8:-8, 8:-8, 8:-8], rtol=1e-4, atol=1e-6
    )


def test_a_kernel_is_convolved_and_not_correlated() -> None:
    stack = np.random.default_rng(2).random(SHAPE).astype(np.float32)
    kernel = np.random.default_rng(3).random((3, 5, 3)).astype(np.float32)
    result = convolve_kernel(jnp.asarray(stack), jnp.asarray(kernel))
    np.testing.assert_allclose(result, ndimage.convolve(stack, kernel, mode="constant"), atol=2e-5)
    with pytest.raises(ValueError, match=r"\(2, 3, 3\)"):
        convolve_kernel(jnp.asarray(stack), jnp.ones((2, 3, 3)))


def test_a_resampled_kernel_has_its_focus_in_the_middle() -> None:
    z, y, x = np.ogrid[:31, :31, :31]
    spot = np.exp(-((z - 12) ** 2 + (y - 17) ** 2 + (x - 15) ** 2) / 32.0)
    kernel = resample_kernel(spot, (2.0, 1.0, 0.5), (9, 15, 99))
    assert all(n % 2 for n in kernel.shape)
    assert kernel.shape[:2] == (9, 15)
    assert np.unravel_index(np.argmax(kernel), kernel.shape) == tuple(n // 2 for n in kernel.shape)
    assert kernel.sum() == pytest.approx(1, rel=1e-5)
