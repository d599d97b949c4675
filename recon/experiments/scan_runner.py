"""Run of one scan after another in the folder of a batch: record, table, page and reports.

Scans come from a list (`batch`) or as they are measured (`watch`). Programs are compiled once for all scans of one
shape. A scan that fails is set aside with its reason. After each scan the folder's record and table are complete, so
that the process can be killed at any time and another one goes on.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import ExitStatus, Interrupted, QualityError, Stopped, UnflatError
from ..runs import StopRequest
from ..runs.batch_record import MOST_DEATHS, BatchFolder, ScanRecord, State, must_begin_anew, stamp_of
from ..runs.contents import REPORT, is_run
from ..runs.logs import without_absolute_paths
from ..runs.scan_clock import ScanClock
from ..runs.scan_list import ScanFile
from ..visualization.batch_page import BatchRow
from .base import Experiment
from .batch_results import BatchResults
from .report_worker import ReportWorkers
from .run import RunOptions, ShowProgress, run_method

_log = logging.getLogger(__name__)

PAGE_INTERVAL = 5.0
"""[s] Least time between two versions of the page."""

ReportScan = Callable[[BatchRow], None]
"""Callback after each scan, with its record, its numbers and the verdict on them."""


def no_report(row: BatchRow) -> None:
    """Report nothing."""


@dataclass
class ScanRunner:
    """Runner of scans, one at a time, in the folder of a batch.

    Args:
        experiment: Kind of experiment.
        method: ``fit``, ``phase`` or ``predict``.
        config: Settings of the experiment, for all scans.
        folder: Folder of the batch, whose record holds every scan that is run.
        reports: Process that writes the reports.
        stop: Request to stop.
        show_progress: Display of progress.
        report_scan: Callback after each scan.
        newest_first: Whether the page shows the newest scan on top.
        is_warm: Whether each scan begins with the result of the last sound one, where the method can.
        network: Checksum of the learned network that the settings name; empty for that of the user.
    """

    experiment: Experiment
    method: str
    config: Any
    folder: BatchFolder
    reports: ReportWorkers
    stop: StopRequest
    show_progress: ShowProgress
    report_scan: ReportScan
    newest_first: bool = False
    is_warm: bool = False
    network: str = ""
    _page_written: float = field(default_factory=time.monotonic)
    _is_page_old: bool = False
    _warnings: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.results = BatchResults(self.folder, self.experiment)

    def run(
        self, scan: ScanFile, title: str, former: ScanRecord | None = None, *, retry_failed: bool = False
    ) -> ScanRecord:
        """Run one scan, note what became of it, and have its report written.

        Args:
            scan: The acquisition, which the record of the folder holds.
            title: Title of its progress.
            former: Record of its former result, which stands if the acquisition is gone before a new one is begun.
            retry_failed: Whether to run it even if processes have died over it.

        Returns:
            Its record.
        """
        record = self.folder.record.scans[scan.name]
        if record.deaths >= MOST_DEATHS and not retry_failed:
            cause = f": {record.fault}" if record.fault else ""
            fault = f"{record.deaths} processes died over it without a word{cause}; --retry-failed tries it again"
            record.end(State.FAILED, record.seconds, ExitStatus.DEVICE, fault)
        else:
            self._run(scan, record, title)
            if former is not None and _is_gone(scan, record) and former.status is State.DONE:
                _log.warning("%s is gone: its former result stays", scan.path.name)
                vars(record).update(vars(former))
                self._save(scan.name)
                return record
        if record.status is State.DONE:
            self.reports.submit(scan.name, self.folder.path / scan.name)
        self.report_scan(self._save(scan.name))
        return record

    def _run(self, scan: ScanFile, record: ScanRecord, title: str) -> None:
        """Run one scan, and once more from a cold start where a warm one has not led to a sound result."""
        if record.network != self.network:
            if is_run(self.folder.path / scan.name):  # It could not go on with another network.
                record.order(anew=True)
            record.network = self.network
        clock = ScanClock(self.folder.path / scan.name, record)
        self._begin(scan, record, title, clock)
        if record.warm_start and record.status is State.DONE and not _is_sound(self.results.refresh(scan.name)):
            _log.info("%s: begun with the result of %s, and not sound: once more, cold", scan.name, record.warm_start)
            record.is_cold = True
            record.order(anew=True)
            self._begin(scan, record, title, clock)

    def _begin(self, scan: ScanFile, record: ScanRecord, title: str, clock: ScanClock) -> None:
        """Begin a run, or go on with it, and note its end."""
        run = self.folder.path / scan.name
        anew = must_begin_anew(run, record)
        if anew or not is_run(run):
            record.warm_start = "" if record.is_cold else self._last_sound(scan.name)
        warm = self.folder.path / record.warm_start if record.warm_start else None
        record.begin(scan.path)
        self.folder.save()
        options = RunOptions(run, anew, resume=not anew, report=False, warm_start=warm)
        try:
            run_method(self.method, self.config, scan.path, options, self._show(title), self.stop)
            record.begins_anew = False
            record.end(State.DONE, clock.seconds)
        except BaseException as error:
            status, exit_status, fault = _ending_of(error)
            record.begins_anew = must_begin_anew(run, record)
            record.end(status, clock.seconds, exit_status, without_absolute_paths(fault))
            if not isinstance(error, Exception):
                self._save(scan.name)
                raise
            _log.debug("%s", scan.name, exc_info=error)

    def _last_sound(self, name: str) -> str:
        """Name of the last scan with a sound result, for another one to begin with; empty for a cold start."""
        if not (self.is_warm and self.experiment.starts_warm(self.method, self.config)):
            return ""
        rows = [row for row in self.results.rows if row.scan.name != name and _is_sound(row)]
        return max(rows, key=lambda row: row.scan.noted).scan.name if rows else ""

    def request_missing_report(self, record: ScanRecord) -> None:
        """Have the report of a run written that a process which ended early has left without."""
        run = self.folder.path / record.name
        if record.status is State.DONE and not (run / REPORT).is_file():
            self.reports.submit(record.name, run)

    def receive_reports(self, *, wait: bool = False) -> None:
        """Take note of the reports that were written.

        Args:
            wait: Whether to wait for all that are left, unless a stop is asked for.
        """
        for name, fault in self.reports.collect(wait=wait, is_stopped=lambda: bool(self.stop.reason)):
            self._is_page_old = True
            if fault:
                _log.warning("%s has no report: %s", name, fault)

    def mark_page_old(self) -> None:
        """Have the page written at the next occasion."""
        self._is_page_old = True

    def refresh_page(self) -> None:
        """Receive reports, and write the page if it is out of date and its last version not too new."""
        self.receive_reports()
        if self._is_page_old and time.monotonic() - self._page_written > PAGE_INTERVAL:
            self.write_page(is_running=True)

    def write_page(self, *, is_running: bool) -> None:
        """Write the page.

        Args:
            is_running: Whether scans are left, or still to come.
        """
        self._is_page_old, self._page_written = False, time.monotonic()
        self._try(lambda: self.results.write_page(is_running=is_running, newest_first=self.newest_first))

    def _show(self, title: str) -> ShowProgress:
        return lambda _method: self.show_progress(title)

    def _save(self, name: str) -> BatchRow:
        """Write the record, the table, and the page if it is old; return the scan's row."""
        self.folder.save()
        row = self.results.refresh(name)
        self._try(self.results.write_table)
        self._is_page_old = True
        self.refresh_page()
        return row

    def _try(self, write: Callable[[], None]) -> None:
        """Write the table or the page; a fault is a warning, once, as the runs are what counts."""
        try:
            write()
        except (UnflatError, OSError, UnicodeError) as error:
            text = without_absolute_paths(str(error))
            if text not in self._warnings:
                self._warnings.add(text)
                _log.warning("%s", text)


