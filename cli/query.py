"""``unflat query``: values of a model or a volume at any coordinates."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from ..recon.config.units import parse_with_unit
from ..recon.errors import ConfigError, Diagnostic
from ..recon.io.points import line_points, read_points, require_extension, write_values
from ..recon.volume import Volume
from . import console
from .options import PATH, draw_option, output_options, quantities_option
from .sampling import one_specimen, open_for_drawing, quantity_names, volume_spacing_option
from .specimen_options import specimen_options

if TYPE_CHECKING:
    from ..recon.experiments.specimens import SpecimenOptions

PROGRESS_POINTS = 200_000
"""Number of points from which progress is shown."""


def _parse_point(text: str) -> tuple[float, ...]:
    """Parse a point z,y,x [m]: ``0um,0um,-1um``."""
    try:
        coordinates = [parse_with_unit(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{error}; write it as '0um,0um,-1um'") from None
    if len(coordinates) != 3 or any(dimension not in ("length", None) for _, dimension in coordinates):
        raise click.BadParameter(f"{text!r} is no point z,y,x, such as '0um,0um,-1um'")
    return tuple(value for value, _ in coordinates)


def _parse_line(
    _ctx: click.Context, _param: click.Parameter, value: tuple[str, str] | None
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    return None if value is None else (_parse_point(value[0]), _parse_point(value[1]))


@click.command()
@click.argument("model", type=PATH)
@click.argument("points", type=PATH, required=False)
@volume_spacing_option
@specimen_options
@click.option(
    "--line", nargs=2, callback=_parse_line, metavar="FROM TO", help="Two points z,y,x: a line instead of POINTS."
)
@click.option("--samples", type=click.IntRange(2), default=200, show_default=True, help="Number of points on the line.")
@click.option("--unit", default="m", show_default=True, help="Unit of the coordinates, if the file does not state it.")
@quantities_option("evaluate")
@draw_option
@output_options
def command(
    model: Path,
    points: Path | None,
    line: tuple[tuple[float, ...], tuple[float, ...]] | None,
    samples: int,
    unit: str,
    names: tuple[str, ...],
    draw: int | None,
    opening: "SpecimenOptions",
    output: Path,
    force: bool,
) -> None:
    """Evaluate a MODEL (a model.h5, a volume, or a run folder) at POINTS, or along a line.

    POINTS has columns z, y, x: CSV, TSV or TXT (a header may name and order them, with units: "x [um]"), NPY (n, 3),
    NPZ or HDF5 (points, or z, y and x). The output, in one of the same formats by its extension, holds coordinates in
    metres and the values, with their units. Outside the box of the model a quantity has its background. A volume is
    interpolated by splines; complex quantities are left out.

    \b
    Examples:
      unflat query RUN points.csv -o values.csv --unit um
      unflat query RUN/model.h5 path.npy -o values.npy --quantity refractive_index
      unflat query SERIES points.csv -o values.csv --at time=12.5s
      unflat query RUN -o profile.csv --line 0um,0um,-0.2um 0um,0um,0.2um
    """
    console.refuse_to_overwrite(output, force=force)
    require_extension(output)
    if (points is None) == (line is None):
        raise ConfigError("POINTS or --line is needed, and not both; see unflat query --help")
    result = one_specimen(open_for_drawing(model, opening), model, draw)
    if isinstance(result, Volume) and result.length_unit == "voxel":
        message = "the volume is in voxels of unknown size: it has no values at points in metres"
        raise ConfigError(Diagnostic(str(model), message, "give their size, e.g. --spacing '0.1 um'"))
    names = quantity_names(result, names)
    for name in names:
        result.real_quantity(name)
    coordinates = read_points(points, unit) if points is not None else line_points(*(line or ((), ())), samples)
    outside = int(np.sum(~result.contains(coordinates)))
    if outside:
        factor, label = (1.0, "voxels") if result.length_unit == "voxel" else (1e6, "um")
        low, high = (", ".join(f"{c * factor:.4g}" for c in corner) for corner in result.bounds)
        console.warn(
            f"{outside} of {len(coordinates)} points lie outside the model's box, from ({low}) to ({high}) "
            f"{label}, and get the background; see --unit if that is unexpected"
        )
    if len(coordinates) < PROGRESS_POINTS:
        values = result.at(coordinates, names)
    else:
        with console.progress("points") as progress:
            values = result.at(coordinates, names, progress)
    write_values(output, coordinates, values, result, names)
    console.report_file(output)
