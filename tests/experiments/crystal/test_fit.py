"""Fit of a neural field to a crystal by the command line: fit, stop, resume, and use of the model."""

import importlib.util
import json
import os
import signal
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

import unflat
from unflat.cli.main import run as unflat_status
from unflat.recon.io.volume_formats import read_volume
from unflat.recon.runs import RunFolder

from ...commands import run_here

pytestmark = pytest.mark.slow

CONFIG = """
kind: crystal
seed: 3
device: cpu
phase:
  recipe:
    - raar: {iterations: 300}
    - er: {iterations: 40}
  refine: {iterations: 40, margin: 0}
fit: {starts: 1, steps: 50, checkpoint_every: 2 s, pyramid: {levels: 3, hidden: 8}}
simulate:
  shape: [32, 32, 32]
  oversampling: 2.6
  flaws: []
  strains: [polynomial]
  phase: [0.8, 0.9]
  detector: {counts: 1e6}
"""


def fit(work: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `unflat fit`."""
    return run_here("fit", work / "c.yaml", work / "scan.h5", "-o", work / name, *options)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a config, a simulated acquisition, and a run that fitted a field to it."""
    folder = tmp_path_factory.mktemp("crystal")
    (folder / "c.yaml").write_text(CONFIG, "utf-8")
    assert unflat_status(["simulate", str(folder / "c.yaml"), "-o", str(folder / "scan.h5")]) == 0
    done = fit(folder, "RUN")
    assert done.returncode == 0, done.stderr
    assert "against the truth: correlation" in done.stdout
    return folder


def numbers(run: Path) -> dict[str, float]:
    loaded: dict[str, float] = json.loads((run / "metrics.json").read_text("utf-8"))
    return loaded


def test_the_folder_holds_model_volume_and_report(work: Path) -> None:
    run, metrics = work / "RUN", numbers(work / "RUN")
    names = {file.name for file in run.iterdir()}
    assert {"DONE", "start.h5", "model.h5", "volume.h5", "predictions.h5", "report.html", "metrics.jsonl"} <= names
    assert metrics["correlation"] > 0.95
    assert metrics["strain_correlation"] > 0.8
    assert 0.5 < metrics["llk_free"] < 4
    assert metrics["llk_free"] < metrics["llk_free_start"]
    assert {"psf_frame", "background", "chi_rms", "model_bytes", "volume_bytes", "voxel_size"} <= set(metrics)
    figures = {file.stem for file in (run / "figures").iterdir()}
    assert {"amplitude", "phase", "strain", "continuous_amplitude", "course_of_the_fit"} <= figures
    page = (run / "report.html").read_text("utf-8")
    assert "Free likelihood" in page
    assert "Size of the model" in page
    assert str(work) not in page


def test_the_volume_is_the_model_sampled(work: Path) -> None:
    volume, model = read_volume(work / "RUN" / "volume.h5"), unflat.load(work / "RUN")
    assert {"amplitude", "phase", "displacement", "strain", "support", "density"} == set(volume.values)
    index = np.argwhere(volume.values["support"] > 0)[::50]
    points = np.stack([axis[i] for axis, i in zip((volume.z, volume.y, volume.x), index.T, strict=True)], axis=-1)
    for name in ("amplitude", "phase", "strain"):
        np.testing.assert_allclose(model(points, name), volume.values[name][tuple(index.T)], rtol=1e-4, atol=1e-7)


def test_the_detectors_frame_gives_the_counts_that_were_predicted(work: Path) -> None:
    from scipy.ndimage import convolve

    with h5py.File(work / "RUN" / "volume.h5") as file, h5py.File(work / "RUN" / "predictions.h5") as predictions:
        frame = file["detector_frame"]
        coherent = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(frame["density"][()])))) ** 2
        modelled = convolve(coherent, frame["point_spread_function"][()], mode="wrap") + frame["background"][()]
        np.testing.assert_allclose(modelled[16], predictions["modelled/frame"][()], rtol=2e-2, atol=1e-2)


