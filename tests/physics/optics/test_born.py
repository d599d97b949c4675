"""Linear theory: its transfer functions and their closed-form inverse."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.optics.born import BornModel
from unflat.physics.optics.illumination import PlaneWaves
from unflat.physics.optics.image_formation import ImageFormation
from unflat.physics.optics.lattice import Lattice
from unflat.physics.optics.patterns import ring, spiral

INDEX = 1.33
SMALL = Lattice((3, 9, 11), (0.8e-6, 0.3e-6, 0.3e-6), 532e-9, INDEX, centre_z=0.4e-6)
"""Of odd sizes: an even one has a Nyquist sample, which is no wave of one direction."""


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def lights(tilts: np.ndarray, cycles: float | np.ndarray = 0.0) -> PlaneWaves:
    """Illuminate each view by one plane wave."""
    views = len(tilts)
    foci = jnp.broadcast_to(jnp.asarray(cycles, float), views)
    return PlaneWaves(jnp.asarray(tilts, float)[:, None], jnp.ones((views, 1)), foci)


_images = jax.jit(lambda camera, *arrays: camera.images(*arrays), static_argnums=0)
_inverse = jax.jit(lambda camera, *arrays: camera.inverse(*arrays), static_argnums=0)
_transfer = jax.jit(lambda camera, *arrays: camera.transfer(*arrays), static_argnums=0)


def weakly(camera: BornModel, contrast: np.ndarray, light: PlaneWaves) -> np.ndarray:
    return np.asarray(_images(camera, contrast, light))


def inverted(camera: BornModel, images: np.ndarray, light: PlaneWaves, strength: float) -> np.ndarray:
    return np.asarray(_inverse(camera, images, light, strength))


def transferred(camera: BornModel, light: PlaneWaves) -> list[np.ndarray]:
    """Transfer functions of each view over the lattice's frequencies."""
    sy, sx = np.broadcast_arrays(*camera.lattice.sines)
    return [np.asarray(_transfer(camera, sy, sx, PlaneWaves(*one))) for one in zip(*light, strict=True)]


def mixed() -> PlaneWaves:
    """Two views of two sources and different foci."""
    tilts = jnp.array([[(0.1, 0.2), (-0.3, 0.0)], [(0.0, 0.0), (0.2, 0.1)]])
    return PlaneWaves(tilts, jnp.array([[1.0, 2.0], [1.0, 0.0]]), jnp.array([0.0, 1.5]))


def test_images_are_linear_in_the_specimen() -> None:
    camera = BornModel(SMALL, 0.8, absorption=True)
    first, second = np.random.default_rng(0).normal(0, 1, (2, 2, *SMALL.shape))
    sum_of = 2 * weakly(camera, first, mixed()) - 3 * weakly(camera, second, mixed())
    np.testing.assert_allclose(weakly(camera, 2 * first - 3 * second, mixed()), sum_of + 2, atol=1e-10)


def test_the_adjoint_is_the_conjugate_transfer_function() -> None:
    """⟨H n, y⟩ = ⟨n, Hᴴ y⟩ with Hᴴ written out by transfer functions, in real space."""
    camera = BornModel(SMALL, 0.8, absorption=True)
    rng = np.random.default_rng(1)
    contrast, images = rng.normal(0, 1, (2, *SMALL.shape)), rng.normal(0, 1, (2, *SMALL.shape[1:]))
    back = np.zeros(contrast.shape)
    for image, transfer in zip(images, transferred(camera, mixed()), strict=True):
        back += np.fft.ifft2(np.conj(transfer) * np.fft.fft2(image)).real
    forward = weakly(camera, contrast, mixed()) - 1
    assert np.vdot(forward, images) == pytest.approx(np.vdot(contrast, back), rel=1e-12)


def test_transfer_functions_are_those_of_real_images() -> None:
    """H(−s) = H*(s)."""
    camera = BornModel(SMALL, 0.8, absorption=True)
    sy, sx = np.meshgrid(np.linspace(-0.5, 0.5, 5), np.linspace(-0.4, 0.4, 5), indexing="ij")
    there, mirrored = (_transfer(camera, s * sy, s * sx, PlaneWaves(*(a[0] for a in mixed()))) for s in (1, -1))
    np.testing.assert_allclose(mirrored, np.conj(there), atol=1e-12)


