"""Image formation: position of a point, tilt, focus, and independence of the sampling, for both scattering models."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from unflat.physics.optics.illumination import PlaneWaves
from unflat.physics.optics.image_formation import SCATTERING_MODELS, ImageFormation
from unflat.physics.optics.lattice import Lattice
from unflat.physics.optics.microscope import Illumination

WAVELENGTH, INDEX = 532e-9, 1.33
NONE = np.zeros(0)
both = pytest.mark.parametrize("scattering", sorted(SCATTERING_MODELS))


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def blob(lattice: Lattice, width: tuple[float, float, float], centre: tuple[float, float, float]) -> np.ndarray:
    """Smooth specimen of one channel and unit peak."""
    z, y, x = (np.exp(-(((a - c) / w) ** 2)) for a, c, w in zip(lattice.axes, centre, width, strict=True))
    return (z[:, None, None] * y[:, None] * x)[None]


@partial(jax.jit, static_argnums=0)
def _fields(camera: ImageFormation, contrast: jax.Array, light: PlaneWaves, aberrations: jax.Array) -> jax.Array:
    return camera.fields(contrast, light, aberrations)[:, 0]


@partial(jax.jit, static_argnums=0)
def _images(camera: ImageFormation, contrast: jax.Array, light: PlaneWaves, aberrations: jax.Array) -> jax.Array:
    return camera.images(contrast, light, aberrations)


def waves(tilts: list[tuple[float, float]], cycles: float | np.ndarray = 0.0) -> PlaneWaves:
    """Illuminate each view by one plane wave."""
    views = len(tilts)
    return PlaneWaves(
        jnp.array(tilts)[:, None], jnp.ones((views, 1)), jnp.broadcast_to(jnp.asarray(cycles, float), views)
    )


def images(
    camera: ImageFormation,
    contrast: np.ndarray,
    tilts: list[tuple[float, float]],
    focus: float = 0.0,
    aberrations: np.ndarray = NONE,
) -> np.ndarray:
    """Images under one plane wave each, focused at a plane [m]."""
    return np.asarray(_images(camera, contrast, waves(tilts, camera.lattice.cycles(focus)), aberrations))


def test_plane_waves_are_an_illumination_in_units_of_the_wave() -> None:
    lattice = Lattice((4, 24, 24), (0.3e-6, 0.2e-6, 0.2e-6), WAVELENGTH, INDEX)
    na = np.array([(0.0, 0.1), (0.4, -0.2), (-0.3, 0.0)])
    chosen = PlaneWaves.from_illumination(
        Illumination.from_directions(na, np.array([0.0, 2e-6, -1e-6])), lattice, np.array([2, 1])
    )
    assert all(array.dtype == jnp.float32 for array in chosen)
    np.testing.assert_allclose(chosen.tilts[:, 0], na[[2, 1]] / INDEX, rtol=1e-6)
    np.testing.assert_allclose(chosen.defocus, [lattice.cycles(-1e-6), lattice.cycles(2e-6)], rtol=1e-6)
    np.testing.assert_array_equal(chosen.weights, 1)


@both
@pytest.mark.parametrize("slices", [6, 7])
def test_a_point_refocuses_at_its_position(scattering: str, slices: int) -> None:
    """Focus is at its z for any number of slices and angle of the light: equally dim on both sides."""
    lattice = Lattice((slices, 32, 36), (0.4e-6, 0.2e-6, 0.2e-6), WAVELENGTH, INDEX, centre_z=0.7e-6)
    camera = ImageFormation(lattice, 1.0, scattering, (32, 36))
    steps = np.array([-0.3e-6, -0.01e-6, 0.0, 0.01e-6, 0.3e-6])
    for q, tilt in ((0, (0.0, 0.0)), (slices // 2, (0.3, -0.2)), (slices - 1, (0.0, 0.6))):
        contrast = np.zeros((1, *lattice.shape))
        contrast[0, q, 10, 21] = 1e-5
        cycles = np.array([lattice.cycles(lattice.axes[0][q] + step) for step in steps])
        scattered = np.abs(np.asarray(_fields(camera, contrast, waves([tilt] * 5, cycles), NONE)) - 1)
        far_before, before, there, after, far_after = scattered[:, 10, 21]
        assert there > before > far_before
        assert before == pytest.approx(after, rel=1e-5)
        assert far_before == pytest.approx(far_after, rel=1e-3)
        assert np.unravel_index(scattered[2].argmax(), scattered[2].shape) == (10, 21)


@both
def test_an_absorbing_point_is_darkest_in_focus_and_at_its_own_pixel(scattering: str) -> None:
    lattice = Lattice((5, 32, 32), (0.5e-6, 0.2e-6, 0.2e-6), WAVELENGTH, INDEX)
    contrast = np.zeros((2, *lattice.shape))
    contrast[1, 4, 20, 12] = 1e-3
    camera = ImageFormation(lattice, 0.8, scattering, (20, 24))
    depths = [float(images(camera, contrast, [(0.0, 0.0)], z)[0].min()) for z in np.append(lattice.planes, 1.5e-6)]
    assert int(np.argmin(depths)) == 4
    sharp = images(camera, contrast, [(0.0, 0.0)], lattice.planes[4])[0]
    assert np.unravel_index(sharp.argmin(), sharp.shape) == (20 - 16 + 10, 12 - 16 + 12)


@both
def test_a_shadow_falls_where_the_light_goes(scattering: str) -> None:
    """Light of positive tilt along x goes towards +x: the shadow in the plane z = f, of either sign, is at f·tan θ."""
    lattice = Lattice((3, 64, 64), (0.3e-6, 0.3e-6, 0.3e-6), WAVELENGTH, INDEX)
    absorber = 1e-3 * blob(lattice, (0.4e-6, 1.5e-6, 1.5e-6), (0, 0, 0))
    contrast = np.concatenate([np.zeros_like(absorber), absorber])
    camera = ImageFormation(lattice, 0.95, scattering, (64, 64))
    _, y, x = lattice.axes
    for tilt in ((0.0, 0.45), (0.45, 0.0), (-0.3, 0.2)):
        tangents = np.array(tilt) / np.sqrt(1 - np.sum(np.square(tilt)))
        for focus in (-4e-6, 3e-6):
            shadow = 1 - images(camera, contrast, [tilt], focus)[0]
            centre = np.array([np.sum(shadow * y[:, None]), np.sum(shadow * x)]) / shadow.sum()
            np.testing.assert_allclose(centre, focus * tangents, atol=0.03e-6)


@both
def test_an_empty_volume_gives_images_of_one(scattering: str) -> None:
    lattice = Lattice((4, 24, 24), (0.3e-6, 0.2e-6, 0.2e-6), WAVELENGTH, INDEX)
    camera = ImageFormation(lattice, 0.8, scattering, (20, 22))
    result = images(camera, np.zeros((1, *lattice.shape)), [(0.0, 0.0), (0.3, 0.4)], 7e-6, np.array([0.5, -1.0, 0.3]))
    np.testing.assert_allclose(result, np.ones((2, 20, 22)), atol=1e-10)


def test_a_source_beyond_the_rim_gives_a_dark_field() -> None:
    lattice = Lattice((4, 24, 24), (0.3e-6, 0.2e-6, 0.2e-6), WAVELENGTH, INDEX)
    contrast = 0.02 * blob(lattice, (0.4e-6,) * 3, (0, 0, 0))
    camera = ImageFormation(lattice, 0.5, "multislice", (24, 24))
    rim = 0.5 / INDEX
    dark = images(camera, contrast, [(0.0, 1.02 * rim)])[0]
    assert 0 < dark.max() < 0.1
    np.testing.assert_allclose(images(camera, 0 * contrast, [(0.0, 1.02 * rim)]), 0, atol=1e-12)


def test_a_source_at_the_rim_is_vignetted() -> None:
    """Half of the light that a weak specimen scatters misses the pupil, and with it the interference of the twin."""
    lattice = Lattice((3, 64, 64), (0.3e-6, 0.15e-6, 0.15e-6), WAVELENGTH, INDEX)
    contrast = 1e-5 * blob(lattice, (0.3e-6,) * 3, (0, 0, 0))
    camera = ImageFormation(lattice, 0.6, "multislice", (64, 64))
    rim = 0.6 / INDEX
    for share in (0.0, 0.999):
        light = waves([(0.0, share * rim)])
        spectrum = np.fft.fft2(np.asarray(_fields(camera, contrast, light, NONE))[0] - 1)
        sx = np.broadcast_to(lattice.sines[1], spectrum.shape)
        ahead = np.sum(np.abs(spectrum[sx > 0.01]) ** 2)
        behind = np.sum(np.abs(spectrum[sx < -0.01]) ** 2)
        assert ahead / behind == pytest.approx(1 if share == 0 else 0, abs=0.05)


def test_several_sources_add_incoherently() -> None:
    """The image is the mean of the sources' images, weighted by brightness; sources of weight 0 do not count."""
    lattice = Lattice((4, 24, 24), (0.3e-6, 0.2e-6, 0.2e-6), WAVELENGTH, INDEX)
    contrast = 0.02 * blob(lattice, (0.4e-6,) * 3, (0, 0.2e-6, 0))
    camera = ImageFormation(lattice, 0.8, "multislice", (24, 24))
    tilts, weights = jnp.array([(0.0, 0.0), (0.2, -0.3), (0.5, 0.1)]), jnp.array([[1.0, 3.0, 0.0], [0.0, 0.0, 2.0]])
    light = PlaneWaves(jnp.stack([tilts, tilts]), weights, jnp.zeros(2))
    result = np.asarray(_images(camera, contrast, light, NONE))
    single = images(camera, contrast, [(float(y), float(x)) for y, x in tilts])
    np.testing.assert_allclose(result[0], (single[0] + 3 * single[1]) / 4, atol=1e-12)
    np.testing.assert_allclose(result[1], single[2], atol=1e-12)


