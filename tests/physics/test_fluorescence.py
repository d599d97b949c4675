"""Fluorescence images: conservation of light, limits and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from unflat.physics.fluorescence import (
    FluorescenceExposure,
    MicroscopePsf,
    Stain,
    apply_psf,
    expose_section,
    fluorescence,
    occupancy_from_distance,
    simulate_stack,
)

N, STEP = 32, 0.34
SPACING = (STEP, STEP, STEP)
SHARP = MicroscopePsf(lateral=1e-3, axial=1e-3, halo=0.0)


def ball(radius: float = 3.0) -> jax.Array:
    axis = (np.arange(N) - N // 2) * STEP
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2) - radius
    return occupancy_from_distance(jnp.asarray(distance, jnp.float32), STEP)


def section(filled: jax.Array, stain: Stain, blur: MicroscopePsf) -> jax.Array:
    """Section at z = 0, computed alone as in simulations and refinements."""
    return simulate_stack(filled, SPACING, stain, blur, slice(N // 2, N // 2 + 1))[..., 0, :, :]


def test_a_balls_volume_and_membrane() -> None:
    filled = ball()
    assert float(filled.sum()) * STEP**3 == pytest.approx(4 / 3 * np.pi * 27, rel=0.01)
    membrane = fluorescence(filled, SPACING, Stain(inside=0.0, membrane=1.0))
    # |∇o| integrates to the surface's area.
    assert float(membrane.sum()) * STEP**3 == pytest.approx(4 * np.pi * 9, rel=0.03)


def test_blur_conserves_light_and_a_sharp_psf_is_the_identity() -> None:
    filled = ball()
    np.testing.assert_allclose(apply_psf(filled, SPACING, SHARP), filled, atol=1e-5)
    wide = apply_psf(filled, SPACING, MicroscopePsf(0.15, 0.4, 0.3, 0.5))
    assert float(wide.sum()) == pytest.approx(float(filled.sum()), rel=2e-3)
    assert float(wide.min()) > -1e-6


def test_blur_is_the_gaussian_of_scipy_and_of_a_psf_array() -> None:
    rng = np.random.default_rng(0)
    stack = np.zeros((N, N, N), np.float32)
    stack[8:-8, 8:-8, 8:-8] = rng.random((N - 16,) * 3)
    sigmas = (0.6, 0.5, 0.5)
    # Light is integrated over pixels, which widens a Gaussian by a twelfth of a pixel squared.
    widened = [float(np.sqrt((s / STEP) ** 2 + 1 / 12)) for s in sigmas]
    expected = ndimage.gaussian_filter(stack, widened, mode="constant", truncate=6)
    result = apply_psf(jnp.asarray(stack), SPACING, MicroscopePsf(0.5, 0.6, halo=0.0))
    assert float(jnp.abs(result - expected).max()) < 0.01 * expected.max()
    spot = np.zeros((15, 15, 15), np.float32)
    spot[7, 7, 7] = 1
    psf = ndimage.gaussian_filter(spot, [s / STEP for s in sigmas], truncate=4)
    skewed = np.roll(psf, 1, axis=2)
    moved = apply_psf(jnp.asarray(stack), SPACING, jnp.asarray(skewed))
    np.testing.assert_allclose(
        moved, ndimage.convolve(stack, skewed, mode="constant"), atol=2e-5
    )  # a convolution, not a correlation
    with pytest.raises(ValueError, match="odd"):
        apply_psf(jnp.asarray(stack), SPACING, jnp.ones((2, 3, 3)))


def test_the_section_is_the_middle_of_the_stack() -> None:
    filled, blur, stain = ball(), MicroscopePsf(), Stain()
    stack = apply_psf(fluorescence(filled, SPACING, stain), SPACING, blur)
    np.testing.assert_allclose(section(filled, stain, blur), stack[N // 2] / stain.inside, atol=1e-6)


def test_the_rim_is_brighter_than_the_middle_and_the_mask_is_the_balls() -> None:
    filled, blur = ball(), MicroscopePsf(0.15, 0.4, halo=0.0)
    seen = np.asarray(section(filled, Stain(), blur))
    across = seen[N // 2]
    assert across.max() > 1.05 * across[N // 2]
    mask = np.asarray(simulate_stack(filled, SPACING, Stain(1.0, 0.0), blur))[N // 2] > 0.5
    assert mask.sum() * STEP**2 == pytest.approx(np.pi * 9, rel=0.04)


def test_gradients_are_those_of_finite_differences() -> None:
    filled = ball()

    def brightness(numbers: jax.Array) -> jax.Array:
        lateral, axial, membrane, halo = numbers
        seen = section(filled, Stain(1.0, membrane), MicroscopePsf(lateral, axial, halo, 0.6))
        return jnp.sum(seen**2)

    at = jnp.array([0.2, 0.5, 0.6, 0.2])
    gradient = jax.grad(brightness)(at)
    for i in range(4):
        step = 0.01 * jnp.eye(4)[i]
        difference = (brightness(at + step) - brightness(at - step)) / 0.02
        assert float(gradient[i]) == pytest.approx(float(difference), rel=0.02)
    empty = jax.grad(lambda o: jnp.sum(section(o, Stain(), MicroscopePsf())))(jnp.zeros((N, N, N)))
    assert bool(jnp.isfinite(empty).all())


def test_a_batch_is_its_members() -> None:
    two = jnp.stack([ball(2.0), ball(3.0)])
    both = section(two, Stain(), MicroscopePsf())
    np.testing.assert_allclose(both[1], section(two[1], Stain(), MicroscopePsf()), atol=1e-5)


def test_background_noise_and_grain_of_an_exposure() -> None:
    clean, rng = np.full((200, 200), 0.5, np.float32), np.random.default_rng(0)
    quiet = expose_section(clean, FluorescenceExposure(photons=None, background=0.1), rng)
    np.testing.assert_allclose(quiet, 0.6, rtol=1e-6)
    noisy = expose_section(clean, FluorescenceExposure(photons=100.0, background=0.1, grain=0.0), rng)
    assert noisy.mean() == pytest.approx(0.6, rel=0.01)
    assert noisy.var() == pytest.approx(0.6 / 100, rel=0.05)
    smooth = expose_section(clean, FluorescenceExposure(photons=100.0, background=0.1), rng)
    assert smooth.std() < 0.6 * noisy.std()
