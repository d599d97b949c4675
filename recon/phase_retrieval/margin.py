"""Last refinement on voxels finer than the detector resolves, so that the array reaches beyond the measured pixels.

An FFT is periodic: on voxels as large as the detector resolves, what an edge sharper than a voxel scatters beyond the
detector is folded onto it, and opposite faces of the pattern meet. An array with a margin of unmeasured pixels has
finer voxels, in which a sharp edge fits; the scattering beyond the detector falls into the margin. Arrays are
(z, y, x) in FFT order (origin at index 0).
"""

import logging
from collections.abc import Callable

import jax.numpy as jnp
from scipy.fft import next_fast_len

from .multiresolution import Shape, resample_density, resample_support, resize_pattern
from .pattern import DevicePattern
from .refinement import RefinementState, end_refinement, free_llk, init_refinement
from .settings import RefineSettings
from .starts import LARGEST_SUPPORT

GAIN = 0.98
"""Ratio of free likelihoods below which a margin, and then a wider support, is taken."""
WIDER = 0.2
"""Threshold of the support, relative to the setting, that is tried with a margin.

The two simulated crystals that were tried do not take it, as it fits their noise; the gold crystal does.
"""

MARGIN = "margin"
"""First word of the names of these refinements."""

Refine = Callable[[str, Callable[[], RefinementState], DevicePattern, RefineSettings], RefinementState]

_log = logging.getLogger(__name__)


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
    return resize_pattern(pattern, extended_shape((nz, ny, nx), margin))


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


def refine_with_margin(
    state: RefinementState, pattern: DevicePattern, settings: RefineSettings, refine: Refine
) -> tuple[RefinementState, dict[str, float]]:
    """Refine a result with a margin, and with a wider support; take each if it explains the withheld pixels better.

    Args:
        state: Result without a margin.
        pattern: Measured pattern, some pixels of which are withheld.
        settings: Margin, and threshold of the support.
        refine: Refinement by a pattern, by its name, from the state that a function makes.

    Returns:
        The state on the measured array, and numbers: its margin as a fraction of each axis, 0 for none, and the
        threshold of its support.
    """
    taken = {"margin": 0.0, "support_threshold": settings.threshold}
    extended_pattern = extend_pattern(pattern, settings.margin)
    (nz, ny, nx), (mz, my, mx) = pattern.counts.shape, extended_pattern.counts.shape
    first = resample_refinement(state, (mz, my, mx))
    for number, ratio in enumerate((1.0, WIDER)):
        threshold = ratio * settings.threshold
        section = settings.model_copy(update={"threshold": threshold})
        refined = refine(f"{MARGIN} {number}", lambda: first, extended_pattern, section)
        extended = end_refinement(resample_refinement(refined, (nz, ny, nx)))
        before, after = (free_llk(each, pattern) for each in (state, extended))
        text = "margin %g, support threshold %g: free LLK %.4g, before %.4g"
        _log.info(text, settings.margin, threshold, after, before)
        if after < GAIN * before and float(jnp.mean(extended.support)) <= LARGEST_SUPPORT:
            state, taken = extended, {"margin": settings.margin, "support_threshold": threshold}
    return state, taken
