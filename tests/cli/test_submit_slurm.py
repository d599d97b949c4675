"""Jobs in a real SLURM on this machine, which the test starts: Debian's slurm-wlm and munge, as root."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.cli.main import run

CONFIG = """kind: cell
volume: {depth: 2 um}
fit: {steps: 3, field: voxels, sign: any, start: none}
physics: {absorption: false}
simulate: {shape: [16, 16], illumination: {count: 6}}
"""
SLURM_CONFIG = """ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=6
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=5
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=n1 Default=YES MaxTime=60 State=UP
"""
pytestmark = [
    pytest.mark.usefixtures("no_report"),
    pytest.mark.slow,
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in ("slurmctld", "slurmd", "munged", "sbatch")),
        reason="no SLURM: apt-get install --no-install-recommends slurm-wlm munge",
    ),
    pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="SLURM can be started by root only"),
]


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (one, two)][:count]


def wait_for(condition: Callable[[], bool], seconds: float, message: str) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, message
        time.sleep(0.2)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of a SLURM of one node with four cores; ``SLURM_CONF`` names its configuration."""
    folder = Path(tmp_path_factory.mktemp("slurm"))
    (folder / "state").mkdir()
    config = folder / "slurm.conf"
    config.write_text(SLURM_CONFIG.format(folder=folder, ports=free_ports(2)), "utf-8")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    folder.chmod(0o755)
    names = {"socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log", "seed-file": "munge.seed"}
    files = [f"--{option}={folder / name}" for option, name in names.items()]
    environment = os.environ | {"SLURM_CONF": str(config)}
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(config)
    try:
        subprocess.run(["munged", "--force", f"--key-file={key}", *files], check=True)
        subprocess.run(["slurmctld", "-f", config], check=True, env=environment)
        subprocess.run(["slurmd", "-N", "n1", "-f", config], check=True, env=environment)
        wait_for(lambda: "idle" in output("sinfo", "-h", "-o", "%T"), 30, "SLURM does not start")
        yield folder
    finally:
        os.environ.pop("SLURM_CONF") if before is None else os.environ.update(SLURM_CONF=before)
        for name in ("slurmd-n1.pid", "slurmctld.pid", "munge.pid"):
            if (folder / name).exists():
                os.kill(int((folder / name).read_text()), 15)


