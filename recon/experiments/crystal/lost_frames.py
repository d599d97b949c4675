"""Frames without a count beside frames with many: a shutter or a transfer failed, and no light was measured.

Taken for measurements they would say that no light falls there; masked, they are unknown.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int, UInt8

from ...acquisition import Acquisition
from .oversampling import Good, Voxels

_BRIGHT_NEIGHBOUR = 100.0
"""Counts of a neighbouring frame above which no frame is empty by chance."""
_FEW = 0.05
"""Share of the frames up to which single ones are masked without being asked."""


def find_lost_frames(counts: Voxels, good: Good) -> Int[np.ndarray, " lost"]:
    """Find measured frames without a count beside frames with many.

    Args:
        counts: Counts.
        good: Mask of the voxels to use.
    """
    totals = counts.sum(axis=(1, 2), dtype=np.float64, where=good)
    lit = np.flatnonzero(totals > 0)
    lost = []
    for frame in np.flatnonzero(good.any(axis=(1, 2)) & (totals == 0)):
        beside = [totals[lit[lit < frame]][-1:], totals[lit[lit > frame]][:1]]
        if max((float(t[0]) for t in beside if t.size), default=0.0) > _BRIGHT_NEIGHBOUR:
            lost.append(int(frame))
    return np.array(lost, int)


def describe_frames(frames: Int[np.ndarray, " lost"]) -> str:
    """List the first frames."""
    return ", ".join(map(str, frames[:8])) + (", …" if len(frames) > 8 else "")


def mask_lost_frames(acquisition: Acquisition, good: Good, *, mask_all: bool) -> tuple[Acquisition, str]:
    """Mask lost frames.

    Args:
        acquisition: Counts (frame, y, x), with or without a mask.
        good: Mask of its good voxels.
        mask_all: Whether to mask more than a few single frames within the curve.

    Returns:
        The acquisition, and a sentence about the frames; empty if none is masked.
    """
    images = acquisition["images"]
    lost = find_lost_frames(images, good)
    if not lost.size or not (mask_all or _are_single(lost, len(images))):
        return acquisition, ""
    is_lost: Bool[np.ndarray, "frame 1 1"] = np.isin(np.arange(len(images)), lost)[:, None, None]
    bad: UInt8[np.ndarray, "frame y x"] = (~good | is_lost).astype(np.uint8)
    several = len(lost) > 1
    sentence = (
        f"frame{'s' * several} {describe_frames(lost)} hold{'s' * (not several)} no count beside frames with many: "
    )
    sentence += "lost, and masked"
    return replace(acquisition, arrays={**acquisition.arrays, "mask": bad}), sentence


def _are_single(lost: Int[np.ndarray, " lost"], count: int) -> bool:
    """Whether frames are few, single, and within the curve: an aborted scan has empty ones at its end."""
    is_within = lost.min() > 0 and lost.max() < count - 1
    return bool(is_within and len(lost) <= max(1, _FEW * count) and (np.diff(lost) > 1).all())
