"""The folder of a run: everything that it leaves behind, under names that do not depend on where the folder stands."""

import json
import logging
import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, SupportsFloat, TextIO

import numpy as np

from ..errors import ConfigError, DataError, Diagnostic, Interrupted, QualityError, Stopped
from ..io.atomic import disk_fault, is_leaving, remove_stale, write_atomically
from .checkpoint import Checkpoint, latest_checkpoint, write_checkpoint
from .cleanup import remove_results
from .lock import LOCK, Lock
from .logs import RunLogs, without_absolute_paths
from .provenance import fingerprint_file, flattened, require_same, write_fingerprint

_log = logging.getLogger(__name__)


class Sentinel(StrEnum):
    """How a run ended: the name of the file that is written last."""

    DONE = "DONE"
    FAILED = "FAILED"
    STOPPED = "STOPPED"


class RunFolder:
    """An open run folder; made by :meth:`create`, which says who may write where.

    Used as a context manager it ends with a sentinel in every case: ``STOPPED`` after a request to stop, ``DONE`` after
    a missed quality gate, ``FAILED`` after any other error, and otherwise what :meth:`finish` was told.

    Args:
        path: The folder, which exists.
        lock: This process's right to write there; given back at the end.
    """

    def __init__(self, path: Path, lock: Lock) -> None:
        self.path = path
        self._lock = lock
        self._metrics: TextIO | None = None
        self._logs: RunLogs | None = RunLogs(self.log, path / "debug.log")

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        force: bool = False,
        resume: bool = False,
        fingerprint: Mapping[str, Any] | None = None,
        may_grow: Collection[str] = ("fit.steps",),
    ) -> "RunFolder":
        """Open a run folder for a new run, or to go on with the one in it.

        Going on where there is nothing yet is a new run: a job that a cluster starts again needs no other line.

        Args:
            path: The folder; made if it is missing.
            force: Whether to delete the run that is in it. Files that are no part of a run are kept.
            resume: Whether to go on with the run that is in it.
            fingerprint: What decides the run's numbers: settings, checksums of inputs. Nested mappings of plain values.
            may_grow: Numbers of the fingerprint that may be larger when a run goes on.

        Raises:
            ConfigError: If a run is there and neither ``force`` nor ``resume`` is given, if the folder holds something
                else, if the run in it was another, or if another process works there.
            DataError: If the disk refuses.
        """
        path = Path(path)
        if force and resume:
            raise ConfigError("--force starts anew and --resume goes on: give one of them")
        if path.exists() and not path.is_dir():
            raise ConfigError(Diagnostic(str(path), "is a file", "name a folder for the run"))
        wanted = flattened(fingerprint or {})
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = Lock.take(path)  # Before all else: what is seen without it may not be so any more.
            try:
                if _occupied(path):
                    _require_run(path, replaceable=force or resume)
                    if resume:
                        require_same(path, wanted, may_grow)
                _prepare(path, wanted, keep_state=resume)
                return cls(path, lock)
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise DataError(
                disk_fault(error, path) or Diagnostic(str(path), f"cannot be made: {error.strerror}")
            ) from error

    @property
    def config(self) -> Path:
        """The config as run, every default written out."""
        return self.path / "config.yaml"

    @property
    def log(self) -> Path:
        """The short log."""
        return self.path / "run.log"

    def write_config(self, text: str) -> None:
        """Write ``config.yaml``."""
        with write_atomically(self.config) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def metrics(self, step: int, **numbers: SupportsFloat) -> None:
        """Append a line to ``metrics.jsonl``, on the disk when this returns.

        Args:
            step: Steps done.
            numbers: What was measured; a number that is not finite is written as null, for JSON knows no other word.

        Raises:
            DataError: If the disk refuses.
        """
        line: dict[str, float | None] = {"step": step}
        line |= {name: float(v) if math.isfinite(float(v)) else None for name, v in numbers.items()}
        file = self.path / "metrics.jsonl"
        try:
            if self._metrics is None:
                self._metrics = file.open("a", encoding="utf-8")
            self._metrics.write(json.dumps(line) + "\n")
            self._metrics.flush()
        except OSError as error:
            raise DataError(disk_fault(error, file) or Diagnostic(str(file), f"cannot be written: {error}")) from error

    def write_numbers(self, numbers: Mapping[str, float]) -> None:
        """Write ``metrics.json``: what is known of the result. JSON knows no infinity: null stands for it."""
        finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        with write_atomically(self.path / "metrics.json") as temporary:
            temporary.write_text(json.dumps(finite, indent=2) + "\n", encoding="utf-8")

    def save_checkpoint(self, step: int, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Write the state of the run; the last two are kept.

        Args:
            step: Steps done.
            arrays: State by name.
            facts: Further state that JSON can hold.
        """
        write_checkpoint(self.path / "checkpoint", Checkpoint(step, dict(arrays), dict(facts)))
        _log.debug("checkpoint of step %d written", step)

    def latest_checkpoint(self) -> Checkpoint | None:
        """Read the newest whole checkpoint, and drop the lines of ``metrics.jsonl`` that come after it."""
        found = latest_checkpoint(self.path / "checkpoint")
        self._close_metrics()
        _trim(self.path / "metrics.jsonl", found.step if found else -1)
        return found

    def finish(self, sentinel: Sentinel, reason: str) -> None:
        """Close the logs, write the sentinel as the very last file, and let other processes work here.

        Args:
            sentinel: How the run ended.
            reason: A sentence for people.
        """
        self._close_logs()
        try:
            _remove_sentinels(self.path)
            with write_atomically(self.path / sentinel) as temporary:
                temporary.write_text(without_absolute_paths(reason).strip() + "\n", encoding="utf-8")
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the logs, write no sentinel, and let other processes work here."""
        self._close_logs()
        self._lock.release()

    def _close_logs(self) -> None:
        self._close_metrics()
        if self._logs is not None:
            self._logs.close()
            self._logs = None

    def _close_metrics(self) -> None:
        if self._metrics is not None:
            try:
                self._metrics.close()
            except OSError as error:  # What did not fit on the disk has been reported by the write.
                _log.debug("metrics.jsonl: %s", error)
            self._metrics = None

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        open_still = self._logs is not None
        if error is not None and open_still:
            _log.debug("the run ended early", exc_info=error)
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            try:
                self.finish(_sentinel_of(error), reason)
            except DataError as second:  # The first error is the one to tell.
                _log.debug("no sentinel: %s", second)
        self.close()


def ending(path: Path) -> tuple[Sentinel, str] | None:
    """Read how the run in a folder ended, and why; None while it runs or if it was killed."""
    for sentinel in Sentinel:
        file = path / sentinel
        if file.is_file():
            return sentinel, file.read_text(encoding="utf-8").strip()
    return None


def _sentinel_of(error: BaseException) -> Sentinel:
    if isinstance(error, QualityError):  # It tells what whole results are worth, and not that there are none.
        return Sentinel.DONE
    return Sentinel.STOPPED if isinstance(error, Stopped | Interrupted | KeyboardInterrupt) else Sentinel.FAILED


def _occupied(path: Path) -> bool:
    """Whether a folder holds anything but what a process leaves that was killed before its run began."""
    return any(not _is_leaving(entry) for entry in path.iterdir())


def _is_leaving(entry: Path) -> bool:
    if entry.name == "checkpoint" and entry.is_dir():
        return all(is_leaving(file) for file in entry.iterdir())
    return entry.name == LOCK or is_leaving(entry)


def _require_run(path: Path, *, replaceable: bool) -> None:
    """Refuse a folder that holds somebody's other work: nothing there may be deleted or mixed with a run.

    A run is refused too, unless it was asked for.
    """
    if not (fingerprint_file(path).is_file() or any((path / s).is_file() for s in Sentinel)):
        raise ConfigError(Diagnostic(str(path), "holds files, but no run of unflat", "name an empty or a new folder"))
    if not replaceable:
        raise ConfigError(
            Diagnostic(
                str(path),
                "already holds a run",
                "name another folder, go on with it (--resume) or replace it (--force)",
            )
        )


def _prepare(path: Path, fingerprint: Mapping[str, Any], *, keep_state: bool) -> None:
    """Make the folder that of a run about to begin, or to go on."""
    checkpoints = path / "checkpoint"
    checkpoints.mkdir(exist_ok=True)
    try:
        _clear(path, keep_state=keep_state)
        write_fingerprint(path, fingerprint)
    except BaseException:
        with suppress(OSError):  # It stays where it holds something: the run that was there.
            checkpoints.rmdir()
        raise


def _clear(path: Path, *, keep_state: bool) -> None:
    """Remove what a former run left; with ``keep_state`` only its sentinel and torn files.

    The fingerprint stays, so that a folder half cleared by a killed process is still known as a run's.
    """
    remove_stale(path)
    _remove_sentinels(path)
    if keep_state:
        return
    remove_results(path)
    for file in (path / "checkpoint").iterdir():
        if file != fingerprint_file(path):
            file.unlink()


def _remove_sentinels(path: Path) -> None:
    for sentinel in Sentinel:
        (path / sentinel).unlink(missing_ok=True)


def _trim(file: Path, last: int) -> None:
    """Keep the whole lines of ``metrics.jsonl`` up to a step."""
    if not file.is_file():
        return
    kept = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= last:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            _log.debug("a torn line of metrics.jsonl is dropped")
    with write_atomically(file) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")
