"""Agreement of a density with a diffraction pattern, by one code for all programs, in NumPy and float64.

Arrays are (frame, y, x), centred at ``n // 2``. A density without a scale gets the one that fits best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import fft

from unflat.recon.phase_retrieval.align import align

from .ledger import Numbers

LEAST = 0.1
"""Lower bound of modelled counts in the likelihood."""
Voxels = Float[np.ndarray, "frame y x"]
Good = Bool[np.ndarray, "frame y x"]


@dataclass(frozen=True)
class Solution:
    """Solution of a run in the frame of the detector.

    Args:
        density: Density, scaled to counts.
        modelled: Predicted counts.
        good: Pixels that the run used, fitted or withheld.
        free: Withheld pixels; None if the file does not name them.
    """

    density: Complex[np.ndarray, "z y x"]
    modelled: Voxels
    good: Good
    free: Good | None = None


def read_solution(run: Path) -> Solution:
    """Read the solution of a run, and compute its counts: exposure · (|FFT|² ⊛ psf + background)."""
    with h5py.File(run / "volume.h5") as file:
        group = file["detector_frame"]
        density, kernel = group["density"][()], group["point_spread_function"][()]
        background, mask = float(group["background"][()]), group["mask"][()]
        exposure = group["exposure"][()] if "exposure" in group else np.ones(len(mask))
        free = group["withheld"][()] > 0 if "withheld" in group else None
    padded = np.zeros(density.shape)
    padded[
        tuple(slice(n // 2 - k // 2, n // 2 + k // 2 + 1) for n, k in zip(padded.shape, kernel.shape, strict=True))
    ] = kernel
    transfer = fft.rfftn(fft.ifftshift(padded))
    spread = fft.irfftn(fft.rfftn(counts_of(density)) * transfer, density.shape)
    return Solution(density, exposure[:, None, None] * (np.maximum(spread, 0) + background), mask == 0, free)


def counts_of(density: Complex[np.ndarray, "z y x"]) -> Voxels:
    """Compute the centred |FFT|² of a centred density."""
    return np.asarray(np.abs(fft.fftshift(fft.fftn(fft.ifftshift(density.astype(np.complex128))))) ** 2)


def compare_counts(modelled: Voxels, counts: Voxels, good: Good, free: Good | None = None) -> Numbers:
    """Compare modelled with measured counts, each figure at its best scale.

    Args:
        modelled: Modelled counts at any scale.
        counts: Measured counts.
        good: Pixels that were measured.
        free: Pixels of the figure ``llk_free``.

    Returns:
        ``chi_rms``, √(Σ(|F| − √I)² / ΣI); ``llk``, the Poisson deviance per pixel; ``llk_free``, that of ``free``.
    """
    one, measured = np.asarray(modelled, np.float64)[good], np.asarray(counts, np.float64)[good]
    scale = float(np.sqrt(one * measured).sum() / one.sum()) ** 2
    squares = np.sum((np.sqrt(scale * one) - np.sqrt(measured)) ** 2)
    whole = modelled * float(measured.sum() / one.sum())
    figures = {"chi_rms": float(np.sqrt(squares / measured.sum())), "llk": deviance(whole[good], measured)}
    if free is not None:
        figures["llk_free"] = deviance(whole[free], counts[free])
    return figures


def deviance(modelled: Float[np.ndarray, " n"], counts: Float[np.ndarray, " n"]) -> float:
    """Compute the Poisson deviance per pixel, 2·mean[C − I + I ln(I/C)]; 1 for perfect counting statistics."""
    bounded = np.maximum(modelled, LEAST)
    logarithm = np.log(np.where(counts > 0, counts, 1) / bounded)
    return float(2 * np.mean(bounded - counts + np.where(counts > 0, counts * logarithm, 0)))


def agreement(densities: Sequence[Complex[np.ndarray, "z y x"]]) -> Numbers:
    """Compute the aligned complex correlation of all pairs of densities: ``mean`` and ``least``."""
    pairs = [(a, b) for i, a in enumerate(densities) for b in densities[:i]]
    values = [align(a, b).correlation for a, b in pairs]
    return {"mean": float(np.mean(values)), "least": float(min(values)), "pairs": len(values)}
