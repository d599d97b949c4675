"""Several acquisitions in one command: their runs, their table, their page, and what ends them early."""

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import unflat
from unflat.cli.main import run
from unflat.recon.experiments import batch as batch_module
from unflat.recon.experiments import report_worker, scan_runner
from unflat.recon.experiments import run as run_module
from unflat.recon.experiments.report_worker import ReportWorkers
from unflat.recon.optimize.program import shared_program
from unflat.recon.runs.batch_record import BatchRecord

from ..commands import run_here


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory, scan: Path) -> Path:
    """A folder with a config and a folder of two good scans, a truncated one, one with a NaN, one of a crystal."""
    folder = tmp_path_factory.mktemp("batch")
    (folder / "run.yaml").write_bytes(scan.with_name("run.yaml").read_bytes())
    (folder / "scans").mkdir()
    whole = scan.read_bytes()
    (folder / "scans" / "cell_2.h5").write_bytes(whole)
    (folder / "scans" / "cell_10.h5").write_bytes(whole)
    (folder / "scans" / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "scans" / "nan.h5").write_bytes(whole)
    with h5py.File(folder / "scans" / "nan.h5", "r+") as file:
        file["measurement/images"][2, 5, 5] = np.nan
    (folder / "scans" / "other.h5").write_bytes(whole)
    with h5py.File(folder / "scans" / "other.h5", "r+") as file:
        file.attrs["kind"] = "crystal"
    return folder


class NoReports(ReportWorkers):
    """Stand-in for the process that writes the reports, which takes seconds to start."""

    def submit(self, name: str, run: Path) -> None:
        pass


@pytest.fixture
def without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "ReportWorkers", NoReports)


def fit(scans: Path, *words: object) -> int:
    """Fit with the config of the folder."""
    return run(["fit", str(scans / "run.yaml"), *map(str, words)])


def table(runs: Path) -> dict[str, dict[str, str]]:
    """Rows of ``results.csv`` by the scan's name."""
    return {row["scan"]: row for row in csv.DictReader((runs / "results.csv").read_text("utf-8").splitlines())}


