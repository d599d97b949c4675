"""Start of a group: the others come to process 0, which compares what they were given and lets them in."""

import os
import selectors
import socket
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from .. import signals
from ..errors import (
    ConfigError,
    DeviceError,
    Diagnostic,
    ExitStatus,
    Interrupted,
    ProcessEnded,
    Stopped,
    UnflatError,
)
from .group import ProcessGroup, set_current
from .launchers import TIMEOUT, GroupPlan
from .messages import LONGEST_GREETING, Message, receive, send

_RETRY = 0.2
"""[s] Time between two attempts to reach process 0."""
_GREETING = 5.0
"""[s] Time within which a process that has connected must say which it is."""
_FAREWELL = 5.0
"""[s] Time for which a process that ends early tries to tell process 0, which may not be there yet."""
_FAREWELL_TYPES = {"host": str, "pid": int, "job": str, "index": int, "count": int, "text": str, "status": int}
_GREETING_TYPES = {"host": str, "pid": int, "job": str, "index": int, "count": int, "identity": dict}


@contextmanager
def join(plan: GroupPlan | None, identity: Mapping[str, Any]) -> Iterator[ProcessGroup]:
    """Wait for all processes of a group, which lasts as long as the block; at its end they end together.

    Args:
        plan: Plan of the group; None for a process alone.
        identity: Settings that must be the same in all processes, flat, as JSON can hold them.

    Raises:
        ConfigError: If the processes were not given the same.
        DeviceError: If they do not come together in time.
        Stopped: If one of them was ended by a signal before.
        Interrupted: If it was ended at the keyboard.
    """
    if plan is None:
        yield ProcessGroup()
        return
    try:
        group = _receive_others(plan, identity) if plan.index == 0 else _go_to_first(plan, identity)
    finally:
        signals.last_words = None  # From now on the end of the connection tells.
    set_current(group)
    try:
        yield group
    except BaseException as error:
        group.end(error)
        if plan.launcher and group.loss and group.loss.is_reported and isinstance(error, Stopped | Interrupted):
            raise ProcessEnded(error.status) from None  # Process 0 says so in the same output.
        raise
    else:
        group.end(None)
    finally:
        set_current(ProcessGroup())


def tell_of_signals(plan: GroupPlan | None) -> None:
    """Tell process 0 of a signal that ends this process before it has joined, so that none waits for it."""
    if plan is not None and plan.index > 0:
        signals.last_words = partial(_say_farewell, plan)


def _say_farewell(plan: GroupPlan, status: int, text: str) -> None:
    deadline = time.monotonic() + _FAREWELL
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((plan.host, plan.port), timeout=1.0) as connection:
            send(connection, Message("ended", _here(plan) | {"text": text, "status": status}))
            return
        time.sleep(_RETRY)


def _here(plan: GroupPlan) -> dict[str, Any]:
    here = {"host": socket.gethostname(), "pid": os.getpid(), "job": plan.job}
    return here | {"index": plan.index, "count": plan.count}


def _greeting(plan: GroupPlan, identity: Mapping[str, Any]) -> dict[str, Any]:
    return _here(plan) | {"identity": dict(identity)}


def _name(greeting: Mapping[str, Any]) -> str:
    return f"process {greeting['index']} of {greeting['count']} (number {greeting['pid']} on {greeting['host']})"


def _receive_others(plan: GroupPlan, identity: Mapping[str, Any]) -> ProcessGroup:
    """Let the others in, as process 0."""
    greetings = {0: _greeting(plan, identity)}
    connections: dict[int, socket.socket] = {}
    deadline = time.monotonic() + plan.timeout
    with _listening_socket(plan) as listener:
        while len(greetings) < plan.count:
            connection = _accept(listener, deadline)
            if connection is None:
                missing = [str(i) for i in range(plan.count) if i not in greetings]
                raise _refuse(connections, _absent(plan, missing))
            greeting = _read_greeting(connection)
            if greeting is None or greeting["job"] != plan.job:
                connection.close()
                continue  # Something else that tries ports, or a process of another job.
            if "status" in greeting:
                connection.close()
                text = f"{_name(greeting)} has ended before the run began: {greeting['text']}"
                raise _refuse(connections, _error_of(int(greeting["status"]), text))
            if (fault := _fault(greetings, greeting)) is not None:
                raise _refuse(connections | {-1: connection}, ConfigError(fault))
            greetings[int(greeting["index"])], connections[int(greeting["index"])] = greeting, connection
    names = tuple(_name(greetings[i]) for i in range(plan.count))
    places = _places(greetings)
    address = f"{_host_for_jax(plan)}:{_free_port()}"
    for index, connection in connections.items():
        send(connection, Message("welcome", {"names": names, "jax": address, "local": places[index]}))
        connection.settimeout(None)
    return ProcessGroup(plan, names, connections, address, places[0])


