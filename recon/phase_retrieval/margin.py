"""Last refinement on voxels finer than the detector resolves, so that the array reaches beyond the measured pixels.

An FFT is periodic: on voxels as large as the detector resolves, what an edge sharper than a voxel scatters beyond the
detector is folded onto it, and opposite faces of the pattern meet. An array with a margin of unmeasured pixels has
finer voxels, in which a sharp edge fits; the scattering beyond the detector falls into the margin. Arrays are
(z, y, x) in FFT order (origin at index 0).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float
from scipy.fft import next_fast_len

from .multiresolution import Shape, resample_density, resample_support
from .pattern import DevicePattern
from .projections import UNMEASURED
from .refinement import RefinementState, init_refinement


def extended_shape(shape: Shape, margin: float) -> Shape:
    """Compute the shape of an array with its margin, with sizes that the FFT transforms quickly.

    Args:
        shape: Shape of the measured array.
        margin: Fraction of each axis to add.
    """
    z, y, x = (next_fast_len(round((1 + margin) * n)) for n in shape)
    return z, y, x


def extend_pattern(pattern: DevicePattern, margin: float) -> DevicePattern:
    """Surround a pattern by pixels that are neither fitted nor withheld.

    Args:
        pattern: Measured pattern.
        margin: Fraction of each axis to add.
    """
    nz, ny, nx = pattern.counts.shape
    shape = extended_shape((nz, ny, nx), margin)
    return DevicePattern(
        _pad(pattern.amplitude, shape, UNMEASURED),
        _pad(pattern.counts, shape, 0.0),
        _pad(pattern.fitted, shape, 0.0),
        _pad(pattern.free, shape, 0.0),
        _pad(pattern.exposure, (shape[0], 1, 1), 1.0),
    )


def resample_refinement(state: RefinementState, shape: Shape) -> RefinementState:
    """Resample a refinement to the voxels of an array of another shape.

    The far field stays the same at the pixels that both arrays have. On larger voxels a sharp edge rings a little
    outside the support.

    Args:
        state: State of the refinement.
        shape: New shape.
    """
    density, support = resample_density(state.density, shape), resample_support(state.support, shape)
    return init_refinement(density, jnp.ones_like(support), state.point_spread)._replace(support=support)


def _pad(array: Float[Array, "..."], shape: Shape, value: float) -> Float[Array, "..."]:
    """Insert pixels of one value between the highest positive frequency of each axis and the negative ones."""
    for axis, size in enumerate(shape):
        n = array.shape[axis]
        if size > n:
            first, second = jnp.split(array, [(n + 1) // 2], axis=axis)
            missing = (*array.shape[:axis], size - n, *array.shape[axis + 1 :])
            array = jnp.concatenate([first, jnp.full(missing, value, array.dtype), second], axis=axis)
    return array
