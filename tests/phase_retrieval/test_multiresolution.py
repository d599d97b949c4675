"""Multiresolution: the middle of a pattern is the pattern of the same density on larger voxels."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.diffraction.far_field import fftshift3
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.multiresolution import band_shape, crop_pattern, resample_density, resample_support
from unflat.recon.phase_retrieval.pattern import to_device_pattern
from unflat.recon.phase_retrieval.projections import abs2, modulus_projection

SIZES = st.integers(9, 20)


def density_of(seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Random complex density in FFT order."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def ball(shape: tuple[int, int, int], radius: float) -> np.ndarray:
    """Ball with a phase about the corner; the radius is relative to the array's edge."""
    axes = [np.fft.fftfreq(n) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    inside = z**2 + y**2 + x**2 < radius**2
    return (inside * np.exp(2j * np.cos(9 * x))).astype(np.complex64)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), coarse=st.tuples(SIZES, SIZES, SIZES), more=st.tuples(*[st.integers(0, 9)] * 3))
def test_refining_and_coarsening_restores_a_density(
    seed: int, coarse: tuple[int, int, int], more: tuple[int, int, int]
) -> None:
    density = density_of(seed, coarse)
    fine = resample_density(jnp.asarray(density), (coarse[0] + more[0], coarse[1] + more[1], coarse[2] + more[2]))
    np.testing.assert_allclose(resample_density(fine, coarse), density, atol=1e-5)


@pytest.mark.parametrize("n", [12, 13])
@pytest.mark.parametrize("expected", [7, 8])
def test_a_coarse_density_has_the_middle_of_the_far_field(n: int, expected: int) -> None:
    density = density_of(1, (n, n, n))
    coarse = resample_density(jnp.asarray(density), (expected,) * 3)
    result, whole = (fftshift3(np.fft.fftn(np.asarray(array))) for array in (coarse, density))
    first = n // 2 - expected // 2
    middle = whole[(slice(first, first + expected),) * 3]
    np.testing.assert_allclose(result, middle, atol=1e-4 * np.abs(middle).max())


def test_the_middle_of_a_pattern_is_that_of_the_coarse_density() -> None:
    shape = (24, 20, 22)
    density = ball(shape, 0.2)
    counts = 1e4 * np.abs(fftshift3(np.fft.fftn(density))) ** 2
    flux = np.linspace(0.5, 1.5, shape[0])
    weights = np.ones(shape)
    weights[12, 10, 3:6] = 0
    pattern = to_device_pattern(DiffractionData(counts * flux[:, None, None], weights, flux), 0.05, 0)
    middle = crop_pattern(pattern, 0.5)
    assert middle.counts.shape == band_shape(shape, 0.5) == (12, 10, 11)
    first = [n // 2 - m // 2 for n, m in zip(shape, middle.counts.shape, strict=True)]
    cut = tuple(slice(a, a + m) for a, m in zip(first, middle.counts.shape, strict=True))
    for name in ("amplitude", "counts", "fitted", "free"):
        whole, part = (fftshift3(np.asarray(getattr(one, name))) for one in (pattern, middle))
        np.testing.assert_array_equal(part, whole[cut])
    np.testing.assert_allclose(np.fft.fftshift(np.asarray(middle.exposure).ravel()), flux[cut[0]], rtol=1e-6)
    coarse = 100 * resample_density(jnp.asarray(density), middle.counts.shape)
    np.testing.assert_allclose(modulus_projection(coarse, middle.amplitude), coarse, atol=1e-3 * 100)


def test_a_finer_density_keeps_its_far_field_and_its_counts() -> None:
    coarse = jnp.asarray(density_of(3, (9, 10, 11)))
    fine = resample_density(coarse, (18, 20, 22))
    power = [float(abs2(jnp.fft.fftn(array)).sum()) for array in (coarse, fine)]
    assert power[0] == pytest.approx(power[1], rel=1e-5)
    odd = density_of(3, (9, 9, 9))
    result = np.asarray(resample_density(jnp.asarray(odd), (18, 18, 18)))
    np.testing.assert_allclose(8 * result[::2, ::2, ::2], odd, atol=1e-5)  # Eight times the voxels share the amplitude.


@pytest.mark.parametrize("shapes", [((16, 16, 16), (32, 32, 32)), ((30, 32, 27), (15, 16, 14))])
def test_a_resampled_support_keeps_its_position_and_fraction(
    shapes: tuple[tuple[int, int, int], tuple[int, int, int]],
) -> None:
    own, other = (np.abs(ball(shape, 0.3)) > 0 for shape in shapes)
    result = np.asarray(resample_support(jnp.asarray(own, jnp.float32), shapes[1])) > 0
    assert (result & other).sum() / (result | other).sum() > 0.85


def test_a_band_of_one_is_the_whole_array_and_a_small_band_keeps_eight_voxels() -> None:
    assert band_shape((17, 64, 100), 1.0) == (17, 64, 100)
    assert band_shape((6, 64, 100), 0.01) == (6, 8, 8)
    assert all(n <= 64 for n in band_shape((64, 64, 64), 0.97))
