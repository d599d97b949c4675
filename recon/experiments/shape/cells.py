"""The cells of an acquisition, one by one.

The cells that a folder or a file holds, before they are brought to one grid.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition
from ...config.value_types import view_indices
from ...errors import ConfigError, Diagnostic
from .binarize import binarize
from .cell_crops import CellCrop
from .config import ShapeAcquisition

if TYPE_CHECKING:
    from .config import ShapeSettings

_VOXELS = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class CellImage:
    """One cell.

    Args:
        name: Its name.
        label: Its class, or nothing.
        image: Fluorescence of its section.
        mask: Share of each pixel that lies in the section.
        voxel: [m] (z, y, x); of 1 where nobody knows its size.
        length_unit: ``m`` or ``voxel``, accordingly.
    """

    name: str
    label: str
    image: Float[np.ndarray, "h w"]
    mask: Float[np.ndarray, "h w"]
    voxel: tuple[float, float, float]
    length_unit: Literal["m", "voxel"]


@dataclass(frozen=True)
class CellBatch:
    """All cells of an acquisition, on one grid.

    Args:
        images: Fluorescence.
        masks: Sections.
        names: Of the cells.
        labels: Their classes.
        voxel: [m] (z, y, x), or None.
        inside: Their shapes, where they are known: slice ``n // 2`` is the section.
    """

    images: Float[np.ndarray, "cell h w"]
    masks: Float[np.ndarray, "cell h w"]
    names: Sequence[str]
    labels: Sequence[str]
    voxel: tuple[float, float, float] | None = None
    inside: Bool[np.ndarray, "cell n m k"] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[CellImage]:
        unit: Literal["m", "voxel"] = "voxel" if self.voxel is None else "m"
        for name, label, image, mask in zip(self.names, self.labels, self.images, self.masks, strict=True):
            yield CellImage(str(name), str(label), image, mask, self.voxel or _VOXELS, unit)


def to_cell_batch(acquisition: Acquisition) -> CellBatch:
    """Take the cells out of an acquisition."""
    count = len(acquisition["images"])
    names = acquisition["name"] if "name" in acquisition else [f"cell_{i}" for i in range(count)]
    labels = acquisition["label"] if "label" in acquisition else [""] * count
    voxel = None
    if "voxel_size" in acquisition:
        z, y, x = (float(size) for size in acquisition["voxel_size"])
        voxel = (z, y, x)
    truth = acquisition.truth
    inside = None if truth is None else binarize(truth, acquisition.source).reshape(count, *truth.shape)
    return CellBatch(acquisition["images"], acquisition["mask"], list(names), list(labels), voxel, inside)


def read_cells(settings: "ShapeSettings", path: Path) -> CellBatch:
    """Read the cells of a file or a folder, as the config says."""
    from .read import read

    return to_cell_batch(read(settings, path))


_MOST = 20
"""Faults that are told one by one."""


@dataclass(frozen=True)
class LoadedCells:
    """Cells, as large as they were found.

    Args:
        crops: The cells.
        size: Pixels along each edge of the grid that they are brought to.
        several: What is to be done with a mask of two cells, as `crop_faults` takes it.
        attributes: Plain facts of all of them.
        places: Where each array was found, as messages name it.
        faults: Of the files whose cells are not among them.
    """

    crops: Sequence[CellCrop]
    size: int
    several: str
    attributes: Mapping[str, float | str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[Diagnostic] = ()


def select_cells(wanted: ShapeAcquisition, counts: Sequence[int]) -> list[tuple[int, int]]:
    """Say which cells are wanted: the number of the picture, and that of the cell in it, for each.

    Args:
        wanted: The config.
        counts: Cells in each picture.

    Raises:
        ConfigError: If there is no such cell.
    """
    cells = [(picture, cell) for picture, count in enumerate(counts) for cell in range(count)]
    try:
        return [cells[i] for i in view_indices(wanted.cells, len(cells))]
    except ValueError as error:
        message = str(error).replace("view", "cell")
        raise ConfigError(Diagnostic("acquisition.cells", message, f"there are cells 0 to {len(cells) - 1}")) from error


def limit_faults(faults: list[Diagnostic], path: Path) -> list[Diagnostic]:
    """The first of many faults, and how many more there are."""
    unique = list(dict.fromkeys(faults))
    more = len(unique) - _MOST
    return unique if more <= 0 else [*unique[:_MOST], Diagnostic(str(path), f"and {more} more faults like these")]
