"""Memory and time of a cell's fit, from shapes alone."""

from dataclasses import dataclass

import numpy as np

from ...acquisition import Acquisition
from ...devices import device_memory, usable_cores
from ...fields.config import SLAB_POINTS
from ...io.network_file import STEPS
from ...memory import format_bytes
from ...optimize.steps import FEWEST_STEPS, trial_steps
from ...runs.estimate import PROGRAM_BYTES, Estimate, base_estimate
from .caps import aperture_of
from .config import CellSettings
from .geometry import STORED_WAVE_BYTES, Geometry, geometry_of, geometry_of_part, views_in_step
from .linear_checks import linear_fault
from .network.inputs import samples_in_tiles
from .schema import measured_views
from .tiling import Tiling, candidates, cut_field

FFT_SECONDS = 1.2e-9
"""[s] Time of a complex 2D FFT and the products around it, per sample and doubling of its size, on one core."""
FIELD_SECONDS = 6.0e-9
"""[s] Time of the field's value and gradient at a point of the grid, per number that it stores there, on one core."""
NETWORK_SECONDS = 5.5e-7
"""[s] Time of the shipped network at a sample of its grid, on one core."""
_COMPILE_SECONDS = 8.0
"""[s] Time in which the programs of a fit are compiled, on one core."""
_NETWORK_COMPILE_SECONDS = 4.0
"""[s] Likewise for the network."""
PEAK_MEMORY_FACTOR = 2.5
"""Peak memory relative to the arrays of a step: freed memory is not all reused."""
VOLUME_COPIES = 4
"""Copies of the whole volume that are in memory at the end of a fit in tiles."""
_ONE_PIECE_REMEDY = (
    "unflat predict begins a fit of the field in one piece: crop or bin the images, widen volume.spacing, or set "
    "predict.start to linear"
)


@dataclass(frozen=True)
class _Cost:
    """Cost of the steps of a fit.

    Args:
        arrays: [bytes] Memory of all arrays.
        waves_bytes: [bytes] Part of it that the waves of a step take, which devices share.
        seconds: [s] Time of all steps.
        waves: Waves of a step.
        views: Views of a step.
        transforms: Fourier transforms of a step.
    """

    arrays: float
    waves_bytes: float
    seconds: float
    waves: int
    views: int
    transforms: int


def estimate(settings: CellSettings, acquisition: Acquisition | None) -> Estimate:
    """Estimate memory and time of a fit, in tiles where the config says so or the memory requires it.

    Args:
        settings: The config.
        acquisition: The measurement; None to count only the program itself.
    """
    if acquisition is None:
        return base_estimate()
    geometry = geometry_of(settings, acquisition)
    tiling = choose_tiling(settings, acquisition, geometry)
    part = _part(settings, acquisition, geometry, tiling)
    cost = _cost(settings, acquisition, part)
    seconds = cost.seconds * (1 if tiling is None else len(tiling))
    cores = usable_cores()
    z, y, x = geometry.lattice.shape
    dz, dy, dx = (d * 1e9 for d in geometry.lattice.pitch)
    lines = [
        f"lattice {z} x {y} x {x} samples of {dz:.4g} x {dy:.4g} x {dx:.4g} nm (z, y, x), the wave on "
        f"{part.padded.shape[1]} x {part.padded.shape[2]}",
        *([] if tiling is None else [f"{describe_tiling(tiling)}, one after the other"]),
        f"{cost.waves} waves a step through {z} slices: {cost.transforms} Fourier transforms; "
        f"{format_bytes(float(measured_views(acquisition).nbytes))} of measurement",
        f"time is that of {cores} CPU cores; an accelerator is many times faster",
    ]
    shared = {"views of a step": cost.views}
    divided = int(PEAK_MEMORY_FACTOR * cost.waves_bytes)
    is_known = not linear_fault(acquisition)
    others = {"predict": _prediction_seconds(settings, acquisition, geometry, seconds)} if is_known else {}
    memory = _bytes(settings, acquisition, geometry, tiling)
    return Estimate(
        memory,
        float(seconds),
        lines,
        shared,
        divided,
        other_seconds=others,
        compile_seconds=_COMPILE_SECONDS,
    )


def require_one_piece(settings: CellSettings, acquisition: Acquisition) -> None:
    """Refuse the fit that a prediction begins where the whole field, which it takes in one piece, is too large for it.

    Raises:
        DeviceError: If it needs more memory than the device has.
    """
    fit = settings.fit.model_copy(update={"tiles": "none"})
    whole = estimate(settings.model_copy(update={"fit": fit}), acquisition)
    whole.require_fit(device_memory(settings.device), _ONE_PIECE_REMEDY)


def describe_tiling(tiling: Tiling) -> str:
    """Describe tiles in one line."""
    (ny, nx), (h, w) = tiling.counts, tiling.shape
    return f"{len(tiling)} tiles ({ny} x {nx}, y x) of {h} x {w} pixels that overlap by {tiling.overlap * 1e6:.3g} um"


