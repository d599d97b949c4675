"""Counts of a compact crystal's diffraction far from its peak, averaged over directions: Porod's law.

Notation
--------
V, S       volume and surface of the crystal [m³, m²]; a ball of radius R has S/V = 3/R
T          counts of the whole pattern
v          volume of reciprocal space that a voxel of the pattern covers [1/m³], with 2π
q          distance from the peak [1/m], with 2π

Far from the peak the mean of |F|² over all directions is 2π |ρ|² S/q⁴ (Porod, Kolloid-Z. 124, 83 (1951)), at the peak
it is |ρ|² V², and its integral over q is (2π)³ |ρ|² V (Parseval). With all counts T, a voxel holds on average
    n(q) = T v S / (4π² V q⁴),   at most T v V / (2π)³.
"""

import numpy as np
from jaxtyping import Float


def porod_counts(q: Float[np.ndarray, "*n"], total: float, voxel: float, radius: float) -> Float[np.ndarray, "*n"]:
    """Compute the mean counts of a voxel for a crystal as large as a ball.

    Args:
        q: [1/m] Distance from the peak.
        total: Counts of the whole pattern.
        voxel: [1/m³] Volume of reciprocal space of a voxel.
        radius: [m] Radius of the ball.
    """
    peak = total * voxel * (4 / 3 * np.pi * radius**3) / (2 * np.pi) ** 3
    tail = total * voxel * (3 / radius) / (4 * np.pi**2)
    least = (tail / peak) ** 0.25
    return np.asarray(tail / np.maximum(q, least) ** 4)


def one_photon_radius(total: float, voxel: float, radius: float) -> float:
    """[1/m] Distance from the peak at which a voxel holds one count on average.

    Args:
        total: Counts of the whole pattern.
        voxel: [1/m³] Volume of reciprocal space of a voxel.
        radius: [m] Radius of a ball as large as the crystal.
    """
    return float((total * voxel * (3 / radius) / (4 * np.pi**2)) ** 0.25)