def _listening_socket(plan: GroupPlan) -> socket.socket:
    family = socket.AF_INET6 if ":" in plan.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        is_local = plan.host in ("localhost", "127.0.0.1", "::1")
        listener.bind((plan.host if is_local else "", plan.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        remedy = "choose another port: --coordinator HOST:PORT"
        raise DeviceError(Diagnostic(plan.address, f"process 0 cannot listen: {error.strerror}", remedy)) from None
    return listener


def _accept(listener: socket.socket, deadline: float) -> socket.socket | None:
    """Accept a connection; None when the time is up."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(min(left, 0.5)):
                connection, _ = listener.accept()
                connection.settimeout(_GREETING)
                return connection
    return None


def _read_greeting(connection: socket.socket) -> dict[str, Any] | None:
    """Read which process has connected, or has ended before; None if it is none of unflat."""
    with suppress(OSError, ValueError, TypeError):
        message = receive(connection, LONGEST_GREETING)
        if message is not None and message.kind in ("hello", "ended"):
            types = {name: type(value) for name, value in message.value.items()}
            expected = _GREETING_TYPES if message.kind == "hello" else _FAREWELL_TYPES
            return dict(message.value) if types == expected else None
    return None


def _error_of(status: int, text: str) -> UnflatError:
    """Make the error of a status that another process has sent."""
    kinds: dict[int, type[UnflatError]] = {
        int(ExitStatus.STOPPED): Stopped,
        int(ExitStatus.INTERRUPTED): Interrupted,
        int(ConfigError.status): ConfigError,
    }
    return kinds.get(status, DeviceError)(text)


def _fault(greetings: Mapping[int, dict[str, Any]], new: dict[str, Any]) -> Diagnostic | None:
    """Compare a process with those that are there; None if it fits."""
    first, index = greetings[0], int(new["index"])
    if new["count"] != first["count"]:
        message = f"{_name(new)} was started as one of {new['count']}, and process 0 as one of {first['count']}"
        return Diagnostic("--processes", message, "give all processes the same number")
    if not 0 < index < first["count"] and index not in greetings:
        message = f"there is no process {index} among {first['count']}: they are numbered from 0"
        return Diagnostic("--process", message, f"number them 0 to {first['count'] - 1}")
    if index in greetings:
        message = f"process {index} was started twice: {_name(greetings[index])} and {_name(new)}"
        return Diagnostic("--process", message, f"number them 0 to {first['count'] - 1}")
    return _difference(first["identity"], new["identity"], _name(new))


def _difference(first: Mapping[str, Any], other: Mapping[str, Any], process: str) -> Diagnostic | None:
    """Name a setting in which a process differs from process 0; None where all are the same."""
    for name in sorted(first.keys() | other.keys()):
        if first.get(name) != other.get(name):
            message = f"{process} has {other.get(name)!r}, and process 0 has {first.get(name)!r}"
            remedy = "give all processes of a run the same command; for a run of its own, --processes 1"
            return Diagnostic(name, message, remedy)
    return None


def require_same(group: ProcessGroup, values: Mapping[str, Any]) -> None:
    """Compare values that all processes of a group must have alike, however long each takes to come to them.

    Raises:
        ConfigError: If they differ, in all processes.
        UnflatError: If a process has ended.
    """
    given = [part[0] for part in group.gather(dict(values))]
    for name, other in zip(group.names, given, strict=True):
        if (fault := _difference(given[0], other, name)) is not None:
            raise ConfigError(fault)


def _refuse(connections: Mapping[int, socket.socket], error: UnflatError) -> UnflatError:
    """Tell those who have come that there will be no group."""
    for connection in connections.values():
        with suppress(OSError):
            send(connection, Message("refused", [str(error), int(error.status)]))
            connection.close()
    return error


def _absent(plan: GroupPlan, missing: list[str]) -> DeviceError:
    numbers = f"process{'es' if len(missing) > 1 else ''} {', '.join(missing)} of {plan.count}"
    message = f"{numbers} did not come to {plan.address} within {plan.timeout:g} s"
    alone = f"; for a process alone in {plan.launcher}'s job, --processes 1" if plan.launcher else ""
    return DeviceError(Diagnostic("", message, f"start all of them; {TIMEOUT} gives them more seconds{alone}"))


def _places(greetings: Mapping[int, dict[str, Any]]) -> dict[int, tuple[int, int]]:
    """Number the processes of each machine: the number of each among those of its machine, and their number."""
    beside: dict[str, list[int]] = defaultdict(list)
    for index in sorted(greetings):
        beside[greetings[index]["host"]].append(index)
    return {index: (those.index(index), len(those)) for those in beside.values() for index in those}


def _host_for_jax(plan: GroupPlan) -> str:
    return f"[{plan.host}]" if ":" in plan.host else plan.host


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _go_to_first(plan: GroupPlan, identity: Mapping[str, Any]) -> ProcessGroup:
    """Go to process 0, as one of the others."""
    connection = _connect(plan)
    connection.settimeout(plan.timeout + _GREETING)
    answer: Message | None = None
    with suppress(OSError, ValueError):
        send(connection, Message("hello", _greeting(plan, identity)))
        answer = receive(connection, LONGEST_GREETING)
    if answer is None or answer.kind != "welcome":
        connection.close()
    if answer is not None and answer.kind == "refused":
        text, status = answer.value
        raise _error_of(int(status), text)
    if answer is None or answer.kind != "welcome":
        message = f"process 0 at {plan.address} has not let process {plan.index} in"
        raise DeviceError(Diagnostic("", message, "see its own message, and start all again"))
    connection.settimeout(None)
    names, local = tuple(answer.value["names"]), tuple(answer.value["local"])
    return ProcessGroup(plan, names, {0: connection}, answer.value["jax"], (local[0], local[1]))


def _connect(plan: GroupPlan) -> socket.socket:
    """Connect with process 0, which may not be there yet."""
    deadline = time.monotonic() + plan.timeout
    while True:
        try:
            return socket.create_connection((plan.host, plan.port), timeout=_GREETING)
        except OSError as error:
            if time.monotonic() > deadline:
                reason = error.strerror or str(error)
                message = f"process 0 did not appear at {plan.address} within {plan.timeout:g} s: {reason}"
                remedy = f"start process 0 there, and check the address; {TIMEOUT} gives it more seconds"
                raise DeviceError(Diagnostic("--coordinator", message, remedy)) from None
        time.sleep(_RETRY)
