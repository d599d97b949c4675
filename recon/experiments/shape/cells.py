"""Cells of an acquisition on a common grid: single images, and all of them as a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition
from .binarize import binarize
from .cell_crops import CellPlace
from .picture_threshold import draw_masks
from .places import AT_BORDER, read_place
from .sections import Section, SectionPlane, has_sections, read_sections


@dataclass(frozen=True)
class CellImage:
    """Section image of a single cell.

    Args:
        name: Name of the cell.
        label: Class of the cell; empty if unknown.
        image: Fluorescence of the section.
        mask: Share of each pixel that lies in the section.
        voxel: [length_unit] Voxel size (z, y, x).
        length_unit: ``m``, or ``voxel``, the pixel of the original image, where its size is unknown.
        place: Place of the cell in its image; None if unknown.
    """

    name: str
    label: str
    image: Float[np.ndarray, "h w"]
    mask: Float[np.ndarray, "h w"]
    voxel: tuple[float, float, float]
    length_unit: Literal["m", "voxel"]
    place: CellPlace | None = None


@dataclass(frozen=True)
class CellBatch:
    """All cells of an acquisition, on a common grid.

    Args:
        images: Fluorescence of the sections.
        masks: Share of each pixel that lies in the section.
        names: Name of each cell.
        labels: Class of each cell; empty if unknown.
        voxel: [m] Voxel size (z, y, x); None where it is unknown.
        inside: Voxels inside each cell, where the shapes are known: slice ``n // 2`` is the section.
        binning: Pixels of the original image along each edge of a pixel.
        places: Place of each cell in its image; empty if unknown.
        at_border: Share of each cell's outline that lies on the border of its image; empty if unknown.
        sections: Further sections of each cell; empty if no cell has any. Those with a picture alone have a mask that
            was drawn from it.
    """

    images: Float[np.ndarray, "cell h w"]
    masks: Float[np.ndarray, "cell h w"]
    names: Sequence[str]
    labels: Sequence[str]
    voxel: tuple[float, float, float] | None = None
    inside: Bool[np.ndarray, "cell n m k"] | None = None
    binning: float = 1.0
    places: Sequence[CellPlace] = ()
    at_border: Sequence[float] = ()
    sections: Sequence[tuple[Section, ...]] = ()

    @property
    def voxel_lengths(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x) in metres, or in pixels of the original images where their size is unknown."""
        return self.voxel or (self.binning,) * 3

    def further_masks(self, number: int) -> list[tuple[SectionPlane, Float[np.ndarray, "h w"]]]:
        """Planes and masks of the further sections of a cell."""
        own = self.sections[number] if self.sections else ()
        return [(section.plane, section.mask) for section in own if section.mask is not None]

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[CellImage]:
        unit: Literal["m", "voxel"] = "voxel" if self.voxel is None else "m"
        for i, (image, mask) in enumerate(zip(self.images, self.masks, strict=True)):
            place = self.places[i] if self.places else None
            yield CellImage(str(self.names[i]), str(self.labels[i]), image, mask, self.voxel_lengths, unit, place)


def voxel_of(acquisition: Acquisition) -> tuple[float, float, float] | None:
    """[m] Voxel size (z, y, x) of an acquisition; None if it is unknown."""
    if "voxel_size" not in acquisition:
        return None
    z, y, x = (float(size) for size in acquisition["voxel_size"])
    return z, y, x


def to_cell_batch(acquisition: Acquisition) -> CellBatch:
    """Convert an acquisition to a batch of cells; cells without names are numbered."""
    count = len(acquisition["images"])
    names = acquisition["name"] if "name" in acquisition else [f"cell_{i}" for i in range(count)]
    labels = acquisition["label"] if "label" in acquisition else [""] * count
    truth = acquisition.truth
    inside = None if truth is None else binarize(truth, acquisition.source).reshape(count, *truth.shape)
    binning = float(acquisition["binning"]) if "binning" in acquisition else 1.0
    places = [place for i in range(count) if (place := read_place(acquisition, i)) is not None]
    return CellBatch(
        acquisition["images"],
        acquisition["mask"],
        list(names),
        list(labels),
        voxel_of(acquisition),
        inside,
        binning,
        places,
        acquisition.arrays.get(AT_BORDER, np.zeros(0)).tolist(),
        _read_sections(acquisition) if has_sections(acquisition) else (),
    )


def _read_sections(acquisition: Acquisition) -> list[tuple[Section, ...]]:
    """Return the further sections of each cell, all with a mask."""
    columns = zip(read_sections(acquisition), acquisition["images"], acquisition["mask"], strict=True)
    return [draw_masks(own, image, mask) for own, image, mask in columns]
