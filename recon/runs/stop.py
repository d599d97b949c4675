"""Requests to stop a run early, by a cluster, a time limit or a user.

A signal only sets a flag; the loop of the run checks it between two steps, writes a checkpoint and ends.
"""

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from ..errors import Interrupted, Stopped
from ..processes import ProcessGroup
from ..signals import are_signals_taken, end_now, interrupt, note_end_of_work, say_stopping

_SIGNALS = ("SIGTERM", "SIGUSR1", "SIGHUP")
"""SLURM sends the first at the end, the second at the time of ``--signal``; the third comes as a terminal is closed."""
_TIME_TO_END = 2.0
"""[s] Time that a run interrupted twice has to close its folder."""


class StopRequest:
    """Flag that is set when the work in the ``with`` block should end at the next checkpoint.

    SIGTERM, SIGUSR1, SIGHUP and the first Ctrl-C set it. A second Ctrl-C raises ``KeyboardInterrupt``; where a library
    has lost that, a later one ends the process of a command, and raises it again in a notebook. A signal that the
    parent ignores stays ignored, as under ``nohup``.

    Args:
        time_limit: [s] Time from the creation of this object after which the flag is set; None for no limit.
    """

    def __init__(self, time_limit: float | int | None = None) -> None:
        self.interrupted = False
        self._time_limit = time_limit
        self._began = time.monotonic()
        self._received = ""
        self._raised_at: float | None = None
        self._must_advance = False
        self._former: dict[int, Any] = {}
        self._terminals: list[int] = []

    @property
    def reason(self) -> str | None:
        """Reason to stop, as a phrase; None to continue."""
        if self.interrupted:
            return "interrupted"
        if self._received:
            return f"{self._received} received"
        is_over = self._time_limit is not None and time.monotonic() - self._began >= self._time_limit
        if is_over and not self._must_advance:
            return f"time limit of {self._time_limit:g} s reached"
        return None

    def require_advance(self) -> None:
        """Let the time limit count only after a step, or what else the work is done in.

        A run that is started again and again with a limit shorter than its preparation ends some day all the same.
        """
        self._must_advance = True

    def note_advance(self) -> None:
        """Note that a step was done, with which a checkpoint is further than the last."""
        self._must_advance = False

    def __enter__(self) -> "StopRequest":
        self._terminals = [stream for stream in (1, 2) if os.isatty(stream)]
        if threading.current_thread() is threading.main_thread():  # Only the main thread may set handlers.
            for name in (*_SIGNALS, "SIGINT"):
                number = getattr(signal, name, None)  # Windows has no SIGUSR1.
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        self._former.clear()
        note_end_of_work()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            self._received = signal.Signals(number).name
            if self._received == "SIGHUP":
                self._leave_terminals()
            return
        if not self.interrupted:
            self.interrupted = True
            say_stopping()
        elif self._raised_at is None or not are_signals_taken():
            self._raised_at = time.monotonic()
            interrupt(number)
        elif time.monotonic() - self._raised_at > _TIME_TO_END:
            end_now(number)

    def _leave_terminals(self) -> None:
        """Send to nowhere what was shown on a terminal that is closed: writing to it is an error from now on."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in self._terminals:
            os.dup2(nowhere, stream)
        os.close(nowhere)


class AgreedStop:
    """Request to stop on which all processes of a group agree, wherever it came; in one process alone, its own.

    Args:
        own: Request in this process.
        group: The processes.
    """

    def __init__(self, own: StopRequest, group: ProcessGroup) -> None:
        self._own, self._group = own, group
        self._agreed: tuple[str, bool] | None = None

    @property
    def interrupted(self) -> bool:
        """Whether the request came from the keyboard."""
        return self._own.interrupted if self._agreed is None else self._agreed[1]

    @property
    def reason(self) -> str | None:
        """Reason to stop that was agreed on, or else that came to this process, without asking the others."""
        return self._own.reason if self._agreed is None else self._agreed[0]

    def ask(self) -> str | None:
        """Return the reason to stop, the same in all processes; None to continue.

        All processes ask at the same places, in their main threads; other threads learn the latest answer. The death of
        a process is a reason too.

        Raises:
            UnflatError: If a process has failed.
        """
        if self._group.count == 1:
            return self._own.reason
        if self._agreed is None and threading.current_thread() is threading.main_thread():
            self._agreed = self._agree()
        return None if self._agreed is None else self._agreed[0]

    def _agree(self) -> tuple[str, bool] | None:
        try:
            answers = self._group.gather([self._own.reason, self._own.interrupted])
        except (Stopped, Interrupted):
            loss = self._group.wait_for_loss(0)
            return None if loss is None else (loss.text, isinstance(loss.error(), Interrupted))
        agreed = next(((str(reason), bool(keyboard)) for (reason, keyboard), _ in answers if reason), None)
        self._group.is_stopping = agreed is not None
        return agreed
