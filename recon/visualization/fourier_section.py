"""Sections through the part of Fourier space that an experiment measures, with its limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from .style import ACCENT, SECOND_ACCENT, house_style, new_figure

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    from matplotlib.lines import Line2D

_COLOURS = (ACCENT, "white", SECOND_ACCENT)
_NANOMETRE_LIMIT = 5e7
"""[1/m] Largest frequency of a figure from which axes are in 1/nm rather than 1/µm."""


@dataclass(frozen=True)
class FourierSection:
    """Section through the part of Fourier space that is measured.

    Args:
        title: Title of the picture.
        axes: Names of the horizontal and the vertical axis.
        extent: [1/m] Left, right, lower and upper edge.
        values: Picture (vertical, horizontal), the lowest row first; 0, or NaN, where nothing is measured.
        legend: Meaning of the values.
        outlines: Closed lines by their meaning, as points (horizontal, vertical) [1/m].
        unit: Unit of the axes: ``cycles/m``, ``rad/m``, or one that is written as it is, as ``rad/voxels``.
    """

    title: str
    axes: tuple[str, str]
    extent: tuple[float, float, float, float]
    values: Float[np.ndarray, "v h"]
    legend: str
    outlines: Mapping[str, Float[np.ndarray, "n 2"]] = field(default_factory=dict)
    unit: str = "cycles/m"


def circle(radius: float, count: int = 181) -> Float[np.ndarray, "n 2"]:
    """Compute the points of a circle about the origin, closed."""
    angle = np.linspace(0, 2 * np.pi, count)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def draw_sections(sections: Sequence[FourierSection], heading: str) -> "matplotlib.figure.Figure":
    """Draw sections side by side.

    Args:
        sections: Sections, at least one.
        heading: Title of the figure.
    """
    with house_style():
        figure = new_figure(4.4 * len(sections), 5.2)
        figure.set_layout_engine("constrained")
        figure.suptitle(heading)
        lines: dict[str, Line2D] = {}
        for number, section in enumerate(sections, 1):
            lines = _draw(figure.add_subplot(1, len(sections), number), section) | lines
        if lines:
            handles, labels = list(lines.values()), list(lines)
            figure.legend(handles, labels, loc="outside lower center", ncols=len(lines), facecolor="0.7")
    return figure


def _draw(panel: "matplotlib.axes.Axes", section: FourierSection) -> "dict[str, Line2D]":
    """Draw one section.

    Returns:
        The drawn outlines by their meaning.
    """
    factor, unit = 1.0, section.unit
    if unit.endswith("/m"):
        factor, length = (1e9, "nm") if max(map(abs, section.extent)) > _NANOMETRE_LIMIT else (1e6, "µm")
        unit = unit.removesuffix("m") + length
    left, right, low, high = (edge / factor for edge in section.extent)
    image = panel.imshow(
        section.values, extent=(left, right, low, high), origin="lower", interpolation="nearest", aspect="equal"
    )
    panel.figure.colorbar(image, ax=panel, label=section.legend, location="bottom", shrink=0.8)
    lines: dict[str, Line2D] = {}
    for (meaning, points), colour in zip(section.outlines.items(), _COLOURS, strict=False):
        (line,) = panel.plot(points[:, 0] / factor, points[:, 1] / factor, color=colour, linewidth=1.2)
        lines[meaning] = line
    panel.set(title=section.title, xlim=(left, right), ylim=(low, high))
    panel.set(xlabel=f"{section.axes[0]} [{unit}]", ylabel=f"{section.axes[1]} [{unit}]")
    return lines
