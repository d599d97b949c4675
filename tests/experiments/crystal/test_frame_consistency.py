"""Tests of the positions of a rocking curve's frames by its counts, without a crystal."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import unflat
from unflat.recon.experiments.crystal.frame_consistency import consistency_numbers
from unflat.recon.experiments.crystal.preprocess import PreprocessedScan, preprocess
from unflat.recon.experiments.crystal.uneven_curve import even_positions
from unflat.recon.experiments.crystal.verdict import assess


@lru_cache(maxsize=8)
def _scan(seed: int, jitter: float, counts: float = 1e7, oversampling: float = 2.6) -> PreprocessedScan:
    """Simulate a curve of which every angle is known."""
    options: dict[str, Any] = {
        "simulate.shape": [24, 24, 24],
        "simulate.flaws": [],
        "simulate.strains": ["polynomial"],
        "simulate.oversampling": oversampling,
        "simulate.detector.counts": counts,
        "simulate.rocking.jitter": jitter,
    }
    measurement = unflat.simulate("crystal", options, seed=seed)
    return preprocess(measurement.config, measurement.acquisition)  # type: ignore[arg-type]


def _names(numbers: dict[str, float]) -> list[str]:
    return [reason.name for reason in assess(numbers)]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("counts", [1e5, 1e7])
@pytest.mark.parametrize("jitter", [0.0, 0.4])
def test_frames_where_they_are_said_to_be_hold_noise_alone_beyond_the_band(
    seed: int, counts: float, jitter: float
) -> None:
    numbers = consistency_numbers(_scan(seed, jitter, counts))
    assert numbers["curve_misfit"] == pytest.approx(1, abs=0.25)
    assert not assess(numbers)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_frames_elsewhere_are_named_and_other_positions_explain_the_curve(seed: int) -> None:
    scan = _scan(seed, 0.4)
    numbers = consistency_numbers(replace(scan, positions=even_positions(len(scan.counts))))
    assert numbers["curve_misfit"] > 10
    assert numbers["curve_misfit_moved"] < 0.2 * numbers["curve_misfit"]
    assert _names(numbers) == ["frame-angles"] * (numbers["curve_error"] > 0.06)


def test_the_error_grows_with_that_of_the_angles() -> None:
    scan, rng = _scan(1, 0.4), np.random.default_rng(0)
    course = rng.uniform(-1, 1, len(scan.counts))
    errors = []
    for size in (0.0, 0.1, 0.2, 0.4):
        positions = scan.frame_positions.copy()
        positions[:, 0] += size * course
        errors.append(consistency_numbers(replace(scan, positions=positions))["curve_error"])
    assert errors == sorted(errors)
    assert errors[0] < 0.01 < errors[2]


def test_the_flux_of_the_frames_is_taken_off() -> None:
    scan = _scan(1, 0.0)
    flux = np.random.default_rng(0).uniform(0.5, 1.5, len(scan.counts))
    counts = scan.counts * flux[:, None, None]
    assert consistency_numbers(replace(scan, counts=counts))["curve_misfit"] > 10
    assert consistency_numbers(replace(scan, counts=counts, exposure=flux))["curve_misfit"] < 2


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_flux_that_the_file_does_not_give_is_named_beside_the_angles(seed: int) -> None:
    """A frame of little light is mended by other angles in part, in both halves of the pixels alike."""
    scan = _scan(seed, 0.0)
    flux = np.where(np.arange(len(scan.counts)) == len(scan.counts) // 2 + 1, 0.3, 1.0)
    reasons = assess(consistency_numbers(replace(scan, counts=np.round(scan.counts * flux[:, None, None]))))
    assert all("acquisition.monitor" in reason.remedy for reason in reasons)


def test_charge_that_is_no_photons_is_no_error_of_the_angles() -> None:
    scan = _scan(1, 0.0)
    numbers = consistency_numbers(replace(scan, counts=50 * scan.counts))
    assert numbers["curve_misfit"] == pytest.approx(50, rel=0.25)
    assert "frame-angles" not in _names(numbers)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_undersampled_crystal_is_no_error_of_the_angles(seed: int) -> None:
    assert "frame-angles" not in _names(consistency_numbers(_scan(seed, 0.0, 1e7, 1.7)))


def test_frames_and_pixels_that_were_not_measured_do_not_count() -> None:
    scan = _scan(1, 0.0)
    good, counts = scan.good.copy(), scan.counts.copy()
    good[:, 5:8], good[11, 12, 12], good[-1] = False, False, False
    counts[~good] = 1e6
    assert consistency_numbers(replace(scan, good=good, counts=counts))["curve_misfit"] == pytest.approx(1, abs=0.25)


def test_too_few_frames_tell_nothing() -> None:
    scan = _scan(1, 0.0)
    good = scan.good.copy()
    good[16:] = False
    assert consistency_numbers(replace(scan, good=good)) == {}
    assert consistency_numbers(replace(scan, good=np.zeros_like(good))) == {}
