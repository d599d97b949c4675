"""Connections among the processes of a group, and the news of the end of one.

Process 0 is connected with each other one; a connection that closes without a word tells that its process has died.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from ..errors import Diagnostic, ExitStatus, Interrupted, ProcessEnded, Stopped, UnflatError
from .launchers import GroupPlan
from .messages import Message, keep_watch, receive, send

GRACE = 25.0
"""[s] Time after the end of another process within which the main thread must have taken note of it."""
STOPPING = 600.0
"""[s] Time that process 0 may take to write after all have agreed to stop, or one has noted the end of another."""
_CLOSING = 10.0
"""[s] Time for which a process waits for the others at the end."""
_NEWS = 10.0
"""[s] Time that the news of an end may come after the failure of a connection."""
_OF_DEATH = (ConnectionResetError, BrokenPipeError, ConnectionError)
"""Types of the errors of a connection whose other process has died; others are those of the network."""


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

    @property
    def is_stop(self) -> bool:
        """Whether the run can go on later."""
        return self.status in (ExitStatus.STOPPED, ExitStatus.INTERRUPTED)

    def error(self) -> UnflatError:
        """Make the error that ends this process."""
        if self.is_reported:
            return ProcessEnded(self.status)
        if not self.is_stop:
            return ProcessEnded(self.status, self.text)
        remedy = "run again with --resume: it goes on from the newest checkpoint, or begins anew where there is none"
        kind = Stopped if self.status == ExitStatus.STOPPED else Interrupted
        return kind(Diagnostic("", self.text, remedy))


class LinkedProcess:
    """Process that is connected with others of its group; without a plan, a process alone.

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
        self.is_stopping = False
        """Whether all processes have agreed to stop, so that each expects the ends of the others."""
        self._connections = dict(connections or {})
        self._received: dict[int, SimpleQueue[Message | None]] = {other: SimpleQueue() for other in self._connections}
        self._locks = {other: threading.Lock() for other in self._connections}
        self._closed = {other: threading.Event() for other in self._connections}
        self._losing, self._news, self._leaving = threading.Lock(), threading.Event(), threading.Event()
        self._has_shared = False
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

    def wait_for_loss(self, seconds: float) -> Loss | None:
        """Wait for news of the end of a process, after a computation with it has failed."""
        if self.count > 1 and self.loss is None:
            self._news.wait(seconds)
        if self.loss is not None:
            self._leaving.set()
        return self.loss

    def finish_sharing(self) -> None:
        """Tell that this process has done its share: process 0 goes on alone, and the others wait for its end.

        Raises:
            ProcessEnded: In every process but the first, when that ends.
        """
        if self.is_first:
            self._has_shared = True
            return
        self._news.wait()
        self._leaving.set()
        raise (self.loss or Loss("process 0 has ended")).error()

    def end(self, error: BaseException | None) -> None:
        """Tell the others how this process ends, and wait for them.

        Process 0 waits as jax ends the others by force if its coordinator, which is there, goes before them. The others
        wait for process 0, which still writes, as a launcher may end all when one has ended.
        """
        if self.count == 1:
            return
        self._leaving.set()
        status, text = _outcome(error)
        if self.is_first:
            self._send_to_all(Message("ended", [text, status]), is_last=True)
        elif not isinstance(error, ProcessEnded) and self.loss is None and not self.is_stopping:
            self._send_to_all(Message("failed", [text, status]), is_last=True)
        is_expected = self.is_stopping or self.loss is not None
        until = time.monotonic() + (STOPPING if is_expected and not self.is_first else _CLOSING)
        for closed in self._closed.values():
            closed.wait(max(0.0, until - time.monotonic()))

    def abort(self, seconds: float) -> bool:
        """End this process, which jax is about to end, as after any other death; False if no process has died.

        Args:
            seconds: [s] Time that the news may take.
        """
        self._news.wait(seconds)
        if self.loss is None:
            return False
        if threading.current_thread() is not threading.main_thread() and self._leaving.wait(GRACE):
            time.sleep(STOPPING)  # The main thread ends the process before.
        self._give_up(self.loss, is_aborted=True)
        return True

    def _send_to_all(self, message: Message, *, is_last: bool = False) -> None:
        for other, connection in self._connections.items():
            try:
                with self._locks[other]:
                    send(connection, message)
            except OSError:
                if not is_last:
                    raise self._error() from None

    def _error(self) -> UnflatError:
        loss = self.wait_for_loss(_NEWS) or Loss("the connection with another process is lost")
        return loss.error()

    def _listen(self, other: int, connection: socket.socket) -> None:
        """Receive messages until the other process has ended."""
        message, name = None, self.names[other]
        lost = Loss(f"{name} has died")
        while True:
            try:
                message = receive(connection)
            except (OSError, ValueError) as error:
                message = None
                if isinstance(error, OSError) and type(error) not in _OF_DEATH:
                    lost = Loss(f"the connection with {name} is lost")
            if message is not None and message.kind == "data":
                self._received[other].put(message)
                continue
            if not (self.is_first and (self._leaving.is_set() or self._has_shared)):
                self._lose(lost if message is None else _loss_by(message, other, name))
            self._received[other].put(None)
            if message is None or message.kind == "ended":
                self._closed[other].set()
                return

    def _lose(self, loss: Loss) -> None:
        """Take note of the end of a process, tell the others, and see to it that this one ends too."""
        with self._losing:
            if self.loss is not None:
                return
            self.loss = loss
        self._news.set()
        for queue in self._received.values():  # Wakes the main thread, whichever it waits for.
            queue.put(None)
        timer = threading.Timer(STOPPING if loss.is_stop and self.is_stopping else GRACE, self._give_up, (loss,))
        timer.daemon = True
        timer.start()
        if self.is_first:
            self._send_to_all(Message("lost", [loss.text, loss.status]), is_last=True)

    def _give_up(self, loss: Loss, *, is_aborted: bool = False) -> None:
        """End this process although its main thread does not come back."""
        if self._leaving.is_set() and not is_aborted:
            return
        with suppress(Exception):
            self.at_loss(loss)
        for line in filter(None, str(loss.error()).splitlines()):
            print(f"error: {line}", file=sys.stderr)  # noqa: T201 - the command line cannot say it any more
        leave(loss.status)


def leave(status: int) -> None:
    """End this process at once, after the output that is under way."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status)


def _loss_by(message: Message, other: int, name: str) -> Loss:
    """Read from a message of another process that it, or a third one, ends."""
    text, status = message.value
    return Loss(f"{name}: {text}" if other else text, status, other == 0)


def _outcome(error: BaseException | None) -> tuple[int, str]:
    """Exit status of a process, and the message of its error in one line."""
    if isinstance(error, KeyboardInterrupt):
        return int(ExitStatus.INTERRUPTED), "interrupted"
    if error is None:
        return int(ExitStatus.DONE), ""
    return int(getattr(error, "status", 1)), " ".join(str(error).split()) or type(error).__name__
