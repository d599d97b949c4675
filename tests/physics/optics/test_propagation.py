"""Lattices, plane waves and free propagation: identities and limits."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.fft_sizes import next_even_size
from unflat.physics.optics.lattice import Lattice, SamplingError, lateral_padding
from unflat.physics.optics.propagation import cis, cosines, incident_cosine, kernel

WATER = Lattice((4, 48, 64), (0.3e-6, 0.14e-6, 0.15e-6), 532e-9, 1.33)
tilts = st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)).map(np.array)
distances = st.floats(-30, 30)


@pytest.fixture
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@jax.jit
def _kernel(tilt: jax.Array, cycles: jax.Array) -> jax.Array:
    return kernel(WATER, tilt, cycles)


def kernel_of(tilt: np.ndarray, cycles: float) -> jax.Array:
    return _kernel(np.float32(tilt), np.float32(cycles))


def test_sample_n_half_is_on_the_axis_and_slice_n_half_at_the_centre() -> None:
    for shape in ((5, 6, 7), (6, 7, 8)):
        lattice = Lattice(shape, (0.5e-6, 0.1e-6, 0.2e-6), 500e-9, 1.33, centre_z=2e-6)
        z, y, x = lattice.axes
        assert [a[n // 2] for a, n in zip((z, y, x), shape, strict=True)] == [2e-6, 0, 0]
        assert [np.diff(a)[0] for a in (z, y, x)] == pytest.approx(lattice.pitch)
        assert lattice.thickness == pytest.approx(shape[0] * 0.5e-6)


@pytest.mark.parametrize("pixels", [5, 6])
@pytest.mark.parametrize("binning", [1, 2, 3])
def test_a_pixel_of_several_samples_is_centred_where_a_pixel_of_one_is(pixels: int, binning: int) -> None:
    """The pixel n // 2 of a binned frame holds samples around the optical axis."""
    size = next_even_size(binning * pixels + 8)
    _, y, _ = Lattice((1, size, size), (1e-6, 1e-6, 1e-6), 500e-9, 1.0, binning=binning).axes
    first = size // 2 - binning // 2 - binning * (pixels // 2)
    centres = y[first : first + binning * pixels].reshape(pixels, binning).mean(axis=1)
    np.testing.assert_allclose(centres, (np.arange(pixels) - pixels // 2) * binning * 1e-6, atol=1e-18)


@given(st.integers(4, 70), st.floats(0, 20e-6))
@settings(max_examples=40, deadline=None)
def test_padding_adds_the_margin_and_moves_no_sample(size: int, margin: float) -> None:
    lattice = Lattice((3, size, size + 1), (1e-6, 0.3e-6, 0.2e-6), 500e-9, 1.4)
    padded = lattice.pad(margin)
    for axis in (1, 2):
        n, wide = lattice.shape[axis], padded.shape[axis]
        assert wide % 2 == 0
        assert (wide - n) * lattice.pitch[axis] >= margin - 1e-15
        start = wide // 2 - n // 2
        np.testing.assert_allclose(padded.axes[axis][start : start + n], lattice.axes[axis], atol=1e-15)


def test_padding_is_the_lateral_shift_of_the_steepest_wave() -> None:
    assert lateral_padding(10e-6, np.sin(0.7)) == pytest.approx(10e-6 * np.tan(0.7))
    assert np.isfinite(lateral_padding(10e-6, 1.0))


@pytest.mark.parametrize(
    ("shape", "pitch", "wavelength", "index"),
    [
        ((0, 8, 8), (1.0, 1.0, 1.0), 0.5, 1.0),
        ((8, 8, 8), (1.0, -1.0, 1.0), 0.5, 1.0),
        ((8, 8, 8), (1.0, float("nan"), 1.0), 0.5, 1.0),
        ((8, 8, 8), (1.0, 1.0, 1.0), 0.0, 1.0),
        ((8, 8, 8), (1.0, 1.0, 1.0), 0.5, float("nan")),
    ],
)
def test_a_lattice_without_size_is_refused(
    shape: tuple[int, int, int], pitch: tuple[float, float, float], wavelength: float, index: float
) -> None:
    with pytest.raises(SamplingError, match="no lattice has the shape"):
        Lattice(shape, pitch, wavelength, index)


@given(st.floats(-300, 300, width=32))
@settings(max_examples=300, deadline=None)
def test_the_phasor_is_that_of_the_library(phase: float) -> None:
    """It agrees to the rounding of the phase itself in float32."""
    result = complex(cis(jnp.float32(phase)))
    assert abs(result - np.exp(1j * phase)) < 4e-7 + 1.2e-7 * abs(phase)
    assert abs(result) == pytest.approx(1, abs=8e-7)


@given(st.floats(2.0**-30, 2.0**-7, width=32))
@settings(max_examples=100, deadline=None)
def test_a_small_phase_is_not_lost_in_the_phasor(phase: float) -> None:
    """A weak specimen's signal is the phasor's distance from 1."""
    assert float(cis(jnp.float32(phase)).imag) == pytest.approx(np.sin(phase), rel=5e-7)


def test_the_derivative_of_the_phasor_is_i_times_the_phasor(double: None) -> None:
    phases = jnp.linspace(-7, 7, 41)
    for dtype, tolerance in ((jnp.float32, 2e-6), (jnp.float64, 1e-14)):
        phase = phases.astype(dtype)
        value, speed = jax.jvp(cis, (phase,), (jnp.ones_like(phase),))
        np.testing.assert_allclose(speed, 1j * np.exp(1j * np.asarray(phase)), atol=tolerance)
        np.testing.assert_allclose(value, np.exp(1j * np.asarray(phase)), atol=tolerance)


@given(tilts, distances)
@settings(max_examples=25, deadline=None)
def test_the_incident_wave_is_unchanged(tilt: np.ndarray, cycles: float) -> None:
    assert abs(complex(kernel_of(tilt, cycles)[0, 0]) - 1) < 3e-5


@given(tilts, distances, distances)
@settings(max_examples=25, deadline=None)
def test_two_steps_are_one_step_of_their_sum(tilt: np.ndarray, first: float, second: float) -> None:
    twice = kernel_of(tilt, first) * kernel_of(tilt, second)
    np.testing.assert_allclose(twice, kernel_of(tilt, first + second), atol=2e-4)


@given(tilts, distances)
@settings(max_examples=25, deadline=None)
def test_propagating_waves_keep_their_energy_and_evanescent_waves_vanish(tilt: np.ndarray, cycles: float) -> None:
    sy, sx = WATER.sines
    beyond = (sy + tilt[0]) ** 2 + (sx + tilt[1]) ** 2
    size = np.abs(kernel_of(tilt, cycles))
    np.testing.assert_allclose(size[beyond < 1 - 1e-5], 1, atol=1e-6)
    np.testing.assert_array_equal(size[beyond > 1 + 1e-5], 0)


def test_a_wave_gains_the_phase_of_its_axial_frequency(double: None) -> None:
    """In SI, from η(u) = √((n/λ)² − |u|²): neither n√(1/λ² − u²) nor the paraxial form."""
    tilt, distance = np.array([0.31, -0.12]), 3.3e-6
    result = kernel(WATER, jnp.asarray(tilt), WATER.cycles(distance))
    n_over_wavelength = 1.33 / 532e-9
    uy = np.fft.fftfreq(48, 0.14e-6)[:, None] + tilt[0] * n_over_wavelength
    ux = np.fft.fftfreq(64, 0.15e-6)[None, :] + tilt[1] * n_over_wavelength
    eta = np.emath.sqrt(n_over_wavelength**2 - uy**2 - ux**2)
    incident = n_over_wavelength * np.sqrt(1 - np.sum(tilt**2))
    expected = np.where(eta.imag == 0, np.exp(2j * np.pi * (eta.real - incident) * distance), 0)
    np.testing.assert_allclose(result, expected, atol=1e-11)


def test_a_tilt_on_the_fourier_grid_moves_the_kernel_by_whole_samples(double: None) -> None:
    """A demodulated wave is the wave with its spectrum shifted and its incident phase removed."""
    sy, sx = WATER.sines
    tilt = jnp.array([sy[3, 0], sx[0, -5]])
    moved = np.roll(kernel(WATER, jnp.zeros(2), 7.0), (-3, 5), axis=(0, 1))
    inner = (np.abs(np.arange(48) - 24) < 20)[:, None] & (np.abs(np.arange(64) - 32) < 26)[None, :]
    inner = np.fft.ifftshift(inner)  # where the moved spectrum did not wrap
    incident = np.exp(14j * np.pi * (float(incident_cosine(tilt)) - 1))
    tilted = np.asarray(kernel(WATER, tilt, 7.0)) * incident
    np.testing.assert_allclose(tilted[inner], moved[inner], atol=1e-10)


def test_a_tilt_between_two_samples_of_the_spectrum_is_not_rounded(double: None) -> None:
    """The kernel is a smooth function of the tilt: its derivative agrees with finite differences."""

    def phase(angle: jax.Array) -> jax.Array:
        return jnp.angle(kernel(WATER, jnp.stack([jnp.sin(angle), 0 * angle]), 5.0)[4, 6])

    step = 1e-5
    difference = (phase(jnp.asarray(0.2 + step)) - phase(jnp.asarray(0.2 - step))) / (2 * step)
    np.testing.assert_allclose(jax.grad(phase)(0.2), difference, rtol=1e-7)


def test_gradients_stay_finite_at_the_evanescent_rim(double: None) -> None:
    """A wave at exactly grazing angle has an infinite derivative, which must not affect other waves."""
    lattice = Lattice((1, 8, 8), (1e-6, 0.25e-6, 0.25e-6), 500e-9, 1.0)
    assert np.any(np.isclose(np.abs(lattice.sines[0]), 1))
    slope = jax.grad(lambda t: jnp.sum(kernel(lattice, t, 2.0).real))(jnp.array([0.0, 0.1]))
    assert np.all(np.isfinite(slope))
    cosine, travels = cosines(lattice, jnp.zeros(2))
    assert np.all(cosine > 0)
    assert travels.sum() < travels.size


def test_a_gaussian_beam_spreads_by_its_rayleigh_range(double: None) -> None:
    """w² = w0² (1 + (z/z_R)²), with z_R = π w0² n/λ."""
    n, wavelength, waist = 1.33, 532e-9, 2.5e-6
    lattice = Lattice((1, 128, 128), (1e-6, 0.4e-6, 0.4e-6), wavelength, n)
    _, y, x = lattice.axes
    square = y[:, None] ** 2 + x**2
    beam = jnp.fft.fft2(jnp.asarray(np.exp(-square / waist**2) + 0j))
    rayleigh = np.pi * waist**2 * n / wavelength
    for distance in (-1.5 * rayleigh, rayleigh):
        wave = np.asarray(jnp.fft.ifft2(beam * kernel(lattice, jnp.zeros(2), lattice.cycles(distance))))
        energy = np.abs(wave) ** 2
        width = np.sqrt(2 * np.sum(energy * square) / np.sum(energy))
        assert width == pytest.approx(waist * np.sqrt(1 + (distance / rayleigh) ** 2), rel=5e-3)
