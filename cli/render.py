"""``unflat render``: pictures and movies of a model."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recon.config.units import Dimension, parse_with_unit
from ..recon.errors import ConfigError, Diagnostic
from . import console
from .options import PATH, draw_option, output_options

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..recon.sampled import Sampled

MOVIES = ("spin", "zoom")
STYLES = ("slices", "projection", "spin", "zoom", "montage", "light", "surface")


@dataclass(frozen=True)
class RenderRequest:
    """What the command line asks for, in SI."""

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

    def common(self) -> dict[str, Any]:
        """What every picture of a quantity takes."""
        return {"quantity": self.quantity, "limits": self.limits} | ({"size": self.size} if self.size else {})


Read = Callable[[click.Context, click.Parameter, Any], Any]


def quantity(text: str, dimension: Dimension) -> float:
    """Read a number with its unit, in SI; an angle without a unit is in degrees.

    Raises:
        BadParameter: If it is none of that dimension.
    """
    try:
        number, found = parse_with_unit(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if found not in (dimension, None):
        raise click.BadParameter(f"{text!r} is a {found}; a {dimension} is needed")
    return math.radians(number) if dimension == "angle" and found is None else number


def numbers(dimension: Dimension, *counts: int, separator: str = ",") -> Read:
    """Make an option's callback that reads several numbers with units, in SI: ``1um,2um,-3um``.

    Args:
        dimension: What each measures.
        counts: How many there may be.
        separator: Between them.
    """

    def read(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, ...] | None:
        if value is None:
            return None
        found = tuple(quantity(part, dimension) for part in value.split(separator))
        if len(found) not in counts:
            wanted = " or ".join(map(str, counts))
            raise click.BadParameter(
                f"{value!r} holds {len(found)} numbers; {wanted} are needed, with {separator!r} between"
            )
        return found

    return read


def planes(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Read planes such as ``z=2um``, as an option's callback: axis and height [m]."""
    found = []
    for text in value:
        axis, _, height = text.partition("=")
        if axis.strip() not in ("z", "y", "x") or not height:
            raise click.BadParameter(f"{text!r} is no plane such as z=2um")
        found.append((axis.strip(), quantity(height, "length")))
    return tuple(found)


@click.command()
@click.argument("model", type=PATH)
@output_options
@click.option("--style", type=click.Choice(STYLES), help="What to draw; a spin in .gif and .mp4, else slices.")
@click.option(
    "--angle",
    "angles",
    callback=numbers("angle", 1, 2),
    default="0",
    metavar="AZIMUTH[,ELEVATION]",
    help="projection, surface, spin: from where, in degrees.",
)
@click.option(
    "--plane",
    "planes",
    callback=planes,
    multiple=True,
    metavar="z=2um",
    help="slices, montage: where to cut. May repeat.",
)
@click.option("--na", callback=numbers("number", 2), metavar="Y,X", help="light: its numerical aperture, as 0.3,0.1.")
@click.option(
    "--defocus", callback=numbers("length", 1), default="0", metavar="LENGTH", help="light: plane of focus along +z."
)
@click.option(
    "--centre", callback=numbers("length", 3), metavar="Z,Y,X", help="slices, zoom: a point, as 0um,2um,-1um."
)
@click.option("--quantity", help="Which of the model's quantities; the first if absent.")
@click.option(
    "--range",
    "limits",
    callback=numbers("number", 2, separator=":"),
    metavar="LOW:HIGH",
    help="Values of the first and the last colour.",
)
@click.option("--size", type=click.IntRange(96, 4096), help="Samples along the longest edge; pixels of a movie.")
@click.option("--frames", type=click.IntRange(2, 2000), default=60, show_default=True, help="spin, zoom: frames.")
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
    help="projection, spin: what of each line of sight.",
)
@click.option("--cell", type=click.IntRange(0), help="Which cell, of a result of many.")
@draw_option
def command(model: Path, output: Path, force: bool, cell: int | None, draw: int | None, **options: Any) -> None:
    """Draw MODEL: a model file, a run's folder, or a volume. OUT ends in .png, .gif or .mp4.

    A model is asked afresh at each sample of a picture, so a zoom never shows a voxel.

    \b
    Examples:
      unflat render RUN -o slices.png --plane z=2um
      unflat render RUN -o depths.png --style montage
      unflat render RUN -o side.png --style projection --angle 40,20
      unflat render RUN -o spin.mp4
      unflat render RUN -o zoom.gif --style zoom --centre 0um,2um,-1um --factor 30
      unflat render RUN -o tilted.png --style light --na 0.3,0.1
      unflat render CELL -o shape.png --style surface --angle 30,55 --draw 2
      unflat render SHAPES -o shape.png --style surface --angle 30,55 --cell 3 --draw 2
    """
    from ..recon.io.result import read_result
    from .sampling import one_specimen

    drawing = _drawing(output, **options)
    console.refuse_to_overwrite(output, force=force)
    result = one_specimen(read_result(model), model, draw, cell)
    if drawing.style in MOVIES:
        _write_movie(result, drawing, output)
    else:
        from ..recon.visualization import save_figure

        save_figure(_FIGURES[drawing.style](result, drawing), output)
    console.report_file(output)


