"""Snakemake workflow over a folder of scans."""

import shutil
import subprocess
from pathlib import Path

import pytest

from unflat.cli.main import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with a workflow, a config, and two files in place of scans."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    for name in ("a1.h5", "b 2.h5", ".hidden"):
        (tmp_path / "scans" / name).touch()
    assert run(["init", "crystal", "-o", "run.yaml"]) == 0
    assert run(["init", "crystal", "--workflow", "-o", "Snakefile"]) == 0
    return tmp_path


def test_the_workflow_of_a_kind_runs_its_method(folder: Path) -> None:
    text = (folder / "Snakefile").read_text("utf-8")
    assert 'config.get("method", "phase")' in text
    assert "@" not in text
    assert run(["init", "crystal", "--workflow", "-o", "Snakefile"]) == 2, "a workflow is not replaced unasked"
    assert run(["init", "crystal", "--workflow", "--schema"]) == 2


@pytest.mark.skipif(shutil.which("snakemake") is None, reason="no Snakemake: pip install snakemake")
def test_a_dry_run_has_a_job_for_each_scan(folder: Path) -> None:
    done = subprocess.run(["snakemake", "-n", "--cores", "2"], capture_output=True, text=True, check=False)
    report = done.stdout + done.stderr
    assert done.returncode == 0, report
    assert "output: RUNS/a1/DONE" in report
    assert "output: RUNS/b 2/DONE" in report
    assert report.count("rule reconstruct:") == 2
    (folder / "RUNS" / "a1").mkdir(parents=True)
    (folder / "RUNS" / "a1" / "DONE").touch()
    done = subprocess.run(["snakemake", "-n", "--cores", "2"], capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr).count("rule reconstruct:") == 1, "what is done is left alone"
