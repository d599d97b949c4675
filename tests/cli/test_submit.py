"""Submission to SLURM without a SLURM: scripts, refusals, and the rule by which one side requeues."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unflat.cli.main import run
from unflat.recon.runs.batch_record import BatchRecord, State
from unflat.recon.runs.batch_refresh import refresh_records
from unflat.recon.runs.job_script import Job, Resources, Task, Variable, array_range, job_script, slurm_time
from unflat.recon.runs.launch import command_line
from unflat.recon.runs.task_log import read_task_end

CONFIG = "kind: cell\nvolume: {depth: 2 um}\n"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder, whose name has a space, with a config and two files in place of scans."""
    folder = tmp_path / "my work"
    (folder / "scans").mkdir(parents=True)
    (folder / "run.yaml").write_text(CONFIG, "utf-8")
    for name in ("b 2.h5", "a1.h5"):
        (folder / "scans" / name).touch()
    monkeypatch.chdir(folder)
    return folder


def program(folder: Path, name: str, text: str) -> Path:
    """A program of the shell."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n", "utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of programs in place of SLURM's, the first on the path."""
    folder = tmp_path / "bin"
    program(folder, "sbatch", f'echo "$@" >> {folder}/calls; echo 12')
    program(folder, "squeue", f"cat {folder}/queue 2>/dev/null || true")
    program(folder, "scontrol", f'echo "$@" >> {folder}/calls')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def directives(text: str) -> set[str]:
    """Options of ``sbatch`` in a script."""
    return {line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH ")}


class TestScript:
    def test_a_dry_run_prints_a_whole_script_and_writes_nothing(
        self, work: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTHONPATH", "lib")
        own = ["-p", "gpu", "--gpus", "a100:2", "--cpus", "8", "--memory", "16 GB", "--time", "90 min"]
        words = ["fit", "run.yaml", "scans/b 2.h5", "-o", "RUN", "--set", "volume.depth=9 um", "--seed", "3", "-v"]
        before = sorted(work.rglob("*"))
        assert run(["submit", "--dry-run", *own, "--sbatch=--account=lab", "--", *words]) == 0
        assert sorted(work.rglob("*")) == before
        text = capfd.readouterr().out
        assert directives(text) == {
            "--job-name=fit-RUN",
            f'--chdir="{work}"',
            f'--output="{work}/RUN.slurm/%j.log"',
            "--partition=gpu",
            "--gpus=a100:2",
            "--cpus-per-task=8",
            "--mem=16G",
            "--time=01:30:00",
            "--account=lab",
            "--open-mode=append",
            "--signal=B:USR1@120",
            "--requeue",
        }
        assert f"fit '{work}/run.yaml' '{work}/scans/b 2.h5' " in text
        assert "--set 'volume.depth=9 um' --seed 3 --verbose --resume)" in text
        assert f"export PYTHONPATH='{work}/lib'" in text
        assert "export UNFLAT_PROCESSES=1" in text, "a job of one task never waits for others"
        assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0

    def test_several_tasks_are_started_by_srun_on_one_run(self, work: Path, capfd: pytest.CaptureFixture[str]) -> None:
        own = ["--dry-run", "--tasks", "4", "--nodes", "2", "--cpus", "8"]
        assert run(["submit", *own, "--", "fit", "run.yaml", "scans/a1.h5", "-o", "RUN"]) == 0
        text = capfd.readouterr().out
        assert {"--ntasks=4", "--nodes=2", "--cpus-per-task=8"} <= directives(text)
        assert "command=(srun --kill-on-bad-exit=0 --wait=120 --cpus-per-task=8 " in text
        assert "UNFLAT_PROCESSES" not in text
        assert f"[ -e '{work}/RUN'/STOPPED ]" in text
        assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
        assert run(["submit", *own, "--", "volume", "RUN", "-o", "v.h5"]) == 2
        assert "is the work of one process" in capfd.readouterr().err
        assert run(["submit", "--dry-run", "--nodes", "2", "--", "fit", "run.yaml", "scans/a1.h5", "-o", "RUN"]) == 2
        assert run(["fit", "run.yaml", "scans", "-o", "RUNS", "--coordinator", "n:1", "--processes", "2"]) == 2
        assert "--process: missing" in capfd.readouterr().err

    def test_several_acquisitions_are_an_array_and_a_job_that_follows(
        self, work: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["submit", "--dry-run", "--array", "%4", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]) == 0
        text = capfd.readouterr().out
        assert "--array=0-1%4" in directives(text)
        assert f"[0]='{work}/scans/a1.h5'" in text
        assert f"[1]='{work}/RUNS/b 2'" in text
        assert f"report '{work}/RUNS' --force" in text
        assert run(["submit", "--dry-run", "--array", "1", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]) == 0
        assert "--array=1" in directives(capfd.readouterr().out)
        assert run(["submit", "--dry-run", "--one-job", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]) == 0
        text = capfd.readouterr().out
        assert "--array" not in "".join(directives(text))
        assert f"'{work}/scans' --output '{work}/RUNS' --resume)" in text

    def test_a_run_is_replaced_at_the_first_start_only(self, work: Path, capfd: pytest.CaptureFixture[str]) -> None:
        assert run(["submit", "--dry-run", "--", "fit", "run.yaml", "scans/a1.h5", "-o", "RUN", "--force"]) == 0
        text = capfd.readouterr().out
        assert '[ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] || mode=--force' in text
        assert '"$mode")' in text

    def test_the_tasks_of_an_array_that_begin_anew_do_so_alone(self) -> None:
        tasks = tuple(Task(number, Path("a.h5"), Path("a"), number == 1) for number in range(2))
        job = Job("a", ("true",), ("fit", Variable("mode")), Path("/"), Path("/"), tasks=tasks)
        lines = [line for line in job_script(job).splitlines() if "mode" in line and "SLURM_JOB" not in line]
        for task, restarts, mode in ((0, 0, "--resume"), (1, 0, "--force"), (1, 1, "--resume")):
            script = "\n".join(["set -u", *(line for line in lines if "command" not in line), 'echo "$mode"'])
            variables = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_RESTART_COUNT": str(restarts)}
            assert subprocess.run(["bash", "-c", script], env=variables, capture_output=True, text=True).stdout == (
                f"{mode}\n"
            )

    def test_a_watch_is_a_job_that_goes_on_by_itself(self, work: Path, capfd: pytest.CaptureFixture[str]) -> None:
        assert run(["submit", "--dry-run", "--", "watch", "run.yaml", "scans", "-o", "RUNS", "--pattern", "*.h5"]) == 0
        text = capfd.readouterr().out
        assert "watch" in text
        assert "--resume" in text
        assert "requeue" in text
        assert not (work / "RUNS").exists()

    def test_a_command_that_cannot_go_on_is_not_requeued(self, work: Path, capfd: pytest.CaptureFixture[str]) -> None:
        assert run(["submit", "--dry-run", "--", "volume", "RUN", "-o", "cell.h5"]) == 0
        text = capfd.readouterr().out
        assert "--no-requeue" in directives(text)
        assert "scontrol" not in text
        assert "--resume" not in text

    def test_the_signal_comes_at_half_of_a_short_limit(self, work: Path, capfd: pytest.CaptureFixture[str]) -> None:
        assert run(["submit", "--dry-run", "--time", "2 min", "--", "fit", "run.yaml", "scans/a1.h5", "-o", "N"]) == 0
        assert "--signal=B:USR1@60" in directives(capfd.readouterr().out)

    def test_times_and_ranges_are_written_as_slurm_reads_them(self) -> None:
        assert [slurm_time(seconds) for seconds in (1, 61, 5400, 129600)] == [
            "00:01:00",
            "00:02:00",
            "01:30:00",
            "1-12:00:00",
        ]
        assert array_range([7, 0, 1, 2]) == "0-2,7"
        assert array_range([3], 2) == "3%2"

    def test_a_run_of_a_job_goes_on_in_the_queue(self, tmp_path: Path) -> None:
        line = command_line(("fit", "run.yaml"), tmp_path, {"UNFLAT_SUBMIT_OPTIONS": "--time '1 h'"})
        assert line.words == ("submit", "--time", "1 h", "--", "fit", "run.yaml")


class TestRefusal:
    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            ("--", 2, "Missing argument 'COMMAND...'"),
            ("-- status RUN", 2, "'status' cannot be submitted"),
            ("-- fitt run.yaml", 2, "Did you mean 'fit'?"),
            ("-- fit run.yaml", 2, "Missing argument 'ACQUISITION...'"),
            ("-- fit run.yaml scans/a1.h5 -o RUN --stepz 3", 2, "No such option"),
            ("-- fit run.yaml scans/a1.h5 -o RUN --set fit.stepz=3", 2, "fit.stepz"),
            ("-- fit run.yaml absent.h5 -o RUN", 3, "absent.h5: there is no such file"),
            ("-- fit run.yaml scans/a1.h5 -o scans", 2, "holds files, but no run"),
            ("-- phase run.yaml scans/a1.h5 -o RUN", 2, "phase"),
            ("--array 5 -- fit run.yaml scans -o RUNS", 2, "the numbers go from 0 to 1"),
            ("--array 0-1 -- fit run.yaml scans/a1.h5 -o RUN", 2, "a single job has no tasks"),
            ("--array x -- fit run.yaml scans -o RUNS", 2, "0-9%4"),
            ("--time 90 -- fit run.yaml scans/a1.h5 -o RUN", 2, "hours, minutes or seconds"),
            ("--time soon -- fit run.yaml scans/a1.h5 -o RUN", 2, "'soon' is not a number with a unit"),
            ("--time 1:00:00 --margin 2h -- fit run.yaml scans/a1.h5 -o RUN", 2, "not shorter than --time"),
            ("--memory 16 -- fit run.yaml scans/a1.h5 -o RUN", 2, "write it as '16 GB'"),
            ("--gpus two -- fit run.yaml scans/a1.h5 -o RUN", 2, "not a number of GPUs"),
        ],
    )
    def test_a_wrong_word_is_refused_before_anything_is_submitted(
        self, work: Path, fake_slurm: Path, capfd: pytest.CaptureFixture[str], words: str, status: int, message: str
    ) -> None:
        assert run(["submit", *words.split()]) == status
        assert message in capfd.readouterr().err
        assert not (fake_slurm / "calls").exists()
        assert not (work / "RUNS").exists()

    def test_without_slurm_the_dry_run_is_named(
        self, work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", "")
        assert run(["submit", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]) == 2
        assert "--dry-run prints the script" in capfd.readouterr().err
        assert not (work / "RUNS").exists()

    def test_the_words_of_sbatch_are_passed_on_and_nothing_is_left_behind(
        self, work: Path, fake_slurm: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        program(fake_slurm, "sbatch", "echo 'sbatch: error: Batch job submission failed: no account' >&2; exit 1")
        assert run(["submit", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]) == 2
        assert "sbatch: Batch job submission failed: no account" in capfd.readouterr().err
        assert not (work / "RUNS").exists()
        program(fake_slurm, "sbatch", "echo 'sbatch: error: Unable to contact slurm controller' >&2; exit 1")
        assert run(["submit", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]) == 3

    def test_a_signal_between_the_jobs_waits_for_the_second(
        self, work: Path, fake_slurm: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        jobs: list[str] = []
        calls = fake_slurm / "calls"
        program(fake_slurm, "sbatch", f'echo "$2" >> {calls}; kill -TERM $PPID; echo 12')
        former = signal.signal(signal.SIGTERM, lambda *_: jobs.append(calls.read_text("utf-8")))
        try:
            assert run(["submit", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]) == 0
        finally:
            signal.signal(signal.SIGTERM, former)
        assert "report.sh" not in jobs[0]
        assert jobs[0].splitlines()[:2] == [f"{work}/RUNS.slurm/job.sh", "--dependency=afterany:12"]
        assert "submitted job 12, 2 tasks" in capfd.readouterr().out

    def test_an_output_with_a_job_in_the_queue_is_not_submitted_again(
        self, work: Path, fake_slurm: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        words = ["submit", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]
        assert run(words) == 0
        assert (fake_slurm / "calls").read_text("utf-8").splitlines() == [
            f"--parsable {work}/RUNS.slurm/job.sh",
            f"--parsable --dependency=afterany:12 --kill-on-invalid-dep=yes {work}/RUNS.slurm/report.sh",
            "show job 12 -o",
        ]
        (fake_slurm / "queue").write_text(f"12_1|PENDING|Resources|{work}/RUNS.slurm/job.sh\n", "utf-8")
        assert run([*words, "--resume"]) == 2
        assert "12_1 (pending); wait for it, or end it with: scancel 12" in capfd.readouterr().err

    @pytest.mark.usefixtures("fake_slurm")
    @pytest.mark.skipif(sys.platform != "linux", reason="such a name cannot be made")
    def test_a_script_holds_the_bytes_of_a_name_that_is_no_text(self, work: Path) -> None:
        (work / "scans" / "bad\udcff.h5").touch()
        assert run(["submit", "--", "fit", "run.yaml", "scans", "-o", "RUNS"]) == 0
        assert b"scans/bad\xff.h5" in (work / "RUNS.slurm" / "job.sh").read_bytes()


COMMAND = """trap 'echo stopped >&2; exit 75' USR1 TERM
echo "$@" > command
for i in {1..100}; do sleep 0.05; done"""


class TestRequeue:
    @pytest.mark.parametrize(
        ("command", "sent", "restarts", "status", "requeued"),
        [
            (COMMAND, signal.SIGUSR1, 0, 75, True),
            (COMMAND, signal.SIGTERM, 0, 75, False),
            (COMMAND, signal.SIGUSR1, 200, 75, False),
            ("touch command; exec sleep 5", signal.SIGUSR1, 0, 138, True),
            ("exit 75", None, 0, 75, True),
            ("exit 3", None, 0, 3, False),
            ("exit 0", None, 0, 0, False),
        ],
        ids=["limit", "cancelled", "too often", "limit while it starts", "its own limit", "a fault", "done"],
    )
    def test_the_script_requeues_its_own_task_if_and_only_if_the_time_was_up(
        self,
        tmp_path: Path,
        fake_slurm: Path,
        command: str,
        sent: signal.Signals | None,
        restarts: int,
        status: int,
        requeued: bool,
    ) -> None:
        inner = program(tmp_path / "own", "unflat", command)
        job = Job(
            "fit-RUNS",
            (str(inner),),
            ("fit", Variable("scan"), "-o", Variable("run"), "--resume"),
            tmp_path,
            tmp_path / "RUNS.slurm",
            Resources(),
            tasks=(Task(0, Path("a.h5"), Path("RUNS/a")), Task(2, Path("b $c.h5"), Path("RUNS/b c"))),
        )
        script = program(tmp_path, "job.sh", job_script(job))
        numbers = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}
        environment = os.environ | numbers | {"SLURM_RESTART_COUNT": str(restarts)}
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(["bash", script], cwd=tmp_path, env=environment, stdout=log, stderr=log)
        if sent is not None:
            end = time.monotonic() + 60
            while not (tmp_path / "command").exists() and time.monotonic() < end:
                time.sleep(0.01)
            process.send_signal(sent)
        assert process.wait(60) == status
        calls = (fake_slurm / "calls").read_text("utf-8") if (fake_slurm / "calls").exists() else ""
        assert calls == ("requeue 7_2\n" if requeued else "")
        ended = read_task_end(tmp_path / "log")
        assert ended is not None
        assert ended.exit_status == status
        if command is COMMAND:
            assert (tmp_path / "command").read_text("utf-8") == "fit b $c.h5 -o RUNS/b c --resume\n"


class TestRefresh:
    def test_the_log_of_a_task_tells_the_last_end_and_its_reasons(self, tmp_path: Path) -> None:
        log = tmp_path / "7_0.log"
        log.write_text("error: early\nunflat: ended with status 75, now\nunflat: requeued as job 7_0\n", "utf-8")
        first = read_task_end(log)
        assert first is not None
        assert first.exit_status == 75
        with log.open("a") as stream:
            stream.write("fit: 1/3\nerror: cut.h5: is truncated\n")
        assert read_task_end(log) is None, "it runs again"
        with log.open("a") as stream:
            stream.write("unflat: ended with status 3, now\n")
        last = read_task_end(log)
        assert last is not None
        assert (last.exit_status, last.faults) == (3, "cut.h5: is truncated")

    def test_a_scan_whose_task_failed_before_its_run_is_failed_and_one_that_was_killed_is_left(
        self, tmp_path: Path
    ) -> None:
        runs, logs = tmp_path / "RUNS", tmp_path / "RUNS.slurm"
        runs.mkdir()
        logs.mkdir()
        record = BatchRecord("fit", {})
        record.add(runs, [(name, tmp_path / f"{name}.h5") for name in ("one", "two", "three")])
        (logs / "7_0.log").write_text("error: one.h5: is truncated\nunflat: ended with status 3, now\n", "utf-8")
        (logs / "7_1.log").write_text("unflat: ended with status 137, now\n", "utf-8")
        refresh_records(runs, record)
        assert [scan.status for scan in record.scans.values()] == [
            State.FAILED,
            State.WAITING,
            State.WAITING,
        ]
        assert record.scans["one"].fault == "one.h5: is truncated"
        assert record.scans["one"].exit_status == 3
