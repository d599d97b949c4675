"""Mean and slope of the frames' corrections, which the density can make up for; frames are in FFT order."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .frame_fit import FrameParameters
from .pattern import DevicePattern

_BRIGHT = 1e-4
"""Share of the counts from which on a frame's correction counts in the mean and the slope of all."""


def bright_frames(stated: DevicePattern) -> np.ndarray:
    """Mask of the frames whose corrections count in the mean and the slope of all."""
    totals = np.asarray(stated.counts.sum(axis=(1, 2)), np.float64)
    return np.asarray(totals > _BRIGHT * totals.sum())


def fit_lines(offsets: Float[np.ndarray, "frame axis"], bright: np.ndarray) -> Float[np.ndarray, "frame axis"]:
    """Fit a line through the offsets of the bright frames along each axis."""
    frames = np.fft.fftfreq(len(offsets)) * len(offsets)
    if bright.sum() < 2:
        return np.zeros_like(offsets)
    slopes, means = np.polyfit(frames[bright], offsets[bright], 1)
    return np.asarray(means + slopes * frames[:, None])


def remove_gauge(
    density: Complex[Array, "z y x"], corrections: FrameParameters, stated: DevicePattern
) -> tuple[Complex[Array, "z y x"], FrameParameters]:
    """Remove the mean and the slope of the offsets; the density gets the ramp that stands for the mean."""
    bright, offsets = bright_frames(stated), np.array(corrections.offsets, np.float64)
    lines = fit_lines(offsets, bright)
    for axis, n in enumerate(density.shape):
        ramp = np.exp(-2j * np.pi * lines[0, axis] * np.fft.fftfreq(n)).astype(np.complex64)
        density = density * ramp.reshape([-1 if a == axis else 1 for a in range(3)])
    offsets -= lines
    return density, corrections._replace(offsets=jnp.asarray(offsets, jnp.float32))
