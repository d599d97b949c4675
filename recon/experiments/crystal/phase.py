"""A whole phase retrieval: from settings and an acquisition to a run folder with volume, diffraction and numbers."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ....physics.psf import gaussian_kernel
from ...acquisition import Acquisition
from ...errors import DataError, Diagnostic, QualityError
from ...io.hdf5_common import write_root_attributes
from ...metrics.edge_profile import lines_through_middle, median_edge_width, write_csv
from ...phase_retrieval.pipeline import phase as phase_counts
from ...phase_retrieval.result import PhasingResult
from ...runs import RunContext, RunFolder, new_hdf5, peak_memory, write_atomically
from ...volume import Volume
from .config import CrystalSettings
from .evaluate import score
from .laboratory import LaboratoryFrame, Solution, to_laboratory
from .output import MeasurementModel, write_result
from .preprocess import PreprocessedScan, preprocess
from .summary import reached

_log = logging.getLogger(__name__)
_ROW = ("llk", "llk_free", "chi_rms", "support")
"""What ``metrics.jsonl`` tells of each start."""


def phase(settings: CrystalSettings, acquisition: Acquisition, work: RunContext) -> dict[str, float]:
    """Phase, and write what came of it.

    Args:
        settings: The config.
        acquisition: The measurement.
        work: Where everything goes, and who is told.

    Returns:
        The numbers of ``metrics.json``.

    Raises:
        Stopped: If it was asked to end early.
        QualityError: If the result, which is kept, is below the gate.
    """
    began = time.monotonic()
    prepared = preprocess(settings, acquisition)
    measured = prepared.measured
    saver = CheckpointWriter(work.folder, withheld=settings.phase.free > 0)
    found = phase_counts(
        measured, settings.phase, settings.seed, work.progress, work.stop, work.folder.latest_checkpoint(), saver.save
    )
    saver.tell(found.solutions)
    numbers = write_phasing_result(settings, prepared, found, acquisition.truth, work)
    if settings.phase.gate is not None:
        numbers["gate"] = settings.phase.gate
    numbers |= {"peak_memory_bytes": float(peak_memory()), "seconds": time.monotonic() - began}
    work.folder.write_metrics(numbers)
    _gate(settings, numbers)
    return numbers


def write_phasing_result(
    settings: CrystalSettings,
    prepared: PreprocessedScan,
    found: PhasingResult,
    truth: Volume | None,
    work: RunContext,
) -> dict[str, float]:
    """Bring the solution to the laboratory, write volume and diffraction, and give their numbers."""
    frame = LaboratoryFrame(prepared.reciprocal_basis, prepared.bragg_vector)
    if not frame.is_known:
        _log.warning("there is no reciprocal basis: the volume is in voxels, without displacement and strain")
    solution = Solution(found.density, found.support, found.kept)
    volume = to_laboratory(
        solution, frame, None if isinstance(settings.volume.spacing, str) else settings.volume.spacing
    )
    kernel, path = gaussian_kernel(found.sigmas), work.folder.path / "volume.h5"
    seen = MeasurementModel(
        kernel, found.background, prepared.good, prepared.exposure, found.free, prepared.crop_box.first
    )
    write_result(path, volume, solution, frame, seen, work.provenance)
    write_predictions(work.folder.path, prepared, model_counts(found, kernel, prepared.exposure), found.curves)
    _write_profiles(work.folder, volume)
    numbers = _numbers(found, prepared, volume) | _against_truth(volume, truth)
    return numbers | {"volume_bytes": float(path.stat().st_size)}


class CheckpointWriter:
    """Writes checkpoints, and a line of ``metrics.jsonl`` for each start that has come to its end.

    Args:
        folder: Where they go.
        first: Number of the first start: how many were told before these.
        withheld: Whether pixels are withheld; else there is no free likelihood to tell of.
    """

    def __init__(self, folder: RunFolder, first: int = 0, *, withheld: bool = True) -> None:
        self._folder = folder
        self._row = tuple(name for name in _ROW if withheld or name != "llk_free")
        self._first = first
        self._told: set[int] | None = None
        self._step = 0

    def save(self, step: int, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Write a checkpoint."""
        self._step = step
        self.tell(facts["table"])
        self._folder.save_checkpoint(step, arrays, facts)

    def tell(self, rows: Any) -> None:
        """Write the lines that are not written yet."""
        if self._told is None:
            self._told = self._read()
        for row in rows:
            number = self._first + int(row["number"])
            if number not in self._told:
                self._told.add(number)
                self._folder.append_metrics(self._step, start=number, **{name: row[name] for name in self._row})

    def _read(self) -> set[int]:
        """Starts of a run that goes on."""
        import json

        file = self._folder.path / "metrics.jsonl"
        lines = file.read_text("utf-8").splitlines() if file.is_file() else []
        return {int(record["start"]) for record in map(json.loads, lines) if "start" in record}


def _numbers(found: PhasingResult, prepared: PreprocessedScan, volume: Volume) -> dict[str, float]:
    """What is known of the result's quality and cost."""
    numbers = dict(found.numbers)
    numbers |= psf_numbers(found.sigmas, found.background) | sampling_numbers(prepared, found.support)
    numbers["voxels"] = float(volume.main.size)
    return numbers | size_numbers(prepared, volume, numbers)