def test_the_inverse_is_that_of_tikhonov() -> None:
    """(JᵀJ + α)⁻¹ Jᵀ (I − 1) with J the matrix of the images, for more unknowns than views and for fewer."""
    for views in (2, 4):
        camera = BornModel(SMALL, 0.8, absorption=True)
        light = lights(spiral(views, 0.5), np.linspace(-2, 2, views))
        unit = np.eye(2 * int(np.prod(SMALL.shape))).reshape(-1, 2, *SMALL.shape)
        columns = jax.jit(jax.vmap(camera.images, in_axes=(0, None)))(unit, light)
        matrix = np.asarray(columns).reshape(len(unit), -1).T - 1
        images = 1 + np.random.default_rng(2).normal(0, 0.1, (views, *SMALL.shape[1:]))
        each = transferred(camera, light)
        strength = 0.03
        alpha = strength * np.max(np.sum(np.abs(each) ** 2, axis=(0, 1, 2))) / min(views, SMALL.shape[0])
        expected = np.linalg.solve(matrix.T @ matrix + alpha * np.eye(matrix.shape[1]), matrix.T @ (images - 1).ravel())
        np.testing.assert_allclose(
            inverted(camera, images, light, strength).ravel(), expected, atol=1e-9 * np.abs(expected).max()
        )


@given(st.integers(0, 100))
@settings(max_examples=5, deadline=None)
def test_transferred_frequencies_are_recovered(seed: int) -> None:
    """The inverse is exact for a specimen of frequencies that some view transfers."""
    camera = BornModel(SMALL, 0.9)
    light = lights(np.tile(spiral(8, 0.6), (3, 1)), np.repeat([-2.0, 0.0, 2.0], 8))
    start = np.random.default_rng(seed).normal(0, 1, (24, *SMALL.shape[1:]))
    seen = inverted(camera, 1 + start, light, 0.3)
    again = inverted(camera, weakly(camera, seen, light), light, 1e-9)
    error = np.linalg.norm(again - seen) / np.linalg.norm(seen)
    assert error < 1e-3


THICK = Lattice((16, 48, 48), (0.6e-6, 0.25e-6, 0.25e-6), 532e-9, INDEX)


