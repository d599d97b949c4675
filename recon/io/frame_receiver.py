"""Receiver of frames: messages in any order to growing files, each of which becomes an acquisition when it is whole.

A scan that is under way is the file ``NAME.partial-0.h5``, which survives the end of the process: the frames that it
holds need not be sent again. A new process goes on in a copy with the next number.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import DataError
from .file_names import natural_order
from .frame_messages import EndMessage, FrameMessage, Parts, decode
from .frame_scan import SCAN, FrameScan
from .growing_file import GrowingWriter, read_frames
from .growing_state import GrowingState, read_growing
from .hdf5_common import open_checked, text_of
from .open_scan import OpenScan, RepeatedScan, has_header, is_same_header
from .received_files import PARTIAL, free_name, name_of, next_partial
from .stream_events import EventKind, FaultLog, StreamEvent
from .write import FORMAT

_FRAME = re.compile(r"frame -?\d+")
_SHOWN = 8
"""Most frames that a message lists."""
_MOST_OPEN = 16
"""Most scans under way."""
_RETRY, _SIGN = 5.0, 5.0
"""[s] Time between two attempts to finish a scan, and between two signs of life while files are read."""


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
    _open: dict[str, OpenScan] = field(default_factory=dict)
    _done: dict[str, list[str]] = field(default_factory=dict)
    _repeated: dict[str, RepeatedScan] = field(default_factory=dict)
    _signed: float = 0.0

    def __post_init__(self) -> None:
        self._faults = FaultLog(self.report)

    @property
    def is_broken(self) -> bool:
        """Whether a file could not be written: HDF5 may lose what is written later, and a new process is to go on."""
        return any(one.writer.is_broken for one in self._open.values())

    def resume(self) -> None:
        """Take up the scans that an earlier process left, and list those that are whole."""
        for path in sorted(self.folder.glob("*.h5"), key=lambda path: natural_order(path.name)):
            self._give_sign()
            if not PARTIAL.fullmatch(path.name):
                self._note_done(path)
        for path, state in self._partial_files():
            name, known = name_of(path), self._open.get(state.scan.identity)
            if known is None and name not in self._done.get(state.scan.identity, ()):
                try:
                    self._take_up(path, state)
                except DataError as error:
                    self._faults.note(f"{name}: {error.faults[0]}", name)
            elif known is None or (known.name == name and not (state.received & ~known.received).any()):
                path.unlink()  # A copy that was not finished, or one of what is whole.

    def receive(self, parts: Parts) -> None:
        """Receive a message, unless a file is broken."""
        if self.is_broken:
            return
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
            self._faults.note(text, key=_FRAME.sub("frame", text))
        except Exception as error:  # Whatever a sender writes, the next scan is to be received.
            self._faults.note(f"a message cannot be used: {type(error).__name__}: {error}")

    def check_timeouts(self) -> None:
        """Report the scans of which nothing has come for long, once each; finish those that could not be finished."""
        for one in list(self._open.values()):
            quiet = self.clock() - one.touched
            if one.is_whole and quiet > _RETRY:
                one.touch(self.clock())
                try:
                    self._finish(one)
                except DataError as error:
                    self._faults.note(f"{one.name}: {error.faults[0]}", one.name)
            elif not one.is_reported and quiet > self.timeout:
                one.is_reported = True
                text = f"nothing came for {self.timeout:g} s, and {one.progress} are there"
                self._faults.note(f"{one.name}: {text}; it goes on when the others come", one.name)

    def close(self) -> None:
        """Close all files."""
        for one in self._open.values():
            try:
                one.writer.close()
            except DataError as error:
                self._faults.note(f"{one.name}: {error.faults[0]}", one.name)
        self._open.clear()

    # Messages

    def _begin(self, scan: FrameScan) -> None:
        known = self._open.get(scan.identity)
        if known is not None and (known.is_whole or is_same_header(known.scan, scan)):
            known.again = {}
            known.touch(self.clock())
            return
        if known is not None:
            self._set_aside(known, "a header of another measurement came under its identity")
        else:
            files = [self.folder / f"{name}.h5" for name in self._done.get(scan.identity, ())]
            if same := [file for file in files if has_header(file, scan)]:
                self._repeated[scan.identity] = RepeatedScan(scan, same)
                return
        self._open_new(scan)

    def _open_new(self, scan: FrameScan) -> OpenScan:
        """Begin to receive a scan, beside those that are under way."""
        name = free_name(self.folder, scan.name)
        unfinished = [one for one in self._open.values() if not one.is_whole]
        for other in unfinished:
            text = f"{name} begins before it ended: {other.progress} are there; send the others again"
            self._faults.note(f"{other.name}: {text}", other.name)
            other.is_reported = True
        if len(unfinished) >= _MOST_OPEN:
            self._set_aside(min(unfinished, key=lambda one: one.touched), "too many scans are under way")
        return self._add(scan, name, GrowingWriter(next_partial(self.folder, name), scan, marked=True))

    def _write(self, message: FrameMessage) -> None:
        one = self._open.get(message.scan)
        if one is None:
            self._write_without(message)
            return
        one.touch(self.clock())
        entries = message.entries(one.scan)
        if not one.writer.is_open:  # It is whole.
            return
        if one.received[message.index]:
            if one.holds(message.index, entries):
                if one.again is not None:
                    one.again.setdefault(message.index, False)
                return
            if one.again is None:
                key = f"{one.name}: came twice, with different contents: the first is kept"
                self._faults.note(key.replace(": came", f": frame {message.index} came"), one.name, key)
                return
            frames = one.take_away()
            self._set_aside(one, "other frames came under its identity after a second header")
            one = self._open_new(one.scan)
            self._store(one, frames)
        self._store(one, {message.index: entries})

    def _store(self, one: OpenScan, frames: Mapping[int, Sequence[np.ndarray]]) -> None:
        """Write frames of a scan, and finish it if they are the last."""
        for index, entries in frames.items():
            one.write(index, entries)
        if one.is_whole:
            self._finish(one)

    def _write_without(self, message: FrameMessage) -> None:
        """Compare a frame with a scan that is whole; one that differs begins another scan."""
        repeated = self._repeated.get(message.scan)
        if repeated is None:
            if message.scan not in self._done:
                text = f"a frame of an unknown scan ({message.scan}): its header did not arrive; send the scan again"
                self._faults.note(text, key="a frame of an unknown scan")
            return
        entries = message.entries(repeated.scan)
        if repeated.take(message.index, entries):
            if repeated.is_whole:
                self._leave(message.scan)
            return
        del self._repeated[message.scan]
        one = self._open_new(repeated.scan)
        text = f"it came under the identity of {repeated.files[0].stem}, with other frames: it is another scan"
        self._faults.note(f"{one.name}: {text}", one.name)
        self._store(one, repeated.frames() | {message.index: entries})

    def _end(self, message: EndMessage) -> None:
        if message.scan in self._repeated:
            self._leave(message.scan)
        one = self._open.get(message.scan)
        if one is None:
            if message.scan not in self._done:
                text = f"the end of an unknown scan ({message.scan}): its header did not arrive"
                self._faults.note(text, key="the end of an unknown scan")
            return
        missing = [str(i) for i in np.flatnonzero(~one.received)]
        if missing:
            listed = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
            one.is_reported = True
            text = f"it ended, and {len(missing)} of {one.scan.frames} frames did not arrive ({listed}); send it again"
            self._faults.note(f"{one.name}: {text}", one.name)

    def _leave(self, identity: str) -> None:
        """Leave a scan that is whole as it is: it came once more."""
        name = self._repeated.pop(identity).files[0].stem
        self._faults.note(f"{name}: it was received whole before, and is left as it is", name)

    def _finish(self, one: OpenScan) -> None:
        """Turn the growing file into an acquisition; the scan stays open until that succeeds."""
        file = self.folder / f"{one.name}.h5"
        if file.exists():
            one.name = free_name(self.folder, one.name)
            file = self.folder / f"{one.name}.h5"
        one.writer.finish(file)
        del self._open[one.scan.identity]
        self._done.setdefault(one.scan.identity, []).append(one.name)
        self.report(StreamEvent(EventKind.WHOLE, one.name, file.name, f"{one.scan.frames} frames"))

    def _set_aside(self, one: OpenScan, reason: str) -> None:
        """Close a scan that will not be whole."""
        del self._open[one.scan.identity]
        with suppress(DataError):
            one.writer.close()
        aside = one.writer.path.with_suffix(".incomplete")
        one.writer.path.rename(aside)
        self._faults.note(f"{one.name}: {reason}: {one.progress} are there, and stay in {aside.name}", one.name)

    # Files

    def _add(self, scan: FrameScan, name: str, writer: GrowingWriter, received: np.ndarray | None = None) -> OpenScan:
        received = np.zeros(scan.frames, bool) if received is None else received
        one = self._open[scan.identity] = OpenScan(scan, name, writer, received, self.clock())
        self.report(StreamEvent(EventKind.BEGUN, name, writer.path.name, one.progress))
        return one

    def _take_up(self, path: Path, state: GrowingState) -> None:
        """Go on in a copy with a scan that an earlier process left, with the frames that the disk has kept."""
        name = name_of(path)
        later = GrowingWriter(next_partial(self.folder, name), state.scan, marked=True)
        received = np.zeros(state.total, bool)
        try:
            for index, entries in read_frames(path, state):
                self._give_sign()
                later.write(index, entries)
                received[index] = True
        except DataError:
            with suppress(DataError):
                later.close()
            later.path.unlink()
            raise
        path.unlink()
        one = self._add(state.scan, name, later, received)
        if one.is_whole:
            self._finish(one)
        else:
            self._faults.note(f"{name}: {one.progress} were received before; it goes on when the others come", name)

    def _give_sign(self) -> None:
        """Report that the process works, now and then."""
        if self.clock() - self._signed > _SIGN:
            self._signed = self.clock()
            self.report(StreamEvent(EventKind.ALIVE))

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
                    self._faults.note(f"{path.name} is damaged, and set aside; send its scan again")
                    path.rename(path.with_suffix(".damaged"))
                else:
                    states.append((path, state))
        yield from sorted(states, key=lambda one: -one[1].count)

    def _note_done(self, path: Path) -> None:
        try:
            with open_checked(path, FORMAT) as file:
                self._done.setdefault(text_of(file.attrs.get(SCAN, path.name)), []).append(path.stem)
        except DataError as error:
            self._faults.note(str(error.faults[0]))
