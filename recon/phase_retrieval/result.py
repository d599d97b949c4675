"""What comes of phasing a measurement."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex

from ..errors import DataError


class NoObjectError(DataError):
    """No start came to an object: every support vanished or filled the array."""


@dataclass(frozen=True)
class PhasingResult:
    """What came of phasing. Arrays are centred: the object around ``n // 2``.

    Args:
        density: Scaled so that |FFT|² is in counts.
        support: Where the density may be.
        sigmas: [pixel] Widths of the Gaussian point-spread function along (frame, y, x).
        background: Counts in every pixel.
        numbers: Quality and cost, by name; without ``llk_free`` where no pixel was withheld.
        solutions: One row a start: number, llk, llk_free, chi_rms, support (part of the array), outcome, kept.
        kept: The refined solutions that were combined, aligned with `density`: their spread is its uncertainty.
        curves: ``frequency`` [cycles/voxel], ``prtf`` and ``fsc``.
        free: The pixels that were withheld.
    """

    density: Complex[np.ndarray, "z y x"]
    support: np.ndarray
    sigmas: tuple[float, float, float]
    background: float
    numbers: dict[str, float]
    solutions: tuple[dict[str, Any], ...]
    kept: Complex[np.ndarray, "k z y x"]
    curves: dict[str, np.ndarray]
    free: np.ndarray
