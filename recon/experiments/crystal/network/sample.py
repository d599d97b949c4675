"""Densities drawn by a network for a pattern, sorted by their misfit to it."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Complex, Float

from ....phase_retrieval.curve_gaps import SAME
from ....phase_retrieval.lost_frames import WIDE
from ..oversampling import estimate_oversampling
from ..preprocess import PreprocessedScan
from . import flow
from .denoiser import CrystalDenoiser, PatternBatch, fit_scale, misfit
from .inputs import ResampledPattern, resample_pattern


@dataclass(frozen=True)
class Samples:
    """Densities drawn by a network, the best first.

    Args:
        densities: Densities on the grid conjugate to the measured array, in √counts, centred.
        chi: ``chi_rms`` of each in the network's array, over the pixels that the network saw.
    """

    densities: Complex[np.ndarray, "draw z y x"]
    chi: Float[np.ndarray, " draw"]


def resample_scan(scan: PreprocessedScan, fraction: float, seed: int) -> ResampledPattern:
    """Resample a measurement for the network, without the pixels that phasing withholds.

    Args:
        scan: Preprocessed measurement.
        fraction: Fraction of the good pixels that is withheld.
        seed: Seed of their random choice.
    """
    visible = scan.good & ~scan.data.free_pixels(fraction, seed)
    counts = scan.normalized_counts
    if scan.positions is not None:
        counts, visible = interpolate_frames(counts, visible, scan.positions[:, 0])
    return resample_pattern(counts, visible, estimate_oversampling(counts, visible))


def interpolate_frames(
    counts: Float[np.ndarray, "frame y x"], good: Bool[np.ndarray, "frame y x"], along: Float[np.ndarray, " frame"]
) -> tuple[Float[np.ndarray, "frame y x"], Bool[np.ndarray, "frame y x"]]:
    """Interpolate amplitudes to even steps, as a network knows no others; phasing takes the frames as measured.

    Args:
        counts: Counts.
        good: True where a voxel was measured.
        along: Positions of the frames along the curve [step], from that of the even frame ``n // 2``.

    Returns:
        Counts and good voxels at even steps; voxels in gaps of lost frames are not good.
    """
    count, order = len(along), np.argsort(along, kind="stable")
    counts, good, along = counts[order], good[order], along[order]
    even = np.arange(count, dtype=np.float64) - count // 2
    upper = np.clip(np.searchsorted(along, even), 1, count - 1)
    lower = upper - 1
    gap = along[upper] - along[lower]
    share = np.clip((even - along[lower]) / np.maximum(gap, 1e-9), 0, 1)[:, None, None]
    amplitude = np.sqrt(np.maximum(counts, 0))
    distance = np.minimum(np.abs(even - along[lower]), np.abs(along[upper] - even))
    near = ((gap <= WIDE) & (distance <= WIDE / 2)) | (distance <= SAME)
    is_seen = (good[lower] | (share == 1)) & (good[upper] | (share == 0)) & near[:, None, None]
    between = ((1 - share) * amplitude[lower] + share * amplitude[upper]) ** 2
    return np.asarray(np.where(is_seen, between, 0), counts.dtype), is_seen


def draw_samples(
    denoiser: CrystalDenoiser,
    pattern: ResampledPattern,
    draws: int,
    steps: int,
    seed: int,
    progress: Callable[[int], None] = lambda step: None,
    best: int | None = None,
) -> Samples:
    """Draw densities.

    Args:
        denoiser: Loaded network.
        pattern: Measured pattern.
        draws: Number of densities.
        steps: Number of steps of the flow.
        seed: Seed of the noise.
        progress: Called with the number of steps done.
        best: Number of the densities of least misfit to return; None for all.
    """
    batch = pattern_batch(pattern, draws)
    noise = flow.noise(jax.random.key(seed), draws)
    densities = _fit_scale(flow.draw(denoiser, batch, noise, steps, progress), batch)
    chi = np.sqrt(np.asarray(_misfit(densities, batch), np.float64))
    order = np.argsort(chi)[:best]
    return Samples(pattern.to_conjugate_grid(np.asarray(densities)[order]), chi[order])


_fit_scale, _misfit = jax.jit(fit_scale), jax.jit(misfit)


def pattern_batch(pattern: ResampledPattern, count: int) -> PatternBatch:
    """Repeat a pattern, once for each density."""
    arrays = (pattern.input.amplitude, pattern.input.weight, pattern.input.scalars)
    return PatternBatch(*(jnp.broadcast_to(jnp.asarray(array), (count, *array.shape)) for array in arrays))
