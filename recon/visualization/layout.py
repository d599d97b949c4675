"""Figures of many pictures: tiles in rows, and colour bars beside them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .style import new_figure
from .tiles import ImageTile

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


@dataclass(frozen=True)
class Margins:
    """[inch] Room beside the tiles of a figure, between them, and above each row for its heading."""

    left: float = 0.05
    right: float = 0.05
    top: float = 0.05
    bottom: float = 0.05
    gap: float = 0.05
    heading: float = 0.0


def tiled_figure(
    rows: int, columns: int, size: tuple[float, float], margins: Margins
) -> "tuple[matplotlib.figure.Figure, list[list[ImageTile]]]":
    """Create a figure with rows of tiles.

    Args:
        rows: Number of rows.
        columns: Number of columns.
        size: [inch] Width and height of a tile.
        margins: Room around the tiles.

    Returns:
        The figure, and its tiles row by row from the top.
    """
    step_x, step_y = size[0] + margins.gap, size[1] + margins.gap + margins.heading
    width = margins.left + columns * step_x - margins.gap + margins.right
    height = margins.top + rows * step_y - margins.gap + margins.bottom
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    top = height - margins.top - margins.heading - size[1]
    return figure, [
        [ImageTile(axes, margins.left + column * step_x, top - row * step_y, *size) for column in range(columns)]
        for row in range(rows)
    ]


def bar_axes(figure: "matplotlib.figure.Figure", first: ImageTile, last: ImageTile) -> "matplotlib.axes.Axes":
    """Create narrow axes for a colour bar to the right of the last tile of some rows.

    Args:
        figure: The figure.
        first: ImageTile at the right end of the uppermost row of the bar.
        last: ImageTile at the right end of the lowest row of the bar.
    """
    width, height = (float(edge) for edge in figure.get_size_inches())
    tall = first.bottom + first.height - last.bottom
    place = (last.left + last.width + 0.07) / width, last.bottom / height, 0.09 / width, tall / height
    return figure.add_axes(place)
