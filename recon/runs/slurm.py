"""Records of SLURM on a job: how it ended, and the memory and time that it was given and took."""

import re
import shutil
import subprocess
from dataclasses import dataclass

_FIELDS = ("JobID", "State", "ReqMem", "MaxRSS", "Elapsed", "Timelimit", "NodeList")
_TIMEOUT = 10.0
"""[s] Time after which SLURM is given up."""
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True)
class JobRecord:
    """Record of a job.

    Args:
        job: Number of the job.
        state: State in one word, such as ``OUT_OF_MEMORY``, ``TIMEOUT``, ``NODE_FAIL``, ``PREEMPTED``, ``RUNNING``.
        asked: Memory that was asked for, as SLURM writes it; empty if unknown.
        peak: Largest memory of a process, likewise.
        elapsed: Time that the job took, likewise.
        limit: Time that it was given, likewise.
        nodes: Names of its machines.
    """

    job: str
    state: str
    asked: str = ""
    peak: str = ""
    elapsed: str = ""
    limit: str = ""
    nodes: str = ""


def job_record(job: str) -> JobRecord | None:
    """Ask SLURM for the record of a job: its accounting, or else its controller, which forgets after some minutes.

    Returns:
        The record; None where there is no SLURM, or it does not know the job.
    """
    if not job:
        return None
    lines = _run("sacct", "-j", job, "-n", "-P", "-D", f"--format={','.join(_FIELDS)}").splitlines()
    return _read_accounting(job, lines) or _read_controller(job, _run("scontrol", "show", "job", job, "-o"))


def _read_accounting(job: str, lines: list[str]) -> JobRecord | None:
    """Read the output of ``sacct``: a line for each start of the job and each of its steps."""
    rows = [dict(zip(_FIELDS, line.split("|"), strict=True)) for line in lines if line.count("|") == len(_FIELDS) - 1]
    own = [row for row in rows if row["JobID"] == job]
    if not own:
        return None
    last = own[-1]
    peak = max((row["MaxRSS"] for row in rows), key=_bytes, default="")
    return JobRecord(
        job,
        last["State"].partition(" ")[0],  # "CANCELLED by 1000"
        last["ReqMem"],
        peak,
        last["Elapsed"],
        last["Timelimit"],
        last["NodeList"],
    )


def _read_controller(job: str, text: str) -> JobRecord | None:
    """Read the output of ``scontrol show job``."""
    values: dict[str, str] = dict(re.findall(r"(?:^|\s)(\w+)=(\S+)", text))
    if "JobState" not in values:
        return None
    memory = values.get("MinMemoryNode", values.get("MinMemoryCPU", ""))
    names = ("RunTime", "TimeLimit", "NodeList")
    return JobRecord(job, values["JobState"], memory, "", *(values.get(name, "") for name in names))


def _bytes(text: str) -> float:
    """Convert a size as SLURM writes it, ``1234K``; 0 for none."""
    match = re.fullmatch(r"([\d.]+)([KMGT]?)[nc]?", text)
    return float(match[1]) * _UNITS[match[2]] if match else 0.0


def _run(*words: str) -> str:
    if shutil.which(words[0]) is None:
        return ""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""
