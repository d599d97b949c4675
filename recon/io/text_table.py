"""Text tables of other programs: columns by name and by number, in the units of their heads.

Columns are parted by tabs, semicolons, commas or spaces, numbers may have a decimal comma, and a head may stand in the
first line or in the last comment (``# angle [deg]  z [um]``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic
from .lazy_arrays import LazyArray
from .table_lines import TextColumn, divide_head, parse_columns

TABLE = "text table"
"""Name of the format."""
WHOLE = "/"
"""Name of the array of all columns."""


@dataclass(frozen=True)
class TextTable:
    """Table of a file: an `ArrayTree` with an array for each column, and one of all columns.

    Args:
        path: Path of the file.
        columns: Columns, from left to right.
        form: Format, for people.
    """

    path: Path
    columns: tuple[TextColumn, ...]
    form: str = TABLE

    def names(self) -> list[str]:
        """List the columns, by their number where they have no name."""
        return [f"/{column.name or number}" for number, column in enumerate(self.columns, 1)]

    def array(self, name: str) -> LazyArray | None:
        """Return a column by its name or its number, counted from 1, or the whole table; None if there is none.

        Raises:
            DataError: If several columns have the name, or columns of text or of several units are to be one array.
        """
        if name == WHOLE:
            return self.whole()
        key = name.removeprefix("/").strip()
        column = self._column(key)
        if column is None:
            return None
        is_counted = key.isdecimal() and column.name not in ("", key)
        return replace(_as_array(column), origin=f"{key} (the column {column.name})" if is_counted else "")

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """Return the attributes of a column; None if there is no such column."""
        if name == WHOLE:
            return {}
        array = self.array(name)
        return None if array is None else array.attributes

    def _column(self, key: str) -> TextColumn | None:
        """Find a column by its head, its name, its name in other letters, or its number."""
        named = (
            [c for c in self.columns if key and c.head == key]
            or [c for c in self.columns if key and c.name == key]
            or [c for c in self.columns if key and c.name.casefold() == divide_head(key)[0].casefold()]
        )
        if len(named) > 1:
            numbers = [str(n) for n, c in enumerate(self.columns, 1) if any(c is other for other in named)]
            remedy = f"name one by its number: '{self.path.name}:{numbers[0]}'"
            raise DataError(Diagnostic(str(self.path), f"columns {', '.join(numbers)} are all named {key!r}", remedy))
        if named:
            return named[0]
        is_number = key.isdecimal() and 1 <= int(key[:9]) <= len(self.columns)
        return self.columns[int(key) - 1] if is_number else None

    def whole(self) -> LazyArray:
        """Return all columns side by side; a single column or row as a vector."""
        one = f"name one column: '{self.path.name}:{self.names()[0][1:]}'"
        if len(self.columns) == 1:
            return _as_array(self.columns[0])
        text = [self.names()[i][1:] for i, column in enumerate(self.columns) if column.values.dtype.kind != "f"]
        if text:
            listed = ", ".join(name[1:] for name in self.names()[:12])
            message = f"column {text[0]} holds text; the columns are {listed}"
            remedy = "name columns of numbers: " + self._example(text)
            raise DataError(Diagnostic(str(self.path), message, remedy))
        units = dict.fromkeys(column.unit for column in self.columns)
        if len(units) > 1:
            shown = ", ".join(f"{c.name} [{c.unit}]" if c.unit else c.name for c in self.columns[:12])
            several = f"{one}, or some by their numbers: [{self.path.name}:1, {self.path.name}:2]"
            raise DataError(Diagnostic(str(self.path), f"its columns have several units: {shown}", several))
        values = np.squeeze(np.stack([column.values for column in self.columns], axis=1))
        unit = next(iter(units))
        return LazyArray.of(values, {"units": unit} if unit else {})

    def _example(self, text: Sequence[str]) -> str:
        """Example of a source of one or two columns of numbers."""
        names = [f"{self.path.name}:{name[1:]}" for name in self.names() if name[1:] not in text][:2]
        return f"[{', '.join(names)}]" if len(names) == 2 else "".join(names) or "there are none"


def _as_array(column: TextColumn) -> LazyArray:
    return LazyArray.of(column.values, {"units": column.unit} if column.unit else {})


def open_table(path: Path) -> TextTable:
    """Read a text table.

    Raises:
        DataError: If the file cannot be read, or is no table.
    """
    text = read_text(path)
    try:
        return TextTable(path, parse_columns(text))
    except ValueError as error:
        remedy = "a table has one line for each view, and as many values in each line"
        raise DataError(Diagnostic(str(path), f"is no table of numbers: {error}", remedy)) from error


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, UTF-16, or Latin-1.

    Raises:
        DataError: If the disk refuses.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(Diagnostic(str(path), f"cannot be read: {error.strerror}")) from error
    return decode_text(data)


def decode_text(data: bytes) -> str:
    """Decode text in UTF-8, UTF-16, or Latin-1, of which every byte is a letter."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
