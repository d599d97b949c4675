"""Factor on the contrast by which a result explains the withheld views best."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unflat.recon.experiments.cell.contrast_factor import contrast_factor
from unflat.recon.experiments.cell.verdict import assess

SHAPE = (2, 24, 24)
SIGNAL = np.random.default_rng(0).normal(size=SHAPE)
RESULT = np.ones((1, 2, 2, 2))


def linear(factor: float, noise: float, seed: int = 0, weights: np.ndarray | None = None) -> Any:
    """Views of a weak specimen, whose contrast is a factor times that of `RESULT`."""
    measured = factor * SIGNAL + noise * np.random.default_rng([seed, 1]).normal(size=SHAPE)
    own = np.ones(SHAPE) if weights is None else weights

    def losses_of(values: np.ndarray, nuisance: Any, views: np.ndarray) -> np.ndarray:
        misfit = own * (values.mean() * SIGNAL - measured) ** 2
        return misfit.sum(axis=(1, 2))[views] / own.sum(axis=(1, 2))[views]

    return SimpleNamespace(losses_of=losses_of, measured=measured, weights=weights)


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.3])
def test_the_factor_is_found_and_its_error_is_the_spread_between_noises(factor: float) -> None:
    each = [contrast_factor(linear(factor, 1.0, seed), RESULT, {}, np.arange(2)) for seed in range(40)]
    factors, errors = (np.array([one[name] for one in each]) for name in ("contrast_factor", "contrast_factor_error"))
    assert factors.mean() == pytest.approx(factor, abs=0.03)
    assert factors.std() == pytest.approx(np.median(errors), rel=0.35)


def test_masked_pixels_do_not_count_for_the_error() -> None:
    weights = np.ones(SHAPE)
    weights[:, 12:] = 0
    all_of_them, half = (
        contrast_factor(linear(1.2, 1.0, weights=own), RESULT, {}, np.arange(2)) for own in (None, weights)
    )
    assert half["contrast_factor"] == pytest.approx(1.2, abs=0.15)
    ratio = half["contrast_factor_error"] / all_of_them["contrast_factor_error"]
    assert ratio == pytest.approx(np.sqrt(2), rel=0.2)


def test_a_factor_beyond_those_tried_is_at_least_the_largest() -> None:
    assert contrast_factor(linear(2.5, 0.1), RESULT, {}, np.arange(2))["contrast_factor"] == 1.6


def test_nothing_is_said_without_withheld_views_or_a_minimum() -> None:
    assert contrast_factor(linear(1.2, 0.1), RESULT, {}, np.arange(0)) == {}
    assert contrast_factor(linear(0.5, 0.1), RESULT, {}, np.arange(2)) == {}
    assert contrast_factor(linear(1.2, 0.1), 0 * RESULT, {}, np.arange(2)) == {}


@pytest.mark.parametrize(("factor", "error", "is_named"), [(1.23, 0.03, True), (1.23, 0.08, False), (1.05, 0.0, False)])
def test_a_contrast_that_is_surely_too_low_is_named_with_its_bias(factor: float, error: float, is_named: bool) -> None:
    reasons = assess({"views": 24.0, "contrast_factor": factor, "contrast_factor_error": error})
    assert [reason.name for reason in reasons] == ["contrast-shrunk"] * is_named
    assert all("1.23 times" in reason.text and "19 % too low" in reason.text for reason in reasons)
    assert all(reason.limited_to == "contrast, dry mass" for reason in reasons)


def test_of_a_model_that_leaves_structure_the_priors_are_not_blamed() -> None:
    shrunk = {"views": 24.0, "contrast_factor": 1.25, "contrast_factor_error": 0.01}
    left = {"structure_unexplained": 0.5, "structure_error": 0.01, "residual_over_empty": 0.7}
    assert [reason.name for reason in assess(shrunk | left)] == ["structure-left"]
