"""Cells as loaded from files: arrays of their original size, brightness and masks scaled to 0…1.

Arrays are (y, x) and (z, y, x), centred on sample ``n // 2``. Images keep their centre, as the optical axis of a stack
passes through it; a cell that is cut out of an image with many has the centre of its bounding box.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from ...config.value_types import view_indices
from ...errors import ConfigError, Diagnostic
from .config import ShapeAcquisition

SMALLEST = 8
"""Minimum number of pixels of a mask, and along the edge of an image."""


@dataclass(frozen=True)
class CellCrop:
    """Section image of a cell, with its mask and shape.

    Args:
        name: Name of the cell.
        label: Class of the cell; empty if unknown.
        where: File of the mask, for messages.
        image: Brightness, about 0…1.
        mask: Share of each pixel within the cell, 0…1.
        truth: Occupancy, 0…1; None if unknown.
        step: [m] Voxel size (z, y, x); None if unknown.
        scale: Factor by which resampling enlarged the pixels.
    """

    name: str
    label: str
    where: str
    image: Float[np.ndarray, "y x"]
    mask: Float[np.ndarray, "y x"]
    truth: Float[np.ndarray, "z y x"] | None = None
    step: tuple[float, float, float] | None = None
    scale: float = 1.0

    @property
    def is_cluster(self) -> bool:
        """Whether several bodies count as one cell."""
        return is_cluster(self.label)


@dataclass(frozen=True)
class LoadedCells:
    """Cells of a file or folder, before they are resampled to a common grid.

    Args:
        crops: Cells at their original size.
        size: Pixels along each edge of the common grid.
        several: Treatment of a mask of two cells, as `ShapeAcquisition.several`.
        attributes: Scalar attributes that all cells share.
        places: Location of each array, for messages.
        faults: Faults of the files that are not among the crops.
    """

    crops: Sequence[CellCrop]
    size: int
    several: str
    attributes: Mapping[str, float | str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[Diagnostic] = ()


def is_cluster(label: str) -> bool:
    """Tell whether a class is one of clusters, which several bodies form."""
    return "cluster" in label.lower()


def select_cells(settings: ShapeAcquisition, counts: Sequence[int]) -> list[tuple[int, int]]:
    """Select the cells that ``acquisition.cells`` names.

    Args:
        settings: Section of the config.
        counts: Number of cells in each image.

    Returns:
        Index of the image, and of the cell in it, for each selected cell.

    Raises:
        ConfigError: If there is no such cell.
    """
    cells = [(image, cell) for image, count in enumerate(counts) for cell in range(count)]
    try:
        return [cells[i] for i in view_indices(settings.cells, len(cells))]
    except ValueError as error:
        message = str(error).replace("view", "cell")
        raise ConfigError(Diagnostic("acquisition.cells", message, f"there are cells 0 to {len(cells) - 1}")) from error


def normalise_image(values: np.ndarray, largest: float | None) -> Float[np.ndarray, "y x"]:
    """Scale an image to 0…1: 8-bit images by 255, others by their own maximum, as they may use little of their range.

    Args:
        values: Non-negative numbers.
        largest: Maximum of the data type; None for floating point.
    """
    top = float(values.max(initial=0))
    scale = (max(top, 1.0) if top <= 1 else top) if largest is None else largest if largest <= 255 else top
    return np.asarray(values / np.float32(scale or 1), np.float32)


def normalise_mask(values: np.ndarray) -> Float[np.ndarray, "*shape"]:
    """Scale a mask or a volume to 0…1 by its maximum."""
    top = values.max(initial=0)
    return np.asarray(values / np.float32(top if top > 0 else 1), np.float32)
