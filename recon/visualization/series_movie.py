"""Pictures of a series: the frames of a movie from its first to its last position, and a strip of its acquisitions."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ..errors import ConfigError, Diagnostic
from ..model_series import ModelSeries
from .colour_scale import ColourScale, choose_scale
from .labels import quantity_label
from .layout import Margins, bar_axes, tiled_figure
from .movies import Frame, draw_frame, frame_size
from .planes import PlaneSampler, box_centre, require_inside
from .style import add_colour_bar, add_label, add_scale_bar, house_style

if TYPE_CHECKING:
    import matplotlib.figure

MOST_SHOWN = 6
"""Largest number of acquisitions in a strip."""


def series_frames(
    series: ModelSeries,
    count: int = 60,
    *,
    plane: tuple[str, float] | None = None,
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 480,
) -> Iterator[Frame]:
    """Draw the frames of a movie over a series: one plane, at evenly spaced positions.

    Args:
        series: The series.
        count: Number of frames.
        plane: Axis and position [m] of the plane; z through the middle of the box by default.
        quantity: Name of the quantity; the main one by default.
        limits: Colour limits (vmin, vmax); from all acquisitions by default.
        size: [pixel] Requested width and height of a frame; see :func:`.movies.frame_size`.

    Raises:
        ConfigError: If the plane is outside the box, or there is no such quantity.
    """
    first, size = series.at(series.axis.positions[0]), frame_size(size)
    axis, place = plane or ("z", box_centre(first)[0])
    require_inside(first, "--plane", **{axis: place})
    scale = _scale(series, (axis, place), quantity).within(limits)
    label = quantity_label(first.quantity(quantity))
    positions = np.linspace(series.axis.positions[0], series.axis.positions[-1], count)
    decimals = _decimals(positions)
    for position in positions:
        sampled = PlaneSampler(series.at(float(position)), quantity=quantity, size=size)(axis, place)
        text = series.axis.describe(float(np.round(position, decimals)))
        yield draw_frame(sampled, scale, label, text=text, size=size)


def _decimals(positions: Float[np.ndarray, " frame"]) -> int:
    """Number of decimals that show a hundredth of the step between frames."""
    step = float(np.diff(positions).min()) if len(positions) > 1 else 1.0
    return max(math.ceil(2 - math.log10(step)), 0)


def series_strip(series: ModelSeries, *, quantity: str | None = None, size: int = 200) -> "matplotlib.figure.Figure":
    """Draw the middle planes z and y at the acquisitions of a series, side by side, in the same colours.

    Args:
        series: The series.
        quantity: Name of the quantity; the main one by default.
        size: Number of samples along the longest edge of the box.
    """
    positions = series.axis.positions
    chosen = np.unique(np.linspace(0, len(positions) - 1, MOST_SHOWN).round().astype(int))
    models = [series.at(positions[i]) for i in chosen]
    z, y, _ = box_centre(models[0])
    samplers = [PlaneSampler(model, quantity=quantity, size=size) for model in models]
    planes = [(sampler("z", z), sampler("y", y)) for sampler in samplers]
    values = np.concatenate([plane.values.ravel() for pair in planes for plane in pair])
    shown = models[0].real_quantity(quantity)
    scale = choose_scale(shown, values, models[0].background(shown.name))
    gap = np.full((2, planes[0][0].values.shape[1]), np.nan)
    pictures = [np.concatenate([above.values, gap, below.values]) for above, below in planes]
    (rows, columns), side = pictures[0].shape, 1.5
    with house_style():
        figure, (tiles,) = tiled_figure(1, len(models), (side, side * rows / columns), Margins(right=0.85))
        for tile, picture, number in zip(tiles, pictures, chosen, strict=True):
            image = tile.show(picture, scale.colours, scale.limits, interpolation=scale.interpolation)
            add_label(tile.axes, series.axis.describe(positions[number]), tile, scale.mark)
        width = planes[0][0].width
        add_scale_bar(tile.axes, width, fraction=0.35, colour=scale.mark, size=7, unit=planes[0][0].unit, tile=tile)
        add_colour_bar(figure, image, bar_axes(figure, tiles[0], tiles[-1]), shown)
    return figure


def _scale(series: ModelSeries, plane: tuple[str, float], quantity: str | None) -> ColourScale:
    """Choose the colours of a plane at all acquisitions."""
    models = list(series.at_acquisitions())
    shown = models[0].real_quantity(quantity)
    samplers = [PlaneSampler(model, quantity=quantity, size=96) for model in models]
    values = np.concatenate([sampler(*plane).values.ravel() for sampler in samplers])
    return choose_scale(shown, values, models[0].background(shown.name))


def require_one_plane(planes: Sequence[tuple[str, float]]) -> tuple[str, float] | None:
    """Return the only plane, or None for none.

    Raises:
        ConfigError: If there are several.
    """
    if len(planes) > 1:
        raise ConfigError(Diagnostic("--plane", f"a movie over a series shows one plane, not {len(planes)}"))
    return planes[0] if planes else None
