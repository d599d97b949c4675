"""Further sections of a cell, beside the first one at z = 0: planes of known height and tilt, with mask or picture.

Axes ``z y x``. A section is the plane z = ``height`` of the laboratory when the specimen is turned by ``rotation``,
which takes its (z, y, x) to the laboratory's, about the central pixel ``n // 2`` of the first section. Its pixels are
as large as those of the first section, and its central pixel lies on the optical axis. A cell need not have all
sections of an acquisition: arrays of NaN stand for those that it lacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Bool, Float

from ....physics.rotation import axis_rotation
from ...acquisition import Acquisition
from .grids import grid_centre

IMAGES, MASK = "section_images", "section_mask"
HEIGHT, TILT, ROTATION = "section_height", "section_tilt", "section_rotation"
PICTURES, PLACES = (IMAGES, MASK), (HEIGHT, TILT, ROTATION)
"""Names of the arrays, as in `ShapeAcquisition`: those of pixels, and those of places."""
_FEWEST_CROSSED = 8
"""[pixel] Least length of the line where two masks cross on which they are compared."""


@dataclass(frozen=True)
class SectionPlane:
    """Plane of a section.

    Args:
        height: [length_unit] Distance along z from the centre, in the laboratory.
        rotation: Matrix from the specimen's (z, y, x) to the laboratory's.
    """

    height: float
    rotation: Float[np.ndarray, "3 3"]

    @classmethod
    def tilted(cls, height: float, tilt: Sequence[float] = (0.0, 0.0)) -> "SectionPlane":
        """Build the plane of a specimen that is tilted about y and then about x.

        Args:
            height: [length_unit] Distance along z from the centre.
            tilt: [rad] Angles about y and x, in the sense of `axis_rotation`.
        """
        return cls(height, tilt_rotation(*tilt))

    def samples(self, size: int, voxel: Sequence[float]) -> Float[np.ndarray, "y x 3"]:
        """[sample] Positions (z, y, x) of the section's pixels in the specimen, from the central sample ``n // 2``.

        Args:
            size: Pixels along each edge.
            voxel: [length_unit] Voxel size (z, y, x).
        """
        row = np.arange(size) - size // 2
        y, x = np.meshgrid(row * voxel[1], row * voxel[2], indexing="ij")
        laboratory: np.ndarray = np.stack([np.full(y.shape, self.height), y, x], axis=-1)
        return np.asarray(laboratory @ self.rotation / np.asarray(voxel))

    def grid_positions(self, size: int, voxel: Sequence[float]) -> Float[np.ndarray, "y x 3"]:
        """[sample] Positions of the section's pixels from the centre of the cell's grid (`grids.centred_grid`)."""
        centre = grid_centre(size)
        return np.asarray(self.samples(size, voxel) - np.array([0.0, centre, centre]))


@dataclass(frozen=True)
class Section:
    """A further section of a cell.

    Args:
        number: Number of the section in its file.
        plane: Place of the section.
        mask: Share of each pixel in the section; None if it is not known.
        image: Fluorescence of the section; None if it was not measured.
        has_own_mask: Whether the mask was given, and not drawn from the picture.
    """

    number: int
    plane: SectionPlane
    mask: Float[np.ndarray, "y x"] | None = None
    image: Float[np.ndarray, "y x"] | None = None
    has_own_mask: bool = True


def tilt_rotation(about_y: float, about_x: float) -> Float[np.ndarray, "3 3"]:
    """Compute the rotation of a specimen that is tilted about y and then about x.

    Args:
        about_y: [rad] Angle that takes x towards z.
        about_x: [rad] Angle that takes z towards y.
    """
    return np.asarray(axis_rotation(2, about_x) @ axis_rotation(1, about_y))


def cut_section(
    inside: Bool[np.ndarray, "z y x"], plane: SectionPlane, size: int, voxel: Sequence[float]
) -> Bool[np.ndarray, "h w"]:
    """Cut a section through a shape on the grid of its cell, which may have other samples than the section.

    Args:
        inside: Voxels inside the shape, a cube as wide as the section's grid.
        plane: Place of the section.
        size: Pixels along each edge of the section.
        voxel: [length_unit] Voxel size (z, y, x) of the section's grid.
    """
    from scipy.ndimage import map_coordinates

    edge = inside.shape[-1]
    centre = np.array([inside.shape[0] // 2, (edge - 1) / 2, (edge - 1) / 2])
    index = np.moveaxis(plane.grid_positions(size, voxel) * edge / size + centre, -1, 0)
    return np.asarray(map_coordinates(inside.astype(np.float32), index, order=1) > 0.5)


def contradiction(masks: Sequence[tuple[SectionPlane, Bool[np.ndarray, "y x"]]], voxel: Sequence[float]) -> float:
    """Compute the largest share of the line where two planes cross along which their masks differ.

    Args:
        masks: Plane and mask of each section, the first included.
        voxel: [length_unit] Voxel size (z, y, x).

    Returns:
        The share, relative to the part of the line that lies in either mask; 0 if no planes cross within them.
    """
    return max((_crossing_difference(*a, *b, voxel) for a, b in permutations(masks, 2)), default=0.0)


def _crossing_difference(
    plane: SectionPlane, mask: np.ndarray, other: SectionPlane, other_mask: np.ndarray, voxel: Sequence[float]
) -> float:
    """Share of the pixels of a mask on another plane that have other values there, of those in either mask."""
    size, step = len(mask), np.asarray(voxel)
    places = (plane.samples(size, voxel) * step) @ other.rotation.T
    index = np.rint(places[..., 1:] / step[1:]).astype(int) + size // 2
    near = (np.abs(places[..., 0] - other.height) <= step[0] / 2) & ((index >= 0) & (index < size)).all(axis=-1)
    own, there = mask[near], other_mask[tuple(index[near].T)]
    count = np.count_nonzero(own | there)
    return float(np.count_nonzero(own ^ there) / count) if count >= _FEWEST_CROSSED else 0.0


def has_sections(acquisition: Acquisition) -> bool:
    """Whether an acquisition has sections beside the first."""
    return any(name in acquisition for name in PICTURES)


def lacking_heights(count: int) -> str:
    """Sentence for sections without heights."""
    zeros = ", ".join(["0 um"] * count)
    which = "the height of 1 section is" if count == 1 else f"the heights of {count} sections are"
    return f"{which} not given, and taken to be 0; state them, or acquisition.section_height: [{zeros}] if that is so"


def planes_of(acquisition: Acquisition, cells: int, sections: int) -> list[list[SectionPlane]]:
    """Return the planes of each cell and section; heights and tilts that are absent are 0.

    Args:
        acquisition: Acquisition with arrays of sections.
        cells: Number of cells.
        sections: Number of sections.
    """
    shape = (cells, sections)
    heights = np.broadcast_to(acquisition[HEIGHT], shape) if HEIGHT in acquisition else np.zeros(shape)
    if ROTATION in acquisition:
        rotations = np.broadcast_to(acquisition[ROTATION], (*shape, 3, 3))
    elif TILT in acquisition:
        tilts = np.broadcast_to(acquisition[TILT], (*shape, 2))
        rotations = np.stack([[tilt_rotation(*tilt) for tilt in row] for row in tilts])
    else:
        rotations = np.broadcast_to(np.eye(3), (*shape, 3, 3))
    return [
        [SectionPlane(float(h), np.asarray(r)) for h, r in zip(*row, strict=True)]
        for row in zip(heights, rotations, strict=True)
    ]


def read_sections(acquisition: Acquisition) -> list[tuple[Section, ...]]:
    """Return the sections of each cell, without those that it lacks; empty tuples without any.

    Args:
        acquisition: Acquisition without faults.
    """
    cells = len(acquisition["images"])
    if not has_sections(acquisition):
        return [()] * cells
    arrays = [acquisition.arrays.get(name) for name in (MASK, IMAGES)]
    count = next(len(array[0]) for array in arrays if array is not None)
    planes = planes_of(acquisition, cells, count)
    return [
        tuple(
            Section(k, planes[i][k], mask, image)
            for k in range(count)
            for mask, image in [[None if a is None or np.isnan(a[i, k]).all() else a[i, k] for a in arrays]]
            if mask is not None or image is not None
        )
        for i in range(cells)
    ]


def section_arrays(sections: Sequence[Sequence[Section]]) -> dict[str, np.ndarray]:
    """Arrays of the sections of all cells; none without sections.

    Args:
        sections: Sections of each cell, by their numbers; absent ones are filled with NaN.
    """
    count = max((section.number + 1 for own in sections for section in own), default=0)
    if not count:
        return {}
    size = next(a.shape for own in sections for s in own for a in (s.mask, s.image) if a is not None)
    arrays = {
        MASK: np.full((len(sections), count, *size), np.nan, np.float32),
        IMAGES: np.full((len(sections), count, *size), np.nan, np.float32),
        HEIGHT: np.zeros((len(sections), count)),
        ROTATION: np.broadcast_to(np.eye(3), (len(sections), count, 3, 3)).copy(),
    }
    for i, own in enumerate(sections):
        for section in own:
            place = i, section.number
            arrays[HEIGHT][place], arrays[ROTATION][place] = section.plane.height, section.plane.rotation
            if section.mask is not None:
                arrays[MASK][place] = section.mask
            if section.image is not None:
                arrays[IMAGES][place] = section.image
    return {name: array for name, array in arrays.items() if name in PLACES or not np.isnan(array).all()}
