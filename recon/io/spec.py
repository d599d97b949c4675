"""Scans in a spec file: motors, columns, and the readings of each point.

A header names the motors of the scans that follow (``#O``, and ``#o`` by short names), until the next header. A scan
begins with ``#S number command``; ``#P`` lines give the motors' positions, ``#L`` names the columns, and the numbers
follow. Lines of a multi-channel analyser (``@A``), which a backslash continues, are no rows.

A file is divided first and a scan parsed when it is asked for, so that only that scan needs to be sound: others may be
torn, or interrupted.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

_GAP = re.compile(r"\s{2,}|\t")
_BLANK = re.compile(r"\s+")
_NEWLINE = re.compile(r"\r\n|\n|\r")
_NAMES = re.compile(r"#([OoJj])(\d+)(?:\s+(.*))?$")
_POSITIONS = re.compile(r"#P(\d+)(?:\s+(.*))?$")
_SCAN = re.compile(r"#S\s+(\d+)\s*(.*)$")
_HEADER = re.compile(r"#[FE]\s")

Names = Mapping[int, str]
"""Lines of a header by their number: names of motors, not yet divided."""


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
    def moving(self) -> tuple[str, ...]:
        """Names of the motors in the command; empty if it names none, as ``timescan``."""
        words = self.command.split()[1:]
        known = {**{name: name for name in self.motors}, **self.mnemonics}
        names = [known[word] for word in words if word in known]
        if not names and words and words[0] in self.columns:
            names = [words[0]]
        return tuple(dict.fromkeys(names))

    def column(self, motor: str) -> Float[np.ndarray, " point"] | None:
        """Find the column of a motor, by its full or its short name; None if it was not recorded point by point."""
        shorts = [short for short, name in self.mnemonics.items() if name == motor]
        return next((self.columns[name] for name in (motor, *shorts) if name in self.columns), None)


@dataclass(frozen=True)
class ScanText:
    """Text of one scan, and of the header above it.

    Args:
        number: Number of the scan.
        occurrence: Position among the file's scans of this number, from 1.
        command: Command that was typed.
        line: Number of the scan's first line in the file, from 1.
        lines: Lines of the scan, below its first.
        names: Full names of the motors (``#O``).
        short_names: Short names of the motors (``#o``).
    """

    number: int
    occurrence: int
    command: str
    line: int
    lines: tuple[str, ...]
    names: Names
    short_names: Names

    @property
    def label(self) -> str:
        """Number and occurrence, as ``54.2``."""
        return f"{self.number}.{self.occurrence}"

    @property
    def points(self) -> int:
        """Number of rows."""
        return sum(1 for _ in _rows(self.lines))

    @property
    def content(self) -> tuple[object, ...]:
        """Command, lines and names, by which a scan that was written twice is known."""
        lines = tuple(line.strip() for line in self.lines if line.strip())
        return self.command, lines, *self.names.items()

    @property
    def date(self) -> str:
        """Date and time of the scan's start; empty if it has none."""
        return next((line[3:].strip() for line in self.lines if line.startswith("#D ")), "")

    def parse(self) -> SpecScan:
        """Parse the scan.

        Raises:
            ValueError: If a row or a position is no number, or there are more or fewer of them than names; the message
                quotes the line.
        """
        rows = [(line, text.split()) for line, text in _rows(self.lines)]
        labels = self._labels(len(rows[0][1]) if rows else None)
        table = np.array([self._numbers(line, words, len(labels)) for line, words in rows], float)
        table = table.reshape(len(rows), len(labels))
        columns = {label: table[:, i] for i, label in enumerate(labels)}
        motors, mnemonics = self._motors()
        return SpecScan(self.number, self.command, motors, mnemonics, columns, self._notes())

    def _labels(self, count: int | None) -> list[str]:
        """Divide the names of the columns, two blanks apart, or one where only that gives the rows' number."""
        text = next((line[2:].strip() for line in reversed(self.lines) if re.match(r"#L(\s|$)", line)), "")
        wide, narrow = _divide(text, _GAP), _divide(text, _BLANK)
        return narrow if count is not None and len(wide) != count == len(narrow) else wide

    def _numbers(self, line: int, words: list[str], count: int) -> list[float]:
        place = f"scan {self.number}, line {self.line + line}"
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            raise ValueError(f"{place}: {' '.join(words)[:40]!r} is no row of numbers") from None
        if len(numbers) != count:
            raise ValueError(f"{place}: a row has {len(numbers)} numbers, and there are {count} columns")
        return numbers

    def _motors(self) -> tuple[dict[str, float], dict[str, str]]:
        """Return the motors' positions, and their names by the short ones."""
        motors: dict[str, float] = {}
        mnemonics: dict[str, str] = {}
        for line in self.lines:
            match = _POSITIONS.match(line)
            if match is None:
                continue
            words = (match[2] or "").split()
            names = self._motor_names(int(match[1]), len(words)) if self.names else []
            if not names:
                continue
            try:
                motors |= {name: float(word) for name, word in zip(names, words, strict=True)}
            except ValueError:
                message = f"scan {self.number}: a position in {line[:40]!r} is no number"
                raise ValueError(message) from None
            short = _divide(self.short_names.get(int(match[1]), ""), _BLANK)
            if len(short) == len(names):
                mnemonics |= dict(zip(short, names, strict=True))
        return motors, mnemonics

    def _motor_names(self, index: int, count: int) -> list[str]:
        """Divide one line of names, two blanks apart, or one where only that gives the positions' number.

        Raises:
            ValueError: If there are more or fewer names than positions.
        """
        text = self.names.get(index, "")
        wide, narrow = _divide(text, _GAP), _divide(text, _BLANK)
        names = next((names for names in (wide, narrow) if len(names) == count), None)
        if names is None:
            message = f"#O{index} names {len(wide)} motors, and #P{index} has {count} positions"
            raise ValueError(f"scan {self.number}: {message}")
        return names

    def _notes(self) -> dict[str, str]:
        notes: dict[str, str] = {}
        for line in self.lines:
            if line.startswith(("#UIM", "#Readout")):
                key, _, text = line[1:].replace(":", ": ", 1).partition(" ")
                notes.setdefault(key.rstrip(":"), text.strip())
        return notes


def split_scans(text: str) -> tuple[ScanText, ...]:
    """Divide a spec file into its scans, in the order of the file.

    Args:
        text: Content of the file.
    """
    splitter = _Splitter()
    for index, line in enumerate(_NEWLINE.split(text)):
        splitter.add(index + 1, line)
    splitter.close()
    return tuple(splitter.scans)


class _Splitter:
    """State of the division of a file: the header that applies, and the lines of the scan that is open."""

    def __init__(self) -> None:
        self.scans: list[ScanText] = []
        self._count: Counter[int] = Counter()
        self._names: dict[str, dict[int, str]] = {}
        self._new: set[str] = set()
        self._start: tuple[int, int, str] | None = None
        self._lines: list[str] = []
        self._has_rows = False

    def add(self, index: int, line: str) -> None:
        """Add a line of the file."""
        scan, names = _SCAN.match(line), _NAMES.match(line)
        if scan is not None:
            self.close()
            self._start = (index, int(scan[1]), scan[2].strip())
            return
        # A header ends the scan above it, also one that is only names: those before the rows are the scan's own.
        if _HEADER.match(line) or (names is not None and self._has_rows):
            self.close()
            self._new.clear()
        if names is not None:
            self._name(names[1], int(names[2]), (names[3] or "").strip())
        elif self._start is not None:
            self._has_rows = self._has_rows or _is_row(line)
            self._lines.append(line)

    def close(self) -> None:
        """End the scan that is open, if there is one."""
        if self._start is not None:
            line, number, command = self._start
            self._count[number] += 1
            full, short = (dict(self._names.get(mark, {})) for mark in "Oo")
            scan = ScanText(number, self._count[number], command, line, tuple(self._lines), full, short)
            self.scans.append(scan)
            self._new.clear()
        self._start, self._lines, self._has_rows = None, [], False

    def _name(self, mark: str, index: int, text: str) -> None:
        """Add a line of names; new full names end the validity of the short ones of an earlier header."""
        if mark not in self._new or index == 0:
            self._names[mark] = {}
            if mark == "O" and "o" not in self._new:
                self._names.pop("o", None)
        self._new.add(mark)
        self._names[mark][index] = text


def _rows(lines: Iterable[str]) -> Iterable[tuple[int, str]]:
    """List the rows with their position among the lines, without marks, and without the lines of an analyser."""
    is_continued = False
    for position, line in enumerate(lines, start=1):
        is_part, is_continued = is_continued, False
        if line.startswith("@") or is_part:
            is_continued = line.rstrip().endswith("\\")
        elif _is_row(line):
            yield position, line


def _is_row(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("#", "@"))


def _divide(text: str, gap: re.Pattern[str]) -> list[str]:
    return [name for name in gap.split(text.strip()) if name]