def specimen() -> np.ndarray:
    """Three weak spheres without mirror symmetry."""
    z, y, x = np.meshgrid(*THICK.axes, indexing="ij", sparse=True)
    values = np.zeros(THICK.shape)
    for height, (cz, cy, cx), radius in (
        (1.0, (2.4e-6, -1e-6, 1e-6), 1.2e-6),
        (0.7, (-1.8e-6, 1.5e-6, 0.5e-6), 1.0e-6),
        (0.5, (0.6e-6, 0.0, -2.5e-6), 1.4e-6),
    ):
        values += height * np.exp(-(((z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2) / radius**2))
    return 1e-4 * values[None]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.slow
def test_more_views_recover_more_of_a_specimen() -> None:
    """With SSNP's images of a weak specimen, more views improve the specimen and the prediction of other views."""
    truth, camera = 1e-2 * specimen(), BornModel(THICK, 0.9)
    image = jax.jit(ImageFormation(THICK, 0.9, "ssnp", THICK.shape[1:]).images)
    unseen = lights(ring(3, 0.4, start=0.5))
    reference = np.asarray(image(truth, unseen, np.zeros(0)))
    result, errors = [], []
    for views in (3, 8, 32):
        light = lights(spiral(views, 0.65))
        answer = inverted(camera, np.asarray(image(truth, light, np.zeros(0))), light, 1e-3)
        result.append(correlation(answer, truth))
        errors.append(np.linalg.norm(weakly(camera, answer, unseen) - reference) / np.linalg.norm(reference - 1))
        assert result[-1] > correlation(answer, truth[:, ::-1]) + 0.5
    assert result[0] < result[1] < result[2]
    assert result[2] > 0.85
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.03


def test_light_of_the_wrong_sign_gives_a_mirrored_specimen_and_an_equal_fit() -> None:
    """Images do not determine the sign of the illumination."""
    truth, camera = specimen(), BornModel(THICK, 0.9)
    right, wrong = (lights(sign * ring(12, 0.6)) for sign in (1, -1))
    measured = weakly(camera, truth, right)
    answers = [inverted(camera, measured, light, 1e-3) for light in (right, wrong)]
    residuals = [
        np.linalg.norm(weakly(camera, a, light) - measured) for a, light in zip(answers, (right, wrong), strict=True)
    ]
    assert residuals[1] == pytest.approx(residuals[0], rel=0.05)
    assert correlation(answers[1], -truth[:, ::-1]) > correlation(answers[1], truth)


def test_absorption_and_phase_are_separated() -> None:
    truth = np.concatenate([specimen(), 0.5 * specimen()[:, :, ::-1]])
    camera = BornModel(THICK, 0.9, absorption=True)
    light = lights(np.tile(spiral(16, 0.65), (2, 1)), np.repeat([-4.0, 4.0], 16))
    answer = inverted(camera, weakly(camera, truth, light), light, 1e-4)
    for channel in (0, 1):
        own, other = (correlation(answer[channel], truth[c]) for c in (channel, 1 - channel))
        assert own > 0.85
        assert other < correlation(truth[0], truth[1])


def test_a_phase_object_in_focus_is_invisible_and_an_absorber_is_not() -> None:
    lattice = Lattice((1, 31, 31), (0.3e-6, 0.3e-6, 0.3e-6), 532e-9, INDEX)
    contrast = np.random.default_rng(5).normal(0, 1e-3, (1, *lattice.shape))
    both = np.concatenate([contrast, 0 * contrast])
    straight = lights(np.zeros((1, 2)))
    camera = BornModel(lattice, 0.8, absorption=True)
    phase, absorber = (weakly(camera, c, straight) - 1 for c in (both, both[::-1]))
    assert np.abs(phase).max() < 1e-12
    assert correlation(absorber[0], -contrast[0, 0]) > 0.5


def test_sources_beyond_the_pupil_give_nothing() -> None:
    camera = BornModel(SMALL, 0.4, absorption=True)
    contrast = np.random.default_rng(6).normal(0, 1, (2, *SMALL.shape))
    dark = lights(np.array([(0.0, 0.35)]))
    np.testing.assert_array_equal(weakly(camera, contrast, dark), 1)
    one = lights(np.array([(0.0, 0.1)]))
    both = PlaneWaves(jnp.array([[(0.0, 0.1), (0.0, 0.35)]]), jnp.array([[1.0, 5.0]]), jnp.zeros(1))
    np.testing.assert_allclose(weakly(camera, contrast, both), weakly(camera, contrast, one), atol=1e-12)


def test_single_precision_agrees() -> None:
    """Images and inverse are used in float32."""
    truth, camera = specimen(), BornModel(THICK, 0.9)
    light = lights(spiral(8, 0.6))
    measured = weakly(camera, truth, light)
    double = inverted(camera, measured, light, 1e-2)
    narrow = PlaneWaves(*(a.astype(jnp.float32) for a in light))
    single = inverted(camera, measured.astype(np.float32), narrow, np.float32(1e-2))
    assert np.linalg.norm(single - double) < 0.01 * np.linalg.norm(double)


@pytest.mark.parametrize("views", [2, 7])
def test_the_determined_share_is_what_the_inverse_returns_of_a_coefficient(views: int) -> None:
    camera, light = BornModel(SMALL, 0.65), lights(spiral(views, 0.4))
    share = np.asarray(jax.jit(camera.determined_share)(light, 0.03))
    assert share.min() >= 0
    assert share.max() <= 1
    for place in ((0, 1, 2), (2, 3, 1), (1, 8, 1), (1, 0, 4)):
        spectrum = np.zeros(share.shape, complex)
        spectrum[place] = 1
        contrast = np.fft.irfftn(spectrum, SMALL.shape, axes=(0, 1, 2))
        returned = inverted(camera, weakly(camera, contrast[None], light), light, 0.03)[0]
        assert np.fft.rfftn(returned)[place] == pytest.approx(share[place], abs=1e-9)
