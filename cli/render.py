"""``unflat render``: figures and movies of a model or a volume."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recon.config.units import Dimension, parse_with_unit
from ..recon.errors import ConfigError, Diagnostic
from . import console
from .options import PATH, draw_option, output_options
from .sampling import one_specimen, open_for_drawing, quantity_names, volume_spacing_option
from .specimen_options import specimen_options

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..recon.experiments.specimens import SpecimenOptions
    from ..recon.sampled import Sampled

MOVIES = ("spin", "zoom", "series")
FIGURE_EXTENSIONS, MOVIE_EXTENSIONS = (".png", ".svg", ".pdf"), (".gif", ".mp4")
STYLES = ("slices", "projection", "spin", "zoom", "series", "montage", "light", "surface")


@dataclass(frozen=True)
class RenderRequest:
    """Options of the command line, in SI."""

    style: str
    angles: tuple[float, float]
    planes: tuple[tuple[str, float], ...]
    na: tuple[float, float] | None
    defocus: float
    centre: tuple[float, float, float] | None
    quantity: str | None
    limits: tuple[float, float] | None
    size: int | None
    frames: int
    factor: float
    along: Any
    caption: str

    def common_options(self) -> dict[str, Any]:
        """Return the options that all figures of a quantity share."""
        return {"quantity": self.quantity, "limits": self.limits} | ({"size": self.size} if self.size else {})


OptionCallback = Callable[[click.Context, click.Parameter, Any], Any]


def parse_number(text: str, dimension: Dimension) -> float:
    """Parse a number with a unit to SI; an angle without a unit is in degrees.

    Raises:
        BadParameter: If the text is no number of that dimension.
    """
    try:
        number, received = parse_with_unit(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if received not in (dimension, None):
        raise click.BadParameter(f"{text!r} is a {received}; a {dimension} is needed")
    return math.radians(number) if dimension == "angle" and received is None else number


def parse_numbers(dimension: Dimension, *counts: int, separator: str = ",") -> OptionCallback:
    """Create the callback of an option with several numbers with units: ``1um,2um,-3um``.

    Args:
        dimension: Dimension of the numbers.
        counts: Allowed numbers of values.
        separator: Text between two numbers.

    Returns:
        A callback that returns the numbers in SI.
    """

    def read(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, ...] | None:
        if value is None:
            return None
        values = tuple(parse_number(part, dimension) for part in value.split(separator))
        if len(values) not in counts:
            allowed = " or ".join(map(str, counts))
            raise click.BadParameter(
                f"{value!r} holds {len(values)} numbers; {allowed} are needed, with {separator!r} between"
            )
        return values

    return read


def parse_planes(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Parse planes such as ``z=2um``, as the callback of an option: axis and position [m]."""
    parsed = []
    for text in value:
        axis, _, position = text.partition("=")
        if axis.strip() not in ("z", "y", "x") or not position:
            raise click.BadParameter(f"{text!r} is no plane such as z=2um")
        parsed.append((axis.strip(), parse_number(position, "length")))
    return tuple(parsed)


