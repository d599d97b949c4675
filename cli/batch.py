"""Run of a method on several acquisitions as a command: a line for each, and the sum at the end."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..recon.io.inputs import replace_input
from ..recon.signals import ends_with_work
from . import console
from .options import Inputs

if TYPE_CHECKING:
    from ..recon.experiments.base import Experiment
    from ..recon.experiments.batch import BatchOutcome
    from ..recon.experiments.run import RunOptions
    from ..recon.runs.scan_list import ScanFile
    from ..recon.visualization.batch_page import BatchRow

_SHOWN = 5
"""Most names in a note."""


def run_several(method: str, config: Any, inputs: Inputs, options: "RunOptions") -> int:
    """Run a method on each of several acquisitions.

    Returns:
        The exit status.

    Raises:
        UnflatError: If the batch as a whole cannot begin.
    """
    from ..recon.experiments import get_experiment
    from ..recon.experiments.batch import BatchOptions, run_batch

    experiment, scans = get_experiment(config.kind), list_inputs(inputs, options)
    batch_options = BatchOptions(
        options.output, options.force, options.resume, inputs.retry_failed, options.time_limit, options.command
    )

    def report(row: "BatchRow") -> None:
        print_row(experiment, method, row)

    with ends_with_work():
        outcome = run_batch(method, config, scans, batch_options, console.progress, report)
    print_outcome(outcome, options.output, "run again with --resume to go on")
    return outcome.exit_status


def print_outcome(outcome: "BatchOutcome", output: Path, remedy: str) -> None:
    """Print the files and the sum of a batch.

    Args:
        outcome: The outcome.
        output: Folder of the batch.
        remedy: Instruction for a batch that ended early.
    """
    from ..recon.runs.batch_files import PAGE, TABLE

    for name in (TABLE, PAGE):
        if (output / name).is_file():  # A fault of the disk was a warning.
            console.report_file(output / name)
    if outcome.stopped:
        console.error(f"{outcome.stopped}: {remedy}")
    _note_failed_before(outcome)
    console.print_line(_summary(outcome))


def list_inputs(inputs: Inputs, options: "RunOptions") -> "list[ScanFile]":
    """List the acquisitions, under the names that they have in a batch that goes on, and tell which share a name."""
    from ..recon.runs.batch_record import BatchRecord
    from ..recon.runs.scan_list import list_scans

    former = BatchRecord.read(options.output) if options.resume else None
    known = {} if former is None else former.names_of_files(options.output)
    scans = list_scans(inputs.paths, each=inputs.each, known=known)
    for path in inputs.paths:
        replace_input(path, (), "ACQUISITION")
    for scan in scans:
        replace_input(scan.path, (scan.path,), "ACQUISITION")
    renamed = [f"{scan.path} in {options.output / scan.name}" for scan in scans if scan.is_renamed]
    if renamed:
        shown = f"{', '.join(renamed[:_SHOWN])}{', …' if len(renamed) > _SHOWN else ''}"
        console.note(f"{len(renamed)} acquisitions have a name in common with others; their runs: {shown}")
    return scans


def print_row(experiment: "Experiment", method: str, row: "BatchRow") -> None:
    """Print what became of a scan: results to stdout, faults to stderr."""
    from ..recon.experiments.run import run_summary

    scan = row.scan
    if row.numbers:
        verdict = "" if row.verdict is None else f"; {row.verdict.soundness}"
        summary = run_summary(experiment, method, row.numbers)
        console.print_line(f"{scan.name}: {summary}{verdict}; {console.format_duration(scan.seconds)}")
    for fault in scan.fault.splitlines():
        (console.note if scan.status == "stopped" else console.error)(f"{scan.name}: {fault}")


def _summary(outcome: "BatchOutcome") -> str:
    """Numbers of scans by what became of them."""
    from ..recon.errors import ExitStatus
    from ..recon.runs.batch_record import State

    scans = outcome.scans
    parts = []
    for status in (State.DONE, State.FAILED):
        named = [scan for scan in scans if scan.status is status]
        before = sum(scan.name in outcome.skipped for scan in named)
        parts.append(f"{len(named)} {status}" + (f" ({before} before)" if before else ""))
    poor = sum(scan.status is State.DONE and scan.exit_status == ExitStatus.QUALITY for scan in scans)
    parts += [f"{poor} with a failed result"] if poor else []
    left = sum(scan.status in (State.WAITING, State.STOPPED, State.DIED) for scan in scans)
    parts += [f"{left} left"] if left else []
    return f"{len(scans)} scan{'s' if len(scans) != 1 else ''}: {', '.join(parts)}"


def _note_failed_before(outcome: "BatchOutcome") -> None:
    """Tell which failures are of an earlier command, and how they are tried again."""
    from ..recon.runs.batch_record import State

    failed = [s.name for s in outcome.scans if s.status is State.FAILED and s.name in outcome.skipped]
    if failed:
        names = f"{', '.join(failed[:_SHOWN])}{', …' if len(failed) > _SHOWN else ''}"
        console.note(f"failed before, and left: {names}; --retry-failed tries again those whose files are the same")
