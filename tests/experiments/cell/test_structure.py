"""Tests of the camera's noise as estimated from images, and of the structure that a result leaves unexplained."""

import numpy as np
import pytest

from unflat.physics.detector import Detector
from unflat.physics.optics.microscope import Microscope
from unflat.recon.experiments.cell.field_noise import FieldNoise, estimate_field_noise
from unflat.recon.experiments.cell.image_noise import ImageNoise, estimate_noise
from unflat.recon.experiments.cell.structure import ComparedViews, structure_numbers

VIEWS, SIZE = 8, 64
MICROSCOPE = Microscope(0.5e-6, 0.6, 1.33, (0.2e-6, 0.2e-6))


def images(contrast: float = 0.3, bright: float = 1.0, seed: int = 0) -> np.ndarray:
    """Images without noise: intensities of fields within the pupil, as an objective makes them."""
    rng = np.random.default_rng(seed)
    frequencies = np.fft.fftfreq(SIZE, 0.2e-6)
    radius = np.hypot(frequencies[:, None], frequencies)
    passed = radius < MICROSCOPE.numerical_aperture / MICROSCOPE.wavelength
    waves = rng.normal(size=(VIEWS, SIZE, SIZE)) + 1j * rng.normal(size=(VIEWS, SIZE, SIZE))
    # Strong at low frequencies, as specimens are.
    scattered = np.fft.ifft2(np.fft.fft2(waves) * passed / (1 + (radius / 4e5) ** 2))
    return np.abs(bright + contrast * scattered / scattered.std()) ** 2


def measure(clean: np.ndarray, detector: Detector, seed: int = 1) -> np.ndarray:
    return detector.expose(clean, np.random.default_rng(seed)) / detector.scale


def noise_of(
    measured: np.ndarray, modelled: np.ndarray | float = 0.0, microscope: Microscope = MICROSCOPE
) -> ImageNoise:
    model = np.broadcast_to(np.asarray(modelled, np.float64), measured.shape)
    noise = estimate_noise(measured, model, np.ones(measured.shape, bool), microscope)
    assert noise is not None
    return noise


def compare(measured: np.ndarray, modelled: np.ndarray, noise: ImageNoise | None) -> ComparedViews:
    return ComparedViews(measured, modelled, np.ones(VIEWS, bool), np.ones(measured.shape), True, noise)


@pytest.mark.parametrize(
    "detector",
    [
        Detector(photons=1000.0),
        Detector(photons=20000.0, read_noise=300.0, gain=0.4),
        Detector(photons=100.0, read_noise=3.0, gain=12.0),
    ],
)
def test_the_noise_of_a_camera_is_found_within_a_tenth(detector: Detector) -> None:
    clean = images()
    measured = measure(clean, detector)
    noise = noise_of(measured)
    assert noise.variance(clean).mean() == pytest.approx(np.mean((measured - clean) ** 2), rel=0.1)
    error = (np.sqrt(measured) - np.sqrt(clean)) ** 2
    assert noise.misfit_of(measured).mean() == pytest.approx(error.mean(), rel=0.1)


def test_photons_and_read_noise_are_told_apart_by_dark_and_bright_places() -> None:
    measured = measure(images(contrast=0.45), Detector(photons=2000.0, read_noise=25.0))
    noise = noise_of(measured)
    assert 1 / noise.slope == pytest.approx(2000, rel=0.2)
    assert np.sqrt(noise.floor) * 2000 == pytest.approx(25, rel=0.3)
    assert noise.photons == pytest.approx(2000**2 / (2000 + 25**2), rel=0.1)


def test_each_view_has_noise_of_its_own() -> None:
    clean, photons = images(), np.where(np.arange(VIEWS) < 4, 4000.0, 500.0)
    measured = np.random.default_rng(2).poisson(clean * photons[:, None, None]) / photons[:, None, None]
    estimated = noise_of(measured).variance(np.ones((VIEWS, 1, 1)))[:, 0, 0]
    np.testing.assert_allclose(estimated * photons, 1, atol=0.2)


