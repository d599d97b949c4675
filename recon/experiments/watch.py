"""Watch: one method on acquisitions as they arrive, in one process, each in a run folder of its own.

It is a batch without an end, and its folder is one: results, records and restarts are the same. An acquisition that is
done is not done again, unless its file has changed since.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from .. import devices
from ..errors import ConfigError, Diagnostic, UnflatError
from ..io.inputs import replace_input
from ..runs import StopRequest
from ..runs.arrivals import Arriving
from ..runs.batch_record import BATCH, BatchFolder, State, is_due, stamp_of
from ..runs.launch import CommandLine
from ..runs.logs import without_absolute_paths
from ..runs.scan_list import ScanFile, name_scan
from ..runs.watch_state import WatchState
from . import get_experiment
from .batch import BatchOptions, BatchOutcome, open_batch
from .learning import Learning, LearningOptions, require_learner
from .report_worker import ReportWorkers
from .run import ShowProgress, no_progress
from .scan_runner import ReportScan, ScanRunner, no_report

_log = logging.getLogger(__name__)

_WAIT = 0.25
"""[s] Longest time between two looks at a request to stop."""
_SIGN_INTERVAL = 60.0
"""[s] Time between two signs of life while nothing happens."""


@runtime_checkable
class ScanSource(Protocol):
    """Source of acquisitions that arrive one after the other, open within a ``with`` block."""

    @property
    def arriving(self) -> Sequence[Arriving]:
        """Acquisitions that are on their way."""

    def poll(self) -> Sequence[Path]:
        """List the acquisitions that have become whole since the last call, the earliest first."""

    def idle(self, seconds: float) -> bool:
        """Wait for the next acquisition; other work that is short may be done meanwhile.

        Args:
            seconds: [s] Longest time to wait.

        Returns:
            Whether there is something new for the page.
        """


@dataclass(frozen=True)
class WatchOptions:
    """Options of a watch.

    Args:
        output: Folder that receives a run folder for each scan, ``results.csv`` and ``index.html``.
        force: Whether to begin anew with all scans that are there.
        retry_failed: Whether to try again scans that failed before, though their files are the same.
        time_limit: [s] Time after which the watch stops with a checkpoint.
        idle: [s] Time without a new scan after which it ends; None to go on until it is stopped.
        is_cold: Whether no scan begins with the result of a former one.
        command: Command line of the watch.
        learning: Options of the network's learning between scans; None where it stays as it is.
    """

    output: Path
    force: bool = False
    retry_failed: bool = False
    time_limit: float | None = None
    idle: float | None = None
    is_cold: bool = False
    command: CommandLine | None = None
    learning: LearningOptions | None = None


@dataclass(frozen=True)
class WatchProgress:
    """Progress of a watch while it waits.

    Args:
        done: Number of scans with a result.
        failed: Number of scans that were set aside.
        arriving: Acquisitions that are on their way.
    """

    done: int
    failed: int
    arriving: Sequence[Arriving]


ShowWaiting = Callable[[WatchProgress | None], None]
"""Callback while a watch waits; None at the end of each wait."""


def show_no_waiting(progress: WatchProgress | None) -> None:
    """Show nothing."""


def run_watch(
    method: str,
    config: Any,
    source: ScanSource,
    options: WatchOptions,
    show_progress: ShowProgress = no_progress,
    report_scan: ReportScan = no_report,
    show_waiting: ShowWaiting = show_no_waiting,
) -> BatchOutcome:
    """Run a method on acquisitions as they arrive, until nothing more comes or a stop is asked for.

    Args:
        method: ``fit``, ``phase`` or ``predict``.
        config: Settings of the experiment, for all of them.
        source: Source of the acquisitions, which is open.
        options: Options of the watch.
        show_progress: Display of progress.
        report_scan: Callback after each scan.
        show_waiting: Callback while it waits.

    Returns:
        The outcome, with every scan of the folder.

    Raises:
        ConfigError: If the kind does not offer the method, or the folder is that of other settings.
        DataError: If the folder cannot be written, or a file that the config names cannot be read.
        DeviceError: If there is no such device as the config names.
        KeyboardInterrupt: If it was interrupted twice; everything but the scan's last steps is kept.
    """
    experiment = get_experiment(config.kind)
    if options.learning is not None:
        require_learner(experiment, config, options.output)
    goes_on = (options.output / BATCH).is_file() and not options.force
    batch = BatchOptions(options.output, options.force, goes_on, options.retry_failed, command=options.command)
    with (
        StopRequest(options.time_limit) as stop,
        open_batch(method, config, [], batch) as folder,
        ReportWorkers() as reports,
    ):
        folder.save()
        devices.use(
            config.device, networks=experiment.require(method).convolutional
        )  # Imports jax before a scan comes.
        runner = ScanRunner(
            *(experiment, method, config, folder, reports, stop, show_progress, report_scan),
            newest_first=True,
            is_warm=not options.is_cold,
        )
        with _open_learning(runner, options) as learning:
            return _Watch(runner, source, options, show_waiting, learning).run()


def _open_learning(runner: ScanRunner, options: WatchOptions) -> "AbstractContextManager[Learning | None]":
    """Open what learns from the scans of a runner; None where nothing does."""
    if options.learning is None:
        return nullcontext()
    return Learning(runner.experiment, runner.config, runner.folder, options.learning, is_new=options.force)


def require_apart(folder: Path, output: Path) -> None:
    """Refuse an output inside the watched folder, where its files would be taken for scans.

    Raises:
        ConfigError: If it is there.
    """
    if output.resolve().is_relative_to(folder.resolve()):
        message = f"lies in {str(folder)!r}, which is watched: results would be taken for scans"
        raise ConfigError(Diagnostic(str(output), message, "write to a folder beside it with -o"))


@dataclass
class _Watch:
    """Watch under way."""

    runner: ScanRunner
    source: ScanSource
    options: WatchOptions
    show_waiting: ShowWaiting
    learning: Learning | None = None
    _last: float = field(default_factory=time.monotonic)
    _skipped: set[str] = field(default_factory=set)
    _written: tuple[WatchState | None, float] = (None, 0.0)

    def __post_init__(self) -> None:
        self._names = self.folder.record.names_of_files(self.folder.path)

    @property
    def folder(self) -> BatchFolder:
        """Folder of the runs."""
        return self.runner.folder

    def run(self) -> BatchOutcome:
        """Take scans as they arrive."""
        ended, is_complete = "", False
        self.runner.write_page(is_running=True)
        try:
            while not self.runner.stop.reason:
                arriving = self.source.arriving  # Before the poll: what it leaves out by then has been handed over.
                paths = self.source.poll()
                for path in paths:
                    if not self.runner.stop.reason:
                        self._take(path)
                if paths or any(map(self._is_on_its_way, arriving)):
                    self._last = time.monotonic()
                elif self._is_over():
                    break
                self._wait(arriving)
            if not self.runner.stop.reason:
                self.runner.receive_reports(wait=True)
            ended, is_complete = self.runner.stop.reason or "no new scan came", not self.runner.stop.reason
        except Exception as error:
            fault = str(error.faults[0]) if isinstance(error, UnflatError) else f"{type(error).__name__}: {error}"
            ended = f"ended by an error: {without_absolute_paths(fault)}"
            raise
        finally:
            self.show_waiting(None)
            self.runner.write_page(is_running=False)
            self._write_state(ended=ended or "interrupted", is_complete=is_complete)
        rows = tuple(self.runner.results.refresh(name) for name in self.folder.record.scans)
        return BatchOutcome(rows, self.runner.stop.reason or "", self.runner.stop.interrupted, frozenset(self._skipped))

    def _take(self, path: Path) -> None:
        """Run a scan, unless it is done."""
        stamp = stamp_of(path)
        if not stamp:  # It is gone, or its disk is, since it was handed over.
            return
        scan = self._add(path)
        record = self.folder.record.scans[scan.name]
        former = replace(record)
        if record.stamp not in ("", stamp):
            record.order(anew=True)
        if is_due(path, record, retry_failed=self.options.retry_failed):
            self.show_waiting(None)
            self._write_state(running=scan.name)
            if self.learning is not None:
                self.learning.require_network()
                self.runner.config, self.runner.network = self.learning.config, self.learning.digest
            title = f"{self.runner.method} {scan.name}"
            self.runner.run(scan, title, former, retry_failed=self.options.retry_failed)
            replace_input(path, (), "its acquisition")
        else:
            self._skipped.add(scan.name)
            self.runner.request_missing_report(record)

    def _add(self, path: Path) -> ScanFile:
        """Add a scan to the record, unless it is there."""
        scan = name_scan(path, self._names)
        is_new = scan.name not in self.folder.record.scans
        self.folder.record.add(self.folder.path, [(scan.name, path)])
        self._names[path.resolve()] = scan.name
        if is_new and self.options.force:
            self.folder.record.scans[scan.name].order(anew=True)
        return scan

    def _wait(self, arriving: Sequence[Arriving]) -> None:
        """Wait a moment for the next scan."""
        self.runner.refresh_page()
        self._write_state()
        statuses = [scan.status for scan in self.folder.record.scans.values()]
        done, failed = (statuses.count(status) for status in (State.DONE, State.FAILED))
        self.show_waiting(WatchProgress(done, failed, arriving))
        is_new = self.source.idle(_WAIT)
        if self.learning is not None and not is_new:
            is_new = self.learning.advance()
        if is_new:
            self.runner.mark_page_old()

    def _is_on_its_way(self, one: Arriving) -> bool:
        """Whether the end of an acquisition is worth waiting for; ``--idle 0`` waits for no file that is open."""
        return not one.is_open or (one.is_growing and bool(self.options.idle))

    def _is_over(self) -> bool:
        """Whether no scan has come for long enough."""
        return self.options.idle is not None and time.monotonic() - self._last >= self.options.idle

    def _write_state(self, *, running: str = "", ended: str = "", is_complete: bool = False) -> None:
        """Write the state of the watch if it has changed, and now and then as a sign of life."""
        arriving = {one.path.name: one.reason for one in self.source.arriving}
        learning = "" if self.learning is None else self.learning.sentence
        state = WatchState(arriving, ended, is_complete, running, learning)
        former, when = self._written
        if state == former and time.monotonic() - when < _SIGN_INTERVAL:
            return
        self._written = state, time.monotonic()
        try:
            state.write(self.folder.path)
        except (UnflatError, OSError) as error:
            _log.debug("%s", error)
