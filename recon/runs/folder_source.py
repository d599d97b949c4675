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
        self._arrivals = Arrivals(partial(list_arriving, folder, pattern), settling_time, patience)
        self._whole: deque[Path] = deque()
        self._arriving: tuple[Arriving, ...] = ()
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._observe, name="observation of a folder", daemon=True)
        self._fault = ""

    @property
    def arriving(self) -> Sequence[Arriving]:
        """Acquisitions that are on their way."""
        return self._arriving

    def poll(self) -> list[Path]:
        """List the acquisitions that have become whole since the last call, the earliest first."""
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
        """Look at the folder after each event, while something is on its way, and now and then in any case."""
        looked, longest = time.monotonic(), _QUICK if self.polls else _SLOW
        for is_event in folder_ticks(self.folder, self._stopped, poll=self.polls):
            is_due = self._arriving or time.monotonic() - looked > longest
            if is_due or (is_event and not self.polls):
                self._look()
                looked = time.monotonic()

    def _look(self) -> None:
        try:
            self._whole.extend(whole := self._arrivals.look())
            self._arriving, self._fault = self._arrivals.arriving, ""  # Last: what has left it is in the other list.
        except OSError as error:  # A disk of the network may come back.
            fault = error.strerror or type(error).__name__
            if fault != self._fault:
                self._fault = fault
                _log.warning("%s cannot be read: %s; it is looked at again and again", self.folder, fault)
            return
        if whole:
            self._wake.set()
