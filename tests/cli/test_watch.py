"""Scans that arrive as files: what is taken, what waits, what is set aside, and how a watch goes on."""

import csv
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import h5py
import pytest

from unflat.cli import replay
from unflat.cli.main import run
from unflat.recon.experiments import scan_runner
from unflat.recon.experiments import watch as watch_module
from unflat.recon.experiments.cell.experiment import CellExperiment
from unflat.recon.experiments.report_worker import ReportWorkers
from unflat.recon.experiments.run import RunOptions
from unflat.recon.io.completeness import find_unfinished
from unflat.recon.io.growing_state import read_growing
from unflat.recon.runs.batch_record import BatchRecord
from unflat.recon.runs.folder_source import FolderSource
from unflat.recon.runs.run_state import find_runs
from unflat.recon.runs.verdict import Reason, Verdict


class NoReports(ReportWorkers):
    """Stand-in for the process that writes the reports, which takes seconds to start."""

    submitted: ClassVar[list[str]] = []

    def submit(self, name: str, run: Path) -> None:
        self.submitted.append(name)


@pytest.fixture(autouse=True)
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs whose reports were asked for; none is written."""
    monkeypatch.setattr(watch_module, "ReportWorkers", NoReports)
    NoReports.submitted.clear()
    return NoReports.submitted


@pytest.fixture
def watch(scan: Path, tmp_path: Path) -> Callable[..., int]:
    """Function that watches ``in`` until nothing more is on its way, with further words of the command line."""
    (tmp_path / "in").mkdir()

    def run_watch(*words: object) -> int:
        given = [str(scan.with_name("run.yaml")), str(tmp_path / "in"), "-o", str(tmp_path / "RUNS")]
        times = ["--settle", "0.1 s", "--patience", "0.3 s", "--idle", "0"]
        return run(["watch", *given, *times, *map(str, words)])

    return run_watch


def table(runs: Path) -> dict[str, dict[str, str]]:
    """Rows of ``results.csv`` by the scan's name."""
    return {row["scan"]: row for row in csv.DictReader((runs / "results.csv").read_text("utf-8").splitlines())}


