"""Heights predicted from pictures: errors, standard deviations, groups of cells, and limits."""

from pathlib import Path

import numpy as np
import pytest

from unflat.recon.experiments.shape.network.inputs import PictureInput, to_network_input
from unflat.recon.experiments.shape.network.thickness_prior import (
    HeightGroup,
    ThicknessPrior,
    features,
    fit_thickness_prior,
)
from unflat.recon.io.network_file import Network, read, write


def cell(rng: np.random.Generator, unexplained: float = 0.0, base: float = 0.0) -> tuple[PictureInput, float]:
    """Make a round cell whose light beside the section grows with its height; return its input and log height."""
    y, x = np.mgrid[:64, :64] - 31.5
    distance = np.hypot(y, x) - rng.uniform(12, 22)
    log_height = rng.normal(3.4, 0.3)
    glow = 0.02 * np.exp(log_height - 3.4) * np.exp(-np.maximum(distance, 0) / 4) * 10
    within = np.where(distance < -4, 1.0 - base, 1.0)  # Simulated cells are hollow.
    image = np.where(distance < 0, within, glow) * np.exp(rng.normal(0, 0.01, distance.shape))
    return to_network_input(image, (distance < 0).astype(float)), log_height + unexplained * rng.standard_normal()


def some(
    count: int, seed: int = 0, unexplained: float = 0.0, base: float = 0.0
) -> tuple[list[PictureInput], list[float]]:
    """Make many cells."""
    rng = np.random.default_rng(seed)
    inputs, logs = zip(*(cell(rng, unexplained, base) for _ in range(count)), strict=True)
    return list(inputs), list(logs)


def errors(heights: ThicknessPrior, inputs: list[PictureInput], logs: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors of the predictions, and the predicted standard deviations."""
    predicted = np.array([heights.predict(picture) for picture in inputs])
    return predicted[:, 0] - np.array(logs), predicted[:, 1]


def test_the_height_is_predicted_from_the_light_beside_the_section() -> None:
    inputs, logs = some(60)
    error, spread = errors(fit_thickness_prior({"real": inputs}, {"real": logs}), *some(40, seed=1))
    assert np.sqrt(np.mean(error**2)) < 0.05  # The heights' own spread is 0.3.
    assert spread.mean() < 0.15


@pytest.mark.parametrize("unexplained", [0.1, 0.25])
def test_the_standard_deviation_is_that_of_the_errors(unexplained: float) -> None:
    inputs, logs = some(80, unexplained=unexplained)
    error, spread = errors(fit_thickness_prior({"real": inputs}, {"real": logs}), *some(150, 1, unexplained))
    assert 0.8 < np.mean(np.abs(error) < 1.645 * spread) < 0.97
    assert 0.7 < spread.mean() / np.std(error) < 1.5


def test_an_unlike_picture_has_mean_and_deviation_of_the_group() -> None:
    inputs, logs = some(60)
    group = fit_thickness_prior({"real": inputs}, {"real": logs}).groups["real"]
    mean, spread = group.predict(features(inputs[0]) + 50)
    assert mean == pytest.approx(np.mean(logs), abs=1e-6)
    assert spread == pytest.approx(
        np.std(logs) * np.sqrt(group.hyperparameters.variance + group.hyperparameters.noise), rel=1e-6
    )


def test_a_picture_is_predicted_by_the_group_that_it_resembles() -> None:
    (real, one), (simulated, other) = some(50, 2), some(50, 3, base=0.4)
    heights = fit_thickness_prior(
        {"real": real, "simulated": simulated}, {"real": one, "simulated": [log + 1 for log in other]}
    )
    error, _ = errors(heights, *some(20, 4))
    assert np.abs(error).mean() < 0.06
    error, _ = errors(heights, *some(20, 5, base=0.4))
    np.testing.assert_allclose(error, 1, atol=0.3)


def test_features_depend_neither_on_the_unit_of_brightness_nor_on_orientation() -> None:
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:64, :64] - 31.5
    mask = (np.hypot(y / 1.3, x - 3) < 14).astype(float)
    image = rng.uniform(size=mask.shape)
    own = features(to_network_input(image, mask))
    np.testing.assert_allclose(features(to_network_input(817.0 * image, mask)), own, atol=1e-6)
    np.testing.assert_allclose(features(to_network_input(image[::-1].T, mask[::-1].T)), own, atol=1e-6)


@pytest.mark.parametrize("filled", [1.0, 0.0])
def test_features_of_any_picture_are_finite(filled: float) -> None:
    mask = np.zeros((64, 64))
    mask[30:32, 31] = 1
    assert np.all(np.isfinite(features(to_network_input(np.full((64, 64), filled), mask))))
    assert np.all(np.isfinite(features(to_network_input(np.full((64, 64), filled), np.ones((64, 64))))))


def test_small_groups_are_left_out_and_equal_cells_are_allowed() -> None:
    inputs, logs = some(5)
    heights = fit_thickness_prior({"real": inputs[:2], "simulated": inputs}, {"real": logs[:2], "simulated": logs})
    assert list(heights.groups) == ["simulated"]
    alike = fit_thickness_prior({"real": [inputs[0]] * 6}, {"real": [3.0] * 6})
    assert np.all(np.isfinite(alike.predict(inputs[1])))


def test_a_prior_from_a_file_predicts_the_same(tmp_path: Path) -> None:
    inputs, logs = some(20)
    heights = fit_thickness_prior(
        {"real": inputs[:12], "simulated": inputs[12:]}, {"real": logs[:12], "simulated": logs[12:]}
    )
    write(Network("shape", {}, {"a": np.zeros(3)}, {}, heights.arrays()), tmp_path / "network.h5")
    again = ThicknessPrior.from_arrays(read(tmp_path / "network.h5", "shape").statistics)
    assert isinstance(again.groups["real"], HeightGroup)
    np.testing.assert_allclose(again.predict(inputs[3]), heights.predict(inputs[3]), rtol=1e-9)
