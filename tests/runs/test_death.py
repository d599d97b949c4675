"""Runs that ended without a word: what their folders and SLURM's record tell."""

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from unflat.recon.runs import RunFolder, Sentinel, death, slurm
from unflat.recon.runs.batch_record import State
from unflat.recon.runs.launch import Launch, command_line
from unflat.recon.runs.lock import LOCK, LockHolder
from unflat.recon.runs.run_state import find_runs
from unflat.recon.runs.slurm import JobRecord, job_record

ELSEWHERE = replace(LockHolder.current({}), host="node9", process=1, job="7")


def dead_run(folder: Path, holder: LockHolder, launch: Launch, age: float = 3600.0) -> Path:
    """A run that took three steps and ended without a word, some seconds ago."""
    run = RunFolder.create(folder / "run", fingerprint={"seed": 0})
    for step in (1, 2, 3):
        run.append_metrics(step, loss=1 / step)
    launch.write(run.path)
    run.close()
    (run.path / LOCK).write_text(json.dumps(asdict(holder)), "utf-8")
    for file in run.path.rglob("*"):
        os.utime(file, (time.time() - age,) * 2)
    return run.path


def explained(run: Path, record: JobRecord | None = None) -> tuple[State, str]:
    (state,) = find_runs([run])
    known = death.explain(state, lambda job: record)
    return known.state, known.reason


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        (JobRecord("7", "OUT_OF_MEMORY", asked="4G", peak="4100M"), "took more memory than the 4G that were asked for"),
        (JobRecord("7", "TIMEOUT", limit="01:00:00"), "at its time limit of 01:00:00"),
        (JobRecord("7", "NODE_FAIL", nodes="node9"), "node node9 of job 7 failed"),
        (JobRecord("7", "PREEMPTED"), "preempted"),
        (JobRecord("7", "FAILED", elapsed="00:10:00"), "job 7 ended after 00:10:00 (FAILED)"),
    ],
)
def test_slurm_knows_why_a_job_ended(tmp_path: Path, record: JobRecord, cause: str) -> None:
    run = dead_run(tmp_path, ELSEWHERE, Launch(memory_needed=2**30, memory_available=2**32))
    state, reason = explained(run, record)
    assert state is State.SILENT
    assert cause in reason
    assert "after step 3" in reason
    assert "memory needed about 1 GiB, available 4 GiB" in reason


def test_a_job_that_runs_or_is_queued_again_has_not_died(tmp_path: Path) -> None:
    run = dead_run(tmp_path, ELSEWHERE, Launch())
    assert explained(run, JobRecord("7", "RUNNING", nodes="node9"))[0] is State.RUNNING
    assert explained(run, JobRecord("7", "PENDING"))[0] is State.WAITING
    assert explained(run)[1].startswith("last sign ")


def test_a_process_of_this_machine_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = LockHolder.current({})
    run = dead_run(tmp_path, me, Launch(memory_needed=9 * 2**30, memory_available=10 * 2**30))
    assert explained(run) == (State.RUNNING, "")
    gone = json.dumps(asdict(replace(me, born="1")))
    (run / LOCK).write_text(gone, "utf-8")
    assert explained(run)[1].startswith("probably out of memory; last sign ")
    Launch(memory_needed=1, memory_available=10, out_of_memory_kills=2).write(run)
    monkeypatch.setattr(death, "out_of_memory_kills", lambda: 3)
    assert "has ended a process for lack of it" in explained(run)[1]
    monkeypatch.setattr(death, "out_of_memory_kills", lambda: 2)
    assert explained(run)[1].startswith("killed or crashed without a trace")
    monkeypatch.setattr(death, "_start_of_machine", time.time)
    (run / "launch.json").unlink()
    os.utime(run / LOCK, (time.time() - 60,) * 2)
    assert explained(run)[1].startswith("this machine was started anew")


def test_the_end_of_a_job_is_known_without_slurm(tmp_path: Path) -> None:
    launch = Launch.now(environment={"SLURM_JOB_END_TIME": str(int(time.time()) - 3500)})
    run = dead_run(tmp_path, replace(LockHolder.current({}), born="1"), launch)
    os.utime(run / "launch.json", (time.time() - 3600,) * 2)
    assert explained(run)[1].startswith("the time limit of its SLURM job")


def test_ended_runs_need_no_explanation(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run") as run:
        run.finish(Sentinel.STOPPED, "time limit\nreached")
    assert explained(tmp_path) == (State.STOPPED, "time limit")


def test_a_command_goes_on_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    run = tmp_path / "runs" / "a b"
    line = command_line(("fit", Path("run.yaml"), tmp_path / "scan.h5", "-o", run), run)
    assert str(tmp_path) not in "".join((*line.words, line.folder))
    assert line.to_resume(run) == "unflat fit run.yaml ../scan.h5 -o '../runs/a b' --resume"
    monkeypatch.chdir(tmp_path)
    assert line.to_resume(run).startswith("cd work && unflat fit run.yaml")


def test_records_of_slurm_are_read_as_it_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    accounted = "7|OUT_OF_MEMORY|4G||00:05:01|01:00:00|node9\n7.batch|OUT_OF_MEMORY||900K|00:05:01||node9\n"
    accounted += "7.0|OUT_OF_MEMORY||4123M|00:05:00||node9\n"
    monkeypatch.setattr(slurm, "_run", lambda *words: accounted if words[0] == "sacct" else "")
    assert job_record("7") == JobRecord("7", "OUT_OF_MEMORY", "4G", "4123M", "00:05:01", "01:00:00", "node9")
    shown = "JobId=7 JobName=fit JobState=TIMEOUT Reason=TimeLimit RunTime=00:01:00 TimeLimit=00:01:00 NodeList=n1\n"
    monkeypatch.setattr(slurm, "_run", lambda *words: shown if words[0] == "scontrol" else "")
    assert job_record("7") == JobRecord("7", "TIMEOUT", "", "", "00:01:00", "00:01:00", "n1")
    monkeypatch.setattr(slurm, "_run", lambda *words: "")
    assert job_record("7") is None
