"""Three planes through one point, laid out so that they share their axes."""

from typing import TYPE_CHECKING

import numpy as np

from ..sampled import Sampled
from .planes import Plane, PlaneSampler, Point3, centre_of, draw
from .style import INDEX_COLOURS, at_height, colour_bar, colour_range, house_style, new_figure, scale_bar, shown_unit

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_MARGIN = {"left": 0.55, "right": 0.95, "top": 0.3, "bottom": 0.5, "gap": 0.38}
"""[inch]"""


def orthogonal_slices(
    result: Sampled,
    centre: Point3 | None = None,
    *,
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 480,
    title: str = "",
) -> "matplotlib.figure.Figure":
    """Draw the planes z, y and x through a point: (y, x) with (y, z) beside and (z, x) below it, to one scale.

    Args:
        result: A model, sampled afresh for the picture, or a volume.
        centre: [m] The point (z, y, x); the middle of the box if absent.
        quantity: Which; the first, if absent.
        limits: Values of the first and the last colour; from the planes if absent.
        size: Samples along the box's longest edge.
        title: A line above.
    """
    point = centre or centre_of(result)
    cutter = PlaneSampler(result, quantity=quantity, size=size)
    planes = {name: cutter(name, height) for name, height in zip("zyx", point, strict=True)}
    shown = limits or colour_range(
        np.concatenate([p.values.ravel() for p in planes.values()]), result.background(quantity)
    )
    with house_style():
        figure, axes = _layout(result, title)
        for name, plane in planes.items():
            image = draw(axes[name], plane, INDEX_COLOURS, shown)
            axes[name].set_title(at_height(name, plane.height, plane.unit), loc="left", pad=3)
            _mark_cuts(axes[name], plane, point)
        axes["z"].set_xlabel("")
        axes["x"].set_ylabel("")
        scale_bar(axes["z"], planes["z"].width, unit=planes["z"].unit)
        colour_bar(figure, image, axes["bar"], result.quantity(quantity))
    return figure


def _layout(result: Sampled, title: str) -> "tuple[matplotlib.figure.Figure, dict[str, matplotlib.axes.Axes]]":
    """Axes by the name of the axis that their plane cuts, each as large as its plane, and ``bar`` for the colours."""
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


def _mark_cuts(axes: "matplotlib.axes.Axes", plane: Plane, point: Point3) -> None:
    """Thin lines where the other two planes cut this one."""
    where = dict(zip("zyx", point, strict=True))
    line = {"color": "white", "lw": 0.5, "alpha": 0.55, "dashes": (4, 4)}
    factor, _ = shown_unit(plane.unit)
    axes.axhline(where[plane.names[0]] * factor, **line)  # type: ignore[arg-type]
    axes.axvline(where[plane.names[1]] * factor, **line)  # type: ignore[arg-type]
