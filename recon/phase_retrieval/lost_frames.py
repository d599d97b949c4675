"""Frames of a rocking curve that are lost, in the projections: interpolated there, and left to the refinement.

Where neighbouring frames are far apart the pseudo-inverse would take what lies between them for dark, and projections
that leave it free stagnate where it is bright. There they take a frame with the mean amplitude of its neighbours, which
leads to the right object, if not to its details. The array has no room for more frames: two frames at nearly one q are
joined for each, with the sum of their counts. The refinement, which needs no inverse, takes the frames as they were
measured, and those alone.
"""

import jax.numpy as jnp
import numpy as np

from .pattern import DevicePattern
from .projections import UNMEASURED

WIDE = 1.5
"""[step] Distance of two neighbouring frames from which on one is missing between them."""
SAME = 0.25
"""[step] Largest distance of two frames, along the curve and across [pixel], that are joined."""


def fill_gaps(pattern: DevicePattern) -> DevicePattern:
    """Join frames at nearly one q, and put interpolated ones in the middle of the widest gaps.

    Args:
        pattern: Measured pattern.

    Returns:
        Pattern of as many frames, in the order of their positions, for the projections; the same where there is no wide
        gap, or no frames to join.
    """
    if pattern.positions is None:
        return pattern
    arrays = {name: np.fft.fftshift(np.asarray(array), axes=0) for name, array in pattern._asdict().items()}
    positions = arrays["positions"].astype(np.float64)
    filled = 0
    while _can_fill(positions):
        arrays, positions = _replace_pair(arrays, positions)
        filled += 1
    if not filled:
        return pattern
    arrays["positions"] = positions.astype(np.float32)
    return DevicePattern(**{name: jnp.asarray(np.fft.ifftshift(array, axes=0)) for name, array in arrays.items()})


def _nearest_pair(positions: np.ndarray) -> int:
    """Index of the first of the two neighbouring frames that are nearest in q."""
    return int(np.argmin(np.abs(np.diff(positions, axis=0)).max(axis=1)))


def _can_fill(positions: np.ndarray) -> bool:
    steps = np.diff(positions, axis=0)
    return bool(steps[:, 0].max() > WIDE and np.abs(steps[_nearest_pair(positions)]).max() <= SAME)


def _replace_pair(arrays: dict[str, np.ndarray], positions: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Join the nearest two frames, and insert an interpolated one in the widest gap."""
    first, gap = _nearest_pair(positions), int(np.argmax(np.diff(positions[:, 0])))
    joined = _join({name: array[first : first + 2] for name, array in arrays.items()})
    inserted = _interpolate({name: array[gap : gap + 2] for name, array in arrays.items()})
    between = positions[gap : gap + 2].mean(axis=0, keepdims=True)
    others = np.delete(np.arange(len(positions)), [first, first + 1])
    new = np.concatenate([positions[others], positions[first : first + 2].mean(axis=0, keepdims=True), between])
    order = np.argsort(new[:, 0], kind="stable")
    parts = {name: np.concatenate([arrays[name][others], joined[name], inserted[name]])[order] for name in arrays}
    return parts, new[order]


def _interpolate(pair: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute the mean of the amplitudes of two frames, in the pixels that both measured."""
    sides = pair["amplitude"]
    is_measured = (sides >= 0).all(axis=0, keepdims=True)
    mean = sides.mean(axis=0, keepdims=True)
    return {
        "amplitude": np.where(is_measured, mean, np.float32(UNMEASURED)).astype(np.float32),
        "counts": np.where(is_measured, mean**2, 0).astype(np.float32),
        "fitted": is_measured.astype(np.float32),
        "free": np.zeros_like(mean),
        "exposure": np.ones_like(pair["exposure"][:1]),
        "positions": pair["positions"].mean(axis=0, keepdims=True),
    }


def _join(pair: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add the fitted counts of two frames, as those of the sum of their fluxes."""
    fitted, exposure = pair["fitted"], pair["exposure"]
    measured = np.sum(fitted * exposure, axis=0, keepdims=True)
    steady = np.sum(fitted * pair["counts"], axis=0, keepdims=True) / np.where(measured > 0, measured, 1)
    flux = exposure.sum(axis=0, keepdims=True)
    return {
        "amplitude": np.where(measured > 0, np.sqrt(steady), np.float32(UNMEASURED)).astype(np.float32),
        "counts": (steady * flux).astype(np.float32),
        "fitted": (measured > 0).astype(np.float32),
        "free": np.zeros_like(fitted[:1]),
        "exposure": flux,
        "positions": pair["positions"].mean(axis=0, keepdims=True),
    }
