"""Montage of planes at several depths."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from ..sampled import Sampled
from .planes import PlaneSampler, draw_plane
from .style import (
    INDEX_COLOURS,
    add_colour_bar,
    add_label,
    add_scale_bar,
    colour_range,
    format_position,
    house_style,
    new_figure,
)

if TYPE_CHECKING:
    import matplotlib.figure


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
        limits: Values of the first and the last colour; from the planes by default.
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
    limits = limits or colour_range(np.stack([p.values for p in planes]), result.background(quantity))
    columns = min(len(planes), 4)
    rows = -(-len(planes) // columns)
    shape = planes[0].values.shape
    side = 1.65
    tall = side * shape[0] / shape[1]
    gap, top, right = 0.05, 0.28 if title else 0.05, 0.85
    width = 0.05 + columns * (side + gap) + right
    height = top + rows * (tall + gap) + 0.05
    with house_style():
        figure = new_figure(width, height)
        for i, plane in enumerate(planes):
            row, column = divmod(i, columns)
            bottom = height - top - (row + 1) * tall - row * gap
            axes = figure.add_axes(
                ((0.05 + column * (side + gap)) / width, bottom / height, side / width, tall / height)
            )
            image = draw_plane(axes, plane, INDEX_COLOURS, limits, labels=False)
            add_label(axes, format_position("z", plane.position, plane.unit))
            if i == len(planes) - 1:
                add_scale_bar(axes, plane.width, share=0.35, size=7, unit=plane.unit)
        bar = figure.add_axes(
            ((width - right + 0.06) / width, 0.05 / height, 0.1 / width, (height - top - 0.05) / height)
        )
        add_colour_bar(figure, image, bar, result.quantity(quantity))
        if title:
            figure.text(0.05 / width, 1 - 0.05 / height, title, va="top", fontsize=9, fontweight="bold")
    return figure


def layer_depths(result: Sampled, count: int = 8) -> list[float]:
    """Return the positions on z of the centres of ``count`` equal layers of the box [m]."""
    low, high = result.bounds
    return [low[0] + (i + 0.5) / count * (high[0] - low[0]) for i in range(count)]
