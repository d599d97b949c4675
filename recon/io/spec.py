"""Scans in a spec file: motors, columns, and the readings of each point.

A scan begins with ``#S number command``; ``#O`` lines name the motors of the whole file, ``#P`` lines give their
positions, ``#L`` names the columns (two spaces apart), and the numbers follow.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

_GAP = re.compile(r"\s{2,}")


@dataclass(frozen=True)
class SpecScan:
    """One scan.

    Args:
        number: Number of the scan.
        command: Command that was typed: ``ascan th -0.28 0.72 200 0.25``.
        motors: Positions of the motors by name, in spec's units (degrees, mm, keV).
        mnemonics: Names of the motors by the short names that commands use.
        columns: Readings of each point by the column's name.
        notes: Further lines by their mark: ``UIMDET``, ``UIMR5``, ``Readout``.
    """

    number: int
    command: str
    motors: Mapping[str, float]
    mnemonics: Mapping[str, str]
    columns: Mapping[str, Float[np.ndarray, " point"]]
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def scanned(self) -> str:
        """Name of the motor that moved; empty if the command names none."""
        words = self.command.split()
        return self.mnemonics.get(words[1], words[1]) if len(words) > 1 else ""


def parse_scans(text: str) -> dict[int, SpecScan]:
    """Parse all scans of a spec file.

    Args:
        text: Content of the file.

    Raises:
        ValueError: If a line is no row of numbers; the message quotes it.
    """
    head, *parts = re.split(r"(?m)^(?=#S )", text)
    names, short = _motor_names(head, "O"), _motor_names(head, "o")
    mnemonics = dict(zip(short, names, strict=False))
    scans = (_parse_scan(part, names, mnemonics) for part in parts)
    return {scan.number: scan for scan in scans}


def _motor_names(head: str, mark: str) -> list[str]:
    """Return the full (``O``) or short (``o``) names of the motors."""
    lines = re.findall(rf"(?m)^#{mark}\d+ (.*)$", head)
    # Full names hold single spaces, the short ones do not.
    return [
        name for line in lines for name in (_GAP if mark == "O" else re.compile(r"\s+")).split(line.strip()) if name
    ]


def _parse_scan(part: str, names: list[str], mnemonics: Mapping[str, str]) -> SpecScan:
    lines = part.splitlines()
    _, number, *command = lines[0].split(maxsplit=2)
    values: list[float] = []
    labels: list[str] = []
    rows: list[list[float]] = []
    notes: dict[str, str] = {}
    for line in lines[1:]:
        mark, _, rest = line.partition(" ")
        if re.fullmatch(r"#P\d+", mark):
            values += [float(v) for v in rest.split()]
        elif mark == "#L":
            labels = [label for label in _GAP.split(rest.strip()) if label]
        elif line.startswith(("#UIM", "#Readout")):
            key, _, text = line[1:].replace(":", ": ", 1).partition(" ")
            notes.setdefault(key.rstrip(":"), text.strip())
        elif line.strip() and not line.startswith("#"):
            rows.append(_parse_row(line, int(number), len(labels)))
    table = np.array(rows, float).reshape(len(rows), len(labels))
    columns = {label: table[:, i] for i, label in enumerate(labels)}
    motors = dict(zip(names, values, strict=False))
    return SpecScan(int(number), " ".join(command), motors, mnemonics, columns, notes)


def _parse_row(line: str, scan: int, count: int) -> list[float]:
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        raise ValueError(f"scan {scan}: {line.strip()[:40]!r} is no row of numbers") from None
    if len(numbers) != count:
        raise ValueError(f"scan {scan}: a row has {len(numbers)} numbers, and there are {count} columns")
    return numbers
