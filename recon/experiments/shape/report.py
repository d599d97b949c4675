"""Findings and figures of the report on predicted shapes."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...io.hdf5_common import open_checked, text_of
from ...visualization.report_figures import DeferredFigure
from ...visualization.run_data import RunData
from ...visualization.summary import Finding, Level
from . import figures
from .labels import list_some
from .output import CELLS, TRAINING_NOTE, VOLUME
from .scores import ALL

if TYPE_CHECKING:
    import matplotlib.figure

_ERRORS = {"overlap_error": "1 - IoU", "volume": "volume", "surface": "surface", "roughness": "roughness"}


def report_findings(run: RunData) -> list[Finding]:
    """Judge shapes by their section, their spread, and the truth where it is known."""
    numbers = {name: value for name, value in run.metrics.items() if value is not None}
    findings = []
    if "section" in numbers:
        findings.append(_section(numbers["section"]))
    findings += _training(numbers, run)
    findings += _doubtful_cells(numbers, run)
    if "volume_spread" in numbers:
        text = (
            "Standard deviation of the volume over the draws of a cell. One section leaves that much open: take the "
            "draws together, not one of them."
        )
        findings.append(Finding("plain", "Spread of the draws", f"{100 * numbers['volume_spread']:.0f} %", text))
    if "picture_after" in numbers:
        text = f"Square misfit of the pictures that the refined shapes make; as drawn {numbers['picture_before']:.3f}."
        findings.append(Finding("plain", "Pictures", f"{numbers['picture_after']:.3f}", text))
    if "overlap_error" in numbers:
        findings.append(_truth(numbers))
    return findings


def report_figures(run: RunData) -> list[DeferredFigure]:
    """List the figures of a run."""
    path = run.folder / "volume.h5"
    listed = []
    if path.is_file():
        listed += [
            DeferredFigure(
                "Surfaces",
                "Picture with its mask, and each draw from the same side.",
                lambda: figures.draw_gallery(figures.read_plotted_cells(path)),
            ),
            DeferredFigure(
                "Sections",
                "Three planes through the middle: outlines of the draws on the truth, or on their mean.",
                lambda: figures.draw_sections(figures.read_plotted_cells(path)),
            ),
            DeferredFigure(
                "Spread of the draws",
                "Thickness along z, and where all draws differ in it.",
                lambda: figures.draw_spread(*figures.read_thickness(path)),
            ),
            DeferredFigure(
                "Volume against area",
                "All draws of all cells against the area of their masks.",
                lambda: figures.draw_volumes(path),
            ),
        ]
    scores = run.folder / "scores.csv"
    if scores.is_file():
        listed.append(DeferredFigure("Errors", "Mean of the draws of each cell, by class.", lambda: _draw_errors(run)))
    return listed


def _draw_errors(run: RunData) -> "matplotlib.figure.Figure":
    with (run.folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return figures.draw_errors({title: _by_class(rows, name) for name, title in _ERRORS.items()})


def _by_class(rows: list[dict[str, str]], name: str) -> dict[str, list[float]]:
    """Group the known values of a column by class; those of all cells come last, or alone if there is one class."""
    known = [(row["label"], float(row[name])) for row in rows if row[name]]
    labels = sorted({label for label, _ in known} - {""})
    by_class = {label: [value for own, value in known if own == label] for label in labels if len(labels) > 1}
    return by_class | {ALL: [value for _, value in known]}


def _section(agreement: float) -> Finding:
    level: Level = "good" if agreement >= 0.97 else "fair" if agreement >= 0.9 else "poor"
    text = "Overlap (IoU) of the shapes' own middle section with the mask that was given."
    return Finding(level, "Section", f"{agreement:.3f}", text)


def _training(numbers: Mapping[str, float], run: RunData) -> list[Finding]:
    """Judge whether the cells are like those that the network was trained on."""
    note = _read_note(run.folder / VOLUME)
    if not {"cells_doubtful", "cells_unlike_training"} & set(numbers):
        return []
    novel, cells = int(numbers.get("cells_unlike_training", 0)), int(numbers.get("cells", 1))
    if not novel:
        return [Finding("good", "Training", "familiar", f"The cells are like those of the training: {note}.")]
    text = f"Cells unlike those of the training, whose shapes may be wrong by factors: {note}."
    return [Finding("poor", "Training", f"{novel} of {cells} novel", text)]


def _doubtful_cells(numbers: Mapping[str, float], run: RunData) -> list[Finding]:
    """Name the doubtful cells of a run of several."""
    cells, doubtful = int(numbers.get("cells", 1)), int(numbers.get("cells_doubtful", 0))
    if cells == 1 or not doubtful or not (run.folder / CELLS).is_file():
        return []
    with (run.folder / CELLS).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("verdict_reasons")]
    text = list_some([f"{row['name']}: {row['verdict_reasons']}" for row in rows])
    return [Finding("fair", "Doubtful cells", f"{doubtful} of {cells}", f"{text}.")]


def _read_note(path: Path) -> str:
    """Read the sentence on the training of the network."""
    if not path.is_file():
        return "its volume is absent"
    with open_checked(path) as file:
        return text_of(file.attrs.get(TRAINING_NOTE, "its file does not name them"))


def _truth(numbers: Mapping[str, float]) -> Finding:
    named = {"best_overlap_error": "the best draw of each cell", "consensus_overlap_error": "their consensus"}
    others = "".join(f"; {said} {numbers[name]:.3f}" for name, said in named.items() if name in numbers)
    errors = ", ".join(f"{name} {numbers[name]:.3f}" for name in ("volume", "surface", "roughness"))
    text = f"1 - IoU, mean of the draws{others}. Relative errors: {errors}."
    level: Level = "good" if numbers["overlap_error"] < 0.3 else "fair" if numbers["overlap_error"] < 0.5 else "poor"
    return Finding(level, "Against the truth", f"{numbers['overlap_error']:.3f}", text)
