"""Scans that a receiver of frames knows: those of which frames are still to come, and those that come once more.

Frames of two measurements are never mixed, though their sender gives both one identity: what comes after a header that
has come before is compared with what is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .frame_scan import FRAMES, SCAN, FrameScan, describe_file, plain_value
from .growing_file import GrowingWriter
from .hdf5_common import open_checked
from .write import FORMAT


@dataclass
class OpenScan:
    """Scan of which frames are still to come.

    Args:
        scan: Everything but the frames.
        name: Name of its files.
        writer: Writer of its growing file.
        received: Whether each frame is there.
        touched: [s] Time of the last message.
        is_reported: Whether its interruption has been reported.
        again: Frames since its header came again, and whether each was new; None while it has come once.
    """

    scan: FrameScan
    name: str
    writer: GrowingWriter
    received: np.ndarray
    touched: float
    is_reported: bool = False
    again: dict[int, bool] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all frames are there."""
        return bool(self.received.all())

    @property
    def progress(self) -> str:
        """Number of frames in words."""
        return f"{int(self.received.sum())} of {self.scan.frames} frames"

    def touch(self, time: float) -> None:
        """Note that a message came."""
        self.touched, self.is_reported = time, False

    def write(self, index: int, entries: Sequence[np.ndarray]) -> None:
        """Write a frame.

        Raises:
            DataError: If the disk refuses.
        """
        self.writer.write(index, entries)
        self.received[index] = True
        if self.again is not None:
            self.again[index] = True

    def holds(self, index: int, entries: Sequence[np.ndarray]) -> bool:
        """Whether a frame that is there has the same contents."""
        return _are_same(self.writer.read(index), entries)

    def take_away(self) -> dict[int, list[np.ndarray]]:
        """Take away the frames since the header came again: they are of another measurement."""
        frames = {index: self.writer.read(index) for index in self.again or ()}
        for index, is_new in (self.again or {}).items():
            if is_new:
                self.writer.forget(index)
                self.received[index] = False
        return frames


@dataclass
class RepeatedScan:
    """Scan that comes with the identity of others that are whole.

    Args:
        scan: Everything but the frames.
        files: Files of the whole ones that have the same frames so far, and the same header.
        indices: Frames that have come.
    """

    scan: FrameScan
    files: list[Path]
    indices: set[int] = field(default_factory=set)

    @property
    def is_whole(self) -> bool:
        """Whether all frames have come, and are the same."""
        return len(self.indices) == self.scan.frames

    def take(self, index: int, entries: Sequence[np.ndarray]) -> bool:
        """Compare a frame.

        Returns:
            Whether there is still a file with the same frames.
        """
        same = [file for file in self.files if _file_holds(file, self.scan, index, entries)]
        if same:
            self.files = same
            self.indices.add(index)
        return bool(same)

    def frames(self) -> dict[int, list[np.ndarray]]:
        """Read the frames that have come.

        Raises:
            DataError: If the file cannot be read.
        """
        with open_checked(self.files[0], FORMAT) as file:
            return {i: [np.asarray(file[a.path][i]) for a in self.scan.frame_arrays] for i in sorted(self.indices)}


def has_header(path: Path, scan: FrameScan) -> bool:
    """Whether a file holds a whole scan with the same header."""
    try:
        with open_checked(path, FORMAT) as file:
            moving = [array.path for array in scan.frame_arrays]
            if any(path not in file or len(file[path]) != scan.frames for path in moving):
                return False
            return is_same_header(describe_file(file, moving, scan.frames, scan.name), scan)
    except DataError:
        return False


def is_same_header(one: FrameScan, other: FrameScan) -> bool:
    """Whether all is the same that two headers tell of their scans, but for names and identities."""
    return _header(one) == _header(other)


def _header(scan: FrameScan) -> tuple[object, ...]:
    groups = {path: _plain(attributes) for path, attributes in scan.groups.items()}
    moving = [(array.path, array.dtype, array.shape, _plain(array.attributes)) for array in scan.frame_arrays]
    values = zip(scan.fixed, scan.values, strict=True)
    fixed = sorted((a.path, a.dtype, a.shape, _content(v), _plain(a.attributes)) for a, v in values)
    return scan.frames, sorted((path, text) for path, text in groups.items() if text != "[]"), moving, fixed


def _content(value: np.ndarray) -> bytes:
    return repr(value.tolist()).encode() if value.dtype.kind == "O" else value.tobytes()


def _plain(attributes: Mapping[str, Any]) -> str:
    return repr(sorted((name, plain_value(value)) for name, value in attributes.items() if name not in (SCAN, FRAMES)))


def _are_same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


def _file_holds(path: Path, scan: FrameScan, index: int, entries: Sequence[np.ndarray]) -> bool:
    try:
        with open_checked(path, FORMAT) as file:
            return _are_same([np.asarray(file[array.path][index]) for array in scan.frame_arrays], entries)
    except DataError:
        return False