def output(*words: object) -> str:
    """Output of a program."""
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config and a folder of two good scans and a truncated one."""
    folder = Path(tmp_path_factory.mktemp("work of a user"))
    (folder / "run.yaml").write_text(CONFIG, "utf-8")
    (folder / "scans").mkdir()
    assert run(["simulate", str(folder / "run.yaml"), "-o", str(folder / "scans" / "cell_1.h5")]) == 0
    whole = (folder / "scans" / "cell_1.h5").read_bytes()
    (folder / "scans" / "cell 2.h5").write_bytes(whole)
    (folder / "scans" / "cut.h5").write_bytes(whole[: len(whole) // 2])
    return folder


def wait_for_end(job: str) -> None:
    """Wait until a job, or a whole array, is out of the queue."""
    wait_for(lambda: not output("squeue", "-h", "-j", job).strip(), 120, f"job {job} does not end")


def test_an_array_has_a_run_for_each_acquisition_and_a_table_at_the_end(
    slurm: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    assert run(["submit", "-p", "nowhere", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]) == 2
    assert "nvalid partition" in capfd.readouterr().err
    assert not (work / "RUNS").exists(), "nothing is left of what was refused"
    assert run(["submit", "--time", "5 min", "--wait", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]) == 3
    out, err = capfd.readouterr()
    assert "3 tasks" in out
    assert "(cut): FAILED, status 3" in err
    assert "Traceback" not in err
    rows = {row["scan"]: row for row in csv.DictReader((work / "RUNS" / "results.csv").read_text("utf-8").splitlines())}
    assert [(name, row["status"]) for name, row in rows.items()] == [
        ("cell 2", "done"),
        ("cell_1", "done"),
        ("cut", "failed"),
    ]
    assert "truncated" in rows["cut"]["fault"]
    assert (work / "RUNS" / "index.html").is_file()
    assert str(work) not in (work / "RUNS" / "results.csv").read_text("utf-8")
    assert run(["submit", "--", "fit", "run.yaml", "scans", "-o", "RUNS", "--resume"]) == 0
    assert "nothing is left to do" in capfd.readouterr().out
    assert run(["status", "RUNS"]) == 0
    assert "3 runs: 2 done, 1 failed" in capfd.readouterr().out


def test_a_job_that_is_stopped_before_its_limit_is_requeued_and_ends_with_the_uninterrupted_result(
    slurm: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    words = ["fit", "run.yaml", "scans/cell_1.h5", "--set", "fit.steps=2000", "--set", "fit.patience=2000"]
    assert run(["submit", "--time", "5 min", "--", *words, "-o", "RUN"]) == 0
    job = capfd.readouterr().out.split()[2].rstrip(":,")
    assert run(["submit", "--time", "5 min", "--", *words, "-o", "RUN"]) == 2
    assert "in the queue already" in capfd.readouterr().err
    wait_for(lambda: (work / "RUN" / "metrics.jsonl").exists(), 60, "the job does not begin")
    output("scancel", "--batch", "--signal=USR1", job)  # As --signal=B:USR1@120 does, two minutes before the limit.
    log = work / "RUN.slurm" / f"{job}.log"
    wait_for(lambda: "requeued as job" in log.read_text("utf-8"), 30, "the job is not requeued")
    assert run([*words, "-o", "WHOLE"]) == 0
    wait_for_end(job)
    text = log.read_text("utf-8")
    assert [line.split(",")[0] for line in text.splitlines() if "ended with status" in line] == [
        "unflat: ended with status 75",
        "unflat: ended with status 0",
    ]
    with h5py.File(work / "RUN" / "volume.h5") as one, h5py.File(work / "WHOLE" / "volume.h5") as other:
        names: list[str] = []
        other.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            np.testing.assert_array_equal(one[name][()], other[name][()], err_msg=name)
    steps = [json.loads(line)["step"] for line in (work / "RUN" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert steps == sorted(set(steps)), "no step is done twice"


def test_a_job_that_the_user_cancels_stops_with_a_checkpoint_and_is_not_requeued(
    slurm: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    endless = ["--set", "fit.steps=100000", "--set", "fit.patience=100000"]
    words = ["fit", "run.yaml", "scans/cell_1.h5", *endless, "-o", "CANCELLED"]
    assert run(["submit", "--time", "5 min", "--", *words]) == 0
    job = capfd.readouterr().out.split()[2].rstrip(":,")
    wait_for(lambda: (work / "CANCELLED" / "metrics.jsonl").exists(), 60, "the job does not begin")
    output("scancel", job)
    wait_for(lambda: (work / "CANCELLED" / "STOPPED").exists(), 30, "the job does not stop")
    wait_for_end(job)
    assert "SIGTERM" in (work / "CANCELLED" / "STOPPED").read_text("utf-8")
    assert "requeued as" not in (work / "CANCELLED.slurm" / f"{job}.log").read_text("utf-8")


def task_of(job: str, number: int) -> int:
    """Process number of a task of a job that runs."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            variables = (folder / "environ").read_bytes().split(b"\0")
            names = {"SLURM_JOB_ID": job, "SLURM_PROCID": number, "SLURM_STEP_NUM_TASKS": 2}
            is_unflat = b"fit" in (folder / "cmdline").read_bytes().split(b"\0")
            if is_unflat and {f"{name}={value}".encode() for name, value in names.items()} <= set(variables):
                return int(folder.name)
    return 0


def test_two_tasks_fit_together_and_go_on_after_the_death_of_one(
    slurm: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    words = ["fit", "run.yaml", "scans/cell_1.h5", "--set", "fit.steps=700", "--set", "fit.patience=700"]
    assert run(["submit", "--tasks", "2", "--time", "5 min", "--", *words, "-o", "TWO"]) == 0
    job = capfd.readouterr().out.split()[2].rstrip(":,")
    lines = work / "TWO" / "metrics.jsonl"
    wait_for(lambda: lines.exists() and lines.stat().st_size > 2000, 90, "the job does not begin")
    os.kill(task_of(job, 1), signal.SIGKILL)
    log = work / "TWO.slurm" / f"{job}.log"
    wait_for(lambda: "requeued as job" in log.read_text("utf-8"), 30, "the job is not requeued")
    wait_for(lambda: log.read_text("utf-8").count("ended with status") == 2, 180, "the job does not go on")
    wait_for_end(job)
    text = log.read_text("utf-8")
    assert "process 1 of 2" in text
    assert "has died: stopped after step" in text
    assert text.count("unflat: ended with status 75") == 1
    assert text.count("unflat: ended with status 0") == 1
    assert "Traceback" not in text
    steps = [json.loads(line)["step"] for line in lines.read_text("utf-8").splitlines()]
    assert steps == list(range(1, 701)), "each step is done once"
    assert run([*words, "-o", "ALONE"]) == 0
    with h5py.File(work / "TWO" / "volume.h5") as one, h5py.File(work / "ALONE" / "volume.h5") as other:
        np.testing.assert_allclose(one["volume/refractive_index"][()], other["volume/refractive_index"][()], atol=1e-3)
