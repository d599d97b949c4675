"""Estimate of memory and time of phasing, and of the fit of a series, from shapes alone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...acquisition import Acquisition
from ...devices import usable_cores
from ...memory import format_bytes
from ...phase_retrieval.curve_gaps import LARGEST, has_wide_gap
from ...phase_retrieval.settings import PhaseSettings
from ...runs.estimate import PROGRAM_BYTES, Estimate, base_estimate
from .config import CrystalSettings
from .crop import CropBox
from .geometry_checks import require_spacing
from .preprocess import binned_basis, crop_box_by_size
from .uneven_curve import OFFSETS, box_positions

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
FRAME_FIT_PROJECTIONS = 8 * 180
"""Projections of the fit of the frames, in all its rounds."""
FRAME_FIT_COST = 8 * (60 * REFINEMENT_COST + 4 * 30 * 2 * REFINEMENT_COST) + 2 * 60 * REFINEMENT_COST
"""Time of the rest of the rounds, relative to a projection: refinement and joint steps; refinement after the last."""
FINAL_FIT_COST = (6 + 3) * 4 * 30 * 2 * REFINEMENT_COST + 8 * 60 * 2 * REFINEMENT_COST
"""Time of the final fit with and without the frames, and of the errors, in its larger array."""
_COMPILE_SECONDS = 9.0
"""[s] Time in which the programs of phasing are compiled, on one core."""
_FIT_COMPILE_SECONDS = 12.0
"""[s] Likewise for the fit of a series, counted for its first curve."""
STEP_PRODUCTS = 24
"""Floating-point operations of a fit's step for each complex product of its transforms, forwards and backwards."""
STEP_SECONDS = 1.5e-7
"""[s] Time of the field, its priors and its gradient in a step, for each sample of its box, on one core."""
FURTHER_STARTS = 2
"""Further starts of the phasing of a curve of a series: the completed curve's density and a neighbour's."""
LEAST_MASKED = 0.05
"""Masked share of a curve from which its neighbours complete it."""
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
    planes, fits_frames = _largest_planes(acquisition, box, settings.acquisition.bin[0]), _fits_frames(phase)
    final_fit = max(extension, 1) * FINAL_FIT_COST
    frame_fit = fits_frames * (planes * FRAME_FIT_PROJECTIONS + FRAME_FIT_COST + final_fit)
    iterations = planes * full_projections + refining_cost + frame_fit
    seconds = 2 * voxels * np.log2(voxels) * FFT_SECONDS * iterations / min(cores, 2) ** 0.5
    own_q = iterations + planes * (planes - 1) * full_projections if OFFSETS in acquisition else frame_fit
    seconds += own_q * 2 * 8 * frame * voxels / PRODUCT_RATE
    uneven = own_q > 0
    images = acquisition["images"]
    selected = min(phase.keep, phase.starts)
    loops = 8 * voxels * ((COPIES + UNEVEN_COPIES * uneven) * max(extension, planes) + SOLUTION_COPIES * selected)
    result = SAMPLE_BYTES * LARGEST_SUPPORT * voxels * samples**3 * (1 + selected / 2)
    memory = PROGRAM_BYTES + images.nbytes + max(5 * images.nbytes, loops, result)
    lines = [
        f"{' x '.join(map(str, shape))} voxels (frame, y, x) of {' x '.join(map(str, images.shape))}; "
        f"{format_bytes(float(images.nbytes))} of measurement",
        f"{phase.starts} starts of {projections // phase.starts} iterations, {refinements} refining ones",
        f"time is that of {min(cores, 2)} CPU cores; an accelerator is many times faster",
    ]
    if OFFSETS in acquisition:
        lines.append("each frame at its own q, since the curve is not even: iterations take two to four times as long")
    if planes > 1:
        lines.append(f"frames are lost: the array of the projections has up to {planes:g} times as many")
        lines.append("if the withheld pixels are explained badly, up to four further starts and four rounds follow")
    if fits_frames:
        lines.append(f"{_names_of_fits(phase)} fitted with the crystal, in up to 8 rounds and a last fit")
    shared = {"starts": phase.starts}
    return Estimate(int(memory), float(seconds), lines, shared, shared_on_cpu=False, compile_seconds=_COMPILE_SECONDS)


def _largest_planes(acquisition: Acquisition, box: CropBox, binning: int) -> float:
    """Largest number of planes of the projections' array, relative to the frames: it has room for lost ones."""
    offsets = acquisition.arrays.get(OFFSETS)
    if offsets is None or not has_wide_gap(box_positions(offsets, box, binning)[0][:, 0]):
        return 1.0
    return LARGEST


def _fits_frames(phase: PhaseSettings) -> bool:
    """Whether the frames are fitted; without withheld pixels nothing could judge it."""
    return any(phase.refine.fitted_frames) and phase.free > 0 and phase.refine.iterations > 0


def _names_of_fits(phase: PhaseSettings) -> str:
    names = ("angles", "rolls", "fluxes")
    return ", ".join(name for name, active in zip(names, phase.refine.fitted_frames, strict=True) if active)


def estimate_series(settings: CrystalSettings, acquisitions: Sequence[Acquisition]) -> Estimate:
    """Estimate memory and time of the fit of a series: phasing of every curve, then steps of all.

    Args:
        settings: Settings of the run.
        acquisitions: Rocking curves as read.
    """
    largest = max(acquisitions, key=lambda acquisition: acquisition.nbytes)
    refine = settings.phase.refine.model_copy(update={"margin": 0.0})
    few = {"starts": settings.fit.starts + FURTHER_STARTS, "keep": 1, "refine": refine}
    one = estimate(settings.model_copy(update={"phase": settings.phase.model_copy(update=few)}), largest)
    # A completed curve is phased besides the own one.
    times = sum(1 + _is_incomplete(own) for own in acquisitions) if settings.fit.start == "phase" else 0
    own_fit = replace(one, compile_seconds=_FIT_COMPILE_SECONDS)
    whole = own_fit.of_series([acquisition.nbytes for acquisition in acquisitions])
    fit, count = settings.fit, len(acquisitions)
    steps = fit.steps + fit.series_trial_steps
    lines = [*one.lines, f"series of {count} curves: {times} phasings, and {steps} steps of all"]
    seconds = times * one.seconds + count * steps * _step_seconds(settings, largest)
    compiling = whole.compile_seconds + (times > 0) * one.compile_seconds
    return replace(whole, seconds=seconds, lines=lines, compile_seconds=compiling)


def _is_incomplete(acquisition: Acquisition) -> bool:
    return "mask" in acquisition and bool(np.mean(acquisition["mask"] != 0) > LEAST_MASKED)


def _step_seconds(settings: CrystalSettings, acquisition: Acquisition) -> float:
    """[s] Time of a step of one curve, whose crystal is as large as an oversampling of 2 allows."""
    size, bins = crop_box_by_size(settings, acquisition).size, settings.acquisition.bin
    n = [count // b for count, b in zip(size, bins, strict=True)]
    edge = float(settings.fit.fineness * np.cbrt(LARGEST_SUPPORT))
    box = [edge * count for count in n]
    products = n[0] * box[0] * box[1] * box[2] + n[0] * n[1] * box[1] * box[2] + n[0] * n[1] * n[2] * box[2]
    return STEP_PRODUCTS * products / PRODUCT_RATE + STEP_SECONDS * box[0] * box[1] * box[2]
