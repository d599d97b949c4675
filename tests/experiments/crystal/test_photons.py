"""Counts of detectors that integrate charge, in photons."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.experiments.crystal.convert import convert
from unflat.recon.experiments.crystal.photons import are_amplitudes, find_common_divisor
from unflat.recon.experiments.crystal.read import read

from .test_read import pattern, settings, sound


def scan(path: Path, gain: float, dark: float = 0.0, noise: float = 0.0) -> Path:
    """Write the pattern as a detector of a gain, a dark level and read-out noise has it."""
    counts = gain * pattern() + dark + np.random.default_rng(1).normal(0, noise, pattern().shape)
    with h5py.File(sound(path), "a") as file:
        file["measurement/images"][...] = counts
    return path


def test_whole_multiples_are_photons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    acquisition = read(settings(), scan(tmp_path / "gain.h5", 273))
    np.testing.assert_array_equal(acquisition["images"], pattern())
    assert "whole multiples of 273" in caplog.text
    raw = read(settings(acquisition={"photon": 1, "hot_pixels": "keep"}), tmp_path / "gain.h5")
    np.testing.assert_array_equal(raw["images"], 273 * pattern())


def test_a_dark_level_and_a_gain_restore_each_photon(tmp_path: Path) -> None:
    path = scan(tmp_path / "ccd.h5", 273, dark=100, noise=20)
    section = {"photon": 273, "dark": 100}
    np.testing.assert_array_equal(read(settings(acquisition=section), path)["images"], pattern())
    with h5py.File(path, "a") as file:
        file["dark"] = np.full(pattern().shape[1:], 100.0)
    np.testing.assert_array_equal(read(settings(acquisition=section | {"dark": "/dark"}), path)["images"], pattern())
    with h5py.File(path, "a") as file:
        file["dark"][...] = 1e9
    with pytest.raises(DataError, match="every frame is empty"):
        read(settings(acquisition=section | {"dark": "/dark"}), path)


def test_noise_about_no_dark_level_is_negative_and_holds_no_photon(tmp_path: Path) -> None:
    path = scan(tmp_path / "ccd.h5", 273, noise=20)
    np.testing.assert_array_equal(read(settings(acquisition={"photon": 273}), path)["images"], pattern())
    with pytest.raises(DataError, match="negative"):
        read(settings(), path)


@pytest.mark.parametrize("crop", ["auto", [12, 8, 8]], ids=["in memory", "frame by frame"])
def test_a_converted_file_is_not_divided_again(crop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, counts = scan(tmp_path / "ccd.h5", 273, dark=100), np.zeros((24, 150, 150))
    counts[:, 40:68, 50:82] = pattern()
    with h5py.File(path, "a") as file:
        for name in ("images", "mask"):
            del file["measurement"][name]
        file["measurement/images"], file["measurement/dark"] = 273 * counts + 100, np.full(counts.shape[1:], 100.0)
    ccd = settings(acquisition={"photon": 273, "crop": crop})
    for source, target in (("ccd.h5", "own.h5"), ("own.h5", "again.h5")):
        convert(ccd, tmp_path / source, tmp_path / target)
        with h5py.File(tmp_path / target) as file:
            np.testing.assert_array_equal(file["measurement/images"], counts)
    assert "converted to photons before" in caplog.text


@pytest.mark.parametrize(
    ("factor", "offset", "divisor"), [(1, 0, 1), (0.25, 0, 0.25), (1 / 3, 0, 1 / 3), (7, 3, 1), (2.5, 0.1, 1)]
)
def test_a_common_divisor_is_that_of_all_counts(factor: float, offset: float, divisor: float) -> None:
    counts = np.random.default_rng(0).poisson(20.0, 1000)
    assert find_common_divisor((factor * counts + offset).astype(np.float32)) == pytest.approx(divisor)


def test_bright_counts_of_float32_have_a_divisor_and_rounded_ones_have_none() -> None:
    counts = np.random.default_rng(0).poisson(np.geomspace(1e-2, 1e6, 20_000))
    assert find_common_divisor((0.123456 * counts).astype(np.float32)) == pytest.approx(0.123456)
    corrected = counts * np.random.default_rng(1).normal(1, 0.03, counts.size)
    assert find_common_divisor(np.round(corrected, 1).astype(np.float32)) == 1


def test_roots_of_counts_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = sound(tmp_path / "amplitudes.h5")
    with h5py.File(path, "a") as file:
        file["measurement/images"][...] = np.sqrt(pattern())
    with pytest.raises(DataError, match="they look like amplitudes, the roots of counts"):
        read(settings(), path)
    read(settings(acquisition={"doubtful": "warn"}), path)
    assert "roots of counts" in caplog.text


@pytest.mark.parametrize("power", [1.0, 0.5, 1 / 3])
def test_only_roots_have_whole_squares(power: float) -> None:
    counts = np.random.default_rng(0).poisson(np.geomspace(1e-2, 1e6, 20_000))
    assert are_amplitudes((counts**power).astype(np.float32)) == (power == 0.5)
    assert not are_amplitudes((0.37 * counts**power).astype(np.float32))