@pytest.mark.parametrize("is_known", [True, False])
def test_masked_pixels_do_not_count_as_noise(is_known: bool) -> None:
    measured = measure(images(), Detector(photons=1000.0))
    measured[:, 20:23, 30:34] = 50.0
    good = np.ones(measured.shape, bool)
    good[:, 20:23, 30:34] = not is_known
    noise = estimate_noise(measured, np.zeros(measured.shape), good, MICROSCOPE)
    assert noise is not None
    assert (noise.photons == pytest.approx(1000, rel=0.1)) == is_known


def test_coarse_pixels_give_an_upper_limit_which_a_model_lowers() -> None:
    coarse = Microscope(0.5e-6, 0.6, 1.33, (0.4e-6, 0.4e-6))
    clean = images()[:, ::2, ::2]
    measured = measure(clean, Detector(photons=3000.0))
    without, with_model = noise_of(measured, 0.0, coarse), noise_of(measured, clean, coarse)
    assert without.photons < 2000
    assert with_model.photons == pytest.approx(3000, rel=0.1)


def test_too_few_pixels_tell_no_noise() -> None:
    assert estimate_noise(np.ones((2, 6, 6)), np.ones((2, 6, 6)), np.ones((2, 6, 6), bool), MICROSCOPE) is None


@pytest.mark.parametrize("photons", [300.0, 3000.0])
def test_nothing_is_left_by_the_truth_and_all_by_an_empty_box(photons: float) -> None:
    clean = images(contrast=0.15)
    measured = measure(clean, Detector(photons=photons))
    withheld = np.arange(VIEWS) < 2
    noise = noise_of(measured)
    truth = structure_numbers(compare(measured, clean, noise), withheld)
    assert truth["structure_unexplained"] == pytest.approx(0, abs=0.05)
    assert 0 < truth["structure_error"] < 0.05
    assert truth["structure_unexplained_fitted"] == pytest.approx(0, abs=0.05)
    empty = np.broadcast_to(np.sqrt(measured).mean(axis=(1, 2), keepdims=True) ** 2, measured.shape)
    assert structure_numbers(compare(measured, empty, noise), withheld)["structure_unexplained"] == pytest.approx(1)
    half = (1 + np.sqrt(clean)) ** 2 / 4  # Half of the amplitude is a quarter of the energy.
    left = structure_numbers(compare(measured, half, noise), withheld)["structure_unexplained"]
    assert left == pytest.approx(0.25, abs=0.06)


def test_the_standard_error_is_the_spread_between_scans_of_few_pixels() -> None:
    left, errors = [], []
    for seed in range(24):
        clean = images(contrast=0.1, seed=seed)[:, :28, :28]
        measured = measure(clean, Detector(photons=100.0), seed)
        numbers = structure_numbers(compare(measured, clean, noise_of(measured, clean)), np.arange(VIEWS) < 1)
        left.append(numbers["structure_unexplained"])
        errors.append(numbers["structure_error"])
    assert np.std(left) == pytest.approx(np.median(errors), rel=0.4)
    assert np.abs(np.mean(left)) < np.median(errors)


def test_images_of_noise_hold_no_structure() -> None:
    measured = measure(np.ones((VIEWS, SIZE, SIZE)), Detector(photons=500.0))
    numbers = structure_numbers(compare(measured, np.ones(measured.shape), noise_of(measured)), np.arange(VIEWS) < 2)
    assert numbers["noise_floor"] == pytest.approx(1, abs=0.04)
    assert numbers.get("structure_unexplained", 1.0) > 0.5


def test_a_misfit_in_one_place_is_concentrated() -> None:
    clean = images()
    measured = measure(clean, Detector(photons=3000.0))
    dirty, everywhere = clean.copy(), clean * 1.1
    dirty[:, 10:20, 40:52] *= 1.5
    everywhere[:, :, ::4] *= 0.8
    shares = [compare(measured, model, noise_of(measured)).concentration() for model in (dirty, everywhere)]
    assert shares[0] is not None
    assert shares[1] is not None
    assert shares[0] > 0.8 > 0.4 > shares[1]


def test_dark_fields_are_compared_with_darkness() -> None:
    clean = 0.02 * images()
    measured = measure(clean, Detector(photons=20000.0))
    noise = noise_of(measured, clean)
    views = ComparedViews(measured, clean, np.zeros(VIEWS, bool), np.ones(measured.shape), True, noise)
    misfit = views.misfit(np.ones(VIEWS, bool))
    assert misfit.empty == pytest.approx(measured.mean(), rel=1e-3)
    assert misfit.unexplained == pytest.approx(0, abs=0.01)


