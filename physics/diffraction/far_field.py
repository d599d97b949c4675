"""Far-field diffraction of a complex density, and how badly it misses the counts.

Notation
--------
ρ     complex density of the crystal, s·e^(iφ), on the grid conjugate to the measured array; φ = −G·u
F     its far field, F(q) = Σ ρ(r) e^(−iq·r): the forward FFT, unnormalised
C     modelled counts, |F|² ⊛ psf + background; the density is scaled so that |F|² is in counts
I     measured counts
w     weight of a pixel: 1 where it is measured, 0 where not (bad, or withheld)

Axes are (frame, y, x) of the detector and (z, y, x) of the conjugate grid. On files the centre stands at ``n // 2``;
here it stands in the *corner*, at index 0, as the FFT has it (:func:`ifftshift3`, :func:`fftshift3`). Axes before the
last three are a batch.

The point-spread function of partial coherence and of the detector is the Gaussian of a pixel grid (Lindeberg, IEEE PAMI
12, 234 (1990), eq. 39), psf(n) = e^(−σ²) I_n(σ²) with the modified Bessel functions I_n. It is positive, sums to 1 and
has the variance σ² exactly, however narrow it is; a Gaussian that is sampled has not, below σ ≈ 0.7, and one whose
transfer function is cut off at the edge of the band rings below zero.
"""

from collections.abc import Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float
from scipy.special import ive

AXES = (-3, -2, -1)
LEAST_COUNTS = 0.1
"""Modelled counts below this are taken for this in the likelihood: no real pixel is darker."""
_TAIL = 1e-9

AnyArray = TypeVar("AnyArray", np.ndarray, jax.Array)


def ifftshift3(centred: AnyArray) -> AnyArray:
    """Move the centre from ``n // 2`` to index 0, over the last three axes."""
    if isinstance(centred, np.ndarray):
        return np.fft.ifftshift(centred, axes=AXES)
    return jnp.fft.ifftshift(centred, axes=AXES)


def fftshift3(cornered: AnyArray) -> AnyArray:
    """Move the centre from index 0 to ``n // 2``, over the last three axes."""
    if isinstance(cornered, np.ndarray):
        return np.fft.fftshift(cornered, axes=AXES)
    return jnp.fft.fftshift(cornered, axes=AXES)


def far_field(density: Complex[Array, "*batch z y x"]) -> Complex[Array, "*batch z y x"]:
    """Diffracted amplitudes F of a density, both in corner order."""
    return jnp.fft.fftn(density, axes=AXES)


def gaussian_transfer(shape: tuple[int, int, int], sigmas: Float[Array, " 3"]) -> Float[Array, "z y x"]:
    """Fourier transform of the Gaussian point-spread function, exp(−Σ σ² (1 − cos 2πf)), in corner order.

    It is differentiable in the widths, at zero too.

    Args:
        shape: Of the measured array.
        sigmas: Standard deviations of the point-spread function along (frame, y, x), in pixels.
    """
    falls = [2 * np.sin(np.pi * np.fft.fftfreq(n)) ** 2 for n in shape]
    z, y, x = (jnp.exp(-(s**2) * jnp.asarray(f, sigmas.dtype)) for s, f in zip(sigmas, falls, strict=True))
    return z[:, None, None] * y[None, :, None] * x[None, None, :]


def gaussian_taps(sigma: float) -> Float[np.ndarray, " tap"]:
    """Odd number of taps, summing to 1, of the Gaussian of a pixel grid.

    Args:
        sigma: Standard deviation in pixels.
    """
    reach = np.arange(int(np.ceil(8 + 7 * sigma)) + 1)
    half = ive(reach, float(sigma) ** 2)
    half = half[: max(int(np.sum(half > _TAIL)), 1)]
    both = np.concatenate([half[:0:-1], half])
    taps: Float[np.ndarray, " tap"] = both / both.sum()
    return taps


