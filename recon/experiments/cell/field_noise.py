"""Noise of complex fields, estimated from themselves: from the frequencies that the objective does not pass.

A field behind a pupil of numerical aperture NA holds no frequency above NA/λ: what lies beyond is noise. A hologram may
have been demodulated by a filter about as wide as the pupil, so that nothing lies beyond. The noise within is then that
of the rim of the pupil, where a difference from a model holds least signal: an upper limit.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float, Num

from ....physics.optics.microscope import Microscope
from .spectra import fading_window, transverse_frequency

_RING = 0.8
"""Inner radius of the rim, relative to the pupil."""
_MARGIN = 2.0
"""Distance from the rim of the pupil, in samples of the spectrum: the window blurs it so far."""
_LARGEST_SHARE = 0.25
"""Largest share of the spectrum, the outermost part, that is taken: a wrong aperture then does little harm."""
_FEWEST_FREQUENCIES = 24
"""Smallest number of frequencies of a field that tell its noise."""


@dataclass(frozen=True)
class FieldNoise:
    """Noise of normalised fields, 1 where there is no specimen.

    Args:
        variances: Mean square of the noise of a pixel, of each view.
        error: Relative standard error of their mean.
    """

    variances: Float[np.ndarray, " view"]
    error: float

    def misfit_of(self, fields: Num[np.ndarray, "view y x"]) -> Float[np.ndarray, "view y x"]:
        """Compute the squared misfit of each pixel that noise alone makes."""
        return np.broadcast_to(self.variances[:, None, None], fields.shape)


def estimate_field_noise(
    measured: Complex[np.ndarray, "view y x"],
    modelled: Complex[np.ndarray, "view y x"],
    good: Bool[np.ndarray, "view y x"],
    microscope: Microscope,
    directions: Float[np.ndarray, "view 2"],
) -> FieldNoise | None:
    """Estimate the noise of fields.

    Args:
        measured: Fields divided by their incident wave.
        modelled: Fields of a model, good or bad: whatever it explains can then not pass for noise.
        good: Mask of the measured pixels.
        microscope: Instrument, whose aperture, wavelength and pixel tell which frequencies hold no signal.
        directions: n·sin θ of the incident wave of each view, along (y, x).

    Returns:
        The noise, or an upper limit of it; None where the fields are too small.
    """
    views = zip(measured, modelled, good, directions, strict=True)
    each = [_variance(*view, microscope) for view in views]
    variances, counts = np.array([each[0] for each in each]), np.array([each[1] for each in each])
    if not len(each) or counts.min() < _FEWEST_FREQUENCIES:
        return None
    window = fading_window(measured.shape[1:])
    blur = float(np.mean(window**4) / np.mean(window**2) ** 2)
    return FieldNoise(variances, float(np.sqrt(blur / counts.sum())))


def _variance(
    field: Complex[np.ndarray, "y x"],
    model: Complex[np.ndarray, "y x"],
    good: Bool[np.ndarray, "y x"],
    direction: Float[np.ndarray, " 2"],
    microscope: Microscope,
) -> tuple[float, int]:
    """Estimate the mean square of a field's noise; the number of frequencies that tell it besides."""
    window = np.where(good, fading_window(field.shape), 0)
    power = np.abs(np.fft.fft2(np.where(good, field - model, 0) * window)) ** 2 / max(float((window**2).sum()), 1e-30)
    radius, step = transverse_frequency(field.shape, direction, microscope)
    pupil = microscope.numerical_aperture / microscope.wavelength
    beyond = (radius > pupil + _MARGIN * step) & (radius >= np.quantile(radius, 1 - _LARGEST_SHARE))
    rim, inside = (radius < pupil) & (radius > _RING * pupil), radius < pupil + step
    if np.count_nonzero(beyond) < _FEWEST_FREQUENCIES:
        beyond = np.zeros_like(beyond)
    # The power of noise scatters exponentially: its mean is the median over ln 2, which a few strong ones do not raise.
    at_rim = float(np.median(power[rim])) / np.log(2) if rim.any() else 0.0
    outer = float(power[beyond].mean()) if beyond.any() else at_rim
    share = float(np.mean(inside))
    count = np.count_nonzero(beyond if outer >= at_rim and beyond.any() else rim)
    return (1 - share) * outer + share * max(outer, at_rim), int(count)
