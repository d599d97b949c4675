"""Record of what a network has learned from the scans of a watch, beside its runs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..io.atomic import write_atomically
from ..io.json_text import json_object

LEARNING = "learning.json"
_MOST = 1000
"""Newest lessons that are recorded."""


@dataclass(frozen=True)
class Lesson:
    """Fine-tuning of a network to some scans, adopted or rejected.

    Args:
        scans: Names of the scans, the newest last.
        steps: Number of steps.
        accepted_steps: Number of the steps that led to the network that was adopted; 0 where the lesson was rejected.
        before: Misfit of the withheld pixels of the scans before the lesson.
        after: Misfit after it; of a lesson that was rejected, with the best network that was tried.
        seconds: [s] Time that it took, without that of scans that interrupted it.
        begun: [s] Time since 1970 at which it began: scans that ended before were there.
    """

    scans: tuple[str, ...]
    steps: int
    accepted_steps: int
    before: float
    after: float
    seconds: float = 0.0
    begun: float = 0.0

    @property
    def line(self) -> str:
        """The lesson in one line."""
        number = f"{len(self.scans)} scan{'s' if len(self.scans) != 1 else ''}"
        numbers = f"misfit of their withheld pixels {self.before:.4g} -> {self.after:.4g}"
        if self.accepted_steps:
            return f"the network has learned from {number}: {numbers} after {self.accepted_steps} of {self.steps} steps"
        return f"the network stays as it was: {self.steps} steps on {number} did no good ({numbers} at best)"


@dataclass(frozen=True)
class LearningRecord:
    """Lessons of a watch, the newest last.

    Args:
        lessons: Lessons.
    """

    lessons: tuple[Lesson, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "LearningRecord":
        """Read the record of a folder; an empty one where there is none that is whole."""
        names = {one.name for one in fields(Lesson)}
        try:
            rows = [{name: row[name] for name in names} for row in json_object(folder / LEARNING)["lessons"]]
            return cls(tuple(Lesson(**row | {"scans": tuple(map(str, row["scans"]))}) for row in rows))
        except (KeyError, TypeError, ValueError):
            return cls()

    def add(self, lesson: Lesson) -> "LearningRecord":
        """Return the record with one lesson more."""
        return LearningRecord((*self.lessons, lesson)[-_MOST:])

    def write(self, folder: Path) -> None:
        """Write the record, whole or not at all."""
        content = {"lessons": [asdict(lesson) for lesson in self.lessons]}
        with write_atomically(folder / LEARNING) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @property
    def newest(self) -> Lesson | None:
        """Newest lesson; None where there is none."""
        return self.lessons[-1] if self.lessons else None

    @property
    def summary(self) -> str:
        """Number of lessons, and the newest; empty where there is none."""
        adopted = sum(one.accepted_steps > 0 for one in self.lessons)
        if self.newest is None:
            return ""
        return f"{adopted} of {len(self.lessons)} lessons adopted; {self.newest.line}"


def names_of(scans: Sequence[str], most: int = 5) -> str:
    """Names in one line, the last ones of many."""
    return ", ".join([*(["…"] if len(scans) > most else []), *scans[-most:]])
