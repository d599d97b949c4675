"""Folder of a run, with its config, logs, metrics, checkpoints and sentinel.

No file in it names its place on the disk: a folder can be moved and given away.
"""

import json
import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import TYPE_CHECKING, Any, SupportsFloat, TextIO

import numpy as np

from ..errors import ConfigError, DataError, Diagnostic, Interrupted, QualityError, Stopped
from ..io.atomic import disk_fault, remove_stale, write_atomically
from ..io.file_names import readable
from ..io.json_text import parse_json
from ..processes import current
from .checkpoint import Checkpoint, latest_checkpoint, write_checkpoint
from .contents import (
    CHECKPOINTS,
    METRICS,
    MODEL_PREVIEW,
    TRIALS,
    Sentinel,
    is_occupied,
    remove_results,
    remove_sentinels,
    require_run,
    truncate_metrics,
)
from .lock import Lock
from .logs import RunLogs, without_absolute_paths
from .provenance import flatten, require_same_fingerprint, write_fingerprint
from .verdict import Verdict

if TYPE_CHECKING:
    from ..model import Model
    from ..model_series import ModelSeries

_log = logging.getLogger(__name__)


class RunFolder:
    """Run folder that is open for writing; made by :meth:`create`.

    A ``with`` block ends with a sentinel in every case: ``STOPPED`` after a request to stop, ``DONE`` after a missed
    quality gate, ``FAILED`` after any other error, and otherwise the one given to :meth:`finish`.

    Args:
        path: An existing folder.
        lock: Lock of the folder, released at the end.
    """

    place: tuple[int, int] = (0, 1)
    """Number of this process among those of a run that see `common`, and their number."""

    def __init__(self, path: Path, lock: Lock) -> None:
        self.path = path
        self._lock = lock
        self._metrics: TextIO | None = None
        self._logs: RunLogs | None = RunLogs(self.log_path, path / "debug.log")

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        force: bool = False,
        resume: bool = False,
        fingerprint: Mapping[str, Any] | None = None,
        may_grow: Collection[str] = ("fit.steps",),
        defaults: Mapping[str, Any] | None = None,
    ) -> "RunFolder":
        """Open a folder for a new run, or to continue the run in it.

        With ``resume`` an empty folder starts a new run, so that a cluster can start a job again by the same command.

        Args:
            path: The folder; created if it is missing.
            force: Whether to delete a run in it. Files that are not part of a run stay.
            resume: Whether to continue a run in it.
            fingerprint: Everything that determines the run's numbers, such as settings and checksums of inputs: nested
                mappings of plain values.
            may_grow: Numbers of the fingerprint that may be larger when a run is continued.
            defaults: Fingerprint of default settings, for settings that an older run does not know.

        Raises:
            ConfigError: If the folder holds a run and neither ``force`` nor ``resume`` is given, if it holds anything
                else, if the fingerprint of the run in it differs, or if another process works in it.
            DataError: If the folder cannot be written.
        """
        path = Path(path)
        if force and resume:
            raise ConfigError("--force starts anew and --resume goes on: give one of them")
        if path.exists() and not path.is_dir():
            raise ConfigError(Diagnostic(str(path), "is a file", "name a folder for the run"))
        flat = flatten(fingerprint or {})
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = Lock.take(path)  # First: without it another process may change what is checked here.
            try:
                if is_occupied(path):
                    require_run(path, replaceable=force or resume)
                    if resume:
                        require_same_fingerprint(path, flat, may_grow, flatten(defaults or {}))
                _prepare(path, flat, keep_state=resume)
                return cls(path, lock)
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise DataError(
                disk_fault(error, path) or Diagnostic(str(path), f"cannot be made: {error.strerror}")
            ) from error

    @property
    def common(self) -> Path:
        """Folder for files that several processes of a run make and read together: their `place` tells how many."""
        return self.path

    @property
    def config_path(self) -> Path:
        """Path of the config, with all defaults."""
        return self.path / "config.yaml"

    @property
    def log_path(self) -> Path:
        """Path of the short log."""
        return self.path / "run.log"

    def write_config(self, text: str) -> None:
        """Write ``config.yaml``."""
        with write_atomically(self.config_path) as temporary:
            temporary.write_text(readable(text), encoding="utf-8")

    def add_records(self, records: Iterable[logging.LogRecord]) -> None:
        """Write records of the time before the folder was opened to its logs."""
        if self._logs is not None:
            self._logs.add(records)

    def append_metrics(self, step: int, **numbers: SupportsFloat) -> None:
        """Append a line to ``metrics.jsonl`` and flush it.

        Args:
            step: Number of completed steps.
            numbers: Metrics of this step; null stands for a number that is not finite, which JSON cannot hold.

        Raises:
            DataError: If the file cannot be written.
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

    def write_metrics(self, numbers: Mapping[str, float], verdict: Verdict | None = None) -> None:
        """Write the metrics of the result, and the verdict on it; see `write_metrics`."""
        write_metrics(self.path, numbers, verdict)

    def write_choices(self, choices: Mapping[str, Any]) -> None:
        """Write what the run chose where its config says auto, so that a resumed run chooses the same."""
        with write_atomically(self.path / "choices.json") as temporary:
            temporary.write_text(json.dumps(choices, indent=2) + "\n", encoding="utf-8")

    def read_choices(self) -> dict[str, Any]:
        """Read what the run chose before; empty where it chose nothing yet."""
        choices: dict[str, Any] = current().share(lambda: (_read_choices(self.path / "choices.json"), {}))[0]
        return choices

    def save_checkpoint(
        self, step: int, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], part: str = ""
    ) -> None:
        """Write the state of the run, or of a part of it; the last two checkpoints of each stay on the disk.

        Args:
            step: Number of completed steps.
            arrays: Arrays of the state by name.
            metadata: State that JSON can hold.
            part: Name of the part of the run, as part of a path; empty for a run of one part.
        """
        folder = self.path / CHECKPOINTS / part
        with suppress(OSError):  # The checkpoint that cannot be written there is reported.
            folder.mkdir(exist_ok=True)
        write_checkpoint(folder, Checkpoint(step, dict(arrays), dict(metadata)))
        _log.debug("checkpoint of step %d written", step)

    def latest_checkpoint(self, part: str = "") -> Checkpoint | None:
        """Read the newest intact checkpoint; if it is that of the whole run, drop the metrics of the steps after it."""

        def read() -> Checkpoint | None:
            checkpoint = latest_checkpoint(self.path / CHECKPOINTS / part)
            if not part:
                self.drop_metrics(checkpoint.step if checkpoint else -1)
            return checkpoint

        return _share_checkpoint(read)

    def drop_metrics(self, after: int) -> None:
        """Drop the lines of ``metrics.jsonl`` of the steps after one."""
        self._close_metrics()
        truncate_metrics(self.path / "metrics.jsonl", after)

    def save_trial(self, name: str, step: int, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write the state of a trial before the run; see `save_checkpoint`.

        Args:
            name: Name of the trial.
            step: Number of completed steps.
            arrays: Arrays of the state by name.
            metadata: State that JSON can hold.
        """
        folder = self.path / TRIALS / name
        with suppress(OSError):  # The checkpoint that cannot be written there is reported.
            folder.mkdir(parents=True, exist_ok=True)
        write_checkpoint(folder, Checkpoint(step, dict(arrays), dict(metadata)))

    def latest_trial(self, name: str) -> Checkpoint | None:
        """Read the newest intact state of a trial."""
        return _share_checkpoint(lambda: latest_checkpoint(self.path / TRIALS / name))

    def remove_trials(self) -> None:
        """Remove the states of all trials."""
        rmtree(self.path / TRIALS, ignore_errors=True)

    def save_preview(self, model: "Model | ModelSeries") -> None:
        """Write the model of a fit that goes on, for those who look at it; a full disk is told by a checkpoint."""
        from ..io.model_file import write_model  # Late because it is slow: commands that only look import this module.

        with suppress(DataError):
            write_model(model, self.path / MODEL_PREVIEW)

    def remove_preview(self) -> None:
        """Remove the model of a fit that went on: there is its result now."""
        (self.path / MODEL_PREVIEW).unlink(missing_ok=True)

    def finish(self, sentinel: Sentinel, reason: str) -> None:
        """Close the logs, write the sentinel as the last file, and release the lock.

        Args:
            sentinel: Outcome of the run.
            reason: Outcome in a sentence.
        """
        self._close_logs()
        try:
            write_sentinel(self.path, sentinel, reason)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the logs and release the lock, without a sentinel."""
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
            except OSError as error:  # The failed write has been reported already.
                _log.debug("metrics.jsonl: %s", error)
            self._metrics = None

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_open = self._logs is not None
        if error is not None and is_open:
            _log.debug("the run ended early", exc_info=error)
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            try:
                self.finish(_sentinel_of(error), reason)
            except DataError as second:  # The first error is the one to report.
                _log.debug("no sentinel: %s", second)
        self.close()


def write_metrics(run: Path, numbers: Mapping[str, float], verdict: Verdict | None = None) -> None:
    """Write the metrics of a result, and the verdict on it, to ``metrics.json``.

    Null stands for a number that is not finite.
    """
    content: dict[str, Any] = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    if verdict is not None:
        content |= verdict.to_json()
    with write_atomically(run / METRICS) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_sentinel(run: Path, sentinel: Sentinel, reason: str) -> None:
    """Write the sentinel of a run in place of any other; an empty one, where the disk has no room for the reason.

    Raises:
        DataError: If the disk has no room for a name either.
    """
    remove_sentinels(run)
    try:
        with write_atomically(run / sentinel) as temporary:
            temporary.write_text(readable(without_absolute_paths(reason)).strip() + "\n", encoding="utf-8")
    except DataError as error:
        try:
            (run / sentinel).touch()  # A name needs no room on most full disks.
        except OSError:
            raise error from None
        _log.warning("%s is empty: %s", sentinel, error)


def _share_checkpoint(read: Callable[[], Checkpoint | None]) -> Checkpoint | None:
    """Read a checkpoint in the first of several processes, for all of them."""

    def parts() -> tuple[Any, Mapping[str, np.ndarray]]:
        checkpoint = read()
        return (None, {}) if checkpoint is None else ([checkpoint.step, checkpoint.metadata], checkpoint.arrays)

    described, arrays = current().share(parts)
    return None if described is None else Checkpoint(described[0], dict(arrays), described[1])


def _read_choices(file: Path) -> dict[str, Any]:
    try:
        content = parse_json(file.read_text("utf-8"))
    except (OSError, ValueError):  # None yet, or one that is no JSON: the choices are then made again.
        return {}
    return content if isinstance(content, dict) else {}


def _sentinel_of(error: BaseException) -> Sentinel:
    if isinstance(error, QualityError):  # All results are complete; only their quality is low.
        return Sentinel.DONE
    return Sentinel.STOPPED if isinstance(error, Stopped | Interrupted | KeyboardInterrupt) else Sentinel.FAILED


def _prepare(path: Path, fingerprint: Mapping[str, Any], *, keep_state: bool) -> None:
    """Make a folder ready for a run.

    Args:
        path: The folder.
        fingerprint: Flat fingerprint of the run.
        keep_state: Whether the run is continued: only its sentinel and temporary files are removed.
    """
    checkpoints = path / CHECKPOINTS
    checkpoints.mkdir(exist_ok=True)
    try:
        remove_stale(path)
        remove_sentinels(path)
        if not keep_state:
            remove_results(path)
        write_fingerprint(path, fingerprint)
    except BaseException:
        with suppress(OSError):  # Not empty: it holds the state of a former run, and stays.
            checkpoints.rmdir()
        raise
