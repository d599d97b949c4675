"""Correction of a camera's frames: dark level and exposure; noise of frames whose dark level is subtracted already."""

import logging
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Num

from ...acquisition import Acquisition
from ...errors import Diagnostic
from .schema import PATHS

logger = logging.getLogger(__name__)

NEGATIVE_SHARE = 0.1
"""Largest share of negative counts, relative to the sum of the positive ones, that read-out noise may explain."""
_FRAMES = ("images", "background")


def correct_camera(acquisition: Acquisition) -> Acquisition:
    """Subtract the dark level from images and background, and divide by the exposure.

    Args:
        acquisition: Counts, with ``dark`` and ``exposure`` where they are known.

    Returns:
        Counts of light at the median exposure, without ``dark`` and ``exposure``. Noise below 0 stays.
    """
    arrays = dict(acquisition.arrays)
    dark, exposure = arrays.pop("dark", None), arrays.pop("exposure", None)
    if dark is None and exposure is None:
        return acquisition
    relative = None if exposure is None else exposure / np.median(exposure)
    for name in _FRAMES:
        if name in arrays:
            frames = arrays[name] if dark is None else arrays[name] - _dark_of(dark, arrays[name], name)
            if relative is not None and frames.ndim == 3:
                frames = frames / relative[:, None, None]
            arrays[name] = frames.astype(np.float32)
    return replace(acquisition, arrays=arrays)


def _dark_of(
    dark: Num[np.ndarray, "*any"], frames: Num[np.ndarray, "*any_frames"], name: str
) -> Num[np.ndarray, "*any_dark"]:
    """Give a dark level the axes of the frames; the background of all views takes the mean over the views."""
    by_view = dark[:, None, None] if dark.ndim == 1 else dark
    return by_view.mean(axis=0) if by_view.ndim > frames.ndim else by_view


def camera_faults(acquisition: Acquisition) -> list[Diagnostic]:
    """Find counts that are so far below 0 that they are no noise, and a dark level above the light.

    Args:
        acquisition: Counts after `correct_camera`.
    """
    faults = []
    for name in _FRAMES:
        if name not in acquisition or acquisition[name].dtype.kind != "f":
            continue
        frames = np.where(good_pixels(acquisition, name), acquisition[name], 0)
        below = float(-np.minimum(frames, 0).sum(dtype=np.float64, where=np.isfinite(frames)))
        above = float(np.maximum(frames, 0).sum(dtype=np.float64, where=np.isfinite(frames)))
        if below <= NEGATIVE_SHARE * above or not below:
            continue
        place, count = acquisition.place(name, PATHS), int((frames < 0).sum())
        least = [int(i) for i in np.unravel_index(int(np.nanargmin(frames)), frames.shape)]
        share = 100 * below / max(above, 1e-30)
        message = (
            f"{count} of {frames.size} numbers are negative, the least {float(np.nanmin(frames)):g} at {least}: "
            f"{share:.3g} % of the sum of the positive ones, which is more than noise about a dark level"
        )
        remedy = "give intensities: if acquisition.dark is too large, lower it; a contrast or a phase is no intensity"
        faults.append(Diagnostic(place, message, remedy))
    return faults


def report_negative(acquisition: Acquisition) -> None:
    """Log the share of pixels below 0, which count as 0."""
    if "images" not in acquisition:
        return
    good = good_pixels(acquisition, "images")
    negative = int((acquisition["images"] < 0)[good].sum())
    if negative:
        share = f"{100 * negative / good.sum():.2g} %"
        logger.warning("%s of the pixels are below 0 by the noise of the camera, and count as 0", share)


def good_pixels(acquisition: Acquisition, name: str) -> Bool[np.ndarray, "*any"]:
    """Find the pixels of images, fields or backgrounds that the mask leaves.

    A frame for all views has each pixel that is good in any of them.
    """
    frames, mask = acquisition[name], acquisition.arrays.get("mask")
    if mask is None or mask.shape[-2:] != frames.shape[-2:]:
        return np.ones(frames.shape, bool)
    if mask.ndim > frames.ndim:
        mask = mask.min(axis=0)
    return np.broadcast_to(mask == 0, frames.shape)


def border_pixels(shape: tuple[int, ...]) -> Bool[np.ndarray, "y x"]:
    """Select the border of an image, one sixteenth of it wide."""
    margin = max(min(shape) // 16, 1)
    border = np.ones(shape, bool)
    border[margin:-margin, margin:-margin] = False
    return border
