"""Fit of a cell: accuracy, output, and resumption after an interruption."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import unflat
from unflat.cli.main import run as unflat_status
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.experiment import CellExperiment
from unflat.recon.experiments.configs import parse_config
from unflat.recon.io.write import write
from unflat.recon.model import Model
from unflat.recon.optimize import model_preview
from unflat.recon.runs import Gate, RunFolder, describe_input

from ...commands import run_here

CONFIG = """
kind: cell
device: cpu
volume: {depth: 5 um}
physics: {absorption: false}
fit: {steps: 40, batch: 3, withheld: 0.2, sign: nonnegative, checkpoint_every: 0.01 s}
simulate:
  shape: [40, 40]
  depth: 5 um
  radius: 2.2 um
  contrast: 0.6
  photons: 20000
  illumination: {count: 10, na: 0.55}
"""


FOURIER = "fit.fourier={width: 32, depth: 2, frequencies_lateral: 3, frequencies_axial: 2, angles: 4}"


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a small simulated acquisition and its config."""
    folder = tmp_path_factory.mktemp("scan")
    (folder / "run.yaml").write_text(CONFIG)
    kind = get_experiment("cell")
    write(kind.simulate(parse_config(CONFIG)), kind.schema, folder / "scan.h5")
    return folder


def run_fit(scan: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `unflat fit`."""
    return run_here("fit", scan / "run.yaml", scan / "scan.h5", "-o", output, *options)


@pytest.fixture(scope="session")
def whole(scan: Path) -> Path:
    """Folder of an uninterrupted run."""
    done = run_fit(scan, scan / "whole")
    assert done.returncode == 0, done.stderr
    return scan / "whole"


def numbers(run: Path) -> dict[str, float]:
    loaded: dict[str, float] = json.loads((run / "metrics.json").read_text())
    return loaded


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_fit_explains_withheld_views(whole: Path) -> None:
    metrics = numbers(whole)
    assert metrics["residual_withheld"] < 0.8 * metrics["residual_withheld_linear"]
    assert metrics["ncc"] > 0.8
    assert (whole / "DONE").is_file()
    assert "no sentinel" not in (whole / "report.html").read_text()


def test_a_run_writes_all_its_files_without_absolute_paths(whole: Path) -> None:
    for name in ("config.yaml", "run.log", "metrics.jsonl", "model.h5", "volume.h5", "predictions.h5", "report.html"):
        assert (whole / name).stat().st_size > 0, name
    for name in ("config.yaml", "run.log", "debug.log", "metrics.json", "report.html", "DONE"):
        assert str(whole.parent) not in (whole / name).read_text(), name


def test_the_model_is_a_function_of_metres(whole: Path) -> None:
    model = unflat.load(whole)
    inside, outside = model(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert 1.34 < inside < 1.40
    assert outside == pytest.approx(1.333)


def test_the_image_under_fitted_light_equals_the_prediction(scan: Path, whole: Path) -> None:
    from unflat.recon.experiments.cell.new_light import predict_image

    with h5py.File(whole / "predictions.h5") as file, h5py.File(scan / "scan.h5") as measured:
        modelled, view = file["modelled"][0], file["views"][0]
        light = measured["instrument/illumination_na"][view]
    image = predict_image(unflat.load(whole), (light[0], light[1]))
    bright = np.vdot(image, modelled) / np.vdot(image, image)  # The fit has a gain for each view.
    assert np.std(bright * image - modelled) < 0.05 * np.std(modelled)


@pytest.mark.usefixtures("no_report")
def test_a_fit_of_noise_explains_nothing_and_exits_with_5(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of images without a specimen, an empty box explains as much as anything else."""
    with h5py.File(scan / "scan.h5") as made, h5py.File(tmp_path / "scan.h5", "w") as noise:
        for name in ("measurement", "instrument"):
            made.copy(name, noise)
        noise.attrs.update(made.attrs)
        images = noise["measurement/images"]
        images[:] = np.random.default_rng(0).poisson(20000, images.shape)
    words = ["fit", str(scan / "run.yaml"), str(tmp_path / "scan.h5"), "-o", str(tmp_path / "run")]
    assert unflat_status([*words, "--set", "fit.steps=4"]) == 5
    assert "explains nothing of the images" in capsys.readouterr().err
    assert numbers(tmp_path / "run")["residual_over_empty"] >= 0.995


def test_a_diverging_fit_stops_and_names_its_learning_rate(scan: Path, tmp_path: Path) -> None:
    done = run_fit(scan, tmp_path / "run", "--set", "fit.learning_rate=1e9", "--set", "fit.start=none")
    assert done.returncode == 3
    assert "no number after step" in done.stderr
    assert "lower fit.learning_rate (1e+09)" in done.stderr
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) < 10


