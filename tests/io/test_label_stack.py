"""Stacks of labels told from masks and grey volumes by their geometry."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from unflat.recon.io.label_stack import Content, find_content, label_numbers, split_labels
from unflat.recon.sampled import Quantity
from unflat.recon.volume import Volume

Z, Y, X = np.mgrid[:32, :32, :32] - 15.5
RADIUS = np.sqrt(Z**2 + Y**2 + X**2)
RNG = np.random.default_rng(0)


def ball(centre: float, radius: float) -> np.ndarray:
    return Z**2 + Y**2 + (X - centre) ** 2 <= radius**2


def two_balls(first: float = 3, second: float = 900, gap: float = 8) -> np.ndarray:
    return np.select([ball(-gap, 6), ball(gap, 7)], [first, second], 0)


def tissue() -> np.ndarray:
    """Cells side by side within a ball, as an organoid has them."""
    seeds = RNG.uniform(-16, 16, (30, 3))
    nearest = np.argmin([(Z - a) ** 2 + (Y - b) ** 2 + (X - c) ** 2 for a, b, c in seeds], axis=0) + 1
    return np.where(RADIUS <= 14, nearest, 0)


def texture() -> np.ndarray:
    smooth = gaussian_filter(RNG.normal(size=Z.shape), 2)
    return (smooth - smooth.min()) / np.ptp(smooth) * 255


@pytest.mark.parametrize(
    ("values", "content"),
    [
        (two_balls().astype(np.uint16), Content.LABELS),
        (two_balls().astype(np.float32), Content.LABELS),
        (two_balls(1, 2, 6.5).astype(np.uint8), Content.LABELS),
        (two_balls(7 * 10**9, 8 * 10**9).astype(np.int64), Content.LABELS),
        (tissue().astype(np.uint16), Content.LABELS),
        (ball(0, 9), Content.BODY),
        (ball(0, 9).astype(np.uint8), Content.BODY),
        (255 * ball(0, 9).astype(np.uint8), Content.BODY),
        (1 + ball(0, 9).astype(np.uint8), Content.BODY),
        (np.zeros(Z.shape, np.uint8), Content.BODY),
        ((255 * np.clip(10 - RADIUS, 0, 1)).astype(np.uint8), Content.GREY),
        ((255 / (1 + np.exp(RADIUS - 10))).astype(np.uint8), Content.GREY),
        (texture().astype(np.uint8), Content.GREY),
        (np.clip(10 - RADIUS, 0, 1), Content.GREY),
        (-two_balls().astype(np.int32), Content.GREY),
        (ball(0, 12).astype(np.uint8) + ball(2, 5), Content.UNCLEAR),
    ],
)
def test_labels_fill_regions_and_grey_values_do_not(values: np.ndarray, content: Content) -> None:
    assert find_content(values) is content


def test_bodies_are_cut_out_with_their_numbers_and_places() -> None:
    axes = [0.5 * np.arange(32), 1.0 * np.arange(32), 2.0 * np.arange(32)]
    values = {"labels": two_balls(3, 2**31 - 1).astype(np.uint32)}
    volume = Volume("", *axes, values, (Quantity("labels", "1", ""),))
    assert label_numbers(volume.main).tolist() == [3, 2**31 - 1]
    first, second = split_labels(volume, Quantity("inside", "1", ""))
    assert (first.cell, first.label) == (3, "3")
    assert second.volume.main.sum() == ball(8, 7).sum()
    assert second.volume.x[0] == 2.0 * (np.flatnonzero(ball(8, 7).any(axis=(0, 1)))[0] - 1)
    (only,) = split_labels(volume, Quantity("inside", "1", ""), 3)
    assert only.volume.main.sum() == ball(-8, 6).sum()
