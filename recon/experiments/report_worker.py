"""Process that writes the reports of finished runs while the next ones are computed."""

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO

from ..errors import UnflatError
from ..visualization.batch_page import write_thumbnail
from .report import write_run_report

_NICENESS = 5
"""Niceness of the process: the computation goes first."""
_LOOK = 0.2
"""[s] Time between two looks at a request to stop while a report is waited for."""


class ReportWorker:
    """Process that writes reports, one after the other; it starts with the first, and ends with the ``with`` block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[tuple[str, str] | None] = SimpleQueue()
        self._queue: deque[tuple[str, Path]] = deque()
        self._current: tuple[str, Path] | None = None
        self._is_broken = False

    def submit(self, name: str, run: Path) -> None:
        """Have the report of a run written.

        Args:
            name: Name under which it is handed back.
            run: Folder of the run, which has ended.
        """
        self._queue.append((name, run))
        self._feed()

    def finished(
        self, *, wait: bool = False, is_stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[str, str]]:
        """Iterate over the reports that were written since the last call.

        Args:
            wait: Whether to wait for all that are left, and to write some of them here meanwhile.
            is_stopped: Function that tells whether to wait no longer.

        Yields:
            Name of the run, and the fault of its report; empty where it was written.
        """
        while self.has_work and not (wait and is_stopped()):
            is_idle = wait and not self._queue
            try:
                answer = self._answers.get(block=is_idle, timeout=_LOOK if is_idle else None)
            except Empty:
                if not wait:
                    return
                if is_idle:
                    continue
                name, run = self._queue.pop()
                yield name, _write(run)
                continue
            if answer is None:  # The process has ended; what it was given last is written here.
                self._queue.extendleft([] if self._current is None else [self._current])
                self._current, self._is_broken = None, True
            else:
                self._current = None
                yield answer
            self._feed()

    @property
    def has_work(self) -> bool:
        """Whether reports are left."""
        return self._current is not None or bool(self._queue)

    def _feed(self) -> None:
        """Give the process the next run, if it has none."""
        if self._current is not None or self._is_broken or not self._queue:
            return
        name, run = self._current = self._queue.popleft()
        try:
            pipe = self._start().stdin
            if pipe is not None:
                pipe.write(json.dumps([name, str(run.absolute())]).encode() + b"\n")
                pipe.flush()
        except (OSError, ValueError):  # No process can be started, or it has ended.
            self._queue.appendleft(self._current)
            self._current, self._is_broken = None, True

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            package = __name__.partition(".")[0]
            code = f"import sys; sys.path[:] = {[p for p in sys.path if p]!r}; import {package}; "
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"{code}from {__name__} import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=os.name != "nt",  # Ctrl-C at the terminal is for the command alone.
            )
            threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        return self._process

    def _listen(self, answers: IO[bytes]) -> None:
        with answers:
            for line in answers:
                name, fault = json.loads(line)
                self._answers.put((name, fault))
        self._answers.put(None)

    def __enter__(self) -> "ReportWorker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process; the report that it writes is lost if the block has failed."""
        if self._process is None:
            return
        if self._current is not None:
            self._process.kill()
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.wait()


def _write(run: Path) -> str:
    """Write the report of a run and its small picture; return its fault, empty if there is none."""
    try:
        write_run_report(run)
        write_thumbnail(run)
    except UnflatError as error:
        return str(error)
    except Exception as error:  # One report must not cost the others.
        return f"{type(error).__name__}: {error}"
    return ""


def serve() -> None:
    """Write the reports of the runs that arrive at stdin until it ends: the main function of the process."""
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # What libraries print is no answer.
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    for line in sys.stdin.buffer:
        name, run = json.loads(line)
        target.write(json.dumps([name, _write(Path(run))]).encode() + b"\n")
        target.flush()
