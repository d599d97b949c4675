"""``unflat evaluate``: how near a result is to the truth."""

import json
import math
from pathlib import Path

import click

from ..recon.volumes import Volume
from . import console
from .options import PATH


@click.command()
@click.argument("result", type=PATH)
@click.argument("truth", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; a number that is not finite is null.")
@click.option("--register", is_flag=True, help="Move the result onto the truth first, and tell by how much.")
def command(result: Path, truth: Path, as_json: bool, register: bool) -> None:
    """Compare RESULT with TRUTH.

    RESULT is a model, a volume, or a run's folder. TRUTH is a volume, or a simulated acquisition with its truth inside.
    A model is evaluated at the truth's samples; a volume on another lattice is interpolated. Either may be a crystal
    phased by cohere (image.npy, or its folder) or by PyNX (.cxi, .npz): both are then compared on the detector's frame.

    \b
    Examples:
      unflat evaluate RUN scan.h5
      unflat evaluate RUN/model.h5 truth.h5 --json > accuracy.json
      unflat evaluate volume.tif truth.h5 --register
      unflat evaluate RUN results_phasing/image.npy
    """
    from ..recon.kinds import kind_named
    from ..recon.results import open_pair

    found, known = open_pair(result, truth)
    for each in (found, known):
        if isinstance(each, Volume) and "assumed" in each.attributes:
            console.note(f"{each.attributes['program']}: taken to be {each.attributes['assumed']}")
    numbers = kind_named(known.kind).score(found, known, register=register)
    if as_json:
        click.echo(json.dumps({name: v if math.isfinite(v) else None for name, v in numbers.items()}, indent=2))
        return
    _print_table(numbers)


def _print_table(numbers: dict[str, float]) -> None:
    """Show title, value, the value without the missing cone, which way is better, and what each number means."""
    from rich.console import Console
    from rich.table import Table

    from ..recon.metrics import SEEN, metric_named

    if console.is_quiet():
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    cone = any(name.endswith(SEEN) for name in numbers)
    if cone:
        table.add_column("without missing cone", justify="right")
    table.add_column("meaning", style="dim")
    for name, value in numbers.items():
        if name.endswith(SEEN):
            continue
        metric = metric_named(name)
        arrow = {"higher": "↑", "lower": "↓", "neither": ""}[metric.better]
        seen = numbers.get(name + SEEN)
        beside = [metric.text(seen) if seen is not None else ""] if cone else []
        table.add_row(metric.title, metric.text(value), arrow, *beside, metric.meaning)
    Console().print(table)
