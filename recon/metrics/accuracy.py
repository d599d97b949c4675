"""Accuracy against a known truth, and registration of a result with it.

Notation
--------
t      truth
x      result, on the truth's samples
R      the truth's range, max t − min t
‖·‖    root of the sum of squares over all samples

PSNR and SSIM take the truth's range, not the result's. The signal-to-noise ratio and the relative error are those of
the *contrast*: the caller takes the background (the medium's index) off both first.
"""

import numpy as np
from jaxtyping import Float

from ..errors import DataError
from .metric import Metric

ACCURACY_METRICS = (
    Metric(
        "snr",
        "SNR of the contrast",
        "dB",
        "higher",
        "20 log10 of the truth's norm over the error's norm, of the contrast to the background.",
    ),
    Metric("psnr", "PSNR", "dB", "higher", "The truth's range over the root-mean-square error."),
    Metric(
        "ssim",
        "SSIM",
        "",
        "higher",
        "Structural similarity in windows of 7 voxels; 1 for equal volumes.",
    ),
    Metric(
        "ncc",
        "NCC",
        "",
        "higher",
        "Correlation with the truth, means removed; 1 for a perfect match.",
    ),
    Metric(
        "nrmse_range",
        "NRMSE / range",
        "",
        "lower",
        "Root-mean-square error over the truth's range.",
    ),
    Metric(
        "relative_l2",
        "Relative L2 error",
        "",
        "lower",
        "The error's norm over the norm of the truth's contrast.",
    ),
)
"""Metrics of this module's functions, in the order of tables and reports."""


def peak_signal_to_noise(truth: Float[np.ndarray, "..."], result: Float[np.ndarray, "..."]) -> float:
    """Compute the peak signal-to-noise ratio 20 log10(R / rms(t − x)) [dB]; infinite where the result is the truth.

    Raises:
        DataError: If the shapes differ, a value is not finite, or the truth is constant.
    """
    return _decibel(value_range(truth), _rms(*paired(truth, result)))


def root_mean_square_over_range(truth: Float[np.ndarray, "..."], result: Float[np.ndarray, "..."]) -> float:
    """Compute the root-mean-square error over the truth's range, rms(t − x) / R ("NRMSE/range").

    Raises:
        DataError: If the shapes differ, a value is not finite, or the truth is constant.
    """
    return _rms(*paired(truth, result)) / value_range(truth)


def signal_to_noise(truth: Float[np.ndarray, "..."], result: Float[np.ndarray, "..."]) -> float:
    """Compute the signal-to-noise ratio 20 log10(‖t‖ / ‖t − x‖) [dB] of a contrast whose background is 0.

    Raises:
        DataError: If the shapes differ, a value is not finite, or the truth is 0 everywhere.
    """
    first, second = paired(truth, result)
    return _decibel(_norm(first), float(np.linalg.norm((first - second).ravel())))


def relative_l2(truth: Float[np.ndarray, "..."], result: Float[np.ndarray, "..."]) -> float:
    """Compute the relative error ‖t − x‖ / ‖t‖ of a contrast whose background is 0.

    Raises:
        DataError: If the shapes differ, a value is not finite, or the truth is 0 everywhere.
    """
    first, second = paired(truth, result)
    return float(np.linalg.norm((first - second).ravel())) / _norm(first)


def correlation(truth: Float[np.ndarray, "..."], result: Float[np.ndarray, "..."]) -> float:
    """Compute the normalised cross-correlation, means removed (Pearson's r); 0 where the result is constant.

    Raises:
        DataError: If the shapes differ, a value is not finite, or the truth is constant.
    """
    first, second = paired(truth, result)
    value_range(first)
    first, second = first - first.mean(), second - second.mean()
    power = float(np.linalg.norm(first.ravel()) * np.linalg.norm(second.ravel()))
    return float(np.clip(np.vdot(first, second) / power, -1, 1)) if power > 0 else 0.0


def structural_similarity(truth: Float[np.ndarray, "..."], result: Float[np.ndarray, "..."]) -> float:
    """Compute the mean structural similarity in windows of 7 samples, with the truth's range (Wang et al. 2004).

    Planes along axes of fewer than 3 samples are compared one by one; a short axis shortens the window.

    Raises:
        DataError: If the shapes differ, a value is not finite, the truth is constant, or no axis has 3 samples.
    """
    from skimage.metrics import structural_similarity as similarity

    first, second = paired(truth, result)
    scale = value_range(first)
    thin = tuple(axis for axis, count in enumerate(first.shape) if count < 3)
    wide = [count for count in first.shape if count >= 3]
    if not wide:
        raise DataError(f"structural similarity needs an axis of at least 3 samples; the truth has {first.shape}")
    window = min(7, min(wide) - (min(wide) + 1) % 2)
    planes = [
        similarity(a, b, data_range=scale, win_size=window)
        for a, b in zip(_without(first, thin), _without(second, thin), strict=True)
    ]
    return float(np.mean(planes))


def value_range(truth: Float[np.ndarray, "..."]) -> float:
    """Compute the truth's range, max t − min t.

    Raises:
        DataError: If it is 0 or not finite.
    """
    span = float(np.max(truth) - np.min(truth)) if truth.size else 0.0
    if not np.isfinite(span) or span <= 0:
        raise DataError(f"the truth has the range {span:g}: nothing can be compared with it")
    return span


def paired(
    truth: Float[np.ndarray, "..."], result: Float[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Return both arrays in float64.

    Raises:
        DataError: If the shapes differ, or a value is not finite.
    """
    if truth.shape != result.shape:
        raise DataError(f"the result has the shape {result.shape}, the truth {truth.shape}: resample one of them")
    for name, array in (("truth", truth), ("result", result)):
        if bad := int(array.size - np.count_nonzero(np.isfinite(array))):
            raise DataError(f"{bad} of the {array.size} values of the {name} are not finite")
    return np.asarray(truth, np.float64), np.asarray(result, np.float64)


def _without(array: Float[np.ndarray, "..."], axes: tuple[int, ...]) -> Float[np.ndarray, "plane ..."]:
    """Stack the parts of an array that lack the given (short) axes."""
    front = np.moveaxis(array, axes, range(len(axes)))
    return front.reshape(-1, *front.shape[len(axes) :])


def _rms(truth: Float[np.ndarray, "..."], result: Float[np.ndarray, "..."]) -> float:
    return float(np.sqrt(np.mean((truth - result) ** 2)))


def _norm(truth: Float[np.ndarray, "..."]) -> float:
    norm = float(np.linalg.norm(truth.ravel()))
    if norm <= 0:
        raise DataError("the truth's contrast is 0 everywhere: no error is relative to it")
    return norm


def _decibel(signal: float, noise: float) -> float:
    return float(20 * np.log10(signal / noise)) if noise > 0 else float("inf")


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