def test_a_bad_scan_is_set_aside_and_the_others_go_on(
    scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "RUNS"
    monkeypatch.chdir(tmp_path)
    shared_program.cache_clear()
    assert fit(scans, scans / "scans", "-o", runs) == 3
    monkeypatch.setattr(batch_module, "ReportWorkers", NoReports)
    rows = table(runs)
    assert list(rows) == ["cell_2", "cell_10", "cut", "nan", "other"]
    assert [row["status"] for row in rows.values()] == ["done"] * 2 + ["failed"] * 3
    for name, fault in (("cut", "truncated"), ("nan", "NaN"), ("other", "of a crystal, not of a cell")):
        assert fault in rows[name]["fault"]
        assert rows[name]["exit_status"] == "3"
        assert not (runs / name).exists()
    for name in ("cell_2", "cell_10"):
        numbers = json.loads((runs / name / "metrics.json").read_text("utf-8"))
        assert float(rows[name]["residual_withheld"]) == pytest.approx(numbers["residual_withheld"])
        assert rows[name]["verdict"] == numbers["verdict"]
        assert (runs / name / "report.html").is_file()
    assert shared_program.cache_info().misses == 1, "one shape, one program"
    page = (runs / "index.html").read_text("utf-8")
    assert page.count('href="cell_') == 2
    assert page.count("data:image/jpeg") == 2
    assert "no result" in page
    assert "http-equiv" not in page, "it loads itself again only while scans are left"
    out, err = capfd.readouterr()
    assert out.splitlines()[-1].startswith("5 scans: 2 done, 3 failed")
    assert "Traceback" not in err
    for file in (*runs.glob("*.*"), runs / "cell_2" / "launch.json"):
        assert str(tmp_path) not in file.read_text("utf-8"), file

    done = (runs / "cell_2" / "DONE").stat().st_mtime_ns
    good = (scans / "scans" / "cell_2.h5").read_bytes()
    nan = (scans / "scans" / "nan.h5").read_bytes()
    try:
        (scans / "scans" / "nan.h5").write_bytes(good)
        assert fit(scans, scans / "scans", "-o", runs, "--resume") == 3
    finally:
        (scans / "scans" / "nan.h5").write_bytes(nan)
    assert (runs / "cell_2" / "DONE").stat().st_mtime_ns == done, "a scan that is done is left alone"
    assert table(runs)["nan"]["status"] == "done", "one whose file has changed is tried again"
    out, err = capfd.readouterr()
    assert "3 done (2 before), 2 failed (2 before)" in out
    assert "failed before, and left: cut, other" in err
    assert fit(scans, scans / "scans", "-o", runs) == 2
    assert fit(scans, scans / "scans", "-o", runs, "--resume", "--seed", 7) == 2
    assert "seed was 0 and is now 7" in capfd.readouterr().err


@pytest.mark.usefixtures("without_reports")
def test_scans_of_one_name_get_runs_of_their_own(
    scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "again").mkdir()
    twin = tmp_path / "again" / "cell_2.h5"
    twin.write_bytes((scans / "scans" / "cell_2.h5").read_bytes())
    first = scans / "scans" / "cell_2.h5"
    assert fit(scans, first, twin, first, "-o", tmp_path / "RUNS") == 0
    assert list(table(tmp_path / "RUNS")) == ["scans-cell_2", "again-cell_2"]
    assert "2 acquisitions have a name in common" in capfd.readouterr().err


@pytest.mark.usefixtures("without_reports", "no_report")
def test_one_acquisition_is_a_run_and_no_batch_unless_each_is_given(scans: Path, tmp_path: Path) -> None:
    one = scans / "scans" / "cell_2.h5"
    assert fit(scans, one, "-o", tmp_path / "RUN") == 0
    assert (tmp_path / "RUN" / "DONE").is_file()
    assert fit(scans, one, one.with_name("cell_10.h5"), "-o", tmp_path / "RUN", "--force") == 2
    assert fit(scans, one, "-o", tmp_path / "RUNS", "--each") == 0
    assert (tmp_path / "RUNS" / "cell_2" / "DONE").is_file()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("scans/none*.h5", "absent.h5"), 3, "no file matches"),
        (("scans/cell_2.h5", "--retry-failed"), 2, "several acquisitions"),
        (("empty", "--each"), 3, "holds no acquisition"),
        ((), 2, "Missing argument"),
    ],
)
def test_a_list_of_no_scans_is_refused(
    scans: Path, tmp_path: Path, words: tuple[str, ...], status: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (scans / "empty").mkdir(exist_ok=True)
    given = [word if word.startswith("-") else scans / word for word in words]
    assert fit(scans, *given, "-o", tmp_path / "RUNS") == status
    assert message in capfd.readouterr().err
    assert not (tmp_path / "RUNS").exists()


@pytest.mark.usefixtures("without_reports")
def test_the_exit_status_is_that_of_the_worst_scan(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A gate that no fit passes, and a bug in one scan: the others are done nevertheless."""
    several = scans / "scans" / "cell_*.h5"
    assert fit(scans, several, "-o", tmp_path / "A", "--set", "fit.gate=1e-9") == 5
    assert {row["status"] for row in table(tmp_path / "A").values()} == {"done"}
    assert "2 with a failed result" in capfd.readouterr().out
    method = scan_runner.run_method

    def with_bug(*arguments: object, **options: object) -> object:
        if "cell_10" in str(arguments[2]):
            raise ZeroDivisionError("inner")
        return method(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(scan_runner, "run_method", with_bug)
    outcome = unflat.batch("fit", several, scans / "run.yaml", tmp_path / "B")
    assert outcome.exit_status == 1
    assert [row.verdict is None for row in outcome.rows] == [False, True]
    rows = table(tmp_path / "B")
    assert [row["status"] for row in rows.values()] == ["done", "failed"]
    assert "internal error: ZeroDivisionError: inner" in rows["cell_10"]["fault"]


@pytest.mark.usefixtures("without_reports")
def test_a_request_to_stop_ends_the_batch_and_resume_does_what_is_left(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    several, runs = scans / "scans" / "cell_*.h5", tmp_path / "RUNS"
    finish = run_module._finish

    def finish_late(*arguments: object, **options: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return finish(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:  # Not undone as a whole: no report is written after it either.
        patched.setattr(run_module, "_finish", finish_late)
        assert fit(scans, several, "-o", runs) == 75
    assert [row["status"] for row in table(runs).values()] == ["done", "waiting"]
    assert "SIGTERM received: run again with --resume" in capfd.readouterr().err
    assert run(["status", str(runs)]) == 0
    out = capfd.readouterr().out
    assert "1 done, 1 waiting" in out
    assert "go on with: " in out
    assert fit(scans, several, "-o", runs, "--resume", "--time-limit", "0.001 s") == 75
    assert [row["status"] for row in table(runs).values()] == ["done", "stopped"]  # However short, it takes a step.
    assert fit(scans, several, "-o", runs, "--resume") == 0
    assert {row["status"] for row in table(runs).values()} == {"done"}


@pytest.mark.usefixtures("without_reports")
def test_a_batch_that_was_killed_is_explained_and_goes_on(scans: Path, tmp_path: Path) -> None:
    runs = tmp_path / "RUNS"
    words = [sys.executable, "-m", "unflat", "fit", str(scans / "run.yaml")]
    words += [str(scans / "scans" / f"cell_{seed}.h5") for seed in (2, 10)]
    words += ["-o", "RUNS", "--set", "fit.steps=1000000", "--set", "fit.patience=1000000"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (runs / "cell_2" / "metrics.jsonl").exists() and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.wait()
    status = ("status", "RUNS", "--json")
    died, waiting = json.loads(run_here(*status, folder=tmp_path).stdout)
    assert (died["state"], waiting["state"]) == ("died", "waiting")
    assert "memory needed about" in died["reason"]
    assert died["resume"].startswith("unflat fit ")
    assert "--set fit.steps=1000000" in died["resume"]
    record = BatchRecord.read(runs)
    assert record is not None
    assert record.scans["cell_2"].deaths == 1
    again = run_here(*died["resume"].split()[1:], "--time-limit", "0.001 s", folder=tmp_path)
    assert again.returncode == 75, again.stderr
    states = json.loads(run_here(*status, folder=tmp_path).stdout)
    assert [state["state"] for state in states] == ["stopped", "waiting"]


@pytest.mark.usefixtures("without_reports")
def test_a_scan_that_kills_its_process_again_and_again_is_set_aside(scans: Path, tmp_path: Path) -> None:
    several, runs = scans / "scans" / "cell_*.h5", tmp_path / "RUNS"
    assert fit(scans, several, "-o", runs, "--time-limit", "0.001 s") == 75
    record = BatchRecord.read(runs)
    assert record is not None
    for _ in range(2):
        record.scans["cell_2"].begin(scans / "scans" / "cell_2.h5")
    record.write(runs)
    assert fit(scans, several, "-o", runs, "--resume") == 4
    assert "2 processes died over it" in table(runs)["cell_2"]["fault"]
    assert fit(scans, several, "-o", runs, "--resume", "--retry-failed") == 0


@pytest.mark.usefixtures("without_reports")
def test_files_of_another_are_not_replaced_without_force(
    scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "RUNS"
    runs.mkdir()
    own = {"results.csv": "mine", "index.html": "mine", "launch.json": "[]"}
    for name, text in own.items():
        (runs / name).write_text(text, "utf-8")
    for words in ([], ["--resume"]):
        assert fit(scans, scans / "scans" / "cut.h5", "--each", "-o", runs, *words) == 2
        assert "already holds results.csv, index.html, launch.json" in capfd.readouterr().err
    assert {name: (runs / name).read_text("utf-8") for name in own} == own
    assert not (runs / "batch.json").exists()
    assert fit(scans, scans / "scans" / "cut.h5", "--each", "-o", runs, "--force") == 3
    assert list(table(runs)) == ["cut"]


@pytest.mark.skipif(sys.platform != "linux", reason="such a name cannot be made")
@pytest.mark.usefixtures("without_reports")
def test_a_name_that_is_no_text_is_one_of_a_scan_as_any_other(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)  # pytest-xdist cannot send such a name.
    runs, file = tmp_path / "RUNS", tmp_path / "bad\udcff.h5"
    file.write_bytes((scans / "scans" / "cell_2.h5").read_bytes()[:1000])
    assert fit(scans, file, "--each", "-o", runs) == 3
    (row,) = table(runs).values()
    assert (row["scan"], row["file"]) == ("bad_", "../bad\ufffd.h5")
    assert "bad_" in (runs / "index.html").read_text("utf-8")
    record = BatchRecord.read(runs)
    assert record is not None
    assert record.names_of_files(runs) == {file.resolve(): "bad_"}


def test_a_table_that_cannot_be_written_is_a_warning(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no table today")

    monkeypatch.setattr(scan_runner.BatchResults, "write_table", refuse)
    monkeypatch.setattr(scan_runner.BatchResults, "write_page", refuse)
    cut = scans / "scans" / "cut.h5"
    assert fit(scans, cut, scans / "scans" / "other.h5", "-o", tmp_path / "RUNS") == 3
    assert capfd.readouterr().err.count("no table today") == 1
    record = BatchRecord.read(tmp_path / "RUNS")
    assert record is not None
    assert [scan.status for scan in record.scans.values()] == ["failed", "failed"]


def test_reports_are_written_here_where_no_process_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with ReportWorkers() as worker:
        worker.submit("a", tmp_path / "a")
        worker.submit("b", tmp_path / "b")
        assert list(worker.collect()) == []
        written = dict(worker.collect(wait=True))
    assert set(written) == {"a", "b"}
    assert "no such folder" in written["a"]


def test_several_processes_write_reports_and_none_is_lost_where_one_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each answers, but dies over the run "deadly".
    code = "import json, sys\nfor line in sys.stdin:\n  name = json.loads(line)[0]\n"
    code += "  if name == 'deadly': sys.exit()\n  print(json.dumps([name, '']), flush=True)"
    start, started = subprocess.Popen, []

    def popen(words: list[str], **options: object) -> object:
        started.append(words)
        return start([words[0], "-c", code], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(report_worker, "_write", lambda run: "written here")
    with ReportWorkers(2) as workers:
        for name in ("a", "deadly", "b"):
            workers.submit(name, tmp_path / name)
        written = {}
        while workers.has_work:
            written |= dict(workers.collect())
        assert set(written) == {"a", "deadly", "b"}
        assert "2 processes died over it" in written["deadly"]
        assert not written["a"]
        assert not written["b"]
        assert 2 <= len(started) <= 4
        workers.submit("c", tmp_path / "c")
        assert dict(workers.collect(wait=True)) == {"c": ""}


def test_a_request_to_stop_ends_the_wait_for_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReportWorkers, "_feed", lambda _: None)
    with ReportWorkers() as worker:
        worker._processes[0].task = ("a", tmp_path)  # The process is at work on it.
        looks = iter([False, False, True])
        assert list(worker.collect(wait=True, is_stopped=lambda: next(looks))) == []
        assert worker.has_work
        worker._processes[0].task = None
