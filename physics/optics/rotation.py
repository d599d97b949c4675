"""Rotation of a sampled specimen, by shears that are exact for band-limited samples.

A rotation by θ about one axis is three shears (Unser, Thévenaz & Yaroslavsky, IEEE TIP 4, 1371, 1995): along the first
of the other two axes by −tan(θ/2), along the second by sin θ, along the first again. Each shifts lines by a phase ramp
over their spectra, without interpolation, and the adjoint is the inverse rotation. Angles beyond 45° begin with quarter
turns, which only permute samples. Any rotation is at most three such rotations, about z, x and z again.

Axes ``z y x`` are numbered 0, 1, 2. A rotation about axis a by θ takes the next axis (a + 1) towards the one after
it, cyclically. Spacing and number of samples are the same along the rotated axes. The lattice is periodic, and the
first shear widens the specimen by up to 1/cos(22.5°): it must fit into 0.92 of the inscribed sphere (or cylinder).
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ..rotation import axis_rotation

_EULER_AXES = (0, 2, 0)
"""Axes z, x, z, in the order of application."""
ROUNDING = 1e-6
"""Error of a matrix's entries that counts as rounding in single precision."""


def shear_angles(rotations: Float[np.ndarray, "view 3 3"]) -> tuple[tuple[int, ...], Float[np.ndarray, "view rotate"]]:
    """Decompose rotations into one rotation about z, y or x if all share that axis, else into three (z, x, z).

    Args:
        rotations: Matrices on (z, y, x).

    Returns:
        The axes in the order of application, and the angles [rad] for each rotation.

    Raises:
        ValueError: If a matrix is not a rotation.
    """
    for axis in range(3):
        others = [i for i in range(3) if i != axis]
        mixing = np.abs([rotations[:, axis, others], rotations[:, others, axis]])
        if mixing.max(initial=0) < ROUNDING and np.all(rotations[:, axis, axis] > 0):
            first, second = (axis + 1) % 3, (axis + 2) % 3
            angles = np.arctan2(rotations[:, second, first], rotations[:, first, first])[:, None]
            return (axis,), _check_decomposition((axis,), angles, rotations)
    angles = np.stack([_euler_angles(rotation) for rotation in rotations])
    return _EULER_AXES, _check_decomposition(_EULER_AXES, angles, rotations)


def _euler_angles(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " 3"]:
    """Compute the angles (c, b, a) of R = R_z(a) · R_x(b) · R_z(c)."""
    a = np.arctan2(rotation[2, 0], rotation[1, 0])
    b = np.arctan2(np.hypot(rotation[1, 0], rotation[2, 0]), rotation[0, 0])
    # c from the remaining rotation about z: where b is 0, a is arbitrary and c must complete it
    about_z = axis_rotation(2, -b) @ axis_rotation(0, -a) @ rotation
    return np.array([np.arctan2(about_z[2, 1], about_z[1, 1]), b, a])


def _check_decomposition(
    axes: tuple[int, ...], angles: Float[np.ndarray, "view rotate"], rotations: Float[np.ndarray, "view 3 3"]
) -> Float[np.ndarray, "view rotate"]:
    """Return the angles, or raise ValueError if their rotations do not multiply to the given matrices."""
    for view_angles, rotation in zip(angles, rotations, strict=True):
        product = np.eye(3)
        for axis, angle in zip(axes, view_angles, strict=True):
            product = axis_rotation(axis, angle) @ product
        if not np.allclose(product, rotation, atol=ROUNDING):
            raise ValueError(f"not a rotation: {rotation.tolist()}")
    return angles


def rotate(
    values: Float[Array, "c z y x"], axes: tuple[int, ...], angles: Float[Array, " rotate"]
) -> Float[Array, "c z y x"]:
    """Rotate a sampled specimen: the value at R·r afterwards is the value at r before.

    Args:
        values: Samples; the specimen is 0 towards the edges.
        axes: Axes in the order of application.
        angles: [rad] Angle about each axis.
    """
    for i, axis in enumerate(axes):
        values = _rotate_about(values, axis, angles[i])
    return values


def _rotate_about(values: Float[Array, "c z y x"], axis: int, angle: Float[Array, ""]) -> Float[Array, "c z y x"]:
    """Rotate about one axis by quarter turns and three shears for the remaining angle, at most 45°."""
    first, second = 1 + (axis + 1) % 3, 1 + (axis + 2) % 3
    quarter_turns = jnp.round(angle / (np.pi / 2))
    remainder = angle - quarter_turns * (np.pi / 2)
    branches = [lambda v, k=k: _quarter_turns(v, k, first, second) for k in range(4)]
    values = lax.switch(quarter_turns.astype(jnp.int32) % 4, branches, values)
    slope = -jnp.tan(remainder / 2)
    values = _shear(values, first, second, slope)
    values = _shear(values, second, first, jnp.sin(remainder))
    return _shear(values, first, second, slope)


def _quarter_turns(values: Float[Array, "c z y x"], k: int, first: int, second: int) -> Float[Array, "c z y x"]:
    """Rotate by quarter turns about sample ``n // 2``, for odd and even numbers of samples."""
    for _ in range(k):
        values = _flip(jnp.swapaxes(values, first, second), first)
    return values


def _flip(values: Float[Array, "c z y x"], axis: int) -> Float[Array, "c z y x"]:
    """Flip an axis about sample ``n // 2``."""
    flipped = jnp.flip(values, axis)
    return jnp.roll(flipped, 1, axis) if values.shape[axis] % 2 == 0 else flipped


def _shear(values: Float[Array, "c z y x"], along: int, by: int, slope: Float[Array, ""]) -> Float[Array, "c z y x"]:
    """Shift each line along one axis by slope times its coordinate along another."""
    size, lines = values.shape[along], values.shape[by]
    spectrum = jnp.fft.rfft(values, axis=along)
    frequency = jnp.arange(size // 2 + 1, dtype=values.dtype) / size
    coordinate = jnp.arange(lines, dtype=values.dtype) - lines // 2
    phase = -2 * jnp.pi * slope * coordinate[:, None] * frequency[None, :]
    ramp = lax.complex(jnp.cos(phase), jnp.sin(phase))
    if size % 2 == 0:  # a shift by s samples multiplies the Nyquist frequency, which has no sign, by cos πs
        ramp = ramp.at[:, -1].set(lax.complex(jnp.cos(phase[:, -1]), jnp.zeros_like(phase[:, -1])))
    shape = [1] * values.ndim
    shape[by], shape[along] = lines, size // 2 + 1
    ramp = ramp if by < along else ramp.T
    return jnp.fft.irfft(spectrum * ramp.reshape(shape), n=size, axis=along)
