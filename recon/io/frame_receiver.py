"""Receiver of frames: messages in any order to growing files, each of which becomes an acquisition when it is whole.

A scan that is under way is the file ``NAME.partial-0.h5``, which survives the end of the process: the frames that it
holds need not be sent again. A new process goes on in a copy with the next number.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .file_names import natural_order
from .frame_messages import EndMessage, FrameMessage, Parts, decode
from .frame_scan import SCAN, FrameScan
from .growing_file import GrowingState, GrowingWriter, collect, read_growing
from .hdf5_common import open_checked, text_of
from .write import FORMAT

PARTIAL = re.compile(r"(?P<name>.+)\.partial-(?P<number>\d+)\.h5")
"""Name of the file of a scan that is under way."""
_FRAME = re.compile(r"frame -?\d+")
_LONGEST = 400
"""Most characters of a message: some of them are the sender's."""
_SHOWN = 8
"""Most frames that a message lists."""


class EventKind(StrEnum):
    """Kind of what a receiver reports."""

    LISTENING = "listening"
    BEGUN = "begun"
    WHOLE = "whole"
    FAULT = "fault"
    FATAL = "fatal"


@dataclass(frozen=True)
class StreamEvent:
    """Event that a receiver reports.

    Args:
        kind: Kind.
        name: Name of the scan; empty where none is known.
        file: Name of the scan's file in the folder.
        text: Message for people.
    """

    kind: EventKind
    name: str = ""
    file: str = ""
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "StreamEvent":
        """Convert from plain values."""
        return cls(EventKind(content["kind"]), content["name"], content["file"], content["text"])


@dataclass
class _OpenScan:
    """Scan of which frames are still to come."""

    scan: FrameScan
    name: str
    writer: GrowingWriter
    received: np.ndarray
    touched: float
    is_reported: bool = False

    @property
    def progress(self) -> str:
        return f"{int(self.received.sum())} of {self.scan.frames} frames"


