"""Table of numbers for people and programs: rows of named values, each column with its unit and meaning.

The header of the CSV carries the units (``volume [um3]``), a number has nine digits, and an unknown value is empty.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .atomic import write_atomically
from .file_names import readable

Cell = str | int | float


@dataclass(frozen=True)
class Column:
    """Column of a table.

    Args:
        name: Name of the column.
        unit: Unit of its numbers; empty for text and for plain numbers.
        meaning: Meaning in one sentence.
    """

    name: str
    unit: str = ""
    meaning: str = ""

    @property
    def head(self) -> str:
        """Name and unit."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True)
class Table:
    """Rows of named values.

    Args:
        columns: Columns in order.
        rows: Values by the column's name; a value that a row lacks is unknown.

    Raises:
        DataError: If a row has a value of no column.
    """

    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Cell], ...]

    def __post_init__(self) -> None:
        unnamed = {name for row in self.rows for name in row} - {column.name for column in self.columns}
        if unnamed:
            raise DataError(f"the table has no column {', '.join(sorted(unnamed))}")

    def column(self, name: str) -> list[Cell]:
        """Return all values of a column; NaN where a row lacks it."""
        return [row.get(name, math.nan) for row in self.rows]

    def csv(self) -> str:
        """Return the table as CSV, one line for each row."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.head for column in self.columns])
        writer.writerows([_format(row.get(column.name, "")) for column in self.columns] for row in self.rows)
        return text.getvalue()

    def save(self, path: Path) -> None:
        """Write the table as CSV; the file appears whole or not at all.

        Raises:
            DataError: If the disk refuses.
        """
        with write_atomically(path) as temporary:
            temporary.write_text(readable(self.csv()), "utf-8")


def concatenate(tables: Sequence[Table]) -> Table:
    """Concatenate the rows of tables; a column that several have appears once."""
    columns: dict[str, Column] = {}
    for table in tables:
        for column in table.columns:
            if columns.setdefault(column.name, column).unit != column.unit:
                columns[column.head] = Column(column.head, "", column.meaning)
    rows = [_rename_columns(table, columns) for table in tables]
    return Table(tuple(columns.values()), tuple(row for part in rows for row in part))


def _rename_columns(table: Table, columns: Mapping[str, Column]) -> Iterable[Mapping[str, Cell]]:
    """Return a table's rows, with the unit in the name of columns whose unit differs from the first table's."""
    names = {c.name: c.name if columns[c.name].unit == c.unit else c.head for c in table.columns}
    return [{names[name]: value for name, value in row.items()} for row in table.rows]


def _format(value: Cell) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.9g}"
    return str(value)
