"""Rocking curve with wide gaps between its frames, in the projections: frames that were not measured stand in the gaps.

Where neighbouring frames are far apart the pseudo-inverse takes what lies between them for dark, so that the crystal is
smeared along the frames. Steps are made so small that the array has room for a frame in every gap; pixels of those
frames are not measured, like those behind a mask. Voxels stay as large as they were, and the array has more planes, as
it reaches farther along the frames. Where that would make it too large, frames at nearly one q are joined, with the sum
of their counts. The refinement, which needs no inverse, takes the frames and the array as they were measured.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from ...physics.diffraction.far_field import fftshift3
from .align import centring_shift
from .curve_gaps import LARGEST, SAME, has_wide_gap
from .multiresolution import resize
from .pattern import DevicePattern, PointSpread
from .projections import UNMEASURED
from .refinement import RefinementState, init_refinement

WIDE = 1.5
"""[step] Distance of two neighbouring frames from which on one is missing between them."""

_Arrays = dict[str, np.ndarray]


def has_gaps(pattern: DevicePattern) -> bool:
    """Whether frames of a curve are lost."""
    return pattern.positions is not None and has_wide_gap(np.asarray(pattern.positions[:, 0]))


def fill_gaps(pattern: DevicePattern, least: float = 1.0) -> DevicePattern:
    """Put frames that are not measured in the wide gaps of a curve, for the projections.

    Args:
        pattern: Measured pattern.
        least: Least number of planes, relative to the frames: with more of them the array reaches farther along the
            curve than the gaps alone ask for, and holds a crystal that the median step would hardly sample.

    Returns:
        Pattern in the order of the positions, with as many planes as frames; the same where no frame is lost.
    """
    if not has_gaps(pattern):
        return pattern
    arrays = _to_host(pattern)
    count = len(arrays["positions"])
    for planes in range(int(least * count), int(LARGEST * count) + 1):
        scaled = _join_frames(_scale_steps(arrays, planes / count), planes)
        if len(scaled["positions"]) + _missing(scaled).sum() <= planes:
            break
    return _to_device(_insert_frames(scaled, planes - len(scaled["positions"])))


def spread_evenly(pattern: DevicePattern) -> DevicePattern:
    """Interpolate the amplitudes of a curve at even steps, for the first support.

    Args:
        pattern: Pattern of the projections.

    Returns:
        Pattern with these counts, of a steady beam, and the given positions. Pixels that no neighbouring frame measured
        are not fitted.
    """
    if pattern.positions is None:
        return pattern
    arrays = _to_host(pattern)
    count, along = len(arrays["positions"]), arrays["positions"][:, 0].astype(np.float64)
    measured = np.flatnonzero(arrays["fitted"].any(axis=(1, 2)))
    even = np.arange(count) - count // 2
    weights = np.stack([np.interp(even, along[measured], one) for one in np.eye(len(measured))])
    fitted = arrays["fitted"][measured].reshape(len(measured), -1)
    share = weights.T @ fitted
    amplitude = weights.T @ (fitted * np.maximum(arrays["amplitude"][measured].reshape(fitted.shape), 0))
    counts = np.where(share > 0, amplitude / np.where(share > 0, share, 1), 0).reshape(arrays["counts"].shape) ** 2
    both = np.fft.ifftshift([counts, share.reshape(counts.shape) > 0], axes=1)
    counts, fitted = jnp.asarray(both, jnp.float32)
    return pattern._replace(counts=counts, fitted=fitted, exposure=jnp.ones_like(pattern.exposure))


def init_measured(
    density: Complex[Array, "z y x"], support: Float[Array, "z y x"], point_spread: PointSpread, planes: int
) -> RefinementState:
    """Initialise the refinement of a density of the projections, on as many planes as frames were measured.

    Args:
        density: Density, in FFT order.
        support: 1 inside.
        point_spread: Point-spread function in the steps of the projections.
        planes: Number of measured frames.
    """
    count, ny, nx = density.shape
    if count == planes:
        return init_refinement(density, support, point_spread)
    # A shift along the frames is free, and the planes around the origin must hold the whole crystal.
    shift = int(centring_shift(fftshift3(np.abs(np.asarray(density)) ** 2))[0])
    density, support = (resize(jnp.roll(array, shift, axis=0), (planes, ny, nx)) for array in (density, support))
    steps = jnp.asarray([planes / count, 1.0, 1.0], jnp.float32)
    return init_refinement(density, support, point_spread._replace(sigmas=point_spread.sigmas * steps))


def _to_host(pattern: DevicePattern) -> _Arrays:
    """Bring a pattern to the host, in the order of the positions along the curve."""
    arrays = {name: np.fft.fftshift(np.asarray(array), axes=0) for name, array in pattern._asdict().items()}
    order = np.argsort(arrays["positions"][:, 0], kind="stable")
    arrays = {name: array[order] for name, array in arrays.items()}
    return arrays | {"positions": arrays["positions"].astype(np.float64)}


def _to_device(arrays: _Arrays) -> DevicePattern:
    on_device = {name: jnp.asarray(np.fft.ifftshift(array, axes=0), jnp.float32) for name, array in arrays.items()}
    return DevicePattern(**on_device)


def _scale_steps(arrays: _Arrays, factor: float) -> _Arrays:
    """Express positions in steps that are smaller by a factor."""
    return arrays | {"positions": arrays["positions"] * [factor, 1, 1]}


def _missing(arrays: _Arrays) -> Int[np.ndarray, " gap"]:
    """Count the frames that are missing in each gap."""
    gaps = np.diff(arrays["positions"][:, 0])
    return np.where(gaps > WIDE, np.round(gaps) - 1, 0).astype(int)


def _join_frames(arrays: _Arrays, planes: int) -> _Arrays:
    """Join frames at nearly one q, the nearest first, until there is a plane for each frame and each missing one."""
    while len(arrays["positions"]) + _missing(arrays).sum() > planes:
        apart = np.abs(np.diff(arrays["positions"], axis=0)).max(axis=1)
        first = int(np.argmin(apart))
        if apart[first] > SAME:
            break
        joined = _join({name: array[first : first + 2] for name, array in arrays.items()})
        arrays = {
            name: np.concatenate([array[:first], joined[name], array[first + 2 :]]) for name, array in arrays.items()
        }
    return arrays


def _insert_frames(arrays: _Arrays, count: int) -> _Arrays:
    """Insert frames without measured pixels at even distances in the widest gaps, ``count`` in all."""
    positions = arrays["positions"]
    gaps, inserted = np.diff(positions[:, 0]), np.zeros(len(positions) - 1, int)
    for _ in range(count):
        inserted[np.argmax(gaps / (inserted + 1))] += 1
    after = np.repeat(np.arange(len(inserted)), inserted)
    share = np.concatenate([np.arange(1, n + 1) / (n + 1) for n in inserted])[:, None]
    between = (1 - share) * positions[after] + share * positions[after + 1]
    values = {"amplitude": UNMEASURED, "exposure": 1.0}
    parts = {
        name: np.insert(array, after + 1, values.get(name, 0.0), axis=0)
        for name, array in arrays.items()
        if name != "positions"
    }
    return parts | {"positions": np.insert(positions, after + 1, between, axis=0)}


def _join(pair: Mapping[str, np.ndarray]) -> _Arrays:
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
