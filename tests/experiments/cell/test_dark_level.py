"""Warnings of a camera's dark level that a file does not describe."""

import numpy as np
import pytest

from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments.cell.dark_level import dark_level_warnings


def counts(dark: float, light: float = 300) -> Acquisition:
    rng = np.random.default_rng(4)
    views = light * np.linspace(0.6, 1.2, 20)[:, None, None] * np.ones((20, 64, 64))
    images = np.round(rng.poisson(views) + 2 * rng.standard_normal(views.shape) + dark)
    return Acquisition("cell", {"images": images.astype(np.uint16)}, "scan.h5")


def test_a_dark_level_shows_in_the_noise() -> None:
    (warning,) = dark_level_warnings(counts(100))
    level = float(warning.split("vanishes at ")[1].split()[0])
    assert level == pytest.approx(100, abs=40)
    assert "acquisition.dark" in warning


def test_counts_without_a_dark_level_are_not_accused() -> None:
    acquisition = counts(0)
    assert dark_level_warnings(acquisition) == []
    divided = acquisition["images"] / acquisition["images"].mean()
    assert dark_level_warnings(Acquisition("cell", {"images": divided}, "scan.h5")) == []
    described = {**counts(100).arrays, "dark": np.array(100.0)}
    assert dark_level_warnings(Acquisition("cell", described, "scan.h5")) == []


def test_a_dark_level_that_the_noise_does_not_exclude_is_left_open() -> None:
    images = counts(100)["images"][:3]
    (warning,) = dark_level_warnings(Acquisition("cell", {"images": images}, "scan.h5"))
    assert "does not exclude one of up to" in warning
