"""Estimate of memory and time of phasing, from shapes alone."""

import numpy as np

from ...acquisition import Acquisition
from ...devices import usable_cores
from ...memory import format_bytes
from ...runs.estimate import PROGRAM_BYTES, Estimate, base_estimate
from .config import CrystalSettings
from .geometry_checks import require_spacing
from .preprocess import binned_basis, crop_box_by_size
from .uneven_curve import OFFSETS

FFT_SECONDS = 1.1e-9
"""[s] Time of an iteration per voxel and log2 of their number, for each of its complex 3D FFTs, on one core."""
REFINEMENT_COST = 2.5
"""Time of a refinement iteration, relative to a projection."""
COPIES = 14
"""Number of complex arrays in the loop."""
SOLUTION_COPIES = 2
"""Number of complex arrays of each selected solution: refined density with its support, and while it is aligned."""
SAMPLE_BYTES = 100
"""[byte] Memory per sample of the result while it is computed."""
UNEVEN_COPIES = 8
"""Number of further complex arrays in the loop where frames are each at their own q."""
PRODUCT_RATE = 2.5e10
"""[1/s] Floating-point operations of the products along the frames of such a curve."""
LARGEST_SUPPORT = 1 / 8
"""Fraction of the array that a crystal fills with an oversampling of 2 along each axis."""


def estimate(settings: CrystalSettings, acquisition: Acquisition | None) -> Estimate:
    """Estimate memory and time of phasing.

    Args:
        settings: Settings of the run.
        acquisition: Rocking curve as read; None to count only the program itself.
    """
    if acquisition is None:
        return base_estimate()
    box = crop_box_by_size(settings, acquisition)
    frame, y, x = (n // b for n, b in zip(box.size, settings.acquisition.bin, strict=True))
    shape = (frame, y, x)
    samples = require_spacing(settings.volume.spacing, binned_basis(settings, acquisition), shape)
    voxels = float(np.prod(shape))
    phase = settings.phase
    projections = phase.starts * sum(step.step.iterations for step in phase.recipe)
    full_projections = phase.starts * sum(step.step.iterations * step.step.band**3 for step in phase.recipe)
    has_margin = phase.refine.margin > 0 and phase.free > 0 and phase.refine.iterations > 0
    extension = (1 + phase.refine.margin) ** 3 if has_margin else 0.0
    refinements = (min(phase.keep, phase.starts) + 1 + 2 * has_margin) * phase.refine.iterations
    refining_cost = REFINEMENT_COST * (refinements + 2 * max(extension - 1, 0) * phase.refine.iterations)
    cores = usable_cores()
    # The FFT runs along one axis after the other: a second core helps little.
    seconds = 2 * voxels * np.log2(voxels) * FFT_SECONDS * (full_projections + refining_cost) / min(cores, 2) ** 0.5
    uneven = OFFSETS in acquisition
    iterations = full_projections + refining_cost
    seconds += uneven * iterations * 2 * 8 * frame * voxels / PRODUCT_RATE
    images = acquisition["images"]
    selected = min(phase.keep, phase.starts)
    loops = 8 * voxels * ((COPIES + UNEVEN_COPIES * uneven) * max(extension, 1.0) + SOLUTION_COPIES * selected)
    result = SAMPLE_BYTES * LARGEST_SUPPORT * voxels * samples**3 * (1 + selected / 2)
    memory = PROGRAM_BYTES + images.nbytes + max(5 * images.nbytes, loops, result)
    lines = [
        f"{' x '.join(map(str, shape))} voxels (frame, y, x) of {' x '.join(map(str, images.shape))}; "
        f"{format_bytes(float(images.nbytes))} of measurement",
        f"{phase.starts} starts of {projections // phase.starts} iterations, {refinements} refining ones",
        f"time is that of {min(cores, 2)} CPU cores; an accelerator is many times faster",
    ]
    if uneven:
        lines.append("each frame at its own q, since the curve is not even: iterations take two to four times as long")
    return Estimate(int(memory), float(seconds), lines, {"starts": phase.starts}, shared_on_cpu=False)
