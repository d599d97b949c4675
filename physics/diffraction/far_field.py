"""Far-field diffraction of a complex density, and its misfit to measured counts.

Notation
--------
ρ     complex density of the crystal, s·e^(iφ), on the grid conjugate to the measured array; φ = −G·u
F     its far field, F(q) = Σ ρ(r) e^(−iq·r): the forward FFT, unnormalised
C     modelled counts, |F|² ⊛ psf + background; the density is scaled so that |F|² is in counts
I     measured counts
w     weight of a pixel: 1 where it counts, 0 where it is bad or withheld

Axes are (frame, y, x) of the detector and (z, y, x) of the conjugate grid. In files the centre is at ``n // 2``;
here arrays are in FFT order, with the origin at index 0 (:func:`ifftshift3`, :func:`fftshift3`). Axes before the last
three are a batch.

The point-spread function of partial coherence and of the detector is the Gaussian of a pixel grid, see `psf`.
"""

from functools import lru_cache
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float
from scipy.special import gammaln, xlogy

from ..psf import convolve_transfer

AXES = (-3, -2, -1)
LEAST_COUNTS = 0.1
"""[counts] Floor of the modelled counts in the likelihood: no real pixel is darker."""

AnyArray = TypeVar("AnyArray", np.ndarray, jax.Array)


def ifftshift3(centred: AnyArray) -> AnyArray:
    """Move the centre from ``n // 2`` to index 0, over the last three axes."""
    if isinstance(centred, np.ndarray):
        return np.fft.ifftshift(centred, axes=AXES)
    return jnp.fft.ifftshift(centred, axes=AXES)


def fftshift3(fft_ordered: AnyArray) -> AnyArray:
    """Move the centre from index 0 to ``n // 2``, over the last three axes."""
    if isinstance(fft_ordered, np.ndarray):
        return np.fft.fftshift(fft_ordered, axes=AXES)
    return jnp.fft.fftshift(fft_ordered, axes=AXES)


def far_field(density: Complex[Array, "*batch z y x"]) -> Complex[Array, "*batch z y x"]:
    """Compute the diffracted amplitudes F of a density, both in FFT order."""
    return jnp.fft.fftn(density, axes=AXES)


def intensity(
    density: Complex[Array, "*batch z y x"],
    transfer: Float[Array, "z y x"] | None = None,
    background: Float[Array, "..."] | float = 0.0,
) -> Float[Array, "*batch z y x"]:
    """Compute the modelled counts C of a density, in FFT order (origin at index 0).

    Args:
        density: Density in FFT order, scaled so that |F|² is in counts.
        transfer: Fourier transform of the point-spread function (`psf.gaussian_transfer`); None for full coherence.
        background: [counts] Background in each pixel.
    """
    field = far_field(density)
    counts = field.real**2 + field.imag**2
    return (counts if transfer is None else convolve_transfer(counts, transfer)) + background


def deviance(
    counts: Float[Array, "*batch z y x"],
    modelled: Float[Array, "*batch z y x"],
    weights: Float[Array, "*batch z y x"],
    floor: float = LEAST_COUNTS,
) -> Float[Array, ""]:
    """Compute the Poisson deviance per pixel, 2·mean[C − I + I ln(I/C)].

    It is about 1 for a perfect model where counts exceed about 1; less where most pixels are dark: an empty pixel adds
    twice the modelled counts, at least twice the floor.

    Args:
        counts: Measured counts I.
        modelled: Modelled counts C.
        weights: 1 for pixels that count, 0 for others.
        floor: [counts] Value that smaller modelled counts are set to.
    """
    modelled = jnp.maximum(modelled, floor)
    # C·[(1 + x) ln(1 + x) − x] with x = I/C − 1: the plain form loses 1e7 counts to float32's rounding.
    excess = (counts - modelled) / modelled
    lit = counts > 0
    logarithm = jnp.log1p(jnp.where(lit, excess, 0))
    each = modelled * (jnp.where(lit, (1 + excess) * logarithm, 0) - excess)
    return 2 * jnp.sum(weights * each) / jnp.sum(weights)


def pixel_deviance(
    counts: Float[np.ndarray, "*#shape"], modelled: Float[np.ndarray, "*#shape"], floor: float = LEAST_COUNTS
) -> Float[np.ndarray, "*shape"]:
    """Compute the Poisson deviance of each pixel on the host in float64, 2·[C − I + I ln(I/C)]; see `deviance`."""
    model = np.maximum(modelled, floor)
    return np.asarray(2 * (model - counts + xlogy(counts, counts / model)))


def expected_deviance(
    modelled: Float[np.ndarray, "*shape"], floor: float = LEAST_COUNTS
) -> Float[np.ndarray, "*shape"]:
    """Compute the expectation of each pixel's Poisson deviance if the model is right: exact, and 1 where it is bright.

    Args:
        modelled: Modelled counts C, which the counts are distributed about.
        floor: [counts] Value that smaller modelled counts are set to in the deviance, as in `deviance`; the counts are
            distributed about the modelled counts as they are.
    """
    nodes, values = _expected_deviance_table(floor)
    bright = np.interp(np.log(np.clip(modelled, nodes[0], None)), np.log(nodes), values)
    bright = np.where(modelled > nodes[-1], 1 + 1 / (6 * np.maximum(modelled, nodes[-1])), bright)
    # Below the floor the counts are 0, or rarely 1.
    dark = 2 * floor + 2 * np.clip(modelled, 0, None) * (-1 - np.log(floor))
    return np.asarray(np.where(modelled < nodes[0], dark, bright))


@lru_cache(maxsize=4)
def _expected_deviance_table(floor: float) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    """Sum the deviance over the Poisson distribution, for mean counts from a tenth of the floor to 1000."""
    means = np.geomspace(0.1 * floor, 1000, 400)[:, None]
    counts = np.arange(1500.0)[None]
    probability = np.exp(xlogy(counts, means) - means - gammaln(counts + 1))
    return means[:, 0], np.sum(probability * pixel_deviance(counts, means, floor), axis=1)


def chi_rms(
    modelled_amplitude: Float[Array, "*batch z y x"],
    counts: Float[Array, "*batch z y x"],
    weights: Float[Array, "*batch z y x"],
) -> Float[Array, ""]:
    """Compute the relative error of the amplitudes, √(Σ w (|F| − √I)² / Σ w I).

    Args:
        modelled_amplitude: |F|, or the root of the modelled counts.
        counts: Measured counts I.
        weights: 1 for pixels that count, 0 for others.
    """
    error = jnp.sum(weights * (modelled_amplitude - jnp.sqrt(counts)) ** 2)
    return jnp.sqrt(error / jnp.sum(weights * counts))
