"""Place of each cell in its image: arrays of an acquisition, and columns of tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...acquisition import Acquisition
from ...io.table import Cell, Column, Table
from .cell_crops import CellPlace

FILE, NUMBER, BOX, ORIGIN = "image_file", "cell_label", "bounding_box", "origin"
ARRAYS = (FILE, NUMBER, BOX, ORIGIN)
"""Names of the arrays, as in `ShapeAcquisition`."""
AT_BORDER = "outline_at_border"
"""Array of the share of each cell's outline that lies on the border of its image."""
_BOX_COLUMNS = ("row_min", "column_min", "row_max", "column_max")
_ORIGIN_COLUMNS = ("origin_y", "origin_x")
ARRAY_COLUMNS = {BOX: _BOX_COLUMNS, ORIGIN: _ORIGIN_COLUMNS}
"""Names of the numbers of each cell, of the arrays that have several."""
COLUMNS = (
    Column(FILE, "", "file of the image"),
    Column(NUMBER, "", "number of the cell in the mask; 0 for a mask without labels"),
    *(
        Column(name, "", f"{text} of the cell in the image, as in skimage's bbox")
        for name, text in zip(_BOX_COLUMNS, ("first row", "first column", "end row", "end column"), strict=True)
    ),
    *(
        Column(name, "", f"{text} of the image at the centre of the cell's grid")
        for name, text in zip(_ORIGIN_COLUMNS, ("row", "column"), strict=True)
    ),
)
"""Columns of tables, in pixels of the image."""


def place_arrays(places: Sequence[CellPlace | None]) -> dict[str, np.ndarray]:
    """Arrays of the places of cells; none unless all are known."""
    known = [place for place in places if place is not None]
    if len(known) < len(places):
        return {}
    return {
        FILE: np.array([place.file for place in known]),
        NUMBER: np.array([place.number for place in known], np.int64),
        BOX: np.array([place.box for place in known], np.int64).reshape(-1, len(_BOX_COLUMNS)),
        ORIGIN: np.array([place.origin for place in known], float).reshape(-1, len(_ORIGIN_COLUMNS)),
    }


def read_place(arrays: Acquisition | Mapping[str, np.ndarray], index: int) -> CellPlace | None:
    """Return the place of a cell from the arrays of an acquisition; None unless it has all of them.

    Args:
        arrays: The acquisition, or its arrays by name.
        index: Number of the cell.
    """
    if not all(name in arrays for name in ARRAYS):
        return None
    top, left, bottom, right = (int(end) for end in arrays[BOX][index])
    y, x = (float(at) for at in arrays[ORIGIN][index])
    return CellPlace(str(arrays[FILE][index]), int(arrays[NUMBER][index]), (top, left, bottom, right), (y, x))


def place_row(place: CellPlace | None) -> dict[str, Cell]:
    """Values of a place by the name of their column."""
    if place is None:
        return {}
    names = (FILE, NUMBER, *_BOX_COLUMNS, *_ORIGIN_COLUMNS)
    return dict(zip(names, (place.file, place.number, *place.box, *place.origin), strict=True))


def with_places(table: Table, rows: Sequence[Mapping[str, Cell]]) -> Table:
    """Insert the places of cells after their names and classes.

    Args:
        table: Table with a row for each cell, whose first two columns are name and class.
        rows: Place of each cell by column; empty if none is known.
    """
    if not any(rows):
        return table
    columns = (*table.columns[:2], *COLUMNS, *table.columns[2:])
    return Table(columns, tuple({**own, **row} for own, row in zip(rows, table.rows, strict=True)))


def place_in(attributes: Mapping[str, Any]) -> dict[str, Cell]:
    """Values of a place among the attributes of a model or a volume, by the name of their column."""
    row: dict[str, Cell] = {}
    for column in COLUMNS:
        if column.name not in attributes:
            continue
        value = attributes[column.name]
        row[column.name] = value if isinstance(value, str) else float(value) if value % 1 else int(value)
    return row
