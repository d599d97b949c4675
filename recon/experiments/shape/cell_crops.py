"""Cells as loaded from files: arrays of their original pixels, brightness and masks scaled to 0…1.

Arrays are (y, x) and (z, y, x), centred on sample ``n // 2``. Images that fit the grid keep their centre, as the
optical axis of a stack passes through it; a cell that is cut out of a larger image has the centre of its bounding box.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from ...config.value_types import view_indices
from ...errors import ConfigError, DataError, Diagnostic
from .config import ShapeAcquisition
from .sections import Section

_MOST_INSIDE = 0.9
"""Share of a picture's pixels in cells above which its darkest pixels may be cells."""
_LEAST_DARK = 0.12
"""Share of a cell's brightness above which the darkest pixels show a dark level; of 108 real pictures it is 0.05."""
SMALLEST = 8
"""Minimum number of pixels of a mask, and along the edge of an image."""
BoundingBox = tuple[int, int, int, int]


@dataclass(frozen=True)
class CellPlace:
    """Place of a cell in its image.

    Args:
        file: File of the image.
        number: Number of the cell in the mask; 0 for a mask without labels.
        box: First row, first column, end row and end column of the cell, ends exclusive.
        origin: [pixel] Row and column of the image at the central pixel of a crop, or at the centre of the cell's grid.
    """

    file: str
    number: int = 0
    box: BoundingBox = (0, 0, 0, 0)
    origin: tuple[float, float] = (0.0, 0.0)


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
        truth_step: [m] Distance between the slices of the truth, if it differs from the voxel size along z.
        binning: Pixels of the image along each edge of a pixel, where the voxel size is unknown.
        scale: Factor by which resampling enlarged the pixels.
        edge: [pixel along x] Edge of the square that the grid must show; None for the whole image.
        background: Brightness beyond the image.
        outline_at_border: Share of the cell's outline that lies on the border of its image.
        is_labelled: Whether the mask gives the cell a number: its parts then belong together.
        place: Place of the cell in its image; None if unknown.
        sections: Further sections of the cell, on pixels of the first.
    """

    name: str
    label: str
    where: str
    image: Float[np.ndarray, "y x"]
    mask: Float[np.ndarray, "y x"]
    truth: Float[np.ndarray, "z y x"] | None = None
    step: tuple[float, float, float] | None = None
    truth_step: float | None = None
    binning: float = 1.0
    scale: float = 1.0
    edge: float | None = None
    background: float = 0.0
    outline_at_border: float = 0.0
    is_labelled: bool = False
    place: CellPlace | None = None
    sections: tuple[Section, ...] = ()

    @property
    def is_cluster(self) -> bool:
        """Whether several bodies count as one cell."""
        return is_cluster(self.label)

    @property
    def pixel_aspect(self) -> float:
        """Ratio of a pixel's edges along y and x."""
        return 1.0 if self.step is None else self.step[1] / self.step[2]


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
        warnings: Sentences on unusual properties that may yet be right.
    """

    crops: Sequence[CellCrop]
    size: int
    several: str
    attributes: Mapping[str, float | str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[Diagnostic] = ()
    warnings: Sequence[str] = ()


def with_sections(crops: Sequence[CellCrop], sections: Sequence[Section], shape: Sequence[int]) -> list[CellCrop]:
    """Add the further sections of an image to the crop of its one cell.

    Args:
        crops: Cells of the image.
        sections: Further sections, on pixels of the image.
        shape: Pixels of the image (y, x).

    Raises:
        DataError: If the image has several cells, or the cell was cut out of it: the planes belong to its centre.
    """
    if not sections:
        return list(crops)
    if len(crops) != 1 or crops[0].mask.shape != tuple(shape):
        message = "further sections belong to images of one cell that fit the grid, about their central pixel"
        remedy = "cut the cell out of all its sections, or set acquisition.size to the pixels of the images"
        raise DataError(Diagnostic(crops[0].where, message, remedy))
    return [replace(crops[0], sections=tuple(sections))]


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


def read_selected(
    numbers: Iterable[int], selected: Sequence[tuple[int, int]] | None, read: Callable[[int], list[CellCrop]]
) -> tuple[list[CellCrop], list[Diagnostic]]:
    """Read the selected cells of several images, and collect the faults of images that cannot be read.

    Args:
        numbers: Images to read.
        selected: Image and cell in it of each selected cell; None for all cells.
        read: Function that reads the cells of an image.
    """
    crops: dict[int, list[CellCrop]] = {}
    faults: list[Diagnostic] = []
    for number in numbers:
        try:
            crops[number] = read(number)
        except DataError as error:
            faults += error.faults
    if selected is None:
        return [crop for own in crops.values() for crop in own], faults
    return [crops[image][cell] for image, cell in selected if image in crops], faults


def largest_number(values: np.ndarray) -> float | None:
    """Return the maximum of an integer type; None for floating point."""
    dtype = values.dtype
    return 1.0 if dtype.kind == "b" else float(np.iinfo(dtype).max) if dtype.kind in "iu" else None


def without_dark(values: np.ndarray, dark: float, where: str) -> np.ndarray:
    """Subtract the dark level of a camera from a picture, which keeps its data type; noise below it becomes 0.

    Args:
        values: Brightness, as the file has it.
        dark: Level of a pixel without light.
        where: File or dataset, for the message.

    Raises:
        DataError: If no pixel is brighter.
    """
    if not dark:
        return values
    if values.size and values.max() <= dark:
        message = f"no pixel is brighter than acquisition.dark, {dark:g}: the brightest is {values.max():g}"
        raise DataError(Diagnostic(where, message, "give the brightness of a pixel without light, as the file has it"))
    rest = np.maximum(values.astype(np.float64) - dark, 0)
    return np.asarray((np.rint(rest) if values.dtype.kind in "iu" else rest).astype(values.dtype))


def find_dark_level(image: np.ndarray, mask: np.ndarray) -> tuple[float, float] | None:
    """Find a level below which a picture has no pixels, as a camera's without light.

    Args:
        image: Brightness, not scaled.
        mask: Share of each pixel that lies in a cell.

    Returns:
        The level, and its share of the median brightness of the cells; None where it is a small one.
    """
    inside = mask > 0.5
    if not inside.any() or inside.mean() > _MOST_INSIDE:
        return None
    level, bright = float(np.percentile(image, 1)), float(np.median(image[inside]))
    share = level / bright if bright > 0 else 0.0
    return (level, share) if _LEAST_DARK < share < 1 else None


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
