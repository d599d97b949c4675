"""Bragg geometry: skewed grid, laboratory frame, displacement and strain with their signs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.diffraction.bragg_geometry import (
    GeometryError,
    directional_strain,
    displacement_from_phase,
    laboratory_grid,
    real_space_steps,
    reciprocal_space_steps,
    resample,
    sample_positions,
    strain_from_density,
)

SHAPE = (12, 14, 9)
BRAGG = np.array([1.2e10, 2.1e10, -0.9e10])
LENGTH = float(np.linalg.norm(BRAGG))


def skewed(seed: int, spacing: float = 8e-9) -> np.ndarray:
    """Steps of different lengths, up to about 30 degrees off the axes, in a random orientation."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return spacing * (np.diag(rng.uniform(0.7, 1.4, 3)) + rng.uniform(-0.3, 0.3, (3, 3))) @ turn


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_fft_s_phase_is_q_dot_r(seed: int) -> None:
    rng = np.random.default_rng(seed)
    basis = 1e7 * (np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3)))
    steps = real_space_steps(basis, SHAPE)
    k, n = rng.integers(-20, 20, (2, 50, 3))
    dot = np.sum((k @ basis) * (n @ steps), axis=1)
    np.testing.assert_allclose(dot, 2 * np.pi * np.sum(k * n / np.array(SHAPE), axis=1), atol=1e-9)
    np.testing.assert_allclose(reciprocal_space_steps(steps, SHAPE), basis, rtol=1e-9, atol=1e-3)


def test_the_fft_samples_the_far_field_at_the_measured_q() -> None:
    """The FFT of scatterers on a skewed grid equals the sum over their positions in the laboratory."""
    rng = np.random.default_rng(0)
    basis = 1e7 * (np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3)))
    where = sample_positions(real_space_steps(basis, SHAPE), SHAPE)
    density = np.where(rng.random(SHAPE) < 0.02, rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE), 0)
    field = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(density)))
    for index in ((0, 0, 0), (6, 7, 4), (11, 2, 8)):
        q = (np.array(index) - np.array(SHAPE) // 2) @ basis
        assert field[index] == pytest.approx(np.sum(density * np.exp(-1j * where @ q)))


def test_an_orthogonal_basis_gives_the_field_of_view_over_n() -> None:
    basis = np.diag([2e7, 3e7, 5e7])
    steps = real_space_steps(basis, SHAPE)
    np.testing.assert_allclose(steps, np.diag(2 * np.pi / (np.array(SHAPE) * np.diag(basis))), atol=1e-20)


@pytest.mark.parametrize("flat", [np.ones((3, 3)), np.zeros((3, 3)), np.diag([1e7, 1e7, np.nan])])
def test_a_flat_basis_is_refused(flat: np.ndarray) -> None:
    with pytest.raises(GeometryError, match="spans no volume"):
        real_space_steps(flat, SHAPE)


def test_a_stretched_crystal_peaks_at_smaller_q() -> None:
    """The whole chain of signs: u = ε x along G, φ = −G·u, the forward FFT, and q of the peak."""
    shape, strain = (32, 32, 32), 2e-3
    steps = skewed(1)
    where = sample_positions(steps, shape)
    along = where @ BRAGG / LENGTH
    ball = np.linalg.norm(where, axis=-1) < 60e-9
    density = np.where(ball, np.exp(-1j * LENGTH * strain * along), 0)
    intensity = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(density)))) ** 2
    centre = ndimage_centre(intensity) - np.array(shape) // 2
    q = centre @ reciprocal_space_steps(steps, shape)
    np.testing.assert_allclose(q, -strain * BRAGG, rtol=0.05, atol=0.02 * strain * LENGTH)
    np.testing.assert_allclose(displacement_from_phase(-LENGTH * strain * along, BRAGG), strain * along)


def ndimage_centre(intensity: np.ndarray) -> np.ndarray:
    """Centre of mass of the brightest samples."""
    bright = np.where(intensity > 0.2 * intensity.max(), intensity, 0)
    return np.array([np.sum(bright * i) for i in np.indices(intensity.shape)]) / bright.sum()


@given(st.integers(0, 1000), st.floats(-4e-3, 4e-3))
@settings(max_examples=15, deadline=None)
def test_a_uniform_strain_is_recovered_on_any_skewed_grid(seed: int, strain: float) -> None:
    steps = skewed(seed)
    along = sample_positions(steps, SHAPE) @ BRAGG / LENGTH
    support = np.random.default_rng(seed).random(SHAPE) < 0.9
    density = np.exp(-1j * LENGTH * strain * along)
    from_density = strain_from_density(density, steps, BRAGG, support)
    from_displacement = directional_strain(strain * along, steps, BRAGG, support)
    for result in (from_density, from_displacement):
        known = np.isfinite(result)
        assert known.sum() > 0.8 * support.sum()
        assert not known[~support].any()
        np.testing.assert_allclose(result[known], strain, rtol=1e-6, atol=1e-9)


def test_the_slope_along_any_direction_has_the_sign_of_the_direction() -> None:
    steps, gradient = skewed(2), np.array([1e-3, -2e-3, 3e-3])
    field = sample_positions(steps, SHAPE) @ gradient
    for direction in (*np.eye(3), np.array([1.0, 2.0, -2.0]) / 3):
        result = directional_strain(field, steps, 5 * direction)
        np.testing.assert_allclose(result, gradient @ direction, atol=1e-12)
        np.testing.assert_allclose(directional_strain(field, steps, -direction), -result, atol=1e-12)


