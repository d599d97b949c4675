"""Group of processes under way: agreement in lockstep.

Every process must come to the same calls in the same order. Each call has a number and a label, and the labels of all
calls so far have a checksum: processes that have come apart end with an error, and never take what belongs to another
call.
"""

import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import Interrupted, Stopped
from .links import LinkedProcess, leave
from .messages import Message

Arrays = Mapping[str, np.ndarray]
Part = tuple[Any, Arrays]
"""A value that JSON can hold, and arrays."""


class ProcessGroup(LinkedProcess):
    """Processes that work on one run; without a plan, this process alone."""

    _calls = _trace = 0
    _label = ""

    @property
    def is_alone(self) -> bool:
        """Whether this process works alone: there is no other, or their share is done."""
        return self.count == 1 or self._has_shared

    def share(self, compute: Callable[[], Part]) -> Part:
        """Return what process 0 computes, in all processes.

        Raises:
            UnflatError: If a process has ended.
        """
        if self.is_alone:
            return compute()
        self._begin_call("share")
        if not self.is_first:
            self._send_to_all(self._message(None, is_awaited=False))  # Process 0 need not wait for it.
            return self._take(0)
        value, arrays = compute()
        self._send_to_all(self._message(value, arrays))
        return value, arrays

    def share_value(self, value: Any) -> Any:
        """Return process 0's value, which JSON can hold, in all processes."""
        return self.share(lambda: (value, {}))[0]

    def share_or_compute(self, compute: Callable[[], Any]) -> Any:
        """Return what process 0 computes, or this one if a process has ended, which the next other call tells.

        Args:
            compute: Function that any process can compute alone, of a value that JSON can hold.
        """
        values: list[Any] = []

        def part() -> Part:
            values.append(compute())
            return values[0], {}

        try:
            return self.share(part)[0]
        except (Stopped, Interrupted):
            if self.loss is None:
                raise
            return values[0] if values else compute()

    def gather(self, value: Any, arrays: Arrays | None = None) -> list[Part]:
        """Return what each process gives, by its number, in all processes.

        Raises:
            UnflatError: If a process has ended.
        """
        own: Part = (value, arrays or {})
        if self.is_alone:
            return [own]
        self._begin_call("gather")
        if not self.is_first:
            self._send_to_all(self._message(value, own[1]))
            values, packed = self._take(0)
            return [(v, _of_process(packed, i)) for i, v in enumerate(values)]
        parts = [own, *(self._take(other) for other in range(1, self.count))]
        packed = {f"{i}/{name}": array for i, part in enumerate(parts) for name, array in part[1].items()}
        self._send_to_all(self._message([part[0] for part in parts], packed))
        return parts

    def own(self, numbers: range) -> range:
        """Choose the numbers that this process works on, in equal shares."""
        first, last = (len(numbers) * i // self.count for i in (self.index, self.index + 1))
        return numbers[first:last]

    def _begin_call(self, kind: str) -> None:
        if self.loss is not None:
            raise self._error()
        frame = sys._getframe(2)
        while frame.f_back is not None and frame.f_globals.get("__name__") == __name__:
            frame = frame.f_back
        self._label = f"{kind} of {frame.f_code.co_qualname}"
        self._trace = zlib.crc32(self._label.encode(), self._trace)
        self._calls += 1

    def _message(self, value: Any, arrays: Arrays | None = None, *, is_awaited: bool = True) -> Message:
        """Make the message of a call; one that is not awaited only tells that this process has come to it."""
        return Message("data", [self._calls, self._label, self._trace, is_awaited, value], arrays or {})

    def _take(self, other: int) -> Part:
        """Take the next part from another process, which must be in the same call."""
        while True:
            message = self._received[other].get()
            if message is None:
                raise self._error()
            call, label, trace, is_awaited, value = message.value
            if not is_awaited and call < self._calls:
                continue
            if (call, label, trace) != (self._calls, self._label, self._trace) or not is_awaited:
                here = f"process {self.index} at {self._calls}, {self._label}"
                raise RuntimeError(f"{self.names[other]} is at call {call}, {label}, and {here}")
            return value, message.arrays


def _of_process(packed: Arrays, index: int) -> Arrays:
    prefix = f"{index}/"
    return {name[len(prefix) :]: array for name, array in packed.items() if name.startswith(prefix)}


_current = ProcessGroup()
_is_of_several = False


def current() -> ProcessGroup:
    """Return the group of this process."""
    return _current


def set_current(group: ProcessGroup) -> None:
    """Make a group that of this process."""
    global _current, _is_of_several
    _current = group
    _is_of_several = _is_of_several or group.count > 1


def leave_now(status: int) -> None:
    """End this process at once if it was one of several: jax's threads would wait for those that have ended."""
    if _is_of_several:
        leave(status)
