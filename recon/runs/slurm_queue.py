"""The queue of SLURM: submit a script, and ask for the states of jobs."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError, DataError, Diagnostic, ExitStatus

_TIMEOUT = 120.0
"""[s] Time after which SLURM is given up; its own programs try for half a minute or more."""
_UNREACHABLE = ("Unable to contact", "Connection refused", "timed out", "Communication", "Socket")
_EXIT_OF_STATE = {
    "COMPLETED": ExitStatus.DONE,
    "OUT_OF_MEMORY": ExitStatus.DEVICE,
    "TIMEOUT": ExitStatus.STOPPED,
    "CANCELLED": ExitStatus.STOPPED,
    "PREEMPTED": ExitStatus.STOPPED,
    "NODE_FAIL": ExitStatus.STOPPED,
    "DEADLINE": ExitStatus.STOPPED,
}
_OF_THIS_JOB = re.compile(r"SLURM_(JOB|ARRAY|RESTART|MEM|CPUS|NTASKS|TASK|STEP|NODE|GPUS)")
"""Environment variables of a job that one submitted from it must not take for its own."""
_NEVER = ("PartitionTimeLimit", "PartitionNodeLimit", "PartitionConfig", "BadConstraints", "AssocGrp", "InvalidAccount")
"""Beginnings of reasons for which a job waits until it, or the cluster, is changed."""


@dataclass(frozen=True)
class QueuedTask:
    """State of a job, or of one task of an array.

    Args:
        name: Number of the job: ``12`` or ``12_3``.
        state: State in one word: ``PENDING``, ``RUNNING``, ``COMPLETED``, ``FAILED``, ``TIMEOUT``.
        reason: Reason for which it waits; empty if there is none.
        script: Path of its script.
        exit_code: Exit status of the script.
    """

    name: str
    state: str
    reason: str = ""
    script: str = ""
    exit_code: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether it has ended for good."""
        return self.state in (*_EXIT_OF_STATE, "FAILED", "BOOT_FAIL")

    @property
    def will_not_start(self) -> bool:
        """Whether it waits for something that time does not bring."""
        return self.state == "PENDING" and self.reason.startswith(_NEVER)

    @property
    def exit_status(self) -> int:
        """Exit status that its end stands for."""
        return self.exit_code or _EXIT_OF_STATE.get(self.state, 1)


def submit_script(script: Path, *, after: str = "") -> str:
    """Submit a script to the queue.

    Args:
        script: File of the script.
        after: Number of a job that must have ended before, in whatever way.

    Returns:
        The number of the job.

    Raises:
        ConfigError: If there is no ``sbatch``, or it refuses, with its words.
        DataError: If SLURM cannot be reached.
    """
    require_sbatch()
    dependency = [f"--dependency=afterany:{after}", "--kill-on-invalid-dep=yes"] if after else []
    done = _run("sbatch", "--parsable", *dependency, str(script))
    if done.returncode == 0 and (match := re.match(r"\d+", done.stdout.strip().splitlines()[-1])):
        return match[0]
    words = _words_of(done)
    if any(phrase in words for phrase in _UNREACHABLE):
        raise DataError(Diagnostic("sbatch", words, "SLURM cannot be reached from here: see sinfo"))
    raise ConfigError(Diagnostic("sbatch", words, f"the script is {script}"))


def require_sbatch() -> None:
    """Refuse a machine without SLURM.

    Raises:
        ConfigError: If there is no ``sbatch``.
    """
    if shutil.which("sbatch") is None:
        remedy = "submit from a machine of the cluster; --dry-run prints the script"
        raise ConfigError(Diagnostic("", "there is no sbatch (SLURM) on this machine", remedy))


def queued_with_script(script: Path) -> list[QueuedTask]:
    """List the jobs of this user that are in the queue with a script of this path.

    Raises:
        DataError: If SLURM cannot be reached.
    """
    done = _run("squeue", "--me", "-h", "-r", "-o", "%i|%T|%r|%o")
    if done.returncode:
        raise DataError(Diagnostic("squeue", _words_of(done), "SLURM cannot be reached from here: see sinfo"))
    rows = [line.split("|", 3) for line in done.stdout.splitlines() if line.count("|") >= 3]
    return [QueuedTask(name, state, reason, path) for name, state, reason, path in rows if path.strip() == str(script)]


def task_states(job: str) -> list[QueuedTask] | None:
    """Ask for the states of a job, or of all tasks of an array.

    Returns:
        The states; empty where SLURM has forgotten the job, None where it does not answer.
    """
    done = _run("scontrol", "show", "job", job, "-o")
    if done.returncode:
        return [] if "Invalid job id" in done.stdout + done.stderr else None
    tasks = []
    for line in done.stdout.splitlines():
        values = dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", line))
        if "JobState" not in values:
            continue
        place = values.get("ArrayTaskId", "")
        name = f"{values['ArrayJobId']}_{place}" if "ArrayJobId" in values and place else values.get("JobId", job)
        reason = values.get("Reason", "")
        code, _, signal = values.get("ExitCode", "0:0").partition(":")
        exit_code = int(code) or (128 + int(signal) if int(signal or 0) else 0)
        tasks.append(QueuedTask(name, values["JobState"], "" if reason == "None" else reason, "", exit_code))
    return tasks


def _words_of(done: "subprocess.CompletedProcess[str]") -> str:
    """Join what a program of SLURM has said, without its own name."""
    lines = [re.sub(r"^\w+: (error: )?", "", line).strip() for line in (done.stderr or done.stdout).splitlines()]
    return "; ".join(dict.fromkeys(filter(None, lines))) or f"ended with status {done.returncode}"


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not _OF_THIS_JOB.match(name)}
    try:
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
            errors="replace",
            env=environment,
            start_new_session=os.name != "nt",  # Ctrl-C amid sbatch would leave a job without its number.
        )
    except (OSError, subprocess.SubprocessError) as error:
        fault = "gave no answer: timed out" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        return subprocess.CompletedProcess(words, 1, "", f"{words[0]}: error: {fault}")
