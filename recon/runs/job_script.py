"""Batch scripts for SLURM, as text: one command, or one command for each of several acquisitions.

A job that goes on after its time limit must be requeued by one side only. The rule is in `_REQUEUE_RULE`, which every
script holds as a comment.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

from ..errors import ExitStatus
from ..processes.launchers import PROCESSES

MARGIN = 120.0
"""[s] Time before the limit at which SLURM sends the signal, by default."""
MOST_RESTARTS = 200
"""Number of restarts after which a job is not requeued again."""
END = "unflat: ended with status"
"""Beginning of the last line of a start of a job in its log."""
MOST_DEATHS = 5
"""Number of times that a job of several tasks is requeued after the death of one."""
_TASK_DIED = "unflat: a task has died"
"""Line in the log for each such time."""
_SRUN = ("srun", "--kill-on-bad-exit=0", "--wait=120")
"""Program that starts the tasks. It ends all of them two minutes after the end of the first, and no sooner: unflat ends
them together, by itself, and one of them still writes the checkpoint."""
KILLED_BY_USR1 = 138
"""Status of a process that SIGUSR1 has ended, before it had a handler: 128 + 10."""
_REQUEUE_RULE = (
    "One side requeues, never both. Before the time limit SLURM sends SIGUSR1 to this script, which passes it on; "
    "unflat ends with a checkpoint and status 75, and this script requeues the job. After the failure of a node, or a "
    "preemption, SLURM does (--requeue). After SIGTERM (scancel, preemption, time limit passed) this script does not."
)


@dataclass(frozen=True)
class Variable:
    """Variable of the script that stands for a word.

    Args:
        name: Name of the variable.
    """

    name: str


Word = str | Variable


@dataclass(frozen=True)
class Resources:
    """Resources of a job; empty ones are left to the cluster.

    Args:
        partition: Name of a partition.
        gpus: Number of GPUs, also with a type: ``a100:2``.
        cpus: Number of cores, of each task.
        tasks: Number of tasks that work on one run together.
        nodes: Number of machines for them.
        memory: Memory, as SLURM writes it: ``16G``.
        time_limit: [s] Time after which SLURM ends the job.
        further: Other options of ``sbatch``, such as ``--account=imaging``.
    """

    partition: str = ""
    gpus: str = ""
    cpus: int | None = None
    tasks: int = 1
    nodes: int | None = None
    memory: str = ""
    time_limit: float | None = None
    further: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """Task of an array: one acquisition and its run.

    Args:
        number: Number of the task.
        scan: Acquisition.
        run: Folder of its run.
        begins_anew: Whether its run begins anew at the first start.
    """

    number: int
    scan: Path
    run: Path
    begins_anew: bool = False


@dataclass(frozen=True)
class Job:
    """Job that runs a command of unflat.

    Args:
        name: Name in the queue.
        program: Words that start unflat.
        command: Words after them. The variables ``scan`` and ``run`` stand for those of the task, and ``mode`` for
            ``--force`` at the first start and ``--resume`` at each later one.
        directory: Working directory.
        folder: Folder of the script and the logs.
        resources: Resources.
        environment: Environment variables to set.
        tasks: Tasks of an array; none for a single job.
        at_once: Largest number of tasks that run at a time; 0 for no limit.
        resumable: Whether the command goes on by ``--resume``, so that the job may be requeued.
        margin: [s] Time before the limit at which the command is asked to stop.
        resubmission: Command that submits the job again, for the user.
        output: Folder of the run of a single job.
        log: Name of the log, in which SLURM replaces the number of the job and the task; empty for that of the kind of
            job.
    """

    name: str
    program: tuple[str, ...]
    command: tuple[Word, ...]
    directory: Path
    folder: Path
    resources: Resources = Resources()
    environment: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    at_once: int = 0
    resumable: bool = True
    margin: float = MARGIN
    resubmission: str = ""
    output: Path = Path()
    log: str = ""

    @property
    def log_pattern(self) -> str:
        """Name of the log, in which SLURM replaces the number of the job and the task."""
        return self.log or ("%A_%a.log" if self.tasks else "%j.log")


def job_script(job: Job) -> str:
    """Write the script of a job."""
    title = f"unflat {job.command[0]}" + (f" of {len(job.tasks)} acquisitions, one a task" if job.tasks else "")
    parts = ["#!/bin/bash", f"# {title}", *_directives(job), "set -u", *_environment(job)]
    if job.tasks:
        parts += _task_selection(job.tasks)
    elif job.resumable:
        parts += ["job=$SLURM_JOB_ID"]
    if Variable("mode") in job.command:
        parts += _mode_lines(job.tasks)
    words = " ".join(_fragment(word) for word in (*_launcher(job), *job.program, *job.command))
    parts += [
        f"command=({words})",
        "",
        *_run_lines(),
        *_death_lines(job),
        f"echo \"{END} $status, $(date '+%Y-%m-%d %H:%M:%S')\"",
    ]
    if job.resumable:
        parts += _requeue_lines(job)
    return "\n".join([*parts, 'exit "$status"', ""])


def closing_script(job: Job) -> str:
    """Write the script of a short job that follows on others, and is neither stopped early nor requeued."""
    words = " ".join(_fragment(word) for word in (*job.program, *job.command))
    parts = ["#!/bin/bash", f"# unflat {job.command[0]}, after all tasks", *_directives(job), "set -u"]
    return "\n".join([*parts, *_environment(job), f"exec {words}", ""])


def slurm_time(seconds: float) -> str:
    """Write a time as SLURM takes it, in whole minutes, at least one: ``1-02:30:00``."""
    minutes = max(1, -int(-seconds // 60))
    days, rest = divmod(minutes, 24 * 60)
    return f"{f'{days}-' if days else ''}{rest // 60:02d}:{rest % 60:02d}:00"


def array_range(numbers: Sequence[int], at_once: int = 0) -> str:
    """Write numbers of tasks as SLURM takes them: ``0-3,7%2``."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    text = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
    return text + (f"%{at_once}" if at_once else "")


