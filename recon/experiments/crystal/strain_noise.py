"""Noise of a crystal's phase and strain: by counting, and by the spread of independent solutions.

A density ρ of N voxels scatters C counts in all. Counting noise leaves the modulus √I of each voxel of the pattern with
a variance of 1/4 and says nothing of its phase: the information on ρ is that of half of the 2N real numbers of each
Fourier component, so that the standard deviation of the phase of a voxel is √(N / 2C) if the support is known. N is
(Σ|ρ|²)² / Σ|ρ|⁴ where the density is uneven. Starts share their counts: their spread holds none of this noise, and
shows how far the search is determined.
"""

import numpy as np
from jaxtyping import Bool, Complex, Float

from ...volume import Volume
from .laboratory import LaboratoryFrame, bragg_vector_from
from .preprocess import PreprocessedScan

_CENTRAL = 0.5**0.5
"""Standard deviation of a central difference of white noise over that of the noise, for a step of 1."""


def strain_noise_numbers(
    scan: PreprocessedScan, background: float, density: Complex[np.ndarray, "z y x"], volume: Volume
) -> dict[str, float]:
    """Compare phase and strain with their noise.

    Args:
        scan: Preprocessed measurement.
        background: [counts] Counts in each pixel that the crystal did not make.
        density: Density in the detector's frame.
        volume: Crystal in the laboratory.

    Returns:
        ``phase_rms``, ``phase_noise`` and ``phase_spread`` [rad]: root mean square inside the crystal, its standard
        deviation by counting, and between independent solutions; ``strain_noise`` and ``strain_spread`` likewise, where
        the size of a voxel and G are known. Those that need several solutions are left out without them.
    """
    inside = volume.values["support"] > 0
    numbers = {"phase_rms": float(np.std(volume.values["phase"][inside]))}
    noise = phase_noise(scan.counts, scan.good, background * scan.exposure, density)
    if np.isfinite(noise):
        numbers["phase_noise"] = noise
    g = bragg_vector_from(volume.attributes)
    if g is not None and volume.length_unit == "m" and np.isfinite(noise):
        frames, rows, columns = scan.counts.shape
        steps = LaboratoryFrame(scan.reciprocal_basis).steps((frames, rows, columns))
        voxel = float(np.cbrt(abs(np.linalg.det(steps))))
        numbers["strain_noise"] = _CENTRAL * noise / (float(np.linalg.norm(g)) * voxel)
    for name in ("phase", "strain"):
        spread = volume.values.get(f"uncertainty_{name}")
        if spread is not None:
            numbers[f"{name}_spread"] = float(np.sqrt(np.mean(spread[inside].astype(np.float64) ** 2)))
    return numbers


def phase_noise(
    counts: Float[np.ndarray, "frame y x"],
    good: Bool[np.ndarray, "frame y x"],
    background: Float[np.ndarray, " frame"],
    density: Complex[np.ndarray, "z y x"],
) -> float:
    """[rad] Compute the standard deviation of the phase of a voxel by counting noise; NaN without counts.

    Args:
        counts: Measured counts.
        good: Mask of the measured voxels.
        background: [counts] Those of each pixel of a frame that the crystal did not make.
        density: Density of the crystal.
    """
    measured = float(counts[good].sum(dtype=np.float64))
    own = measured - float(np.sum(background * good.sum(axis=(1, 2)), dtype=np.float64))
    power = np.abs(density.astype(np.complex128)) ** 2
    voxels = float(np.sum(power)) ** 2 / max(float(np.sum(power**2)), 1e-300)
    return float(np.sqrt(voxels / (2 * own))) if own > 0 else float("nan")
