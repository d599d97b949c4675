"""Source of acquisitions that arrive in a folder, which a thread observes while others are computed."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from ..errors import DataError, Diagnostic
from .arrivals import Arrivals, Arriving
from .folder_events import folder_ticks, sees_events
from .scan_list import list_arriving

_log = logging.getLogger(__name__)

SETTLING_TIME = 2.0
"""[s] Default time without a change after which a file may be whole."""
PATIENCE = 30.0
"""[s] Default time without a change after which a file that lacks its end is refused."""
_SLOW, _QUICK = 10.0, 2.0
"""[s] Longest time between two looks at the folder: where the system reports changes, and where it does not."""
_REST = 5
"""Least time between two looks, in units of the time that the last one took."""


class FolderSource:
    """Source of acquisitions that arrive in a folder, while the ``with`` block lasts.

    Args:
        folder: The folder.
        pattern: Pattern inside it of the files, or folders, that are an acquisition each; None for all files that hold
            a whole measurement, such as HDF5.
        settling_time: [s] Time without a change after which one may be whole.
        patience: [s] Time without a change after which one that lacks its end is handed over nevertheless.
        poll: Whether to look at the folder regularly; by default where its file system reports no changes.
    """

    def __init__(
        self,
        folder: Path,
        pattern: str | None = None,
        settling_time: float = SETTLING_TIME,
        patience: float = PATIENCE,
        *,
        poll: bool = False,
    ) -> None:
        self.folder = folder
        self.polls = poll or not sees_events(folder)
        listed = partial(list_arriving, folder, pattern)
        self._arrivals = Arrivals(listed, settling_time, patience, takes_parts=pattern is not None)
        self._whole: deque[Path] = deque()
        self._arriving: tuple[Arriving, ...] = ()
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._observe, name="observation of a folder", daemon=True)
        self._fault, self._death = "", ""

    @property
    def arriving(self) -> Sequence[Arriving]:
        """Acquisitions that are on their way."""
        return self._arriving

    def poll(self) -> list[Path]:
        """List the acquisitions that have become whole since the last call, the earliest first.

        Raises:
            DataError: If the folder is no longer observed.
        """
        if self._death:
            raise DataError(Diagnostic(str(self.folder), f"is no longer observed: {self._death}", "start it again"))
        self._wake.clear()
        return [self._whole.popleft() for _ in range(len(self._whole))]

    def idle(self, seconds: float) -> bool:
        """Wait for the next acquisition.

        Args:
            seconds: [s] Longest time.

        Returns:
            False: there is nothing for the page.
        """
        self._wake.wait(seconds)
        return False

    def __enter__(self) -> "FolderSource":
        try:
            next(self.folder.iterdir(), None)
        except OSError as error:
            remedy = "name the folder that the scans are written to"
            raise DataError(Diagnostic(str(self.folder), f"cannot be read: {error.strerror}", remedy)) from error
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(_SLOW)

    def _observe(self) -> None:
        """Look at the folder after each event, while something is on its way, and now and then in any case.

        What was handed over is looked at again after an event, a while after the last time.
        """
        try:
            looked = again = time.monotonic()
            has_changed, rest = False, 0.0
            for event in folder_ticks(self.folder, self._stopped, poll=self.polls):
                now, longest = time.monotonic(), _QUICK if event is None else _SLOW
                has_changed = has_changed or bool(event)
                is_full = now - again > (_QUICK if has_changed else _SLOW)
                if now - looked < rest or not (event or self._arriving or is_full or now - looked > longest):
                    continue
                self._look(again=is_full)
                looked = time.monotonic()
                rest = _REST * (looked - now)
                if is_full:
                    again, has_changed = looked, False
        except Exception as error:
            _log.debug("observation of %s", self.folder, exc_info=error)
            self._death = f"{type(error).__name__}: {error}"
            self._wake.set()

    def _look(self, *, again: bool = True) -> None:
        try:
            self._whole.extend(whole := self._arrivals.look(again=again))
            self._arriving, self._fault = self._arrivals.arriving, ""  # Last: what has left it is in the other list.
        except Exception as error:  # A disk of the network may come back, and a name that cannot be read be changed.
            fault = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
            if fault != self._fault:
                self._fault = fault
                _log.warning("%s cannot be read: %s; it is looked at again and again", self.folder, fault)
            return
        if whole:
            self._wake.set()
