"""``unflat train`` and ``unflat predict`` as people call them: on a crystal that is known, and with what is wrong."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.recon.io.volume_formats import read_volume

from ....commands import run_here as unflat

SMALL = [
    "--set",
    "network.widths=[8]",
    "--set",
    "network.blocks=[1]",
    "--set",
    "train.specimens=4",
    "--set",
    "train.trials=2",
]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config and a simulated scan."""
    folder = tmp_path_factory.mktemp("scan")
    assert unflat("init", "crystal", "-o", "c.yaml", folder=folder).returncode == 0
    options = ["simulate.shape=[48, 48, 48]", "simulate.strains=[polynomial]", "simulate.phase=[0.5, 0.5]"]
    done = unflat("simulate", "c.yaml", "-o", "scan.h5", *(w for o in options for w in ("--set", o)), folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


def numbers_of(run: Path) -> dict[str, float]:
    """Read the metrics of a run."""
    numbers: dict[str, float] = json.loads((run / "metrics.json").read_text("utf-8"))
    return numbers


def test_the_shipped_network_knows_an_unseen_crystal(scan: Path) -> None:
    done = unflat("predict", "c.yaml", "scan.h5", "-o", "bare", "--draws", "2", folder=scan)
    assert done.returncode == 0, done.stderr
    numbers = numbers_of(scan / "bare")
    assert numbers["correlation"] > 0.8
    assert numbers["chi_rms"] < 0.3
    assert numbers["kept"] == numbers["draws"] == 2
    volume = read_volume(scan / "bare" / "volume.h5")
    assert {"amplitude", "phase", "strain", "uncertainty_phase"} <= set(volume.values)
    assert (scan / "bare" / "report.html").stat().st_size > 10_000
    # Anyone can recompute what it claims from the file alone.
    with h5py.File(scan / "bare" / "volume.h5") as file, h5py.File(scan / "scan.h5") as measured:
        density = file["detector_frame/density"][()]
        counts = measured["measurement/images"][()]
    modelled = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(density))))
    both = np.corrcoef(modelled.ravel(), np.sqrt(counts).ravel())[0, 1]
    assert density.shape == counts.shape
    assert both > 0.95


@pytest.mark.usefixtures("no_report")
def test_the_physics_goes_on_from_the_answer(scan: Path) -> None:
    done = unflat("predict", "c.yaml", "scan.h5", "-o", "refined", "--refine", "--draws", "2", folder=scan)
    assert done.returncode == 0, done.stderr
    numbers = numbers_of(scan / "refined")
    assert numbers["correlation"] > 0.9
    assert numbers["llk_free"] < 3
    assert "Poisson deviance" in done.stdout


@pytest.mark.usefixtures("no_report")
def test_a_network_trains_stops_goes_on_and_answers(scan: Path) -> None:
    begin = ["train", "c.yaml", "-o", "net", *SMALL]
    stopped = unflat(*begin, "--set", "train.steps=4", "--time-limit", "0.01 s", folder=scan)
    assert stopped.returncode == 75, stopped.stderr
    done = unflat(*begin, "--set", "train.steps=4", "--resume", folder=scan)
    assert done.returncode == 0, done.stderr
    assert "4 steps" in done.stdout
    assert not (scan / "net" / "crystals").exists()
    rows = [json.loads(line) for line in (scan / "net" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert rows[-1]["step"] == 4
    assert 0 <= rows[-1]["held_out_correlation"] <= 1
    asked = unflat(
        *("predict", "c.yaml", "scan.h5", "-o", "own", "--set", "predict.network=net", "--draws", "1", "--adapt", "1"),
        folder=scan,
    )
    assert asked.returncode == 5, asked.stderr  # After 4 steps it has learned nothing.
    assert "counts are not explained" in asked.stderr
    assert "--refine" in asked.stderr
    assert (scan / "own" / "network.h5").is_file()
    assert "1 steps" in (scan / "own" / "run.log").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--draws", "0"], 2, "predict.draws"),
        (["--set", "predict.network=nowhere.h5"], 3, "nowhere.h5"),
        (["--set", "predict.network=scan.h5"], 3, "unflat-network is needed"),
        (["--set", "predict.gate=1e-6", "--draws", "2"], 5, "gate"),
        (["--adapt", "-1"], 2, "predict.adapt"),
    ],
)
@pytest.mark.usefixtures("no_report")
def test_what_is_wrong_is_said(scan: Path, words: list[str], status: int, said: str) -> None:
    done = unflat("predict", "c.yaml", "scan.h5", "-o", "wrong", "--force", *words, folder=scan)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_widths_that_cannot_be_are_refused_before_anything_is_made(scan: Path) -> None:
    done = unflat("train", "c.yaml", "-o", "bad", "--set", "network.widths=[7]", folder=scan)
    assert done.returncode == 2
    assert "multiple of 8" in done.stderr
    assert not (scan / "bad").exists()
