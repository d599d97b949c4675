"""Figures of shapes: surfaces, sections against the truth, spread of the draws, errors, volumes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, cast

import h5py
import numpy as np
from jaxtyping import Bool, Float

from ...io.hdf5_common import open_checked, text_of
from ...visualization.layout import Margins, bar_axes, tiled_figure
from ...visualization.projection import view_rotation
from ...visualization.style import ACCENT, INK, SECOND_ACCENT, add_scale_bar, house_style, new_figure
from ...visualization.surface import shade_surface
from ...visualization.tiles import ImageTile

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    from matplotlib.collections import PolyCollection

_TILT = 55.0
"""[deg] Tilt of the view of surfaces from the z axis."""
_SMOOTHING = 0.9
"""[sample] Standard deviation of the Gaussian that removes voxel steps from surfaces."""
TILE = 1.25
"""[inch] Edge of a picture."""
MARGINS = Margins(top=0.22, heading=0.2)
SIZE = 8.5
"""[pt] Font size of titles and headings, legible where a figure of seven columns is as wide as a page."""
_SHOWN_CELLS, SHOWN_DRAWS = 6, 5
_LETTERS = 22
"""Number of letters of a name that a picture has room for."""
COLOURS, TRUTH_COLOURS = "bone", "pink"
"""Colour maps of surfaces."""
_VIOLINS_IN_A_ROW = 6
"""Largest number of violins in a panel before panels take two rows."""
CONSENSUS_OCCUPANCY = "consensus/occupancy"
PLANES = (("z", "y x"), ("y", "z x"), ("x", "y z"))
"""Axis across each plane, and its axes down and to the right."""


@dataclass(frozen=True)
class PlottedCells:
    """Cells of a run that figures show.

    Args:
        names: Names of the cells.
        images: Measured pictures.
        masks: Sections of the cells.
        filled: Occupancies of the first draws.
        truth: True shapes; None if unknown.
        consensus: Consensus of each cell; None where the file holds none.
        step: [m] Distance between samples along x.
        unit: Unit of that distance: ``m`` or ``voxel``.
    """

    names: list[str]
    images: Float[np.ndarray, "cell h w"]
    masks: Float[np.ndarray, "cell h w"]
    filled: Float[np.ndarray, "cell draw z y x"]
    truth: Float[np.ndarray, "cell z y x"] | None = None
    consensus: Float[np.ndarray, "cell z y x"] | None = None
    step: float = 1.0
    unit: str = "voxel"


def read_plotted_cells(path: Path) -> PlottedCells:
    """Read cells at regular intervals from the volume file of a run."""
    with open_checked(path) as file:
        volume, seen = file["volume"], file["seen"]
        indices, names = select_cells(file)
        filled = volume["occupancy"][indices, :SHOWN_DRAWS].astype(np.float32)
        truth = seen["truth"][indices].astype(np.float32) if "truth" in seen else None
        own = file.get(CONSENSUS_OCCUPANCY)
        consensus = None if own is None else own[indices].astype(np.float32)
        axis, unit = volume["x"][:2], text_of(volume["x"].attrs.get("units", "voxel"))
        step = float(axis[1] - axis[0])
        return PlottedCells(names, seen["images"][indices], seen["mask"][indices], filled, truth, consensus, step, unit)


def select_cells(file: h5py.File) -> tuple[np.ndarray, list[str]]:
    """Return indices and names of the cells that figures show."""
    count = len(file["volume/occupancy"])
    indices = np.unique(np.linspace(0, count - 1, min(_SHOWN_CELLS, count)).astype(int))
    return indices, [str(name) for name in file["name"].asstr()[indices]]


def read_thickness(path: Path) -> tuple[list[str], Float[np.ndarray, "cell draw y x"], str]:
    """Read names of the shown cells, thickness along z of all their draws, and its unit."""
    with open_checked(path) as file:
        indices, names = select_cells(file)
        steps, unit = _shown_steps(file["volume"])
        filled = file["volume/occupancy"]
        draws = range(filled.shape[1])  # One at a time, as all of them may be large.
        thick = [[filled[cell, draw].astype(np.float32).sum(axis=0) for draw in draws] for cell in indices]
    return names, steps[0] * np.array(thick), unit


def _shown_steps(volume: h5py.Group) -> tuple[list[float], str]:
    """Distances between samples (z, y, x) in the unit of the figures, and that unit."""
    scale, unit = (1e6, "µm") if volume["z"].attrs["units"] == "m" else (1.0, "voxels")
    return [scale * float(abs(np.diff(volume[name][:2])[0])) for name in "zyx"], unit


def draw_gallery(shown: PlottedCells) -> "matplotlib.figure.Figure":
    """Draw a row for each cell: picture, surfaces of its consensus and draws, and the truth."""
    draws = shown.filled.shape[1] if shown.consensus is None else min(shown.filled.shape[1], SHOWN_DRAWS - 1)
    surfaces = [[draw_surface(one) for one in own[:draws]] for own in shown.filled]
    if shown.consensus is not None:
        surfaces = [[draw_surface(own), *row] for own, row in zip(shown.consensus, surfaces, strict=True)]
    if shown.truth is not None:
        surfaces = [[*row, draw_surface(shown.truth[i])] for i, row in enumerate(surfaces)]
    edge = max(shown.filled.shape[-1], *(used_edge(one) for row in surfaces for one in row))  # A common scale.
    titles = ["picture", *([] if shown.consensus is None else ["consensus"]), *[f"draw {k}" for k in range(draws)]]
    titles += [] if shown.truth is None else ["truth"]
    with house_style():
        figure, tiles = tiled_figure(len(shown.names), len(titles), (TILE, TILE), MARGINS)
        for i, row in enumerate(tiles):
            _draw_picture(row[0], shown.images[i], shown.masks[i])
            row[0].heading(shown.names[i], size=SIZE)
            for title, tile, one in zip(titles[1:], row[1:], surfaces[i], strict=True):
                show_surface(tile, one, edge, TRUTH_COLOURS if title == "truth" else COLOURS)
        add_titles(tiles[0], titles)
        last = tiles[0][1]
        add_scale_bar(last.axes, edge * shown.step, unit=shown.unit, fraction=0.4, colour=INK, size=7, tile=last)
    return figure


def add_titles(tiles: list[ImageTile], titles: Sequence[str]) -> None:
    """Write titles of columns above the uppermost tiles and the heading of their row."""
    for tile, title in zip(tiles, titles, strict=True):
        tile.title(title, size=SIZE, lift=MARGINS.heading)


def show_surface(tile: ImageTile, picture: Float[np.ndarray, "h w"], edge: int, colours: str) -> None:
    """Draw the picture of a surface, of which a tile shows a centred square of an edge [sample]."""
    tile.show(_fit_to_square(picture, edge), colours, (0.0, 1.0), interpolation="bilinear")


def used_edge(picture: Float[np.ndarray, "h w"]) -> int:
    """Edge of the centred square that contains all but the background, which is 1."""
    ends = [np.flatnonzero((picture < 1).any(axis=1 - axis)) for axis in (0, 1)]
    reach = [np.abs(end[[0, -1]] - (n - 1) / 2).max() for end, n in zip(ends, picture.shape, strict=True) if end.size]
    return int(2 * max(reach, default=0.0)) + 3


def _fit_to_square(picture: Float[np.ndarray, "h w"], edge: int) -> Float[np.ndarray, "n n"]:
    """Pad a picture with background, or crop it, to a centred square."""
    whole = np.ones([max(edge, n) + (max(edge, n) - n) % 2 for n in picture.shape])
    at = [(n - own) // 2 for n, own in zip(whole.shape, picture.shape, strict=True)]
    whole[at[0] : at[0] + picture.shape[0], at[1] : at[1] + picture.shape[1]] = picture
    top, left = ((n - edge) // 2 for n in whole.shape)
    return whole[top : top + edge, left : left + edge]


def draw_sections(shown: PlottedCells) -> "matplotlib.figure.Figure":
    """Draw a row for each cell: three planes through the middle, with shapes as lines on the truth or the mean draw."""
    with house_style():
        figure, tiles = tiled_figure(len(shown.names), len(PLANES), (TILE, TILE), MARGINS)
        for i, row in enumerate(tiles):
            row[0].heading(shorten(shown.names[i], 3 * _LETTERS), size=SIZE)
            background = shown.truth[i] if shown.truth is not None else shown.filled[i].mean(axis=0)
            for axis, tile in enumerate(row):
                consensus = None if shown.consensus is None else shown.consensus[i]
                draw_plane_of_shapes(tile, axis, background, shown.filled[i], consensus)
        width = shown.filled.shape[-1] * shown.step
        add_scale_bar(tiles[0][0].axes, width, unit=shown.unit, fraction=0.4, colour=INK, size=7, tile=tiles[0][0])
        add_titles(tiles[0], [f"{name} = 0 ({axes})" for name, axes in PLANES])
    return figure


def draw_plane_of_shapes(
    tile: ImageTile,
    axis: int,
    background: Float[np.ndarray, "z y x"] | Bool[np.ndarray, "z y x"],
    draws: Float[np.ndarray, "draw z y x"] | Bool[np.ndarray, "draw z y x"],
    consensus: Float[np.ndarray, "z y x"] | Bool[np.ndarray, "z y x"] | None,
) -> None:
    """Draw the plane through the middle across an axis: draws as thin lines and their consensus as a bold one.

    The axes down and to the right are those of every plane of a report and of the live view.

    Args:
        tile: Place of the plane.
        axis: Number of the axis.
        background: Shape that is filled.
        draws: Draws.
        consensus: Consensus; None without one.
    """
    tile.show(_middle(background, axis), "Greys", (0.0, 1.6))
    for draw in draws:
        tile.outline(_middle(draw, axis), 0.5, ACCENT, 0.6, 0.8)
    if consensus is not None:
        tile.outline(_middle(consensus, axis), 0.5, INK, 1.2)


def draw_spread(
    names: list[str], thick: Float[np.ndarray, "cell draw y x"], unit: str = "voxels"
) -> "matplotlib.figure.Figure":
    """Draw the mean thickness of each cell along z, and its standard deviation over the draws.

    Args:
        names: Names of the cells.
        thick: Thickness of each draw.
        unit: Unit of the thickness.
    """
    margins = Margins(right=0.75, top=0.38)
    rows = (thick.mean(axis=1), "viridis", "thickness"), (thick.std(axis=1), "magma", "its spread")
    with house_style():
        figure, tiles = tiled_figure(len(rows), len(names), (TILE, TILE), margins)
        for row, (maps, colours, label) in zip(tiles, rows, strict=True):
            top = float(max(maps.max(), 1e-9))
            for tile, one in zip(row, maps, strict=True):
                image = tile.show(one, colours, (0.0, top))
            bar = figure.colorbar(image, cax=bar_axes(figure, row[-1], row[-1]))
            bar.set_label(f"{label} ({unit})")
        for tile, name in zip(tiles[0], names, strict=True):
            parts = wrap(shorten(name, 2 * _LETTERS).replace("_", "_ "), _LETTERS)  # Broken after an underscore.
            tile.title("\n".join(part.replace("_ ", "_") for part in parts), size=SIZE - 1)
    return figure


def draw_errors(columns: dict[str, dict[str, list[float]]]) -> "matplotlib.figure.Figure":
    """Draw the errors of all cells as violins: a panel for each error, a violin for each class.

    Args:
        columns: Errors of the cells of each class, by the error's title.
    """
    widest = max(len(by_class) for by_class in columns.values())
    rows = 2 if widest > _VIOLINS_IN_A_ROW else 1
    across = -(-len(columns) // rows)
    width, height = across * (0.22 * widest + 0.5) + 0.6, 1.7 * rows + 0.8
    with house_style():
        figure = new_figure(width, height)
        grid = figure.subplots(rows, across, squeeze=False, sharex=True, sharey=True)
        for axes, (title, by_class) in zip(grid.flat, columns.items(), strict=False):
            _violins(axes, [np.asarray(values, float) for values in by_class.values()])
            axes.set_xticks(range(1, len(by_class) + 1), [shorten(name) for name in by_class], rotation=90, fontsize=6)
            axes.set_title(title, fontsize=7)
        grid[0, 0].set_ylim(bottom=0)  # Last: a limit that is set no longer follows the data.
        for axes in grid[:, 0]:
            axes.set_ylabel("relative error")
        # Room for the names of the classes below the axes.
        sides = {"left": 0.55 / width, "right": 1 - 0.1 / width, "bottom": 0.85 / height, "top": 1 - 0.25 / height}
        figure.subplots_adjust(**sides, wspace=0.08, hspace=0.25)
    return figure


def _violins(axes: "matplotlib.axes.Axes", values: list[Float[np.ndarray, " _n"]]) -> None:
    parts = axes.violinplot(values, showmedians=True, showextrema=False)
    for body in cast("list[PolyCollection]", parts["bodies"]):
        body.set_facecolor(SECOND_ACCENT)
        body.set_alpha(0.5)
    parts["cmedians"].set_color(INK)
    rng = np.random.default_rng(0)
    for place, each in enumerate(values, start=1):
        axes.plot(place + 0.08 * rng.standard_normal(len(each)), each, ".", ms=2, color=INK, alpha=0.5)


def draw_volumes(path: Path) -> "matplotlib.figure.Figure":
    """Draw the volumes of all draws, their consensus, and the true ones against the area of the mask."""
    with open_checked(path) as file:
        volume, seen = file["volume"], file["seen"]
        steps, label = _shown_steps(volume)
        pixel = steps[1] * volume["occupancy"].shape[-1] / seen["mask"].shape[-1]
        area = (seen["mask"][()] > 0.5).sum(axis=(1, 2)) * pixel**2
        voxel = float(np.prod(steps))
        volumes = np.array([[_count_filled(draw) for draw in cell] for cell in volume["occupancy"]]) * voxel
        own = [_count_filled(one) * voxel for one in file[CONSENSUS_OCCUPANCY]] if CONSENSUS_OCCUPANCY in file else None
        true = (seen["truth"][()] > 0.5).sum(axis=(1, 2, 3)) * voxel if "truth" in seen else None
    with house_style():
        figure = new_figure(3.6, 2.8)
        axes = figure.subplots()
        for one in volumes.T:
            axes.plot(area, one, ".", ms=3, color=SECOND_ACCENT, alpha=0.4)
        axes.plot([], [], ".", color=SECOND_ACCENT, label="draws")
        if own is not None:
            axes.plot(area, own, "o", ms=3, color=INK, mfc="none", label="consensus")
        if true is not None:
            axes.plot(area, true, "x", ms=4, color=ACCENT, label="truth")
        axes.set_xlabel(f"area of the mask ({label}²)")
        axes.set_ylabel(f"volume ({label}³)")
        figure.subplots_adjust(left=0.17, bottom=0.19)  # Room for the label below the axis.
        axes.legend(fontsize=6)
    return figure


def _count_filled(occupancy: Float[np.ndarray, "z y x"]) -> int:
    """Count the voxels that are more than half filled."""
    if occupancy.dtype == np.float16:  # Of numbers that are not negative, the bits are in the order of the numbers.
        return int(np.count_nonzero(occupancy.view(np.uint16) > np.float16(0.5).view(np.uint16)))
    return int(np.count_nonzero(occupancy > 0.5))


def draw_surface(filled: Float[np.ndarray, "z y x"] | Bool[np.ndarray, "z y x"]) -> Float[np.ndarray, "h w"]:
    """Render the surface of a shape, lit from the side, from a tilted view."""
    from scipy.ndimage import gaussian_filter

    return shade_surface(
        gaussian_filter(filled.astype(np.float32), _SMOOTHING), 0.5, view_rotation(0.0, np.radians(_TILT))
    )


def _draw_picture(tile: ImageTile, image: np.ndarray, mask: np.ndarray) -> None:
    tile.show(image, "gray")
    if 0 < (mask > 0.5).mean() < 1:
        tile.outline(mask, 0.5, ACCENT, 0.7)


def _middle(volume: np.ndarray, axis: int) -> np.ndarray:
    plane = np.asarray(np.take(volume, volume.shape[axis] // 2, axis=axis))
    return plane.T if axis == 2 else plane


def shorten(name: str, letters: int = _LETTERS) -> str:
    """Leave out the middle of a long name: the end distinguishes cells of a class."""
    head = letters // 3
    return name if len(name) <= letters else f"{name[:head]}…{name[head + 1 - letters :]}"
