"""Comparison of truth and result, and of measured and modelled images, with their differences."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from ..sampled import Point3, Sampled
from ..volume import Volume
from .colour_scale import ColourScale, choose_scale
from .labels import format_position, quantity_label
from .layout import Margins, bar_axes, tiled_figure
from .planes import Plane, PlaneSampler, box_centre, draw_plane
from .style import (
    ACCENT,
    DIFFERENCE_COLOURS,
    IMAGE_COLOURS,
    add_colour_bar,
    add_label,
    add_scale_bar,
    colour_range,
    house_style,
    new_figure,
)

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_TRUTH = "truth"
"""Title of a first volume that is known to be true."""
_SATURATED = 3e-3
"""Share of the samples beyond a colour bar's end, from which the end is drawn as an arrow."""
_SLACK = 0.02
"""Distance beyond a colour bar's end that counts as beyond, in lengths of the bar."""


def compare_volumes(
    truth: Volume,
    result: Sampled,
    centre: Point3 | None = None,
    *,
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 320,
    names: tuple[str, str] = (_TRUTH, "result"),
) -> "matplotlib.figure.Figure":
    """Draw truth, result and difference in the planes z and y through a point, with one colour scale.

    Args:
        truth: True specimen.
        result: A model or a volume, sampled on the planes of the truth.
        centre: [m] The point (z, y, x); the centre of the truth's box by default.
        quantity: Name of the quantity; the main one of the truth by default.
        limits: Values of the first and the last colour; by default those of the truth, or of both if the first is not
            the truth.
        size: Number of samples along the longest edge of the box.
        names: Titles of truth and result; a first one other than ``truth`` is a reference that may be wrong too.
    """
    name = truth.quantity(quantity).name
    point = centre or box_centre(truth)
    sample_plane = PlaneSampler(truth, quantity=name, size=size)
    rows = []
    for axis, position in (("z", point[0]), ("y", point[1])):
        known = sample_plane(axis, position)
        at = {known.names[0]: known.down, known.names[1]: known.right, axis: np.array([position])}
        values = np.squeeze(result.sample(at["z"], at["y"], at["x"], name), axis="zyx".index(axis))
        shown, error = (replace(known, values=v) for v in (values, values - known.values))
        rows.append((known, shown, error))
    decisive = [plane.values.ravel() for row in rows for plane in (row[:1] if names[0] == _TRUTH else row[:2])]
    scale = choose_scale(truth.quantity(name), np.concatenate(decisive), truth.background(name)).within(limits)
    worst = float(np.percentile(np.abs(np.concatenate([r[2].values.ravel() for r in rows])), 99.8)) or 1e-9
    return _draw_rows(rows, scale, worst, quantity_label(truth.quantity(name)), names)


def compare_views(
    measured: Float[np.ndarray, "view y x"],
    modelled: Float[np.ndarray, "view y x"],
    titles: Sequence[str],
    *,
    marked: Sequence[bool] | None = None,
    pixel_size: tuple[float, float] | None = None,
) -> "matplotlib.figure.Figure":
    """Draw measured images, modelled images and their differences in three rows, with a column for each view.

    Args:
        measured: Measured images.
        modelled: Images predicted by the model.
        titles: A title for each view.
        marked: Whether to highlight the title of each view, such as those withheld from the fit.
        pixel_size: [m] Pixel size (y, x), for a scale bar; without it there is none.
    """
    count = len(measured)
    tall, wide = measured.shape[1:]
    side = min(1.6, 6.6 / count)
    shown = colour_range(measured, outliers=2e-3)
    worst = max(float(np.percentile(np.abs(modelled - measured), 99.8)), 1e-9)
    stacks = {"measured": measured, "modelled": modelled, "difference": modelled - measured}
    with house_style():
        margins = Margins(left=0.28, right=0.8, top=0.22)
        figure, tiles = tiled_figure(len(stacks), count, (side, side * tall / wide), margins)
        for row, (name, stack) in zip(tiles, stacks.items(), strict=True):
            difference = name == "difference"
            colours, limits = (DIFFERENCE_COLOURS, (-worst, worst)) if difference else (IMAGE_COLOURS, shown)
            for tile, picture in zip(row, stack, strict=True):
                image = tile.show(picture, colours, limits)
            row[0].label(name, size=8)
            if name != "measured":  # One bar for measured and modelled images.
                bar = bar_axes(figure, tiles[0 if name == "modelled" else 2][-1], row[-1])
                add_colour_bar(figure, image, bar, "modelled − measured" if difference else "intensity")
        for i, (tile, title) in enumerate(zip(tiles[0], titles, strict=True)):
            tile.title(title, size=7.5, colour=ACCENT if marked is not None and marked[i] else "black")
        if pixel_size is not None:
            add_scale_bar(tile.axes, wide * pixel_size[1], fraction=0.35, size=6.5, tile=tiles[0][0])
    return figure


