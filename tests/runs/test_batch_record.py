"""Records of batches against what the run folders hold: whichever is newer is right."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from unflat.cli.main import run
from unflat.recon.errors import DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.batch import BatchOptions
from unflat.recon.experiments.batch_tasks import prepare_tasks
from unflat.recon.runs.batch_orders import order_changed, order_scans
from unflat.recon.runs.batch_record import BatchFolder, BatchRecord, State, is_due, must_begin_anew
from unflat.recon.runs.batch_refresh import read_deaths, refresh_records
from unflat.recon.runs.lock import LOCK, Lock
from unflat.recon.runs.run_state import find_runs
from unflat.recon.runs.scan_clock import ScanClock
from unflat.recon.runs.scan_list import ScanFile

LONG_AGO = 1000.0
"""[s] Age of what an earlier command has left."""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Folder of a batch of the scans a, b and c, of which a and b are done."""
    folder = tmp_path / "RUNS"
    folder.mkdir()
    record = BatchRecord("fit", {"kind": "cell", "fit.steps": 5})
    for name in "abc":
        (tmp_path / f"{name}.h5").write_bytes(b"data")
    record.add(folder, [(name, tmp_path / f"{name}.h5") for name in "abc"])
    for name in "ab":
        record.scans[name].begin(tmp_path / f"{name}.h5")
        leave(folder / name, "DONE", LONG_AGO)
        record.scans[name].end(State.DONE, 1.0)
    record.write(folder)
    return folder


def leave(run_folder: Path, name: str, age: float = 0.0) -> None:
    """Leave a sentinel, and the fingerprint of the run."""
    (run_folder / "checkpoint").mkdir(parents=True, exist_ok=True)
    for sentinel in ("DONE", "FAILED", "STOPPED"):
        (run_folder / sentinel).unlink(missing_ok=True)
    for file, text in ((run_folder / name, "its reason\n"), (run_folder / "checkpoint" / "fingerprint.json", "{}")):
        file.write_text(text, "utf-8")
        os.utime(file, (time.time() + 1 - age,) * 2)


def scans_of(runs: Path) -> list[ScanFile]:
    return [ScanFile(name, runs.parent / f"{name}.h5") for name in "abc"]


def resumed(runs: Path, *, force: bool = False, steps: int = 5) -> BatchRecord:
    """Open the batch again, and write its record as a command does that is then interrupted."""
    deaths = {} if force else read_deaths(runs)
    settings = {"kind": "cell", "fit.steps": steps}
    with BatchFolder.open(runs, "fit", settings, force=force, resume=not force, may_grow=("fit.steps",)) as folder:
        folder.record.add(runs, [(scan.name, scan.path) for scan in scans_of(runs)])
        order_scans(folder, scans_of(runs), deaths, force=force, resume=not force)
        folder.save()
        return folder.record


def due(runs: Path, record: BatchRecord) -> str:
    return "".join(scan.name for scan in scans_of(runs) if is_due(scan.path, record.scans[scan.name]))


def states(runs: Path) -> list[State]:
    return [state.state for state in find_runs([runs])]


def test_more_steps_are_still_asked_for_after_an_interruption(runs: Path) -> None:
    assert due(runs, resumed(runs)) == "c"
    assert due(runs, resumed(runs, steps=9)) == "abc"
    assert due(runs, resumed(runs, steps=9)) == "abc"
    assert states(runs) == [State.WAITING] * 3
    leave(runs / "a", "DONE")
    assert due(runs, resumed(runs, steps=9)) == "bc"


def test_runs_to_be_replaced_are_still_replaced_after_an_interruption(runs: Path) -> None:
    resumed(runs, force=True)
    record = resumed(runs)
    assert due(runs, record) == "abc"
    assert must_begin_anew(runs / "a", record.scans["a"])
    assert states(runs)[0] is State.WAITING
    leave(runs / "a", "STOPPED")
    assert not must_begin_anew(runs / "a", record.scans["a"]), "it has begun"
    assert not resumed(runs).scans["a"].begins_anew
    assert must_begin_anew(runs / "b", resumed(runs).scans["b"])


def test_a_run_whose_folder_was_removed_is_taken_again(runs: Path) -> None:
    (runs / "a" / "DONE").unlink()
    assert states(runs)[0] is State.WAITING
    assert due(runs, resumed(runs)) == "ac"


