"""Turning a sampled specimen, by shears that are exact for what the lattice can hold.

A turn by θ about one axis is three shears (Unser, Thévenaz & Yaroslavsky, IEEE TIP 4, 1371, 1995): along the first of
the other two axes by −tan(θ/2), along the second by sin θ, along the first again. Each is a shift of lines, a phase ramp
over their spectra: no gather, nothing smoothed, and its adjoint is the turn back. Angles beyond 45° begin with quarter
turns, which only exchange samples. Any rotation is at most three such turns, about z, y and z again.

Axes ``z y x`` are numbered 0, 1, 2. A turn about axis a by θ takes the next axis (a + 1) toward the one after (a + 2),
cyclically. The lattice has the same spacing and number of samples along every axis that is turned; what leaves it on one
side comes back on the other, so the specimen must fit into the inscribed sphere (or cylinder).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


def axis_turn(axis: int, angle: float) -> Float[np.ndarray, "3 3"]:
    """Matrix, on (z, y, x), of a turn about one axis [rad]."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[second, first], matrix[first, second] = sine, -sine
    return matrix


def turn_angles(rotations: Float[np.ndarray, "view 3 3"]) -> tuple[tuple[int, ...], Float[np.ndarray, "view turn"]]:
    """Split rotations into turns about fixed axes: as few as will do for all of them.

    Args:
        rotations: Matrices on (z, y, x).

    Returns:
        The axes, first turn first, and the angles [rad] of each rotation.
    """
    for axis in range(3):
        if np.allclose(rotations[:, axis, axis], 1, atol=1e-9):
            first, second = (axis + 1) % 3, (axis + 2) % 3
            return (axis,), np.arctan2(rotations[:, second, first], rotations[:, first, first])[:, None]
    # R = turn_z(a) · turn_y(b) · turn_z(c): the last applied stands first
    b = np.arccos(np.clip(rotations[:, 0, 0], -1, 1))
    level = np.abs(np.sin(b)) < 1e-9
    a = np.where(level, 0.0, np.arctan2(rotations[:, 2, 0], rotations[:, 1, 0]))
    c = np.where(level, np.arctan2(rotations[:, 2, 1], rotations[:, 1, 1]), np.arctan2(rotations[:, 0, 2], -rotations[:, 0, 1]))
    angles = np.stack([c, b, a], axis=1)
    return (0, 2, 0), _checked(angles, rotations)


def _checked(angles: Float[np.ndarray, "view 3"], rotations: Float[np.ndarray, "view 3 3"]) -> np.ndarray:
    axes = (0, 2, 0)
    for angle, rotation in zip(angles, rotations, strict=True):
        product = np.eye(3)
        for axis, each in zip(axes, angle, strict=True):
            product = axis_turn(axis, each) @ product
        if not np.allclose(product, rotation, atol=1e-6):
            raise ValueError(f"not a rotation: {rotation.tolist()}")
    return angles


def turn(
    values: Float[Array, "c z y x"], axes: tuple[int, ...], angles: Float[Array, " turn"]
) -> Float[Array, "c z y x"]:
    """Turn a sampled specimen: the value at R·r afterwards is the value at r before.

    Args:
        values: Samples; the specimen is 0 towards the rim.
        axes: Axes of the turns, first turn first.
        angles: [rad] Their angles.
    """
    for i, axis in enumerate(axes):
        values = _turn_about(values, axis, angles[i])
    return values


def _turn_about(values: Float[Array, "c z y x"], axis: int, angle: Float[Array, ""]) -> Float[Array, "c z y x"]:
    first, second = 1 + (axis + 1) % 3, 1 + (axis + 2) % 3
    quarters = jnp.round(angle / (np.pi / 2))
    left = angle - quarters * (np.pi / 2)
    branches = [lambda v, k=k: _quarter_turns(v, k, first, second) for k in range(4)]
    values = lax.switch(quarters.astype(jnp.int32) % 4, branches, values)
    slope = -jnp.tan(left / 2)
    values = _shear(values, first, second, slope)
    values = _shear(values, second, first, jnp.sin(left))
    return _shear(values, first, second, slope)


def _quarter_turns(values: Float[Array, "c z y x"], k: int, first: int, second: int) -> Float[Array, "c z y x"]:
    """Exchange samples; sample ``n // 2`` stays where it is, also where the number of samples is even."""
    for _ in range(k):
        values = _mirror(jnp.swapaxes(values, first, second), first)
    return values


def _mirror(values: Float[Array, "c z y x"], axis: int) -> Float[Array, "c z y x"]:
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
    if size % 2 == 0:  # the Nyquist wave has no direction: a shift scales it
        ramp = ramp.at[:, -1].set(lax.complex(jnp.cos(phase[:, -1]), jnp.zeros_like(phase[:, -1])))
    shape = [1] * values.ndim
    shape[by], shape[along] = lines, size // 2 + 1
    ramp = ramp if by < along else ramp.T
    return jnp.fft.irfft(spectrum * ramp.reshape(shape), n=size, axis=along)


turn_all = jax.vmap(turn, in_axes=(None, None, 0))
"""`turn` of one specimen by the angles of several views."""
