"""Group of processes under way: agreement in lockstep, and the news of the end of one.

Every process must come to the same calls in the same order. Process 0 is connected with each other one; a connection
that closes without a word tells that its process has died.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from ..errors import Diagnostic, ExitStatus, ProcessEnded, Stopped, UnflatError
from .launchers import GroupPlan
from .messages import Message, keep_watch, receive, send

GRACE = 8.0
"""[s] Time after the death of another process within which the main thread must have taken note of it."""
_STOPPING = 600.0
"""[s] The same after another process has ended on request, as this one is about to."""
_CLOSING = 10.0
"""[s] Time for which process 0 waits for the others at the end."""

Arrays = Mapping[str, np.ndarray]
Part = tuple[Any, Arrays]
"""A value that JSON can hold, and arrays."""


@dataclass(frozen=True)
class Loss:
    """End of another process.

    Args:
        text: Sentence on it.
        status: Exit status that follows from it for this process.
        is_reported: Whether process 0 reports it to the user.
    """

    text: str
    status: int = ExitStatus.STOPPED
    is_reported: bool = False

    def error(self) -> UnflatError:
        """Make the error that ends this process."""
        if self.is_reported:
            return ProcessEnded(self.status)
        if self.status == ExitStatus.STOPPED:
            return Stopped(Diagnostic("", self.text, "run again with --resume to go on from the newest checkpoint"))
        return ProcessEnded(self.status, self.text)


class ProcessGroup:
    """Processes that work on one run; without a plan, this process alone.

    Args:
        plan: Plan of the group.
        names: Names of the processes, for messages.
        connections: Connections with the others: with every one in process 0, with that one in any other.
        jax_address: Address of jax's own coordinator.
        local: Number of this process among those of its machine, and their number.
    """

    def __init__(
        self,
        plan: GroupPlan | None = None,
        names: tuple[str, ...] = ("",),
        connections: Mapping[int, socket.socket] | None = None,
        jax_address: str = "",
        local: tuple[int, int] = (0, 1),
    ) -> None:
        self.plan, self.names, self.jax_address, self.local = plan, names, jax_address, local
        self.count, self.index = (1, 0) if plan is None else (plan.count, plan.index)
        self.loss: Loss | None = None
        self.at_loss: Callable[[Loss], None] = lambda loss: None
        """Called by another thread where the main thread is caught in a computation that never ends."""
        self._connections = dict(connections or {})
        self._received: dict[int, SimpleQueue[Message | None]] = {other: SimpleQueue() for other in self._connections}
        self._locks = {other: threading.Lock() for other in self._connections}
        self._losing, self._news = threading.Lock(), threading.Event()
        self._is_leaving = self._has_shared = False
        self._calls = 0
        for other, connection in self._connections.items():
            keep_watch(connection)
            threading.Thread(target=self._listen, args=(other, connection), daemon=True).start()

    @property
    def is_first(self) -> bool:
        """Whether this is process 0, which alone writes and speaks."""
        return self.index == 0

    @property
    def has_lost_first(self) -> bool:
        """Whether process 0 has died, and this is another."""
        return self.loss is not None and not self.is_first and not self.loss.is_reported

    @property
    def is_alone(self) -> bool:
        """Whether this process works alone: there is no other, or their share is done."""
        return self.count == 1 or self._has_shared

    # Agreement

    def share(self, compute: Callable[[], Part]) -> Part:
        """Return what process 0 computes, in all processes.

        Raises:
            UnflatError: If a process has ended.
        """
        if self.is_alone:
            return compute()
        self._begin_call()
        if not self.is_first:
            return self._take(0)
        value, arrays = compute()
        self._send_to_all(Message("data", [self._calls, value], arrays))
        return value, arrays

    def share_value(self, value: Any) -> Any:
        """Return process 0's value, which JSON can hold, in all processes."""
        return self.share(lambda: (value, {}))[0]

    def gather(self, value: Any, arrays: Arrays | None = None) -> list[Part]:
        """Return what each process gives, by its number, in all processes.

        Raises:
            UnflatError: If a process has ended.
        """
        own: Part = (value, arrays or {})
        if self.is_alone:
            return [own]
        self._begin_call()
        if not self.is_first:
            self._send_to_all(Message("data", [self._calls, value], own[1]))
            values, packed = self._take(0)
            return [(v, _of_process(packed, i)) for i, v in enumerate(values)]
        parts = [own, *(self._take(other) for other in range(1, self.count))]
        packed = {f"{i}/{name}": array for i, part in enumerate(parts) for name, array in part[1].items()}
        self._send_to_all(Message("data", [self._calls, [part[0] for part in parts]], packed))
        return parts

    def own(self, numbers: range) -> range:
        """Choose the numbers that this process works on, in equal shares."""
        first, last = (len(numbers) * i // self.count for i in (self.index, self.index + 1))
        return numbers[first:last]

    # Ends

    def wait_for_loss(self, seconds: float) -> Loss | None:
        """Wait for news of the end of a process, after a computation with it has failed."""
        if self.count > 1 and self.loss is None:
            self._news.wait(seconds)
        if self.loss is not None:
            self._is_leaving = True
        return self.loss

    def finish_sharing(self) -> None:
        """Tell that this process has done its share: process 0 goes on alone, and the others wait for its end.

        Raises:
            ProcessEnded: In every process but the first, when that ends.
        """
        if self.is_first:
            self._has_shared = True
            return
        self._wait_for_first(None)
        loss = self.loss or Loss("process 0 has ended")
        self._is_leaving = True
        raise loss.error()

    def _wait_for_first(self, seconds: float | None) -> None:
        """Wait until process 0 has ended, or died."""
        with suppress(Empty):
            while self.loss is None and self._received[0].get(timeout=seconds) is not None:
                pass

    def end(self, error: BaseException | None) -> None:
        """Tell the others how this process ends, and wait for their ends in process 0."""
        if self.count == 1:
            return
        self._is_leaving = True
        text = " ".join(str(error).split()) if error is not None else ""
        status = getattr(error, "status", ExitStatus.DONE if error is None else 1)
        if isinstance(error, KeyboardInterrupt):
            text, status = "interrupted", ExitStatus.INTERRUPTED
        if status in (ExitStatus.STOPPED, ExitStatus.INTERRUPTED) and not self.is_first:
            self._wait_for_first(_STOPPING)  # It still writes, and a launcher may end all when one has ended.
        elif not isinstance(error, ProcessEnded):
            kind = "ended" if self.is_first else "failed"
            self._send_to_all(Message(kind, [text or type(error).__name__, int(status)]), is_last=True)
        if self.is_first:  # jax ends the others by force if its coordinator, which is here, goes before them.
            for other in self._connections:
                with suppress(Exception):
                    while self._received[other].get(timeout=_CLOSING) is not None:
                        pass

    def _begin_call(self) -> None:
        if self.loss is not None:
            raise self._error()
        self._calls += 1

    def _send_to_all(self, message: Message, *, is_last: bool = False) -> None:
        for other, connection in self._connections.items():
            try:
                with self._locks[other]:
                    send(connection, message)
            except OSError:
                if not is_last:
                    raise self._error() from None

    def _take(self, other: int) -> Part:
        """Take the next part from another process, which must be in the same call."""
        message = self._received[other].get()
        if message is None or message.kind != "data":
            raise self._error()
        call, value = message.value
        if call != self._calls:
            raise RuntimeError(f"{self.names[other]} is at call {call}, and process {self.index} at {self._calls}")
        return value, message.arrays

    def _error(self) -> UnflatError:
        loss = self.wait_for_loss(GRACE) or Loss("the connection with another process is lost")
        return loss.error()

    def _listen(self, other: int, connection: socket.socket) -> None:
        """Receive messages until the other process has ended."""
        while True:
            try:
                message = receive(connection)
            except (OSError, ValueError):
                message = None
            if message is None or message.kind != "data":
                break
            self._received[other].put(message)
        if not (self.is_first and (self._is_leaving or self._has_shared)):
            self._lose(other, message)
        self._received[other].put(None)

    def _lose(self, other: int, message: Message | None) -> None:
        """Take note of the end of a process, tell the others, and see to it that this one ends too."""
        name = self.names[other]
        if message is None:
            loss = Loss(f"{name} has died")
        else:
            text, status = message.value
            loss = Loss(f"{name}: {text}" if other else text, status, other == 0)
        with self._losing:
            if self.loss is not None:
                return
            self.loss = loss
        self._news.set()
        for queue in self._received.values():  # Wakes the main thread, whichever it waits for.
            queue.put(None)
        is_asked = message is not None and loss.status in (ExitStatus.STOPPED, ExitStatus.INTERRUPTED)
        timer = threading.Timer(_STOPPING if is_asked else GRACE, self._give_up, (loss,))
        timer.daemon = True
        timer.start()
        if self.is_first:
            self._send_to_all(Message("ended", [loss.text, loss.status]), is_last=True)

    def abort(self, seconds: float) -> bool:
        """End this process, which jax is about to end, as after any other death; False if no process has died.

        Args:
            seconds: [s] Time that the news may take, and then the main thread, to end by itself.
        """
        self._news.wait(seconds)
        if self.loss is None:
            return False
        time.sleep(seconds)
        self._give_up(self.loss, is_aborted=True)
        return True

    def _give_up(self, loss: Loss, *, is_aborted: bool = False) -> None:
        """End this process although its main thread does not come back."""
        if self._is_leaving and not is_aborted:
            return
        with suppress(Exception):
            self.at_loss(loss)
        for line in filter(None, str(loss.error()).splitlines()):
            print(f"error: {line}", file=sys.stderr)  # noqa: T201 - the command line cannot say it any more
        _exit(loss.status)


def _of_process(packed: Arrays, index: int) -> Arrays:
    prefix = f"{index}/"
    return {name[len(prefix) :]: array for name, array in packed.items() if name.startswith(prefix)}


_current = ProcessGroup()


def current() -> ProcessGroup:
    """Return the group of this process."""
    return _current


def set_current(group: ProcessGroup) -> None:
    """Make a group that of this process."""
    global _current
    _current = group


def leave_now(status: int) -> None:
    """End this process at once if it is one of several: jax's threads would wait for those that have ended."""
    if _current.count > 1:
        _exit(status)


def _exit(status: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status)
