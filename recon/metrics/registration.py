"""Registration: shift between a result and the truth."""

import numpy as np
from jaxtyping import Float

from .accuracy import paired


def estimate_shift(
    truth: Float[np.ndarray, "z y x"],
    result: Float[np.ndarray, "z y x"],
    spacing: tuple[float, float, float],
    *,
    upsampling: int = 20,
) -> tuple[float, float, float]:
    """Estimate the shift (z, y, x) that moves the result onto the truth.

    The shift is the peak of the cross-correlation, refined by an upsampled discrete Fourier transform around it
    (Guizar-Sicairos et al. 2008).

    Args:
        truth: Contrast, 0 in the medium.
        result: Contrast of the result, on the same samples.
        spacing: [m] Distance between samples (z, y, x).
        upsampling: Inverse of the shift's resolution in samples.

    Returns:
        [m] The shift (z, y, x).

    Raises:
        DataError: If the shapes differ, or a value is not finite.
    """
    from skimage.registration import phase_cross_correlation

    samples, _, _ = phase_cross_correlation(
        *paired(truth, result), upsample_factor=upsampling, normalization=None, disambiguate=False
    )
    z, y, x = (float(s) * d for s, d in zip(samples, spacing, strict=True))
    return z, y, x