def _directives(job: Job) -> list[str]:
    """Options of ``sbatch`` in the head of the script, and the rule of requeueing."""
    resources = job.resources
    log = str(job.folder).replace("%", "%%") + f"/{job.log_pattern}"
    options = [
        ("--job-name", job.name),
        ("--chdir", str(job.directory)),
        ("--output", log),
        ("--partition", resources.partition),
        ("--gpus", resources.gpus),
        ("--ntasks", str(resources.tasks) if resources.tasks > 1 else ""),
        ("--nodes", str(resources.nodes or "")),
        ("--cpus-per-task", str(resources.cpus or "")),
        ("--mem", resources.memory),
        ("--time", "" if resources.time_limit is None else slurm_time(resources.time_limit)),
        ("--array", array_range([task.number for task in job.tasks], job.at_once) if job.tasks else ""),
    ]
    lines = [f"#SBATCH {name}={_quoted(value)}" for name, value in options if value]
    lines += [f"#SBATCH {option}" for option in resources.further]
    lines += ["#SBATCH --open-mode=append"]
    if not job.resumable:
        return [*lines, "#SBATCH --no-requeue"]
    lines += [f"#SBATCH --signal=B:USR1@{round(job.margin)}", "#SBATCH --requeue"]
    return [*lines, *wrap(_REQUEUE_RULE, 110, initial_indent="# ", subsequent_indent="# ")]


