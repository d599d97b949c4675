"""Verdict on a result: sound, doubtful or failed, with its reasons."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

_MOST_NAMES = 5


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
        limited_to: Quantities that it concerns alone, such as ``strain, displacement``; empty for the whole result.
    """

    name: str
    text: str
    remedy: str = ""
    fatal: bool = False
    limited_to: str = ""

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

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the result as a whole, though some of its quantities may be doubtful."""
        return all(reason.limited_to for reason in self.reasons)

    def with_names(self, specimens: "Sequence[SpecimenVerdict]") -> "Verdict":
        """Add to each reason the names of the specimens that it concerns, where there are several specimens."""
        if len(specimens) < 2:
            return self
        return Verdict(tuple(_with_names(reason, specimens) for reason in self.reasons))

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


@dataclass(frozen=True)
class SpecimenVerdict:
    """Verdict on one of the specimens of a run.

    Args:
        name: Name of the specimen.
        verdict: Verdict on its result.
        file: Path of its own file in the folder of the run; empty where it has none.
    """

    name: str
    verdict: Verdict
    file: str = ""


def _with_names(reason: Reason, specimens: Sequence[SpecimenVerdict]) -> Reason:
    names = [one.name for one in specimens if any(own.name == reason.name for own in one.verdict.reasons)]
    if not names:
        return reason
    more = ", …" if len(names) > _MOST_NAMES else ""
    return replace(reason, text=f"{reason.text} ({', '.join(names[:_MOST_NAMES])}{more})")