def _draw_rows(
    rows: Sequence[tuple[Plane, Plane, Plane]],
    scale: ColourScale,
    worst: float,
    label: str,
    names: tuple[str, str],
) -> "matplotlib.figure.Figure":
    """Draw truth, result and difference in columns, with a row for each plane and a colour bar beside the last two."""
    side, left, gap, top, below, bars = 1.9, 0.5, 0.1, 0.25, 0.45, 0.78
    heights = [max(side * len(row[0].down) / len(row[0].right), 0.4) for row in rows]
    between = 0.12
    titles = (*names, f"{names[1]} − {names[0]}")
    errors = ColourScale(-worst, worst, DIFFERENCE_COLOURS, diverging=True)
    error = "error" if names[0] == _TRUTH else "difference"
    extensions = [_extension(rows, (0, 1), scale.limits), _extension(rows, (2,), (-worst, worst))]
    columns = (left, left + side + gap, left + 2 * side + gap + bars)
    total_x = columns[-1] + side + bars + 0.05
    tall = sum(heights) + between * (len(rows) - 1)
    total_y = top + tall + below

    def place(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        return x / total_x, y / total_y, width / total_x, height / total_y

    with house_style():
        figure = new_figure(total_x, total_y)
        y = total_y - top
        for height, row in zip(heights, rows, strict=True):
            y -= height
            first, last = row is rows[0], row is rows[-1]
            for column, (x, plane) in enumerate(zip(columns, row, strict=True)):
                axes = figure.add_axes(place(x, y, side, height))
                image = draw_plane(axes, plane, errors if column == 2 else scale)
                _label_outer_axes(axes, keep_x=last, keep_y=column == 0)
                if first:
                    axes.set_title(titles[column], pad=4)
                if first and column > 0:
                    bar = figure.add_axes(place(x + side + 0.07, below, 0.09, tall))
                    text = label if column == 1 else f"{error} of the {label}"
                    add_colour_bar(figure, image, bar, text, extend=extensions[column - 1])
                if column == 0:
                    add_label(axes, format_position(plane.names[2], plane.position, plane.unit))
                if column == 0 and first:
                    add_scale_bar(axes, plane.width, unit=plane.unit)
            y -= between
    return figure


def _extension(
    rows: Sequence[tuple[Plane, Plane, Plane]], columns: Sequence[int], limits: tuple[float, float]
) -> Literal["neither", "min", "max", "both"]:
    """Choose the ends of a colour bar that are arrows, because values of its columns lie beyond them."""
    values = np.concatenate([row[column].values.ravel() for row in rows for column in columns])
    slack = _SLACK * (limits[1] - limits[0])
    beyond = (values < limits[0] - slack, values > limits[1] + slack)
    below, above = (float(np.mean(each)) > _SATURATED for each in beyond)
    if below and above:
        return "both"
    return "min" if below else "max" if above else "neither"


def _label_outer_axes(axes: "matplotlib.axes.Axes", *, keep_x: bool, keep_y: bool) -> None:
    """Remove tick labels and axis labels but at the outer axes."""
    if not keep_x:
        axes.set_xticklabels([])
        axes.set_xlabel("")
    if not keep_y:
        axes.set_yticklabels([])
        axes.set_ylabel("")
