"""What a command shows: lines to stdout, warnings and errors to stderr, and progress.

Results that a program may read go to stdout; everything about the work goes to stderr. At a terminal progress is a live
bar; elsewhere it is a plain line every so often, because a bar fills a job's log with carriage returns.
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..recon.errors import ConfigError, Diagnostic

if TYPE_CHECKING:
    from ..recon.runs.context import Progress

LINE_INTERVAL = 10.0
"""[s] Between two plain lines of progress."""

_level = 0


def set_verbosity(count: int) -> None:
    """Raise the verbosity by ``count`` (1 for notes, 2 for debugging)."""
    global _level
    if count:
        _level = max(_level, 0) + count
        _set_up_log()


def quieter(quiet: bool) -> None:
    """Say nothing but errors from now on."""
    global _level
    if quiet:
        _level = -1
        _set_up_log()


def reset() -> None:
    """Start a command with the usual verbosity."""
    global _level
    _level = 0
    _set_up_log()


def is_quiet() -> bool:
    """Whether ``-q`` was given."""
    return _level < 0


def is_debugging() -> bool:
    """Whether ``-vv`` was given: internal errors then show their traceback."""
    return _level >= 2


class _ToStderr(logging.Handler):
    """Writes the log through click, which finds the stderr of the moment (tests exchange it)."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        click.echo(prefix + self.format(record), err=True)


def _set_up_log() -> None:
    logger = logging.getLogger("unflat")
    for handler in [h for h in logger.handlers if isinstance(h, _ToStderr)]:
        logger.removeHandler(handler)
    handler = _ToStderr()
    handler.setLevel({-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(_level, logging.DEBUG))
    logger.addHandler(handler)
    # Handlers choose what they show: a run's debug.log wants everything whatever the screen shows.
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


def print_line(text: str = "") -> None:
    """Print a line to stdout, unless quiet."""
    if not is_quiet():
        click.echo(text)


def note(text: str) -> None:
    """Print a line about the work to stderr, unless quiet."""
    if not is_quiet():
        click.echo(text, err=True)


def warn(text: str) -> None:
    """Print a warning to stderr, unless quiet."""
    note(f"warning: {text}")


def error(text: str) -> None:
    """Print an error to stderr, always."""
    click.echo(f"error: {text}", err=True)


def report_file(path: Path) -> None:
    """Tell which file or folder a command made, and how large a file is."""
    size = f" ({_size(path.stat().st_size)})" if path.is_file() else ""
    print_line(f"wrote {path}{size}")


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def refuse_to_overwrite(path: Path, *, force: bool) -> None:
    """Keep an existing result, and refuse before the work a file that could not be written after it.

    Raises:
        ConfigError: If the path exists and force was not given.
        DataError: If its folder is missing, or it is a folder itself.
    """
    if path.exists() and not force:
        raise ConfigError(Diagnostic(str(path), "exists already", "choose another name, or replace it with --force"))
    from ..recon.io.atomic import require_place

    require_place(path)


def duration(seconds: float) -> str:
    """Write a time for people: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
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
    """Writes a line when the work starts, every so often, and when it ends.

    Args:
        label: What the work is.
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
        if total != self._total:  # Other work has begun: the former's pace says nothing of it.
            self._first_step, self._start, self._total = step, now, total
        elif now - self._last < self._interval and step != total:
            return
        self._last = now
        done = step - self._first_step
        left = (total - step) * (now - self._start) / done if done > 0 else None
        tail = f"  {duration(left)} left" if left is not None and step < total else ""
        click.echo(f"{self._label}{step}/{total}  {_numbers(metrics)}{tail}".rstrip(), err=True)


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
