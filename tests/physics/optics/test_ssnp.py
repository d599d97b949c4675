"""SSNP: identity, slabs, linear theory at any angle, convergence, and the backward passes of the gradient."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.optics import multislice
from unflat.physics.optics.born import BornModel
from unflat.physics.optics.illumination import PlaneWaves
from unflat.physics.optics.image_formation import ImageFormation
from unflat.physics.optics.lattice import Lattice
from unflat.physics.optics.propagation import cosines, kernel
from unflat.physics.optics.ssnp import GRAZING, exit_spectra

WATER = Lattice((6, 24, 30), (0.15e-6, 0.2e-6, 0.2e-6), 532e-9, 1.33)
tilts = st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)).map(np.array)
spectra_behind = jax.jit(exit_spectra, static_argnums=(1, 3, 4))


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def blob(lattice: Lattice, width: float) -> np.ndarray:
    """Smooth specimen of one channel and unit peak, a little beside the axis."""
    z, y, x = (np.exp(-(((a - c) / width) ** 2)) for a, c in zip(lattice.axes, (0, 1e-7, -2e-7), strict=True))
    return (z[:, None, None] * y[:, None] * x)[None]


def waves(contrast: np.ndarray, lattice: Lattice, *tilts: tuple[float, float]) -> np.ndarray:
    """Demodulated waves behind the specimen."""
    return np.fft.ifft2(spectra_behind(contrast, lattice, np.array(tilts)))


@partial(jax.jit, static_argnums=0)
def to_focus(lattice: Lattice, tilt: jax.Array) -> jax.Array:
    """Kernel from the last slice back to z = 0, for the waves without damping."""
    safe = cosines(lattice, tilt)[0] > GRAZING + 0.05
    result = kernel(lattice, tilt, -lattice.cycles(lattice.planes[-1]))
    return jnp.where(safe, result, 0)


@given(tilts, st.sampled_from([1, 2]), st.sampled_from([1, 6]))
@settings(max_examples=12, deadline=None)
def test_an_empty_volume_is_the_identity(tilt: np.ndarray, channels: int, slices: int) -> None:
    lattice = Lattice((slices, *WATER.shape[1:]), WATER.pitch, WATER.wavelength, WATER.medium_index)
    np.testing.assert_allclose(waves(np.zeros((channels, *lattice.shape)), lattice, tuple(tilt)), 1 + 0j, atol=1e-11)


@pytest.mark.parametrize("thickness", [0.05, 0.25, 0.45])
def test_an_empty_volume_is_the_identity_in_single_precision(thickness: float) -> None:
    wave = WATER.wavelength / WATER.medium_index
    lattice = Lattice((40, 32, 32), (thickness * wave, *WATER.pitch[1:]), WATER.wavelength, WATER.medium_index)
    result = exit_spectra(jnp.zeros((1, *lattice.shape), jnp.float32), lattice, jnp.zeros((1, 2), jnp.float32))
    np.testing.assert_allclose(np.fft.ifft2(np.asarray(result)), 1, atol=1e-4)


def flux(contrast: np.ndarray, tilt: tuple[float, float]) -> float:
    """Energy flow along z behind the specimen, Σ cos θ |U|², relative to that before it."""
    spectrum = spectra_behind(contrast, WATER, np.array([tilt]))[0] / (WATER.shape[1] * WATER.shape[2])
    cosine, travels = cosines(WATER, jnp.asarray(tilt))
    return float(jnp.sum(travels * cosine * jnp.abs(spectrum) ** 2) / cosine[0, 0])


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.45, -0.3)])
def test_energy_is_lost_by_absorption_only(tilt: tuple[float, float]) -> None:
    """Apart from the reflected part, of second order in the contrast."""
    index = 0.02 * blob(WATER, 0.5e-6)
    clear = flux(index, tilt)
    assert clear == pytest.approx(1, abs=1e-3)
    assert flux(index / 2, tilt) - 1 == pytest.approx((clear - 1) / 4, rel=0.3)
    assert flux(np.concatenate([index, index / 10]), tilt) < clear - 5e-4


@pytest.mark.parametrize("tilt", [0.0, 0.4, 0.7])
def test_the_phase_of_a_slab_is_the_exact_difference_of_axial_frequencies(tilt: float) -> None:
    """With thin slices to all orders in Δn; multi-slice is exact to first order."""
    n, index = 1.4, 0.03
    lattice = Lattice((400, 4, 4), (0.0125e-6, 0.2e-6, 0.2e-6), 500e-9, n)
    inside, outside = (2 * np.pi / 500e-9 * np.sqrt(m**2 - (n * tilt) ** 2) for m in (n + index, n))
    exact = (inside - outside) * lattice.thickness
    slab = np.full((1, *lattice.shape), index)
    result = np.angle(waves(slab, lattice, (0.0, tilt))[0, 0, 0] * np.exp(-1j * exact))
    assert abs(result) < 2e-3 * exact
    if tilt:
        first = multislice.exit_spectra(jnp.asarray(slab), lattice, jnp.array([[0.0, tilt]]))[0, 0, 0]
        assert abs(np.angle(first * np.exp(-1j * exact))) > 5 * abs(result)


@pytest.mark.parametrize("tilt", [0.0, 0.5])
def test_an_absorbing_slab_follows_beer_and_lambert(tilt: float) -> None:
    """I = exp(−4π κ d / (λ cos θ)): d / cos θ is the path inside."""
    lattice = Lattice((100, 4, 4), (0.05e-6, 0.2e-6, 0.2e-6), 500e-9, 1.4)
    absorption = 2e-3
    slab = np.stack([np.zeros(lattice.shape), np.full(lattice.shape, absorption)])
    expected = np.exp(-4 * np.pi * absorption * lattice.thickness / (lattice.wavelength * np.sqrt(1 - tilt**2)))
    np.testing.assert_allclose(np.abs(waves(slab, lattice, (tilt, 0.0))) ** 2, expected, rtol=2e-3)


@pytest.mark.parametrize("absorbs", [False, True])
@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.35, -0.5)])
def test_a_weak_specimen_gives_linear_theory_to_second_order(tilt: tuple[float, float], absorbs: bool) -> None:
    """At any angle: the relative error of I − 1 is proportional to the contrast."""
    shape = blob(WATER, 0.5e-6)
    channels = np.concatenate([shape, -0.3 * shape]) if absorbs else shape
    light = PlaneWaves(jnp.array([[tilt]]), jnp.ones((1, 1)), jnp.full(1, 0.7))
    weak, full = (
        jax.jit(c.images) for c in (BornModel(WATER, 1.2, absorbs), ImageFormation(WATER, 1.2, "ssnp", (24, 30)))
    )
    errors = []
    for strength in (1e-2, 1e-3, 1e-4):
        image, linear = np.asarray(full(strength * channels, light, np.zeros(0))), weak(strength * channels, light)
        errors.append(np.linalg.norm(image - linear) / np.linalg.norm(linear - 1.0))
    assert errors[0] < 0.2
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.3, -0.2)])
def test_halving_the_slices_converges_at_second_order(tilt: tuple[float, float]) -> None:
    """Richardson: each halving of Δz takes the error down by four. The waves are compared at z = 0."""
    result = []
    for slices in (100, 200, 400):
        lattice = Lattice((slices, 24, 24), (5e-6 / slices, 0.25e-6, 0.25e-6), 532e-9, 1.33)
        spectrum = spectra_behind(0.05 * blob(lattice, 0.9e-6), lattice, np.array([tilt]))[0]
        result.append(np.fft.ifft2(spectrum * to_focus(lattice, np.array(tilt))))
    changes = [np.linalg.norm(b - a) for a, b in pairwise(result)]
    assert changes[0] / changes[1] == pytest.approx(4, rel=0.1)
    assert changes[1] < 1e-3 * np.linalg.norm(result[-1] - 1)


def test_evanescent_waves_do_not_grow() -> None:
    """A rough, thick specimen on a fine grid, on which propagation without damping would diverge."""
    lattice = Lattice((60, 32, 32), (0.1e-6, 0.05e-6, 0.05e-6), 532e-9, 1.33)
    rough = np.random.default_rng(0).uniform(0, 0.02, (1, *lattice.shape))
    for dtype in (np.float32, np.float64):
        tilt = np.array([[0.4, 0.2]], dtype)
        spectrum = np.asarray(spectra_behind(rough.astype(dtype), lattice, tilt)[0])
        travelling = np.asarray(cosines(lattice, jnp.asarray(tilt[0]))[1])
        energy = np.sum(np.abs(spectrum * travelling / 32**2) ** 2)
        assert energy == pytest.approx(1, abs=0.02)


def squares(contrast: jax.Array, tilts: jax.Array, block: int | None, fixed_light: bool) -> jax.Array:
    """Scalar that depends on every part of the propagating waves."""
    spectra = exit_spectra(contrast, WATER, tilts, block, fixed_light)[:, :5, :5]
    sizes = jnp.abs(spectra / WATER.shape[1]) ** 2
    return jnp.sum(sizes * jnp.cos(jnp.arange(sizes.size, dtype=sizes.dtype).reshape(sizes.shape)))


@pytest.mark.parametrize(
    ("channels", "ways"),
    [(1, [(4, True)]), (2, [(4, False), (None, True), (99, True)])],
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
