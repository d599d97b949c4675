"""Messages between processes: a value that JSON can hold, and arrays by name, over a socket."""

import json
import math
import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_SIZES = struct.Struct(">4sIQ")
_MAGIC = b"unfl"
LONGEST_GREETING = 4 << 20
"""[byte] Largest message of a process that is not known yet."""
_IDLE, _INTERVAL, _PROBES = 5, 3, 4
"""[s], [s], number: silence, and probes after it, until the system takes the other machine for dead."""


@dataclass(frozen=True)
class Message:
    """Message.

    Args:
        kind: Kind of the message: ``data``, ``failed``, ``lost``, ``ended``, ``hello``, ``welcome`` or ``refused``.
        value: Value that JSON can hold.
        arrays: Arrays by name.
    """

    kind: str
    value: Any = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def send(connection: socket.socket, message: Message) -> None:
    """Send a message.

    Raises:
        OSError: If the connection is lost.
    """
    arrays = {name: np.asarray(array) for name, array in message.arrays.items()}
    described = [[name, array.dtype.str, array.shape] for name, array in arrays.items()]
    head = json.dumps([message.kind, message.value, described]).encode()
    size = sum(array.nbytes for array in arrays.values())
    connection.sendall(_SIZES.pack(_MAGIC, len(head), size) + head)
    for array in arrays.values():
        if array.nbytes:
            connection.sendall(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def receive(connection: socket.socket, most: int | None = None) -> Message | None:
    """Receive a message; None when the other side has closed the connection.

    Args:
        connection: Connection.
        most: [byte] Largest message; None for any.

    Raises:
        OSError: If the connection is lost, or the other side is none of unflat.
    """
    start = _read(connection, _SIZES.size)
    if start is None:
        return None
    magic, length, size = _SIZES.unpack(start)
    if magic != _MAGIC or (most is not None and length + size > most):
        raise ConnectionError("not a message of unflat")
    head, payload = _read(connection, length), _read(connection, size)
    if head is None or payload is None:
        raise ConnectionError("the connection ended within a message")
    kind, value, described = json.loads(head)
    arrays, offset = {}, 0
    for name, dtype, shape in described:
        count = math.prod(shape)
        arrays[name] = np.frombuffer(payload, dtype, count, offset).reshape(shape)
        offset += arrays[name].nbytes
    return Message(kind, value, arrays)


def keep_watch(connection: socket.socket) -> None:
    """Have the system probe the other side of a connection, so that the end of its machine is noticed in 20 s."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPINTVL": _INTERVAL, "TCP_KEEPCNT": _PROBES}
    options["TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE"] = _IDLE
    options["TCP_USER_TIMEOUT"] = 1000 * (_IDLE + _INTERVAL * _PROBES)
    for name, value in options.items():
        with suppress(OSError, AttributeError):  # Not every system has them all.
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _read(connection: socket.socket, count: int) -> bytearray | None:
    """Read so many bytes; None if the connection was closed before the first."""
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        got = connection.recv_into(view[done:], min(count - done, 1 << 24))
        if not got:
            if done:
                raise ConnectionError("the connection ended within a message")
            return None
        done += got
    return data
