"""Cramér-Rao bound of the angles of a rocking curve that are fitted with the crystal.

The unknowns are the angle of each frame and the complex density of every voxel within a support that is known. The
information of the counts (Poisson noise, and the relative error of the model that the joint fit assumes) is summed
pixel by pixel in the frames' own q, without an FFT; that of the angles is what is left beside the density (Schur
complement). The mean and the slope of the angles, which the density can make up for, are taken off.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import linalg, ndimage

from unflat.recon.phase_retrieval.align import centring_shift
from unflat.recon.phase_retrieval.joint_frames import MODEL_ERROR, tight_support

_ANSCOMBE = 0.375
_BLUR = 1.5
"""[pixel] Width of the Gaussian over which expected counts are averaged."""
_RIDGE = 1e-5
"""Information added to each part of a voxel, relative to the mean: the phase of the whole crystal has none."""


class Voxels(NamedTuple):
    """Voxels within the support.

    Args:
        values: Density.
        places: (z, y, x) Places [voxel of the measured array], from the middle.
    """

    values: Complex[np.ndarray, " voxel"]
    places: Float[np.ndarray, "3 voxel"]


def voxels_of(fine: Complex[np.ndarray, "z y x"], fineness: int, edge: int, size: int, threshold: float) -> Voxels:
    """Sample a crystal on the voxels of an array, within the tight support of the joint fit.

    Args:
        fine: Crystal on samples of a voxel over ``fineness``.
        fineness: Samples along a voxel of the measured array.
        edge: Pixels of the measured array along each axis.
        size: Voxels along each axis of the array with its margin.
        threshold: Threshold of the support.
    """
    along = (np.arange(len(fine)) - len(fine) // 2) / fineness
    turns = np.exp(-2j * np.pi * np.outer(np.arange(size) - size // 2, along) / edge)
    field = np.einsum("az,zyx->ayx", turns, fine, optimize=True)
    field = np.einsum("by,ayx->abx", turns, field, optimize=True)
    field = np.einsum("cx,abx->abc", turns, field, optimize=True)
    density = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(field)))
    density = np.roll(density, centring_shift(np.abs(density) ** 2), axis=(0, 1, 2))
    inside = tight_support(density.astype(np.complex64), threshold)
    places = (np.argwhere(inside).T - size // 2) * (edge / size)
    return Voxels(density[inside], places)


def expect_beyond(counts: Float[np.ndarray, "frame row column"], size: int) -> Float[np.ndarray, "z y x"]:
    """Expect as many counts around a measured array as on its nearest pixels, in an array of ``size`` pixels."""
    level = np.maximum(ndimage.gaussian_filter(counts, _BLUR, mode="nearest"), 1.0)
    before = [size // 2 - n // 2 for n in counts.shape]
    return np.pad(level, [(b, size - n - b) for b, n in zip(before, counts.shape, strict=True)], mode="edge")


def deviations(
    voxels: Voxels,
    positions: Float[np.ndarray, " frame"],
    counts: float,
    edge: int,
    bright: Bool[np.ndarray, " frame"],
    level: Float[np.ndarray, "frame row column"] | None = None,
    width: float = 1.0,
) -> Float[np.ndarray, " frame"]:
    """Compute the least standard deviations [step] of the angles.

    Args:
        voxels: Density whose every voxel is unknown.
        positions: True positions of the frames along the curve [step].
        counts: Total counts.
        edge: Pixels of the measured array along each axis.
        bright: Mask of the frames whose mean and slope are taken off.
        level: [counts] Expected counts in the array with its margin, whose middle is the measured one: prior of the
            amplitudes beyond; None for none.
        width: [step] Prior standard deviation of an angle.
    """
    measured = list(_measured(voxels, positions, edge))
    factor = np.sqrt(counts / sum(float(np.sum(np.abs(waves @ voxels.values) ** 2)) for waves in measured))
    values, z = voxels.values * factor, voxels.places[0]
    count, size = len(positions), 2 * len(values)
    of_density, mixed, of_angles = np.zeros((size, size), np.float32), np.zeros((size, count)), np.zeros(count)

    def add(frame: int, rows: Float[np.ndarray, "row part"], slope: Float[np.ndarray, " row"]) -> None:
        np.add(of_density, rows.T @ rows, out=of_density)
        if 0 <= frame < count:
            mixed[:, frame] += rows.T @ slope
            of_angles[frame] += slope @ slope

    moved = (values * (-2j * np.pi * z / edge)).astype(np.complex64)
    for frame, waves in enumerate(measured):
        wave = waves @ values.astype(np.complex64)
        power = np.abs(wave) ** 2
        deviation = np.sqrt((power + _ANSCOMBE) * (1 + MODEL_ERROR**2 * power))
        part = waves * (2 * np.conj(wave) / deviation)[:, None]
        add(frame, np.concatenate([part.real, -part.imag], axis=1), (part @ moved).real)
    for frame, part in _beyond(voxels, positions, edge, level) if level is not None else ():
        slope = part @ moved
        rows = [[part.real, -part.imag], [part.imag, part.real]]
        add(frame, np.block(rows), np.concatenate([slope.real, slope.imag]))
    information = of_density.astype(np.float64)
    information[np.diag_indices(size)] += _RIDGE * np.trace(information) / size
    left = np.diag(of_angles) - mixed.T @ linalg.cho_solve(linalg.cho_factor(information, overwrite_a=True), mixed)
    lines = np.stack([np.ones(count), np.arange(count)], axis=1)
    rest = np.eye(count)
    rest[:, bright] -= lines @ np.linalg.pinv(lines[bright])
    return np.asarray(np.sqrt(np.diag(rest @ np.linalg.inv(left + np.eye(count) / width**2) @ rest.T)))


def _waves(voxels: Voxels, along: float, y: np.ndarray, x: np.ndarray, edge: int) -> Complex[np.ndarray, "pixel voxel"]:
    """Waves of the voxels in some pixels of a frame."""
    (down, right), z = voxels.places[1:], voxels.places[0]
    turns = np.outer(y, down) + np.outer(x, right) + along * z
    return np.exp((-2j * np.pi / edge) * turns).astype(np.complex64)


def _measured(voxels: Voxels, positions: Float[np.ndarray, " frame"], edge: int) -> Iterator[np.ndarray]:
    y, x = (axis.ravel() - edge // 2 for axis in np.indices((edge, edge)))
    for position in positions:
        yield _waves(voxels, position, y, x, edge)


def _beyond(
    voxels: Voxels, positions: Float[np.ndarray, " frame"], edge: int, level: Float[np.ndarray, "frame row column"]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield frame and waves of the pixels beyond the measured ones, over the deviation of the expected amplitude."""
    size = len(level)
    first, within = size // 2 - edge // 2, np.zeros(level.shape, bool)
    within[(slice(first, first + edge),) * 3] = True
    for plane in range(size):
        frame = plane - first
        along = positions[frame] if 0 <= frame < edge else plane - size // 2
        y, x = np.nonzero(~within[plane])
        waves = _waves(voxels, along, y - size // 2, x - size // 2, edge)
        yield frame, waves * np.sqrt(2 / level[plane, y, x])[:, None].astype(np.float32)
