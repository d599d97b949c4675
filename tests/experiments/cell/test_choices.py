"""Choices that a cell's config leaves to the data: sign, absorption, and number of views in a step."""

import json
from pathlib import Path
from shutil import rmtree

import h5py
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import Stopped
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell import choices
from unflat.recon.experiments.cell.absorption_test import absorption_ratio
from unflat.recon.experiments.cell.choices import SUSPECT, Choices
from unflat.recon.experiments.cell.corrections import ARRAY_TURN
from unflat.recon.experiments.cell.geometry import views_in_step
from unflat.recon.experiments.cell.likelihood import likelihood
from unflat.recon.experiments.cell.verdict import assess
from unflat.recon.experiments.configs import parse_config
from unflat.recon.io.write import write
from unflat.recon.optimize import steps
from unflat.recon.optimize.steps import trial_steps
from unflat.recon.runs.context import RunContext
from unflat.recon.runs.folder import RunFolder

CONFIG = """
kind: cell
device: cpu
volume: {depth: 3 um}
physics: {absorption: false}
fit: {steps: 50, batch: 4, field: voxels, withheld: 0.2}
simulate:
  shape: [24, 24]
  depth: 3 um
  radius: 1.2 um
  medium_index: 1.45
  contrast: 0.3
  photons: 20000
  illumination: {count: 8, na: 0.55}
"""


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_specimen_less_dense_than_its_medium_gets_the_negative_sign_and_a_resumed_run_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choices, "FEWEST_STEPS", 50)
    monkeypatch.setattr(steps, "LEAST_TRIAL", 25)
    (tmp_path / "run.yaml").write_text(CONFIG)
    kind = get_experiment("cell")
    write(kind.simulate(parse_config(CONFIG)), kind.schema, tmp_path / "scan.h5")
    folder = tmp_path / "RUN"
    words = ["fit", str(tmp_path / "run.yaml"), str(tmp_path / "scan.h5"), "-o", str(folder)]
    assert run(words) == 0
    assert json.loads((folder / "choices.json").read_text()) == {
        "tiles": [1, 1],
        "sign_chosen": -1.0,
        "trial_steps": 25.0,
    }
    assert json.loads((folder / "metrics.json").read_text())["sign_chosen"] == -1
    assert not (folder / "trials").exists()
    with h5py.File(folder / "volume.h5") as file:
        assert file["volume/refractive_index"][()].max() <= 1.45 + 1e-6
    course = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in course] == list(range(1, 51))

    for state in (folder / "checkpoint").iterdir():  # As if it had been stopped right after the trial.
        if state.name != "fingerprint.json":
            rmtree(state) if state.is_dir() else state.unlink()
    (folder / "DONE").unlink()
    assert run([*words, "--resume"]) == 0
    again = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in again] == [json.loads(line)["loss"] for line in course]


@pytest.mark.slow
def test_light_that_is_turned_as_a_whole_is_corrected_before_the_fit_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choices, "FEWEST_STEPS", 50)
    monkeypatch.setattr(steps, "LEAST_TRIAL", 25)
    config = parse_config(CONFIG.replace("withheld: 0.2", "withheld: 0.2, sign: any, refine: {sources: rigid}"))
    measured = get_experiment("cell").simulate(config)
    y, x = measured["illumination_na"].T
    turn = np.deg2rad(3.0)
    described = np.stack([np.cos(turn) * y - np.sin(turn) * x, np.cos(turn) * x + np.sin(turn) * y], axis=1)
    turned = Acquisition("cell", {**measured.arrays, "illumination_na": described})
    starts = []
    for resume in (False, True):
        with RunFolder.create(tmp_path / "RUN", resume=resume) as folder:
            made = Choices(likelihood(config, turned), RunContext(config, folder))
            made.make()
            starts.append(made.likelihood.nuisance_parameters["array"])
    np.testing.assert_array_equal(*starts)
    assert 0.8 < np.rad2deg(ARRAY_TURN * starts[0][0]) < 3.5  # Roughly, after 25 steps; the fit goes on from there.


