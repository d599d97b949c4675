"""Accuracy of shapes, and of the spread of their draws, against the truth: a row a cell, a row a class, and all.

The errors are those of `metrics.shapes`, on voxels. Each is the mean of a cell's draws, and beside it that of the draw
that is best in it, and that of their consensus: the voxels that more than half of them fill, which is what to take for
the form who wants a single shape; where draws differ much it is smaller than they are. The scores of the spread (CRPS,
coverage, diversity) look at the draws together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from ...errors import DataError
from ...io.table import Cell, Column, Table
from ...metrics.shapes import (
    CHARACTERISTICS,
    INTERVAL,
    Inside,
    crps,
    diversity,
    hausdorff,
    interval,
    otsu_binarize,
    overlap_error,
    relative_error,
    shape_errors,
)
from ...runs.context import silent

ERRORS = ("overlap_error", "volume", "surface", "roughness")
SPREAD = ("volume", "surface", "roughness", "curvature")
ALL = "all"
_MEANING = {
    "overlap_error": "1 - intersection over union",
    "volume": "relative error of the number of voxels",
    "surface": "relative error of the number of voxels that touch the outside",
    "roughness": "relative error of the number of voxels that a Gaussian of 2 voxels changes",
    "curvature": "mean of the mean curvature over the surface",
}
_NUMBERS = (
    *(Column(name, "", _MEANING[name] + ", mean of the draws") for name in ERRORS),
    *(Column(f"best_{name}", "", _MEANING[name] + ", of the draw that is best in it") for name in ERRORS),
    *(
        Column(f"consensus_{name}", "", _MEANING[name] + ", of the voxels that more than half of the draws fill")
        for name in ERRORS
    ),
    Column("hausdorff", "{0}", "distance within which 95 % of each surface lies of the other, mean of the draws"),
    Column("best_hausdorff", "{0}", "the same of the best draw"),
    *(
        Column(f"crps_{name}", "", f"CRPS of the {name} over that of the truth; of one draw its error")
        for name in SPREAD
    ),
    *(Column(f"coverage_{name}", "", f"share of cells whose {name} lies in the draws' interval") for name in SPREAD),
    Column("coverage_expected", "", "share that it ought to be: 0.9, or less of fewer than 19 draws"),
    Column("diversity", "", "1 - intersection over union of each two draws"),
    Column(
        "section",
        "",
        "intersection over union of the middle plane and the mask (or the truth's), mean of draws",
    ),
)
_CELL = (Column("name"), Column("label"), Column("draws"))
_CLASS = (Column("label"), Column("cells"), Column("draws"))


@dataclass(frozen=True)
class ShapeScores:
    """How near shapes are to the truth.

    Args:
        cells: One row a cell.
        classes: One row a class with the mean of its cells and the standard deviation of their errors, then all cells.
    """

    cells: Table
    classes: Table

    @property
    def numbers(self) -> dict[str, float]:
        """The means of all cells, by name; those that are not known are left out.

        As all numbers of a run they are in SI: lengths in metres, or else their names end in ``_voxels``.
        """
        last, numbers = self.classes.rows[-1], {}
        for column in self.classes.columns:
            value = last.get(column.name, float("nan"))
            if column.name != "label" and value == value:
                name = f"{column.name}_voxels" if column.unit == "voxel" else column.name
                numbers[name] = float(value) * (1e-6 if column.unit == "um" else 1.0)
        return numbers


def score_shapes(
    found: Any,
    truth: Any,
    *,
    labels: Sequence[str] = (),
    names: Sequence[str] = (),
    masks: Any = None,
    spacing: Sequence[float] | None = None,
    progress: Any = silent,
) -> ShapeScores:
    """Compare draws of shapes with the truth.

    Args:
        found: Occupancies (cell, draw, z, y, x), or other values that Otsu's threshold parts: an array, a list, or a
            dataset of an open file, of which one cell is read at a time. Of a distance it would take the outside.
        truth: The shapes as they are (cell, z, y, x), on the same voxels, likewise.
        labels: Class of each cell, if known.
        names: Of each cell, if known.
        masks: The sections (cell, y, x) that the cells were predicted from, if its agreement is to be told.
        spacing: [m] Size of a voxel (z, y, x); voxels if unknown.
        progress: Told of each cell.

    Raises:
        DataError: If the numbers of cells or voxels differ, or a value is not finite.
    """
    count = len(truth)
    for what, given in (
        ("shapes", found),
        ("labels", labels),
        ("names", names),
        ("masks", () if masks is None else masks),
    ):
        if len(given) != count and (what == "shapes" or len(given)):
            raise DataError(f"there are {len(given)} {what} and {count} true shapes; give one of each for every cell")
    if not count:
        raise DataError("there is no cell to compare")
    unit = "voxel" if spacing is None else "um"
    steps = (1.0, 1.0, 1.0) if spacing is None else tuple(1e6 * float(step) for step in spacing)
    rows = []
    for i in range(count):
        head: dict[str, Cell] = {"name": names[i] if len(names) else str(i), "label": labels[i] if len(labels) else ""}
        mask = None if masks is None else np.asarray(masks[i])
        rows.append(head | score_cell(np.asarray(found[i]), np.asarray(truth[i]), mask=mask, spacing=steps))
        progress(i + 1, count)
    numbers = tuple(Column(c.name, c.unit.format(unit), c.meaning) for c in _NUMBERS)
    return ShapeScores(Table((*_CELL, *numbers), tuple(rows)), _by_class(rows, numbers))


def score_cell(
    draws: np.ndarray,
    truth: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
) -> dict[str, Cell]:
    """Compare the draws (draw, z, y, x) of one cell with its truth (z, y, x).

    Raises:
        DataError: If the voxels differ, there is no draw, or the truth is empty.
    """
    if draws.ndim != 4 or not len(draws) or draws.shape[1:] != truth.shape:
        raise DataError(
            f"draws of the shape {draws.shape}, a truth of {truth.shape}: draws are (draw, z, y, x) on its voxels"
        )
    known, own = otsu_binarize(truth), np.stack([otsu_binarize(draw) for draw in draws])
    if not known.any():
        raise DataError("the true shape is empty")
    true, each = _characteristics(known), [_characteristics(draw) for draw in own]
    errors = {
        "overlap_error": [overlap_error(known, draw) for draw in own],
        **{name: [relative_error(true[name], one[name]) for one in each] for name in CHARACTERISTICS},
        "hausdorff": [_apart(known, draw, spacing) for draw in own],
    }
    means = {name: float(np.mean(values)) for name, values in errors.items()}
    best = {f"best_{name}": float(np.min(values)) for name, values in errors.items()}
    middle = shape_errors(known, 2 * own.sum(axis=0) > len(own))
    consensus = {f"consensus_{name}": middle[name] for name in ERRORS}
    spread = _spread(true, {name: np.array([one[name] for one in each]) for name in SPREAD})
    sections = {} if mask is None else {"section": _section(own, otsu_binarize(mask[None])[0])}
    return {"draws": len(own), **means, **best, **consensus, **spread, "diversity": diversity(own), **sections}


def _characteristics(inside: Inside) -> dict[str, float]:
    return {**{name: of(inside) for name, of in CHARACTERISTICS.items()}, "curvature": _curvature(inside)}


def _apart(known: Inside, draw: Inside, spacing: Sequence[float]) -> float:
    """Distance of the surfaces; the whole field of view where the draw has none.

    Nothing would be said of such a draw, and a cell that was missed would leave the mean the better for it.
    """
    found = hausdorff(known, draw, spacing)
    return found if found == found else float(np.linalg.norm(np.multiply(known.shape, spacing)))


def _curvature(inside: Inside) -> float:
    """[1/voxel] Mean of the mean curvature over the surface; 0 of a shape without one, as of all else it has none."""
    from ...metrics.morphology.surface import extract_surface

    if not inside.any() or inside.all():
        return 0.0
    mesh = extract_surface(inside).mesh
    return float(mesh.integral_mean_curvature / mesh.area)


def _spread(true: Mapping[str, float], draws: Mapping[str, np.ndarray]) -> dict[str, float]:
    """CRPS relative to the truth, and whether the interval holds it; of one draw there is no interval."""
    numbers: dict[str, float] = {}
    for name, values in draws.items():
        numbers[f"crps_{name}"] = crps(values, true[name]) / abs(true[name]) if true[name] else float("nan")
        if len(values) > 1:
            low, high, expected = interval(values, INTERVAL)
            numbers[f"coverage_{name}"] = float(low <= true[name] <= high)
            numbers["coverage_expected"] = expected
    return numbers


def _section(draws: Bool[np.ndarray, "k z y x"], mask: Bool[np.ndarray, "y x"]) -> float:
    middle = draws[:, draws.shape[1] // 2]
    return float(np.mean([1 - overlap_error(mask[None], plane[None]) for plane in middle]))


def _by_class(rows: Sequence[Mapping[str, Cell]], numbers: Sequence[Column]) -> Table:
    labels = sorted({str(row["label"]) for row in rows} - {""})
    groups = {label: [row for row in rows if row["label"] == label] for label in labels} | {ALL: list(rows)}
    deviations = [Column(f"{name}_std", "", f"standard deviation of {name} over the cells") for name in ERRORS]
    columns = (*_CLASS, *numbers, *deviations)
    return Table(columns, tuple(_mean_row(label, group, numbers) for label, group in groups.items()))


def _mean_row(label: str, rows: Sequence[Mapping[str, Cell]], numbers: Sequence[Column]) -> dict[str, Cell]:
    known = {
        column.name: np.array([v for row in rows if (v := float(row.get(column.name, np.nan))) == v])
        for column in numbers
    }
    means = {name: float(values.mean()) for name, values in known.items() if values.size}
    spreads = {f"{name}_std": float(known[name].std()) for name in ERRORS if known[name].size}
    draws = float(np.mean([float(row["draws"]) for row in rows]))
    whole: Cell = int(draws) if draws == int(draws) else draws
    return {"label": label, "cells": len(rows), "draws": whole, **means, **spreads}
