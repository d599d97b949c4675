"""Coarse to fine: the middle of a pattern alone, which is of the same crystal on larger voxels.

What is far from the peak tells of fine detail. Without it arrays are smaller, iterations cost less, and there are fewer
phases to go wrong; a step on the whole array takes over from what they found. Arrays are in corner order.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float
from scipy.fft import next_fast_len

from .pattern import DevicePattern

Shape = tuple[int, int, int]
_LEAST = 8
"""Voxels along an axis below which nothing is left to phase."""


def shape_of(whole: Shape, band: float) -> Shape:
    """Shape of the middle of an array, of sizes that are quick to transform.

    Args:
        whole: Of the array.
        band: Part of each axis to keep.
    """
    if band >= 1:
        return whole
    z, y, x = (min(n, next_fast_len(max(round(band * n), min(n, _LEAST)))) for n in whole)
    return z, y, x


def middle_of(pattern: DevicePattern, band: float) -> DevicePattern:
    """The middle of a pattern.

    Args:
        pattern: The measurement.
        band: Part of each axis to keep.
    """
    nz, ny, nx = pattern.counts.shape
    shape = shape_of((nz, ny, nx), band)
    return DevicePattern(
        _kept(pattern.amplitude, shape),
        _kept(pattern.counts, shape),
        _kept(pattern.fitted, shape),
        _kept(pattern.free, shape),
        _kept(pattern.exposure, (shape[0], 1, 1)),
    )


@partial(jax.jit, static_argnums=1)
def resampled(density: Complex[Array, "z y x"], shape: Shape) -> Complex[Array, "z2 y2 x2"]:
    """Bring a density to voxels of another size; its far field is cut off, or goes on as zeros.

    Args:
        density: The iterate.
        shape: Of the array it is for.
    """
    wave = jnp.fft.fftn(density)
    for axis, wanted in enumerate(shape):
        n = wave.shape[axis]
        if wanted < n:
            wave = wave[_low(n, wanted, axis)]
        elif wanted > n:
            first, second = jnp.split(wave, [(n + 1) // 2], axis=axis)
            between = jnp.zeros((*wave.shape[:axis], wanted - n, *wave.shape[axis + 1 :]), wave.dtype)
            wave = jnp.concatenate([first, between, second], axis=axis)
    return jnp.fft.ifftn(wave)


def resampled_support(support: Float[Array, "z y x"], shape: Shape) -> Float[Array, "z2 y2 x2"]:
    """Bring a support to voxels of another size: a voxel is inside where most of it was."""
    found = resampled(jax.lax.complex(support, jnp.zeros_like(support)), shape).real
    inside: Float[Array, "z2 y2 x2"] = (found * (np.prod(shape) / support.size) > 0.5).astype(jnp.float32)
    return inside


def _kept(array: Float[Array, "..."], shape: Shape) -> Float[Array, "..."]:
    for axis, wanted in enumerate(shape):
        n = array.shape[axis]
        array = array if wanted >= n else array[_low(n, wanted, axis)]
    return array


def _low(n: int, wanted: int, axis: int) -> tuple[slice | np.ndarray, ...]:
    """Which of n frequencies are the lowest so many: 0 and up, and the negative ones, which stand at the end."""
    kept = np.r_[0 : (wanted + 1) // 2, n - wanted // 2 : n]
    return (*(slice(None) for _ in range(axis)), kept)
