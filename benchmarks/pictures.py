"""Figures for the page of results, as small files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unflat.recon.runs import write_atomically
from unflat.recon.sampled import Point3, Sampled
from unflat.recon.visualization.colour_scale import ColourScale
from unflat.recon.visualization.labels import format_position
from unflat.recon.visualization.planes import Plane, PlaneSampler, draw_plane
from unflat.recon.visualization.style import add_label, add_scale_bar, colour_range, house_style, new_figure, render_png

if TYPE_CHECKING:
    import matplotlib.figure

LARGEST = 390_000
"""[bytes] Largest size of a figure's file."""
METHOD_COLOURS = {"pyramid": "#c2410c", "voxels": "#1d4ed8", "fourier": "#15803d", "linear IDT": "#6b7280"}


def save_small(figure: "matplotlib.figure.Figure", path: Path) -> None:
    """Write a figure as PNG, at the highest resolution within the size limit."""
    data = b""
    for dpi in (200, 170, 140, 115, 95, 80, 65, 50):
        figure.set_dpi(dpi)
        data = render_png(figure)
        if len(data) <= LARGEST:
            break
    with write_atomically(path) as temporary:
        temporary.write_bytes(data)


def upright_sections(
    results: Mapping[str, Sampled], heights: Sequence[float], *, axis: str = "y", size: int = 320
) -> "matplotlib.figure.Figure":
    """Draw axial sections of several results in columns, each with its own colour scale.

    Args:
        results: Results by the name in the figure.
        heights: [m] Positions of the sections on the axis, one row each.
        axis: ``y`` for (z, x), ``x`` for (y, z).
        size: Number of samples along the longest edge of the box.
    """
    samplers = {name: PlaneSampler(result, size=size) for name, result in results.items()}
    planes = {name: [sample(axis, height) for height in heights] for name, sample in samplers.items()}
    tall, wide = next(iter(planes.values()))[0].values.shape
    side = 3.6
    height = side * tall / wide
    with house_style():
        figure = new_figure(0.05 + len(planes) * (side + 0.05), 0.05 + len(heights) * (height + 0.05))
        grid = figure.subplots(len(heights), len(planes), squeeze=False)
        figure.subplots_adjust(left=0.005, right=0.995, top=0.995, bottom=0.005, wspace=0.015, hspace=0.03)
        for column, (name, cuts) in enumerate(planes.items()):
            shown = colour_range(_joined([cut.values for cut in cuts]), results[name].background())
            for row, cut in enumerate(cuts):
                draw_plane(grid[row, column], cut, ColourScale(*shown), labels=False)
                add_label(
                    grid[row, column],
                    f"{name}   {format_position(axis, cut.position)}"
                    if row == 0
                    else format_position(axis, cut.position),
                )
        add_scale_bar(grid[-1, -1], planes[name][-1].width)
    return figure


def closer(
    results: Mapping[str, Sampled], point: Point3, factors: Sequence[float], quantity: str, *, size: int = 240
) -> "matplotlib.figure.Figure":
    """Draw zooms into a point of the plane z, with a row for each result and one colour scale.

    The first view is the whole box of the first result; the point keeps its place in the image.

    Args:
        results: Results by the name in the figure.
        point: [m] Centre of the zoom (z, y, x).
        factors: Magnification of each view over the whole box of the first result.
        quantity: Name of the quantity.
        size: Number of samples along each axis of a view.
    """
    low, high = next(iter(results.values())).bounds
    widest, middle = max(high[1] - low[1], high[2] - low[2]), [(a + b) / 2 for a, b in zip(low, high, strict=True)]

    def view(result: Sampled, factor: float) -> Plane:
        y, x = (p + (m - p) / factor for p, m in zip(point[1:], middle[1:], strict=True))
        return _around(result, (point[0], y, x), widest / factor, quantity, size)

    cuts = {name: [view(result, factor) for factor in factors] for name, result in results.items()}
    shown = colour_range(_joined([cut.values for row in cuts.values() for cut in row]), 0.0)
    side = 2.4
    with house_style():
        figure = new_figure(len(factors) * side, len(cuts) * side)
        grid = figure.subplots(len(cuts), len(factors), squeeze=False)
        figure.subplots_adjust(left=0.005, right=0.995, top=0.995, bottom=0.005, wspace=0.015, hspace=0.015)
        for row, (name, planes) in zip(grid, cuts.items(), strict=True):
            for axes, factor, plane in zip(row, factors, planes, strict=True):
                draw_plane(axes, plane, ColourScale(*shown), labels=False)
                add_label(axes, f"{name}   ×{factor:g}" if axes is row[0] else f"×{factor:g}")
                add_scale_bar(axes, plane.width, size=6, unit=plane.unit)
    return figure


def _around(result: Sampled, point: Point3, width: float, quantity: str, size: int) -> Plane:
    """Sample a square of a width [m] in the plane z around a point."""
    steps = (np.arange(size) - size // 2) * (width / size)
    down, right = point[1] + steps, point[2] + steps
    values = result.sample(np.array([point[0]]), down, right, quantity=quantity)[0]
    return Plane(values, down, right, ("y", "x", "z"), point[0], result.length_unit)


def panels(
    each: Sequence[tuple[Mapping[str, Mapping[float, float]], str, float | None]], x: str, *, logarithmic: bool = True
) -> "matplotlib.figure.Figure":
    """Draw panels of curves in a row.

    Args:
        each: Curves by the name of the method, label of the vertical axis, and a level to mark, or None.
        x: Label of the horizontal axis.
        logarithmic: Whether the horizontal axis is logarithmic; a few values are then its ticks.
    """
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    with house_style():
        figure = new_figure(3.3 * len(each), 2.5)
        for axes, (lines, y, level) in zip(figure.subplots(1, len(each), squeeze=False)[0], each, strict=True):
            for name, points in lines.items():
                xs = sorted(points)
                marker = "o" if len(xs) < 12 else ""
                axes.plot(
                    xs, [points[p] for p in xs], marker=marker, ms=3, lw=1.3, label=name, color=METHOD_COLOURS.get(name)
                )
            if level is not None:
                axes.axhline(level, lw=0.7, ls=":", color="#333333")
            if logarithmic:
                axes.set_xscale("log")
                places = sorted({p for points in lines.values() for p in points})
                if len(places) < 12:
                    axes.xaxis.set_major_locator(FixedLocator(places))
                    axes.xaxis.set_minor_locator(NullLocator())
                    axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.set_xlabel(x)
            axes.set_ylabel(y)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", lw=0.3, color="#cccccc")
            axes.legend(frameon=False)
        figure.tight_layout(pad=0.4)
    return figure


def _joined(arrays: Sequence["np.ndarray"]) -> "np.ndarray":
    return np.concatenate([a.ravel() for a in arrays])
