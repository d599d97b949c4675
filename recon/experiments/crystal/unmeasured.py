"""Pixels without a count: gaps and overflows that a detector marks by a number, and saturated ones."""

import logging
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Num, UInt8

from ...acquisition import Acquisition
from .count_limits import CountLimits, without_limits

_log = logging.getLogger(__name__)


def mask_unmeasured(acquisition: Acquisition, limits: CountLimits) -> Acquisition:
    """Mask pixels without a count (NaN in the images of a file of whole numbers) and saturated ones; log their numbers.

    Args:
        acquisition: Acquisition as read.
        limits: Limits of its counts.

    Returns:
        The acquisition, without the arrays of the limits.
    """
    arrays, notes = without_limits(acquisition), acquisition.notes
    images = arrays["images"]
    gaps = ~np.isfinite(images)
    if "mask" in arrays:
        gaps &= arrays["mask"] == 0
    if gaps.any():
        below = "" if limits.underload is None else f", or hold less than its underload value {limits.underload:.9g}"
        notes = (*notes, f"{int(gaps.sum())} voxels are marked as without a count in the file{below}, and masked")
        _log.info("%s", notes[-1])
    saturation = limits.saturation
    saturated = images >= saturation if saturation is not None else np.zeros(images.shape, bool)
    if saturated.any():
        notes = (*notes, f"{int(saturated.sum())} voxels {limits.source}: masked as saturated")
        _log.info("%s", notes[-1])
    if gaps.any() or saturated.any():
        counts, mask = split_counts(images, arrays.get("mask"), saturation)
        arrays |= {"images": counts, "mask": mask}
    return replace(acquisition, arrays=arrays, notes=notes)


def split_counts(
    images: Float[np.ndarray, "frame y x"], mask: Num[np.ndarray, "..."] | None, saturation: float | None
) -> tuple[Float[np.ndarray, "frame y x"], UInt8[np.ndarray, "..."]]:
    """Divide frames into counts and a mask of what is none.

    Args:
        images: Counts; NaN for a pixel without a count.
        mask: Mask (y, x) or (frame, y, x), 0 = good; None if all pixels are good.
        saturation: Counts from which a pixel is saturated; None to mask none.

    Returns:
        Counts, 0 without a count, and the mask, of one frame if it is the same for all.
    """
    bad = ~np.isfinite(images) if saturation is None else ~(images < saturation)
    if mask is not None:
        bad |= mask != 0
    counts = np.where(np.isfinite(images), images, 0).astype(images.dtype)
    is_same = bool((bad == bad[:1]).all())
    return counts, (bad[0] if is_same else bad).astype(np.uint8)
