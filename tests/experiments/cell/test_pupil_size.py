"""Size of the pupil that the spectra of complex fields show."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unflat.physics.optics.microscope import Microscope
from unflat.recon.experiments.cell.pupil_size import pupil_numbers
from unflat.recon.experiments.cell.verdict import assess

SIZE, VIEWS = 64, 16
MICROSCOPE = Microscope(0.5e-6, 0.6, 1.33, (0.2e-6, 0.2e-6))


def fields(
    noise: float,
    microscope: Microscope = MICROSCOPE,
    *,
    is_filtered: bool = False,
    seed: int = 0,
    tilt: float = 0.5,
    power: float = 1.0,
) -> Any:
    """Fields of `MICROSCOPE` divided by their tilted waves, described as those of another microscope.

    Args:
        noise: Standard deviation of the noise.
        microscope: Described microscope.
        is_filtered: Whether noise beyond the pupil was filtered away.
        seed: Seed of specimen and noise.
        tilt: Largest aperture of the light.
        power: Exponent of the decay of the specimen's spectrum: the larger, the smoother it is.
    """
    rng = np.random.default_rng([seed, 3])
    angles, radii = 2.4 * np.arange(VIEWS), tilt * np.sqrt((np.arange(VIEWS) + 0.5) / VIEWS)
    directions = np.stack([radii * np.sin(angles), radii * np.cos(angles)], axis=1)
    na = MICROSCOPE.wavelength * np.fft.fftfreq(SIZE, 0.2e-6)
    measured = []
    for y, x in directions:
        passed = np.hypot(na[:, None] + y, na + x) < MICROSCOPE.numerical_aperture
        waves, random = (rng.normal(size=(SIZE, SIZE, 2)) @ [1, 1j] for _ in range(2))
        decay = (1 + (np.hypot(na[:, None], na) / 0.12) ** 2) ** -power
        scattered = np.fft.ifft2(np.fft.fft2(waves) * passed * decay)
        random = np.fft.ifft2(np.fft.fft2(random) * passed) if is_filtered else random
        measured.append(1 + 0.2 * scattered / scattered.std() + noise * random / np.sqrt(2))
    return SimpleNamespace(
        is_field=True,
        acquisition={},
        illumination=SimpleNamespace(na=directions[:, None]),
        microscope=microscope,
        measured=np.stack(measured),
        weights=None,
    )


def names(model: Any) -> list[str]:
    return [reason.name for reason in assess({"views": 16.0} | pupil_numbers(model))]


@pytest.mark.parametrize("noise", [0.05, 0.02])
def test_the_described_pupil_is_found_and_not_doubted(noise: float) -> None:
    for seed in range(4):
        numbers = pupil_numbers(fields(noise, seed=seed))
        assert 0.85 < numbers["pupil_scale"] < 1.1
        assert names(fields(noise, seed=seed)) == []


def test_a_smooth_specimen_under_small_tilts_is_not_taken_for_a_small_pupil() -> None:
    for seed in range(2):
        for noise in (0.02, 0.1):
            assert names(fields(noise, seed=seed, tilt=0.36, power=2.0)) == []


def test_a_masked_hot_pixel_changes_little() -> None:
    clean, hot = fields(0.02), fields(0.02)
    hot.measured[:, 20, 30] = 50
    assert pupil_numbers(hot) == {}
    hot.weights = np.ones(hot.measured.shape)
    hot.weights[:, 20, 30] = 0
    assert pupil_numbers(hot)["pupil_scale"] == pytest.approx(pupil_numbers(clean)["pupil_scale"], rel=0.1)


@pytest.mark.parametrize(("factor", "seen"), [(1.31, 1 / 1.31), (1 / 1.31, 1.31)])
def test_a_wrong_pixel_is_named_with_the_size_of_the_pupil(factor: float, seen: float) -> None:
    wrong = fields(0.02, replace(MICROSCOPE, pixel_size=(factor * 0.2e-6, factor * 0.2e-6)))
    assert pupil_numbers(wrong)["pupil_scale"] == pytest.approx(seen, rel=0.12)
    (reason,) = assess({"views": 16.0} | pupil_numbers(wrong))
    assert reason.name == "pupil-size"
    assert "pixel_size" in reason.remedy


def test_a_wrong_wavelength_is_named() -> None:
    assert names(fields(0.02, replace(MICROSCOPE, wavelength=0.65e-6))) == ["pupil-size"]


def test_nothing_is_said_where_a_filter_or_noise_hides_the_rim_or_no_wave_is_tilted() -> None:
    assert pupil_numbers(fields(0.05, is_filtered=True)) == {}
    assert pupil_numbers(fields(1.0)) == {}
    upright, images = fields(0.05), fields(0.05)
    upright.illumination.na = np.zeros((VIEWS, 1, 2))
    images.is_field = False
    assert pupil_numbers(upright) == pupil_numbers(images) == {}
