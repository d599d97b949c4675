"""Submission of a command: its jobs, their scripts, and their numbers in the queue."""

import os
import re
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..recon.config.advice import shell
from ..recon.errors import ConfigError, DataError, Diagnostic, UnflatError
from ..recon.experiments import get_experiment
from ..recon.experiments.batch import BatchOptions
from ..recon.experiments.batch_tasks import discard_batch, plan_tasks, prepare_tasks, write_batch_results
from ..recon.experiments.methods import METHODS
from ..recon.experiments.run import RunOptions
from ..recon.io.entry_name import split_entry
from ..recon.runs.batch_files import is_batch
from ..recon.runs.contents import is_occupied, require_run
from ..recon.runs.job_script import Job, Resources, Task, Variable, Word, closing_script, job_script
from ..recon.runs.launch import SUBMIT_OPTIONS
from ..recon.runs.scan_list import is_several
from ..recon.runs.slurm_queue import queued_with_script, require_sbatch, submit_script, task_states
from ..recon.runs.task_log import slurm_folder
from ..recon.signals import deferred_signals
from . import console
from .batch import list_inputs
from .command_words import CommandWords
from .options import RECEIVER, Inputs

_CLOSING_LIMIT = 600.0
"""[s] Time limit of the job that writes the table."""
_ENVIRONMENT = ("PYTHONPATH", "LD_LIBRARY_PATH", "JAX_COMPILATION_CACHE_DIR")
"""Variables that are written into the script, as not every cluster passes on the environment."""
_SHOWN = 3
"""Most jobs in a message."""


@dataclass(frozen=True)
class SubmitOptions:
    """Options of a submission.

    Args:
        resources: Resources of the job.
        margin: [s] Time before the limit at which the command is asked to stop.
        numbers: Numbers of the tasks to submit; None for all.
        at_once: Largest number of tasks that run at a time; 0 for no limit.
        words: Words that gave these options.
        one_job: Whether several acquisitions are one job and no array.
        dry_run: Whether only to print the scripts.
    """

    resources: Resources
    margin: float
    numbers: frozenset[int] | None
    at_once: int
    words: tuple[str, ...]
    one_job: bool
    dry_run: bool


@dataclass(frozen=True)
class SubmittedJobs:
    """Jobs in the queue.

    Args:
        job: Number of the job.
        folder: Folder of its logs.
        names: Names of the tasks of an array, by their numbers; empty for a single job.
        closing: Number of the job that follows on the array; empty without one.
    """

    job: str
    folder: Path
    names: dict[int, str]
    closing: str = ""


def submit(command: CommandWords, options: SubmitOptions) -> SubmittedJobs | None:
    """Submit a command, or print its scripts.

    Returns:
        The jobs; None where none was submitted.

    Raises:
        UnflatError: If the command could not begin, or SLURM refuses it.
    """
    job = _job(command, options)
    if not options.dry_run:
        require_sbatch()
        _refuse_second(job.folder / "job.sh")
    if command.name not in METHODS:
        return _queue(job, None, options)
    settings, *inputs, run = command.invoke(RECEIVER)
    experiment = get_experiment(settings.kind)
    experiment.require(command.name)
    experiment.input_files(command.name, settings)
    several = bool(inputs) and inputs[0].series is None and (inputs[0].each or is_several(inputs[0].paths))
    if options.one_job or not several:
        _require_can_begin(() if several or not inputs else inputs[0].paths, run, several=several)
        if options.numbers is not None or options.at_once:
            raise ConfigError("--array goes with several acquisitions, without --one-job: a single job has no tasks")
        return _queue(job, None, options)
    return _submit_array(command, options, settings, inputs[0], run, job)


