"""Verdict on a cell's result by its numbers: each reason has its name, and a good result has none."""

import json
from pathlib import Path

import numpy as np
import pytest

from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.convergence import residual_fall
from unflat.recon.runs.verdict import Soundness, Verdict

SOUND = {
    "views": 24.0,
    "residual_withheld": 0.42,
    "residual_over_empty": 0.4,
    "noise_floor": 0.38,
    "structure_unexplained": 0.02,
    "structure_unexplained_fitted": 0.01,
    "residual_fall": 0.02,
    "light_at_rim": 0.0,
    "phase_delay": 2.0,
}


def judge(**numbers: float) -> Verdict:
    return Verdict.of(get_experiment("cell").assess(SOUND | numbers))


def test_a_good_result_is_sound() -> None:
    assert judge().soundness is Soundness.SOUND
    assert judge(views=4.0, views_withheld=1.0, phase_determined=0.7, coarse_period=2.5e-6).reasons == ()
    assert (
        judge(absorption_ratio=1.0, ensemble_spread=0.1, source_correction=0.004, focus_correction=-5e-7).reasons == ()
    )


def test_structure_left_by_a_specimen_that_the_border_cuts_asks_for_a_wider_box() -> None:
    left = {"structure_unexplained": 0.27, "structure_unexplained_fitted": 0.08}
    (reason,) = judge(**left, contrast_at_sides=0.51, light_reach=3.3e-6).reasons
    assert reason.name == "structure-left"
    assert "6.6 µm" in reason.remedy
    assert "volume.size" in reason.remedy
    within = judge(**left, contrast_at_sides=0.004, light_reach=3.3e-6)
    assert [reason.name for reason in within.reasons] == ["structure-left", "noise-fitted"]
    assert judge(contrast_at_sides=0.51, light_reach=3.3e-6).soundness is Soundness.SOUND


def test_a_residual_that_falls_fast_is_doubted_though_little_structure_is_left() -> None:
    assert judge(residual_fall=0.18, structure_unexplained=0.02).soundness is Soundness.SOUND
    (reason,) = judge(residual_fall=0.18, structure_unexplained=0.06).reasons
    assert reason.name == "still-moving"
    assert "fell by 18 %" in reason.text
    assert judge(residual_fall=0.12, structure_unexplained=0.06).soundness is Soundness.SOUND
    first, *_ = judge(residual_fall=0.18, structure_unexplained=0.3).reasons
    assert first.name == "structure-left"
    assert first.remedy.startswith("take more steps first")


def test_too_few_steps_to_see_the_residual_fall_are_doubted_and_not_the_priors() -> None:
    short = {name: value for name, value in SOUND.items() if name != "residual_fall"}
    short |= {"steps": 20.0, "structure_unexplained": 0.07, "contrast_factor": 1.15, "contrast_factor_error": 0.008}
    assess = get_experiment("cell").assess
    (reason,) = assess(short)
    assert reason.name == "still-moving"
    assert "20 steps" in reason.text
    (other,) = assess(short | {"steps": 200.0})
    assert other.name == "contrast-shrunk"
    assert assess(short | {"structure_unexplained": 0.01, "contrast_factor": 1.0}) == []


def test_structure_left_asks_for_absorption_where_none_was_tried() -> None:
    left = {"structure_unexplained": 0.3, "structure_unexplained_fitted": 0.28}
    for numbers, is_asked in (
        ({"absorption_chosen": 0.0}, True),
        ({"absorption_chosen": 0.0, "absorption_trial": 1.2}, False),
        ({"absorption_chosen": 1.0}, False),
        ({}, False),
    ):
        (reason,) = judge(**left, **numbers).reasons
        assert ("physics.absorption: true" in reason.remedy) == is_asked