def psf_numbers(sigmas: Sequence[float], background: float) -> dict[str, float]:
    """Point-spread function and background, by name."""
    widths = {f"psf_{name}": float(s) for name, s in zip(("frame", "y", "x"), sigmas, strict=True)}
    return widths | {"background": float(background)}


def sampling_numbers(prepared: PreprocessedScan, support: np.ndarray) -> dict[str, float]:
    """What was measured, and how finely it samples the crystal."""
    numbers = {"voxels_measured": float(prepared.good.sum()), "masked_fraction": float(1 - prepared.good.mean())}
    widths = [np.ptp(np.flatnonzero(support.any(axis=_others(a)))) + 1 for a in range(3)]
    for name, size, width in zip(("frame", "y", "x"), support.shape, widths, strict=True):
        numbers[f"oversampling_{name}"] = float(size / width)
    return numbers


def size_numbers(prepared: PreprocessedScan, volume: Volume, numbers: Mapping[str, float]) -> dict[str, float]:
    """Lengths and strain, where a voxel has a size."""
    if volume.length_unit != "m":
        return {}
    spacing, inside = float(np.cbrt(np.prod(volume.spacing))), volume.values["support"] > 0
    frames, rows, columns = prepared.counts.shape
    steps = LaboratoryFrame(prepared.reciprocal_basis).steps((frames, rows, columns))
    step = float(np.cbrt(abs(np.linalg.det(steps))))
    found = {"voxel_size": spacing, "crystal_volume": float(inside.sum()) * spacing**3}
    for name in ("prtf_resolution", "fsc_resolution"):
        if f"{name}_voxels" in numbers:
            found[name] = numbers[f"{name}_voxels"] * step
    width = median_edge_width(volume)
    if np.isfinite(width):
        found["edge_width"] = width
    if "strain" in volume.values:
        found["strain_rms"] = float(np.std(volume.values["strain"][inside]))
    return found


def _others(axis: int) -> tuple[int, ...]:
    return tuple(i for i in range(3) if i != axis)


def _against_truth(volume: Volume, truth: Volume | None) -> dict[str, float]:
    if truth is None:
        return {}
    try:
        return score(volume, truth)
    except DataError as error:  # The result is none the worse for it.
        _log.warning("not compared with the truth: %s", error)
        return {}


def model_counts(
    found: PhasingResult, kernel: Float[np.ndarray, "dz dy dx"], exposure: Float[np.ndarray, " frame"]
) -> Float[np.ndarray, "frame y x"]:
    """Counts that a solution predicts, centred, in float64: exposure · (|FFT|² ⊛ kernel + background)."""
    from scipy.ndimage import convolve

    field = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(found.density.astype(np.complex128))))
    counts = np.abs(field) ** 2
    if kernel.size > 1:
        for axis in range(3):
            line = kernel.sum(axis=_others(axis))
            counts = convolve(counts, line.reshape([-1 if i == axis else 1 for i in range(3)]), mode="wrap")
    return np.asarray((counts + found.background) * exposure[:, None, None])


def write_predictions(
    folder: Path,
    prepared: PreprocessedScan,
    modelled: Float[np.ndarray, "frame y x"],
    curves: Mapping[str, np.ndarray],
) -> None:
    """Write measured and modelled counts on the three planes through the peak, and curves such as those of agreement.

    Args:
        folder: Of the run.
        prepared: The measurement.
        modelled: Counts.
        curves: By name.
    """
    planes = {
        "measured": prepared.counts,
        "modelled": modelled.astype(np.float32),
        "good": prepared.good.astype(np.uint8),
    }
    with write_atomically(folder / "predictions.h5") as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, "unflat-diffraction", "crystal", "/")
        for name, array in planes.items():
            for axis, letter in enumerate(("frame", "y", "x")):
                # A box that leaves the peak out is cut where it comes nearest to it.
                cut = np.take(array, int(np.clip(prepared.peak[axis], 0, array.shape[axis] - 1)), axis=axis)
                data = file.create_dataset(f"{name}/{letter}", data=cut, compression="gzip", shuffle=True)
                data.attrs["units"] = "1" if name == "good" else "counts"
        for name, curve in curves.items():
            file.create_dataset(f"curves/{name}", data=curve).attrs["units"] = "1"


def _write_profiles(folder: RunFolder, volume: Volume) -> None:
    """Write the values along z, y and x through the crystal's middle as a table."""
    with write_atomically(folder.path / "profiles.csv") as temporary:
        write_csv(lines_through_middle(volume), temporary, volume.length_unit)


def _gate(settings: CrystalSettings, numbers: Mapping[str, float]) -> None:
    gate, found = settings.phase.gate, reached(numbers)
    if gate is not None and not found <= gate:  # Nor does one that is no number pass.
        which = "withheld" if "llk_free" in numbers else "fitted"
        message = f"the likelihood of the {which} pixels, {found:.3g}, is not below the gate of {gate:g}"
        raise QualityError(Diagnostic("", message, "the result is kept, and its report tells more"))
