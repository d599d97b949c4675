"""Planes at several depths side by side: what is in focus where."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from ..sampled import Sampled
from .planes import PlaneSampler, draw
from .style import INDEX_COLOURS, at_height, colour_bar, colour_range, house_style, new_figure, scale_bar, tag

if TYPE_CHECKING:
    import matplotlib.figure


def depth_montage(
    result: Sampled,
    heights: Sequence[float] | None = None,
    *,
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 320,
    title: str = "",
) -> "matplotlib.figure.Figure":
    """Draw the planes z at several depths with one colour scale.

    Args:
        result: A model, sampled afresh for the picture, or a volume.
        heights: [m] Depths; eight spread over the box if absent.
        quantity: Which; the first, if absent.
        limits: Values of the first and the last colour; from the planes if absent.
        size: Samples along the box's longest edge.
        title: A line above.

    Raises:
        ConfigError: If the list of depths is empty.
    """
    depths = layer_depths(result) if heights is None else list(heights)
    if not depths:
        raise ConfigError("a montage needs at least one depth")
    cutter = PlaneSampler(result, quantity=quantity, size=size)
    planes = [cutter("z", height) for height in depths]
    shown = limits or colour_range(np.stack([p.values for p in planes]), result.background(quantity))
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
            image = draw(axes, plane, INDEX_COLOURS, shown, labels=False)
            tag(axes, at_height("z", plane.height, plane.unit))
            if i == len(planes) - 1:
                scale_bar(axes, plane.width, share=0.35, size=7, unit=plane.unit)
        bar = figure.add_axes(
            ((width - right + 0.06) / width, 0.05 / height, 0.1 / width, (height - top - 0.05) / height)
        )
        colour_bar(figure, image, bar, result.quantity(quantity))
        if title:
            figure.text(0.05 / width, 1 - 0.05 / height, title, va="top", fontsize=9, fontweight="bold")
    return figure


def layer_depths(result: Sampled, count: int = 8) -> list[float]:
    """[m] Depths in the middles of ``count`` equal layers of the box."""
    low, high = result.bounds
    return [low[0] + (i + 0.5) / count * (high[0] - low[0]) for i in range(count)]
