"""The wish to end a run early: from a cluster, a clock, or a person.

A signal only leaves a note; the loop looks at the note between two steps, writes its checkpoint and ends.
"""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

_CLUSTER = ("SIGTERM", "SIGUSR1")  # SLURM sends the first at the end, the second as early as `--signal` asks.


class StopRequest:
    """Whether, and why, the work inside the ``with`` block should end at the next good place.

    SIGTERM and SIGUSR1 ask for an end; so does the first Ctrl-C. A second Ctrl-C ends at once (``KeyboardInterrupt``).

    Args:
        time_limit: [s] Ask for an end this long after the request is made; None for never.
    """

    def __init__(self, time_limit: float | int | None = None) -> None:
        self.interrupted = False
        self._time_limit = time_limit
        self._began = time.monotonic()
        self._received = ""
        self._former: dict[int, Any] = {}

    @property
    def reason(self) -> str | None:
        """Why to stop, as a phrase for people; None to go on."""
        if self.interrupted:
            return "interrupted"
        if self._received:
            return f"{self._received} received"
        if self._time_limit is not None and time.monotonic() - self._began >= self._time_limit:
            return f"time limit of {self._time_limit:g} s reached"
        return None

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread set a handler.
            for name in (*_CLUSTER, "SIGINT"):
                number = getattr(signal, name, None)  # SIGUSR1 is unknown to Windows.
                if number is not None:
                    self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        self._former.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            self._received = signal.Signals(number).name
            return
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
