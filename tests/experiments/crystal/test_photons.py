"""Counts of detectors that integrate charge, in photons."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.experiments.crystal.photons import find_common_divisor
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


@pytest.mark.parametrize(
    ("factor", "offset", "divisor"), [(1, 0, 1), (0.25, 0, 0.25), (1 / 3, 0, 1 / 3), (7, 3, 1), (2.5, 0.1, 1)]
)
def test_a_common_divisor_is_that_of_all_counts(factor: float, offset: float, divisor: float) -> None:
    counts = np.random.default_rng(0).poisson(20.0, 1000)
    assert find_common_divisor((factor * counts + offset).astype(np.float32)) == pytest.approx(divisor)
