"""Planes of a result: three orthogonal ones through a point, with shared axes, and a montage of several depths."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..sampled import Point3, Sampled
from .labels import display_unit, format_position
from .layout import Margins, bar_axes, tiled_figure
from .planes import Plane, PlaneSampler, box_centre, draw_plane
from .specimen_scale import colour_scale
from .style import add_colour_bar, add_label, add_scale_bar, house_style, new_figure

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_MARGIN = {"left": 0.55, "right": 0.95, "top": 0.3, "bottom": 0.5, "gap": 0.38}
"""[inch] Margins of the figure, and the gap between its panels."""


def orthogonal_slices(
    result: Sampled,
    centre: Point3 | None = None,
    *,
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 480,
    title: str = "",
) -> "matplotlib.figure.Figure":
    """Draw the planes z, y and x through a point to one scale: (y, x), with (y, z) beside and (z, x) below it.

    Args:
        result: A model or a volume, sampled for the figure.
        centre: [m] The point (z, y, x); the centre of the box by default.
        quantity: Name of the quantity; the main one by default.
        limits: Values of the first and the last colour; those of the specimen by default.
        size: Number of samples along the longest edge of the box.
        title: Title above the figure.
    """
    point = centre or box_centre(result)
    sample_plane = PlaneSampler(result, quantity=quantity, size=size)
    planes = {name: sample_plane(name, position) for name, position in zip("zyx", point, strict=True)}
    scale = colour_scale(result, quantity).within(limits)
    with house_style():
        figure, axes = _layout(result, title)
        for name, plane in planes.items():
            image = draw_plane(axes[name], plane, scale)
            axes[name].set_title(format_position(name, plane.position, plane.unit), loc="left", pad=3)
            _mark_cuts(axes[name], plane, point, scale.mark)
        axes["z"].set_xlabel("")
        axes["x"].locator_params(axis="x", nbins=5)  # A thin box leaves little room for its ticks.
        axes["x"].set_ylabel("")
        add_scale_bar(axes["z"], planes["z"].width, colour=scale.mark, unit=planes["z"].unit)
        add_colour_bar(figure, image, axes["bar"], result.quantity(quantity))
    return figure


def _layout(result: Sampled, title: str) -> "tuple[matplotlib.figure.Figure, dict[str, matplotlib.axes.Axes]]":
    """Create axes to scale, by the name of the normal of their plane, and ``bar`` for the colour bar."""
    low, high = result.bounds
    depth, height, width = (b - a for a, b in zip(low, high, strict=True))
    inches = 5.2 / max(width + depth, height + depth)
    depth, height, width = (max(edge * inches, 0.35) for edge in (depth, height, width))
    m = _MARGIN
    top = m["top"] + (0.25 if title else 0)
    total_x = m["left"] + width + m["gap"] + depth + m["right"]
    total_y = m["bottom"] + depth + m["gap"] + height + top
    figure = new_figure(total_x, total_y)

    def place(x: float, y: float, w: float, h: float) -> "matplotlib.axes.Axes":
        return figure.add_axes((x / total_x, y / total_y, w / total_x, h / total_y))

    upper, beside = m["bottom"] + depth + m["gap"], m["left"] + width + m["gap"]
    axes = {
        "z": place(m["left"], upper, width, height),
        "y": place(m["left"], m["bottom"], width, depth),
        "x": place(beside, upper, depth, height),
    }
    axes["bar"] = place(beside + depth + 0.14, upper, 0.11, height)
    if title:
        figure.text(m["left"] / total_x, 1 - 0.06 / total_y, title, va="top", fontsize=9, fontweight="bold")
    return figure, axes


def _mark_cuts(axes: "matplotlib.axes.Axes", plane: Plane, point: Point3, colour: str) -> None:
    """Draw thin lines at the intersections with the other two planes."""
    where = dict(zip("zyx", point, strict=True))
    line = {"color": colour, "lw": 0.5, "alpha": 0.55, "dashes": (4, 4)}
    factor, _ = display_unit(plane.unit)
    axes.axhline(where[plane.names[0]] * factor, **line)  # type: ignore[arg-type]
    axes.axvline(where[plane.names[1]] * factor, **line)  # type: ignore[arg-type]


def depth_montage(
    result: Sampled,
    depths: Sequence[float] | None = None,
    *,
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 320,
    title: str = "",
) -> "matplotlib.figure.Figure":
    """Draw the planes z at several depths with one colour scale.

    Args:
        result: A model or a volume, sampled for the figure.
        depths: [m] Positions on z; eight spread over the box by default.
        quantity: Name of the quantity; the main one by default.
        limits: Values of the first and the last colour; those of the specimen by default.
        size: Number of samples along the longest edge of the box.
        title: Title above the figure.

    Raises:
        ConfigError: If the list of depths is empty.
    """
    depths = layer_depths(result) if depths is None else list(depths)
    if not depths:
        raise ConfigError("a montage needs at least one depth")
    sample_plane = PlaneSampler(result, quantity=quantity, size=size)
    planes = [sample_plane("z", depth) for depth in depths]
    scale = colour_scale(result, quantity).within(limits)
    columns = min(len(planes), 4)
    rows = -(-len(planes) // columns)
    shape, side = planes[0].values.shape, 1.65
    margins = Margins(right=0.85, top=0.28 if title else 0.05)
    with house_style():
        figure, tiles = tiled_figure(rows, columns, (side, side * shape[0] / shape[1]), margins)
        for i, plane in enumerate(planes):
            tile = tiles[i // columns][i % columns]
            image = tile.show(plane.values, scale.colours, scale.limits, interpolation=scale.interpolation)
            add_label(tile.axes, format_position("z", plane.position, plane.unit), tile, scale.mark)
        add_scale_bar(tile.axes, plane.width, fraction=0.35, colour=scale.mark, size=7, unit=plane.unit, tile=tile)
        add_colour_bar(figure, image, bar_axes(figure, tiles[0][-1], tiles[-1][-1]), result.quantity(quantity))
        if title:
            width, height = figure.get_size_inches()
            figure.text(0.05 / width, 1 - 0.05 / height, title, va="top", fontsize=9, fontweight="bold")
    return figure


def layer_depths(result: Sampled, count: int = 8) -> list[float]:
    """Return the positions on z of the centres of ``count`` equal layers of the box [m]."""
    low, high = result.bounds
    return [low[0] + (i + 0.5) / count * (high[0] - low[0]) for i in range(count)]
