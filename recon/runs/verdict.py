"""Verdict on a result: sound, doubtful or failed, with its reasons."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Soundness(StrEnum):
    """Degree to which a result can be relied on."""

    SOUND = "sound"
    DOUBTFUL = "doubtful"
    FAILED = "failed"


@dataclass(frozen=True)
class Reason:
    """A reason to doubt a result.

    Args:
        name: Short name, the same in every run: ``empty``, ``starts-disagree``.
        text: One sentence with the value, without a full stop.
        remedy: Advice; empty where there is none.
        fatal: Whether the result is to be taken as failed.
    """

    name: str
    text: str
    remedy: str = ""
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}" if self.remedy else self.text


@dataclass(frozen=True)
class Verdict:
    """Verdict on a result.

    Args:
        reasons: Reasons to doubt it, the gravest first; none for a sound result.
    """

    reasons: tuple[Reason, ...] = ()

    @classmethod
    def of(cls, reasons: Iterable[Reason]) -> "Verdict":
        """Sort reasons into a verdict."""
        return cls(tuple(sorted(reasons, key=lambda reason: not reason.fatal)))

    @property
    def soundness(self) -> Soundness:
        """Degree to which the result can be relied on."""
        if any(reason.fatal for reason in self.reasons):
            return Soundness.FAILED
        return Soundness.DOUBTFUL if self.reasons else Soundness.SOUND

    def to_json(self) -> dict[str, Any]:
        """Entries of ``metrics.json``."""
        return {"verdict": str(self.soundness), "verdict_reasons": [asdict(reason) for reason in self.reasons]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Verdict | None":
        """Read the entries of ``metrics.json``; None where there are none that are whole."""
        reasons = content.get("verdict_reasons")
        if "verdict" not in content or not isinstance(reasons, list):
            return None
        try:
            return cls(tuple(Reason(**reason) for reason in reasons))
        except TypeError:
            return None

    def attributes(self) -> dict[str, str]:
        """Attributes for the files of the result; reasons are separated by line feeds."""
        return {"verdict": str(self.soundness), "verdict_reasons": "\n".join(map(str, self.reasons))}

    def __str__(self) -> str:
        return "; ".join([str(self.soundness), *map(str, self.reasons)])
