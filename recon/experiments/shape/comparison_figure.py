"""Figure of two results of the same cells, or of a result and the truth."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...grid import Grid
from ...metrics.shapes import overlap_error
from ...sampled import Sampled
from ...visualization.layout import tiled_figure
from ...visualization.style import INK, add_scale_bar, house_style
from ...volume import Volume
from . import figures
from .evaluate import MatchedShapes, match_shapes
from .grids import resample_shapes

if TYPE_CHECKING:
    import matplotlib.figure

_MOST_SAMPLES = 80
"""Number of samples along the edge of a cell's cube, for its pictures."""
_MOST_CELLS = 6
_LEGEND = 0.28
"""[inch] Room for the legend below the pictures."""


def draw_comparison(truth: Volume, result: Sampled, names: tuple[str, str]) -> "matplotlib.figure.Figure":
    """Draw a row for each cell: the surfaces of both, and planes with the result as lines on the other one.

    Args:
        truth: The truth, or a second result, whose consensus is taken.
        result: Shapes; of several draws of a cell, the surface is that of their consensus.
        names: Names of the two.

    Raises:
        DataError: If they are not of the same cells, or cannot be compared.
    """
    shapes = match_shapes(result, truth)
    few = np.unique(np.linspace(0, len(shapes.known) - 1, min(_MOST_CELLS, len(shapes.known))).astype(int))
    cube = _cube(shapes.grid)
    known = resample_shapes(shapes.known[few], shapes.grid, cube)
    draws = np.stack([resample_shapes(shapes.draws[i][: figures.SHOWN_DRAWS], shapes.grid, cube) for i in few])
    consensus = None if shapes.consensus is None else resample_shapes(shapes.consensus[few], shapes.grid, cube)
    one = draws[:, 0] if consensus is None else consensus
    surfaces = [[figures.draw_surface(each) for each in pair] for pair in zip(known, one, strict=True)]
    edge = max(len(cube.x), *(figures.used_edge(surface) for pair in surfaces for surface in pair))
    step = float(cube.x[1] - cube.x[0])
    legend = f"Planes: {names[0]} filled; {names[1]} as a bold line" + (
        ", its draws as thin ones." if draws.shape[1] > 1 else "."
    )
    planes = [f"across {name} ({axes})" for name, axes in figures.PLANES]
    with house_style():
        margins = replace(figures.MARGINS, bottom=_LEGEND)
        figure, tiles = tiled_figure(len(few), 5, (figures.TILE, figures.TILE), margins)
        for i, row in enumerate(tiles):
            row[0].heading(_heading(shapes, int(few[i])), size=figures.SIZE)
            for tile, surface, colours in zip(row, surfaces[i], (figures.TRUTH_COLOURS, figures.COLOURS), strict=False):
                figures.show_surface(tile, surface, edge, colours)
            for axis, tile in enumerate(row[2:]):
                figures.draw_plane_of_shapes(tile, axis, known[i], draws[i], one[i])
        figures.add_titles(tiles[0], [*(figures.shorten(name) for name in names), *planes])
        for tile, width in ((tiles[0][1], edge * step), (tiles[0][2], len(cube.x) * step)):
            add_scale_bar(tile.axes, width, unit=truth.length_unit, fraction=0.4, colour=INK, size=7, tile=tile)
        last = tiles[-1][0]
        last.axes.text(last.left, _LEGEND / 2, legend, va="center", fontsize=figures.SIZE, parse_math=False)
    return figure


def _heading(shapes: MatchedShapes, cell: int) -> str:
    """Name of a cell, and how far the two shapes overlap."""
    own = shapes.draws[cell, 0] if shapes.consensus is None else shapes.consensus[cell]
    name = shapes.names[cell] if shapes.names else f"cell {cell}"
    return f"{name}: 1 − IoU {overlap_error(shapes.known[cell], own):.3f}"


def _cube(grid: Grid) -> Grid:
    """Build a grid of cubic samples about the middle of another one, with its finest step where few suffice."""
    spans = [float(axis[-1] - axis[0]) for axis in grid.axes]
    finest = min(span / (len(axis) - 1) for span, axis in zip(spans, grid.axes, strict=True) if len(axis) > 1)
    count = min(round(max(spans) / finest) + 1, _MOST_SAMPLES)
    step = max(spans) / (count - 1)
    z, y, x = ((axis[0] + axis[-1]) / 2 + (np.arange(count) - (count - 1) / 2) * step for axis in grid.axes)
    return Grid(z, y, x)
