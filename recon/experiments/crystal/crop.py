"""Crop box of a rocking curve: around the peak, of a size that is quick to transform; and binning.

The peak is moved to index ``n // 2`` as nearly as the data allow. A box beyond the data is padded with masked voxels;
to avoid that, it is shifted as long as the peak stays within an eighth of its size from the middle: the remaining
offset is a linear phase of the density.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Num

from ....physics.fft_sizes import previous_even_size
from ...grid import take_window

AUTO_LARGEST = 128
"""Largest number of voxels along an axis of ``crop: auto``."""
_LARGEST_SHIFT = 1 / 8
"""Largest offset of the peak from the middle, relative to the size of the box."""


@dataclass(frozen=True)
class CropBox:
    """Box of an array.

    Args:
        first: Index (frame, y, x) of the array at which the box begins; negative if it begins before it.
        size: Number of voxels of the box along each axis.
        count: Number of voxels of the array along each axis.
    """

    first: tuple[int, int, int]
    size: tuple[int, int, int]
    count: tuple[int, int, int]

    @property
    def padding(self) -> tuple[int, int, int]:
        """Number of voxels of the box outside the array, along each axis."""
        inside = [max(0, min(f + n, c) - max(f, 0)) for f, n, c in zip(self.first, self.size, self.count, strict=True)]
        frame, y, x = (n - covered for n, covered in zip(self.size, inside, strict=True))
        return frame, y, x

    def take(self, array: Num[np.ndarray, "frame y x"] | Bool[np.ndarray, "frame y x"]) -> np.ndarray:
        """Crop an array to the box; 0 (or false) outside the array."""
        return take_window(array, self.first, self.size)


def choose_crop_box(
    count: tuple[int, int, int],
    centre: tuple[int, int, int],
    crop: str | tuple[int, int, int] = "auto",
    binning: tuple[int, int, int] = (1, 1, 1),
) -> CropBox:
    """Choose the crop box of an array.

    Args:
        count: Number of voxels of the array (frame, y, x).
        centre: Index of the voxel that becomes the middle.
        crop: Number of voxels of the box; ``all``, or ``auto`` for at most 128 along each axis.
        binning: Number of voxels per bin along each axis.

    Raises:
        ValueError: If fewer than 8 voxels would be left along an axis.
    """
    firsts, sizes = [], []
    for axis, (n, middle, joined) in enumerate(zip(count, centre, binning, strict=True)):
        most = n if crop == "all" else min(n, AUTO_LARGEST * joined) if crop == "auto" else int(crop[axis])
        size = most - most % joined if crop == "all" else previous_even_size(most, joined)
        if not isinstance(crop, str):
            size = int(crop[axis]) - int(crop[axis]) % joined
        if size < 8 * joined:
            name = ("frames", "rows", "columns")[axis]
            raise ValueError(f"{size // joined} {name} would be left of {n}; at least 8 are needed")
        first = middle - size // 2
        inside = min(max(first, 0), max(n - size, 0))
        if size <= n and abs(inside - first) <= _LARGEST_SHIFT * size:
            first = inside
        firsts.append(first)
        sizes.append(size)
    return CropBox((firsts[0], firsts[1], firsts[2]), (sizes[0], sizes[1], sizes[2]), count)


def bin_counts(array: Num[np.ndarray, "frame y x"], factors: tuple[int, int, int]) -> Num[np.ndarray, "F Y X"]:
    """Sum the counts of blocks of voxels, as a detector with larger pixels counts.

    Args:
        array: Counts; the sizes are multiples of the factors.
        factors: Number of voxels per block (frame, y, x).
    """
    if factors == (1, 1, 1):
        return array
    (a, b, c), (f, y, x) = factors, array.shape
    return np.asarray(array.reshape(f // a, a, y // b, b, x // c, c).sum(axis=(1, 3, 5)))
