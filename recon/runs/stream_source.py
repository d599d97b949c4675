"""Source of acquisitions that arrive as a stream of frames, which a process receives while others are computed."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from ..errors import DataError, UnflatError
from ..io.frame_stream import StreamReceiver, require_zmq
from ..io.growing_state import count_frames
from ..io.received_files import PARTIAL
from ..io.stream_events import EventKind
from .arrivals import Arriving
from .batch_files import RECEIVED

_LOOK = 0.05
"""[s] Time between two looks at what the process reports."""
_PAUSE = 5.0
"""[s] Time until a process that has ended is started again."""
_LOCAL = ("127.", "localhost", "[::1]")
"""Beginnings of the addresses that other machines do not reach."""


class StreamSource:
    """Source of acquisitions that are streamed to an address, while the ``with`` block lasts.

    Args:
        address: Address to bind, ``tcp://HOST:PORT``.
        output: Folder of the runs; what is received goes into a folder in it.
        report: Callback for what is wrong with the stream, a sentence each.
        timeout: [s] Time without a message after which a scan counts as interrupted.
    """

    def __init__(self, address: str, output: Path, report: Callable[[str], None], timeout: float = 60.0) -> None:
        self.folder = output / RECEIVED
        self._address, self._report, self._timeout = address, report, timeout
        self._whole: list[Path] = []
        self._handed_over: set[Path] = set()
        self._receiver: StreamReceiver | None = None
        self._is_begun, self._again = False, 0.0

    @property
    def arriving(self) -> Sequence[Arriving]:
        """Acquisitions of which frames are still to come."""
        arriving = []
        for path in sorted(self.folder.glob("*.h5")):
            if PARTIAL.fullmatch(path.name):
                is_quiet = time.time() - _changed(path) > self._timeout
                arriving.append(Arriving(path, _progress(path), is_open=is_quiet))
        return arriving

    def poll(self) -> list[Path]:
        """List the acquisitions that have become whole since the last call, the earliest first.

        The first call begins to receive, when the folder of the runs is the caller's own; what was received whole
        before is handed over first.

        Raises:
            ConfigError: If the address is none or is taken.
            DataError: If the folder cannot be made.
        """
        try:
            for event in () if (receiver := self._open()) is None else receiver.events():
                if event.kind is EventKind.WHOLE:
                    self._whole.append(self.folder / event.file)
                elif event.kind is EventKind.FAULT:
                    self._report(event.text)
        except DataError as error:
            if not self._is_begun:
                raise
            self._close()
            self._report(f"{error.faults[0].message}: it is started again")
        whole = [path for path in self._whole if path not in self._handed_over]
        self._handed_over.update(whole)
        self._whole = []
        return whole

    def idle(self, seconds: float) -> bool:
        """Wait for the next acquisition.

        Args:
            seconds: [s] Longest time.

        Returns:
            False: there is nothing for the page.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (self._receiver is not None and self._receiver.has_events):
            time.sleep(_LOOK)
        return False

    def _open(self) -> StreamReceiver | None:
        """Start the process that receives, if it has not been started; None where it is to be started again later."""
        if self._receiver is None and time.monotonic() >= self._again:
            try:
                self._receiver = self._start()
            except UnflatError as error:
                if not self._is_begun:
                    raise
                self._again = time.monotonic() + _PAUSE
                self._report(f"nothing is received: {error.faults[0]}")
        return self._receiver

    def _start(self) -> StreamReceiver:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.folder}: cannot be made: {error.strerror}") from error
        paths = [path for path in self.folder.glob("*.h5") if not PARTIAL.fullmatch(path.name)]
        receiver = StreamReceiver(self._address, self.folder, self._timeout)
        self._whole = sorted(paths, key=_changed)
        if not self._is_begun and not self._address.removeprefix("tcp://").startswith(_LOCAL):
            self._report(f"{self._address}: any machine that reaches this address can send scans")
        self._is_begun = True
        return receiver

    def _close(self) -> None:
        if self._receiver is not None:
            self._receiver.close()
            self._receiver, self._again = None, time.monotonic() + _PAUSE

    def __enter__(self) -> "StreamSource":
        """Check that streams can be received.

        Raises:
            ConfigError: If pyzmq is not installed.
        """
        require_zmq()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _progress(path: Path) -> str:
    try:
        frames = count_frames(path)
    except DataError:
        frames = None
    return "is being received" if frames is None else f"has {frames.count} of {frames.total} frames"
