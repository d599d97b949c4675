"""Mean, variance and limits of a camera's counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.detector import Detector, DetectorError

EMPTY = np.ones((300, 300), np.float32)


@given(st.floats(200, 5000), st.floats(0, 20), st.floats(0, 100), st.floats(0.2, 4), st.floats(0.5, 2))
@settings(max_examples=15, deadline=None)
def test_mean_and_variance_are_those_of_the_model(
    photons: float, read_noise: float, background: float, gain: float, intensity: float
) -> None:
    detector = Detector(photons, read_noise, background, gain)
    counts = detector.expose(intensity * EMPTY, np.random.default_rng(0)).astype(float)
    electrons = photons * intensity + background
    spread = np.sqrt(electrons + read_noise**2)
    assert counts.mean() == pytest.approx(gain * electrons, abs=5 * gain * spread / 300)
    assert counts.var() == pytest.approx((gain * spread) ** 2, rel=5 * np.sqrt(2) / 300)


def test_pixels_are_independent() -> None:
    counts = Detector(100.0).expose(EMPTY, np.random.default_rng(1)).astype(float) - 100
    neighbours = np.mean(counts[:, 1:] * counts[:, :-1]) / counts.var()
    assert abs(neighbours) < 5 / 300


def test_without_read_noise_counts_are_whole_photons() -> None:
    counts = Detector(3.0).expose(EMPTY, np.random.default_rng(2))
    np.testing.assert_array_equal(counts, np.round(counts))
    assert np.mean(counts == 0) == pytest.approx(np.exp(-3), rel=0.1)


def test_dark_pixels_never_count_below_zero() -> None:
    assert Detector(10.0, read_noise=5).expose(0 * EMPTY, np.random.default_rng(3)).min() == 0


def test_without_photons_there_is_no_noise() -> None:
    np.testing.assert_array_equal(Detector().expose(0.7 * EMPTY, np.random.default_rng(4)), 0.7 * EMPTY)


def test_a_seed_determines_the_image() -> None:
    first, again, other = (Detector(50.0, 2.0).expose(EMPTY, np.random.default_rng(s)) for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"photons": 0.0}, "photons 0 is not positive"),
        ({"gain": -1.0}, "gain -1 is not positive"),
        ({"read_noise": -2.0}, "read noise -2 is negative"),
        ({"background": float("nan")}, "background nan is negative"),
    ],
)
def test_impossible_detectors_are_refused(numbers: dict[str, float], message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        Detector(**numbers)
