"""``unflat volume``: sampling of a model on a grid, and conversion of volumes."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from ..physics.rotation import rotation_matrix
from ..recon.config.units import parse_with_unit
from ..recon.errors import ConfigError, Diagnostic
from ..recon.grid import AXES, Grid, Region, compose
from ..recon.io.detector_frame import detector_frame
from ..recon.io.volume_formats import read_volume, require_format, require_writable, save
from ..recon.model import Model
from ..recon.volume import Volume
from . import console
from .options import PATH, draw_option, output_options, quantities_option
from .sampling import (
    one_specimen,
    parse_length,
    quantity_names,
    require_within_box,
    sample_model,
    spacing_option,
)
from .specimen_options import specimen_options
from .volume_folder import EXTENSION, is_folder, write_folder

if TYPE_CHECKING:
    from ..recon.experiments.specimens import SpecimenOptions


def _parse_region(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Region | None:
    """Parse the ends along z, y and x with their units; an end that is left out is that of the model's box."""
    if value is None:
        return None
    sides = [side.split(":") for side in value.split(",")]
    if len(sides) != 3 or any(len(ends) != 2 for ends in sides):
        raise click.BadParameter(f"{value!r} is not three ranges z0:z1,y0:y1,x0:x1, such as '-2um:2um,:,0um:10um'")
    try:
        return tuple((parse_length(a) if a.strip() else None, parse_length(b) if b.strip() else None) for a, b in sides)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write it as '-2um:2um,:,0um:10um'") from None


