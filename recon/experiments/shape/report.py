"""What a report says and shows of predicted shapes."""

import csv
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...visualization.report_figures import DeferredFigure
from ...visualization.run_data import RunData
from ...visualization.summary import Finding, Level
from . import figures as draw
from .accuracy import ALL

if TYPE_CHECKING:
    import matplotlib.figure

_ERRORS = {"overlap_error": "1 - IoU", "volume": "volume", "surface": "surface", "roughness": "roughness"}


def report_findings(facts: RunData) -> list[Finding]:
    """Judge shapes by their section, by how much they differ, and by the truth where there is one."""
    numbers = {name: value for name, value in facts.metrics.items() if value is not None}
    found = []
    if "section" in numbers:
        found.append(_section(numbers["section"]))
    if "volume_spread" in numbers:
        text = (
            "Standard deviation of the volume over the draws of a cell. One section leaves that much open: take the "
            "draws together, not one of them."
        )
        found.append(Finding("plain", "Spread of the draws", f"{100 * numbers['volume_spread']:.0f} %", text))
    if "picture_after" in numbers:
        text = f"Square misfit of the pictures that the refined shapes make; as drawn {numbers['picture_before']:.3f}."
        found.append(Finding("plain", "Pictures", f"{numbers['picture_after']:.3f}", text))
    if "overlap_error" in numbers:
        found.append(_truth(numbers))
    return found


def report_figures(facts: RunData) -> list[DeferredFigure]:
    """What there is to show."""
    path = facts.folder / "volume.h5"
    drawn = []
    if path.is_file():
        drawn += [
            DeferredFigure(
                "Surfaces",
                "What was seen with its mask, and each draw from the same side.",
                lambda: draw.draw_gallery(draw.read_plotted_cells(path)),
            ),
            DeferredFigure(
                "Sections",
                "Three planes through the middle: outlines of the draws on the truth, or on their mean.",
                lambda: draw.draw_sections(draw.read_plotted_cells(path)),
            ),
            DeferredFigure(
                "Spread of the draws",
                "Thickness along z, and where all draws differ in it.",
                lambda: draw.draw_spread(*draw.read_thickness(path)),
            ),
            DeferredFigure(
                "Volume against area",
                "All draws of all cells against the area of their masks.",
                lambda: draw.draw_volumes(path),
            ),
        ]
    scores = facts.folder / "scores.csv"
    if scores.is_file():
        drawn.append(DeferredFigure("Errors", "Mean of the draws of each cell, by class.", lambda: _errors(facts)))
    return drawn


def _errors(facts: RunData) -> "matplotlib.figure.Figure":
    with (facts.folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return draw.draw_errors({title: _by_class(rows, name) for name, title in _ERRORS.items()})


def _by_class(rows: list[dict[str, str]], name: str) -> dict[str, list[float]]:
    """The known values of a column by class; those of all cells last, or alone where there is one class."""
    known = [(row["label"], float(row[name])) for row in rows if row[name]]
    labels = sorted({label for label, _ in known} - {""})
    found = {label: [value for own, value in known if own == label] for label in labels if len(labels) > 1}
    return found | {ALL: [value for _, value in known]}


def _section(agreement: float) -> Finding:
    level: Level = "good" if agreement >= 0.97 else "fair" if agreement >= 0.9 else "poor"
    text = "Overlap (IoU) of the shapes' own middle section with the mask that was given."
    return Finding(level, "Section", f"{agreement:.3f}", text)


def _truth(numbers: Mapping[str, float]) -> Finding:
    named = {"best_overlap_error": "the best draw of each cell", "consensus_overlap_error": "their consensus"}
    others = "".join(f"; {said} {numbers[name]:.3f}" for name, said in named.items() if name in numbers)
    errors = ", ".join(f"{name} {numbers[name]:.3f}" for name in ("volume", "surface", "roughness"))
    text = f"1 - IoU, mean of the draws{others}. Relative errors: {errors}."
    level: Level = "good" if numbers["overlap_error"] < 0.3 else "fair" if numbers["overlap_error"] < 0.5 else "poor"
    return Finding(level, "Against the truth", f"{numbers['overlap_error']:.3f}", text)