def test_a_deep_box_is_unresolved_where_it_is_full_and_its_faces_are_alike() -> None:
    drawn_out = {"depth_resolved": 2.7, "contrast_at_faces": 0.79, "faces_correlation": 0.83}
    (reason,) = judge(**drawn_out).reasons
    assert reason.name == "depth-unresolved"
    assert "volume.depth" in reason.remedy
    assert "fit.sign: nonnegative" in reason.remedy
    assert "fit.sign" not in judge(**drawn_out, sign_chosen=1.0).reasons[0].remedy
    for right in ({"depth_resolved": 1.3}, {"contrast_at_faces": 0.3}, {"faces_correlation": 0.2}):
        assert judge(**drawn_out | right).soundness is Soundness.SOUND
    shallow = {"depth_resolved": 1.4, "contrast_at_faces": 0.99, "faces_correlation": 0.96}
    assert [reason.name for reason in judge(**shallow).reasons] == ["depth-unresolved"]
    assert judge(**shallow | {"contrast_at_faces": 0.66}).soundness is Soundness.SOUND


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("only-noise", {"noise_floor": 0.995}),
        ("only-noise", {"noise_floor": 0.96, "structure_unexplained": 0.3, "structure_error": 0.6}),
        ("structure-left", {"structure_unexplained": 0.6, "structure_unexplained_fitted": 0.55}),
        ("noise-fitted", {"structure_unexplained": 0.24, "structure_unexplained_fitted": -0.05}),
        ("absorption", {"absorption_ratio": 0.5}),
        ("light-at-rim", {"light_at_rim": 0.5, "structure_unexplained": 0.2, "structure_unexplained_fitted": 0.2}),
        ("few-views", {"views": 2.0}),
        ("few-views", {"views": 4.0}),
        ("mass-undetermined", {"phase_determined": 0.2, "coarse_period": 2.5e-6}),
        ("depth-unresolved", {"depth_resolved": 1.1, "axial_resolution": 9e-6, "contrast_at_faces": 0.9}),
        ("still-moving", {"residual_fall": 0.3, "structure_unexplained": 0.2, "structure_unexplained_fitted": 0.2}),
        ("members-disagree", {"ensemble_spread": 0.9}),
        ("sources-far", {"source_correction": 0.2}),
        ("sources-far", {"light_turn": -40.0}),
        ("sources-far", {"light_shift_y": 0.2, "light_shift_x": -0.2}),
        ("sources-far", {"light_scale": 0.5}),
        ("focus-far", {"focus_correction": -3e-5}),
        ("aberrations-large", {"aberration": 6.0}),
    ],
)
def test_a_doubt_is_named_with_its_value(name: str, numbers: dict[str, float]) -> None:
    verdict = judge(**numbers)
    assert verdict.soundness is Soundness.DOUBTFUL
    assert name in [reason.name for reason in verdict.reasons]
    assert all(reason.remedy for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("empty", {"residual_over_empty": 1.0, "structure_unexplained": 1.0}),
        ("empty", {"residual_over_empty": 0.98, "structure_unexplained": 0.97, "structure_error": 0.02}),
        ("medium", {"phase_delay": 1e-4}),
    ],
)
def test_an_empty_result_has_failed(name: str, numbers: dict[str, float]) -> None:
    verdict = judge(**numbers)
    assert verdict.soundness is Soundness.FAILED
    assert verdict.reasons[0].name == name


def test_a_box_of_one_slice_has_no_faces_to_compare() -> None:
    assert judge(depth_resolved=0.1, axial_resolution=2e-6).reasons == ()


def test_chance_alone_accuses_nothing() -> None:
    """The structure left of a few noisy pixels is uncertain: what lies within two standard errors is no doubt."""
    few = {"structure_unexplained": 0.3, "structure_unexplained_fitted": 0.0}
    assert judge(**few, structure_error=0.01).soundness is Soundness.DOUBTFUL
    assert judge(**few, structure_error=0.1).soundness is Soundness.SOUND


def test_the_fitted_views_decide_where_the_withheld_ones_are_noise() -> None:
    noisy = {"residual_over_empty": 1.003, "noise_floor": 0.995, "structure_error": 0.9}
    assert judge(**noisy, residual_fitted=0.7, structure_unexplained_fitted=0.04).soundness is Soundness.SOUND
    assert judge(**noisy, residual_fitted=0.7, structure_unexplained_fitted=-0.8).soundness is Soundness.DOUBTFUL
    assert judge(**noisy, residual_fitted=0.99, structure_unexplained_fitted=0.9).soundness is Soundness.FAILED


def test_without_a_known_noise_the_residual_decides() -> None:
    numbers = {name: value for name, value in SOUND.items() if not name.startswith(("noise", "structure"))}
    assess = get_experiment("cell").assess
    assert assess(numbers) == []
    assert [reason.name for reason in assess(numbers | {"residual_over_empty": 0.9})] == ["structure-left"]


def test_a_stained_cell_is_told_how_to_fit_it() -> None:
    (reason,) = judge(absorption_ratio=0.6).reasons
    assert "physics.absorption=true" in reason.remedy


@pytest.mark.parametrize(("course", "fall"), [([0.8, 0.6, 0.5, 0.4], 0.2), ([0.5, 0.4, 0.3, 0.31], 0.0)])
def test_the_fall_of_the_residual_is_that_of_the_last_quarter(tmp_path: Path, course: list[float], fall: float) -> None:
    steps = np.arange(25, 125, 25)
    lines = [json.dumps({"step": int(s), "loss": 1.0, "withheld": w}) for s, w in zip(steps, course, strict=True)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert residual_fall(tmp_path, 100)["residual_fall"] == pytest.approx(fall)
    assert residual_fall(tmp_path, 200) == {}
    assert residual_fall(tmp_path / "none", 100) == {}


def test_a_poor_prediction_asks_for_its_refinement_and_has_fitted_no_noise() -> None:
    poor = {"structure_unexplained": 0.45, "structure_unexplained_fitted": 0.2, "draws": 8.0}
    assert ["--refine" in reason.remedy for reason in judge(**poor).reasons] == [True]
    assert [reason.name for reason in judge(**poor, steps=400.0).reasons] == ["structure-left", "noise-fitted"]
