"""Appearance of training cells: cells of another form or with another variation of brightness are far from them."""

from dataclasses import replace

import numpy as np
import pytest

from unflat.recon.experiments.shape.network.appearance import TrainingAppearance, appearance
from unflat.recon.experiments.shape.network.inputs import PictureInput, to_network_input
from unflat.recon.experiments.shape.network.novelty import compare_with_training, detect_novelty
from unflat.recon.experiments.shape.network.thickness_prior import ThicknessPrior
from unflat.recon.io.network_file import read

Y, X = np.mgrid[:64, :64] - 31.5


def picture(inside: np.ndarray, seed: int = 0, uneven: float = 0.0) -> PictureInput:
    light = inside * (1 + uneven * np.sin(X / 3)) + 0.02
    return to_network_input(light + np.random.default_rng(seed).normal(0, 0.02, light.shape), inside.astype(float))


def ellipse(seed: int) -> np.ndarray:
    a, b = np.random.default_rng(seed).uniform(13, 18, 2)
    return np.asarray((Y / a) ** 2 + (X / b) ** 2 < 1)


@pytest.fixture(scope="module")
def training() -> TrainingAppearance:
    return TrainingAppearance.of({"real": [picture(ellipse(seed), seed) for seed in range(60)], "turned": []})


def test_another_form_or_another_brightness_is_far_and_a_like_cell_is_near(training: TrainingAppearance) -> None:
    def distance(one: PictureInput) -> float:
        return training.nearest(appearance(one))[0]

    like = [distance(picture(ellipse(seed), seed)) for seed in range(100, 120)]
    rod = (np.abs(Y) < 5) & (np.abs(X) < 26)
    ring = np.hypot(Y, X) < 18
    ring &= np.hypot(Y, X) > 12
    for unlike in (picture(rod), picture(ring), picture(ellipse(3), uneven=0.4)):
        assert distance(unlike) > 1.5 * max(like)


def test_appearance_does_not_depend_on_direction_mirroring_or_unit() -> None:
    own = picture((Y / 9) ** 2 + (X / 17) ** 2 < 1, uneven=0.2)
    turned = PictureInput(np.rot90(own.image).copy(), np.rot90(own.section).copy())
    np.testing.assert_allclose(appearance(turned), appearance(own), atol=1e-9)
    inside = ellipse(1)
    light = inside * 1.0 + 0.02
    pair = [appearance(to_network_input(unit * light, inside.astype(float))) for unit in (1.0, 4095.0)]
    np.testing.assert_allclose(*pair, atol=1e-9)


def test_the_smallest_and_empty_sections_have_finite_features() -> None:
    for radius in (0.0, 1.0, 2.0):
        assert np.isfinite(appearance(PictureInput(np.ones((64, 64)), np.hypot(Y, X) - radius))).all()


def test_groups_come_back_from_arrays_and_small_ones_are_left_out(training: TrainingAppearance) -> None:
    assert list(training.groups) == ["real"]
    again = TrainingAppearance.from_arrays(training.arrays())
    own = appearance(picture(ellipse(7)))
    assert again.nearest(own)[0] == training.nearest(own)[0]


def test_a_network_without_appearances_compares_by_the_features_of_heights() -> None:
    network, pictures = read("shipped", "shape"), [picture(ellipse(seed), seed) for seed in range(3)]
    names = ["a", "b", "c"]
    former = {name: array for name, array in network.statistics.items() if not name.startswith("appearance_")}
    assert len(former) < len(network.statistics)
    prior = ThicknessPrior.from_arrays(former)
    assert compare_with_training(replace(network, statistics=former), names, pictures) == detect_novelty(
        prior, names, pictures
    )
