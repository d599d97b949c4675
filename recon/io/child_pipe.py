"""Messages of a child over a pipe: signs of progress, the result of a task in JSON, and the bytes of arrays.

Nothing in them can run code, whatever happened to the child that sent them.
"""

import json
import os
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..errors import DataError, Diagnostic

IDLE_LIMIT = 5.0
"""[s] Time after which a child that reports nothing is ended."""
_DISK_LIMIT = 120.0
"""[s] The same for a child that waits for a slow disk, where the system tells."""
_HEAD = struct.Struct("<cQ")
PROGRESS, RESULT, ARRAY = b"p", b"r", b"a"


class ChildError(RuntimeError):
    """A task that failed: it raised an error, or its process crashed, hung, or needed too much memory."""


class ChildMemoryError(ChildError, MemoryError):
    """A task that needed more memory than it was granted."""


class CrashError(ChildError):
    """A task whose process crashed or hung."""


def send(target: int, tag: bytes, content: bytes | memoryview) -> None:
    """Send one message: its tag, its length, its content."""
    for part in (memoryview(_HEAD.pack(tag, len(content))), memoryview(content)):
        done = 0
        while done < len(part):
            done += os.write(target, part[done : done + (1 << 20)])


def bytes_of(array: np.ndarray) -> memoryview:
    """Return the memory of a contiguous array."""
    return array.reshape(-1).view(np.uint8).data if array.nbytes else memoryview(bytearray())


@runtime_checkable
class MessageReader(Protocol):
    """Source of the bytes of an answer."""

    def fill(self, buffer: memoryview) -> None:
        """Fill a buffer; raise `EOFError` at the end of the answer, `CrashError` if nothing comes for long."""


@dataclass(frozen=True)
class PipeReader:
    """Pipe that is waited for.

    Args:
        source: The pipe.
        process: Number of the process that writes to it.
    """

    source: int
    process: int

    def fill(self, buffer: memoryview) -> None:
        """Fill a buffer."""
        import select

        done = 0
        while done < len(buffer):
            waited = 0.0
            while not select.select([self.source], [], [], IDLE_LIMIT)[0]:
                waited += IDLE_LIMIT
                if waited > _DISK_LIMIT or not _waits_for_disk(self.process):
                    raise CrashError(f"its reader did not go on for {waited:g} s")
            part = os.read(self.source, min(len(buffer) - done, 1 << 20))
            if not part:
                raise EOFError
            buffer[done : done + len(part)] = part
            done += len(part)


def _waits_for_disk(process: int) -> bool:
    """Whether Linux says that a process waits for a disk."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "D"
    return False


class ThreadReader:
    """Pipe that a thread reads: on Windows nothing waits for a pipe with a limit of time."""

    def __init__(self, source: int) -> None:
        from queue import Queue

        self._source = source
        self._queue: Queue[bytes] = Queue(64)
        self._rest = memoryview(b"")
        threading.Thread(target=self._pump, daemon=True).start()

    def _pump(self) -> None:
        part = b"."
        while part:
            try:
                part = os.read(self._source, 1 << 20)
            except OSError:
                part = b""
            self._queue.put(part)

    def fill(self, buffer: memoryview) -> None:
        """Fill a buffer."""
        from queue import Empty

        done = 0
        while done < len(buffer):
            if not self._rest:
                try:
                    self._rest = memoryview(self._queue.get(timeout=IDLE_LIMIT))
                except Empty:
                    raise CrashError(f"its reader did not go on for {IDLE_LIMIT:g} s") from None
                if not self._rest:
                    raise EOFError
            part = self._rest[: len(buffer) - done]
            buffer[done : done + len(part)] = part
            self._rest = self._rest[len(part) :]
            done += len(part)


def receive(reader: MessageReader) -> tuple[Any, list[np.ndarray]]:
    """Receive the answer to one task.

    Raises:
        ChildError: If the task failed.
        DataError: If the task raised one.
        EOFError: If the child ended without an answer.
    """
    tag, content = PROGRESS, b""
    while tag == PROGRESS:
        tag, content = _frame(reader)
    answer = json.loads(content)
    if "faults" in answer:
        raise DataError(*(Diagnostic(*fault) for fault in answer["faults"]))
    if "memory" in answer:
        raise ChildMemoryError(answer["memory"])
    if "error" in answer:
        raise ChildError(answer["error"])
    arrays = []
    for dtype, shape in answer["arrays"]:
        array = np.empty(shape, np.dtype(dtype))
        head = bytearray(_HEAD.size)
        reader.fill(memoryview(head))
        reader.fill(bytes_of(array))
        arrays.append(array)
    return answer["value"], arrays


def _frame(reader: MessageReader) -> tuple[bytes, bytes]:
    head = bytearray(_HEAD.size)
    reader.fill(memoryview(head))
    tag, length = _HEAD.unpack(head)
    content = bytearray(length)
    reader.fill(memoryview(content))
    return tag, bytes(content)


def _read_exactly(source: int, count: int) -> bytes:
    content = b""
    while len(content) < count:
        part = os.read(source, count - len(content))
        if not part:
            raise EOFError
        content += part
    return content


def read_request(source: int) -> Any:
    """Read one message in JSON.

    Raises:
        EOFError: If there is none any more.
    """
    head = _read_exactly(source, _HEAD.size)
    return json.loads(_read_exactly(source, _HEAD.unpack(head)[1]))