def _parse_rotations(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[np.ndarray, ...]:
    """Parse axes and angles, ``z 30deg`` or ``1,1,0 0.5``, to rotation matrices."""
    return tuple(map(_parse_rotation, value))


def _parse_rotation(text: str) -> np.ndarray:
    """Parse one axis and angle to a rotation matrix."""
    match = re.fullmatch(r"\s*([zyx]|[^\s,]+,[^\s,]+,[^\s,]+)\s+(.+)", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not an axis and an angle, such as 'y 30deg' or '1,1,0 30deg' (x,y,z)")
    try:
        x, y, z = AXES.get(match[1]) or map(float, match[1].split(","))
        angle, dimension = parse_with_unit(match[2])
    except ValueError as error:
        raise click.BadParameter(f"{error}; write it as 'y 30deg'") from None
    if dimension not in ("angle", None):
        raise click.BadParameter(f"{match[2]!r} is a {dimension}; an angle such as '30deg' is needed")
    try:
        return rotation_matrix((x, y, z), angle)
    except ValueError as error:
        raise ConfigError(str(error)) from None


@click.command()
@click.argument("model", type=PATH)
@spacing_option
@specimen_options
@click.option("--like", type=PATH, help="Volume whose grid is used.")
@click.option(
    "--region",
    callback=_parse_region,
    metavar="RANGES",
    help="Part of space z,y,x, such as '-2um:2um,:,0:10um'; the box of the model by default.",
)
@click.option(
    "--rotate",
    "rotations",
    callback=_parse_rotations,
    metavar="ROTATION",
    multiple=True,
    help="Rotation of the specimen: 'y 30deg'. May be repeated.",
)
@quantities_option("write")
@draw_option
@output_options
def command(
    model: Path,
    opening: "SpecimenOptions",
    like: Path | None,
    region: Region | None,
    rotations: tuple[np.ndarray, ...],
    names: tuple[str, ...],
    draw: int | None,
    output: Path,
    force: bool,
) -> None:
    """Sample a MODEL (a model.h5, or a run folder) on a grid, or convert a volume or a run that has no model.

    The output's extension gives the format: .h5, .ome.zarr, .ome.tif, .tif, .mrc, .vti, .npz or .cxi. The default grid
    is that of the fit; a continuous model has values on any finer one. A rotated specimen is evaluated at rotated
    points about the origin, without interpolation. Angles are right-handed in (x, y, z).

    An output without an extension is a folder: it gets an OME-TIFF for each draw of each cell, and a table of their
    names and places, volumes.csv.

    \b
    Examples:
      unflat volume RUN -o cell.ome.tif
      unflat volume RUN -o cell.ome.zarr
      unflat volume RUN -o zoom.h5 --spacing '20 nm' --region='-1um:1um,-1um:1um,-1um:1um'
      unflat volume RUN -o same_grid.mrc --like other.mrc
      unflat volume RUN -o turned.vti --rotate 'y 30deg' --rotate 'z 10deg'
      unflat volume SERIES -o half.ome.tif --at time=12.5s
      unflat volume CRYSTAL -o crystal.vti --quantity amplitude --quantity strain
      unflat volume CRYSTAL -o crystal.cxi
      unflat volume SHAPES -o FOLDER/
      unflat volume labels.tif -o cell.h5 --label 7 --spacing '0.3um,0.1um,0.1um'
    """
    from ..recon.experiments.specimens import open_result

    if is_folder(output):
        _refuse_grid(model, region or like or rotations)
        write_folder(
            model, output, opening, draw, lambda volume: _select_quantities(volume, names, Path(EXTENSION)), force=force
        )
        return
    console.refuse_to_overwrite(output, force=force, require_writable=require_writable)
    is_single = require_format(output).has_one_quantity
    opened = one_specimen(open_result(model, opening), model, draw)
    names, spacing = quantity_names(opened, names), opening.volume.spacing
    if isinstance(opened, Volume):
        _refuse_grid(model, region or like or rotations)
        frame = detector_frame(model) if output.suffix == ".cxi" else None
        save(_select_quantities(opened, names, output), output, frame)
        console.report_file(output)
        return
    grid = _choose_grid(opened, spacing, region, rotations, like)
    if _is_outside(opened, grid):
        console.warn("no sample lies in the box of the model: all have the background")
    if is_single and not names and len(opened.quantities) > 1:
        names = (opened.quantities[0].name,)
        console.note(f"{output.suffix} holds one quantity: {names[0]}; choose another with --quantity")
    save(sample_model(opened, grid, names), output)
    console.print_line(_describe(grid, opened.length_unit))
    console.report_file(output)


def _choose_grid(
    model: Model,
    spacing: tuple[float, ...] | None,
    region: Region | None,
    rotations: tuple[np.ndarray, ...],
    like: Path | None,
) -> Grid:
    """Choose the grid on which a model is sampled: that of another volume, or one of the model's box.

    Raises:
        ConfigError: If the spacing exceeds the box, or goes with the grid of another volume.
    """
    if spacing is not None:
        require_within_box(model, spacing)
    if like is None:
        return model.grid(spacing=spacing, region=region, rotations=rotations)
    if spacing is not None or region is not None:
        message = "--like takes the grid of another volume: it goes with neither --spacing nor --region"
        raise ConfigError(message)
    return replace(read_volume(like, kind=model.kind).grid, rotation=compose(rotations))


def _refuse_grid(model: Path, chosen: object) -> None:
    """Refuse options that choose a grid for what is sampled already.

    Raises:
        ConfigError: If one is given.
    """
    if chosen:
        message = "is a sampled volume, whose grid cannot be changed"
        raise ConfigError(Diagnostic(str(model), message, "leave out --region, --like and --rotate"))


def _select_quantities(volume: Volume, names: tuple[str, ...], output: Path) -> Volume:
    """Select the quantities to write: the given names, or all that the format can hold."""
    file_format = require_format(output)
    allowed = [n for n, array in volume.values.items() if not file_format.is_real or not np.iscomplexobj(array)]
    chosen = names or (allowed[:1] if file_format.has_one_quantity else allowed)
    if not names and len(chosen) < len(volume.values):
        console.note(f"{output.suffix} gets {', '.join(chosen)}; choose others with --quantity")
    quantities = tuple(volume.quantity(name) for name in chosen)
    return replace(volume, values={n: volume.values[n] for n in chosen}, quantities=quantities)


def _is_outside(model: Model, grid: Grid) -> bool:
    """Whether the whole grid lies outside the box of the model; a rotated grid is not checked."""
    sides = zip(grid.axes, *model.bounds, strict=True)
    return grid.rotation is None and any(axis[-1] < low or axis[0] > high for axis, low, high in sides)


def _describe(grid: Grid, unit: str) -> str:
    """Describe a grid: number of samples and their distances."""
    shape = " x ".join(map(str, grid.shape))
    factor, label = (1.0, "voxels") if unit == "voxel" else (1e6, "um")
    steps = [(a[-1] - a[0]) / (len(a) - 1) * factor if len(a) > 1 else 0.0 for a in grid.axes]
    return f"{shape} samples (z, y, x), {' x '.join(f'{d:.4g}' for d in steps)} {label} apart"
