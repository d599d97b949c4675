"""Cut of a large field of view into overlapping tiles of one size, each of which fits into the memory.

A pixel of a tile shows light from beyond the tile's box if it lies within the reach of the light: the sideways way of
the steepest wave from the far face of the box to the plane of focus, and a diffraction width. What that near to a cut
side of its box is fitted counts for nothing: neighbours overlap by the reach from both sides and by the ramp between
them, over which their fields are blended. The pixels there are fitted all the same, as without them the low frequencies
of specimens on a seam are lost; but no choice and no validation is made by them. Without jax, as `check` uses it too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from ....physics.optics.microscope import Microscope
from ...acquisition import Acquisition
from ...blend import Tile
from ...errors import ConfigError, Diagnostic
from ...frame import ModelFrame
from .config import CellSettings
from .geometry import Geometry, largest_na
from .illumination import microscope_of
from .schema import measured_views

RAMP = 2.0
"""Least width of the ramp between neighbours, in λ/NA."""
SHARE = 0.25
"""Least width of the ramp, as a share of the overlap."""
MOST_TILES = 4096
"""Largest number of tiles that are tried to fit into the memory."""
SMALLEST = 16
"""[pixel] Smallest side of a tile."""


@dataclass(frozen=True)
class Cuts:
    """Cut of one axis of the images into overlapping pieces of one length.

    Args:
        count: [pixel] Length of the axis.
        length: [pixel] Length of a piece.
        firsts: First pixel of each piece.
        width: [pixel] Width of the ramp between neighbours.
    """

    count: int
    length: int
    firsts: tuple[int, ...]
    width: float = 0.0

    @property
    def ramps(self) -> list[tuple[float, float]]:
        """[pixel] Ends of the ramp between each two neighbours, in the middle of their overlap."""
        middles = [(later + first + self.length) / 2 for first, later in pairwise(self.firsts)]
        return [(middle - self.width / 2, middle + self.width / 2) for middle in middles]

    def window(self, number: int) -> tuple[float, float, float, float]:
        """[pixel] Ends of the ramps on both sides of a piece."""
        first, end, ramps = self.firsts[number], self.firsts[number] + self.length, self.ramps
        rise = ramps[number - 1] if number else (float(first), float(first))
        fall = ramps[number] if number < len(ramps) else (float(end), float(end))
        return (*rise, *fall)

    def pixels(self, number: int) -> slice:
        """Pixels of a piece."""
        return slice(self.firsts[number], self.firsts[number] + self.length)

    def core(self, number: int) -> slice:
        """Pixels that are nearest to the middle of a piece, such that each pixel is of one piece alone."""
        cuts = [0, *(int(sum(ramp) // 2) for ramp in self.ramps), self.count]
        return slice(cuts[number], cuts[number + 1])

    def undisturbed(self, number: int) -> Bool[np.ndarray, " length"]:
        """Pixels of a piece up to the outer ends of its ramps, which light from beyond it hardly reaches."""
        a, _, _, d = self.window(number)
        middles = self.firsts[number] + np.arange(self.length) + 0.5
        return np.asarray((middles > a) & (middles < d))


@dataclass(frozen=True)
class Tiling:
    """Overlapping tiles of the images, row by row.

    Args:
        rows: Cut along y.
        columns: Cut along x.
        overlap: [m] Overlap of neighbours that was asked for.
    """

    rows: Cuts
    columns: Cuts
    overlap: float

    @property
    def counts(self) -> tuple[int, int]:
        """Number of tiles along y and x."""
        return len(self.rows.firsts), len(self.columns.firsts)

    @property
    def shape(self) -> tuple[int, int]:
        """[pixel] Size (y, x) of a tile."""
        return self.rows.length, self.columns.length

    def __len__(self) -> int:
        return self.counts[0] * self.counts[1]

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def place(self, number: int) -> tuple[int, int]:
        """Row and column of a tile."""
        return divmod(number, self.counts[1])

    def pixels(self, number: int) -> tuple[slice, slice]:
        """Rows and columns of the images that a tile covers."""
        row, column = self.place(number)
        return self.rows.pixels(row), self.columns.pixels(column)

    def core(self, number: int) -> tuple[slice, slice]:
        """Rows and columns of the images that count as a tile's own: each pixel is one tile's."""
        row, column = self.place(number)
        return self.rows.core(row), self.columns.core(column)

    def undisturbed(self, number: int) -> Bool[np.ndarray, "h w"]:
        """Pixels of a tile that light from beyond it hardly reaches."""
        row, column = self.place(number)
        return np.asarray(self.rows.undisturbed(row)[:, None] & self.columns.undisturbed(column))

    def tile(self, number: int, frame: ModelFrame) -> Tile:
        """Box and window of a tile in the box of the whole [m]."""
        scale = frame.extent[1:] / (self.rows.count, self.columns.count)
        row, column = self.place(number)
        y, x = (
            tuple(float(low + step * end) for end in cuts.window(place))
            for cuts, place, low, step in zip(
                (self.rows, self.columns), (row, column), frame.low[1:], scale, strict=True
            )
        )
        ends = [
            (float(low + step * pixels.start), float(low + step * pixels.stop))
            for pixels, low, step in zip(self.pixels(number), frame.low[1:], scale, strict=True)
        ]
        z = (frame.low[0], frame.low[0], frame.high[0], frame.high[0])
        low, high = (frame.low[0], ends[0][0], ends[1][0]), (frame.high[0], ends[0][1], ends[1][1])
        return Tile(low, high, (z, y, x))  # type: ignore[arg-type]


def reach_of(acquisition: Acquisition, geometry: Geometry) -> float:
    """[m] Distance to which light spreads sideways between the faces of the box and the planes of focus."""
    microscope = microscope_of(acquisition)
    sine = min(max(largest_na(acquisition), microscope.numerical_aperture) / microscope.medium_index, 0.95)
    half = geometry.lattice.pitch[0] / 2
    faces = np.array([geometry.lattice.planes[0] - half, geometry.lattice.planes[-1] + half])
    foci = np.ravel(acquisition["defocus"]) if "defocus" in acquisition else np.zeros(1)
    farthest = float(np.abs(faces[:, None] - foci).max())
    return farthest * sine / float(np.sqrt(1 - sine**2)) + _diffraction(microscope)


def _diffraction(microscope: Microscope) -> float:
    return microscope.wavelength / microscope.numerical_aperture


def overlap_of(settings: CellSettings, acquisition: Acquisition, geometry: Geometry) -> float:
    """[m] Overlap of neighbouring tiles: that of the config, or the reach of the light from both sides and a ramp."""
    if settings.fit.tile_overlap != "auto":
        return settings.fit.tile_overlap
    return 2 * reach_of(acquisition, geometry) + RAMP * _diffraction(microscope_of(acquisition))


def untiled_reason(acquisition: Acquisition, geometry: Geometry) -> str | None:
    """Reason for which a measurement cannot be cut into tiles; None where it can."""
    if "rotation" in acquisition:
        return "a turning specimen is seen whole in each view"
    images = measured_views(acquisition).shape[1:]
    if any(n > geometry.lattice.binning * size for n, size in zip(geometry.lattice.shape[1:], images, strict=True)):
        return "the box (volume.size) is larger than the images"
    return None


def cut_field(counts: tuple[int, int], settings: CellSettings, acquisition: Acquisition, geometry: Geometry) -> Tiling:
    """Cut the images into a number of tiles (y, x).

    Raises:
        ConfigError: If the tiles would be too small for their overlap, or the measurement cannot be cut.
    """
    if reason := untiled_reason(acquisition, geometry):
        raise ConfigError(Diagnostic("fit.tiles", f"{reason}: it cannot be cut into tiles", "fit.tiles: none"))
    overlap = overlap_of(settings, acquisition, geometry)
    microscope = microscope_of(acquisition)
    cuts, faults = [], []
    for axis, (count, number, pixel) in enumerate(zip(geometry.image, counts, microscope.pixel_size, strict=True)):
        width = min(max(RAMP * _diffraction(microscope), SHARE * overlap), overlap / 2) / pixel
        cut = _cut_axis(count, number, int(np.ceil(overlap / pixel)), width)
        if isinstance(cut, str):
            remedy = f"use fewer tiles along {'yx'[axis]}, or a smaller fit.tile_overlap ({overlap * 1e6:.3g} µm here)"
            faults.append(Diagnostic("fit.tiles", f"{number} tiles along {'yx'[axis]}: {cut}", remedy))
        else:
            cuts.append(cut)
    if faults:
        raise ConfigError(*faults)
    return Tiling(cuts[0], cuts[1], overlap)


def _cut_axis(count: int, number: int, overlap: int, width: float) -> Cuts | str:
    """Cut an axis, or say why it cannot be cut."""
    if number == 1:
        return Cuts(count, count, (0,))
    length = -(-(count + (number - 1) * overlap) // number)
    length += (count - length) % 2  # Of the parity of the whole, so that samples of both coincide.
    if number > count or length < SMALLEST:
        return f"each would have {max(length, 1)} pixels; at least {SMALLEST} are needed"
    if length >= count:
        return f"an overlap of {overlap} pixels is larger than a tile of {count} pixels allows"
    if number > 2 and 2 * overlap > length:
        return f"an overlap of {overlap} pixels is more than half a tile of {length}"
    firsts = tuple(round(first) for first in np.linspace(0, count - length, number))
    return Cuts(count, length, firsts, width)


def candidates(
    settings: CellSettings, acquisition: Acquisition, geometry: Geometry, most: int = MOST_TILES
) -> Iterator[Tiling]:
    """Yield the tilings of 2, 3, 4, … tiles that can be cut, the squarest of each number first."""
    if untiled_reason(acquisition, geometry):
        return
    height, width = geometry.image
    for total in range(2, most + 1):
        pairs = [(ny, total // ny) for ny in range(1, total + 1) if total % ny == 0]
        possible = 0
        for counts in sorted(pairs, key=lambda pair: abs(np.log(height / pair[0] * pair[1] / width))):
            try:
                tiling = cut_field(counts, settings, acquisition, geometry)
            except ConfigError:
                continue
            possible += 1
            yield tiling
        if not possible and total > 2 * SMALLEST:
            return