@pytest.mark.usefixtures("no_report")
def test_the_result_is_no_worse_than_the_initial_guess(scan: Path, tmp_path: Path) -> None:
    done = run_fit(scan, tmp_path / "run", "--set", "fit.learning_rate=3", "--set", "fit.steps=3")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "run" / "metrics.json").read_text())
    # The field represents the closed form nearly, not exactly.
    assert numbers["residual_withheld"] < 1.1 * numbers["residual_withheld_linear"]


@pytest.mark.usefixtures("no_report")
def test_a_resumed_run_equals_an_uninterrupted_one(
    scan: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_metrics, run = RunFolder.append_metrics, tmp_path / "stopped"

    def signalled(folder: RunFolder, step: int, **numbers: float) -> None:
        append_metrics(folder, step, **numbers)
        if step == 5:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_metrics", signalled)
        first = run_fit(scan, run)
    assert first.returncode == 75, first.stderr
    assert "SIGTERM" in (run / "STOPPED").read_text()
    assert 5 <= len(losses(run)) < 40
    second = run_fit(scan, run, "--resume")
    assert second.returncode == 0, second.stderr
    assert losses(run) == losses(whole)
    assert numbers(run)["residual_withheld"] == numbers(whole)["residual_withheld"]


def test_sigterm_writes_a_checkpoint_and_exits_with_75(scan: Path, tmp_path: Path) -> None:
    run = tmp_path / "killed"
    command = [sys.executable, "-m", "unflat", "fit", str(scan / "run.yaml"), str(scan / "scan.h5"), "-o", str(run)]
    endless = ("--set", "fit.steps=100000", "--set", "fit.patience=100000")
    process = subprocess.Popen([*command, *endless], stderr=subprocess.DEVNULL)
    while not list((run / "checkpoint").glob("step-*")):  # However long a slow machine compiles.
        assert process.poll() is None
        time.sleep(0.1)
    second = run_fit(scan, run, *endless, "--resume")
    assert second.returncode == 2, second.stderr
    assert f"another process works in this folder: process {process.pid} on" in second.stderr
    assert process.poll() is None
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == 75
    assert "SIGTERM" in (run / "STOPPED").read_text()
    assert not (run / "run.lock").exists()


def test_a_result_is_not_overwritten_without_force(scan: Path, whole: Path) -> None:
    before = (whole / "model.h5").read_bytes()
    again = run_fit(scan, whole)
    assert again.returncode == 2
    assert "--resume" in again.stderr
    assert "--force" in again.stderr
    assert (whole / "model.h5").read_bytes() == before


def test_a_run_resumes_only_with_the_same_config(scan: Path, whole: Path) -> None:
    other = run_fit(scan, whole, "--resume", "--set", "fit.tv=3")
    assert other.returncode == 2
    assert "fit.tv" in other.stderr


@pytest.mark.usefixtures("no_figures")
def test_a_residual_above_the_gate_exits_with_5(scan: Path, tmp_path: Path) -> None:
    gated = run_fit(scan, tmp_path / "gated", "--set", "fit.gate=0.001", "--set", "fit.steps=3")
    assert gated.returncode == 5, gated.stderr
    assert "gate" in gated.stderr
    assert {"model.h5", "report.html"} <= {path.name for path in (tmp_path / "gated").iterdir()}
    assert f"wrote {tmp_path / 'gated' / 'report.html'}" in gated.stdout
    assert "is not below the gate of 0.001" in (tmp_path / "gated" / "DONE").read_text()
    assert not (tmp_path / "gated" / "FAILED").exists()
    assert numbers(tmp_path / "gated")["gate"] == 0.001
    assert "above its gate" in (tmp_path / "gated" / "report.html").read_text()


def test_nan_passes_no_gate() -> None:
    assert Gate("residual", 0.9, 1.0).passed
    assert not Gate("residual", 1.1, 1.0).passed
    assert not Gate("residual", float("nan"), 1.0).passed


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("name", "status", "said"),
    [("SIGTERM", 0, "SIGTERM received after the last step"), ("SIGINT", 130, "error: interrupted after the last step")],
)
def test_a_stop_after_the_last_step_is_reported_and_all_results_are_written(
    scan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
    status: int,
    said: str,
) -> None:
    compare = CellExperiment.compare_with_truth

    def stopped(experiment: CellExperiment, *rest: Any) -> dict[str, float]:
        os.kill(os.getpid(), getattr(signal, name))
        return compare(experiment, *rest)

    monkeypatch.setattr(CellExperiment, "compare_with_truth", stopped)
    previews: list[Model] = []
    monkeypatch.setattr(model_preview, "INTERVAL", 0.0)
    monkeypatch.setattr(RunFolder, "save_preview", lambda _folder, model: previews.append(model))
    run = tmp_path / "run"
    words = ["fit", scan / "run.yaml", scan / "scan.h5", "-o", run, "--set", "fit.steps=2"]
    assert unflat_status([str(word) for word in words]) == status
    assert f"{said}: all results were written nevertheless" in capfd.readouterr().err
    assert "after 2 steps" in (run / "DONE").read_text()
    assert said.removeprefix("error: ") in (run / "DONE").read_text()
    assert {one.kind for one in previews} == {"cell"}, "models on the way"
    assert {"predictions.h5", "metrics.json", "report.html"} <= {path.name for path in run.iterdir()}


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_an_ensemble_has_an_uncertainty(scan: Path, tmp_path: Path) -> None:
    run = tmp_path / "ensemble"
    assert run_fit(scan, run, "--set", "fit.ensemble=2", "--set", "fit.steps=20").returncode == 0
    model = unflat.load(run)
    points = np.random.default_rng(0).uniform(-2e-6, 2e-6, (200, 3))
    spread = model(points, "uncertainty_refractive_index")
    assert np.all(spread >= 0)
    assert spread.max() > 0


