"""Multi-slice: identity, energy, slabs, weak specimens, convergence, and the backward passes of the gradient."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.optics.born import BornModel
from unflat.physics.optics.illumination import PlaneWaves
from unflat.physics.optics.lattice import Lattice
from unflat.physics.optics.multislice import exit_spectra, transmission_change
from unflat.physics.optics.propagation import kernel

WATER = Lattice((6, 24, 30), (0.4e-6, 0.2e-6, 0.2e-6), 532e-9, 1.33)
tilts = st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)).map(np.array)


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def blob(lattice: Lattice, width: float, depth: float | None = None) -> np.ndarray:
    """Smooth specimen of one channel and unit peak, a little beside the axis."""
    sizes, centre = (depth or width, width, width), (0, 0.2 * width, -0.3 * width)
    z, y, x = (np.exp(-(((a - c) / w) ** 2)) for a, c, w in zip(lattice.axes, centre, sizes, strict=True))
    return (z[:, None, None] * y[:, None] * x)[None]


def waves(contrast: np.ndarray, lattice: Lattice, *tilts: tuple[float, float]) -> np.ndarray:
    """Demodulated waves behind the specimen."""
    return np.fft.ifft2(spectra_behind(contrast, lattice, np.array(tilts)))


spectra_behind = jax.jit(exit_spectra, static_argnums=(1, 3, 4))


def energies(contrast: np.ndarray, tilt: np.ndarray) -> float:
    """Flux of energy along z behind the specimen, relative to that before it."""
    sy, sx = WATER.sines
    squared = 1 - (sy + tilt[0]) ** 2 - (sx + tilt[1]) ** 2
    flux = np.sqrt(np.maximum(squared, 0)) * np.abs(spectra_behind(contrast, WATER, tilt[None])[0]) ** 2
    return float(np.sum(flux) / np.sqrt(1 - np.sum(tilt**2)) / (sy.size * sx.size) ** 2)


@given(tilts, st.sampled_from([1, 2]), st.sampled_from([1, 6]))
@settings(max_examples=12, deadline=None)
def test_an_empty_volume_is_the_identity(tilt: np.ndarray, channels: int, slices: int) -> None:
    lattice = Lattice((slices, *WATER.shape[1:]), WATER.pitch, WATER.wavelength, WATER.medium_index)
    np.testing.assert_allclose(waves(np.zeros((channels, *lattice.shape)), lattice, tuple(tilt)), 1 + 0j, atol=1e-12)


@given(tilts, st.floats(-0.03, 0.03))
@settings(max_examples=10, deadline=None)
def test_without_absorption_energy_is_conserved(tilt: np.ndarray, contrast: float) -> None:
    """A smooth specimen, to second order in its contrast; the forward wave of a strong one may gain a thousandth."""
    strong, weak = (abs(energies(c * blob(WATER, 0.7e-6), tilt) - 1) for c in (contrast, contrast / 4))
    assert strong < 1.5 * contrast**2 + 1e-6
    assert weak < strong / 8 + 1e-6


@given(tilts, st.floats(1e-4, 1e-2))
@settings(max_examples=10, deadline=None)
def test_absorption_lowers_the_energy_and_gain_raises_it(tilt: np.ndarray, absorption: float) -> None:
    index = 0.01 * blob(WATER, 0.7e-6)
    imaginary = absorption * blob(WATER, 0.7e-6)
    darker = energies(np.concatenate([index, imaginary]), tilt)
    brighter = energies(np.concatenate([index, -imaginary]), tilt)
    assert darker < 1 - 0.05 * absorption
    assert brighter > 1 + 0.05 * absorption


@given(st.floats(0, 0.8), st.floats(0, 2 * np.pi))
@settings(max_examples=15, deadline=None)
def test_a_slab_of_half_a_wave_flips_the_sign_at_any_angle(sine: float, azimuth: float) -> None:
    """Half a wave along the ray: Δn d / cos θ = λ/2."""
    lattice = Lattice((4, 6, 6), (1e-6, 0.2e-6, 0.2e-6), 500e-9, 1.4)
    index = 0.25e-6 * np.sqrt(1 - sine**2) / lattice.thickness
    slab = np.full((1, *lattice.shape), index)
    tilt = (sine * np.sin(azimuth), sine * np.cos(azimuth))
    np.testing.assert_allclose(waves(slab, lattice, tilt), -1 + 0j, atol=1e-10)


def axial_difference(index: float, tilt: float, lattice: Lattice) -> float:
    """[rad] Exact phase of a slab for a tilted wave, whose transverse frequency it does not change."""
    n = lattice.medium_index
    inside, outside = (np.sqrt(m**2 - (n * tilt) ** 2) for m in (n + index, n))
    return float(2 * np.pi / lattice.wavelength * (inside - outside) * lattice.thickness)


@pytest.mark.parametrize("tilt", [0.0, 0.3, 0.6])
def test_the_phase_of_a_slab_is_the_exact_one_to_first_order(tilt: float) -> None:
    lattice = Lattice((4, 6, 6), (1e-6, 0.2e-6, 0.2e-6), 500e-9, 1.4)
    errors = []
    for index in (1e-2, 1e-3):
        exact = axial_difference(index, tilt, lattice)
        result = np.angle(waves(np.full((1, *lattice.shape), index), lattice, (0.0, tilt))[0, 0, 0])
        errors.append(abs(result / exact - 1))
    assert errors[0] < 0.01
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.05, abs=1e-9)


@pytest.mark.parametrize("tilt", [0.0, 0.5])
def test_an_absorbing_slab_follows_beer_and_lambert(tilt: float) -> None:
    """I = exp(−4π κ d / (λ cos θ)): d / cos θ is the path inside."""
    lattice = Lattice((5, 6, 6), (1e-6, 0.2e-6, 0.2e-6), 500e-9, 1.4)
    absorption = 3e-3
    slab = np.stack([np.full(lattice.shape, 0.01), np.full(lattice.shape, absorption)])
    expected = np.exp(-4 * np.pi * absorption * lattice.thickness / (lattice.wavelength * np.sqrt(1 - tilt**2)))
    np.testing.assert_allclose(np.abs(waves(slab, lattice, (tilt, 0.0))) ** 2, expected, rtol=1e-10)


def test_a_single_slice_is_a_thin_screen_whose_waves_are_weighted_by_their_cosines() -> None:
    lattice = Lattice((1, 16, 16), (0.3e-6, 0.2e-6, 0.2e-6), 500e-9, 1.33)
    contrast = np.random.default_rng(0).normal(0, 0.05, (2, 1, 16, 16))
    cosine = np.sqrt(1 - 0.4**2)
    cycles = lattice.pitch[0] / lattice.wavelength / cosine
    screen = np.exp(2j * np.pi * cycles * (contrast[0] + 1j * contrast[1]))
    sy, sx = lattice.sines
    squared = 1 - sy**2 - (sx + 0.4) ** 2
    clear = squared > 0.1
    spectrum = np.asarray(spectra_behind(contrast, lattice, np.array([[0.0, 0.4]]))[0])
    scattered = spectrum - 256 * (np.arange(256).reshape(16, 16) == 0)
    expected = cosine / np.sqrt(np.where(clear, squared, 1)) * np.fft.fft2(screen[0] - 1)
    np.testing.assert_allclose(scattered[clear], expected[clear], atol=1e-10)
    thin = 1 + transmission_change(jnp.asarray(contrast[:, 0]), jnp.array([cycles]))
    np.testing.assert_allclose(thin, screen, atol=1e-12)


def test_waves_computed_together_equal_waves_computed_alone() -> None:
    contrast = 0.03 * blob(WATER, 0.7e-6)
    together = waves(contrast, WATER, (0.0, 0.0), (0.2, -0.3), (0.5, 0.1))
    alone = [waves(contrast, WATER, tilt)[0] for tilt in ((0.0, 0.0), (0.2, -0.3), (0.5, 0.1))]
    np.testing.assert_allclose(together, alone, atol=1e-12)


@partial(jax.jit, static_argnums=0)
def to_focus(lattice: Lattice, tilt: jax.Array) -> jax.Array:
    """Kernel from the last slice back to z = 0."""
    return kernel(lattice, tilt, -lattice.cycles(lattice.planes[-1]))


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.3, -0.2)])
def test_halving_the_slices_converges(tilt: tuple[float, float]) -> None:
    """At second order in Δz but for multiple scattering at wide angles, which is little; at z = 0."""
    result = []
    for slices in (8, 16, 32, 64):
        lattice = Lattice((slices, 32, 32), (6e-6 / slices, 0.2e-6, 0.2e-6), 532e-9, 1.33)
        spectrum = spectra_behind(0.05 * blob(lattice, 1.0e-6), lattice, np.array([tilt]))[0]
        result.append(np.fft.ifft2(spectrum * to_focus(lattice, np.array(tilt))))
    changes = [np.linalg.norm(b - a) for a, b in pairwise(result)]
    assert changes[0] > 1.8 * changes[1] > 1.8**2 * changes[2]
    assert changes[2] < 2e-3 * np.linalg.norm(result[-1] - 1)


@pytest.mark.parametrize("aperture", [0.2, 0.6])
def test_a_weak_specimen_gives_linear_theory_at_any_aperture(aperture: float) -> None:
    """Both divide by the scattered wave's cosine."""
    pitch, depth = 0.1e-6 / aperture, 0.1e-6 / aperture**2  # the same diffraction at every scale
    lattice = Lattice((5, 30, 30), (depth, pitch, pitch), 500e-9, 1.33)
    contrast = 1e-6 * blob(lattice, 3 * pitch, 2 * depth)
    tilts = np.array([[0.3 * aperture, -0.5 * aperture]])
    spectrum = spectra_behind(contrast, lattice, tilts)[0]
    image = np.abs(np.fft.ifft2(spectrum * to_focus(lattice, tilts[0]))) ** 2
    weak = jax.jit(BornModel(lattice, 1.3299).images)
    light = PlaneWaves(jnp.asarray(tilts)[None], jnp.ones((1, 1)), jnp.zeros(1))
    linear = np.asarray(weak(contrast, light)[0])
    assert np.linalg.norm(image - linear) < 3e-3 * np.linalg.norm(linear - 1)


