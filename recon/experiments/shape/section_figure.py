"""Figure of further sections: their outlines over those of consensus and draws in the same plane."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from ...acquisition import Acquisition
from ...io.hdf5_common import open_checked
from ...visualization.layout import tiled_figure
from ...visualization.style import ACCENT, SECOND_ACCENT, house_style
from ...visualization.tiles import ImageTile
from .figures import CONSENSUS_OCCUPANCY, MARGINS, SHOWN_DRAWS, SIZE, TILE, add_titles, select_cells, shorten
from .sections import MASK, PICTURES, PLACES, Section, cut_section, read_sections

if TYPE_CHECKING:
    import matplotlib.figure

_MOST_SECTIONS = 6
_LETTERS = 16
"""Letters of a cell's name that fit above one picture."""


@dataclass(frozen=True)
class CutCell:
    """Further sections of a cell, and the shapes that they cut.

    Args:
        name: Name of the cell.
        sections: Further sections of the cell.
        draws: Voxels inside each draw.
        consensus: Voxels inside the consensus; None without one.
        voxel: Voxel size (z, y, x) of the sections, in the unit of their heights.
    """

    name: str
    sections: tuple[Section, ...]
    draws: Bool[np.ndarray, "draw z y x"]
    consensus: Bool[np.ndarray, "z y x"] | None
    voxel: tuple[float, ...]


def has_section_figure(path: Path) -> bool:
    """Whether the volume file of a run holds further sections."""
    with open_checked(path) as file:
        return f"seen/{MASK}" in file


def draw_further_sections(path: Path) -> "matplotlib.figure.Figure":
    """Draw a row for each shown cell and a picture for each of its further sections.

    Args:
        path: Volume file of a run whose cells have several sections.
    """
    cells = _read_cut_cells(path)
    numbers = sorted({section.number for cell in cells for section in cell.sections})[:_MOST_SECTIONS]
    with house_style():
        figure, tiles = tiled_figure(len(cells), len(numbers), (TILE, TILE), MARGINS)
        for row, cell in zip(tiles, cells, strict=True):
            row[0].heading(shorten(cell.name, _LETTERS * len(numbers)), size=SIZE)
            for section in cell.sections:
                if section.number in numbers:
                    _draw_section(row[numbers.index(section.number)], section, cell)
        add_titles(tiles[0], [f"section {number}" for number in numbers])
    return figure


def _draw_section(tile: ImageTile, section: Section, cell: CutCell) -> None:
    """Draw a section: its picture, or its mask; its outline; and those of draws and consensus."""
    mask = np.asarray(section.mask)
    size = len(mask)
    tile.show(mask if section.image is None else section.image, "gray")
    tile.outline(mask > 0.5, 0.5, ACCENT, 2.0)
    for draw in cell.draws:
        tile.outline(cut_section(draw, section.plane, size, cell.voxel), 0.5, SECOND_ACCENT, 0.6, 0.8)
    if cell.consensus is not None:
        tile.outline(cut_section(cell.consensus, section.plane, size, cell.voxel), 0.5, "white", 0.8)


def _read_cut_cells(path: Path) -> list[CutCell]:
    """Read the shown cells that have further sections; if none of them has any, the first that do."""
    with open_checked(path) as file:
        indices = select_cells(file)[0]
        seen, volume = file["seen"], file["volume"]
        arrays = {name: seen[name][()] for name in (*PICTURES, *PLACES) if name in seen}
        sections = read_sections(Acquisition("shape", {"images": seen["images"][()], **arrays}, str(path)))
        some = [i for i in indices if sections[i]] or [i for i, own in enumerate(sections) if own][: len(indices)]
        own = file.get(CONSENSUS_OCCUPANCY)
        scale = volume["occupancy"].shape[-1] / seen["mask"].shape[-1]
        voxel = tuple(float(abs(np.diff(volume[name][:2])[0])) * scale for name in "zyx")
        every = [str(name) for name in file["name"].asstr()[()]]
        return [
            CutCell(
                every[i],
                sections[i],
                volume["occupancy"][i, :SHOWN_DRAWS] > 0.5,
                None if own is None else own[i] > 0.5,
                voxel,
            )
            for i in some
        ]
