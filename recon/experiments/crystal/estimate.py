"""Memory and time of a crystal's phasing, from shapes alone."""

import os

import numpy as np

from ...acquisition import Acquisition
from ...runs.estimate import PROGRAM_BYTES, Estimate, base_estimate, format_bytes
from .config import CrystalSettings
from .geometry_checks import require_spacing
from .preprocess import binned_basis, crop_box_by_size

FFT_SECONDS = 1.1e-9
"""[s] Time of a complex 3D FFT per voxel and doubling of their number, with what is done beside it, on one core."""
REFINING = 2.5
"""Time of a refining iteration over that of a projection."""
COPIES = 14
"""Complex arrays that a loop holds at once."""
KEPT = 5
"""Complex arrays of each solution that is kept: as it came from the recipe, and as it is refined."""
SAMPLED = 100
"""Bytes of each of the result's samples while it is made."""
LARGEST_SUPPORT = 1 / 8
"""Part of the array that a crystal fills which is sampled twice as finely as it needs to be, along each axis."""


def estimate(settings: CrystalSettings, acquisition: Acquisition | None) -> Estimate:
    """Estimate the phasing.

    Args:
        settings: The config.
        acquisition: The measurement as read; without it only the program itself is counted.
    """
    if acquisition is None:
        return base_estimate()
    box = crop_box_by_size(settings, acquisition)
    frame, y, x = (n // b for n, b in zip(box.size, settings.acquisition.bin, strict=True))
    shape = (frame, y, x)
    finer = require_spacing(settings.volume.spacing, binned_basis(settings, acquisition), shape)
    voxels = float(np.prod(shape))
    phase = settings.phase
    projected = phase.starts * sum(step.step.iterations for step in phase.recipe)
    whole = phase.starts * sum(step.step.iterations * step.step.band**3 for step in phase.recipe)
    refined = (min(phase.keep, phase.starts) + 1) * phase.refine.iterations
    cores = os.cpu_count() or 1
    # Along an axis after the other: the second core helps little.
    seconds = 2 * voxels * np.log2(voxels) * FFT_SECONDS * (whole + REFINING * refined) / min(cores, 2) ** 0.5
    measured = acquisition["images"]
    kept = min(phase.keep, phase.starts)
    loops = 8 * voxels * (COPIES + KEPT * kept)
    result = SAMPLED * LARGEST_SUPPORT * voxels * finer**3 * (1 + kept / 2)
    memory = PROGRAM_BYTES + 6 * measured.nbytes + max(loops, result)
    lines = [
        f"{' x '.join(map(str, shape))} voxels (frame, y, x) of {' x '.join(map(str, measured.shape))}; "
        f"{format_bytes(float(measured.nbytes))} of measurement",
        f"{phase.starts} starts of {projected // phase.starts} iterations, {refined} refining ones",
        f"time is that of {min(cores, 2)} CPU cores; an accelerator is many times faster",
    ]
    return Estimate(int(memory), float(seconds), lines)
