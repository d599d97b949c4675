"""ZeroMQ stream of frames: the sender (PUSH), and the process that receives them (PULL) beside the computing one.

The receiver binds an address and senders connect to it. It is a process of its own, so that a long computation loses no
frame; it ends, with its files in order, when the process that started it is gone.
"""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from ..errors import ConfigError, DataError, Diagnostic
from .child_start import start_child
from .frame_messages import LARGEST, encode_end, encode_frame, encode_header
from .frame_receiver import FrameReceiver
from .frame_scan import FrameSource
from .stream_events import EventKind, StreamEvent

_IN_FLIGHT = 4
"""Messages that a sender queues ahead of the receiver, and the receiver ahead of its work: they are lost with it."""
_LOOK = 100
"""[ms] Time between two looks at whether a receiver is to end."""
_START = 60.0
"""[s] Longest time in which a receiver starts."""


def require_zmq() -> Any:
    """Import pyzmq.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import zmq
    except ImportError as error:
        raise ConfigError("a stream of frames needs pyzmq: pip install 'unflat[stream]'") from error
    return zmq


def send_frames(
    source: FrameSource,
    address: str,
    wait: Callable[[int], None],
    timeout: float = 60.0,
) -> None:
    """Send a scan to a receiver.

    Args:
        source: The scan.
        address: Address of the receiver, ``tcp://HOST:PORT``.
        wait: Callback before each frame, which keeps the rhythm.
        timeout: [s] Longest time in which nobody takes a message.

    Raises:
        ConfigError: If the address is none, or pyzmq is not installed.
        DataError: If nobody takes the messages.
    """
    zmq = require_zmq()
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, _IN_FLIGHT)
        socket.setsockopt(zmq.SNDTIMEO, round(1000 * timeout))
        socket.setsockopt(zmq.LINGER, round(1000 * timeout))
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            raise ConfigError(_address_fault(address, error)) from error
        try:
            socket.send_multipart(encode_header(source.scan))
            for index in range(source.scan.frames):
                wait(index)
                socket.send_multipart(encode_frame(source.scan.identity, index, source.frame(index)))
            socket.send_multipart(encode_end(source.scan.identity))
        except zmq.Again as error:
            socket.setsockopt(zmq.LINGER, 0)
            message = f"nobody took a frame for {timeout:g} s"
            raise DataError(Diagnostic(address, message, "start 'unflat watch' at this address first")) from error


def _address_fault(address: str, error: Any) -> Diagnostic:
    reason = str(error).partition(" (addr")[0].strip(".").lower()
    if error.errno == errno.EADDRINUSE:
        remedy = "end the program that listens there, or choose another port"
        return Diagnostic(address, f"is in use by another program ({reason})", remedy)
    if error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
        return Diagnostic(address, f"is no address of this machine ({reason})", "write it as tcp://127.0.0.1:5555")
    return Diagnostic(address, f"is no address of a stream ({reason})", "write it as tcp://127.0.0.1:5555")


class StreamReceiver:
    """Process that receives frames into a folder, for as long as its ``with`` block lasts.

    Args:
        address: Address to bind, ``tcp://HOST:PORT``.
        folder: Folder of the files, which exists.
        timeout: [s] Time without a message after which a scan counts as interrupted.

    Raises:
        ConfigError: If the address is none or is taken, or pyzmq is not installed.
    """

    def __init__(self, address: str, folder: Path, timeout: float = 60.0) -> None:
        require_zmq()
        self._process = start_child(__name__, address, str(folder), str(timeout))
        self._events: SimpleQueue[StreamEvent] = SimpleQueue()
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        try:
            self._await_start(address)
        except BaseException:
            self.close()
            raise

    def _await_start(self, address: str) -> None:
        earlier: list[StreamEvent] = []
        try:
            while True:
                event = self._events.get(timeout=_START)
                if event.kind is EventKind.FATAL:
                    raise ConfigError(Diagnostic(address, event.text or "the receiver does not start"))
                if event.kind is EventKind.LISTENING:
                    break
                if event.kind is not EventKind.ALIVE:
                    earlier.append(event)
        except Empty as error:
            raise ConfigError(Diagnostic(address, "the receiver does not start")) from error
        for event in earlier:
            self._events.put(event)

    @property
    def has_events(self) -> bool:
        """Whether something has been reported since the last call of `events`."""
        return not self._events.empty()

    def events(self) -> Iterator[StreamEvent]:
        """Iterate over what has been reported since the last call.

        Raises:
            DataError: If the process has ended.
        """
        while True:
            try:
                event = self._events.get_nowait()
            except Empty:
                return
            if event.kind is EventKind.FATAL:
                raise DataError(Diagnostic("", event.text or "the receiver of frames ended", "run the command again"))
            yield event

    def close(self) -> None:
        """End the process."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                self._events.put(StreamEvent.from_json(json.loads(line)))
        self._events.put(StreamEvent(EventKind.FATAL))

    def __enter__(self) -> "StreamReceiver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve() -> None:
    """Receive frames until stdin ends: the main function of the process."""
    address, folder, timeout = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    target = os.fdopen(os.dup(1), "wb")
    for stream in (1, 2):  # What libraries print is no event.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    ended = threading.Event()
    threading.Thread(target=_await_end, args=(ended,), daemon=True).start()

    def report(event: StreamEvent) -> None:
        with suppress(OSError):  # Whoever listened is gone.
            target.write(json.dumps(event.to_json()).encode() + b"\n")
            target.flush()

    try:
        _receive(address, FrameReceiver(folder, report, timeout), report, ended)
    except DataError as error:
        report(StreamEvent(EventKind.FATAL, text=str(error.faults[0])))
    except Exception as error:  # Its reason is told in one line.
        report(StreamEvent(EventKind.FATAL, text=f"{type(error).__name__}: {error}"))
    os._exit(0)  # HDF5 may crash over a file that it could not write.


def _await_end(ended: threading.Event) -> None:
    while os.read(0, 1 << 16):  # A thread inside sys.stdin would break the end of the process.
        pass
    ended.set()


def _receive(
    address: str, receiver: FrameReceiver, report: Callable[[StreamEvent], None], ended: threading.Event
) -> None:
    zmq = require_zmq()
    with zmq.Context() as context, context.socket(zmq.PULL) as socket, _closing(receiver):
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, _LOOK)
        socket.setsockopt(zmq.RCVHWM, _IN_FLIGHT)
        socket.setsockopt(zmq.MAXMSGSIZE, LARGEST)
        try:
            _bind(socket, address, zmq.ZMQError)
        except zmq.ZMQError as error:
            fault = _address_fault(address, error)
            report(StreamEvent(EventKind.FATAL, text=f"{fault.message}; {fault.remedy}"))
            return
        receiver.resume()
        report(StreamEvent(EventKind.LISTENING))
        while not ended.is_set():
            try:
                receiver.receive(socket.recv_multipart())
            except zmq.Again:
                receiver.check_timeouts()
            if receiver.is_broken:
                report(StreamEvent(EventKind.FATAL, text="the disk refused a file, so that the receiver ended"))
                return


def _bind(socket: Any, address: str, error_type: type[Exception]) -> None:
    """Bind a socket; the former process of a command that was killed may need a moment to end."""
    for attempt in range(20):
        try:
            socket.bind(address)
        except error_type:
            if attempt == 19:
                raise
            time.sleep(0.1)
        else:
            return


@contextmanager
def _closing(receiver: FrameReceiver) -> Iterator[None]:
    try:
        yield
    finally:
        receiver.close()