def test_a_failed_scan_that_was_mended_and_run_alone_is_done(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = BatchRecord.read(runs)
    assert record is not None
    record.scans["a"].end(State.FAILED, 1.0, 3, "the acquisition has changed")
    record.write(runs)
    assert states(runs)[0] is State.FAILED, "the result is older"
    lock = Lock.take(runs / "a")
    assert states(runs)[0] is State.RUNNING
    lock.release()
    leave(runs / "a", "DONE")
    assert states(runs)[0] is State.DONE
    monkeypatch.chdir(runs / "a")
    (state,) = find_runs([Path()])
    assert state.is_of_batch
    assert due(runs, resumed(runs)) == "c"


def test_a_process_that_died_is_named_in_the_table_and_when_the_scan_is_set_aside(runs: Path) -> None:
    record = BatchRecord.read(runs)
    assert record is not None
    for _ in range(2):
        record.scans["c"].begin(runs.parent / "c.h5")
    record.write(runs)
    with pytest.raises(DataError):
        read_deaths_of_damaged(runs.parent)
    (runs / "c").mkdir()
    lock = Lock.take(runs / "c")
    text = (runs / "c" / LOCK).read_text("utf-8").replace(f'"process": {os.getpid()}', '"process": 999999999')
    lock.release()
    (runs / "c" / LOCK).write_text(text, "utf-8")
    assert run(["report", str(runs), "--force"]) == 0
    rows = (runs / "results.csv").read_text("utf-8").splitlines()
    assert rows[-1].startswith("c,died,")
    assert "killed or crashed without a trace" in rows[-1]
    one = resumed(runs).scans["c"]
    assert (one.status, one.deaths) == (State.DIED, 2)
    assert "killed or crashed without a trace" in one.fault
    (runs.parent / "c.h5").write_bytes(b"other data")
    assert resumed(runs).scans["c"].deaths == 0, "it is another acquisition"


def read_deaths_of_damaged(folder: Path) -> None:
    (folder / "batch.json").write_text("{", "utf-8")
    read_deaths(folder)


def test_a_run_whose_acquisition_was_mended_begins_anew_unless_it_has_a_result(runs: Path) -> None:
    record = BatchRecord.read(runs)
    assert record is not None
    leave(runs / "b", "FAILED", LONG_AGO)
    record.scans["b"].end(State.FAILED, 1.0, 3, "a NaN")
    for name in "ab":
        (runs.parent / f"{name}.h5").write_bytes(b"mended data")
    refresh_records(runs, record)
    order_changed(runs, record, scans_of(runs))
    assert [scan.begins_anew for scan in record.scans.values()] == [False, True, False]


def test_the_time_of_a_scan_that_goes_on_is_the_sum_and_that_of_a_result_stays(runs: Path) -> None:
    record = BatchRecord.read(runs)
    assert record is not None
    clock = ScanClock(runs / "a", record.scans["a"])
    assert clock.seconds == 1.0
    (runs / "a" / "metrics.jsonl").write_text("{}\n", "utf-8")
    assert clock.seconds > 1.0
    record.scans["a"].order(anew=True)
    assert ScanClock(runs / "a", record.scans["a"]).seconds < 1.0
    assert ScanClock(runs / "absent", record.scans["b"]).seconds < 1.0


def test_the_tasks_of_an_array_are_waiting_and_begin_anew_where_the_acquisition_was_mended(tmp_path: Path) -> None:
    config, options = get_experiment("cell").default_config(), BatchOptions(tmp_path / "RUNS")
    scans = [ScanFile(name, tmp_path / f"{name}.h5") for name in "ab"]
    for scan in scans:
        scan.path.write_bytes(b"data")
    assert [task.begins_anew for task in prepare_tasks("fit", config, scans, options)] == [False, False]
    for scan in scans:
        leave(options.output / scan.name, "FAILED")
    again = replace(options, resume=True)
    assert prepare_tasks("fit", config, scans, again) == []
    for scan in scans:
        leave(options.output / scan.name, "FAILED", LONG_AGO)
    scans[0].path.write_bytes(b"mended data")
    for _ in range(2):  # A second time where the first tasks never began.
        assert [(task.number, task.begins_anew) for task in prepare_tasks("fit", config, scans, again)] == [(0, True)]
    record = BatchRecord.read(options.output)
    assert record is not None
    assert [(scan.status, scan.fault) for scan in record.scans.values()] == [
        (State.WAITING, ""),
        (State.FAILED, "its reason"),
    ]
