"""Batch: one method on many acquisitions, in one process and with one config, each in a run folder of its own.

Programs are compiled once for all scans of one shape. A scan that fails is set aside with its reason, and the others go
on. After each scan the folder's record and table are complete, so that a batch can be killed at any time and goes on.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, Diagnostic, ExitStatus
from ..io.inputs import require_no_input_within
from ..runs import StopRequest
from ..runs.batch_files import PAGE, TABLE
from ..runs.batch_orders import order_scans
from ..runs.batch_record import BATCH, BatchFolder, ScanRecord, State, is_due
from ..runs.batch_refresh import read_deaths
from ..runs.contents import is_occupied
from ..runs.launch import LAUNCH, CommandLine, Launch, read_launch
from ..runs.scan_list import ScanFile
from ..runs.watch_state import WATCH
from ..visualization.batch_page import BatchRow
from . import get_experiment
from .report_worker import ReportWorkers
from .run import ShowProgress, deciding_settings, no_progress
from .scan_runner import ReportScan, ScanRunner, no_report

_log = logging.getLogger(__name__)

SEVERITY = (1, ExitStatus.DEVICE, ExitStatus.DATA, ExitStatus.USAGE, ExitStatus.QUALITY)
"""Exit statuses of scans from the most severe on: a batch has that of its worst scan."""
_SHOWN = 5
"""Most names in a message."""


@dataclass(frozen=True)
class BatchOptions:
    """Options of a batch.

    Args:
        output: Folder that receives a run folder for each scan, ``results.csv`` and ``index.html``.
        force: Whether to replace the runs that are there.
        resume: Whether to go on: scans that are done are left alone.
        retry_failed: Whether to try again scans that failed before, though their files are the same.
        time_limit: [s] Time after which the batch stops with a checkpoint.
        command: Command line of the batch.
    """

    output: Path
    force: bool = False
    resume: bool = False
    retry_failed: bool = False
    time_limit: float | None = None
    command: CommandLine | None = None


@dataclass(frozen=True)
class BatchOutcome:
    """Outcome of a batch.

    Args:
        rows: Record of every scan, with the numbers of its result and the verdict on them.
        stopped: Reason for which it ended early; empty where every scan was tried.
        interrupted: Whether that came from the keyboard.
        skipped: Names of the scans that were left as they are.
    """

    rows: tuple[BatchRow, ...]
    stopped: str = ""
    interrupted: bool = False
    skipped: frozenset[str] = frozenset()

    @property
    def scans(self) -> tuple[ScanRecord, ...]:
        """Record of every scan."""
        return tuple(row.scan for row in self.rows)

    @property
    def exit_status(self) -> int:
        """Exit status: of the early end, or of the worst scan, or 0."""
        if self.stopped:
            return ExitStatus.INTERRUPTED if self.interrupted else ExitStatus.STOPPED
        worst = {scan.exit_status for scan in self.scans} - {0}
        return next((status for status in SEVERITY if status in worst), 1 if worst else 0)


def run_batch(
    method: str,
    config: Any,
    scans: Sequence[ScanFile],
    options: BatchOptions,
    show_progress: ShowProgress = no_progress,
    report_scan: ReportScan = no_report,
) -> BatchOutcome:
    """Run a method on each of some acquisitions.

    Args:
        method: ``fit``, ``phase`` or ``predict``.
        config: Settings of the experiment, for all of them.
        scans: Acquisitions with their names.
        options: Options of the batch.
        show_progress: Display of progress.
        report_scan: Callback after each scan.

    Returns:
        The outcome. Faults of single scans are in their records.

    Raises:
        ConfigError: If the kind does not offer the method, or the folder is taken.
        DataError: If the folder cannot be written, or a file that the config names cannot be read.
        KeyboardInterrupt: If it was interrupted twice; everything but the scan's last steps is kept.
    """
    experiment = get_experiment(config.kind)
    with (
        StopRequest(options.time_limit) as stop,
        open_batch(method, config, scans, options) as folder,
        ReportWorkers() as reports,
    ):
        folder.save()
        stop.require_advance()  # At least one scan is taken up, however short the time limit.
        runner = ScanRunner(experiment, method, config, folder, reports, stop, show_progress, report_scan)
        return _run_each(runner, scans, retry_failed=options.retry_failed)


def open_batch(method: str, config: Any, scans: Sequence[ScanFile], options: BatchOptions) -> BatchFolder:
    """Open the folder of a batch, with a record of all of its scans that is not saved yet.

    Args:
        method: ``fit``, ``phase`` or ``predict``.
        config: Settings of the experiment, for all of them.
        scans: Acquisitions with their names.
        options: Options of the batch.

    Raises:
        ConfigError: If the kind does not offer the method, or the folder is taken.
        DataError: If the folder cannot be written, or a file that the config names cannot be read.
    """
    experiment = get_experiment(config.kind)
    experiment.require(method)
    experiment.input_files(method, config)
    require_no_input_within(options.output, {})
    deaths = read_deaths(options.output) if options.resume else {}
    folder = BatchFolder.open(
        options.output,
        method,
        deciding_settings(config),
        force=options.force,
        resume=options.resume,
        may_grow=experiment.growing_settings(method, config),
        defaults=experiment.default_config().model_dump(mode="json"),
    )
    try:
        folder.record.add(folder.path, [(scan.name, scan.path) for scan in scans])
        if not options.force:
            _require_free(folder, [] if options.resume else scans)
        order_scans(folder, scans, deaths, force=options.force, resume=options.resume)
        (folder.path / WATCH).unlink(missing_ok=True)  # Of a watch that has ended.
        Launch.now(options.command).write(folder.path)
    except BaseException:
        folder.close()
        raise
    return folder


def _run_each(runner: ScanRunner, scans: Sequence[ScanFile], *, retry_failed: bool) -> BatchOutcome:
    """Take one scan after the other, until all are done or a stop is asked for."""
    left: list[str] = []
    skipped: set[str] = set()
    for number, scan in enumerate(scans, 1):
        record = runner.folder.record.scans[scan.name]
        if not is_due(scan.path, record, retry_failed=retry_failed):
            skipped.add(scan.name)
            runner.request_missing_report(record)
        elif left or runner.stop.reason:
            left.append(scan.name)
        else:
            title = f"{runner.method} {number}/{len(scans)} {scan.name}"
            runner.run(scan, title, retry_failed=retry_failed)
            runner.stop.note_advance()  # Also a scan that failed before its first step.
            if record.status is State.STOPPED:
                left.append(scan.name)
    runner.stop.note_advance()
    if not left:
        runner.receive_reports(wait=True)
        if runner.reports.has_work:
            _log.warning("%s: some reports are not written; --resume writes them", runner.stop.reason)
    runner.write_page(is_running=False)
    reason = (runner.stop.reason or "asked to stop") if left else ""
    rows = tuple(runner.results.refresh(scan.name) for scan in scans)
    return BatchOutcome(rows, reason, runner.stop.interrupted, frozenset(skipped))


def _require_free(folder: BatchFolder, scans: Sequence[ScanFile]) -> None:
    """Refuse a new batch whose run folders hold something already, or whose files would replace those of another.

    Args:
        folder: Folder of the batch.
        scans: Scans whose run folders must hold nothing.

    Raises:
        ConfigError: With their names.
    """
    paths = [folder.path / scan.name for scan in scans]
    taken = [path.name for path in paths if path.exists() and (not path.is_dir() or is_occupied(path))]
    if not (folder.path / BATCH).exists():
        taken += [name for name in (TABLE, PAGE) if (folder.path / name).exists()]
        if (folder.path / LAUNCH).exists() and read_launch(folder.path) is None:
            taken.append(LAUNCH)
    if taken:
        names = f"{', '.join(taken[:_SHOWN])}{', …' if len(taken) > _SHOWN else ''}"
        remedy = "name another folder, go on with them (--resume) or replace them (--force)"
        raise ConfigError(Diagnostic(str(folder.path), f"already holds {names}", remedy))
