"""A measurement as phasing takes it, and which of its pixels are withheld: nothing here needs a device."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ..errors import DataError
from .holdout import free_pixels


@dataclass(frozen=True)
class DiffractionData:
    """A rocking curve of diffraction patterns.

    Args:
        counts: (frame, y, x), centred: index ``n // 2`` is where the phase ramp of the density is 0.
        weights: 1 for good pixels, 0 for bad ones; whatever the counts there are is ignored.
        exposure: Flux of the beam in each frame, relative to their mean; None where it was steady.
        peak: Index of the Bragg peak, which may stand beside ``n // 2``; None where it does not.
        metric: Rows: spatial frequency, in cycles per voxel of mean size, of one cycle per voxel along each axis of the
            density; None where voxels are cubes.
    """

    counts: np.ndarray
    weights: np.ndarray
    exposure: np.ndarray | None = None
    peak: tuple[int, int, int] | None = None
    metric: Float[np.ndarray, "3 3"] | None = None

    def __post_init__(self) -> None:
        if self.counts.ndim != 3 or self.counts.shape != self.weights.shape:
            shapes = f"counts of shape {self.counts.shape}, weights of {self.weights.shape}"
            raise DataError(f"{shapes}: both must have one shape (frame, y, x)")
        good = self.counts[self.weights > 0]
        if not good.size or not np.all(np.isfinite(good)) or good.min() < 0 or good.sum() <= 0:
            raise DataError("the good pixels hold no counts to phase: they must be finite, not negative, and not all 0")

    def withheld(self, fraction: float, seed: int) -> Bool[np.ndarray, "frame y x"]:
        """Which good pixels are withheld from a fit, to judge it by; see `free_pixels`.

        Args:
            fraction: Of the good pixels.
            seed: Of their choice.
        """
        return free_pixels((np.asarray(self.weights) > 0).astype(np.float32), fraction, seed, peak=self.peak)
