"""Multiresolution: a crystal on larger voxels, whose pattern is the middle of the measured one, or on finer ones.

Frequencies far from the peak carry fine detail. Without them arrays are smaller, iterations cost less, and fewer phases
can go wrong; a later step on the whole array continues from their result. Arrays are (z, y, x) in FFT order (origin at
index 0).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Num
from scipy.fft import next_fast_len

from .pattern import DevicePattern
from .projections import UNMEASURED

Shape = tuple[int, int, int]
_MIN_SIZE = 8
"""[voxel] Smallest size along an axis."""


def band_shape(whole: Shape, band: float) -> Shape:
    """Compute the shape of the middle of an array, with sizes that the FFT transforms quickly.

    Args:
        whole: Shape of the array.
        band: Fraction of each axis to keep.
    """
    if band >= 1:
        return whole
    z, y, x = (min(n, next_fast_len(max(round(band * n), min(n, _MIN_SIZE)))) for n in whole)
    return z, y, x


def crop_pattern(pattern: DevicePattern, band: float) -> DevicePattern:
    """Take the middle of a pattern.

    Args:
        pattern: Measured pattern.
        band: Fraction of each axis to keep.
    """
    nz, ny, nx = pattern.counts.shape
    return resize_pattern(pattern, band_shape((nz, ny, nx), band))


def resize_pattern(pattern: DevicePattern, shape: Shape) -> DevicePattern:
    """Take the middle of a pattern, or surround it by pixels that are neither fitted nor withheld.

    Args:
        pattern: Measured pattern.
        shape: New shape.
    """
    resized = DevicePattern(
        resize(pattern.amplitude, shape, UNMEASURED),
        resize(pattern.counts, shape),
        resize(pattern.fitted, shape),
        resize(pattern.free, shape),
        resize(pattern.exposure, (shape[0], 1, 1), 1.0),
        _resize_positions(pattern.positions, shape[0]),
    )
    if resized.positions is None or shape[0] >= pattern.counts.shape[0]:
        return resized
    # A frame beyond the ends of the smaller array would be taken for one of its other end.
    within = (jnp.abs(resized.positions[:, 0]) <= shape[0] / 2)[:, None, None]
    return resized._replace(
        amplitude=jnp.where(within, resized.amplitude, UNMEASURED),
        fitted=jnp.where(within, resized.fitted, 0.0),
        free=jnp.where(within, resized.free, 0.0),
    )


def _resize_positions(positions: Float[Array, "z 3"] | None, count: int) -> Float[Array, "z2 3"] | None:
    """Resize the positions of the frames; frames beyond the measured ones are at even steps."""
    if positions is None or count == len(positions):
        return positions
    if count < len(positions):
        return positions[_low_frequencies(len(positions), count, 0)]
    even = jnp.asarray(np.stack([np.fft.fftfreq(count) * count, np.zeros(count), np.zeros(count)], axis=1), jnp.float32)
    first, last = (len(positions) + 1) // 2, len(positions) // 2
    return jnp.concatenate([positions[:first], even[first : count - last], positions[first:]])


@partial(jax.jit, static_argnums=1)
def resample_density(density: Complex[Array, "z y x"], shape: Shape) -> Complex[Array, "z2 y2 x2"]:
    """Resample a density to voxels of another size: its far field is cropped or padded with zeros.

    Args:
        density: Iterate.
        shape: New shape.
    """
    return jnp.fft.ifftn(resize(jnp.fft.fftn(density), shape))


def resample_support(support: Float[Array, "z y x"], shape: Shape) -> Float[Array, "z2 y2 x2"]:
    """Resample a support to voxels of another size: a voxel is inside where most of it was."""
    occupancy = resample_density(jax.lax.complex(support, jnp.zeros_like(support)), shape).real
    inside: Float[Array, "z2 y2 x2"] = (occupancy * (np.prod(shape) / support.size) > 0.5).astype(jnp.float32)
    return inside


def resize(array: Num[Array, "..."], shape: tuple[int, ...], value: float = 0.0) -> Num[Array, "..."]:
    """Take the lowest frequencies of each axis, or insert new ones of one value between positive and negative ones."""
    for axis, size in enumerate(shape):
        n = array.shape[axis]
        if size < n:
            array = array[_low_frequencies(n, size, axis)]
        elif size > n:
            first, second = jnp.split(array, [(n + 1) // 2], axis=axis)
            between = jnp.full((*array.shape[:axis], size - n, *array.shape[axis + 1 :]), value, array.dtype)
            array = jnp.concatenate([first, between, second], axis=axis)
    return array


def _low_frequencies(n: int, count: int, axis: int) -> tuple[slice | np.ndarray, ...]:
    """Index the lowest of n frequencies along an axis: those from 0 up, and the negative ones at the end."""
    indices = np.r_[0 : (count + 1) // 2, n - count // 2 : n]
    return (*(slice(None) for _ in range(axis)), indices)