@dataclass
class FrameReceiver:
    """Receiver of messages.

    Args:
        folder: Folder of the files.
        report: Callback for each event.
        timeout: [s] Time without a message after which a scan counts as interrupted.
        clock: Function that gives the time in seconds.
    """

    folder: Path
    report: Callable[[StreamEvent], None]
    timeout: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _open: dict[str, _OpenScan] = field(default_factory=dict)
    _done: dict[str, str] = field(default_factory=dict)
    _faults: Counter[str] = field(default_factory=Counter)

    def resume(self) -> None:
        """Take up the scans that an earlier process left, and list those that are whole."""
        for path in sorted(self.folder.glob("*.h5"), key=lambda path: natural_order(path.name)):
            if not PARTIAL.fullmatch(path.name):
                self._note_done(path)
        for path, state in self._partial_files():
            if state.scan.identity in self._done:
                path.unlink()
            elif state.scan.identity not in self._open:
                self._take_up(path, state)

    def receive(self, parts: Parts) -> None:
        """Receive a message."""
        try:
            message = decode(parts)
            if isinstance(message, FrameScan):
                self._begin(message)
            elif isinstance(message, FrameMessage):
                self._write(message)
            else:
                self._end(message)
        except DataError as error:
            text = str(error.faults[0])
            self._fault(text, key=_FRAME.sub("frame", text))
        except Exception as error:  # Whatever a sender writes, the next scan is to be received.
            self._fault(f"a message cannot be used: {type(error).__name__}: {error}")

    def check_timeouts(self) -> None:
        """Report the scans of which nothing has come for long, once each."""
        for one in self._open.values():
            if not one.is_reported and self.clock() - one.touched > self.timeout:
                one.is_reported = True
                text = f"nothing came for {self.timeout:g} s, and {one.progress} are there"
                self._fault(f"{one.name}: {text}; it goes on when the others come", one.name)

    def close(self) -> None:
        """Close all files."""
        for one in self._open.values():
            one.writer.close()
        self._open.clear()

    # Messages

    def _begin(self, scan: FrameScan) -> None:
        if scan.identity in self._done:
            name = self._done[scan.identity]
            self._fault(f"{name}: it was received whole before, and is left as it is", name)
            return
        if (known := self._open.get(scan.identity)) is not None:
            if _layout(known.scan) != _layout(scan):
                self._fault(f"{known.name}: a second header differs from the first, and is ignored", known.name)
            known.touched, known.is_reported = self.clock(), False
            return
        for other in self._open.values():
            text = f"{scan.name} begins before it ended: {other.progress} are there; send the others again"
            self._fault(f"{other.name}: {text}", other.name)
            other.is_reported = True
        name = self._free_name(scan.name)
        self._add(scan, name, GrowingWriter(self._partial(name, 0), scan, marked=True))

    def _write(self, message: FrameMessage) -> None:
        if message.scan in self._done:
            return
        one = self._open.get(message.scan)
        if one is None:
            self._fault(f"a frame of an unknown scan ({message.scan}): its header did not arrive; send the scan again")
            return
        one.touched, one.is_reported = self.clock(), False
        entries = message.entries(one.scan)
        if one.received[message.index]:
            before = one.writer.read(message.index)
            if any(a.tobytes() != b.tobytes() for a, b in zip(before, entries, strict=True)):
                text = "came twice, with different contents: the first is kept"
                key = f"{one.name}: {text}"
                self._fault(f"{one.name}: frame {message.index} {text}", one.name, key)
            return
        one.writer.write(message.index, entries)
        one.received[message.index] = True
        if one.received.all():
            self._finish(one)

    def _end(self, message: EndMessage) -> None:
        one = self._open.get(message.scan)
        if one is None:
            if message.scan not in self._done:
                self._fault(f"the end of an unknown scan ({message.scan}): its header did not arrive")
            return
        missing = [str(i) for i in np.flatnonzero(~one.received)]
        listed = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        one.is_reported = True
        text = f"it ended, and {len(missing)} of {one.scan.frames} frames did not arrive ({listed}); send it again"
        self._fault(f"{one.name}: {text}", one.name)

    def _finish(self, one: _OpenScan) -> None:
        """Turn the growing file into an acquisition."""
        one.writer.close()
        del self._open[one.scan.identity]
        file = self.folder / f"{one.name}.h5"
        collect(one.writer.path, file)
        one.writer.path.unlink()
        self._done[one.scan.identity] = one.name
        self.report(StreamEvent(EventKind.WHOLE, one.name, file.name, f"{one.scan.frames} frames"))

    # Files

    def _add(self, scan: FrameScan, name: str, writer: GrowingWriter, received: np.ndarray | None = None) -> None:
        received = np.zeros(scan.frames, bool) if received is None else received
        one = self._open[scan.identity] = _OpenScan(scan, name, writer, received, self.clock())
        self.report(StreamEvent(EventKind.BEGUN, name, writer.path.name, one.progress))

    def _take_up(self, path: Path, state: GrowingState) -> None:
        """Go on with a scan that an earlier process left."""
        match = PARTIAL.fullmatch(path.name)
        if match is None:
            return
        name = match["name"]
        later = GrowingWriter(self._partial(name, int(match["number"]) + 1), state.scan, marked=True)
        for index, entries in _frames_of(path, state):
            later.write(index, entries)
        path.unlink()
        self._add(state.scan, name, later, state.received.copy())
        one = self._open[state.scan.identity]
        if one.received.all():
            self._finish(one)
        else:
            self._fault(f"{name}: {one.progress} were received before; it goes on when the others come", name)

    def _partial_files(self) -> Iterator[tuple[Path, GrowingState]]:
        """Iterate over the files of scans under way, those with most frames first."""
        states = []
        for path in self.folder.glob("*.h5"):
            if PARTIAL.fullmatch(path.name):
                try:
                    state = read_growing(path)
                except DataError:
                    state = None
                if state is None:
                    self._fault(f"{path.name} is damaged, and set aside; send its scan again")
                    path.rename(path.with_suffix(".damaged"))
                else:
                    states.append((path, state))
        yield from sorted(states, key=lambda one: -one[1].count)

    def _note_done(self, path: Path) -> None:
        try:
            with open_checked(path, FORMAT) as file:
                self._done[text_of(file.attrs.get(SCAN, path.name))] = path.stem
        except DataError as error:
            self._fault(str(error.faults[0]))

    def _partial(self, name: str, number: int) -> Path:
        return self.folder / f"{name}.partial-{number}.h5"

    def _free_name(self, name: str) -> str:
        """Name for a scan's files that is valid anywhere and not taken."""
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_+") else "_" for c in name[:80]).strip("_")
        taken = {one.name.casefold() for one in self._open.values()} | {name.casefold() for name in self._done.values()}
        names = (plain or "scan", *(f"{plain or 'scan'}-{number}" for number in range(2, len(taken) + 3)))
        return next(each for each in names if each.casefold() not in taken)

    def _fault(self, text: str, name: str = "", key: str = "") -> None:
        """Report a fault; one that comes often, at its first, tenth, hundredth time.

        Args:
            text: Description, perhaps with words of the sender.
            name: Name of the scan; empty where none is known.
            key: Text by which a fault is known again; the description by default.
        """
        self._faults[key or text] += 1
        count = self._faults[key or text]
        if str(count).strip("0") == "1":
            often = f" ({count} times)" if count > 1 else ""
            plain = "".join(c if c.isprintable() else "?" for c in text[:_LONGEST])
            self.report(StreamEvent(EventKind.FAULT, name, "", f"{plain}{often}"))


def _layout(scan: FrameScan) -> tuple[object, ...]:
    return scan.frames, [(array.path, array.dtype, array.shape) for array in (*scan.frame_arrays, *scan.fixed)]


def _frames_of(path: Path, state: GrowingState) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Read the frames that a file of an earlier process holds."""
    import h5py

    with h5py.File(path, "r", libver="latest", swmr=True) as file:
        datasets = [file[array.path] for array in state.scan.frame_arrays]
        for index in np.flatnonzero(state.received):
            yield int(index), [np.asarray(dataset[index]) for dataset in datasets]