@click.command()
@click.argument("model", type=PATH)
@output_options
@volume_spacing_option
@specimen_options
@click.option(
    "--style",
    type=click.Choice(STYLES),
    help="Style of the figure; by default spin for .gif and .mp4, and slices otherwise.",
)
@click.option(
    "--angle",
    "angles",
    callback=parse_numbers("angle", 1, 2),
    default="0",
    metavar="AZIMUTH[,ELEVATION]",
    help="projection, surface, spin: direction of view, in degrees.",
)
@click.option(
    "--plane",
    "planes",
    callback=parse_planes,
    multiple=True,
    metavar="z=2um",
    help="slices, montage, series: position of a plane. May be repeated.",
)
@click.option(
    "--na",
    callback=parse_numbers("number", 2),
    metavar="Y,X",
    help="light: numerical aperture of the illumination, such as 0.3,0.1.",
)
@click.option(
    "--defocus",
    callback=parse_numbers("length", 1),
    default="0",
    metavar="LENGTH",
    help="light: position of the plane of focus along +z.",
)
@click.option(
    "--centre",
    callback=parse_numbers("length", 3),
    metavar="Z,Y,X",
    help="slices, zoom: a point, such as 0um,2um,-1um.",
)
@click.option(
    "--quantity",
    "--channel",
    "quantity",
    metavar="NAME",
    help="Name or number of the quantity or channel; the main one by default.",
)
@click.option(
    "--range",
    "limits",
    callback=parse_numbers("number", 2, separator=":"),
    metavar="LOW:HIGH",
    help="Values of the first and the last colour.",
)
@click.option(
    "--size", type=click.IntRange(96, 4096), help="Number of samples along the longest edge, or of pixels of a movie."
)
@click.option(
    "--frames",
    type=click.IntRange(2, 2000),
    default=60,
    show_default=True,
    help="spin, zoom, series: number of frames.",
)
@click.option(
    "--factor",
    type=click.FloatRange(1, min_open=True),
    default=20.0,
    show_default=True,
    help="zoom: magnification.",
)
@click.option(
    "--along",
    type=click.Choice(["maximum", "minimum", "mean"]),
    default="maximum",
    show_default=True,
    help="projection, spin: reduction of the values along a line of sight.",
)
@click.option("--caption", metavar="TEXT", default="", help="Text below the figure, or below the frames of a movie.")
@click.option("--cell", type=click.IntRange(0), help="Number of the cell, in a result of many.")
@draw_option
def command(
    model: Path,
    output: Path,
    force: bool,
    opening: "SpecimenOptions",
    cell: int | None,
    draw: int | None,
    **options: Any,
) -> None:
    """Draw MODEL: a model file, a run folder, or a volume. The output ends in .png, .svg, .pdf, .gif or .mp4.

    A model is sampled anew for each figure and frame, so that a zoom shows no voxels. Text and scale bar of .svg and
    .pdf, for print, are vectors, and the text can be edited.

    \b
    Examples:
      unflat render RUN -o slices.png --plane z=2um
      unflat render RUN -o depths.pdf --style montage --caption 'Yeast in water, n of the medium 1.333'
      unflat render RUN -o side.png --style projection --angle 40,20
      unflat render RUN -o spin.mp4 --caption 'Refractive index of a yeast cell'
      unflat render RUN -o zoom.gif --style zoom --centre 0um,2um,-1um --factor 30
      unflat render SERIES -o growth.mp4 --style series --plane y=0um
      unflat render SERIES -o half.png --at time=12.5s
      unflat render RUN -o tilted.png --style light --na 0.3,0.1
      unflat render CELL -o shape.png --style surface --angle 30,55 --draw 2
      unflat render SHAPES -o shape.png --style surface --angle 30,55 --cell 3 --draw 2
    """
    request = _request(output, **options)
    console.refuse_to_overwrite(output, force=force)
    if request.style == "series":
        if draw or cell:
            raise ConfigError("--style series shows one specimen without draws: leave out --draw and --cell")
        _write_series_movie(model, request, opening.volume.at, output)
        console.report_file(output)
        return
    result = one_specimen(open_for_drawing(model, opening), model, draw, cell)
    if request.quantity is not None:
        request = replace(request, quantity=quantity_names(result, (request.quantity,))[0])
    if request.style in MOVIES:
        _write_movie(result, request, output)
    else:
        from ..recon.visualization import add_caption, save_figure

        figure = _FIGURES[request.style](result, request)
        if request.caption:
            add_caption(figure, request.caption)
        save_figure(figure, output)
    console.report_file(output)


def _request(output: Path, **options: Any) -> RenderRequest:
    """Collect the options, and refuse those that contradict each other."""
    extension = output.suffix.lower()
    style = options.pop("style") or ("spin" if extension in MOVIE_EXTENSIONS else "slices")
    allowed = MOVIE_EXTENSIONS if style in MOVIES else FIGURE_EXTENSIONS
    if extension not in allowed:
        raise ConfigError(
            Diagnostic(
                str(output),
                f"--style {style} cannot be written as {extension or 'a name without extension'!r}",
                f"use {', '.join(allowed[:-1])} or {allowed[-1]}",
            )
        )
    if style == "light" and options["na"] is None:
        raise ConfigError("--style light needs the direction of the illumination: --na y,x, such as --na 0.3,0.1")
    limits = options["limits"]
    if limits is not None and not limits[1] > limits[0]:
        raise ConfigError(f"--range {limits[0]:g}:{limits[1]:g} is empty: the lower value comes first")
    (defocus,) = options.pop("defocus")
    angles = (*options.pop("angles"), 0.0)[:2]
    return RenderRequest(style=style, defocus=defocus, angles=angles, **options)