def test_a_dark_source_among_bright_ones_leaves_the_empty_field_at_one() -> None:
    """Images are relative to that of an empty field, to which a source beyond the rim does not contribute."""
    lattice = Lattice((4, 24, 24), (0.3e-6, 0.2e-6, 0.2e-6), WAVELENGTH, INDEX)
    camera = ImageFormation(lattice, 0.5, "multislice", (24, 24))
    light = PlaneWaves(jnp.array([[(0.0, 0.1), (0.45, 0.0)]]), jnp.ones((1, 2)), jnp.zeros(1))
    result = _images(camera, np.zeros((1, *lattice.shape)), light, NONE)
    np.testing.assert_allclose(result, 1, atol=1e-12)


def test_several_foci_are_those_of_several_images() -> None:
    lattice = Lattice((4, 24, 24), (0.3e-6, 0.2e-6, 0.2e-6), WAVELENGTH, INDEX)
    contrast = 0.02 * blob(lattice, (0.4e-6,) * 3, (0, 0.2e-6, 0))
    camera = ImageFormation(lattice, 0.8, "multislice", (24, 24))
    foci = np.array([-2e-6, 0.0, 3e-6])
    result = _images(camera, contrast, waves([(0.1, 0.2)] * 3, np.array([lattice.cycles(f) for f in foci])), NONE)
    for image, focus in zip(np.asarray(result), foci, strict=True):
        np.testing.assert_allclose(image, images(camera, contrast, [(0.1, 0.2)], float(focus))[0], atol=1e-12)
    assert np.abs(result[0] - result[2]).max() > 0.02


