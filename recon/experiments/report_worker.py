"""Processes that write the reports of finished runs while the next ones are computed."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO

from ..errors import UnflatError
from ..io.child_start import start_child
from ..visualization.batch_page import write_thumbnail
from .report import write_run_report

_MOST_PROCESSES = 4
_CORES_EACH = 4
"""Cores of the machine for each process."""
_NICENESS = 5
"""Niceness of a process: the computation goes first."""
_MOST_DEATHS = 2
"""Number of processes that may die over one report before it is given up."""
_MOST_IN_VAIN = 3
"""Number of processes, one after the other, that may die without a report before no more are started."""
_LOOK = 0.2
"""[s] Time between two looks at a request to stop while a report is waited for."""


class ReportWorkers:
    """Processes that write one report each at a time; they start with the first ones, and end with the ``with`` block.

    Args:
        count: Number of processes; by default one for every few cores, as the computation goes first.
    """

    def __init__(self, count: int | None = None) -> None:
        count = max(1, min(_MOST_PROCESSES, (os.cpu_count() or 1) // _CORES_EACH)) if count is None else count
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._processes = [_ReportProcess(self._answers) for _ in range(count)]
        self._queue: deque[tuple[str, Path]] = deque()
        self._deaths: Counter[str] = Counter()
        self._in_vain = 0

    def submit(self, name: str, run: Path) -> None:
        """Have the report of a run written.

        Args:
            name: Name under which it is handed back.
            run: Folder of the run, which has ended.
        """
        self._queue.append((name, run))
        self._feed()

    def collect(
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
                process, answer = self._answers.get(block=is_idle, timeout=_LOOK if is_idle else None)
            except Empty:
                if not wait:
                    return
                if is_idle:
                    continue
                name, run = self._queue.pop()
                yield name, _write(run)
                continue
            task, process.task = process.task, None
            if answer is not None:
                yield answer
            elif (fault := self._replace(process, task)) and task is not None:
                yield task[0], fault
            self._feed()

    def _replace(self, process: "_ReportProcess", task: tuple[str, Path] | None) -> str:
        """Replace a process that has ended, unless none would live, and have its report written a second time.

        Returns:
            Fault of the report that is not tried again; empty for another try.
        """
        self._in_vain = 0 if process.has_answered else self._in_vain + 1
        if self._in_vain < _MOST_IN_VAIN:
            self._processes[self._processes.index(process)] = _ReportProcess(self._answers)
        process.is_broken = True
        process.end()
        if task is None:
            return ""
        self._deaths[task[0]] += 1
        if self._deaths[task[0]] >= _MOST_DEATHS:
            return f"{_MOST_DEATHS} processes died over it, perhaps for want of memory"
        self._queue.append(task)
        return ""

    @property
    def has_work(self) -> bool:
        """Whether reports are left."""
        return bool(self._queue) or any(process.task is not None for process in self._processes)

    def _feed(self) -> None:
        """Give each process without a run the next one."""
        for process in self._processes:
            if self._queue and process.is_free:
                process.take(self._queue.popleft())
                if process.is_broken and process.task is not None:  # It could not be started, or has ended.
                    self._queue.appendleft(process.task)
                    process.task = None

    def __enter__(self) -> "ReportWorkers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; the reports that they write are lost if the block has failed."""
        for process in self._processes:
            process.end()


class _ReportProcess:
    """Process that writes one report at a time.

    Args:
        answers: Queue that receives the name of each run with the fault of its report, and None at the end.

    Attributes:
        task: Name and folder of the run whose report it writes; None where it has none.
        is_broken: Whether it can be given no more.
        has_answered: Whether it has written a report.
    """

    def __init__(self, answers: "SimpleQueue[Answer]") -> None:
        self.task: tuple[str, Path] | None = None
        self.is_broken = self.has_answered = False
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_free(self) -> bool:
        """Whether it can be given a run."""
        return self.task is None and not self.is_broken

    def take(self, task: tuple[str, Path]) -> None:
        """Give the process a run, or note that it is broken."""
        self.task = task
        name, run = task
        try:
            pipe = self._start().stdin
            if pipe is not None:
                pipe.write(json.dumps([name, str(run.absolute())]).encode() + b"\n")
                pipe.flush()
        except (OSError, ValueError):  # It cannot be started, or has ended.
            self.is_broken = True

    def end(self) -> None:
        """End the process, and what it is about."""
        if self._process is None:
            return
        if self.task is not None:
            self._process.kill()
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = start_child(__name__, stderr=subprocess.DEVNULL)
            threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        return self._process

    def _listen(self, answers: IO[bytes]) -> None:
        with answers:
            for line in answers:
                name, fault = json.loads(line)
                self.has_answered = True
                self._answers.put((self, (name, fault)))
        self._answers.put((self, None))


Answer = tuple[_ReportProcess, tuple[str, str] | None]


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
