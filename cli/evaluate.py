"""``unflat evaluate``: how near a result is to the truth."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..recon.errors import ConfigError, Diagnostic
from . import console
from .options import OUTPUT, PATH
from .sampling import volume_spacing_option
from .specimen_options import specimen_options

if TYPE_CHECKING:
    from rich.console import Console

    from ..recon.experiments.evaluation import Evaluation
    from ..recon.experiments.specimens import SpecimenOptions
    from ..recon.io.table import Table

_OF_CLASS = (
    "cells",
    "consensus_overlap_error",
    "consensus_volume",
    "consensus_surface",
    "consensus_roughness",
    "overlap_error",
    "best_overlap_error",
    "coverage_volume",
)
"""Columns of the printed table of classes; the written table holds more."""
_MOST_SPECIMENS = 24
"""Largest number of specimens that are shown one by one."""
_COLUMNS = 4
"""Number of metrics that are shown of each."""
_CLASS_COLUMN = 11
"""[character] Width of a column of the table of classes with its space: no word of a header is longer."""
_WIDE = 90
"""Columns of a terminal that hold the meanings of the numbers beside them."""
_LOG_WIDTH = 110
"""[character] Width of the printed tables where no terminal limits it; no word of a header is cut."""


@click.command()
@click.argument("result", type=PATH)
@click.argument("truth", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; a number that is not finite is null.")
@click.option("-o", "--output", type=OUTPUT, help="Table to write, .csv.")
@click.option("--force", is_flag=True, help="Replace the table where it already exists.")
@click.option("--register", is_flag=True, help="Register the result with the truth first, and report the shift.")
@volume_spacing_option
@specimen_options
def command(
    result: Path,
    truth: Path,
    as_json: bool,
    output: Path | None,
    force: bool,
    register: bool,
    opening: "SpecimenOptions",
) -> None:
    """Compare RESULT with TRUTH.

    RESULT is a model, a volume, or a run's folder. TRUTH is a volume, or a simulated acquisition with its truth inside.
    A model is evaluated at the truth's samples; a volume on another lattice is interpolated. Either may be a crystal
    phased by cohere (image.npy, or its folder) or by PyNX (.cxi, .h5, .npz; the first of several modes): both are then
    compared on the detector's frame.

    Volumes may be of other programs. Folders of volumes are compared by the names of their files, stacks of labels by
    the numbers of the labels. --spacing and --channel are for those of the two files that leave them open.

    For shapes, -o T.csv writes a row for each cell, and T-classes.csv a row for each class and one for all. Lengths in
    --json are metres, or voxels under names that end in _voxels where the size of a voxel is not known.

    \b
    Examples:
      unflat evaluate RUN scan.h5
      unflat evaluate RUN/model.h5 truth.h5 --json > accuracy.json
      unflat evaluate volume.tif truth.h5 --register
      unflat evaluate RUN results_phasing/image.npy
      unflat evaluate SHAPES cells.h5 -o errors.csv
      unflat evaluate results/ data/obj -o errors.csv
    """
    if output is not None:
        if output.suffix.lower() != ".csv":
            raise ConfigError(Diagnostic(str(output), "has no extension of a table", "use .csv"))
        console.refuse_to_overwrite(output, force=force)
    from ..recon.experiments.comparison import evaluate_files

    evaluation = evaluate_files(result, truth, opening, register=register)
    tables = {} if output is None else _tables(output, evaluation)
    for path in tables:
        console.refuse_to_overwrite(path, force=force)
    for path, table in tables.items():
        table.save(path)
    numbers = dict(evaluation.numbers)
    if as_json:
        click.echo(json.dumps({name: v if math.isfinite(v) else None for name, v in numbers.items()}, indent=2))
        return
    _print_table(numbers)
    if evaluation.classes is not None:
        _print_classes(evaluation.classes)
    if evaluation.specimens is not None:
        _print_specimens(evaluation.specimens)
    for path in tables:
        console.report_file(path)


def _tables(output: Path, evaluation: "Evaluation") -> "dict[Path, Table]":
    """Tables to write: of several specimens a row for each, and beside it a row for each class and for all."""
    tables = {output: evaluation.specimens or _row(dict(evaluation.numbers))}
    return tables if evaluation.classes is None else tables | {_classes_path(output): evaluation.classes}


def _classes_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}-classes{output.suffix}")


def _row(numbers: dict[str, float]) -> "Table":
    from ..recon.io.table import Column, Table

    return Table(tuple(Column(name) for name in numbers), (numbers,))


def _print_specimens(specimens: "Table") -> None:
    """Show the first error of each of a few specimens."""
    from rich.table import Table as Shown

    from ..recon.metrics import metric_named

    if console.is_quiet() or not 1 < len(specimens.rows) <= _MOST_SPECIMENS:
        return
    names = [c.name for c in specimens.columns if metric_named(c.name).better != "neither"][:_COLUMNS]
    shown = Shown(box=None, pad_edge=False, header_style="bold")
    shown.add_column("name", overflow="fold")
    for name in names:
        shown.add_column(metric_named(name).title, justify="right")
    for row in specimens.rows:
        shown.add_row(str(row["name"]), *(f"{float(row.get(name, math.nan)):.4g}" for name in names))
    _screen().print(shown)


def _print_classes(classes: "Table") -> None:
    """Show the errors of each class."""
    from rich.table import Table as Shown

    if console.is_quiet() or len(classes.rows) < 2:
        return
    screen = _screen()
    longest = max(len(str(row["label"])) for row in classes.rows)
    fitting = max((screen.width - longest) // _CLASS_COLUMN, 2)
    names = [name for name in _OF_CLASS if any(name in row for row in classes.rows)][:fitting]
    shown = Shown(box=None, pad_edge=False, header_style="bold")
    shown.add_column("class", no_wrap=True)
    for name in names:
        shown.add_column(name.replace("_", " "), justify="right")
    for row in classes.rows:
        values = (row.get(name, float("nan")) for name in names)
        shown.add_row(str(row["label"]), *(f"{v:.3g}" if isinstance(v, float) else str(v) for v in values))
    screen.print(shown)


def _screen() -> "Console":
    """Terminal; in a log, one of many columns."""
    from rich.console import Console

    screen = Console()
    return screen if screen.is_terminal else Console(width=_LOG_WIDTH)


def _print_table(numbers: dict[str, float]) -> None:
    """Show title, value, the value without the missing cone, which way is better, and what each number means."""
    from rich.table import Table

    from ..recon.metrics import VISIBLE_SUFFIX, metric_named

    if console.is_quiet():
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    cone = any(name.endswith(VISIBLE_SUFFIX) for name in numbers)
    if cone:
        table.add_column("without missing cone", justify="right")
    screen = _screen()
    is_wide = screen.width >= _WIDE
    if is_wide:
        table.add_column("meaning", style="dim")
    for name, value in numbers.items():
        if name.endswith(VISIBLE_SUFFIX):
            continue
        metric = metric_named(name)
        arrow = {"higher": "↑", "lower": "↓", "neither": ""}[metric.better]
        seen = numbers.get(name + VISIBLE_SUFFIX)
        beside = [metric.text(seen) if seen is not None else ""] if cone else []
        table.add_row(metric.title, metric.text(value), arrow, *beside, *([metric.meaning] if is_wide else []))
    screen.print(table)
    if not is_wide:
        console.note(f"a terminal of {_WIDE} columns or more shows the meanings too; so does 'unflat report --compare'")
