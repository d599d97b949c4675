"""``unflat volume``: a model sampled on a grid."""

import re
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from ..physics.rotation import rotation_matrix
from ..recon.config.units import parse_with_unit
from ..recon.errors import ConfigError, Diagnostic
from ..recon.grid import AXES, Grid, Region, compose
from ..recon.io.detector_frame import detector_frame
from ..recon.io.result import read_result
from ..recon.io.volume_formats import read_volume, require_format, save
from ..recon.model import Model
from ..recon.volume import Volume
from . import console
from .options import PATH, draw_option, output_options
from .sampling import length, one_specimen, require_within_box, sampled, spacing_option


def _region(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Region | None:
    """Read the ends along z, y and x, each with its unit; one that is left out is that of the model's box."""
    if value is None:
        return None
    sides = [side.split(":") for side in value.split(",")]
    if len(sides) != 3 or any(len(ends) != 2 for ends in sides):
        raise click.BadParameter(f"{value!r} is not three ranges z0:z1,y0:y1,x0:x1, such as '-2um:2um,:,0um:10um'")
    try:
        return tuple((length(a) if a.strip() else None, length(b) if b.strip() else None) for a, b in sides)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write it as '-2um:2um,:,0um:10um'") from None


def _turns(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[np.ndarray, ...]:
    """Read axes and angles: ``z 30deg``, ``1,1,0 0.5``; gives the matrix of each."""
    return tuple(map(_turn, value))


def _turn(text: str) -> np.ndarray:
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
@click.option(
    "--spacing",
    callback=spacing_option,
    metavar="LENGTH",
    help="Between samples: '0.1 um', or z,y,x: '0.3um,0.1um,0.1um'.",
)
@click.option("--like", type=PATH, help="Take the samples of this volume.")
@click.option(
    "--region",
    callback=_region,
    metavar="RANGES",
    help="Part of space, e.g. '-2um:2um,:,0:10um'; ends left out are the box's.",
)
@click.option(
    "--rotate",
    "turns",
    callback=_turns,
    metavar="TURN",
    multiple=True,
    help="Turn the specimen: 'y 30deg'. May be repeated.",
)
@click.option("--quantity", "names", multiple=True, help="Only this quantity. May be repeated.")
@draw_option
@output_options
def command(
    model: Path,
    spacing: tuple[float, ...] | None,
    like: Path | None,
    region: Region | None,
    turns: tuple[np.ndarray, ...],
    names: tuple[str, ...],
    draw: int | None,
    output: Path,
    force: bool,
) -> None:
    """Sample a MODEL (a model.h5, or a run folder) on a grid; convert a volume, or that of a run that has no model.

    The output's ending says the format: .h5, .ome.tif, .tif, .mrc, .vti, .npz or .cxi. The grid is the model's own
    unless told otherwise; any finer one shows no pixels. A turned specimen is asked at turned points about the origin:
    nothing is interpolated. Angles are right-handed in (x, y, z).

    \b
    Examples:
      unflat volume RUN -o cell.ome.tif
      unflat volume RUN -o zoom.h5 --spacing '20 nm' --region='-1um:1um,-1um:1um,-1um:1um'
      unflat volume RUN -o same_grid.mrc --like other.mrc
      unflat volume RUN -o turned.vti --rotate 'y 30deg' --rotate 'z 10deg'
      unflat volume CRYSTAL -o crystal.vti --quantity amplitude --quantity strain
      unflat volume CRYSTAL -o crystal.cxi
    """
    console.refuse_to_overwrite(output, force=force)
    one_only = require_format(output).has_one_quantity
    opened = one_specimen(read_result(model), model, draw)
    if isinstance(opened, Volume):
        if spacing or region or like or turns:
            message = "is a sampled volume, whose samples are what they are"
            raise ConfigError(Diagnostic(str(model), message, "leave out --spacing, --region, --like and --rotate"))
        save(_converted(opened, names, output), output, detector_frame(model) if output.suffix == ".cxi" else None)
        console.report_file(output)
        return
    if spacing is not None:
        require_within_box(opened, spacing)
    lattice = opened.grid(spacing=spacing, region=region, rotations=turns)
    if like is not None:
        if spacing is not None or region is not None:
            message = "the samples are those of the other volume: --like goes with neither --spacing nor --region"
            raise ConfigError(message)
        lattice = replace(read_volume(like, kind=opened.kind).grid, rotation=compose(turns))
    if _misses(opened, lattice):
        console.warn("none of these samples lies in the model's box: they get the background")
    if one_only and not names and len(opened.quantities) > 1:
        names = (opened.quantities[0].name,)
        console.note(f"{output.suffix} holds one quantity: {names[0]}; choose another with --quantity")
    save(sampled(opened, lattice, names), output)
    console.print_line(_summary(lattice, opened.length_unit))
    console.report_file(output)


def _converted(volume: Volume, names: tuple[str, ...], output: Path) -> Volume:
    """Choose what the format of the output can hold; without a wish, all that it can."""
    form = require_format(output)
    able = [n for n, array in volume.values.items() if not form.is_real or not np.iscomplexobj(array)]
    chosen = names or (able[:1] if form.has_one_quantity else able)
    if not names and len(chosen) < len(volume.values):
        console.note(f"{output.suffix} gets {', '.join(chosen)}; choose others with --quantity")
    quantities = tuple(volume.quantity(name) for name in chosen)
    return replace(volume, values={n: volume.values[n] for n in chosen}, quantities=quantities)


def _misses(model: Model, lattice: Grid) -> bool:
    """Whether the whole lattice lies beside the model's box; a rotated one is not examined."""
    sides = zip(lattice.axes, *model.bounds, strict=True)
    return lattice.rotation is None and any(axis[-1] < low or axis[0] > high for axis, low, high in sides)


def _summary(lattice: Grid, unit: str) -> str:
    """Tell the grid in words."""
    shape = " x ".join(map(str, lattice.shape))
    factor, label = (1.0, "voxels") if unit == "voxel" else (1e6, "um")
    steps = [(a[-1] - a[0]) / (len(a) - 1) * factor if len(a) > 1 else 0.0 for a in lattice.axes]
    return f"{shape} samples (z, y, x), {' x '.join(f'{d:.4g}' for d in steps)} {label} apart"