def _submit_array(
    command: CommandWords, options: SubmitOptions, settings: Any, inputs: Inputs, run: RunOptions, single: Job
) -> SubmittedJobs | None:
    """Submit a task for each acquisition, and a job after them."""
    line = None if run.command is None else run.command.to_submit(options.words)
    batch = BatchOptions(run.output, run.force, run.resume, inputs.retry_failed, run.time_limit, line)
    scans, existed = list_inputs(inputs, run), run.output.exists()
    due = plan_tasks(scans, batch) if options.dry_run else prepare_tasks(command.name, settings, scans, batch)
    try:
        tasks = _chosen(due, options.numbers)
        if not tasks:
            console.print_line(f"{run.output}: nothing is left to do")
            if not options.dry_run:  # The job that should have done it may never have been.
                write_batch_results(run.output)
            return None
        but = ("acquisitions", "each", "retry_failed", "output", "force", "resume")
        words: tuple[Word, ...] = (command.name, *_with_scan(command.words(but)), "-o", Variable("run"))
        mode: Word = Variable("mode") if any(task.begins_anew for task in tasks) else "--resume"
        job = replace(single, command=(*words, mode), tasks=tuple(tasks), at_once=options.at_once)
        return _queue(job, _closing_job(single, run.output, options.resources), options)
    except UnflatError:
        if not (existed or options.dry_run):
            discard_batch(run.output)
        raise


def _with_scan(words: list[str]) -> list[Word]:
    """Put the variable of the acquisition behind the config, the first word."""
    return [words[0], Variable("scan"), *words[1:]]


def _chosen(tasks: list[Task], numbers: frozenset[int] | None) -> list[Task]:
    """Choose tasks by their numbers.

    Raises:
        ConfigError: If there is none of these.
    """
    chosen = [task for task in tasks if numbers is None or task.number in numbers]
    if tasks and not chosen:
        last = max(task.number for task in tasks)
        raise ConfigError(f"--array names no task that is left to do: the numbers go from {tasks[0].number} to {last}")
    return chosen


def _job(command: CommandWords, options: SubmitOptions) -> Job:
    """Describe the command as a single job."""
    here = Path.cwd()
    given = command.context.params.get("output")
    output = Path(given).absolute() if given else here / f"unflat-{command.name}"
    for path in (here, output):
        if re.search(r"[\n\r]", str(path)):
            raise ConfigError(Diagnostic(repr(str(path)), "has a line break, which a script cannot hold"))
    resumable = command.has("resume")
    if options.resources.tasks > 1 and not command.has("coordinator"):
        remedy = "leave out --tasks; of fit, train and phase, several processes work on one run"
        raise ConfigError(Diagnostic("--tasks", f"'unflat {command.name}' is the work of one process", remedy))
    words: list[Word] = [command.name, *command.words(("force", "resume") if resumable else ())]
    resubmission = shell("unflat", "submit", *options.words, "--", *(str(word) for word in words), "--resume")
    if resumable:
        words.append(Variable("mode") if command.context.params.get("force") else "--resume")
    return Job(
        re.sub(r"[^\w.+-]", "_", f"{command.name}-{output.name}"),
        _program(),
        tuple(words),
        here,
        slurm_folder(output),
        options.resources,
        _environment() | {SUBMIT_OPTIONS: shlex.join(options.words)},
        resumable=resumable,
        margin=options.margin,
        resubmission=resubmission if resumable else "",
        output=output,
    )


def _closing_job(job: Job, output: Path, resources: Resources) -> Job:
    """Describe the job that writes table and page of an array when its last task has ended."""
    limit = min(_CLOSING_LIMIT, resources.time_limit or _CLOSING_LIMIT)
    small = Resources(resources.partition, cpus=1, time_limit=limit, further=resources.further)
    return replace(
        job,
        name=f"report-{job.name}",
        command=("report", str(output.absolute()), "--force"),
        resources=small,
        resumable=False,
        log="report-%j.log",
    )


