"""Phase retrieval of a crystal: from a measurement to a run folder with volume, predictions and numbers."""

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import fft

from ....physics.diffraction.far_field import fftshift3, ifftshift3
from ....physics.psf import convolve_gaussian_exact
from ...devices import release_memory, return_large_blocks
from ...errors import DataError
from ...io.json_text import json_records
from ...phase_retrieval.pipeline import phase as phase_counts
from ...phase_retrieval.result import PhasingResult
from ...runs import Gate, RunContext, RunFolder, RunOutcome
from ...volume import Volume
from .config import CrystalSettings
from .evaluate import score
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
from .preprocess import PreprocessedScan, preprocess
from .quality import quality_numbers
from .summary import quality_deviance

_log = logging.getLogger(__name__)
_START_METRICS = ("llk", "llk_free", "chi_rms", "support")
"""Metrics of each start in ``metrics.jsonl``."""


@return_large_blocks()
def phase(context: RunContext) -> RunOutcome:
    """Retrieve the phase of a rocking curve and write the result.

    Args:
        context: Config, measurement and folder.

    Raises:
        Stopped: If the run was asked to end early.
    """
    settings, measurement = context.config, context.measurement
    scan = preprocess(settings, measurement)
    release_memory()
    checkpoints = CheckpointWriter(context.folder, withheld=settings.phase.free > 0)
    result = phase_counts(
        scan.data,
        settings.phase,
        settings.seed,
        context.progress,
        context.should_stop,
        context.folder.latest_checkpoint(),
        checkpoints.save,
    )
    checkpoints.write_rows(result.solutions)
    numbers = write_phasing_result(settings, scan, result, measurement.truth, context)
    return RunOutcome(numbers, _gate(settings, numbers))


def write_phasing_result(
    settings: CrystalSettings, scan: PreprocessedScan, result: PhasingResult, truth: Volume | None, context: RunContext
) -> dict[str, float]:
    """Resample a solution to the laboratory, write volume, predictions and profiles, and compute their numbers."""
    frame = LaboratoryFrame(scan.reciprocal_basis, scan.bragg_vector)
    solution = Solution(result.density, result.support, result.ensemble)
    spacing = settings.volume.spacing
    volume = to_laboratory(solution, frame, None if isinstance(spacing, str) else spacing)
    folder = context.folder.path
    measurement_model = MeasurementModel.of_scan(scan, result.sigmas, result.background, result.free)
    write_volume_file(folder / "volume.h5", volume, solution, frame, measurement_model, context.provenance)
    modelled = model_counts(result, scan.exposure)
    write_predictions(folder, scan, modelled, result.curves)
    write_profiles(folder, volume)
    numbers = dict(result.numbers) | quality_numbers(scan, modelled, result.free, solution)
    numbers |= psf_numbers(result.sigmas, result.background) | sampling_numbers(scan, result.support)
    numbers |= {"voxels": float(volume.main.size)}
    numbers |= size_numbers(scan, volume, numbers) | _compare_with_truth(volume, truth)
    return numbers | {"volume_bytes": float((folder / "volume.h5").stat().st_size)}


class CheckpointWriter:
    """Writer of checkpoints, and of a row of ``metrics.jsonl`` for each start that has ended.

    Args:
        folder: Run folder.
        first: Number of the first start: the number of starts that were written before these.
        withheld: Whether pixels are withheld; without them there is no deviance of them to write.
    """

    def __init__(self, folder: RunFolder, first: int = 0, *, withheld: bool = True) -> None:
        self._folder = folder
        self._names = tuple(name for name in _START_METRICS if withheld or name != "llk_free")
        self._first = first
        self._written: set[int] | None = None
        self._step = 0

    def save(self, step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        """Write a checkpoint, and the rows of the starts that have ended."""
        self._step = step
        self.write_rows(metadata["table"])
        self._folder.save_checkpoint(step, arrays, metadata)
        release_memory()

    def write_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows of starts that are not in ``metrics.jsonl`` yet."""
        if self._written is None:
            self._written = self._read_written()
        for row in rows:
            number = self._first + int(row["number"])
            if number not in self._written:
                self._written.add(number)
                self._folder.append_metrics(self._step, start=number, **{name: row[name] for name in self._names})

    def _read_written(self) -> set[int]:
        """Read the numbers of the starts that an earlier session of the run has written."""
        file = self._folder.path / "metrics.jsonl"
        records = json_records(file) if file.is_file() else []
        starts = [record.get("start") for record in records]
        return {int(start) for start in starts if isinstance(start, int | float) and math.isfinite(start)}


def model_counts(result: PhasingResult, exposure: Float[np.ndarray, " frame"]) -> Float[np.ndarray, "frame y x"]:
    """Predict the counts of a solution, centred, in float64: exposure · (|FFT|² ⊛ Gaussian + background)."""
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


def _gate(settings: CrystalSettings, numbers: Mapping[str, float]) -> Gate | None:
    if settings.phase.gate is None:
        return None
    pixels = "withheld" if "llk_free" in numbers else "fitted"
    return Gate(f"Poisson deviance of the {pixels} pixels", quality_deviance(numbers), settings.phase.gate)
