"""Memory and time of a cell's fit, from shapes alone."""

import numpy as np

from ...acquisition import Acquisition
from ...devices import usable_cores
from ...fields.config import SLAB_POINTS
from ...memory import format_bytes
from ...optimize.steps import FEWEST_STEPS, trial_steps
from ...runs.estimate import PROGRAM_BYTES, Estimate, base_estimate
from .config import CellSettings
from .geometry import STORED_WAVE_BYTES, geometry_of, views_in_step
from .schema import measured_views

FFT_SECONDS = 1.2e-9
"""[s] Time of a complex 2D FFT and the products around it, per sample and doubling of its size, on one core."""
FIELD_SECONDS = 6.0e-9
"""[s] Time of the field's value and gradient at a point of the grid, per number that it stores there, on one core."""
PEAK_MEMORY_FACTOR = 2.5
"""Peak memory relative to the arrays of a step: freed memory is not all reused."""


def estimate(settings: CellSettings, acquisition: Acquisition | None) -> Estimate:
    """Estimate memory and time of a fit.

    Args:
        settings: The config.
        acquisition: The measurement; None to count only the program itself.
    """
    if acquisition is None:
        return base_estimate()
    geometry = geometry_of(settings, acquisition)
    slices = geometry.lattice.shape[0]
    plane = float(np.prod(geometry.padded.shape[1:]))
    voxels = float(np.prod(geometry.lattice.shape))
    measured = measured_views(acquisition)
    sources = acquisition["pattern"].shape[1] if "pattern" in acquisition else 1
    waves = min(views_in_step(settings, acquisition), len(measured)) * sources
    whole = 8.0 * plane * waves * slices
    stored = whole if whole <= STORED_WAVE_BYTES else 8.0 * plane * waves * 4 * np.sqrt(slices)
    waves_bytes = stored + 8 * plane * waves * 12
    arrays = 2 * measured.nbytes + waves_bytes
    points = min(voxels, SLAB_POINTS) if settings.fit.field == "pyramid" else voxels
    arrays += 4 * (_field_numbers(settings) * points + 10 * voxels) + 4 * 8 * slices * plane
    cores = usable_cores()
    transforms = (4 if whole <= STORED_WAVE_BYTES else 6) * slices * waves
    seconds = transforms * plane * np.log2(plane) * FFT_SECONDS + voxels * _field_numbers(settings) * FIELD_SECONDS
    seconds *= _steps(settings) / cores
    z, y, x = geometry.lattice.shape
    dz, dy, dx = (d * 1e9 for d in geometry.lattice.pitch)
    lines = [
        f"lattice {z} x {y} x {x} samples of {dz:.4g} x {dy:.4g} x {dx:.4g} nm (z, y, x), the wave on "
        f"{geometry.padded.shape[1]} x {geometry.padded.shape[2]}",
        f"{waves} waves a step through {slices} slices: {transforms} Fourier transforms; "
        f"{format_bytes(float(measured.nbytes))} of measurement",
        f"time is that of {cores} CPU cores; an accelerator is many times faster",
    ]
    shared = {"views of a step": waves // sources}
    divided = int(PEAK_MEMORY_FACTOR * waves_bytes)
    return Estimate(int(PROGRAM_BYTES + PEAK_MEMORY_FACTOR * arrays), float(seconds), lines, shared, divided)


def _steps(settings: CellSettings) -> int:
    """Count the steps of all members, and of the trial of a sign; absorption is rarely tried."""
    fit = settings.fit
    tries = fit.sign == "auto" and fit.steps >= FEWEST_STEPS and fit.withheld > 0
    return fit.steps * fit.ensemble + (trial_steps(fit.steps) if tries else 0)


def _field_numbers(settings: CellSettings) -> float:
    """Count the numbers that the field stores at each point of the grid for its gradient."""
    fit = settings.fit
    if fit.field == "voxels":
        return 6
    if fit.field == "fourier":
        return 2.0 * fit.fourier.width * fit.fourier.depth
    return 8 + 2.0 * fit.pyramid.levels * fit.pyramid.features + 3.0 * fit.pyramid.hidden
