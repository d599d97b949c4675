"""How well a density explains a diffraction pattern: one way to judge whoever found it, in NumPy and float64.

Arrays are (frame, y, x), centred at ``n // 2``. Whose density has no scale of its own gets the one that suits it best.
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
"""Modelled counts below this count as this in the likelihood."""
Voxels = Float[np.ndarray, "frame y x"]
Good = Bool[np.ndarray, "frame y x"]


@dataclass(frozen=True)
class Answer:
    """What a run holds of its solution in the detector's frame.

    Args:
        density: Scaled to counts.
        modelled: Counts that it predicts.
        good: Pixels that the run used, fitted or withheld.
        free: Those that it withheld; None where its file does not say.
    """

    density: Complex[np.ndarray, "z y x"]
    modelled: Voxels
    good: Good
    free: Good | None = None


def answer_of(run: Path) -> Answer:
    """Read a run's solution, and compute its counts as its file says: exposure · (|FFT|² ⊛ psf + background)."""
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
    return Answer(density, exposure[:, None, None] * (np.maximum(spread, 0) + background), mask == 0, free)


def counts_of(density: Complex[np.ndarray, "z y x"]) -> Voxels:
    """|FFT|² of a centred density, centred."""
    return np.asarray(np.abs(fft.fftshift(fft.fftn(fft.ifftshift(density.astype(np.complex128))))) ** 2)


def judged(modelled: Voxels, counts: Voxels, good: Good, free: Good | None = None) -> Numbers:
    """Judge modelled counts, each figure at the scale that suits it.

    Args:
        modelled: At any scale.
        counts: Measured.
        good: Pixels that were measured.
        free: Pixels that the figure ``llk_free`` is of.

    Returns:
        ``chi_rms``, √(Σ(|F| − √I)² / ΣI); ``llk``, the Poisson deviance per pixel; and ``llk_free``, where asked for.
    """
    one, measured = np.asarray(modelled, np.float64)[good], np.asarray(counts, np.float64)[good]
    scale = float(np.sqrt(one * measured).sum() / one.sum()) ** 2
    missed = np.sum((np.sqrt(scale * one) - np.sqrt(measured)) ** 2)
    whole = modelled * float(measured.sum() / one.sum())
    found = {"chi_rms": float(np.sqrt(missed / measured.sum())), "llk": deviance(whole[good], measured)}
    if free is not None:
        found["llk_free"] = deviance(whole[free], counts[free])
    return found


def deviance(modelled: Float[np.ndarray, " n"], counts: Float[np.ndarray, " n"]) -> float:
    """Poisson deviance per pixel, 2·mean[C − I + I ln(I/C)]; 1 for perfect counting statistics."""
    bounded = np.maximum(modelled, LEAST)
    logarithm = np.log(np.where(counts > 0, counts, 1) / bounded)
    return float(2 * np.mean(bounded - counts + np.where(counts > 0, counts * logarithm, 0)))


def agreement(densities: Sequence[Complex[np.ndarray, "z y x"]]) -> Numbers:
    """Aligned complex correlation of each density with each: ``mean`` and ``least``."""
    pairs = [(a, b) for i, a in enumerate(densities) for b in densities[:i]]
    found = [align(a, b).correlation for a, b in pairs]
    return {"mean": float(np.mean(found)), "least": float(min(found)), "pairs": len(found)}