def choose_tiling(
    settings: CellSettings, acquisition: Acquisition, geometry: Geometry, memory: int | None = None
) -> Tiling | None:
    """Choose the tiles of a fit; None for one piece. If no tiles fit into the memory, those that need the least.

    Args:
        settings: The config.
        acquisition: The measurement.
        geometry: Lattices of the whole.
        memory: [bytes] Memory that the fit may take; that of the device by default.

    Raises:
        ConfigError: If the tiles that the config asks for cannot be cut.
    """
    tiles = settings.fit.tiles
    if tiles == "none" or tiles == (1, 1):
        return None
    if tiles != "auto":
        return cut_field(tiles, settings, acquisition, geometry)
    limit = device_memory(settings.device) if memory is None else memory
    least, smallest = _bytes(settings, acquisition, geometry, None), None
    if least <= limit:
        return None
    for tiling in candidates(settings, acquisition, geometry):
        needed = _bytes(settings, acquisition, geometry, tiling)
        if needed <= limit:
            return tiling
        if needed < least:
            least, smallest = needed, tiling
    return smallest


def _part(settings: CellSettings, acquisition: Acquisition, geometry: Geometry, tiling: Tiling | None) -> Geometry:
    return geometry if tiling is None else geometry_of_part(settings, acquisition, geometry, tiling.shape)


def _bytes(settings: CellSettings, acquisition: Acquisition, geometry: Geometry, tiling: Tiling | None) -> int:
    """Compute the peak memory [bytes]: that of a tile, and of the images and the volume of the whole."""
    arrays = _cost(settings, acquisition, _part(settings, acquisition, geometry, tiling)).arrays
    needed = PROGRAM_BYTES + PEAK_MEMORY_FACTOR * arrays
    if tiling is not None:
        needed += 2 * measured_views(acquisition).nbytes + VOLUME_COPIES * 4 * float(np.prod(geometry.lattice.shape))
    return int(needed)


def _cost(settings: CellSettings, acquisition: Acquisition, geometry: Geometry) -> _Cost:
    """Compute the cost of the steps of a fit in one piece, or of a tile."""
    slices = geometry.lattice.shape[0]
    plane = float(np.prod(geometry.padded.shape[1:]))
    voxels = float(np.prod(geometry.lattice.shape))
    measured = measured_views(acquisition)
    share = np.prod(geometry.image) / np.prod(measured.shape[1:])
    sources = acquisition["pattern"].shape[1] if "pattern" in acquisition else 1
    waves = min(views_in_step(settings, acquisition), len(measured)) * sources
    whole = 8.0 * plane * waves * slices
    stored = whole if whole <= STORED_WAVE_BYTES else 8.0 * plane * waves * 4 * np.sqrt(slices)
    waves_bytes = stored + 8 * plane * waves * 12
    arrays = 2 * measured.nbytes * min(1.0, float(share)) + waves_bytes
    points = min(voxels, SLAB_POINTS) if settings.fit.field == "pyramid" else voxels
    arrays += 4 * (_field_numbers(settings) * points + 10 * voxels) + 4 * 8 * slices * plane
    transforms = (4 if whole <= STORED_WAVE_BYTES else 6) * slices * waves
    seconds = transforms * plane * np.log2(plane) * FFT_SECONDS + voxels * _field_numbers(settings) * FIELD_SECONDS
    seconds *= _steps(settings) / usable_cores()
    return _Cost(float(arrays), float(waves_bytes), float(seconds), waves, waves // sources, transforms)


def _prediction_seconds(
    settings: CellSettings, acquisition: Acquisition, geometry: Geometry, fit_seconds: float
) -> float:
    """Compute the time [s] of a prediction: begun fits in one piece, the network, and a fit that refines its answer."""
    predict, fit = settings.predict, settings.fit
    passes = predict.draws * STEPS + 2
    extent = np.multiply(geometry.lattice.shape, geometry.lattice.pitch)
    samples = samples_in_tiles(extent, aperture_of(acquisition))
    seconds = _NETWORK_COMPILE_SECONDS + passes * samples * NETWORK_SECONDS / usable_cores()
    seconds += predict.refine * fit_seconds + (predict.refine or predict.start == "fit") * _COMPILE_SECONDS
    if predict.start == "linear":
        return seconds
    is_tried = fit.steps >= FEWEST_STEPS
    begun = 1 + is_tried * ((fit.refine.sources == "rigid") + (fit.sign == "auto" and fit.withheld > 0))
    one_step = _cost(settings, acquisition, geometry).seconds / _steps(settings)
    return seconds + begun * trial_steps(fit.steps) * one_step


def _steps(settings: CellSettings) -> int:
    """Count the steps of all members, and of the trials of light, sign and prior; absorption is rarely tried."""
    fit = settings.fit
    trials = int(fit.refine.sources == "rigid")
    if fit.withheld > 0:
        trials += (fit.sign == "auto") + (2 if fit.prior != "none" else 0)
    return fit.steps * fit.ensemble + (trials * trial_steps(fit.steps) if fit.steps >= FEWEST_STEPS else 0)


def _field_numbers(settings: CellSettings) -> float:
    """Count the numbers that the field stores at each point of the grid for its gradient."""
    fit = settings.fit
    if fit.field == "voxels":
        return 6
    if fit.field == "fourier":
        return 2.0 * fit.fourier.width * fit.fourier.depth
    return 8 + 2.0 * fit.pyramid.levels * fit.pyramid.features + 3.0 * fit.pyramid.hidden