def _is_gone(scan: ScanFile, record: ScanRecord) -> bool:
    """Whether a scan failed because its acquisition was gone, before its run was begun anew."""
    return record.status is State.FAILED and record.begins_anew and not stamp_of(scan.path)


def _is_sound(row: BatchRow) -> bool:
    """Whether a scan has a result without a reason to doubt it as a whole."""
    return row.scan.status is State.DONE and row.verdict is not None and row.verdict.holds


def _ending_of(error: BaseException) -> tuple[State, int, str]:
    """Status, exit status and reason of a scan that ended with an error."""
    text = "\n".join(map(str, error.faults)) if isinstance(error, UnflatError) else " ".join(str(error).split())
    if isinstance(error, QualityError):  # The result is complete.
        return State.DONE, error.status, text
    if isinstance(error, Stopped | Interrupted):
        return State.STOPPED, 0, text
    if isinstance(error, UnflatError):
        return State.FAILED, error.status, text
    if not isinstance(error, Exception):
        return State.STOPPED, 0, "interrupted"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return State.FAILED, ExitStatus.DEVICE, f"out of memory: {text[:200]}"
    if isinstance(error, OSError):
        return State.FAILED, ExitStatus.DATA, text
    fault = f"internal error: {type(error).__name__}: {text}; this is a bug in unflat: please report it"
    return State.FAILED, 1, fault
