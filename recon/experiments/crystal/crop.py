"""Which box of a rocking curve is used: around the peak, of a size that is quick to transform, and binned.

The peak goes to index ``n // 2`` as nearly as the data allow. A box that reaches beyond the data is filled up with
voxels that are masked, for nothing was measured there; a box moves rather than do that, as long as the peak stays
within an eighth of its size from the middle: what is left of the offset is a linear phase of the density.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Num

from ....physics.fft_sizes import previous_even_size

AUTO_LARGEST = 128
"""Voxels along an axis that ``crop: auto`` keeps at most."""
_FAR = 1 / 8


@dataclass(frozen=True)
class CropBox:
    """A box of an array along each axis.

    Args:
        first: Index of the array at which the box begins; negative where it reaches beyond.
        size: Voxels of the box.
        count: Voxels of the array.
    """

    first: tuple[int, int, int]
    size: tuple[int, int, int]
    count: tuple[int, int, int]

    @property
    def lacking(self) -> tuple[int, int, int]:
        """Voxels of the box beyond the array, along each axis."""
        inside = [max(0, min(f + n, c) - max(f, 0)) for f, n, c in zip(self.first, self.size, self.count, strict=True)]
        frame, y, x = (n - kept for n, kept in zip(self.size, inside, strict=True))
        return frame, y, x

    def take(self, array: Num[np.ndarray, "frame y x"] | Bool[np.ndarray, "frame y x"]) -> np.ndarray:
        """Cut the box out of an array; what lies beyond is 0 (or false)."""
        out = np.zeros(self.size, array.dtype)
        source, target = [], []
        for first, size, count in zip(self.first, self.size, self.count, strict=True):
            low, high = max(first, 0), min(first + size, count)
            source.append(slice(low, high))
            target.append(slice(low - first, high - first))
        out[tuple(target)] = array[tuple(source)]
        return out


def choose_crop_box(
    count: tuple[int, int, int],
    centre: tuple[int, int, int],
    crop: str | tuple[int, int, int] = "auto",
    binning: tuple[int, int, int] = (1, 1, 1),
) -> CropBox:
    """Choose the box.

    Args:
        count: Voxels that there are (frame, y, x).
        centre: Voxel that is to become the middle.
        crop: Voxels to keep; ``all``, or ``auto`` for at most 128 along each axis.
        binning: Voxels that will be joined along each axis.

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
        if size <= n and abs(inside - first) <= _FAR * size:
            first = inside
        firsts.append(first)
        sizes.append(size)
    return CropBox((firsts[0], firsts[1], firsts[2]), (sizes[0], sizes[1], sizes[2]), count)


def bin_counts(array: Num[np.ndarray, "frame y x"], factors: tuple[int, int, int]) -> Num[np.ndarray, "F Y X"]:
    """Add up blocks of voxels, as a detector with larger pixels would have counted.

    Args:
        array: Its sizes are multiples of the factors.
        factors: Voxels of a block (frame, y, x).
    """
    if factors == (1, 1, 1):
        return array
    (a, b, c), (f, y, x) = factors, array.shape
    return np.asarray(array.reshape(f // a, a, y // b, b, x // c, c).sum(axis=(1, 3, 5)))