def test_what_is_whole_is_done_once_and_what_is_not_is_set_aside(
    scan: Path, tmp_path: Path, watch: Callable[..., int], submitted: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    folder, runs = tmp_path / "in", tmp_path / "RUNS"
    shutil.copy(scan, folder / "a.h5")
    shutil.copy(scan, folder / ".b.h5.AbC12")
    (folder / "cut.h5").write_bytes(scan.read_bytes()[:5000])
    (folder / "text.h5").write_text("no HDF5", "utf-8")
    assert watch() == 3
    rows = table(runs)
    assert {name: row["status"] for name, row in rows.items()} == {"a": "done", "cut": "failed", "text": "failed"}
    assert "truncated" in rows["cut"]["fault"]
    assert "no HDF5 file" in rows["text"]["fault"]
    out, err = capfd.readouterr()
    assert out.splitlines()[-1] == "3 scans: 1 done, 2 failed"
    assert "waiting for scans: 1 done, 2 set aside" in err
    done = (runs / "a" / "DONE").stat().st_mtime_ns

    shutil.copy(scan, folder / "b.h5")
    shutil.copy(scan, folder / "cut.h5")
    assert submitted == ["a"]
    assert watch() == 3
    assert sorted(submitted) == ["a", "a", "b", "cut"], "a report that is missing is written at the next start"
    assert {name: row["status"] for name, row in table(runs).items()} == {
        "a": "done", "cut": "done", "text": "failed", "b": "done",
    }  # fmt: skip
    assert (runs / "a" / "DONE").stat().st_mtime_ns == done, "what is done is not done again"
    page = (runs / "index.html").read_text("utf-8")
    assert page.index(">b<") < page.index(">a<"), "the newest is on top"
    assert "http-equiv" not in page, "a page of a watch that has ended does not refresh itself"

    os.utime(folder / "a.h5")
    assert watch() == 3
    assert (runs / "a" / "DONE").stat().st_mtime_ns > done, "a file that has changed is taken again"
    assert watch("--seed", 7) == 2
    assert "seed was 0 and is now 7" in capfd.readouterr().err
    assert run(["status", str(runs), "--json"]) == 0
    states = json.loads(capfd.readouterr().out)
    assert [state["state"] for state in states] == ["done", "done", "done", "failed", "done"]
    assert states[0]["reason"] == "no new scan came"


def test_a_file_that_is_open_for_writing_is_waited_for(
    scan: Path, tmp_path: Path, watch: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "in" / "a.h5"
    shutil.copy(scan, file)
    with h5py.File(tmp_path / "in" / "b.h5", "w", libver="latest") as growing:
        growing["x"] = 1
        growing.swmr_mode = True
        assert watch() == 0
        assert "left: b.h5 is open for writing by another program" in capfd.readouterr().err
        assert list(table(tmp_path / "RUNS")) == ["a"]
    assert watch() == 3, "it is whole now, and no scan of a cell"


def test_a_request_to_stop_ends_the_watch_and_the_same_command_goes_on(
    scan: Path, tmp_path: Path, watch: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "RUNS"
    for name in ("a", "b"):
        shutil.copy(scan, tmp_path / "in" / f"{name}.h5")

    def interrupt(number: int) -> None:
        steps = runs / "a" / "metrics.jsonl"
        size = steps.stat().st_size if steps.exists() else 0
        while not (steps.exists() and steps.stat().st_size > size):
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    long = ("--set", "fit.steps=1000000", "--set", "fit.patience=1000000")
    for number, status in ((signal.SIGTERM, 75), (signal.SIGINT, 130)):
        thread = threading.Thread(target=interrupt, args=(number,))
        thread.start()
        assert watch(*long) == status
        thread.join()
        assert "run the same command to go on" in capfd.readouterr().err
        assert table(runs)["a"]["status"] == "stopped"
    record = BatchRecord.read(runs)
    assert record is not None
    steps = [json.loads(line)["step"] for line in (runs / "a" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert steps == sorted(steps), "it goes on from its checkpoint"
    assert run(["status", str(runs)]) == 0
    out = capfd.readouterr().out
    assert "go on with: " in out
    assert "watch" in out
    assert "interrupted" in out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["none", "-o", "RUNS"], 3, "cannot be read"),
        (["run.yaml", "-o", "RUNS"], 3, "cannot be read"),
        (["in", "-o", "in/RUNS"], 2, "would be taken for scans"),
        (["in", "-o", "in"], 2, "would be taken for scans"),
        (["RUNS/in", "-o", "RUNS"], 2, "lies in"),
        (["in", "-o", "RUNS", "--method", "phase"], 2, "not phased by projections"),
        (["in", "-o", "RUNS", "--pattern", "/in/*.h5"], 2, "leads out of DIR"),
        (["in", "-o", "RUNS", "--pattern", "../*.h5"], 2, "leads out of DIR"),
        (["in", "-o", "RUNS", "--pattern", ""], 2, "--pattern"),
        (["in", "-o", "RUNS", "--pattern", "["], 2, "without its ']'"),
        (["in", "-o", "RUNS", "--idle", "0 um"], 2, "positive time"),
        (["in", "-o", "RUNS", "--settle", "-1 s"], 2, "positive time"),
        (["in", "-o", "RUNS", "--idle", "3 um"], 2, "positive time"),
        (["in"], 2, "Missing option"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    scan: Path,
    tmp_path: Path,
    words: list[str],
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(scan.with_name("run.yaml"), "run.yaml")
    Path("in").mkdir()
    Path("RUNS/in").mkdir(parents=True)
    assert run(["watch", "run.yaml", *words]) == status
    assert message in capfd.readouterr().err
    assert not (tmp_path / "RUNS" / "batch.json").exists()


def test_a_bug_over_one_scan_does_not_end_the_watch(
    scan: Path, tmp_path: Path, watch: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_bug(*_: object, **__: object) -> object:
        raise ZeroDivisionError("inner")

    monkeypatch.setattr(scan_runner, "run_method", with_bug)
    for name in ("a", "b"):
        shutil.copy(scan, tmp_path / "in" / f"{name}.h5")
    assert watch() == 1
    assert [row["status"] for row in table(tmp_path / "RUNS").values()] == ["failed", "failed"]


@pytest.mark.parametrize("words", [(), ("--cold",)])
def test_a_scan_begins_with_the_last_sound_result_and_again_without_it_if_that_is_of_no_use(
    words: tuple[str, ...], scan: Path, tmp_path: Path, watch: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    doubt, fault = Reason("doubt", "a doubt"), Reason("fault", "a fault", fatal=True)
    reasons: dict[str, list[Reason]] = {"a": [], "b": [doubt], "c": [fault], "d": [], "e": []}

    def record(_method: str, _config: object, path: Path, options: RunOptions, *_: object) -> None:
        given.append(path.stem + (options.warm_start.name if options.warm_start else ""))
        options.output.mkdir(exist_ok=True)
        content = json.dumps(Verdict.of(reasons[path.stem]).to_json())
        (options.output / "metrics.json").write_text(content, "utf-8")

    monkeypatch.setattr(scan_runner, "run_method", record)
    monkeypatch.setattr(CellExperiment, "starts_warm", lambda *_: True)
    for name in reasons:
        shutil.copy(scan, tmp_path / "in" / f"{name}.h5")
    watch(*words)
    assert given == (["a", "b", "c", "d", "e"] if words else ["a", "ba", "b", "ca", "c", "da", "ed"])


def test_a_measurement_that_ended_early_is_set_aside_with_its_number_of_frames(
    scan: Path, tmp_path: Path, watch: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = tmp_path / "in" / "a.h5"

    def interrupt(seconds: float) -> None:
        if grown.exists() and find_unfinished(grown) is not None and read_growing(grown).count == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(replay.time, "sleep", interrupt)
        assert run(["replay", str(scan), "--into", str(grown)]) == 130
    assert watch() == 3
    (row,) = table(tmp_path / "RUNS").values()
    assert row["status"] == "failed"
    assert "holds 4 of the 6 frames it declares" in row["fault"]


def test_a_result_stays_when_its_file_is_moved_away_while_it_is_taken_again(
    scan: Path, tmp_path: Path, watch: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, runs = tmp_path / "in" / "a.h5", tmp_path / "RUNS"
    shutil.copy(scan, file)
    assert watch() == 0
    before = table(runs)
    os.utime(file)
    method = scan_runner.run_method

    def move_first(*arguments: object, **options: object) -> object:
        file.rename(tmp_path / "a.h5")
        return method(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(scan_runner, "run_method", move_first)
        assert watch() == 0
    assert table(runs) == before
    done = (runs / "a" / "DONE").stat().st_mtime_ns
    (tmp_path / "a.h5").rename(file)
    assert watch() == 0
    assert (runs / "a" / "DONE").stat().st_mtime_ns > done, "it has come back"


def test_a_watch_that_ends_by_an_error_is_not_done(
    scan: Path, tmp_path: Path, watch: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise ZeroDivisionError("inner")

    monkeypatch.setattr(FolderSource, "idle", fail)
    shutil.copy(scan, tmp_path / "in" / "a.h5")
    assert watch() == 1
    (state,) = [one for one in find_runs([tmp_path / "RUNS"]) if one.is_watch]
    assert state.state == "stopped"
    assert state.reason == "ended by an error: ZeroDivisionError: inner"
    assert "unflat watch" in state.resume_command


def test_the_state_of_a_watch_names_the_scan_that_is_computed(
    scan: Path, tmp_path: Path, watch: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[str] = []

    def note(*_: object, **__: object) -> None:
        states.extend(one.reason for one in find_runs([tmp_path / "RUNS"]) if one.is_watch)

    monkeypatch.setattr(scan_runner, "run_method", note)
    shutil.copy(scan, tmp_path / "in" / "a.h5")
    assert watch() == 0
    assert states == ["computes a"]


def test_an_odd_name_does_not_end_the_observation(tmp_path: Path, scan: Path, watch: Callable[..., int]) -> None:
    shutil.copy(scan, tmp_path / "in" / "a.h5")
    (tmp_path / "in" / "1\N{SUPERSCRIPT TWO}2.h5").write_text("x", "utf-8")
    assert watch() == 3
    assert table(tmp_path / "RUNS")["a"]["status"] == "done"


@pytest.mark.parametrize("zero", ["0s", "0 s", "0", "0.0 min"])
def test_a_pattern_that_matches_nothing_is_told(
    tmp_path: Path, watch: Callable[..., int], zero: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "x.dat").touch()
    assert watch("--pattern", "scan_*.h5", "--idle", zero) == 0
    assert "holds no entry that --pattern 'scan_*.h5' matches, yet" in capfd.readouterr().err
