"""Batch: one method on many acquisitions, in one process and with one config, each in a run folder of its own.

Programs are compiled once for all scans of one shape. A scan that fails is set aside with its reason, and the others go
on. After each scan the folder's record and table are complete, so that a batch can be killed at any time and goes on.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError, Diagnostic, ExitStatus, Interrupted, QualityError, Stopped, UnflatError
from ..io.inputs import require_no_input_within
from ..runs import StopRequest
from ..runs.batch_files import PAGE, TABLE
from ..runs.batch_orders import order_scans
from ..runs.batch_record import BATCH, MOST_DEATHS, BatchFolder, ScanRecord, ScanStatus, is_due, must_begin_anew
from ..runs.batch_refresh import read_deaths
from ..runs.contents import REPORT, is_occupied
from ..runs.launch import LAUNCH, CommandLine, Launch, read_launch
from ..runs.logs import without_absolute_paths
from ..runs.scan_clock import ScanClock
from ..runs.scan_list import ScanFile
from ..visualization.batch_page import BatchRow
from . import get_experiment
from .base import Experiment
from .batch_results import BatchResults
from .report_worker import ReportWorker
from .run import RunOptions, ShowProgress, deciding_settings, no_progress, run_method

_log = logging.getLogger(__name__)

SEVERITY = (1, ExitStatus.DEVICE, ExitStatus.DATA, ExitStatus.USAGE, ExitStatus.QUALITY)
"""Exit statuses of scans from the most severe on: a batch has that of its worst scan."""
_SHOWN = 5
"""Most names in a message."""
_PAGE_INTERVAL = 5.0
"""[s] Least time between two versions of the page."""


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


ReportScan = Callable[[BatchRow], None]
"""Callback after each scan, with its record, its numbers and the verdict on them."""


def _silent(row: BatchRow) -> None:
    """Report nothing."""


def run_batch(
    method: str,
    config: Any,
    scans: Sequence[ScanFile],
    options: BatchOptions,
    show_progress: ShowProgress = no_progress,
    report_scan: ReportScan = _silent,
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
        ReportWorker() as reports,
    ):
        folder.save()
        batch = _Batch(experiment, method, config, options, folder, reports, stop, show_progress, report_scan)
        return batch.run(scans)


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
        Launch.now(options.command).write(folder.path)
    except BaseException:
        folder.close()
        raise
    return folder


@dataclass
class _Batch:
    """Batch under way."""

    experiment: Experiment
    method: str
    config: Any
    options: BatchOptions
    folder: BatchFolder
    reports: ReportWorker
    stop: StopRequest
    show_progress: ShowProgress
    report_scan: ReportScan
    _page_written: float = field(default_factory=time.monotonic)
    _warnings: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.results = BatchResults(self.folder, self.experiment)

    def run(self, scans: Sequence[ScanFile]) -> BatchOutcome:
        """Take one scan after the other, until all are done or a stop is asked for."""
        left: list[str] = []
        skipped: set[str] = set()
        for number, scan in enumerate(scans, 1):
            record = self.folder.record.scans[scan.name]
            if not self._is_due(scan, record):
                skipped.add(scan.name)
                self._request_missing_report(scan, record)
            elif left or self.stop.reason:
                left.append(scan.name)
            else:
                self._run_scan(scan, record, f"{self.method} {number}/{len(scans)} {scan.name}")
                if record.status is ScanStatus.STOPPED:
                    left.append(scan.name)
        if not left:
            self._receive_reports(wait=True)
            if self.reports.has_work:
                _log.warning("%s: some reports are not written; --resume writes them", self.stop.reason)
        self._write_page(is_running=False)
        reason = (self.stop.reason or "asked to stop") if left else ""
        listed = tuple(self.results.refresh(scan.name) for scan in scans)
        return BatchOutcome(listed, reason, self.stop.interrupted, frozenset(skipped))

    def _is_due(self, scan: ScanFile, record: ScanRecord) -> bool:
        """Whether a scan is to be taken."""
        return is_due(scan.path, record, retry_failed=self.options.retry_failed)

    def _run_scan(self, scan: ScanFile, record: ScanRecord, title: str) -> None:
        """Run one scan, and note what became of it."""
        if record.deaths >= MOST_DEATHS and not self.options.retry_failed:
            cause = f": {record.fault}" if record.fault else ""
            fault = f"{record.deaths} processes died over it without a word{cause}; --retry-failed tries it again"
            record.end(ScanStatus.FAILED, record.seconds, ExitStatus.DEVICE, fault)
        else:
            run = self.folder.path / scan.name
            clock = ScanClock(run, record)
            anew = must_begin_anew(run, record)
            record.begin(scan.path)
            self.folder.save()
            try:
                run_method(self.method, self.config, scan.path, _run_options(run, anew), self._show(title), self.stop)
                record.begins_anew = False
                record.end(ScanStatus.DONE, clock.seconds)
            except BaseException as error:
                status, exit_status, fault = _ending_of(error)
                record.begins_anew = must_begin_anew(run, record)
                record.end(status, clock.seconds, exit_status, without_absolute_paths(fault))
                if not isinstance(error, Exception):
                    self._save(scan)
                    raise
                _log.debug("%s", scan.name, exc_info=error)
        if record.status is ScanStatus.DONE:
            self.reports.submit(scan.name, self.folder.path / scan.name)
        self.report_scan(self._save(scan))

    def _show(self, title: str) -> ShowProgress:
        return lambda _method: self.show_progress(title)

    def _save(self, scan: ScanFile) -> BatchRow:
        """Write the record, the table, and the page if it is old; return the scan's row."""
        self.folder.save()
        row = self.results.refresh(scan.name)
        self._try(self.results.write_table)
        self._receive_reports()
        if time.monotonic() - self._page_written > _PAGE_INTERVAL:
            self._write_page(is_running=True)
            self._page_written = time.monotonic()
        return row

    def _write_page(self, *, is_running: bool) -> None:
        self._try(lambda: self.results.write_page(is_running=is_running))

    def _try(self, write: Callable[[], None]) -> None:
        """Write the table or the page; a fault is a warning, once, as the runs are what counts."""
        try:
            write()
        except (UnflatError, OSError, UnicodeError) as error:
            text = without_absolute_paths(str(error))
            if text not in self._warnings:
                self._warnings.add(text)
                _log.warning("%s", text)

    def _request_missing_report(self, scan: ScanFile, record: ScanRecord) -> None:
        """Have the report of a run written that a batch which ended early has left without."""
        run = self.folder.path / scan.name
        if record.status is ScanStatus.DONE and not (run / REPORT).is_file():
            self.reports.submit(scan.name, run)

    def _receive_reports(self, *, wait: bool = False) -> None:
        for name, fault in self.reports.finished(wait=wait, is_stopped=lambda: bool(self.stop.reason)):
            if fault:
                _log.warning("%s has no report: %s", name, fault)


def _run_options(run: Path, anew: bool) -> RunOptions:
    return RunOptions(run, anew, resume=not anew, report=False)


def _ending_of(error: BaseException) -> tuple[ScanStatus, int, str]:
    """Status, exit status and reason of a scan that ended with an error."""
    text = "\n".join(map(str, error.faults)) if isinstance(error, UnflatError) else " ".join(str(error).split())
    if isinstance(error, QualityError):  # The result is complete.
        return ScanStatus.DONE, error.status, text
    if isinstance(error, Stopped | Interrupted):
        return ScanStatus.STOPPED, 0, text
    if isinstance(error, UnflatError):
        return ScanStatus.FAILED, error.status, text
    if not isinstance(error, Exception):
        return ScanStatus.STOPPED, 0, "interrupted"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return ScanStatus.FAILED, ExitStatus.DEVICE, f"out of memory: {text[:200]}"
    if isinstance(error, OSError):
        return ScanStatus.FAILED, ExitStatus.DATA, text
    fault = f"internal error: {type(error).__name__}: {text}; this is a bug in unflat: please report it"
    return ScanStatus.FAILED, 1, fault


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
