"""Share of the coarse structure of a specimen's phase delay that its views determine, by linear theory. Without jax.

Dry mass is the sum of the index over the volume, and the sum along z is the phase delay: its coarse structure, w ≈ 0 at
small |u|, decides both. In a thin phase object the two sidebands of a wave along p, at p ± u, cancel each other; what
is left grows with the thickness, or is a whole sideband where the pupil cuts the other off: |u| > (NA − NA_i)/λ. Light
far from the rim of the pupil therefore shows coarse structure weakly, and sparse views show it in few directions.
"""

import numpy as np
from jaxtyping import Complex

from ....physics.optics.microscope import Illumination, Microscope
from ...metrics.missing_cone import Aperture
from .linear_posterior import FrequencyColumn, LinearPosterior

COARSE = 2.0
"""Least period of what is coarse, in units of λ/NA."""
THICKNESS = 3.0
"""Thickness of the slab whose phase delay is examined, in periods."""
DAMPING = 0.003
"""Tikhonov's α of the share that is determined, as a fraction of the gain of a single sideband of one view."""
LATERAL = 8
"""Number of transverse frequencies from 0 to the largest, along y and along x."""


def least_coarse_period(microscope: Microscope) -> float:
    """[m] Compute the period from which structure is coarse."""
    return COARSE * microscope.wavelength / microscope.numerical_aperture


def determined_phase(microscope: Microscope, light: Illumination, depth: float) -> float:
    """Compute the share of the coarse structure of the phase delay that views determine.

    Args:
        microscope: Instrument.
        light: Light of the views.
        depth: [m] Depth of the box.

    Returns:
        A share from 0 to 1; NaN for dark fields alone, which linear theory does not know.
    """
    period = least_coarse_period(microscope)
    inside = light.weights > 0
    largest_na = min(float(np.hypot(*light.na[inside].T).max()), microscope.medium_index)
    aperture = Aperture(microscope.wavelength, microscope.medium_index, largest_na, microscope.numerical_aperture)
    posterior = LinearPosterior(microscope, min(depth, THICKNESS * period), aperture)
    if not np.any(posterior.in_pupil(light.na) & inside):
        return float("nan")
    sideband = (2 * np.pi * posterior.depth / microscope.wavelength) ** 2
    matrices = [posterior.transfer(column, light) for column in _columns(1 / period, posterior.depth)]
    return float(np.mean([_explained(matrix, DAMPING * sideband) for matrix in matrices]))


def _columns(largest: float, depth: float) -> list[FrequencyColumn]:
    """List columns along w at transverse frequencies on a grid within a ball, one of each pair ±u, without u = 0."""
    axis = np.linspace(-largest, largest, 2 * LATERAL + 1)
    half = int(largest * depth)
    w = np.arange(-half, half + 1) / depth
    columns = []
    for uy in axis[LATERAL:]:
        for ux in axis:
            if uy**2 + ux**2 <= largest**2 and (uy > 0 or ux > 0):
                columns.append(FrequencyColumn((float(uy), float(ux)), 1.0, w, w == 0))
    return columns


def _explained(matrix: Complex[np.ndarray, "view j"], damping: float) -> float:
    """Compute the middle element of the diagonal of Hᴴ(HHᴴ + α)⁻¹H: of w = 0."""
    views, count = matrix.shape
    own = matrix[:, count // 2]
    return float(np.real(np.vdot(own, np.linalg.solve(matrix @ matrix.conj().T + damping * np.eye(views), own))))
