"""Measured pattern on the device, the model of its counts, and how well they agree.

Arrays are (z, y, x), float32, in FFT order (origin at index 0).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ...physics.diffraction.far_field import chi_rms, deviance, ifftshift3
from .curve import Curve, EvenCurve, curve_of
from .data import DiffractionData
from .projections import UNMEASURED, abs2


class DevicePattern(NamedTuple):
    """Measured pattern.

    Args:
        amplitude: √counts of the fitted pixels, scaled to a steady beam; `UNMEASURED` elsewhere.
        counts: Counts as measured under the varying beam; 0 for bad pixels.
        fitted: 1 for the pixels that are fitted.
        free: 1 for the good pixels that are withheld.
        exposure: Relative flux of the beam in each frame.
        positions: Position of each frame [step] and its offsets along y and x [pixel]; None for an even curve.
    """

    amplitude: Float[Array, "z y x"]
    counts: Float[Array, "z y x"]
    fitted: Float[Array, "z y x"]
    free: Float[Array, "z y x"]
    exposure: Float[Array, "z 1 1"]
    positions: Float[Array, "z 3"] | None = None

    @property
    def curve(self) -> Curve:
        """Transforms of the curve."""
        return curve_of(self.positions, self.counts.shape)


class PointSpread(NamedTuple):
    """Point-spread function and background, which turn the coherent intensity into counts.

    Args:
        sigmas: [pixel] Widths of the point-spread function along (frame, y, x).
        background: [counts] Background in every pixel, under a steady beam.
    """

    sigmas: Float[Array, "3"]
    background: Float[Array, ""]


def ideal_point_spread() -> PointSpread:
    """Return full coherence without background."""
    return PointSpread(jnp.zeros(3, jnp.float32), jnp.zeros((), jnp.float32))


def to_device_pattern(data: DiffractionData, fraction: float, seed: int) -> DevicePattern:
    """Transfer a measurement to the device in FFT order, and withhold some of its pixels.

    Args:
        data: Counts and weights, centred.
        fraction: Fraction of the good pixels to withhold.
        seed: Seed of their random choice.
    """
    weights = (np.asarray(data.weights) > 0).astype(np.float32)
    free = data.free_pixels(fraction, seed).astype(np.float32)
    counts = np.where(weights > 0, data.counts, 0).astype(np.float32)
    fitted = weights - free
    flux = np.ones(len(counts)) if data.exposure is None else np.asarray(data.exposure)
    exposure = flux[:, None, None].astype(np.float32)
    amplitude = np.where(fitted > 0, np.sqrt(counts / exposure), np.float32(UNMEASURED)).astype(np.float32)
    pattern = DevicePattern(*(jnp.asarray(ifftshift3(array)) for array in (amplitude, counts, fitted, free, exposure)))
    if data.positions is None:
        return pattern
    positions = np.fft.ifftshift(np.asarray(data.positions, np.float32), axes=0)
    return pattern._replace(positions=jnp.asarray(positions))


class FitQuality(NamedTuple):
    """Agreement of a density with the measurement.

    Args:
        llk: Poisson deviance per fitted pixel.
        llk_free: Poisson deviance per free pixel.
        chi_rms: Relative error of the fitted amplitudes.
    """

    llk: Float[Array, ""]
    llk_free: Float[Array, ""]
    chi_rms: Float[Array, ""]


def predict_counts(
    density: Complex[Array, "z y x"],
    point_spread: PointSpread,
    exposure: Float[Array, "z 1 1"],
    curve: Curve | None = None,
) -> Float[Array, "z y x"]:
    """Predict the counts of a density, by default on an even curve: exposure · (|F|² ⊛ psf + background)."""
    curve = curve or EvenCurve()
    return exposure * (curve.convolve(abs2(curve.forward(density)), point_spread.sigmas) + point_spread.background)


@jax.jit
def evaluate_fit(density: Complex[Array, "z y x"], point_spread: PointSpread, pattern: DevicePattern) -> FitQuality:
    """Compare a density with the fitted and the free pixels; where none are free, the fitted ones stand for them."""
    modelled = predict_counts(density, point_spread, pattern.exposure, pattern.curve)
    free = jnp.where(jnp.sum(pattern.free) > 0, pattern.free, pattern.fitted)
    return FitQuality(
        deviance(pattern.counts, modelled, pattern.fitted),
        deviance(pattern.counts, modelled, free),
        # The blur of frames that are not even may fall below 0 by what they disagree on.
        chi_rms(jnp.sqrt(jnp.maximum(modelled, 0.0)), pattern.counts, pattern.fitted),
    )


def fit_metrics(
    density: Complex[Array, "z y x"], point_spread: PointSpread, pattern: DevicePattern
) -> dict[str, float]:
    """Compute the agreement with the fitted, the free and all good pixels, by the names of ``metrics.json``.

    Without withheld pixels there is no ``llk_free``.
    """
    good = pattern.fitted + pattern.free
    fit = evaluate_fit(density, point_spread, pattern)
    whole = evaluate_fit(
        density, point_spread, pattern._replace(fitted=good, free=jnp.zeros_like(good))
    )  # same shapes: compiled once
    share = float(jnp.sum(pattern.free) / jnp.sum(good))
    return {
        **{name: float(value) for name, value in fit._asdict().items() if share > 0 or name != "llk_free"},
        "llk_all": float(whole.llk),
        "chi_rms_all": float(whole.chi_rms),
        "free_fraction": share,
    }
