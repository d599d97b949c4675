"""Frames without a count, and curves that are cut off."""

import numpy as np
import pytest

from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments.crystal.curve_ends import cut_curve_warnings
from unflat.recon.experiments.crystal.lost_frames import mask_lost_frames

SHAPE = (24, 12, 12)


def curve() -> np.ndarray:
    frame, y, x = np.indices(SHAPE) - np.array([12, 6, 6]).reshape(3, 1, 1, 1)
    mean = 2000 * np.exp(-(frame**2) / 18 - (y**2 + x**2) / 8) + 0.5
    return np.random.default_rng(0).poisson(mean).astype(np.float32)


@pytest.mark.parametrize(
    ("lost", "mask_all", "masked"),
    [([10], False, [10]), ([10, 11], False, []), ([10, 11], True, [10, 11]), ([0], False, []), ([], True, [])],
    ids=["a single one", "two", "two on request", "at the end", "none"],
)
def test_a_lost_frame_is_no_measurement(lost: list[int], mask_all: bool, masked: list[int]) -> None:
    images = curve()
    images[lost] = 0
    acquisition, sentence = mask_lost_frames(
        Acquisition("crystal", {"images": images}), np.ones(SHAPE, bool), mask_all=mask_all
    )
    mask = np.broadcast_to(acquisition.arrays.get("mask", np.uint8(0)), SHAPE)
    assert np.flatnonzero(mask.all(axis=(1, 2))).tolist() == masked
    assert bool(mask.any()) == bool(sentence) == bool(masked)


def test_a_curve_that_begins_within_the_peak_is_cut_off() -> None:
    images, good = curve(), np.ones(SHAPE, bool)
    assert not cut_curve_warnings(Acquisition("crystal", {"images": images}), good, "")
    (warning,) = cut_curve_warnings(Acquisition("crystal", {"images": images[10:]}), good[10:], "")
    assert "cut off: the first frame is" in warning.message
    filters = np.r_[0.01, np.ones(SHAPE[0] - 1)]  # A filter hides the first frame, and the monitor knows.
    cut = {"images": images[10:] * filters[: SHAPE[0] - 10, None, None], "monitor": filters[: SHAPE[0] - 10]}
    assert cut_curve_warnings(Acquisition("crystal", cut), good[10:], "")


def test_the_noise_of_a_faint_curve_is_no_cut_end() -> None:
    q = [np.arange(n) - n // 2 for n in (32, 96, 96)]
    height = 10 * np.sinc(q[0] / 4)[:, None, None] ** 2 * np.sinc(q[1] / 4)[:, None] ** 2 * np.sinc(q[2] / 4) ** 2
    counts = np.random.default_rng(0).poisson(height + 0.5).astype(np.float32)
    assert not cut_curve_warnings(Acquisition("crystal", {"images": counts}), np.ones(counts.shape, bool), "")