def _queue(job: Job, closing: Job | None, options: SubmitOptions) -> SubmittedJobs | None:
    """Write the scripts and submit them; for a dry run, print them."""
    texts = {"job.sh": job_script(job)} | ({} if closing is None else {"report.sh": closing_script(closing)})
    if options.dry_run:
        for name, text in texts.items():
            console.print_line(f"# {job.folder / name}" if len(texts) > 1 else text.rstrip())
            if len(texts) > 1:
                console.print_line(text.rstrip())
        return None
    job.folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        # Beside the acquisitions, where they are a folder; with the bytes of their names, whatever these are.
        (job.folder / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    with deferred_signals():  # No array is left without the job that follows on it, nor without a line with its number.
        submitted = _submit_scripts(job, closing)
    number = submitted.job
    if (stuck := next((task for task in task_states(number) or () if task.will_not_start), None)) is not None:
        console.warn(f"job {number} may never start: {stuck.reason}; if so, scancel {number} and ask for less")
    return submitted


def _submit_scripts(job: Job, closing: Job | None) -> SubmittedJobs:
    """Submit the scripts that are written."""
    number = submit_script(job.folder / "job.sh")
    count = f", {len(job.tasks)} task{'s' if len(job.tasks) > 1 else ''}" if job.tasks else ""
    console.print_line(f"submitted job {number}{count}: script and logs in {job.folder}")
    names = {task.number: task.run.name for task in job.tasks}
    return SubmittedJobs(number, job.folder, names, "" if closing is None else _queue_closing(job, number))


def _queue_closing(job: Job, number: str) -> str:
    """Submit the job that follows on an array; where SLURM refuses it, tell how to do without."""
    try:
        closing = submit_script(job.folder / "report.sh", after=number)
    except UnflatError as error:
        console.warn(f"no job writes the table at the end: {error}; do it with: unflat report RUNS --force")
        return ""
    console.print_line(f"submitted job {closing}, which writes the table after the last task")
    return closing


def _refuse_second(script: Path) -> None:
    """Refuse to submit a job again that is in the queue already.

    Raises:
        ConfigError: With the numbers of the jobs.
    """
    queued = queued_with_script(script)
    if queued:
        names = ", ".join(f"{task.name} ({task.state.lower()})" for task in queued[:_SHOWN])
        more = " and more" if len(queued) > _SHOWN else ""
        remedy = f"wait for it, or end it with: scancel {queued[0].name.partition('_')[0]}"
        raise ConfigError(Diagnostic("", f"this output has a job in the queue already: {names}{more}", remedy))


def _require_can_begin(paths: tuple[Path, ...], run: RunOptions, *, several: bool) -> None:
    """Refuse now what the job would refuse later: an absent acquisition, a folder that is taken.

    Args:
        paths: Acquisition of a single run.
        run: Options of the run.
        several: Whether the job is a batch of several acquisitions.

    Raises:
        ConfigError: If the folder is taken.
        DataError: If an acquisition is absent.
    """
    if run.force and run.resume:
        raise ConfigError("--force starts anew and --resume goes on: give one of them")
    for path in paths:
        file = split_entry(path)[0]
        if not (file.exists() or set("*?[{") & set(str(file))):
            raise DataError(Diagnostic(str(file), "there is no such file", "check the name"))
    if run.output.exists() and not run.output.is_dir():
        raise ConfigError(Diagnostic(str(run.output), "is a file", "name a folder for the run"))
    if several and is_batch(run.output):
        if not (run.force or run.resume):
            remedy = "name another folder, go on with it (--resume) or replace it (--force)"
            raise ConfigError(Diagnostic(str(run.output), "already holds the runs of several acquisitions", remedy))
    elif not several and run.output.is_dir() and is_occupied(run.output):
        require_run(run.output, replaceable=run.force or run.resume)


def _program() -> tuple[str, ...]:
    """Words that start unflat in the environment of this process."""
    script = Path(sys.executable).with_name("unflat")
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-m", "unflat")


def _environment() -> dict[str, str]:
    """Environment variables of this process that a job needs, their paths from the root."""
    values = {name: os.environ[name] for name in _ENVIRONMENT if os.environ.get(name)}
    if "PYTHONPATH" in values:
        entries = values["PYTHONPATH"].split(os.pathsep)
        values["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in entries)
    return values
