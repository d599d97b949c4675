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

    from ...io.table import Cell, Column
    from ...visualization.measures import Measures
    from ...visualization.surface_scene import SurfaceScene

_ERRORS = {"overlap_error": "1 - IoU", "volume": "volume", "surface": "surface", "roughness": "roughness"}

_MEASURES = ("name", "label", "section_area", "volume", "volume_mean", "volume_std", "section_agreement", "verdict")
_MOST_ROWS = 60
"""Largest number of cells in the table of a report."""


def report_findings(run: RunData) -> list[Finding]:
    """Judge shapes by their section, their spread, and the truth where it is known."""
    numbers = {name: value for name, value in run.metrics.items() if value is not None}
    findings = [_truth(numbers)] if "overlap_error" in numbers else []
    if "section" in numbers:
        findings.append(_section(numbers["section"]))
    findings += _training(numbers, run)
    findings += _doubtful_cells(numbers, run)
    if "volume_spread" in numbers:
        text = (
            "Standard deviation of the volume over the draws of a cell. The sections leave that much open: the "
            "consensus is the one shape to take, and the draws are its spread."
        )
        findings.append(Finding("plain", "Spread of the draws", f"{100 * numbers['volume_spread']:.0f} %", text))
    findings += _sections(numbers)
    if "picture_after" in numbers:
        text = f"Square misfit of the pictures that the refined shapes make; as drawn {numbers['picture_before']:.3f}."
        findings.append(Finding("plain", "Pictures", f"{numbers['picture_after']:.3f}", text))
    return findings


def verdict_remark(run: RunData) -> str:
    """Count the doubtful cells of a run of several; empty without one."""
    cells, doubtful = (int(run.metrics.get(name) or 0) for name in ("cells", "cells_doubtful"))
    if cells < 2 or not doubtful:
        return ""
    return f"{doubtful} of {cells} cells {'is' if doubtful == 1 else 'are'} doubtful, see below"


def report_figures(run: RunData) -> list[DeferredFigure]:
    """List the figures of a run."""
    path = run.folder / "volume.h5"
    listed = []
    if path.is_file():
        listed += [
            DeferredFigure(
                "Surfaces",
                "Picture with its mask, and from one side: the consensus, which is the one shape to take, and draws.",
                lambda: figures.draw_gallery(figures.read_plotted_cells(path)),
            ),
            DeferredFigure(
                "Sections",
                "Three planes through the middle: outlines of consensus (bold) and draws, on the truth or their mean.",
                lambda: figures.draw_sections(figures.read_plotted_cells(path)),
            ),
            *_section_figure(path),
            DeferredFigure(
                "Spread of the draws",
                "Thickness along z, and where all draws differ in it.",
                lambda: figures.draw_spread(*figures.read_thickness(path)),
            ),
            DeferredFigure(
                "Volume against area",
                "Consensus and draws of all cells against the area of their masks.",
                lambda: figures.draw_volumes(path),
            ),
        ]
    scores = run.folder / "scores.csv"
    if scores.is_file():
        listed.append(DeferredFigure("Errors", "Of the consensus of each cell, by class.", lambda: _draw_errors(run)))
    return listed


def _section_figure(path: Path) -> list[DeferredFigure]:
    """Figure of further sections; none for a run without them."""
    from .section_figure import draw_further_sections, has_section_figure

    if not has_section_figure(path):
        return []
    text = (
        "Each further section, its picture or its mask, with the outlines of mask (bold), draws and consensus (white)."
    )
    return [DeferredFigure("Further sections", text, lambda: draw_further_sections(path))]


def report_scene(run: RunData) -> "SurfaceScene | None":
    """Make the scene of the consensus of each shown cell; None for a run without shapes."""
    path = run.folder / VOLUME
    if not path.is_file():
        return None
    from .surfaces import shape_scene

    return shape_scene(path)


def report_measures(run: RunData) -> "Measures | None":
    """List the volumes of all cells and their spread; None for a run without its table."""
    from ...io.table import Column, Table
    from ...visualization.measures import Measures

    path = run.folder / CELLS
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = [_column(head) for head in (rows[0] if rows else {}) if head.partition(" ")[0] in _MEASURES]
    heads = {column.head: column.name for column in columns}
    cells = [{name: _number(row[head]) for head, name in heads.items()} for row in rows[:_MOST_ROWS]]
    note = f"From {CELLS}, which holds more; unflat measure writes surface, roughness, curvature and the like."
    if len(rows) > _MOST_ROWS:
        note = f"The first {_MOST_ROWS} of {len(rows)} cells. {note}"
    return Measures(Table(tuple(Column(c.name, c.unit) for c in columns), tuple(cells)), note) if cells else None


