"""Faults of the LEDs of a flat array: numbers that are no rows and columns, or that the array does not have."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Num

from ...config.advice import quoted
from ...errors import DataError, Diagnostic
from ...io.image_folder import tables_of_folder
from ...io.text_table import open_table
from .config_illumination import LedGrid

_FRACTION = 1e-3
"""Largest distance from a whole number that is one."""
_FLATTEST = 10.0
"""Largest distance of an LED from the axis, relative to the height of the array."""
_COUNTED_FROM = 2.0
"""Middle of the array from which on its rows and columns are counted from 0."""
_TABLE_NAME = re.compile("led|position|light|illum", re.IGNORECASE)


def led_faults(
    row_col: Num[np.ndarray, "view 2"] | None, positions: Num[np.ndarray, "view 2"] | None, grid: LedGrid, place: str
) -> list[Diagnostic]:
    """Find LEDs that are at no row and column, off the array, or far beside the specimen.

    Args:
        row_col: Row and column of each view's LED.
        positions: [m] Position of each view's LED, instead.
        grid: Description of the array.
        place: Place of the numbers, for messages.
    """
    numbers = row_col if positions is None else positions
    if numbers is None or not np.isfinite(numbers).all():
        return []  # Reported already.
    if positions is not None:
        return _far_faults(positions, grid, place)
    checks = (_fraction_faults, _faults_off_the_array, _one_sided_faults)
    return next((faults for check in checks if (faults := check(numbers, grid, place))), [])


def _far_faults(positions: np.ndarray, grid: LedGrid, place: str) -> list[Diagnostic]:
    """Find positions so far beside the specimen that they are in millimetres."""
    farthest = float(np.abs(positions).max(initial=0))
    height = float(grid.height.value)
    if farthest < _FLATTEST * height:
        return []
    message = f"an LED is {farthest:g} m off the axis, and {height:g} m from the specimen: these are no metres"
    source = grid.positions
    named = "'/path in mm'"
    if source is not None and not source.is_literal:
        named = source.in_unit("mm") if source.parts else quoted(source.in_unit("mm"))
    remedy = f"name their unit: acquisition.led_grid.positions: {named}"
    return [Diagnostic(place, message, remedy)]


def _fraction_faults(row_col: np.ndarray, grid: LedGrid, place: str) -> list[Diagnostic]:
    """Find rows and columns that are no whole numbers; those of an even array about its middle are all halves."""
    fractions = np.abs(row_col - np.round(row_col))
    halves = (np.abs(fractions - 0.5) < _FRACTION).all(axis=0)
    wrong = (fractions > _FRACTION) & ~halves
    if not wrong.any():
        return []
    view, axis = (int(i) for i in np.argwhere(wrong)[0])
    name = "row" if axis == 0 else "column"
    message = f"{row_col[view, axis]:g} of view {view} is no {name} of an LED: a whole number is due"
    path = grid.row_col.path or "/path"
    unit = "m" if np.abs(row_col).max() < float(grid.height.value) * _FLATTEST else "mm"
    remedy = (
        f"positions of the LEDs go to acquisition.led_grid.positions: '{path} in {unit}'; n·sin θ of their light goes "
        f"to acquisition.illumination_na: '{path}', without acquisition.led_grid"
    )
    return [Diagnostic(place, message, remedy)]


def _faults_off_the_array(row_col: np.ndarray, grid: LedGrid, place: str) -> list[Diagnostic]:
    """Find LEDs beyond the last row or column, or before the first where the middle is given in numbers from 0."""
    for axis, name in enumerate(("row", "column")):
        numbers = row_col[:, axis]
        beyond = numbers >= grid.size[axis] if grid.size else np.zeros(len(numbers), bool)
        before = (numbers < 0) & bool(grid.size or grid.centre[axis] >= _COUNTED_FROM)
        if (before | beyond).any():
            view = int(np.argmax(before | beyond))
            size = f"of {grid.size[axis]}" if grid.size else f"whose middle is {name} {grid.centre[axis]:g}"
            message = f"{name} {numbers[view]:g} of view {view} is off the array {size}: {name}s are counted from 0"
            remedy = "correct the numbers or acquisition.led_grid; leave views out with acquisition.views"
            return [Diagnostic(place, message, remedy)]
    return []


def _one_sided_faults(row_col: np.ndarray, grid: LedGrid, place: str) -> list[Diagnostic]:
    """Find numbers from 0 on whose middle, the LED above the axis, is not given: all light would come from one side."""
    least, most = row_col.min(axis=0), row_col.max(axis=0)
    if "centre" in grid.model_fields_set or (least < 0).any() or (most < _COUNTED_FROM).any():
        return []
    rows, columns = (f"{low:g} to {high:g}" for low, high in zip(least, most, strict=True))
    middle = ", ".join(f"{value:g}" for value in (least + most) / 2)
    message = f"rows {rows} and columns {columns} lie on one side of the optical axis, at row 0 and column 0"
    remedy = f"give the row and column above the axis, acquisition.led_grid.centre: [{middle}] for the middle of these"
    return [Diagnostic(place, message, remedy)]


def led_table_hint(folder: Path) -> str:
    """Suggest the columns of a table in a folder of images as the places of the LEDs; empty without such a table."""
    names = tables_of_folder(folder)
    for name in sorted(names, key=lambda name: _TABLE_NAME.search(name) is None):
        try:
            numbered = list(enumerate(open_table(folder / name).columns, 1))
        except DataError:
            continue
        columns = [(number, column) for number, column in numbered if _is_place(column.values)]
        if len(columns) >= 2:
            listed = ", ".join(f"{name}:{number}{'' if column.unit else ' in mm'}" for number, column in columns[:2])
            return (
                f"; if {name} gives the places of the LEDs, acquisition.led_grid.positions: [{listed}] with "
                "acquisition.led_grid.height: 79 mm (their distance); row_axis: x, column_axis: y where x comes first"
            )
    return ""


def _is_place(values: np.ndarray) -> bool:
    """Whether a column holds numbers other than those of the views."""
    return values.dtype.kind == "f" and not (np.diff(values) == 1).all()
