"""Output of phasing: volume, predictions, profiles and numbers of a solution in the detector's frame."""

import logging
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy import fft

from ....physics.diffraction.far_field import fftshift3, ifftshift3
from ....physics.diffraction.frame_amplitudes import frame_amplitudes
from ....physics.diffraction.uneven_frames import frame_blur
from ....physics.psf import convolve_gaussian_exact
from ...errors import DataError
from ...phase_retrieval.result import PhasingResult
from ...runs import RunContext
from ...volume import Volume
from .config import CrystalSettings
from .evaluate import score
from .frame_consistency import consistency_numbers
from .laboratory import LaboratoryFrame, Solution, to_laboratory
from .output import (
    MeasurementModel,
    psf_numbers,
    sampling_numbers,
    size_numbers,
    write_predictions,
    write_profiles,
    write_volume_file,
)
from .preprocess import PreprocessedScan
from .quality import quality_numbers
from .strain_noise import strain_noise_numbers

_log = logging.getLogger(__name__)


def write_phasing_result(
    settings: CrystalSettings, scan: PreprocessedScan, result: PhasingResult, truth: Volume | None, context: RunContext
) -> dict[str, float]:
    """Resample a solution to the laboratory, write volume, predictions and profiles, and compute their numbers."""
    scan = scan.corrected(result.frames)
    frame = LaboratoryFrame(scan.reciprocal_basis, scan.bragg_vector)
    solution = Solution(result.density, result.support, result.ensemble)
    spacing = settings.volume.spacing
    volume = to_laboratory(solution, frame, None if isinstance(spacing, str) else spacing)
    folder = context.folder.path
    measurement_model = MeasurementModel.of_scan(scan, result.sigmas, result.background, result.free)
    if result.frames is not None and result.frames.deviations is not None:
        measurement_model = replace(measurement_model, deviations=result.frames.deviations[:, :3])
    write_volume_file(folder / "volume.h5", volume, solution, frame, measurement_model, context.provenance)
    modelled = model_counts(result, scan.exposure, scan.positions)
    write_predictions(folder, scan, modelled, result.curves)
    write_profiles(folder, volume)
    numbers = dict(result.numbers) | quality_numbers(scan, modelled, result.free, solution)
    numbers |= psf_numbers(result.sigmas, result.background) | sampling_numbers(scan, result.support)
    numbers |= consistency_numbers(scan)
    numbers |= strain_noise_numbers(scan, result.background, result.density, volume)
    numbers |= {"voxels": float(volume.main.size)}
    numbers |= size_numbers(scan, volume, numbers) | _compare_with_truth(volume, truth)
    return numbers | {"volume_bytes": float((folder / "volume.h5").stat().st_size)}


def model_counts(
    result: PhasingResult,
    exposure: Float[np.ndarray, " frame"],
    positions: Float[np.ndarray, "frame 3"] | None = None,
) -> Float[np.ndarray, "frame y x"]:
    """Predict the counts of a solution, centred, in float64: exposure · (|F|² ⊛ Gaussian + background).

    Args:
        result: Solution.
        exposure: Relative flux of the beam in each frame.
        positions: Positions of the frames of a curve that is not even; None for an even one.
    """
    if positions is not None:
        power = np.abs(frame_amplitudes(result.density, positions)) ** 2
        across = convolve_gaussian_exact(power, (0.0, *result.sigmas[1:]))
        blurred = np.tensordot(frame_blur(result.sigmas[0], positions), across, axes=1)
        return np.asarray(exposure[:, None, None] * (np.maximum(blurred, 0) + result.background))
    field = fft.fftn(ifftshift3(result.density).astype(np.complex128), overwrite_x=True)
    power = np.abs(field)
    del field
    counts = convolve_gaussian_exact(fftshift3(np.square(power, out=power)), result.sigmas)
    counts += result.background
    counts *= exposure[:, None, None]
    return counts


def _compare_with_truth(volume: Volume, truth: Volume | None) -> dict[str, float]:
    if truth is None:
        return {}
    try:
        return score(volume, truth)
    except DataError as error:  # The result stands without it.
        _log.warning("not compared with the truth: %s", error)
        return {}