DIRECTIONS = np.random.default_rng(5).uniform(-0.3, 0.3, (VIEWS, 2))


def fields(noise: float, *, is_filtered: bool = False, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Complex fields divided by their incident waves, without and with noise, which may be that within the pupil."""
    rng = np.random.default_rng(seed)
    na = MICROSCOPE.wavelength * np.fft.fftfreq(SIZE, 0.2e-6)
    steps = np.round(DIRECTIONS / na[1]).astype(int)
    radius = np.hypot(na[:, None], na)
    waves, random = (rng.normal(size=(VIEWS, SIZE, SIZE, 2)) @ [1, 1j] for _ in range(2))
    passed = np.stack([np.roll(radius < MICROSCOPE.numerical_aperture, -step, (0, 1)) for step in steps])
    scattered = np.fft.ifft2(np.fft.fft2(waves) * passed / (1 + (radius / 0.15) ** 2))
    clean = 1 + 0.3 * scattered / scattered.std()
    random = noise * random / np.sqrt(2)
    return clean, clean + (np.fft.ifft2(np.fft.fft2(random) * passed) if is_filtered else random)


def noise_of_fields(measured: np.ndarray, modelled: np.ndarray, good: np.ndarray | None = None) -> FieldNoise:
    steps = MICROSCOPE.wavelength / (SIZE * 0.2e-6)
    directions = np.round(DIRECTIONS / steps) * steps
    good = np.ones(measured.shape, bool) if good is None else good
    noise = estimate_field_noise(measured, modelled, good, MICROSCOPE, directions)
    assert noise is not None
    return noise


@pytest.mark.parametrize("level", [0.1, 0.01])
@pytest.mark.parametrize("is_filtered", [False, True])
def test_the_noise_of_fields_is_found_whether_or_not_they_were_filtered(level: float, is_filtered: bool) -> None:
    clean, measured = fields(level, is_filtered=is_filtered)
    noise = noise_of_fields(measured, clean)
    assert noise.misfit_of(measured).mean() == pytest.approx(np.mean(np.abs(measured - clean) ** 2), rel=0.15)
    empty = noise_of_fields(measured, np.ones_like(clean))  # The rim of the pupil holds signal: an upper limit.
    assert noise.misfit_of(measured).mean() < empty.misfit_of(measured).mean()
    assert empty.misfit_of(measured).mean() < level**2 + 0.12 * np.mean(np.abs(clean - 1) ** 2)


def test_masked_pixels_of_fields_are_no_noise() -> None:
    clean, measured = fields(0.05)
    good = np.ones(measured.shape, bool)
    good[:, 20:24, 30:40] = False
    noise = noise_of_fields(np.where(good, measured, 50), clean, good)
    assert noise.misfit_of(measured).mean() == pytest.approx(0.05**2, rel=0.15)


def test_fields_too_small_to_tell_have_no_noise() -> None:
    small = np.ones((2, 6, 6), np.complex64)
    assert estimate_field_noise(small, small, np.ones(small.shape, bool), MICROSCOPE, np.zeros((2, 2))) is None


@pytest.mark.parametrize("level", [0.1, 0.02])
def test_of_fields_too_nothing_is_left_by_the_truth_and_a_quarter_by_half_of_it(level: float) -> None:
    clean, measured = fields(level)
    withheld = np.arange(VIEWS) < 2
    phases = np.exp(2j * np.pi * np.arange(VIEWS) / VIEWS)[:, None, None]
    for modelled, left in ((clean, 0.0), ((1 + clean) / 2, 0.25), (np.ones_like(clean), 1.0)):
        noise = noise_of_fields(measured * phases, modelled * phases)
        views = ComparedViews(
            measured * phases, modelled * phases, np.ones(VIEWS, bool), np.ones(clean.shape), True, noise
        )
        numbers = structure_numbers(views, withheld)
        assert numbers["structure_unexplained"] == pytest.approx(left, abs=0.03)
        assert 0 <= numbers["structure_error"] < 0.05
        assert "noise_photons" not in numbers
