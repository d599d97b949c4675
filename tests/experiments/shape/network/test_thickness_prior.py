"""Heights told from pictures: a law is learned, its spread is that of its errors, what is unlike says little."""

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
    """A round cell whose light beside the section grows with its height; and the logarithm of that."""
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
    """Many of them."""
    rng = np.random.default_rng(seed)
    sights, logs = zip(*(cell(rng, unexplained, base) for _ in range(count)), strict=True)
    return list(sights), list(logs)


def errors(heights: ThicknessPrior, sights: list[PictureInput], logs: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """How far what is told is off, and how far it may be."""
    told = np.array([heights.guess(sight) for sight in sights])
    return told[:, 0] - np.array(logs), told[:, 1]


def test_what_light_tells_is_learned() -> None:
    sights, logs = some(60)
    missed, spread = errors(fit_thickness_prior({"real": sights}, {"real": logs}), *some(40, seed=1))
    assert np.sqrt(np.mean(missed**2)) < 0.05  # The heights' own spread is 0.3.
    assert spread.mean() < 0.15


@pytest.mark.parametrize("unexplained", [0.1, 0.25])
def test_its_spread_is_that_of_its_errors(unexplained: float) -> None:
    sights, logs = some(80, unexplained=unexplained)
    missed, spread = errors(fit_thickness_prior({"real": sights}, {"real": logs}), *some(150, 1, unexplained))
    assert 0.8 < np.mean(np.abs(missed) < 1.645 * spread) < 0.97
    assert 0.7 < spread.mean() / np.std(missed) < 1.5


def test_of_a_picture_unlike_all_it_tells_the_mean_of_all() -> None:
    sights, logs = some(60)
    group = fit_thickness_prior({"real": sights}, {"real": logs}).groups["real"]
    mean, spread = group.guess(features(sights[0]) + 50)
    assert mean == pytest.approx(np.mean(logs), abs=1e-6)
    assert spread == pytest.approx(np.std(logs) * np.sqrt(group.habits.strength + group.habits.left), rel=1e-6)


def test_a_picture_is_judged_by_cells_of_its_like() -> None:
    (real, one), (simulated, other) = some(50, 2), some(50, 3, base=0.4)
    heights = fit_thickness_prior(
        {"real": real, "simulated": simulated}, {"real": one, "simulated": [log + 1 for log in other]}
    )
    missed, _ = errors(heights, *some(20, 4))
    assert np.abs(missed).mean() < 0.06
    missed, _ = errors(heights, *some(20, 5, base=0.4))
    np.testing.assert_allclose(missed, 1, atol=0.3)


def test_traits_have_no_unit_of_brightness_and_no_direction() -> None:
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:64, :64] - 31.5
    mask = (np.hypot(y / 1.3, x - 3) < 14).astype(float)
    image = rng.uniform(size=mask.shape)
    own = features(to_network_input(image, mask))
    np.testing.assert_allclose(features(to_network_input(817.0 * image, mask)), own, atol=1e-6)
    np.testing.assert_allclose(features(to_network_input(image[::-1].T, mask[::-1].T)), own, atol=1e-6)


@pytest.mark.parametrize("filled", [1.0, 0.0])
def test_traits_are_finite_of_any_picture(filled: float) -> None:
    mask = np.zeros((64, 64))
    mask[30:32, 31] = 1
    assert np.all(np.isfinite(features(to_network_input(np.full((64, 64), filled), mask))))
    assert np.all(np.isfinite(features(to_network_input(np.full((64, 64), filled), np.ones((64, 64))))))


def test_groups_of_few_say_nothing_and_equal_cells_do_not_break_it() -> None:
    sights, logs = some(5)
    heights = fit_thickness_prior({"real": sights[:2], "simulated": sights}, {"real": logs[:2], "simulated": logs})
    assert list(heights.groups) == ["simulated"]
    alike = fit_thickness_prior({"real": [sights[0]] * 6}, {"real": [3.0] * 6})
    assert np.all(np.isfinite(alike.guess(sights[1])))


def test_it_is_the_same_from_a_file(tmp_path: Path) -> None:
    sights, logs = some(20)
    heights = fit_thickness_prior(
        {"real": sights[:12], "simulated": sights[12:]}, {"real": logs[:12], "simulated": logs[12:]}
    )
    write(Network("shape", {}, {"a": np.zeros(3)}, {}, heights.arrays()), tmp_path / "network.h5")
    again = ThicknessPrior.of(read(tmp_path / "network.h5", "shape").statistics)
    assert isinstance(again.groups["real"], HeightGroup)
    np.testing.assert_allclose(again.guess(sights[3]), heights.guess(sights[3]), rtol=1e-9)