def test_the_documented_reader_gives_the_same(work: Path, root: Path) -> None:
    spec = importlib.util.spec_from_file_location("read_model", root / "docs" / "read_model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = unflat.load(work / "RUN")
    points = np.random.default_rng(0).uniform(model.frame.low, model.frame.high, (200, 3))
    values = module.read_model(work / "RUN" / "model.h5")(points)
    for quantity in model.quantities:
        expected = model(points, quantity.name)
        np.testing.assert_allclose(values[quantity.name], expected, atol=1e-9 * np.abs(expected).max())


def test_the_model_is_queried_sampled_and_drawn(work: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("z [nm],y [nm],x [nm]\n0,0,0\n100,-50,30\n", "utf-8")
    run, size = str(work / "RUN"), ["--size", "96"]
    asked = ["query", run, str(tmp_path / "p.csv"), "-o", str(tmp_path / "v.csv")]
    assert unflat_status([*asked, "--quantity", "strain"]) == 0
    assert "strain [1]" in (tmp_path / "v.csv").read_text("utf-8")
    region = "--region=-100nm:100nm,-100nm:100nm,-100nm:100nm"
    assert unflat_status(["volume", run, "-o", str(tmp_path / "f.vti"), "--spacing", "25 nm", region]) == 0
    assert read_volume(tmp_path / "f.vti").shape == (8, 8, 8)
    assert unflat_status(["render", run, "-o", str(tmp_path / "s.png"), "--quantity", "phase", *size]) == 0
    zoom = ["render", run, "-o", str(tmp_path / "z.gif"), "--style", "zoom", "--frames", "2", "--centre", "0,0,0"]
    assert unflat_status([*zoom, "--quantity", "amplitude", *size]) == 0


@pytest.mark.usefixtures("no_report")
def test_a_resumed_run_gives_the_same_numbers(work: Path) -> None:
    """The run is stopped in the phasing of the initial guess, which has checkpoints of its own."""
    first = fit(work, "STOPPED", "--time-limit", "0.01 s")
    assert first.returncode == 75, first.stderr
    assert not (work / "STOPPED" / "start.h5").exists()
    shorter = fit(work, "STOPPED", "--resume", "--set", "fit.steps=20")
    assert shorter.returncode == 2
    assert "config.fit.steps was 50 and is now 20" in shorter.stderr
    again = fit(work, "STOPPED", "--resume")
    assert again.returncode == 0, again.stderr
    one, two = numbers(work / "RUN"), numbers(work / "STOPPED")
    for name in ("llk", "llk_free", "llk_free_start", "background", "psf_y", "strain_rms"):
        assert one[name] == two[name], name


def losses(run: Path) -> list[float]:
    """Read the losses of the optimiser's steps from ``metrics.jsonl``."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text("utf-8").splitlines())
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.usefixtures("no_report")
def test_a_run_resumed_within_the_fit_gives_the_same_numbers(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster's signal comes while the fit takes its first steps."""
    append_metrics, run = RunFolder.append_metrics, work / "SIGNALLED"

    def signalled(folder: RunFolder, step: int, **numbers: float) -> None:
        append_metrics(folder, step, **numbers)
        if "loss" in numbers and step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_metrics", signalled)
        first = fit(work, "SIGNALLED")
    assert first.returncode == 75, first.stderr
    done = len(losses(run))
    assert 5 <= done < 50
    assert f"SIGTERM received: stopped after step {done}" in (run / "STOPPED").read_text("utf-8")
    again = fit(work, "SIGNALLED", "--resume")
    assert again.returncode == 0, again.stderr
    assert losses(run) == losses(work / "RUN")
    one, two = numbers(work / "RUN"), numbers(run)
    for name in ("llk", "llk_free", "llk_free_start", "background", "psf_y", "strain_rms", "model_parameters"):
        assert one[name] == two[name], name
    with h5py.File(work / "RUN" / "volume.h5") as whole, h5py.File(run / "volume.h5") as other:
        np.testing.assert_array_equal(whole["detector_frame/density"][()], other["detector_frame/density"][()])


@pytest.mark.parametrize(
    ("start", "status", "message"),
    [
        ("nowhere", 2, "'nowhere' is neither a run with a volume.h5 nor a volume file"),
        ("scan.h5", 3, "holds no /detector_frame/density"),
        ("other.h5", 3, "the density has the shape (16, 16, 16), the measurement (32, 32, 32) (frame, y, x)"),
    ],
)
def test_a_start_without_a_density_is_refused(work: Path, start: str, status: int, message: str) -> None:
    with h5py.File(work / "other.h5", "w") as file:
        file["detector_frame/density"] = np.ones((16, 16, 16), complex)
    named = start if start == "nowhere" else str(work / start)
    done = fit(work, f"BAD-{status}-{start}", "--set", f"fit.start={named}")
    assert done.returncode == status, done.stderr
    assert message in done.stderr


@pytest.mark.usefixtures("no_report")
def test_from_a_run_without_a_basis_and_above_its_gate(work: Path) -> None:
    """The model is in voxels, and is drawn in voxels."""
    options = [f"fit.start={work / 'RUN'}", "acquisition.reciprocal_basis=null", "fit.gate=0.001", "fit.steps=5"]
    done = fit(work, "GATE", *(word for option in options for word in ("--set", option)))
    assert done.returncode == 5, done.stderr
    assert "free likelihood" in done.stderr
    model = unflat.load(work / "GATE")
    assert model.frame.length_unit == "voxel"
    assert unflat_status(["render", str(work / "GATE"), "-o", str(work / "voxels.png"), "--size", "96"]) == 0