def _write_series_movie(model: Path, request: RenderRequest, at: str | None, output: Path) -> None:
    """Write a movie over a whole series.

    Raises:
        ConfigError: If the model is of no series, or one position is asked for.
    """
    from ..recon.io.metadata import find_quantity
    from ..recon.io.model_file import read_model_series
    from ..recon.visualization import series_frames, with_caption, write_movie
    from ..recon.visualization.series_movie import require_one_plane

    if at is not None:
        raise ConfigError("--style series shows all positions of the series: leave out --at, or take another style")
    series, plane = read_model_series(model), require_one_plane(request.planes)
    options = request.common_options()
    if request.quantity is not None:
        names = [q.name for q in series.at(series.default).quantities]
        options["quantity"] = find_quantity(names, request.quantity)
    frames = series_frames(series, request.frames, plane=plane, **options)
    shown = with_caption(frames, request.caption) if request.caption else frames
    with console.progress(request.style) as show:
        write_movie(shown, output, total=request.frames, progress=show)


def _write_movie(result: "Sampled", request: RenderRequest, output: Path) -> None:
    from ..recon.visualization import spin_frames, with_caption, write_movie, zoom_frames

    def frames() -> Iterator[Any]:
        if request.style == "spin":
            return spin_frames(
                result, request.frames, elevation=request.angles[1], along=request.along, **request.common_options()
            )
        return zoom_frames(result, request.centre, request.frames, factor=request.factor, **request.common_options())

    shown = with_caption(frames(), request.caption) if request.caption else frames()
    with console.progress(request.style) as show:
        write_movie(shown, output, total=request.frames, progress=show)


def _slices(result: "Sampled", request: RenderRequest) -> "Figure":
    from ..recon.visualization import orthogonal_slices, require_inside
    from ..recon.visualization.planes import box_centre

    if request.centre is not None:
        require_inside(result, "--centre", **dict(zip("zyx", request.centre, strict=True)))
    for axis, position in request.planes:
        require_inside(result, "--plane", **{axis: position})
    point = dict(zip("zyx", request.centre or box_centre(result), strict=True)) | dict(request.planes)
    return orthogonal_slices(result, (point["z"], point["y"], point["x"]), **request.common_options())


def _montage(result: "Sampled", request: RenderRequest) -> "Figure":
    from ..recon.visualization import depth_montage, require_inside

    if other := [axis for axis, _ in request.planes if axis != "z"]:
        raise ConfigError(f"a montage shows planes of z, not of {other[0]}: --plane z=2um")
    for _, position in request.planes:
        require_inside(result, "--plane", z=position)
    return depth_montage(result, [position for _, position in request.planes] or None, **request.common_options())


def _projection(result: "Sampled", request: RenderRequest) -> "Figure":
    from ..recon.visualization import projection_figure

    return projection_figure(result, *request.angles, along=request.along, **request.common_options())


def _surface(result: "Sampled", request: RenderRequest) -> "Figure":
    from ..recon.experiments.specimens import choose_surface
    from ..recon.visualization import surface_figure
    from ..recon.visualization.surface_scene import surface_volume

    options = request.common_options()
    quantity = options["quantity"]
    _, level = choose_surface(surface_volume(result, [quantity] if quantity else ()), quantity)
    return surface_figure(result, *request.angles, **options, level=level)


def _light(result: "Sampled", request: RenderRequest) -> "Figure":
    from ..recon.experiments import get_experiment

    if request.na is None:
        raise ConfigError("--style light needs --na: the numerical aperture y,x of the light")
    return get_experiment(result.kind).figure_under_light(result, request.na, request.defocus, request.limits)


_FIGURES: dict[str, Callable[["Sampled", RenderRequest], "Figure"]] = {
    "slices": _slices,
    "montage": _montage,
    "projection": _projection,
    "light": _light,
    "surface": _surface,
}