def squares(contrast: jax.Array, tilts: jax.Array, block: int | None, fixed_light: bool) -> jax.Array:
    """Scalar that depends on every part of the waves."""
    spectra = exit_spectra(contrast, WATER, tilts, block, fixed_light)
    sizes = jnp.abs(spectra[:, ::2, 1::3] / spectra.shape[1]) ** 2
    return jnp.sum(sizes * jnp.cos(jnp.arange(sizes.size, dtype=sizes.dtype).reshape(sizes.shape)))


@pytest.mark.parametrize(
    ("channels", "ways"),
    [(1, [(4, True)]), (2, [(None, False), (4, False), (None, True), (4, True), (99, True)])],
)
def test_every_backward_pass_gives_the_same_gradient(channels: int, ways: list[tuple[int | None, bool]]) -> None:
    """Blocks that divide the slices and blocks that do not, by checkpointing or by the transposed step."""
    rng = np.random.default_rng(1)
    contrast, tilts = rng.normal(0, 0.02, (channels, *WATER.shape)), rng.uniform(-0.4, 0.4, (2, 2))
    gradient = jax.jit(jax.grad(squares), static_argnums=(2, 3))
    whole = gradient(contrast, tilts, WATER.shape[0], False)
    assert float(jnp.max(jnp.abs(whole))) > 0
    for block, fixed_light in ways:
        np.testing.assert_allclose(gradient(contrast, tilts, block, fixed_light), whole, rtol=1e-9, atol=1e-12)


