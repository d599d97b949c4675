"""What the network sees of a pattern: amplitudes in units in which any crystal's density is about 1.

Notation
--------
w      width of the crystal along each axis [voxel]
V      volume that is expected of it, half of its box [voxel]
n      size of the array

The density is scaled so that Σ|ρ|² = V; then Σ|F|² = V·Πn. The widths come from the autocorrelation
(`signal.sampling`), so that nothing has to be known of the crystal.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .....physics.diffraction import to_corner
from ..signal import Good, Voxels

SCALARS = 5
"""Numbers that are told of a pattern: counts, masked share, and the oversampling along each axis."""
FILLED = 0.5
"""Share of its box that a crystal is taken to fill."""
_RIM = 2
"""Voxels at the array's faces in which the background is looked for."""
_LEAST = 1e-9


@dataclass(frozen=True)
class Sight:
    """A pattern as the network sees it.

    Args:
        amplitude: √ of the counts without background, scaled, 0 where nothing was measured; cornered.
        weight: 1 where it was measured, else 0; cornered.
        scalars: What `SCALARS` says.
        scale: The density in √counts is the network's times this.
    """

    amplitude: Float[np.ndarray, "frame y x"]
    weight: Float[np.ndarray, "frame y x"]
    scalars: Float[np.ndarray, " 5"]
    scale: float


def sight_of(counts: Voxels, good: Good, widths: Float[np.ndarray, " 3"]) -> Sight:
    """Bring a pattern to the network's units.

    Args:
        counts: Counts, centred on the peak; what is not good may be anything finite.
        good: Which voxels were measured.
        widths: [voxel] Of the crystal along (frame, y, x).
    """
    light = np.where(good, np.maximum(counts - _background(counts, good), 0), 0).astype(np.float64)
    volume = FILLED * float(np.prod(widths))
    scale = float(np.sqrt(max(light.sum(), _LEAST) / (volume * counts.size)))
    oversampling = np.array(counts.shape) / widths
    told = [np.log10(1 + counts[good].sum()) / 5 - 1, 1 - good.mean(), *(oversampling / 3 - 1)]
    return Sight(
        to_corner(np.sqrt(light) / scale).astype(np.float32),
        to_corner(good).astype(np.float32),
        np.array(told, np.float32),
        scale,
    )


def _background(counts: Voxels, good: Good) -> float:
    """Mean count of the array's faces: an upper limit of what does not come from the crystal."""
    faces = np.ones(counts.shape, bool)
    faces[_RIM:-_RIM, _RIM:-_RIM, _RIM:-_RIM] = False
    faces &= good
    return float(counts[faces].mean()) if faces.any() else 0.0