def _environment(job: Job) -> list[str]:
    """Environment of the caller, and a folder for compiled programs that can be written on this machine."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in job.environment.items()]
    if job.resources.tasks == 1:
        lines += [f"export {PROCESSES}=1"]
    return [
        *lines,
        "cache=${JAX_COMPILATION_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/unflat/jax}",
        'if ! mkdir -p "$cache" 2>/dev/null || [ ! -w "$cache" ]; then',
        f"    cache={shlex.quote(str(job.folder / 'jax'))}",
        "fi",
        "export JAX_COMPILATION_CACHE_DIR=$cache",
    ]


def _task_selection(tasks: Sequence[Task]) -> list[str]:
    lines = []
    for name in ("scan", "run"):
        entries = [f"    [{task.number}]={shlex.quote(str(getattr(task, name)))}" for task in tasks]
        lines += [f"{name}s=(", *entries, ")", f"{name}=${{{name}s[SLURM_ARRAY_TASK_ID]}}"]
    # The number of one task is also that of the whole array: by it alone all tasks would be requeued.
    return [*lines, "job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"]


def _mode_lines(tasks: Sequence[Task]) -> list[str]:
    """Choose whether the run begins anew, which it does at the first start, in an array where its task does."""
    is_first = '[ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] || '
    if all(task.begins_anew for task in tasks):
        return ["mode=--resume", f"{is_first}mode=--force"]
    entries = " ".join(f"[{task.number}]=--force" for task in tasks if task.begins_anew)
    return ["mode=--resume", f"modes=({entries})", f"{is_first}mode=${{modes[SLURM_ARRAY_TASK_ID]:---resume}}"]


def _run_lines() -> list[str]:
    """Run the command, pass signals on to it, and wait for its end."""
    return [
        "child='' at_limit=0 ended_by_slurm=0",
        "forward() {",
        "    signalled=1",
        '    [ -z "$child" ] || kill -s "$1" "$child" 2>/dev/null',
        "}",
        "trap 'at_limit=1; forward USR1' USR1",
        "trap 'ended_by_slurm=1; forward TERM' TERM",
        '"${command[@]}" &',
        "child=$!",
        '[ "$at_limit$ended_by_slurm" = 00 ] || kill -s TERM "$child"',
        "signalled=1",
        'while [ "$signalled" -eq 1 ]; do  # A signal interrupts "wait".',
        "    signalled=0",
        '    wait "$child"',
        "    status=$?",
        "done",
    ]


def _launcher(job: Job) -> tuple[str, ...]:
    """Words that start the program in each task."""
    if job.resources.tasks == 1:
        return ()
    cpus = job.resources.cpus
    return (*_SRUN, *([] if cpus is None else [f"--cpus-per-task={cpus}"]))


def _death_lines(job: Job) -> list[str]:
    """Take the death of one of several tasks, after which the others have saved, for a stop, a few times."""
    if job.resources.tasks == 1 or not job.resumable:
        return []
    run = '"$run"' if job.tasks else shlex.quote(str(job.output))
    number = '"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"' if job.tasks else '"$SLURM_JOB_ID"'
    log = f"{shlex.quote(str(job.folder))}/{number}.log"
    return [
        f'if [ "$status" -gt 128 ] && [ "$status" -ne {int(ExitStatus.INTERRUPTED)} ] && [ -e {run}/STOPPED ]; then',
        f"    deaths=$(grep -c '^{_TASK_DIED}' {log} 2>/dev/null)",
        f'    echo "{_TASK_DIED} (status $status)"',
        f'    [ "${{deaths:-0}}" -ge {MOST_DEATHS} ] || status={int(ExitStatus.STOPPED)}',
        "fi",
    ]


def _requeue_lines(job: Job) -> list[str]:
    """Requeue the job if the command has stopped at its limit, unless SLURM is ending it."""
    again = f"go on with: {job.resubmission}" if job.resubmission else "submit it again with --resume"
    stopped = f'[ "$status" -eq {int(ExitStatus.STOPPED)} ]'
    too_early = f'[ "$at_limit$status" = 1{KILLED_BY_USR1} ]'
    return [
        f"if {stopped} || {too_early}; then",
        '    if [ "$ended_by_slurm" -eq 1 ]; then',
        '        echo "unflat: SIGTERM received, so that SLURM decides on a requeue, not this script"',
        f'    elif [ "${{SLURM_RESTART_COUNT:-0}}" -ge {MOST_RESTARTS} ]; then',
        f'        echo "unflat: not requeued after {MOST_RESTARTS} restarts"',
        '    elif scontrol requeue "$job"; then',
        '        echo "unflat: requeued as job $job"',
        '        exit "$status"',
        "    fi",
        f"    echo {shlex.quote(f'unflat: unless the job is queued again, {again}')}",
        "fi",
    ]


def _fragment(word: Word) -> str:
    return f'"${word.name}"' if isinstance(word, Variable) else shlex.quote(word)


def _quoted(value: str) -> str:
    """Quote a value in the head of the script, where it needs it; SLURM knows double quotes and the backslash."""
    if shlex.quote(value) == value:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
