"""Numbers of `unflat measure` in a report."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..io.table import Cell, Column, Table

_UNITS = {"u": "µ", "2": "²", "3": "³", "voxel": "voxels"}


@dataclass(frozen=True)
class Measures:
    """Measures of the specimens of a run.

    Args:
        table: A row for each specimen; a single one is shown upright.
        note: Sentence on their origin.
    """

    table: "Table"
    note: str = ""

    @property
    def is_single(self) -> bool:
        """Whether there is one specimen."""
        return len(self.table.rows) == 1

    @property
    def upright(self) -> list[dict[str, str]]:
        """Name, value with unit and meaning of each measure of the first specimen."""
        row = self.table.rows[0]
        return [
            {"title": title_of(column), "value": text_of(row[column.name], column.unit), "meaning": column.meaning}
            for column in self.table.columns
            if column.name in row
        ]

    @property
    def heads(self) -> list[str]:
        """Name and unit of each column."""
        units = (shown_unit(column.unit) for column in self.table.columns)
        return [
            title_of(column) + (f" ({unit})" if unit else "")
            for column, unit in zip(self.table.columns, units, strict=True)
        ]

    @property
    def rows(self) -> list[list[str]]:
        """Texts of the cells, row by row."""
        return [[text_of(row.get(column.name, "")) for column in self.table.columns] for row in self.table.rows]


def title_of(column: "Column") -> str:
    """Name of a column for people: ``surface_area`` becomes ``Surface area``."""
    return column.name.replace("_", " ").capitalize()


def text_of(value: "Cell", unit: str = "") -> str:
    """Write a number with four digits and its unit: ``217.3 µm³``, ``2.275·10⁸ nm³``."""
    if isinstance(value, str):
        return value
    text = f"{value:.4g}".replace("-", "−")
    text = re.sub(r"e([+−]?)0*(\d+)", lambda power: "·10" + _raised(power[1].strip("+") + power[2]), text)
    return f"{text} {shown_unit(unit)}".rstrip()


def shown_unit(unit: str) -> str:
    """Write a unit of a table as people do: ``um3`` becomes ``µm³``."""
    return re.sub(r"^u(?=m)|(?<=[a-z])[23]\b", lambda part: _UNITS[part[0]], unit)


def _raised(text: str) -> str:
    return text.translate(str.maketrans("−0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
