"""``unflat evaluate``: how near a result is to the truth."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..recon.errors import ConfigError, Diagnostic
from ..recon.io.volume_stack import names_and_labels
from . import console
from .options import OUTPUT, PATH

if TYPE_CHECKING:
    from ..recon.experiments.base import Evaluation
    from ..recon.io.table import Table

_OF_CLASS = (
    "cells",
    "overlap_error",
    "consensus_overlap_error",
    "best_overlap_error",
    "volume",
    "surface",
    "roughness",
    "coverage_volume",
)
"""Columns of the printed table of classes; the written table holds more."""
_LOG_WIDTH = 110
"""[character] Width of the printed table of classes where no terminal limits it; no word of its header is cut."""


@click.command()
@click.argument("result", type=PATH)
@click.argument("truth", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; a number that is not finite is null.")
@click.option("-o", "--output", type=OUTPUT, help="Table to write, .csv.")
@click.option("--force", is_flag=True, help="Replace the table where it already exists.")
@click.option("--register", is_flag=True, help="Register the result with the truth first, and report the shift.")
def command(result: Path, truth: Path, as_json: bool, output: Path | None, force: bool, register: bool) -> None:
    """Compare RESULT with TRUTH.

    RESULT is a model, a volume, or a run's folder. TRUTH is a volume, or a simulated acquisition with its truth inside.
    A model is evaluated at the truth's samples; a volume on another lattice is interpolated. Either may be a crystal
    phased by cohere (image.npy, or its folder) or by PyNX (.cxi, .h5, .npz; the first of several modes): both are then
    compared on the detector's frame.

    For shapes, -o T.csv writes a row for each cell, and T-classes.csv a row for each class and one for all. Lengths in
    --json are metres, or voxels under names that end in _voxels where the size of a voxel is not known.

    \b
    Examples:
      unflat evaluate RUN scan.h5
      unflat evaluate RUN/model.h5 truth.h5 --json > accuracy.json
      unflat evaluate volume.tif truth.h5 --register
      unflat evaluate RUN results_phasing/image.npy
      unflat evaluate SHAPES cells.h5 -o errors.csv
    """
    if output is not None:
        if output.suffix.lower() != ".csv":
            raise ConfigError(Diagnostic(str(output), "has no extension of a table", "use .csv"))
        console.refuse_to_overwrite(output, force=force)
    evaluation = _evaluate(result, truth, register=register)
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
    for path in tables:
        console.report_file(path)


def _evaluate(result: Path, truth: Path, *, register: bool) -> "Evaluation":
    """Evaluate, and name the assumptions that another program's file needs."""
    from ..recon.experiments import get_experiment
    from ..recon.experiments.truth import read_pair

    ours, known = read_pair(result, truth)
    for each in (ours, known):
        if "assumed" in each.attributes:
            console.note(f"{each.attributes['program']}: taken to be {each.attributes['assumed']}")
    names, labels = names_and_labels(truth)
    experiment = get_experiment(known.kind)
    return experiment.evaluate(ours, known, register=register, names=names, labels=labels)


def _tables(output: Path, evaluation: "Evaluation") -> "dict[Path, Table]":
    """Tables to write: of several specimens a row for each, and beside it a row for each class and for all."""
    if evaluation.specimens is None or evaluation.classes is None:
        return {output: _row(dict(evaluation.numbers))}
    return {output: evaluation.specimens, _classes_path(output): evaluation.classes}


def _classes_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}-classes{output.suffix}")


def _row(numbers: dict[str, float]) -> "Table":
    from ..recon.io.table import Column, Table

    return Table(tuple(Column(name) for name in numbers), (numbers,))


def _print_classes(classes: "Table") -> None:
    """Show the errors of each class."""
    from rich.console import Console
    from rich.table import Table as Shown

    if console.is_quiet() or len(classes.rows) < 2:
        return
    names = [name for name in _OF_CLASS if any(name in row for row in classes.rows)]
    shown = Shown(box=None, pad_edge=False, header_style="bold")
    shown.add_column("class", no_wrap=True)
    for name in names:
        shown.add_column(name.replace("_", " "), justify="right")
    for row in classes.rows:
        values = (row.get(name, float("nan")) for name in names)
        shown.add_row(str(row["label"]), *(f"{v:.3g}" if isinstance(v, float) else str(v) for v in values))
    screen = Console()
    (screen if screen.is_terminal else Console(width=_LOG_WIDTH)).print(shown)


def _print_table(numbers: dict[str, float]) -> None:
    """Show title, value, the value without the missing cone, which way is better, and what each number means."""
    from rich.console import Console
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
    table.add_column("meaning", style="dim")
    for name, value in numbers.items():
        if name.endswith(VISIBLE_SUFFIX):
            continue
        metric = metric_named(name)
        arrow = {"higher": "↑", "lower": "↓", "neither": ""}[metric.better]
        seen = numbers.get(name + VISIBLE_SUFFIX)
        beside = [metric.text(seen) if seen is not None else ""] if cone else []
        table.add_row(metric.title, metric.text(value), arrow, *beside, metric.meaning)
    Console().print(table)
