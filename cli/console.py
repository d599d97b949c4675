"""Output of the commands: results to stdout; notes, warnings, errors and progress to stderr.

At a terminal progress is a live bar. Elsewhere it is a plain line every few seconds, because a bar fills the log of a
job with carriage returns.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..recon.errors import ConfigError, Diagnostic
from ..recon.io.file_names import readable

if TYPE_CHECKING:
    from ..recon.runs.context import Progress

LINE_INTERVAL = 10.0
"""[s] Least time between two plain lines of progress."""

_LEAST_SHARE = 0.02
"""Share of the steps from whose pace the time left is told."""

_level = 0


def set_verbosity(count: int) -> None:
    """Raise the verbosity by ``count`` (1 for notes, 2 for debugging)."""
    global _level
    if count:
        _level = max(_level, 0) + count
        _set_up_log()


def set_quiet(quiet: bool) -> None:
    """Print only errors from now on, if ``quiet``."""
    global _level
    if quiet:
        _level = -1
        _set_up_log()


def reset() -> None:
    """Restore the default verbosity."""
    global _level
    _level = 0
    _set_up_log()


def is_quiet() -> bool:
    """Whether ``-q`` was given."""
    return _level < 0


def is_debugging() -> bool:
    """Whether ``-vv`` was given, which shows the traceback of an internal error."""
    return _level >= 2


class _StderrHandler(logging.Handler):
    """Log handler that writes through Click, which uses the current stderr (tests replace it)."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        _echo(prefix + self.format(record), err=True)


def _set_up_log() -> None:
    logger = logging.getLogger("unflat")
    for handler in [h for h in logger.handlers if isinstance(h, _StderrHandler)]:
        logger.removeHandler(handler)
    handler = _StderrHandler()
    handler.setLevel({-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(_level, logging.DEBUG))
    logger.addHandler(handler)
    # The handlers filter: debug.log of a run needs all records, whatever the terminal shows.
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


def print_line(text: str = "") -> None:
    """Print a line to stdout, unless quiet."""
    if not is_quiet():
        _echo(text)


def note(text: str) -> None:
    """Print a note to stderr, unless quiet."""
    if not is_quiet():
        _echo(text, err=True)


def warn(text: str) -> None:
    """Print a warning to stderr, unless quiet."""
    note(f"warning: {text}")


def error(text: str) -> None:
    """Print an error to stderr, always."""
    _echo(f"error: {text}", err=True)


def _echo(text: str, *, err: bool = False) -> None:
    click.echo(readable(text), err=err)


def report_file(path: Path) -> None:
    """Print the path of a file or folder that a command has written, and the size of a file."""
    size = f" ({_format_size(path.stat().st_size)})" if path.is_file() else ""
    print_line(f"wrote {path}{size}")


def _format_size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def refuse_to_overwrite(path: Path, *, force: bool, require_writable: Callable[[Path], object] | None = None) -> None:
    """Refuse an output that exists, or that could not be written when the work is done.

    Args:
        path: The output.
        force: Whether it may be replaced.
        require_writable: Function that raises an error for a name at which it cannot be written; by default one for
            files.

    Raises:
        ConfigError: If the path exists, without ``force``, or the command reads it.
        DataError: If the folder of the path is missing, or the path is a folder.
    """
    from ..recon.io.atomic import require_writable_folder, require_writable_name
    from ..recon.io.inputs import require_no_input

    require_no_input(path)
    if path.exists() and not force:
        raise ConfigError(Diagnostic(str(path), "exists already", "choose another name, or replace it with --force"))

    if require_writable is not None:
        require_writable(path)
        return
    require_writable_name(path)
    require_writable_folder(path)


def format_duration(seconds: float) -> str:
    """Format a time [s]: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@contextmanager
def progress(label: str = "") -> Iterator["Progress"]:
    """Show progress while the block runs: a live bar at a terminal, plain lines in a log, nothing when quiet."""
    if is_quiet():
        from ..recon.runs.context import silent

        yield silent
    elif sys.stderr.isatty():
        with _bar(label) as live:
            yield live
    else:
        yield PlainProgress(label)


def _numbers(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())


class PlainProgress:
    """Progress as plain lines: when the work starts, at intervals, and when it ends.

    Args:
        label: Name of the work, at the head of each line.
        interval: [s] Least time between two lines.
    """

    def __init__(self, label: str = "", interval: float = LINE_INTERVAL):
        self._label = f"{label}: " if label else ""
        self._interval = interval
        self._start = self._last = time.monotonic()
        self._first_step, self._total = 0, -1

    def __call__(self, step: int, total: int, **metrics: float) -> None:
        """Write a line if one is due."""
        now = time.monotonic()
        if total != self._total:  # Another piece of work has begun: measure its pace anew.
            self._first_step, self._start, self._total = step, now, total
        elif now - self._last < self._interval and step != total:
            return
        self._last = now
        tail = f"  {self._time_left(step, now)}" if self._first_step < step < total else ""
        click.echo(f"{self._label}{step}/{total}  {_numbers(metrics)}{tail}".rstrip(), err=True)

    def _time_left(self, step: int, now: float) -> str:
        """Write the time that is left; the pace of few steps, which compiling slows, tells none."""
        done, seconds = step - self._first_step, now - self._start
        if done < max(_LEAST_SHARE * self._total, 2):
            return "estimating the time left"
        return f"{format_duration((self._total - step) * seconds / done)} left"


@contextmanager
def _bar(label: str) -> Iterator["Progress"]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as rich_bar:
        task = rich_bar.add_task(label, total=None, numbers="")

        def show(step: int, total: int, **metrics: float) -> None:
            rich_bar.update(task, completed=step, total=total, numbers=_numbers(metrics))

        yield show
