"""What a benchmark has found so far, kept after every part, so that a run that was cut short goes on."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from unflat.recon.runs import write_atomically

from .machine import machine, source

Numbers = dict[str, Any]


class Skipped(Exception):  # noqa: N818 - it is no error
    """A benchmark that cannot run here, and why."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        name: What was reconstructed, or measured.
        figure: Which number.
        ours: The number, or None where there is none.
        unit: Behind it.
        digits: Behind its point.
        reference: Others' number, with whose it is.
        goal: ``>`` or ``<`` and a number, or ``within`` and two; None where there is no goal.
        how: How it was measured.
    """

    name: str
    figure: str
    ours: float | None
    unit: str = ""
    digits: int = 3
    reference: str = ""
    goal: tuple[str, float] | tuple[str, float, float] | None = None
    how: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        if self.ours is None:
            return False
        sign, limit, *more = self.goal
        if sign == "within":
            return bool(limit <= self.ours <= more[0])
        return self.ours > limit if sign == ">" else self.ours < limit


@dataclass
class Ledger:
    """A benchmark's results on disk.

    Args:
        name: The benchmark's.
        folder: Where results go.
        quick: Whether everything is to be tiny: to try the code, never to be quoted.
        device: ``auto``, ``cpu`` or ``gpu``, for the commands.
        again: Whether parts that are there are computed again.
    """

    name: str
    folder: Path
    quick: bool = False
    device: str = "auto"
    again: bool = False
    parts: dict[str, Numbers] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.path.is_file():
            self.parts = json.loads(self.path.read_text("utf-8"))["parts"]

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"{self.name}.json"

    @property
    def scratch(self) -> Path:
        """A folder for runs and acquisitions, which nobody commits."""
        folder = (self.folder / ".cache" / self.name).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def choose(self, full: Any, quick: Any) -> Any:
        """The first in earnest, the second where everything is to be tiny."""
        return quick if self.quick else full

    def part(self, name: str, settings: Mapping[str, Any], compute: Callable[[], Numbers]) -> Numbers:
        """Numbers of a part: those that are there if they were made with the same settings, else computed and kept.

        Args:
            name: The part's, unique in the benchmark.
            settings: All that its numbers depend on and that somebody may change.
            compute: Gives numbers that JSON can hold.
        """
        wanted = json.loads(json.dumps(dict(settings)))
        known = self.parts.get(name)
        if known and known["settings"] == wanted and not self.again:
            print(f"{self.name}: {name}: kept from {known['date']}", flush=True)
            return dict(known["numbers"])
        print(f"{self.name}: {name} …", flush=True)
        numbers = compute()
        self.parts[name] = {"settings": wanted, "date": now(), "source": source()}
        self.parts[name] |= {"machine": machine(), "numbers": numbers}
        self.save()
        return json.loads(json.dumps(numbers))  # as it will be read: a run that goes on sees the same

    def row(self, figure: str, ours: float | None, **rest: Any) -> None:
        """Add a line to the table; ``rest`` as in `Row`."""
        self.rows.append(Row(rest.pop("name", self.name), figure, None if ours is None else float(ours), **rest))

    def figure(self, name: str) -> Path:
        """Where a picture goes that the table's page shows."""
        path = self.folder / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name not in self.figures:
            self.figures.append(path.name)
        return path

    def save(self, outcome: str = "unfinished") -> None:
        """Write the file, whole or not at all."""
        content = {
            "benchmark": self.name,
            "outcome": outcome,
            "date": now(),
            "machine": machine(),
            "rows": [asdict(row) for row in self.rows],
            "notes": self.notes,
            "figures": self.figures,
            "parts": self.parts,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with write_atomically(self.path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def digest(*inputs: Path | str) -> str:
    """Checksum of files, and of texts, that numbers depend on: for the settings of a part."""
    total = sha256()
    for given in inputs:
        total.update(sha256(given.encode() if isinstance(given, str) else given.read_bytes()).digest())
    return total.hexdigest()[:16]


def now() -> str:
    """Date and time, to the minute."""
    return datetime.now(UTC).isoformat(timespec="minutes")
