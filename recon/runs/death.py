"""Explanation of runs that ended without a word: from the lock, the launch, the machine, and SLURM's own record."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from socket import gethostname

from ..memory import format_bytes
from .batch_record import State
from .launch import Launch, out_of_memory_kills, read_launch
from .run_state import RunState
from .slurm import JobRecord, job_record

CLOSE = 180.0
"""[s] Time before the end of its job at which a run's last sign shows that the job's time was up."""
MUCH_MEMORY = 0.7
"""Share of the available memory that a run asked for above which it may have taken all."""
_STATES = {
    "OUT_OF_MEMORY": "SLURM ended job {job} as it took more memory than the {asked} that were asked for",
    "TIMEOUT": "SLURM ended job {job} at its time limit of {limit}",
    "NODE_FAIL": "node {nodes} of job {job} failed",
    "PREEMPTED": "job {job} was preempted by another",
    "CANCELLED": "job {job} was cancelled after {elapsed}",
    "DEADLINE": "SLURM ended job {job} at its deadline",
    "BOOT_FAIL": "node {nodes} of job {job} did not start",
}
_GOING_ON = ("RUNNING", "COMPLETING", "SUSPENDED")
_QUEUED = ("PENDING", "REQUEUED", "CONFIGURING", "REQUEUE_HOLD", "SPECIAL_EXIT")


def explain(run: RunState, ask: Callable[[str], JobRecord | None] = job_record) -> RunState:
    """Explain a run that has died, or gives no sign, in a sentence; return any other as it is.

    Args:
        run: State of the run.
        ask: Function that asks SLURM for the record of a job.
    """
    if run.state not in (State.DIED, State.SILENT) or (run.reason and run.holder is None):
        return run
    launch = read_launch(run.path) or read_launch(run.launched) or Launch()
    record = ask(run.holder.job) if run.holder is not None else None
    if record is not None and record.state in _GOING_ON and run.state is State.SILENT:
        return replace(
            run, state=State.RUNNING, reason=f"job {record.job} runs on {record.nodes}; no sign since {_when(run)}"
        )
    if record is not None and record.state in _QUEUED:
        return replace(run, state=State.WAITING, reason=f"job {record.job} is queued again and goes on by itself")
    return replace(run, reason=_sentence(run, launch, record))


def _sentence(run: RunState, launch: Launch, record: JobRecord | None) -> str:
    sign = f"last sign {_when(run)}" if run.last_sign else "no sign of a step"
    cause = _cause_by_slurm(record) or _cause_by_machine(run, launch) or _cause_by_memory(launch)
    if run.state is State.SILENT and not cause:
        host = run.holder.host if run.holder else "another machine"
        return f"{sign}, on {host}: whether its process is alive can be seen only there"
    return f"{cause or 'killed or crashed without a trace'}; {sign}{_memory(launch, record)}"


def _cause_by_slurm(record: JobRecord | None) -> str:
    """Cause of the end by SLURM's record; empty if it gives none."""
    if record is None:
        return ""
    values = {name: getattr(record, name) or "unknown" for name in ("job", "asked", "limit", "nodes", "elapsed")}
    sentence = _STATES.get(record.state, "job {job} ended after {elapsed} (" + record.state + ")")
    return sentence.format(**values)


def _cause_by_machine(run: RunState, launch: Launch) -> str:
    """Cause of the end by the clock: the end of the job, or a restart of the machine."""
    if launch.job_end and run.last_sign and 0 <= launch.job_end - run.last_sign < CLOSE < time.time() - run.last_sign:
        return "the time limit of its SLURM job"
    is_here = run.holder is not None and run.holder.host == gethostname()
    if is_here and run.last_sign and (start := _start_of_machine()) > run.last_sign:
        return f"this machine was started anew at {_clock(start)}"
    return ""


def _cause_by_memory(launch: Launch) -> str:
    """Cause of the end by the memory; empty where nothing speaks for it."""
    kills = out_of_memory_kills() - launch.out_of_memory_kills
    if launch.memory_available and kills > 0:
        ended = f"{kills} processes" if kills > 1 else "a process"
        return f"probably out of memory: this machine has ended {ended} for lack of it since"
    if launch.memory_needed > MUCH_MEMORY * launch.memory_available > 0:
        return "probably out of memory"
    return ""


def _memory(launch: Launch, record: JobRecord | None) -> str:
    """Memory that was asked for, against the memory that there was."""
    parts = []
    if launch.memory_needed:
        needed, available = format_bytes(launch.memory_needed), format_bytes(launch.memory_available)
        parts.append(f"memory needed about {needed}, available {available}")
    if record is not None and record.peak:
        parts.append(f"largest process {record.peak}")
    return f"; {', '.join(parts)}" if parts else ""


def _start_of_machine() -> float:
    """[s] Time since 1970 at which this machine was started; 0 where it does not say."""
    with suppress(OSError):
        match = re.search(r"^btime (\d+)", Path("/proc/stat").read_text(), re.MULTILINE)
        return float(match[1]) if match else 0.0
    return 0.0


def _when(run: RunState) -> str:
    step = "" if run.step is None else f", after step {run.step}"
    return f"{_clock(run.last_sign)}{step}"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
