"""Locks: one process at a time works in a run folder."""

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from unflat.recon.errors import ConfigError, Stopped
from unflat.recon.runs import RunFolder, Sentinel
from unflat.recon.runs.lock import LOCK, LockHolder, _put_back


def run_python(program: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


WORKING = """
    import sys, time
    from unflat.recon.runs import RunFolder
    with RunFolder.create(sys.argv[1]):
        print("working", flush=True)
        time.sleep(600)
"""


def write_lock(folder: Path, **changes: object) -> Path:
    """Write the lock that another process might leave in a closed run folder: this process's with some changes."""
    run = RunFolder.create(folder)
    lock = run.path / LOCK
    holder = json.loads(lock.read_text())
    run.close()
    lock.write_text(json.dumps(holder | changes))
    return lock


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"force": True}])
def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path, options: dict[str, bool]) -> None:
    first = run_python(WORKING, tmp_path / "run")
    assert first.stdout is not None
    assert first.stdout.readline() == "working\n"
    with pytest.raises(ConfigError) as caught:
        RunFolder.create(tmp_path / "run", **options)
    (fault,) = caught.value.faults
    assert fault.where == str(tmp_path / "run")
    assert f"another process works in this folder: process {first.pid} on {socket.gethostname()}, " in fault.message
    assert datetime.fromisoformat(fault.message.rpartition("since ")[2]) <= datetime.now(UTC)
    assert f"remove {tmp_path / 'run' / LOCK}" in fault.remedy
    assert first.poll() is None
    first.kill()
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)  # It has ended, but is still a zombie.
    with RunFolder.create(tmp_path / "run", **(options or {"resume": True})):
        pass
    first.communicate(timeout=10)


@pytest.mark.parametrize("error", [None, Stopped("SIGTERM received"), KeyboardInterrupt(), ValueError("bug")])
def test_every_end_of_a_run_releases_the_lock(tmp_path: Path, error: BaseException | None) -> None:
    with contextlib.suppress(Stopped, KeyboardInterrupt, ValueError), RunFolder.create(tmp_path / "run") as run:
        assert (run.path / LOCK).is_file()
        if error is not None:
            raise error
        run.finish(Sentinel.DONE, "done")
        assert not (run.path / LOCK).exists()
    assert not (tmp_path / "run" / LOCK).exists()
    with pytest.raises(ConfigError, match="already holds a run"):
        RunFolder.create(tmp_path / "run")
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_process_on_another_machine_counts_until_slurm_restarts_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = write_lock(tmp_path / "run", host="node7", job="4711")
    for restarts in (None, "1"):  # A restart count without the job's number says nothing of that job.
        if restarts:
            monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
        with pytest.raises(ConfigError, match="on node7, SLURM job 4711, since"):
            RunFolder.create(tmp_path / "run", resume=True)
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    RunFolder.create(tmp_path / "run", resume=True).close()
    assert not lock.exists()


def test_a_later_process_of_the_same_number_does_not_hold_the_lock(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system does not report when a process started")
    write_lock(tmp_path / "run", born="1")
    RunFolder.create(tmp_path / "run", resume=True).close()
    write_lock(tmp_path / "other", born="1", space="pid:[1]")  # Process numbers of another container.
    with pytest.raises(ConfigError, match="another process works"):
        RunFolder.create(tmp_path / "other", resume=True)


def test_an_unreadable_lock_counts_and_another_process_keeps_its_lock(tmp_path: Path) -> None:
    lock = write_lock(tmp_path / "run")
    lock.write_text("")
    with pytest.raises(ConfigError, match=r"a process that run.lock does not name; .* remove"):
        RunFolder.create(tmp_path / "run", force=True)
    lock.unlink()
    with RunFolder.create(tmp_path / "run", force=True):
        lock.write_text("other")
    assert lock.read_text() == "other"


@pytest.mark.parametrize("call", ["link", "open"])
def test_a_process_killed_while_it_takes_the_lock_locks_nobody_out(tmp_path: Path, call: str) -> None:
    code = """
        import os, pathlib, sys
        from unflat.recon.runs import RunFolder
        def die(*_, **__):
            os._exit(9)
        if sys.argv[2] == "link":
            os.link = die
        else:  # The lock is opened, and nothing is written.
            pathlib.Path.write_text = lambda self, *a, **k: (self.open("w"), die())
        RunFolder.create(sys.argv[1])
    """
    killed = run_python(code, tmp_path / "run", call)
    killed.communicate(timeout=30)
    assert killed.returncode == 9
    assert not (tmp_path / "run" / LOCK).exists()
    with RunFolder.create(tmp_path / "run") as run:
        run.finish(Sentinel.DONE, "done")


def test_a_disk_without_links_has_locks_too_and_an_old_empty_one_is_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    lock = write_lock(tmp_path / "run")
    lock.write_text("")
    with pytest.raises(ConfigError, match=r"a process that run.lock does not name; .* remove"):
        RunFolder.create(tmp_path / "run", resume=True)
    os.utime(lock, (time.time() - 3600,) * 2)
    with RunFolder.create(tmp_path / "run", resume=True):
        assert json.loads(lock.read_text())["process"] == os.getpid()
        with pytest.raises(ConfigError, match="another process works"):
            RunFolder.create(tmp_path / "run", resume=True)


@pytest.mark.parametrize("links", [True, False])
def test_a_lock_renamed_by_mistake_is_restored_and_replaces_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    mine, lock = tmp_path / "mine", tmp_path / LOCK
    mine.write_text("second")
    _put_back(mine, lock)
    assert lock.read_text() == "second"
    lock.write_text("third")
    mine.write_text("second")
    _put_back(mine, lock)
    assert lock.read_text() == "third"
    assert not mine.exists()


@pytest.mark.parametrize(("text", "count"), [("", 0), ("none", 0), ("2", 2)])
def test_a_restart_count_that_is_no_number_is_zero(text: str, count: int) -> None:
    assert LockHolder.current({"SLURM_RESTART_COUNT": text}).restart == count