@pytest.mark.slow
def test_a_trial_goes_on_in_slots_shorter_than_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "FEWEST_STEPS", 50)
    monkeypatch.setattr(steps, "LEAST_TRIAL", 25)
    config = parse_config(CONFIG)
    measured = get_experiment("cell").simulate(config)
    slots: list[list[int]] = []

    def try_in_slots_of(length: int, path: Path) -> Choices:
        while True:
            slots.append([])
            with RunFolder.create(path, resume=True) as folder:
                context = RunContext(
                    config,
                    folder,
                    progress=lambda step, total, **numbers: slots[-1].append(step),
                    should_stop=lambda: "the slot ended" if len(slots[-1]) >= length else None,
                )
                made = Choices(likelihood(config, measured), context)
                try:
                    made.make()
                except Stopped:
                    continue
                return made

    whole = try_in_slots_of(100, tmp_path / "whole")
    parts = try_in_slots_of(20, tmp_path / "parts")
    # The steps of a call are finished, at most as many as lie between two validations.
    assert slots[0] == list(range(1, 51))
    assert [step for slot in slots[1:] for step in slot] == list(range(1, 51))
    assert len(slots) > 2
    assert parts.numbers == whole.numbers
    assert whole.begun is not None
    assert parts.begun is not None
    losses = [[numbers["loss"] for _, numbers in made.begun.records] for made in (whole, parts) if made.begun]
    assert losses[0] == losses[1]


def test_a_trial_takes_a_quarter_of_the_steps() -> None:
    assert [trial_steps(count) for count in (1, 60, 100, 400)] == [1, 50, 50, 100]


@pytest.mark.parametrize(("stain", "absorbs"), [(0.0, False), (0.02, True)])
def test_linear_theory_tells_a_stained_cell(stain: float, absorbs: bool) -> None:
    text = CONFIG.replace("medium_index: 1.45", f"absorption: {stain}").replace("contrast: 0.3", "contrast: 0.5")
    config = parse_config(text)
    ratio = absorption_ratio(likelihood(config, get_experiment("cell").simulate(config)))
    assert ratio is not None
    assert (ratio < SUSPECT) == absorbs


@pytest.mark.slow
@pytest.mark.parametrize(("stain", "absorbs"), [(0.0, False), (0.02, True)])
def test_absorption_that_linear_theory_does_not_see_is_tried_where_a_fit_without_it_explains_little(
    stain: float, absorbs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choices, "FEWEST_STEPS", 50)
    monkeypatch.setattr(steps, "LEAST_TRIAL", 25)
    monkeypatch.setattr(choices, "absorption_ratio", lambda likelihood: 1.15)  # As of strong delays.
    text = CONFIG.replace("absorption: false", "absorption: auto").replace("medium_index: 1.45", f"absorption: {stain}")
    config = parse_config(text.replace("contrast: 0.3", "contrast: 0.5"))
    with RunFolder.create(tmp_path / "RUN") as folder:
        made = Choices(likelihood(config, get_experiment("cell").simulate(config)), RunContext(config, folder))
        made.make()
    assert made.numbers["absorption_chosen"] == absorbs
    assert made.likelihood.absorbs == absorbs


def test_absorption_that_is_fitted_is_no_reason_to_doubt() -> None:
    numbers = {"absorption_ratio": 0.6, "residual_withheld": 0.2, "views": 24.0}
    assert "absorption" in [reason.name for reason in assess(numbers)]
    assert "absorption" not in [reason.name for reason in assess(numbers | {"absorption_chosen": 1.0})]


@pytest.mark.parametrize(("trial", "is_doubted"), [(1.02, False), (0.97, True)])
def test_a_trial_that_finds_no_absorption_settles_it(trial: float, is_doubted: bool) -> None:
    numbers = {"absorption_ratio": 0.6, "absorption_chosen": 0.0, "residual_withheld": 0.2, "views": 24.0}
    assert "absorption" in [reason.name for reason in assess(numbers)]
    doubts = [reason.name for reason in assess(numbers | {"absorption_trial": trial})]
    assert ("absorption" in doubts) == is_doubted


@pytest.mark.parametrize(("views", "expected"), [(6, 4), (15, 5), (24, 8), (100, 8)])
def test_a_step_has_a_third_of_the_views(views: int, expected: int) -> None:
    images = np.ones((views, 8, 8), np.float32)
    assert views_in_step(parse_config("kind: cell"), Acquisition("cell", {"images": images})) == expected
    assert views_in_step(parse_config("kind: cell\nfit: {batch: 3}"), Acquisition("cell", {"images": images})) == 3
