"""Supports: the first guess, shrink-wrap, and half a support against the twin.

Arrays are (z, y, x) in FFT order (origin at index 0); supports are float32, 1 inside and 0 outside.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ...physics.psf import convolve_transfer, gaussian_transfer
from .projections import abs2


def autocorrelation_support(
    counts: Float[Array, "z y x"], weights: Float[Array, "z y x"], threshold: Float[Array, ""] | float
) -> Float[Array, "z y x"]:
    """Estimate the support by the autocorrelation, the Fourier transform of the counts; it is twice too large.

    Args:
        counts: Measured counts.
        weights: 1 for good pixels, 0 for bad ones.
        threshold: Fraction of the largest autocorrelation at a shift of one voxel.
    """
    spectrum = jnp.fft.rfftn(counts * weights)
    magnitude = jnp.abs(spectrum)
    # The value at shift 0 also holds the background and the noise of all pixels.
    largest = jnp.maximum(jnp.maximum(magnitude[0, 0, 1], magnitude[0, 1, 0]), magnitude[1, 0, 0])
    half = (magnitude > threshold * largest).astype(jnp.float32)
    # The other half of the spectrum of a real array mirrors this one.
    shape = counts.shape
    z, y, x = (jnp.arange(n) for n in shape)
    mirrored = half[(-z) % shape[0]][:, (-y) % shape[1]][:, :, jnp.minimum((-x) % shape[2], shape[2] // 2)]
    direct = half[:, :, jnp.minimum(x, shape[2] // 2)]
    return jnp.where(x[None, None, :] <= shape[2] // 2, direct, mirrored)


def shrink_wrap(
    density: Complex[Array, "z y x"],
    support: Float[Array, "z y x"],
    sigma: Float[Array, ""] | float,
    threshold: Float[Array, ""] | float,
) -> Float[Array, "z y x"]:
    """Update the support by shrink-wrap (Marchesini et al. 2003).

    Args:
        density: Density after projection onto the measurement, also outside the support.
        support: Present support.
        sigma: [voxel] Width of the Gaussian that blurs the amplitude.
        threshold: Least blurred amplitude, in units of the amplitude's rms within the support.

    Returns:
        The new support; the present one if the new one is empty.
    """
    intensity = abs2(density)
    rms = jnp.sqrt(jnp.sum(intensity * support) / jnp.maximum(jnp.sum(support), 1.0))
    nz, ny, nx = density.shape
    transfer = gaussian_transfer((nz, ny, nx), jnp.full((3,), sigma, jnp.float32))
    new = (convolve_transfer(jnp.sqrt(intensity), transfer) > threshold * rms).astype(jnp.float32)
    return jnp.where(jnp.sum(new) > 0, new, support)


def half_support(
    density: Complex[Array, "z y x"], support: Float[Array, "z y x"], direction: Float[Array, "3"]
) -> Float[Array, "z y x"]:
    """Keep the side of the support that lies along a direction from the object's centre.

    An object and its twin start equally likely and may grow into one another; half a support favours one of them.

    Args:
        density: Density, for its centre.
        support: Support to halve.
        direction: Direction (z, y, x), of any length.
    """
    mass = abs2(density) * support
    side = jnp.zeros(support.shape, jnp.float32)
    for axis, n in enumerate(support.shape):
        angle = 2 * jnp.pi * jnp.arange(n, dtype=jnp.float32) / n
        line = jnp.sum(mass, axis=tuple(a for a in range(3) if a != axis))
        centre = jnp.arctan2(jnp.sum(line * jnp.sin(angle)), jnp.sum(line * jnp.cos(angle)))  # on a ring of n voxels
        offset = (angle - centre + jnp.pi) % (2 * jnp.pi) - jnp.pi
        side = side + (direction[axis] * n * offset).reshape([-1 if a == axis else 1 for a in range(3)])
    return support * (side >= 0).astype(jnp.float32)


def random_density(
    key: Array, counts: Float[Array, "z y x"], weights: Float[Array, "z y x"], support: Float[Array, "z y x"]
) -> Complex[Array, "z y x"]:
    """Fill a support with random complex numbers that diffract the measured number of counts."""
    first, second = jax.random.split(key)
    modulus = jax.random.uniform(first, support.shape, jnp.float32) * support
    angle = 2 * jnp.pi * jax.random.uniform(second, support.shape, jnp.float32)
    power = jnp.sum(counts * weights) / counts.size
    modulus = modulus * jnp.sqrt(power / jnp.maximum(jnp.sum(modulus**2), 1e-20))
    return jax.lax.complex(modulus * jnp.cos(angle), modulus * jnp.sin(angle))
