"""Gaps of a detector without a mask."""

import numpy as np

from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments.crystal.detector_gaps import mask_gaps


def pattern(counts: float = 1e5) -> np.ndarray:
    """Simulate a smooth peak of a few fringes, with counting noise."""
    frame, y, x = np.indices((8, 40, 44)) - np.array([4, 20, 22]).reshape(3, 1, 1, 1)
    intensity = np.exp(-(frame**2) / 8 - (y**2 + x**2) / 120) * (1.2 + np.cos(0.9 * y)) + 1e-3
    return np.random.default_rng(0).poisson(counts * intensity / intensity.max()).astype(np.float32)


def test_rows_and_columns_without_a_count_are_masked() -> None:
    images = pattern()
    images[:, 12:16] = 0
    images[:, :, 30:32] = 0
    masked, sentence = mask_gaps(Acquisition("crystal", {"images": images}))
    expected = np.zeros((40, 44), np.uint8)
    expected[12:16], expected[:, 30:32] = 1, 1
    np.testing.assert_array_equal(masked["mask"], expected)
    assert "rows 12-15 and columns 30-31" in sentence


def test_a_gap_that_the_mask_marks_is_not_reported() -> None:
    images, mask = pattern(), np.zeros((40, 44), np.uint8)
    images[:, 12:16], mask[12:16] = 0, 1
    same, sentence = mask_gaps(Acquisition("crystal", {"images": images, "mask": mask}))
    assert not sentence
    np.testing.assert_array_equal(same["mask"], mask)


def test_dark_rows_of_a_weak_pattern_are_measured_zeros() -> None:
    images = pattern(counts=3.0)
    images[:, :10] = 0  # The border holds no light at all.
    assert not mask_gaps(Acquisition("crystal", {"images": images}))[1]
    node = pattern()
    node[:, 25] = 0  # One row: a node of the diffraction.
    assert not mask_gaps(Acquisition("crystal", {"images": node}))[1]


def test_the_shadow_of_a_beam_stop_is_masked_and_empty_pixels_of_a_faint_place_are_not() -> None:
    images = pattern()
    images[:, 18:22, 20:25] = 0
    masked, sentence = mask_gaps(Acquisition("crystal", {"images": images}))
    assert np.argwhere(masked["mask"]).min(axis=0).tolist() == [18, 20]
    assert masked["mask"].sum() == 20
    assert "20 pixels from [18, 20] to [21, 24]" in sentence
    faint = pattern(counts=300.0)
    assert (faint.sum(axis=0) == 0).any()
    assert not mask_gaps(Acquisition("crystal", {"images": faint}))[1]
