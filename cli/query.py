"""``unflat query``: a model's values at any coordinates."""

from pathlib import Path

import click
import numpy as np

from ..recon.models import Model
from ..recon.models.points import read_points, require_ending, write_values
from . import console
from .options import PATH, output_options

MANY = 200_000
"""Points from which on progress is shown."""


@click.command()
@click.argument("model", type=PATH)
@click.argument("points", type=PATH)
@click.option("--unit", default="m", show_default=True, help="Unit of the coordinates, where the file does not say.")
@click.option("--quantity", "names", multiple=True, help="Only this quantity. May be repeated.")
@output_options
def command(model: Path, points: Path, unit: str, names: tuple[str, ...], output: Path, force: bool) -> None:
    """Give the values of a MODEL (a model.h5, or a run folder) at POINTS.

    POINTS has columns z, y, x: CSV, TSV or TXT (a header may name and order them, with units: "x [um]"), NPY (n, 3),
    NPZ or HDF5 (points, or z, y and x). The output, by its ending one of the same formats, holds the coordinates in
    metres and the values, with their units. Outside the model's box a quantity is its background.

    \b
    Examples:
      unflat query RUN points.csv -o values.csv --unit um
      unflat query RUN/model.h5 path.npy -o values.npy --quantity refractive_index
    """
    console.refuse_to_overwrite(output, force=force)
    require_ending(output)
    opened = Model.open(model)
    for name in names:
        opened.column(name)
    places = read_points(points, unit)
    outside = int(np.sum(~opened.frame.contains(places)))
    if outside:
        factor, label = (1.0, "voxels") if opened.frame.length_unit == "voxel" else (1e6, "um")
        corners = (opened.frame.low, opened.frame.high)
        low, high = (", ".join(f"{c * factor:.4g}" for c in corner) for corner in corners)
        console.warn(
            f"{outside} of {len(places)} points lie outside the model's box, from ({low}) to ({high}) {label}, and get "
            "the background; see --unit if that is unexpected"
        )
    if len(places) < MANY:
        values = opened.at(places)
    else:
        with console.progress("points") as progress:
            values = opened.at(places, progress)
    write_values(output, places, values, opened, names)
    console.wrote(output)