def _column(head: str) -> "Column":
    """Column of a head such as ``volume [um3]``."""
    from ...io.table import Column

    name, _, unit = head.partition(" [")
    return Column(name, unit.removesuffix("]"))


def _number(text: str) -> "Cell":
    try:
        return float(text)
    except ValueError:
        return text


def _draw_errors(run: RunData) -> "matplotlib.figure.Figure":
    with (run.folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    prefix = "consensus_" if rows and "consensus_overlap_error" in rows[0] else ""
    return figures.draw_errors({title: _by_class(rows, prefix + name) for name, title in _ERRORS.items()})


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


def _sections(numbers: Mapping[str, float]) -> list[Finding]:
    """Judge the agreement with further sections, and name the next one that would tell most."""
    findings = []
    if "sections_agreement" in numbers:
        agreement = numbers["sections_agreement"]
        level: Level = "good" if agreement >= 0.9 else "fair" if agreement >= 0.7 else "poor"
        text = "Overlap (IoU) of the draws with the further section that they agree with least, mean of the cells."
        findings.append(Finding(level, "Further sections", f"{agreement:.3f}", text))
    if "next_section_gain" in numbers:
        about_y, about_x = numbers["next_section_tilt_y"], numbers["next_section_tilt_x"]
        height = f"{numbers['next_section_height'] * 1e6:+.2g} um" if "next_section_height" in numbers else ""
        height = height or f"{numbers.get('next_section_height_voxels', 0):+.2g} pixels"
        place = f"tilt of {about_y or about_x:.0f}° about {'y' if about_y else 'x'}" if about_y or about_x else height
        text = (
            f"A further section at this place is expected to remove {100 * numbers['next_section_gain']:.0f} % of the "
            f"variance of the draws, and {100 * numbers['next_section_gain_volume']:.0f} % of that of their volume."
        )
        findings.append(Finding("plain", "Next section", place, text))
    return findings


def _training(numbers: Mapping[str, float], run: RunData) -> list[Finding]:
    """Judge whether the cells are like those that the network was trained on."""
    note = _read_note(run.folder / VOLUME)
    if not {"cells_doubtful", "cells_unlike_training"} & set(numbers):
        return []
    novel, cells = int(numbers.get("cells_unlike_training", 0)), int(numbers.get("cells", 1))
    if not novel:
        return [Finding("good", "Training", "familiar", f"The cells are like those of the training: {note}.")]
    text = f"Cells unlike those of the training, whose shapes may be wrong by factors: {note}."
    level: Level = "poor" if run.verdict is None or run.verdict.reasons else "plain"  # As grave as the verdict.
    return [Finding(level, "Training", f"{novel} of {cells} novel", text)]


def _doubtful_cells(numbers: Mapping[str, float], run: RunData) -> list[Finding]:
    """Name the doubtful cells of a run of several."""
    cells, doubtful = int(numbers.get("cells", 1)), int(numbers.get("cells_doubtful", 0))
    if cells == 1 or not doubtful or not (run.folder / CELLS).is_file():
        return []
    with (run.folder / CELLS).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("verdict_reasons")]
    text = list_some([f"{row['name']}: {row['verdict_reasons']}" for row in rows])
    level: Level = "fair" if run.verdict is None or run.verdict.reasons else "plain"
    return [Finding(level, "Doubtful cells", f"{doubtful} of {cells}", f"{text}.")]


def _read_note(path: Path) -> str:
    """Read the sentence on the training of the network."""
    if not path.is_file():
        return "its volume is absent"
    with open_checked(path) as file:
        return text_of(file.attrs.get(TRAINING_NOTE, "its file does not name them"))


def _truth(numbers: Mapping[str, float]) -> Finding:
    prefix = "consensus_" if "consensus_overlap_error" in numbers else ""
    value = numbers[f"{prefix}overlap_error"]
    errors = ", ".join(f"{name} {numbers[prefix + name]:.3f}" for name in ("volume", "surface", "roughness"))
    of_draws = f"{numbers['overlap_error']:.3f}"
    if "best_overlap_error" in numbers:
        of_draws += f", the best of each cell {numbers['best_overlap_error']:.3f}"
    whose = "consensus" if prefix else "draws"
    text = f"1 - IoU of the {whose}; relative errors: {errors}. 1 - IoU of a draw {of_draws}."
    level: Level = "good" if value < 0.3 else "fair" if value < 0.5 else "poor"
    return Finding(level, "Against the truth", f"{value:.3f}", text)