@pytest.mark.usefixtures("no_report")
def test_complex_fields_of_any_phase_are_fitted_and_written(tmp_path: Path) -> None:
    y, x = ((np.arange(24) - 12) * 0.2)[:, None], (np.arange(24) - 12) * 0.2
    tilts = 0.4 * np.stack([np.sin(angles := np.arange(6) * np.pi / 3), np.cos(angles)], axis=1)
    lens = 0.8 * np.exp(-((y - 0.4) ** 2 + x**2))
    light = np.exp(
        2j * np.pi / 0.5 * (tilts[:, 0, None, None] * y + tilts[:, 1, None, None] * x) + 1j * angles[:, None, None]
    )
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["measurement/field"], file["instrument/illumination_na"] = light * np.exp(1j * lens), tilts
        for name, number in {
            "wavelength": 5e-7,
            "numerical_aperture": 0.6,
            "medium_index": 1.33,
            "pixel_size": 2e-7,
        }.items():
            file[f"instrument/{name}"] = number
    (tmp_path / "run.yaml").write_text("kind: cell\nvolume: {depth: 3 um}\nfit: {steps: 8, field: voxels}")
    done = run_here("fit", tmp_path / "run.yaml", tmp_path / "scan.h5", "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert numbers(tmp_path / "run")["residual_withheld"] < 1
    assert unflat.load(tmp_path / "run")([[0, 0.4e-6, 0]])[0] > 1.33


@pytest.mark.parametrize(
    "choice",
    [["fit.field=voxels", "fit.steps=30"], ["fit.field=fourier", FOURIER, "fit.learning_rate=0.005", "fit.steps=12"]],
)
@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_other_fields_fit_as_well(scan: Path, tmp_path: Path, choice: list[str]) -> None:
    run = tmp_path / "run"
    done = run_fit(scan, run, *(word for each in choice for word in ("--set", each)))
    assert done.returncode == 0, done.stderr
    assert numbers(run)["residual_fitted"] < 0.9


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_sources_focus_and_pupil_can_be_refined(scan: Path, tmp_path: Path) -> None:
    run = tmp_path / "refined"
    refine = "fit.refine={gain: true, sources: true, defocus: true, zernike: 3}"
    done = run_fit(scan, run, "--set", refine, "--set", "fit.steps=20", "--set", "fit.field=voxels")
    assert done.returncode == 0, done.stderr
    assert numbers(run)["residual_withheld"] < 1


def test_the_hash_of_an_input_covers_all_its_files(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"image_{number}.tif").write_bytes(bytes([number]))
    (tmp_path / "notes.txt").write_text("none of the images", "utf-8")
    folder, pattern = describe_input(tmp_path), describe_input(tmp_path / "image_*.tif")
    assert (folder["files"], pattern["files"]) == (4, 3)
    (tmp_path / "image_1.tif").write_bytes(b"other")
    assert describe_input(tmp_path)["sha256"] != folder["sha256"]
    assert describe_input(tmp_path / "image_*.tif")["sha256"] != pattern["sha256"]