def test_fixed_light_changes_no_wave() -> None:
    contrast = jnp.asarray(0.03 * blob(WATER, 0.7e-6))
    tilts = jnp.array([[0.1, 0.3]])
    for block in (None, 2, 6):
        free, fixed = (spectra_behind(contrast, WATER, tilts, block, f) for f in (False, True))
        np.testing.assert_allclose(free, fixed, atol=1e-10)


@pytest.mark.parametrize("fixed_light", [False, True])
def test_the_memory_of_a_gradient_grows_as_the_root_of_the_slices(fixed_light: bool) -> None:
    """Apart from the specimen and its gradient, four times the slices need twice the memory."""
    tilts = jnp.array([[0.1, 0.3]])

    def working_memory(slices: int) -> float:
        lattice = Lattice((slices, 64, 64), (0.2e-6, 0.2e-6, 0.2e-6), 532e-9, 1.33)
        contrast = jnp.zeros((1, *lattice.shape))

        def loss(contrast: jax.Array) -> jax.Array:
            return jnp.sum(jnp.abs(exit_spectra(contrast, lattice, tilts, None, fixed_light)) ** 2)

        compiled = jax.jit(jax.grad(loss)).lower(contrast).compile()
        return compiled.memory_analysis().temp_size_in_bytes - 2 * contrast.nbytes

    assert working_memory(256) < 2.6 * working_memory(64)
