"""Result of phase retrieval."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex

from ..errors import DataError
from .frame_corrections import FrameCorrections


class NoObjectError(DataError):
    """No start found an object: every support vanished or filled the array."""


@dataclass(frozen=True)
class PhasingResult:
    """Density, its reliability, and the starts it came from. Arrays are (z, y, x), the object around ``n // 2``.

    Args:
        density: Density, scaled so that |FFT|² is in counts.
        support: True inside the object. Outside, a refinement with a margin leaves a faint ringing of sharp edges.
        sigmas: [pixel] Widths of the Gaussian point-spread function along (frame, y, x).
        background: [counts] Background in every pixel.
        numbers: Metrics and cost by name; without ``llk_free`` where no pixel was withheld.
        solutions: One row a start: number, llk, llk_free, chi_rms, support (part of the array), outcome, kept.
        ensemble: Refined solutions that were combined, aligned with `density`; their spread is its uncertainty.
        curves: ``frequency`` [cycles/voxel], ``prtf`` and ``fsc``.
        free: True for the pixels that were withheld.
        frames: Fitted corrections of the frames; None if they are as the instrument states them.
    """

    density: Complex[np.ndarray, "z y x"]
    support: np.ndarray
    sigmas: tuple[float, float, float]
    background: float
    numbers: dict[str, float]
    solutions: tuple[dict[str, Any], ...]
    ensemble: Complex[np.ndarray, "k z y x"]
    curves: dict[str, np.ndarray]
    free: np.ndarray
    frames: FrameCorrections | None = None
