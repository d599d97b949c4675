"""Scores of draws against the truth, on common voxels: a table of cells, and one of classes.

The errors are those of `metrics.shapes`. Each is reported as that of the consensus, the one shape that a prediction
gives (`network.consensus`), as the mean over a cell's draws, and as that of the best draw. Where a file holds no
consensus it is the voxels that more than half of the draws fill. The scores of the spread (CRPS, coverage, diversity)
compare the ensemble of draws with the truth.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from ...devices import usable_cores
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
    *(Column(f"consensus_{name}", "", _MEANING[name] + ", of the consensus, the one shape to take") for name in ERRORS),
    *(Column(name, "", _MEANING[name] + ", mean of the draws") for name in ERRORS),
    *(Column(f"best_{name}", "", _MEANING[name] + ", of the draw that is best in it") for name in ERRORS),
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
    """Scores of shapes against the truth.

    Args:
        cells: Table with a row for each cell.
        classes: Table with a row for each class, and one for all: mean over its cells, standard deviation of errors.
    """

    cells: Table
    classes: Table

    @property
    def numbers(self) -> dict[str, float]:
        """Means over all cells by name, without unknown ones.

        Lengths are in metres, as all numbers of a run; names of those in voxels end in ``_voxels``.
        """
        last, numbers = self.classes.rows[-1], {}
        for column in self.classes.columns:
            value = last.get(column.name, float("nan"))
            if column.name != "label" and value == value:
                name = f"{column.name}_voxels" if column.unit == "voxel" else column.name
                numbers[name] = float(value) * (1e-6 if column.unit == "um" else 1.0)
        return numbers


def score_shapes(
    draws: Any,
    truth: Any,
    *,
    labels: Sequence[str] = (),
    names: Sequence[str] = (),
    masks: Any = None,
    spacing: Sequence[float] | None = None,
    consensus: Any = None,
    progress: Any = silent,
) -> ShapeScores:
    """Compare draws of shapes with the truth.

    Args:
        draws: Occupancies (cell, draw, z, y, x), or other values that are larger inside and that Otsu's threshold
            separates: an array, a list, or a dataset of an open file, of which one cell is read at a time.
        truth: True shapes (cell, z, y, x) on the same voxels, in any of these forms.
        labels: Class of each cell, if known.
        names: Name of each cell, if known.
        masks: Sections (cell, y, x) that the cells were predicted from, to compute the agreement with them.
        spacing: [m] Voxel size (z, y, x); None for results in voxels.
        consensus: Consensus of each cell (cell, z, y, x), in any of these forms; None for the voxels that more than
            half of the draws fill.
        progress: Callback after each cell.

    Raises:
        DataError: If the numbers of cells or voxels differ, or a value is not finite.
    """
    count = len(truth)
    for what, given in (
        ("shapes", draws),
        ("labels", labels),
        ("names", names),
        ("masks", () if masks is None else masks),
        ("consensuses", () if consensus is None else consensus),
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
        own = None if consensus is None else np.asarray(consensus[i])
        row = score_cell(np.asarray(draws[i]), np.asarray(truth[i]), mask=mask, spacing=steps, consensus=own)
        rows.append(head | row)
        progress(i + 1, count)
    numbers = tuple(Column(c.name, c.unit.format(unit), c.meaning) for c in _NUMBERS)
    return ShapeScores(Table((*_CELL, *numbers), tuple(rows)), _class_table(rows, numbers))


def merge_scores(scores: Sequence[ShapeScores], names: Sequence[str], labels: Sequence[str]) -> ShapeScores:
    """Merge the scores of single cells into tables of all.

    Args:
        scores: Scores of one cell each, in one unit of length.
        names: Name of each cell.
        labels: Class of each cell; empty if unknown.
    """
    rows: list[dict[str, Cell]] = []
    for score, name, label in zip(scores, names, labels, strict=True):
        rows.append({**score.cells.rows[0], "name": name, "label": label})
    columns = scores[0].cells.columns
    return ShapeScores(Table(columns, tuple(rows)), _class_table(rows, columns[len(_CELL) :]))


def score_cell(
    draws: np.ndarray,
    truth: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    consensus: np.ndarray | None = None,
) -> dict[str, Cell]:
    """Compare the draws (draw, z, y, x) of one cell, and their consensus, with its truth (z, y, x).

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
    with ThreadPoolExecutor(usable_cores()) as pool:  # Most of the work is NumPy's and SciPy's, beside the interpreter.
        true_values, *each = pool.map(_characteristics, [known, *own])
        distances = list(pool.map(lambda draw: _surface_distance(known, draw, spacing), own))
    errors = {
        "overlap_error": [overlap_error(known, draw) for draw in own],
        **{name: [relative_error(true_values[name], one[name]) for one in each] for name in CHARACTERISTICS},
        "hausdorff": distances,
    }
    means = {name: float(np.mean(values)) for name, values in errors.items()}
    best = {f"best_{name}": float(np.min(values)) for name, values in errors.items()}
    middle = shape_errors(known, 2 * own.sum(axis=0) > len(own) if consensus is None else consensus)
    of_consensus = {f"consensus_{name}": middle[name] for name in ERRORS}
    spread = _spread(true_values, {name: np.array([one[name] for one in each]) for name in SPREAD})
    sections = {} if mask is None else {"section": _section(own, otsu_binarize(mask[None])[0])}
    return {"draws": len(own), **means, **best, **of_consensus, **spread, "diversity": diversity(own), **sections}


def _characteristics(inside: Inside) -> dict[str, float]:
    return {**{name: measure(inside) for name, measure in CHARACTERISTICS.items()}, "curvature": _curvature(inside)}


def _surface_distance(known: Inside, draw: Inside, spacing: Sequence[float]) -> float:
    """Hausdorff distance of the surfaces; the diagonal of the field of view if the draw is empty.

    An undefined distance would be left out, and an empty draw would improve the mean.
    """
    distance = hausdorff(known, draw, spacing)
    return distance if distance == distance else float(np.linalg.norm(np.multiply(known.shape, spacing)))


def _curvature(inside: Inside) -> float:
    """[1/voxel] Mean of the mean curvature over the surface; 0 for a shape without a surface."""
    from ...metrics.morphology.surface import extract_surface

    if not inside.any() or inside.all():
        return 0.0
    return extract_surface(inside, sharp=False).mean_curvature


def _spread(truth: Mapping[str, float], draws: Mapping[str, np.ndarray]) -> dict[str, float]:
    """CRPS relative to the truth, and coverage of the truth by the interval, which several draws have."""
    numbers: dict[str, float] = {}
    for name, values in draws.items():
        numbers[f"crps_{name}"] = crps(values, truth[name]) / abs(truth[name]) if truth[name] else float("nan")
        if len(values) > 1:
            low, high, expected = interval(values, INTERVAL)
            numbers[f"coverage_{name}"] = float(low <= truth[name] <= high)
            numbers["coverage_expected"] = expected
    return numbers


def _section(draws: Bool[np.ndarray, "k z y x"], mask: Bool[np.ndarray, "y x"]) -> float:
    middle = draws[:, draws.shape[1] // 2]
    return float(np.mean([1 - overlap_error(mask[None], plane[None]) for plane in middle]))


def _class_table(rows: Sequence[Mapping[str, Cell]], numbers: Sequence[Column]) -> Table:
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