def gaussian_kernel(sigmas: Sequence[float] | Float[np.ndarray, " 3"]) -> Float[np.ndarray, "z y x"]:
    """The point-spread function itself, as files keep it: of odd sizes, sum 1, centre in the middle.

    A circular convolution with it is a multiplication by :func:`gaussian_transfer`.

    Args:
        sigmas: Standard deviations along (frame, y, x), in pixels.
    """
    z, y, x = (gaussian_taps(float(sigma)) for sigma in sigmas)
    kernel: Float[np.ndarray, "z y x"] = z[:, None, None] * y[:, None] * x
    return kernel


def blur_intensity(
    intensity: Float[Array, "*batch z y x"], transfer: Float[Array, "z y x"]
) -> Float[Array, "*batch z y x"]:
    """Convolve an intensity circularly with a point-spread function; nothing below zero is left.

    Args:
        intensity: In corner order.
        transfer: Fourier transform of the point-spread function, real and even, in corner order.
    """
    shape = intensity.shape[-3:]
    half = transfer[:, :, : shape[2] // 2 + 1].reshape((1,) * (intensity.ndim - 3) + (*shape[:2], -1))
    spectrum = jnp.fft.rfftn(intensity, axes=AXES)
    spectrum = lax.complex(spectrum.real * half, spectrum.imag * half)
    # Next to a strong peak the transform's rounding is larger than the faintest counts, and of either sign.
    return jnp.maximum(jnp.fft.irfftn(spectrum, s=shape, axes=AXES), 0)


def intensity(
    density: Complex[Array, "*batch z y x"],
    transfer: Float[Array, "z y x"] | None = None,
    background: Float[Array, "..."] | float = 0.0,
) -> Float[Array, "*batch z y x"]:
    """Modelled counts of a density, in corner order.

    Args:
        density: In corner order, scaled so that |F|² is in counts.
        transfer: Of the point-spread function (:func:`gaussian_transfer`); None for full coherence.
        background: Counts in each pixel that no diffraction made.
    """
    field = far_field(density)
    counts = field.real**2 + field.imag**2
    return (counts if transfer is None else blur_intensity(counts, transfer)) + background


def deviance(
    counts: Float[Array, "*batch z y x"],
    modelled: Float[Array, "*batch z y x"],
    weights: Float[Array, "*batch z y x"],
    floor: float = LEAST_COUNTS,
) -> Float[Array, ""]:
    """Poisson deviance per voxel, 2·mean[C − I + I ln(I/C)] over the weights; 1 for perfect counting statistics.

    Args:
        counts: Measured, I.
        modelled: C; what is below the floor counts as the floor.
        weights: 1 for a pixel that takes part, 0 for one that does not.
        floor: Smallest modelled counts.
    """
    modelled = jnp.maximum(modelled, floor)
    # C·[(1 + x) ln(1 + x) − x] with x = I/C − 1: the plain form loses 1e7 counts to float32's rounding.
    excess = (counts - modelled) / modelled
    some = counts > 0
    logarithm = jnp.log1p(jnp.where(some, excess, 0))
    each = modelled * (jnp.where(some, (1 + excess) * logarithm, 0) - excess)
    return 2 * jnp.sum(weights * each) / jnp.sum(weights)


def chi_rms(
    modelled_amplitude: Float[Array, "*batch z y x"],
    counts: Float[Array, "*batch z y x"],
    weights: Float[Array, "*batch z y x"],
) -> Float[Array, ""]:
    """Relative error of the amplitudes, √(Σ w (|F| − √I)² / Σ w I).

    Args:
        modelled_amplitude: |F|, or the root of the modelled counts.
        counts: Measured, I.
        weights: 1 for a pixel that takes part, 0 for one that does not.
    """
    missed = jnp.sum(weights * (modelled_amplitude - jnp.sqrt(counts)) ** 2)
    return jnp.sqrt(missed / jnp.sum(weights * counts))
