"""Results of a benchmark, written after every part, so that an interrupted run can be continued.

The results file holds what the page shows: rows, notes, names of figures, and the machines and states of the code that
produced them. The numbers of the parts are a cache beside it, in a folder that git ignores.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from unflat.recon.runs import write_atomically

from .machine import machine, sentence, source

Numbers = dict[str, Any]


class Skipped(Exception):  # noqa: N818 - it is no error
    """Reason why a benchmark cannot run here."""


@dataclass(frozen=True)
class Row:
    """Row of the table.

    Args:
        name: Name of the specimen or data set.
        figure: Name of the number.
        ours: The number, or None if there is none.
        unit: Unit of the number.
        digits: Number of decimals.
        reference: Number of other work, and its source.
        goal: ``>`` or ``<`` and a limit, or ``within`` and two limits; None without a goal.
        how: Method of the measurement.
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
        """Whether the goal is reached; None without a goal."""
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
    """Results of a benchmark on disk.

    Args:
        name: Name of the benchmark.
        folder: Folder of results.
        quick: Whether sizes are tiny: a test of the code, whose numbers must not be quoted.
        device: ``auto``, ``cpu`` or ``gpu``, for the commands.
        again: Whether cached parts are computed again.
        minutes: [min] Time of a benchmark that lasts as long as one likes; None for its own.
        parts: Cached parts by name: settings, date, state of the code, machine and numbers.
        rows: Rows of the table.
        notes: Remarks below the table.
        figures: File names of figures.
    """

    name: str
    folder: Path
    quick: bool = False
    device: str = "auto"
    again: bool = False
    minutes: float | None = None
    parts: dict[str, Numbers] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self._cache.is_file():
            self.parts = json.loads(self._cache.read_text("utf-8"))

    @property
    def path(self) -> Path:
        """Path of the results file."""
        return self.folder / f"{self.name}.json"

    @property
    def _cache(self) -> Path:
        return self.folder / ".cache" / self.name / "parts.json"

    @property
    def scratch(self) -> Path:
        """Folder for runs and acquisitions, which git ignores."""
        folder = self._cache.parent.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def choose(self, full: Any, quick: Any) -> Any:
        """Return the first value, or the second for tiny sizes."""
        return quick if self.quick else full

    def part(self, name: str, settings: Mapping[str, Any], compute: Callable[[], Numbers]) -> Numbers:
        """Return the numbers of a part, from the cache if its settings are the same.

        Args:
            name: Name of the part, unique in the benchmark.
            settings: Everything that the numbers depend on and that may change.
            compute: Function that returns numbers that JSON can hold.
        """
        plain = json.loads(json.dumps(dict(settings)))
        cached = self.parts.get(name)
        if cached and cached["settings"] == plain and not self.again:
            print(f"{self.name}: {name}: cached on {cached['date']}", flush=True)
            return dict(cached["numbers"])
        print(f"{self.name}: {name} …", flush=True)
        numbers = compute()
        self.parts[name] = {"settings": plain, "date": now(), "source": source()}
        self.parts[name] |= {"machine": machine(), "numbers": numbers}
        self.save()
        return json.loads(json.dumps(numbers))  # The same numbers as from the cache.

    def row(self, figure: str, ours: float | None, **rest: Any) -> None:
        """Add a row to the table; ``rest`` are further fields of `Row`."""
        self.rows.append(Row(rest.pop("name", self.name), figure, None if ours is None else float(ours), **rest))

    def figure(self, name: str) -> Path:
        """Return the path of a figure of the page."""
        path = self.folder / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name not in self.figures:
            self.figures.append(path.name)
        return path

    def save(self, outcome: str = "unfinished") -> None:
        """Write the results file and the cache of parts."""
        content = {
            "benchmark": self.name,
            "outcome": outcome,
            "date": now(),
            "machine": machine(),
            "rows": [asdict(row) for row in self.rows],
            "notes": self.notes,
            "figures": self.figures,
            "origins": origins(self.parts.values()),
        }
        for path, data in ((self.path, content), (self._cache, self.parts)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_atomically(path) as temporary:
                temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def origins(parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """List the machines and states of the code that computed some parts, each pair once, with its latest date."""
    by_key: dict[tuple[str, str], dict[str, Any]] = {}
    for part in parts:
        key = sentence(part["machine"]), part["source"]
        origin = by_key.setdefault(key, {name: part[name] for name in ("machine", "source", "date")})
        origin["date"] = max(origin["date"], part["date"])
    return list(by_key.values())


def digest(*inputs: Path | str) -> str:
    """Compute a checksum of files and texts, for the settings of a part."""
    total = sha256()
    for item in inputs:
        total.update(sha256(item.encode() if isinstance(item, str) else item.read_bytes()).digest())
    return total.hexdigest()[:16]


def now() -> str:
    """Return the date and time (UTC), to the minute."""
    return datetime.now(UTC).isoformat(timespec="minutes")
