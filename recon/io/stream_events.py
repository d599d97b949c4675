"""Events that a receiver of frames reports, and its faults, of which those of one kind are told now and then."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

_LONGEST = 400
"""Most characters of a message: some of them are the sender's."""
_MOST_KINDS = 1000
"""Most kinds of faults that are told apart."""


class EventKind(StrEnum):
    """Kind of what a receiver reports."""

    LISTENING = "listening"
    ALIVE = "alive"
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
class FaultLog:
    """Faults that are reported, each at its first, tenth, hundredth time.

    Args:
        report: Callback for each event.
    """

    report: Callable[[StreamEvent], None]
    _counts: Counter[str] = field(default_factory=Counter)

    def note(self, text: str, name: str = "", key: str = "") -> None:
        """Note a fault.

        Args:
            text: Description, perhaps with words of the sender.
            name: Name of the scan; empty where none is known.
            key: Text by which a fault is known again; the description by default.
        """
        key = key or text
        if key not in self._counts and len(self._counts) >= _MOST_KINDS:
            key = "other"
        self._counts[key] += 1
        count = self._counts[key]
        if str(count).strip("0") == "1":
            often = f" ({count} times)" if count > 1 else ""
            plain = "".join(c if c.isprintable() else "?" for c in text[:_LONGEST])
            self.report(StreamEvent(EventKind.FAULT, name, "", f"{plain}{often}"))
