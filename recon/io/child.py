"""Work in a process of its own, for readers of files that may crash, hang or exhaust the memory.

A process with one thread forks itself, which takes a few milliseconds. Any other, such as one in which jax runs, starts
a helper once and keeps it for further files: jax cannot be forked, and neither macOS nor Windows forks safely.

The child answers over a pipe, in JSON and the bytes of arrays: nothing that it sends can run code.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn, TypeAlias

import numpy as np

from ..errors import DataError, UnflatError
from ..signals import leave_signals_to_parent
from .child_pipe import (
    ARRAY,
    PROGRESS,
    RESULT,
    ChildError,
    ChildMemoryError,
    CrashError,
    MessageReader,
    PipeReader,
    ThreadReader,
    bytes_of,
    read_request,
    receive,
    send,
)
from .child_start import start_child

MEMORY_LIMIT = 1 << 30
"""[bytes] Memory that a child may use beside what it has when it starts."""
_BEAT = 0.2
"""[s] Least time between two signs of progress."""

Report: TypeAlias = Callable[[], None]
"""Function that a task calls often: a child that does not is taken for one that hangs."""
Answer: TypeAlias = tuple[Any, Sequence[np.ndarray]]
"""Result of a task: a value that JSON can hold, and arrays of numbers or text."""
Task: TypeAlias = Callable[..., Answer]
"""Function of a module; its first argument is a `Report`, the others are such as JSON can hold."""


def run_in_child(
    task: Task, *arguments: Any, memory: int = MEMORY_LIMIT, often: bool = False
) -> tuple[Any, list[np.ndarray]]:
    """Run a task in a process of its own.

    Args:
        task: Function of a module.
        arguments: Arguments of the task after the report.
        memory: [bytes] Memory that it may use.
        often: Whether many tasks follow: a helper, once started, takes each of them up sooner than a fork does.

    Raises:
        ChildError: If it fails.
        DataError: If it raises one.
    """
    try:
        if _can_fork() and not often:
            return _run_forked(task, arguments, memory)
        return _helper().run(task, arguments, memory)
    except OSError:  # No process can be started: the limit of the system is reached.
        value, arrays = task(lambda: None, *arguments)
        return value, list(arrays)


def _can_fork() -> bool:
    """Whether this process may fork: no other thread may hold a lock then, and jax forbids it."""
    return sys.platform.startswith("linux") and threading.active_count() == 1 and "jax" not in sys.modules


def _run_forked(task: Task, arguments: Sequence[Any], memory: int) -> tuple[Any, list[np.ndarray]]:
    """Run a task in a copy of this process."""
    source, target = os.pipe()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Threads of OpenBLAS are idle, and survive a fork.
            process = os.fork()
    except OSError:
        os.close(source)
        os.close(target)
        raise
    if process == 0:
        os.close(source)
        _serve_once(target, task, arguments, memory)
    os.close(target)
    state = -1
    try:
        return receive(PipeReader(source, process))
    except EOFError:
        state = os.waitpid(process, 0)[1]
        raise CrashError(_ending(os.waitstatus_to_exitcode(state))) from None
    finally:
        os.close(source)
        if state < 0:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _serve_once(target: int, task: Task, arguments: Sequence[Any], memory: int) -> NoReturn:
    """Answer in a forked child, and end it; never return to the code of its parent."""
    try:
        leave_signals_to_parent()
        _silence()
        _answer(target, task, arguments, memory)
    finally:
        os._exit(0)


def _silence() -> None:
    """Send what libraries print, and the last words of a crash, nowhere."""
    import faulthandler

    faulthandler.disable()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


def _limit_memory(memory: int) -> None:
    """Limit the memory of this process to what it has and some more; no core is dumped."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    with suppress(OSError, ValueError), open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - quick
        own = int(file.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = own + memory if hard == resource.RLIM_INFINITY else min(own + memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _answer(target: int, task: Task, arguments: Sequence[Any], memory: int) -> None:
    """Run a task, and send its result or its error."""
    last = time.monotonic()

    def report() -> None:
        nonlocal last
        if time.monotonic() - last > _BEAT:
            last = time.monotonic()
            send(target, PROGRESS, b"")

    arrays: Sequence[np.ndarray] = ()
    try:
        _limit_memory(memory)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value, arrays = task(report, *arguments)
        described = [[array.dtype.str, list(array.shape)] for array in arrays]
        message = json.dumps({"value": value, "arrays": described})
    except UnflatError as error:
        message = json.dumps({"faults": [[f.where, f.message, f.remedy] for f in error.faults]})
    except MemoryError as error:
        message = json.dumps({"memory": str(error) or "out of memory"})
    except Exception as error:
        text = str(error)
        message = json.dumps({"error": f"{type(error).__name__}: {text}" if text else type(error).__name__})
    send(target, RESULT, message.encode())
    if message.startswith('{"value"'):
        for array in arrays:
            send(target, ARRAY, bytes_of(np.ascontiguousarray(array)))


def _ending(code: int) -> str:
    """Describe the end of a process by its exit status; negative ones are signals."""
    try:
        return f"its reader crashed ({signal.Signals(-code).name})" if code < 0 else "its reader crashed"
    except ValueError:
        return f"its reader crashed ({code})"


class _Helper:
    """Process that runs one task after the other; started anew after a crash."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: MessageReader | None = None
        self._target = -1

    def run(self, task: Task, arguments: Sequence[Any], memory: int) -> tuple[Any, list[np.ndarray]]:
        """Run a task in the helper."""
        request = json.dumps([task.__module__, task.__qualname__, list(arguments), memory]).encode()
        with self._lock:
            try:
                target, reader = self._started()
                send(target, RESULT, request)
                return receive(reader)
            except (EOFError, BrokenPipeError):
                raise CrashError(_ending(self._end())) from None
            except (DataError, ChildError) as error:
                if isinstance(error, CrashError | ChildMemoryError):
                    self._end(kill=True)
                raise
            except BaseException:  # Interrupted: what the helper sends later is of no use.
                self._end(kill=True)
                raise

    def _started(self) -> tuple[int, MessageReader]:
        """Return the input and the output of the process, started if need be."""
        if self._process is None or self._reader is None or self._process.poll() is not None:
            self._end(kill=True)
            process = start_child(__name__, stderr=subprocess.DEVNULL, bufsize=0)
            self._process = process
            self._target, source = (
                pipe.fileno() if pipe is not None else -1 for pipe in (process.stdin, process.stdout)
            )
            self._reader = ThreadReader(source) if os.name == "nt" else PipeReader(source, process.pid)
        return self._target, self._reader

    def _end(self, *, kill: bool = False) -> int:
        """End the process; return its exit status."""
        process, self._process, self._reader = self._process, None, None
        if process is None:
            return 0
        if kill:
            process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        return process.wait()

    def close(self) -> None:
        """End the process when the interpreter ends."""
        if self.owner == os.getpid():
            self._end()


_helpers: list[_Helper] = []


def _helper() -> _Helper:
    """Return the helper of this process; one that a fork inherited is its parent's."""
    if not _helpers or _helpers[-1].owner != os.getpid():
        helper = _Helper()
        _helpers.append(helper)
        atexit.register(helper.close)
    return _helpers[-1]


def serve() -> None:
    """Run tasks that arrive at stdin until it ends: the main function of a helper."""
    source, target = os.dup(0), os.dup(1)
    _silence()
    while True:
        try:
            module, name, arguments, memory = read_request(source)
        except EOFError:
            return
        task: Task = getattr(import_module(module), name)
        _answer(target, task, arguments, memory)
