"""Scan files of beamlines as named arrays: spec files, and FIO files of DESY.

A motor or column of a spec file stands at ``/54/th``, with the scan's number, or at ``/54.2/th`` for the second scan
of that number; a parameter or column of a FIO file at ``/om``. Neither states units: angles are in degrees.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic
from .lazy_arrays import LazyArray, LazyArrays
from .spec import ScanText, split_scans
from .text_table import read_text

USUAL_UNITS = {"rad": "deg"}
"""Units of the numbers of a scan file by SI unit; those of lengths and energies differ between beamlines."""
_LONG = 60
"""Letters of a list that is shown whole."""
_FIO_COLUMN = re.compile(r"Col\s+\d+\s+(\S+)\s+(\S+)")


@dataclass(frozen=True)
class SpecFile:
    """Spec file: an `ArrayTree`.

    Args:
        path: Path of the file.
        scans: Scans of the file, not yet parsed.
        form: Format, for people.
    """

    path: Path
    scans: tuple[ScanText, ...]
    form: str = "spec"

    def names(self) -> list[str]:
        """List the columns and motors of every scan that is sound."""
        names: list[str] = []
        for text in self.scans:
            try:
                scan = text.parse()
            except ValueError:
                continue
            names += [f"/{self._label(text)}/{name}" for name in {**scan.columns, **scan.motors}]
        return names

    def array(self, name: str) -> LazyArray | None:
        """Return a column of a scan, or else the position of a motor, by its full or short name; None for others.

        Args:
            name: ``/54/th``, or ``/54.2/th`` for the second scan of that number.

        Raises:
            DataError: If there is no such scan, several have the number, or it is damaged.
        """
        label, _, key = name.strip("/").partition("/")
        text = self._scan(label, key)
        try:
            scan = text.parse()
        except ValueError as error:
            raise DataError(Diagnostic(str(self.path), str(error), "mend that line, or name another scan")) from error
        for title in (key, scan.mnemonics.get(key, "")):
            column = scan.column(title) if title else None
            value = scan.motors.get(title) if column is None else column
            if value is not None:
                return LazyArray.of(np.asarray(value, float), usual_units=USUAL_UNITS)
        return None

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """Return the command of a scan; None for no scan."""
        label = name.strip("/")
        commands = (text.command for text in self.scans if label in (self._label(text), text.label))
        return {} if name == "/" else next(({"command": command} for command in commands), None)

    def _label(self, text: ScanText) -> str:
        """Number of a scan, with its occurrence where the file holds several of that number."""
        return text.label if sum(other.number == text.number for other in self.scans) > 1 else str(text.number)

    def _scan(self, label: str, key: str) -> ScanText:
        """Find a scan by its number, perhaps with its occurrence.

        Raises:
            DataError: If there is none, or several.
        """
        scans = [text for text in self.scans if label in (str(text.number), text.label)]
        if len(scans) == 1:
            return scans[0]
        own = f"'{self.path.name}:{self._label((scans or [*self.scans])[0])}/{key or 'th'}'" if self.scans else ""
        if scans:
            listed = ", ".join(f"{t.label} ({t.points} points{', ' * bool(t.date)}{t.date})" for t in scans)
            message = f"{len(scans)} scans have the number {label}: {listed}"
            raise DataError(Diagnostic(str(self.path), message, f"name one of them, as {own}"))
        known = ", ".join(map(self._label, self.scans)) or "none"
        known = known if len(known) < _LONG else f"{known[: _LONG // 2]} … {known[-_LONG // 2 :]}"
        remedy = f"it holds the scans {known}; write {own}" if own else "it holds no scans"
        raise DataError(Diagnostic(str(self.path), f"there is no scan {label!r}", remedy))


def open_spec(path: Path) -> SpecFile:
    """Read a spec file.

    Raises:
        DataError: If the disk refuses.
    """
    return SpecFile(path, split_scans(read_text(path)))


def open_fio(path: Path) -> LazyArrays:
    """Read a FIO file: the parameters of ``%p`` and the columns of ``%d``.

    Raises:
        DataError: If it cannot be read, or a line of its data does not fit its columns.
    """
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in read_text(path).splitlines():
        text = line.strip()
        if text in ("%c", "%p", "%d"):
            current = sections.setdefault(text, [])
        elif text and not text.startswith("!"):
            current.append(text)
    arrays = {f"/{name}": value for name, value in _parameters(sections.get("%p", ())).items()}
    arrays |= {f"/{name}": column for name, column in _columns(path, sections.get("%d", ())).items()}
    numbers = {name: LazyArray.of(array, usual_units=USUAL_UNITS) for name, array in arrays.items()}
    return LazyArrays(path, "FIO", numbers, {"command": " ".join(sections.get("%c", [""])[:1])})


def _parameters(lines: Sequence[str]) -> dict[str, np.ndarray]:
    """Parse lines ``name = value``; text is left out."""
    parameters = {}
    for line in lines:
        name, _, value = line.partition("=")
        try:
            parameters[name.strip()] = np.asarray(float(value))
        except ValueError:
            continue
    return parameters


def _columns(path: Path, lines: Sequence[str]) -> dict[str, np.ndarray]:
    """Parse the columns of the data; columns of text are left out.

    Raises:
        DataError: If a line does not fit the columns.
    """
    heads = [match for line in lines if (match := _FIO_COLUMN.match(line))]
    rows = [line.split() for line in lines[len(heads) :]]
    for number, row in enumerate(rows, 1):
        if len(row) != len(heads):
            message = f"line {number} of its data holds {len(row)} values, and there are {len(heads)} columns"
            raise DataError(Diagnostic(str(path), message, "the scan was torn: take that line away"))
    columns = {}
    for i, head in enumerate(heads):
        try:
            columns[head[1]] = np.array([float(row[i]) for row in rows])
        except ValueError:
            continue
    return columns
