"""Signals that end a command, from its first moment on.

Python answers Ctrl-C by an exception at any place: amid an import, where a library makes another error of it, or in a
callback of C, where it is lost; the other signals end it without a word. A command takes all of them before it imports
anything slow. Until a run can be stopped with a checkpoint (`runs.stop`), they end the process at once, as SIGKILL
would, which every file of ours survives, but with a line, a status, and no temporary file left behind.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_INTERRUPTED, _STOPPED = 130, 75
"""Values of `errors.ExitStatus`, which takes time to import."""
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
"""Ctrl-C, the end of a SLURM job, a closed terminal, and the warning that ``sbatch --signal`` asks for."""
_SHOW_CURSOR = "\r\033[K\033[?25h"

temporary_files: set[str] = set()
"""Paths of the temporary files and folders that this process is writing."""
last_words: Callable[[int, str], None] | None = None
"""Called with the status and the line before a signal ends this process, for others that wait for it."""
_owner = 0
"""Number of the process that took the signals; its forks end without a word."""
_was_interrupted = False
_ends_with_work = False
"""Whether the command has nothing left to do but lines to print when its work has ended."""


def take_signals() -> None:
    """Let each signal that the parent does not ignore end this process with a line and a status."""
    global _owner
    _owner = os.getpid()
    for name in _NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end_now)


def ignore_late_signals() -> None:
    """Let no signal but that of Ctrl-C change the status of a command that is done, while Python takes itself apart."""
    for name in _NAMES[1:]:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is end_now:
            signal.signal(number, signal.SIG_IGN)


def leave_signals_to_parent() -> None:
    """Ignore the signals in a process that its parent ends: who sends them to all of a job means the parent."""
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)


def are_signals_taken() -> bool:
    """Whether this process is a command, which a signal may end."""
    return os.getpid() == _owner


@contextmanager
def ends_with_work() -> Iterator[None]:
    """Let the status of a command be that of the work in the block, whatever signal comes after it."""
    global _ends_with_work
    former, _ends_with_work = _ends_with_work, True
    try:
        yield
    finally:
        _ends_with_work = former


def note_end_of_work() -> None:
    """Ignore late signals from now on, if the command ends with the work that has just ended."""
    if _ends_with_work:
        ignore_late_signals()


def end_now(number: int, frame: FrameType | None = None) -> None:
    """Handle a signal: remove the temporary files, say why, and end the process.

    Args:
        number: Number of the signal: status 130 for that of Ctrl-C, 75 for any other.
        frame: Place at which it came; unused.
    """
    global last_words
    is_interrupt = number == signal.SIGINT
    status = _INTERRUPTED if is_interrupt else _STOPPED
    if os.getpid() == _owner:
        for path in list(temporary_files):
            _remove(path)
        line = "interrupted" if is_interrupt else f"{signal.Signals(number).name} received: ended early, run it again"
        _say(line)
        tell, last_words = last_words, None  # They may take seconds, in which a second signal ends all at once.
        if tell is not None:
            with suppress(Exception):
                tell(status, line)
    os._exit(status)


def interrupt(number: int, frame: FrameType | None = None) -> None:
    """Handle Ctrl-C by an exception, as Python does, and remember it: a library may make another error of it.

    Raises:
        KeyboardInterrupt: Always.
    """
    global _was_interrupted
    _was_interrupted = True
    raise KeyboardInterrupt


def was_interrupted() -> bool:
    """Whether Ctrl-C was answered by an exception since the last call, whatever became of that."""
    global _was_interrupted
    former, _was_interrupted = _was_interrupted, False
    return former


@contextmanager
def interrupts_raised() -> Iterator[None]:
    """Answer Ctrl-C by `KeyboardInterrupt` within the block, for a command that has something to finish first."""
    if signal.getsignal(signal.SIGINT) is not end_now:  # The signals were not taken: by a test, or in a notebook.
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, end_now)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Let signals wait until the block has ended, in the main thread; for steps of a moment that belong together."""
    waiting: list[int] = []
    former = {}
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) in (signal.SIG_IGN, None):
            continue
        with suppress(ValueError):  # Another thread may set no handler, and receives no signal.
            former[number] = signal.signal(number, lambda number, _frame: waiting.append(number))
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for number in waiting:
            signal.raise_signal(number)


def _remove(path: str) -> None:
    """Remove a file, or a folder with its files; pathlib and shutil may not be imported yet."""
    for folder, folders, files in os.walk(path, topdown=False):
        for name in files:
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))  # noqa: PTH108, PTH118
        for name in folders:
            with suppress(OSError):
                os.rmdir(os.path.join(folder, name))  # noqa: PTH106, PTH118
    with suppress(OSError):
        (os.rmdir if os.path.isdir(path) else os.unlink)(path)  # noqa: PTH112


def _say(text: str) -> None:
    """Write a line to stderr without Python's buffers, which the signal may have come in the middle of."""
    with suppress(OSError):
        cursor = _SHOW_CURSOR if os.isatty(2) else ""  # A bar of progress hides it.
        os.write(2, f"{cursor}error: {text}\n".encode())


def say_stopping() -> None:
    """Say that Ctrl-C was heard, where the work goes on to its next checkpoint."""
    with suppress(OSError):
        os.write(2, b"stopping at the next checkpoint; Ctrl-C again ends at once\n")
