"""What was measured, as the loops need it: in corner order, with the pixels that are fitted and those that judge."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ...physics.diffraction.far_field import chi_rms, deviance, far_field, ifftshift3
from ...physics.psf import convolve_gaussian
from .data import DiffractionData
from .projections import UNMEASURED, abs2


class DevicePattern(NamedTuple):
    """The measurement on the device, float32, corner order.

    Args:
        amplitude: √counts of the fitted pixels, under a steady beam; `UNMEASURED` elsewhere.
        counts: 0 where bad.
        fitted: 1 for the pixels that are fitted.
        free: 1 for good pixels that are withheld.
        exposure: Relative flux of the beam in each frame; counts are what was counted under it.
    """

    amplitude: Float[Array, "z y x"]
    counts: Float[Array, "z y x"]
    fitted: Float[Array, "z y x"]
    free: Float[Array, "z y x"]
    exposure: Float[Array, "z 1 1"]


class PointSpread(NamedTuple):
    """What turns the coherent intensity into modelled counts.

    Args:
        sigmas: [pixel] Widths of the point-spread function along (frame, y, x).
        background: Counts in every pixel, under a steady beam.
    """

    sigmas: Float[Array, "3"]
    background: Float[Array, ""]


def no_blur() -> PointSpread:
    """Full coherence and no background."""
    return PointSpread(jnp.zeros(3, jnp.float32), jnp.zeros((), jnp.float32))


def pattern_of(measured: DiffractionData, fraction: float, seed: int) -> DevicePattern:
    """Bring a measurement into the loops' form, and withhold some of it.

    Args:
        measured: As it was counted.
        fraction: Of the good pixels to withhold.
        seed: Of their choice.
    """
    weights = (np.asarray(measured.weights) > 0).astype(np.float32)
    free = measured.withheld(fraction, seed).astype(np.float32)
    counts = np.where(weights > 0, measured.counts, 0).astype(np.float32)
    fitted = weights - free
    flux = np.ones(len(counts)) if measured.exposure is None else np.asarray(measured.exposure)
    exposure = flux[:, None, None].astype(np.float32)
    amplitude = np.where(fitted > 0, np.sqrt(counts / exposure), np.float32(UNMEASURED)).astype(np.float32)
    return DevicePattern(*(jnp.asarray(ifftshift3(array)) for array in (amplitude, counts, fitted, free, exposure)))


class Quality(NamedTuple):
    """How well a density explains the measurement: deviance per voxel, and relative error of the amplitudes."""

    llk: Float[Array, ""]
    llk_free: Float[Array, ""]
    chi_rms: Float[Array, ""]


def modelled_counts(
    density: Complex[Array, "z y x"], blur: PointSpread, exposure: Float[Array, "z 1 1"]
) -> Float[Array, "z y x"]:
    """Counts that a density should give, corner order."""
    return exposure * (convolve_gaussian(abs2(far_field(density)), blur.sigmas) + blur.background)


@jax.jit
def quality(density: Complex[Array, "z y x"], blur: PointSpread, pattern: DevicePattern) -> Quality:
    """Judge a density by the fitted and by the free pixels; where none are free, the fitted ones stand for them."""
    modelled = modelled_counts(density, blur, pattern.exposure)
    free = jnp.where(jnp.sum(pattern.free) > 0, pattern.free, pattern.fitted)
    return Quality(
        deviance(pattern.counts, modelled, pattern.fitted),
        deviance(pattern.counts, modelled, free),
        chi_rms(jnp.sqrt(modelled), pattern.counts, pattern.fitted),
    )


def quality_numbers(density: Complex[Array, "z y x"], blur: PointSpread, pattern: DevicePattern) -> dict[str, float]:
    """The same, and that of fitted and withheld pixels together, by their names in ``metrics.json``.

    Where no pixel is withheld there is no ``llk_free``: that of fitted ones must not pass for it.
    """
    good = pattern.fitted + pattern.free
    found = quality(density, blur, pattern)
    whole = quality(density, blur, pattern._replace(fitted=good, free=jnp.zeros_like(good)))  # the same program
    share = float(jnp.sum(pattern.free) / jnp.sum(good))
    return {
        **{name: float(value) for name, value in found._asdict().items() if share > 0 or name != "llk_free"},
        "llk_all": float(whole.llk),
        "chi_rms_all": float(whole.chi_rms),
        "free_fraction": share,
    }
