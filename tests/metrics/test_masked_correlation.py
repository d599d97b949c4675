"""Normalised cross-correlation with masks, against the definition."""

import numpy as np
import pytest

from unflat.recon.metrics.masked_correlation import MaskedSpectra, correlate


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two noisy arrays, the second shifted by (1, -2, 3), and their masks."""
    rng = np.random.default_rng(0)
    scene = rng.uniform(0, 4, (14, 16, 18)) ** 2
    first, second = scene[2:12, 3:13, 3:13], scene[1:11, 5:15, 0:10]
    masks = rng.uniform(size=(2, 10, 10, 10)) > 0.2
    return first + rng.normal(0, 0.5, first.shape), second + rng.normal(0, 0.5, first.shape), masks[0], masks[1]


def test_the_shift_is_that_of_the_second_array(pair: tuple[np.ndarray, ...]) -> None:
    first, second, one, other = pair
    correlation = correlate(MaskedSpectra.of(first, one), MaskedSpectra.of(second, other))
    assert correlation.best_shift() == (1, -2, 3)
    assert max(map(abs, correlation.best_shift(1))) <= 1


@pytest.mark.parametrize("shift", [(0, 0, 0), (1, -2, 3), (-3, 1, 0)])
def test_each_coefficient_is_that_of_the_samples_good_in_both(
    pair: tuple[np.ndarray, ...], shift: tuple[int, int, int]
) -> None:
    first, second, one, other = pair
    still = tuple(slice(max(0, -s), 10 - max(0, s)) for s in shift)
    moved = tuple(slice(max(0, s), 10 + min(0, s)) for s in shift)
    both = one[still] & other[moved]
    expected = np.corrcoef(first[still][both], second[moved][both])[0, 1]
    correlation = correlate(MaskedSpectra.of(first, one), MaskedSpectra.of(second, other))
    assert correlation.at(shift) == pytest.approx(expected, abs=1e-4)


def test_values_that_are_masked_do_not_matter(pair: tuple[np.ndarray, ...]) -> None:
    first, second, one, other = pair
    clean = correlate(MaskedSpectra.of(first, one), MaskedSpectra.of(second, other))
    spoilt = correlate(MaskedSpectra.of(np.where(one, first, 1e9), one), MaskedSpectra.of(second, other))
    assert np.allclose(clean.values, spoilt.values, atol=1e-4)
