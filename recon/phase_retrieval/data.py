"""Input of phase retrieval, on the host. Axes are (frame, y, x)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ..errors import DataError
from .holdout import free_pixels


@dataclass(frozen=True)
class DiffractionData:
    """A rocking curve of diffraction patterns.

    Args:
        counts: Counts (frame, y, x), centred: at index ``n // 2`` the phase ramp of the density is 0.
        weights: 1 for good pixels, 0 for bad ones, whose counts are ignored.
        exposure: Flux of the beam in each frame, relative to the mean; None for a steady beam.
        peak: Index of the Bragg peak; None for ``n // 2``.
        metric: Rows: spatial frequency, in cycles per voxel of mean size, of one cycle per voxel along each axis of the
            density; None for cubic voxels.
        positions: Position of each frame along the curve [step], from the middle ``n // 2``, and its offsets along y
            and x [pixel]; None for an even curve.

    Raises:
        DataError: If the shapes differ, or the good pixels hold no counts.
    """

    counts: np.ndarray
    weights: np.ndarray
    exposure: np.ndarray | None = None
    peak: tuple[int, int, int] | None = None
    metric: Float[np.ndarray, "3 3"] | None = None
    positions: Float[np.ndarray, "frame 3"] | None = None

    def __post_init__(self) -> None:
        if self.counts.ndim != 3 or self.counts.shape != self.weights.shape:
            shapes = f"counts of shape {self.counts.shape}, weights of {self.weights.shape}"
            raise DataError(f"{shapes}: both must have one shape (frame, y, x)")
        good = self.counts[self.weights > 0]
        if not good.size or not np.all(np.isfinite(good)) or good.min() < 0 or good.sum() <= 0:
            raise DataError("the good pixels hold no counts to phase: they must be finite, not negative, and not all 0")

    def free_pixels(self, fraction: float, seed: int) -> Bool[np.ndarray, "frame y x"]:
        """Choose the good pixels that are withheld from a fit to assess it; see `holdout.free_pixels`.

        Args:
            fraction: Fraction of the good pixels.
            seed: Seed of the random choice.
        """
        return free_pixels((np.asarray(self.weights) > 0).astype(np.float32), fraction, seed, peak=self.peak)