def test_phase_wraps_do_not_affect_the_strain() -> None:
    steps, shape = skewed(3), (20, 20, 20)
    along = sample_positions(steps, shape) @ BRAGG / LENGTH
    u = 2e-3 * along + 3e4 * along**2
    wrapped = np.angle(np.exp(-1j * LENGTH * u))
    assert np.ptp(wrapped) > 6
    smooth = directional_strain(u, steps, BRAGG)
    np.testing.assert_allclose(strain_from_density(np.exp(1j * wrapped), steps, BRAGG), smooth, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(smooth[1:-1, 1:-1, 1:-1], (2e-3 + 6e4 * along)[1:-1, 1:-1, 1:-1], atol=1e-9)


def test_a_sample_without_neighbours_has_no_strain() -> None:
    support = np.zeros(SHAPE, bool)
    support[3, 3, 3] = support[6, 6, 5] = support[7, 6, 5] = True
    result = directional_strain(np.zeros(SHAPE), np.eye(3), np.array([1.0, 0, 0]), support)
    np.testing.assert_array_equal(np.argwhere(np.isfinite(result)), [[6, 6, 5], [7, 6, 5]])
    with pytest.raises(GeometryError, match="has no length"):
        directional_strain(np.zeros(SHAPE), np.eye(3), np.zeros(3))


def bump(where: np.ndarray) -> np.ndarray:
    """Evaluate a smooth complex density at points [m]."""
    centre = np.array([5e-9, -8e-9, 3e-9])
    square = np.sum((where - centre) ** 2, axis=-1)
    return np.exp(-square / (2 * 25e-9**2)) * np.exp(1j * where @ np.array([4e7, -3e7, 5e7]))


def grid_points(axes: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


@pytest.mark.parametrize(("order", "error", "gain"), [(1, 0.15, 0.3), (3, 0.008, 0.1)])
def test_a_skewed_and_an_orthogonal_grid_agree(order: int, error: float, gain: float) -> None:
    """The error falls with the square of the step for a linear spline, and with its fourth power for a cubic one."""
    shape, errors = (30, 32, 31), []
    axes = laboratory_grid(skewed(4), shape, support=np.abs(bump(sample_positions(skewed(4), shape))) > 0.05)
    expected = bump(grid_points(axes))
    for finer in (1, 2):
        steps, size = skewed(4) / finer, (30 * finer, 32 * finer, 31 * finer)
        result = resample(bump(sample_positions(steps, size)), steps, axes, order)
        errors.append(np.abs(result - expected)[np.abs(expected) > 0.1].max())
    assert errors[0] < error
    assert errors[1] < gain * errors[0]


def test_real_fields_are_resampled_as_complex_ones_are() -> None:
    shape, steps = (20, 18, 19), skewed(7)
    density = bump(sample_positions(steps, shape)).astype(np.complex64)
    axes = laboratory_grid(steps, shape)
    real, result = resample(density.real.copy(), steps, axes), resample(density, steps, axes)
    assert (real.dtype, result.dtype) == (np.float32, np.complex64)
    np.testing.assert_allclose(real, result.real, atol=1e-6)


def test_a_resampled_crystal_has_the_same_strain_in_the_laboratory() -> None:
    shape, steps, bragg = (30, 32, 31), skewed(5), BRAGG / 60
    length = np.linalg.norm(bragg)

    def crystal(where: np.ndarray) -> np.ndarray:
        along = where @ bragg / length
        return np.exp(-np.sum(where**2, axis=-1) / (2 * 30e-9**2) - 1j * length * (2e-2 * along + 2e5 * along**2))

    axes = laboratory_grid(steps, shape, 6e-9, support=np.abs(crystal(sample_positions(steps, shape))) > 0.3)
    density = resample(crystal(sample_positions(steps, shape)), steps, axes)
    result = strain_from_density(density, 6e-9 * np.eye(3), bragg)
    expected = 2e-2 + 4e5 * grid_points(axes) @ bragg / length
    inner = (slice(3, -3),) * 3
    assert np.ptp(expected[inner]) > 0.03
    np.testing.assert_allclose(result[inner], expected[inner], atol=2e-3)


def test_resampling_to_the_same_grid_is_the_identity() -> None:
    shape, steps = (9, 10, 11), 5e-9 * np.eye(3)
    density = np.random.default_rng(6).normal(size=(2, *shape))
    axes = laboratory_grid(steps, shape)
    assert tuple(len(a) for a in axes) == shape
    assert all(a[n // 2] == 0 for a, n in zip(axes, shape, strict=True))
    complete = density[0] + 1j * density[1]
    np.testing.assert_allclose(resample(complete, steps, axes), complete)


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_laboratory_grid_contains_the_support(seed: int) -> None:
    steps = skewed(seed)
    support = np.random.default_rng(seed).random(SHAPE) < 0.01
    support[5, 6, 4] = True
    axes = laboratory_grid(steps, SHAPE, support=support, margin=0)
    places = sample_positions(steps, SHAPE)[support]
    for axis, place in zip(axes, places.T, strict=True):
        assert axis[0] <= place.min() + 1e-13
        assert axis[-1] >= place.max() - 1e-13
        assert np.min(np.abs(axis / np.diff(axis).mean() % 1)) == pytest.approx(0, abs=1e-6)
    assert np.diff(axes[0])[0] ** 3 == pytest.approx(abs(np.linalg.det(steps)))


def test_an_empty_support_and_a_spacing_of_zero_are_refused() -> None:
    with pytest.raises(GeometryError, match="support is empty"):
        laboratory_grid(np.eye(3), SHAPE, support=np.zeros(SHAPE, bool))
    with pytest.raises(GeometryError, match="spacing of 0 m"):
        laboratory_grid(np.eye(3), SHAPE, 0.0)