def _drawing(output: Path, **options: Any) -> RenderRequest:
    """Gather the options, and refuse those that do not go together."""
    ending = output.suffix.lower()
    style = options.pop("style") or ("spin" if ending in (".gif", ".mp4") else "slices")
    allowed = (".gif", ".mp4") if style in MOVIES else (".png",)
    if ending not in allowed:
        raise ConfigError(
            Diagnostic(
                str(output),
                f"--style {style} cannot be written as {ending or 'a name without ending'!r}",
                f"use {' or '.join(allowed)}",
            )
        )
    if style == "light" and options["na"] is None:
        raise ConfigError("--style light needs the light's direction: --na y,x, as --na 0.3,0.1")
    limits = options["limits"]
    if limits is not None and not limits[1] > limits[0]:
        raise ConfigError(f"--range {limits[0]:g}:{limits[1]:g} is empty: the lower value comes first")
    (defocus,) = options.pop("defocus")
    angles = (*options.pop("angles"), 0.0)[:2]
    return RenderRequest(style=style, defocus=defocus, angles=angles, **options)


def _write_movie(result: "Sampled", drawing: RenderRequest, output: Path) -> None:
    from ..recon.visualization import spin_frames, write_movie, zoom_frames

    def frames() -> Iterator[Any]:
        if drawing.style == "spin":
            return spin_frames(
                result, drawing.frames, elevation=drawing.angles[1], along=drawing.along, **drawing.common()
            )
        return zoom_frames(result, drawing.centre, drawing.frames, factor=drawing.factor, **drawing.common())

    with console.progress(drawing.style) as show:
        write_movie(frames(), output, total=drawing.frames, progress=show)


def _slices(result: "Sampled", drawing: RenderRequest) -> "Figure":
    from ..recon.visualization import orthogonal_slices, require_inside
    from ..recon.visualization.planes import box_centre

    if drawing.centre is not None:
        require_inside(result, "--centre", **dict(zip("zyx", drawing.centre, strict=True)))
    for axis, height in drawing.planes:
        require_inside(result, "--plane", **{axis: height})
    point = dict(zip("zyx", drawing.centre or box_centre(result), strict=True)) | dict(drawing.planes)
    return orthogonal_slices(result, (point["z"], point["y"], point["x"]), **drawing.common())


def _montage(result: "Sampled", drawing: RenderRequest) -> "Figure":
    from ..recon.visualization import depth_montage, require_inside

    if other := [axis for axis, _ in drawing.planes if axis != "z"]:
        raise ConfigError(f"a montage shows planes of z, not of {other[0]}: --plane z=2um")
    for _, height in drawing.planes:
        require_inside(result, "--plane", z=height)
    return depth_montage(result, [height for _, height in drawing.planes] or None, **drawing.common())


def _projection(result: "Sampled", drawing: RenderRequest) -> "Figure":
    from ..recon.visualization import projection_figure

    return projection_figure(result, *drawing.angles, along=drawing.along, **drawing.common())


def _surface(result: "Sampled", drawing: RenderRequest) -> "Figure":
    from ..recon.visualization import surface_figure

    return surface_figure(result, *drawing.angles, **drawing.common())


def _light(result: "Sampled", drawing: RenderRequest) -> "Figure":
    from ..recon.experiments import get_experiment

    if drawing.na is None:
        raise ConfigError("--style light needs --na: the numerical aperture y,x of the light")
    return get_experiment(result.kind).figure_under_light(result, drawing.na, drawing.defocus, drawing.limits)


_FIGURES: dict[str, Callable[["Sampled", RenderRequest], "Figure"]] = {
    "slices": _slices,
    "montage": _montage,
    "projection": _projection,
    "light": _light,
    "surface": _surface,
}