SPECIMEN = ((0.8e-6, 0.6e-6, 0.9e-6), (0.2e-6, -0.3e-6, 0.4e-6))
BOX = (6e-6, 9.6e-6, 9.6e-6)


def standard_image(scattering: str, counts: tuple[int, int, int], centre: float = 0.0, binning: int = 1) -> np.ndarray:
    """Image of one smooth specimen, at points that all samplings of the box share."""
    pitch = (BOX[0] / counts[0], BOX[1] / counts[1], BOX[2] / counts[2])
    lattice = Lattice(counts, pitch, WAVELENGTH, INDEX, centre, binning)
    contrast = 0.03 * blob(lattice, *SPECIMEN)
    shape = (counts[1] // binning, counts[2] // binning)
    camera = ImageFormation(lattice, 0.65, scattering, shape)
    result = images(camera, contrast, [(0.1, -0.25)], 1e-6)[0]
    y, x = (n // 24 for n in shape)
    return result[(shape[0] // 2) % y :: y, (shape[1] // 2) % x :: x]


@both
def test_the_image_is_the_same_at_every_sampling(scattering: str) -> None:
    """Twice the samples along y and x, other slices along z, a box about another plane."""
    reference = standard_image(scattering, (60, 48, 48))
    signal = np.abs(reference - 1).max()
    assert signal > 0.15
    for counts, centre, tolerance in (
        ((60, 96, 96), 0.0, 1e-3),
        ((60, 72, 48), 0.0, 1e-3),
        ((75, 48, 48), 0.0, 5e-3),
        ((61, 48, 48), 0.0, 5e-3),
        ((60, 48, 48), 0.33e-6, 5e-3),
    ):
        assert np.abs(standard_image(scattering, counts, centre) - reference).max() < tolerance * signal


def test_thick_slices_change_little_where_light_bends_little() -> None:
    """Multi-slice with slices of half a micron, more than a wavelength, against ten times as many.

    SSNP samples the wave itself along z, and needs a quarter of a wavelength.
    """
    fine, thick = (standard_image("multislice", (slices, 48, 48)) for slices in (120, 12))
    assert np.abs(thick - fine).max() < 0.02 * np.abs(fine - 1).max()


def test_padding_with_background_converges() -> None:
    """Light that wraps around a narrow box, such as rings of the pupil's rim, vanishes in a wide one."""
    lattice = Lattice((20, 48, 48), (0.15e-6, 0.2e-6, 0.2e-6), WAVELENGTH, INDEX)
    contrast = 0.03 * blob(lattice, *SPECIMEN)

    def padded_image(margin: float) -> np.ndarray:
        padded = lattice.pad(margin)
        before = [p // 2 - n // 2 for n, p in zip(lattice.shape, padded.shape, strict=True)]
        widths = [(0, 0), *((b, p - n - b) for b, n, p in zip(before, lattice.shape, padded.shape, strict=True))]
        camera = ImageFormation(padded, 0.65, "multislice", (30, 30))
        return images(camera, np.pad(contrast, widths), [(0.1, -0.25)], 0.5e-6)[0]

    wide = padded_image(30e-6)
    errors = [np.abs(padded_image(margin) - wide).max() / np.abs(wide - 1).max() for margin in (0.0, 5e-6, 14e-6)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01


def test_a_pixel_averages_its_samples() -> None:
    """The frame's pixel n // 2 is on the axis, and holds the mean of binning² samples."""
    for binning, shape in ((1, (6, 7)), (2, (7, 6)), (3, (5, 4))):
        lattice = Lattice((1, 24, 26), (1e-6, 1e-6, 2e-6), WAVELENGTH, INDEX, binning=binning)
        camera = ImageFormation(lattice, 0.5, "multislice", shape)
        _, y, x = lattice.axes
        rows = camera.bin_to_pixels(jnp.asarray(np.broadcast_to(y[:, None], (24, 26))))
        columns = camera.bin_to_pixels(jnp.asarray(np.broadcast_to(x, (24, 26))))
        assert rows.shape == shape
        np.testing.assert_allclose(rows[:, 0], (np.arange(shape[0]) - shape[0] // 2) * binning * 1e-6, atol=1e-18)
        np.testing.assert_allclose(columns[0], (np.arange(shape[1]) - shape[1] // 2) * binning * 2e-6, atol=1e-18)


@pytest.mark.slow
@both
def test_gradients_are_those_of_finite_differences(scattering: str) -> None:
    """Gradients of contrast, absorption, tilts, brightness, defocus and aberrations together."""
    rng = np.random.default_rng(3)
    lattice = Lattice((5, 12, 14), (0.3e-6, 0.25e-6, 0.25e-6), WAVELENGTH, INDEX)
    camera = ImageFormation(lattice, 0.9, scattering, (10, 12), block=2)
    measured = rng.uniform(0.8, 1.2, (2, 10, 12))
    contrast = rng.normal(0, 0.01, (2, *lattice.shape))
    tilts, weights = jnp.asarray(rng.uniform(-0.3, 0.3, (2, 2, 2))), jnp.asarray(rng.uniform(0.5, 1.5, (2, 2)))
    light, aberrations = PlaneWaves(tilts, weights, jnp.array([1.0, -2.0])), jnp.array([0.3, -0.2, 0.1, 0.4])

    def misfit(contrast: jax.Array, light: PlaneWaves, aberrations: jax.Array) -> jax.Array:
        return jnp.sum((camera.images(contrast, light, aberrations) - measured) ** 2)

    check_grads(
        jax.jit(misfit), (jnp.asarray(contrast), light, aberrations), order=1, modes=["rev"], eps=1e-5, rtol=1e-6
    )
