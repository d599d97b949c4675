"""A fourth kind of experiment costs one file, and goes through every command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOY = Path(__file__).with_name("toy_signal.py")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toy as an installed package would have it: a module, and metadata with its entry point."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / TOY.name).write_text(TOY.read_text("utf-8"), "utf-8")
    metadata = folder / "toy_signal-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-signal\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text("[unflat.experiments]\nsignal = toy_signal:SignalExperiment\n", "utf-8")
    return folder


def unflat(plugins: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run the command line with the toy on the path."""
    path = os.pathsep.join(filter(None, [str(plugins), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "unflat", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=os.environ | {"PYTHONPATH": path}
    )


def test_a_fourth_kind_goes_through_every_command(plugins: Path, tmp_path: Path) -> None:
    config, scan, run = tmp_path / "s.yaml", tmp_path / "scan.h5", tmp_path / "RUN"
    for words in (
        ["init", "signal", "-o", config],
        ["simulate", config, "-o", scan],
        ["check", config, scan],
        ["fit", config, scan, "-o", run],
        ["volume", run, "-o", tmp_path / "signal.npz"],
        ["report", run, "-o", tmp_path / "report.html"],
        ["info", scan],
        ["info", run],
    ):
        done = unflat(plugins, *words)
        assert done.returncode == 0, (words, done.stderr)
    evaluated = unflat(plugins, "evaluate", run, scan, "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    accuracy = json.loads(evaluated.stdout)
    numbers = json.loads((run / "metrics.json").read_text("utf-8"))
    assert accuracy["ncc"] == pytest.approx(numbers["ncc"], abs=1e-6)
    assert accuracy["ncc"] > 0.95
    assert numbers["misfit_withheld"] < 0.1
    assert "misfit of withheld samples" in (run / "DONE").read_text("utf-8")
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_a_method_that_the_kind_does_not_offer_is_refused(plugins: Path, tmp_path: Path) -> None:
    config = tmp_path / "s.yaml"
    assert unflat(plugins, "init", "signal", "-o", config).returncode == 0
    refused = unflat(plugins, "phase", config, tmp_path / "none.h5", "-o", tmp_path / "RUN")
    assert refused.returncode == 2
    assert "unflat fit" in refused.stderr
    assert not (tmp_path / "RUN").exists()


def test_the_toy_is_one_short_file() -> None:
    assert len(TOY.read_text("utf-8").splitlines()) < 200
