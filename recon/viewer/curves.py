"""Curves of runs from ``metrics.jsonl``: what was added since the last look is read, and thinned as it grows."""

import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import DataError
from ..io.json_text import parse_json
from .files import open_inside

MOST_POINTS = 500
"""Largest number of points of a curve."""
FILE = "metrics.jsonl"
_COUNTERS = ("step", "start", "stage", "fit", "tile", "member", "seconds")
"""Entries of a record that tell its place and are no curves."""
_PARTS = ("fit", "tile", "member")
"""Entries that number the fits of a run, each with steps of its own."""
_FILES = 32
"""Number of files whose curves are stored."""
_CHUNK = 1 << 20
_LONGEST_LINE = 1 << 24
_HEAD = 512
"""[byte] Beginning of a file by which it is known again: inodes of deleted files are reused."""

Point = list[float]
Gap = list[float | None]
"""A step without a value."""


class Curve:
    """Points at regular intervals, which double as the curve grows, and the last point."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._last: Point = []
        self._count, self._stride = 0, 1

    def append(self, point: Point) -> None:
        """Add a point."""
        if self._count % self._stride == 0:
            self._points.append(point)
            if len(self._points) > 2 * MOST_POINTS:
                self._points, self._stride = self._points[::2], 2 * self._stride
        self._last = point
        self._count += 1

    def thin(self, most: int) -> list[Point]:
        """Select at most some points, with the first and the last."""
        points = self._points if self._points[-1] is self._last else [*self._points, self._last]
        if len(points) <= most:
            return points
        return [points[i] for i in np.linspace(0, len(points) - 1, most).round().astype(int)]


def _join(parts: Collection[Curve]) -> list[Point | Gap]:
    """Join the curves of several fits, with a gap between each two, so that no line is drawn from one to the next."""
    joined: list[Point | Gap] = []
    for part in parts:
        points = part.thin(max(MOST_POINTS // len(parts), 2))
        joined += [[points[0][0], None], *points] if joined else points
    return joined


class _CurveFile:
    """Curves of one file, as far as it has been read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start(0, b"")

    def _start(self, inode: int, head: bytes) -> None:
        self._inode, self._head = inode, head
        self._offset = self._records = 0
        self._curves: dict[str, dict[tuple[str, ...], Curve]] = {}
        self.axis = "step"

    def read(self, run: Path) -> dict[str, list[Point | Gap]]:
        """Read what is new, and return the curves by name.

        Raises:
            DataError: If the file leads out of the run.
            OSError: If it cannot be read.
        """
        with self._lock, open_inside(run, FILE) as stream:
            status = os.fstat(stream.fileno())
            head = stream.read(_HEAD)
            if status.st_ino != self._inode or status.st_size < self._offset or not head.startswith(self._head):
                self._start(status.st_ino, b"")
            stream.seek(self._offset)
            for line in self._whole_lines(stream):
                self._add(line)
            self._head = head[: self._offset]
            return {name: _join(parts.values()) for name, parts in self._curves.items()}

    def _whole_lines(self, stream: BinaryIO) -> Iterator[bytes]:
        """Yield the lines that end; the rest is read when it is whole."""
        rest = b""
        while chunk := stream.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._offset += len(line) + 1
                yield line
            if len(rest) > _LONGEST_LINE:
                raise DataError(f"{FILE}: a line of more than {_LONGEST_LINE >> 20} MB")

    def _add(self, line: bytes) -> None:
        """Add a record: over the number of the start of a phase retrieval, or the step."""
        try:
            record = parse_json(line)
        except ValueError:
            return
        if not isinstance(record, Mapping):
            return
        self.axis = next((name for name in ("start", "step") if name in record), self.axis)
        step, part = record.get(self.axis, self._records), tuple(str(record.get(name)) for name in _PARTS)
        self._records += 1
        if not is_number(step):
            return
        for name, value in record.items():
            if name not in _COUNTERS and is_number(value):
                self._curves.setdefault(str(name), {}).setdefault(part, Curve()).append([float(step), float(value)])


class CurveCache:
    """Curves of the runs that were looked at last."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, _CurveFile] = OrderedDict()
        self._lock = threading.Lock()

    def axis(self, run: Path) -> str:
        """Name of what the points of a run's curves are numbered by: ``step``, or ``start``, which are no line."""
        return self._file(run).axis

    def _file(self, run: Path) -> _CurveFile:
        with self._lock:
            file = self._files.setdefault(run, _CurveFile())
            self._files.move_to_end(run)
            while len(self._files) > _FILES:
                self._files.popitem(last=False)
            return file

    def get(self, run: Path) -> dict[str, list[Point | Gap]]:
        """Curves of a run by name, as they are now; empty where there are none."""
        try:
            return self._file(run).read(run)
        except (OSError, DataError):
            return {}


def is_number(value: object) -> bool:
    """Whether an entry of a record is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
