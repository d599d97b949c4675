"""Scans of one peak in memory: each packed as a whole, and a box of voxels around its peak.

Voxels are counted in the frames that are used and in the pixels of the whole detector, so that the parts of the
detector that were read of two scans may differ.
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition
from .artifacts import find_bragg_peak, find_hot_pixels
from .config_acquisition import CrystalAcquisition
from .validate import good_voxels
from .window import pixel_ranges

Voxel = tuple[int, int, int]
LARGEST_BOX = 48
"""[voxel] Size of the box along each axis, by which scans are compared."""


@dataclass(frozen=True)
class PeakBox:
    """Voxels of a scan around a place.

    Args:
        counts: Counts (frame, y, x); 0 where they are not good.
        good: Mask of the voxels that were measured.
        flux: Flux of the beam in each frame; 1 without a monitor.
    """

    counts: Float[np.ndarray, "frame y x"]
    good: Bool[np.ndarray, "frame y x"]
    flux: Float[np.ndarray, " frame"]

    @property
    def amplitude(self) -> Float[np.ndarray, "frame y x"]:
        """Square root of the counts under a steady beam, whose noise is the same in all voxels."""
        return np.asarray(np.sqrt(np.maximum(self.counts, 0) / self.flux[:, None, None]))


@dataclass(frozen=True)
class PackedScan:
    """Scan whose counts are compressed without loss: most voxels hold few counts or none.

    Args:
        name: Name on the command line.
        acquisition: The scan as read, without counts and mask.
        shape: Shape of the counts.
        first: First voxel that was read.
        pixels: Rows and columns of the whole detector.
        peak: Voxel of the Bragg peak.
        hot: Number of voxels that were left out as hot.
        packed: Compressed counts, and compressed mask of the good voxels.
    """

    name: str
    acquisition: Acquisition
    shape: Voxel
    first: Voxel
    pixels: tuple[int, int]
    peak: Voxel
    hot: int
    packed: tuple[bytes, bytes]

    @classmethod
    def of(cls, name: str, acquisition: Acquisition, section: CrystalAcquisition) -> "PackedScan":
        """Pack a scan; hot pixels are masked here, since they do not move with the crystal."""
        good = good_voxels(acquisition)
        counts = np.where(good, acquisition["images"], 0).astype(np.float32)
        peak = find_bragg_peak(counts.astype(np.float64), good)
        hot = np.zeros(counts.shape, bool)
        if section.hot_pixels == "mask":
            hot = find_hot_pixels(counts.astype(np.float64), good, peak)
            counts, good = np.where(hot, 0, counts).astype(np.float32), good & ~hot
        rows, columns = pixel_ranges(acquisition)
        packed = zlib.compress(counts.tobytes(), 1), zlib.compress(np.packbits(good).tobytes(), 1)
        frames, height, width = counts.shape
        left = {key: array for key, array in acquisition.arrays.items() if key not in ("images", "mask")}
        return cls(
            name,
            replace(acquisition, arrays=left),
            (frames, height, width),
            (0, rows.first, columns.first),
            (rows.total, columns.total),
            (peak[0], peak[1] + rows.first, peak[2] + columns.first),
            int(hot.sum()),
            packed,
        )

    @property
    def flux(self) -> Float[np.ndarray, " frame"]:
        """Flux of the beam in each frame by the monitor; 1 without one."""
        monitor = self.acquisition.arrays.get("monitor")
        return np.ones(self.shape[0]) if monitor is None else np.asarray(monitor, np.float64)

    def voxels(self) -> tuple[Float[np.ndarray, "frame y x"], Bool[np.ndarray, "frame y x"]]:
        """Unpack counts and mask of the good voxels."""
        counts = np.frombuffer(zlib.decompress(self.packed[0]), np.float32).reshape(self.shape)
        bits = np.frombuffer(zlib.decompress(self.packed[1]), np.uint8)
        return counts, np.unpackbits(bits, count=counts.size).reshape(self.shape).astype(bool)

    def box(self, corner: Voxel, size: Voxel) -> PeakBox:
        """Take a box of voxels; those that were not read are not good.

        Args:
            corner: First voxel.
            size: Number of voxels.
        """
        counts, good = self.voxels()
        into, source = [], []
        for start, length, first, total in zip(corner, size, self.first, self.shape, strict=True):
            low, high = max(start, first), min(start + length, first + total)
            high = max(low, high)
            into.append(slice(low - start, high - start))
            source.append(slice(low - first, high - first))
        taken, measured = np.zeros(size, np.float32), np.zeros(size, bool)
        taken[tuple(into)], measured[tuple(into)] = counts[tuple(source)], good[tuple(source)]
        flux = np.full(size[0], self.flux.mean())
        flux[into[0]] = self.flux[source[0]]
        return PeakBox(taken, measured, flux)
