"""Initial guess of a fit: the density of another run, the best of a few phased starts, or a blind guess.

A field stagnates from a blind guess as single projections do, and more often, for it is smooth. By default a fit
therefore phases first, from fewer starts than `unflat phase` takes.

The density is moved to the middle of its array, and its phase ramp (of a peak beside the array's middle pixel) becomes
a separate offset of the pattern. It is written to the run's folder as ``start.h5``: a resumed run begins with the same
guess.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import ndimage

from ....physics.diffraction.far_field import fftshift3, ifftshift3
from ....physics.psf import gaussian_kernel
from ...errors import ConfigError, DataError, Diagnostic
from ...io.hdf5_common import open_checked, write_root_attributes
from ...io.json_text import parse_json
from ...phase_retrieval.pipeline import phase
from ...phase_retrieval.support import autocorrelation_support
from ...runs import Checkpoint, describe_input, new_hdf5, write_atomically
from ...runs.context import RunContext
from .config import CrystalSettings
from .initial_guess_file import require_density, resolve_start_file
from .laboratory import Solution, phase_ramp, phase_slopes, shift_to_middle
from .preprocess import PreprocessedScan
from .summary import likelihood_text

FILE_NAME = "start.h5"
_STAGE = "start"
"""Stage of a checkpoint that belongs to the phasing of the initial guess."""
_BLUR = 1.0
"""[voxel] Width of the blur before the support is found."""
_THRESHOLD = 0.2
"""Amplitude of the crystal's surface, relative to the largest blurred amplitude."""
_BASIS_TOLERANCE = 1e-3
"""Relative difference of two reciprocal bases above which they differ."""
_OPTIONAL = ("point_spread_function", "background", "reciprocal_basis")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InitialGuess:
    """Initial guess of a density and of its measurement.

    Args:
        density: Density on the grid conjugate to the measured array, in its middle, without ramp; |FFT|² is in counts.
        support: Mask of the crystal.
        offset: [pixel] Position of the peak relative to the array's middle pixel.
        sigmas: [pixel] Widths of the point-spread function.
        background: [counts] Background in every pixel.
    """

    density: Complex[np.ndarray, "z y x"]
    support: Bool[np.ndarray, "z y x"]
    offset: Float[np.ndarray, " 3"]
    sigmas: Float[np.ndarray, " 3"]
    background: float

    @classmethod
    def from_density(
        cls, density: Complex[np.ndarray, "z y x"], sigmas: Float[np.ndarray, " 3"], background: float
    ) -> "InitialGuess":
        """Move a density to the middle, and separate its ramp; what lies outside its largest part is removed."""
        support = find_support(density)
        shift = shift_to_middle(Solution(density, support))
        density, support = (np.roll(array, shift, axis=(0, 1, 2)) for array in (density, support))
        slopes = phase_slopes(density, support)
        flat = np.where(support, density * np.conj(phase_ramp(slopes, density.shape)), 0)
        return cls(flat, support, slopes * np.array(density.shape) / (2 * np.pi), sigmas, background)


def find_support(density: Complex[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """Find the crystal: the largest part above a threshold of the blurred amplitude; it may lie across the edges."""
    blurred = ndimage.gaussian_filter(np.abs(density).astype(np.float64), _BLUR, mode="wrap")
    bright = blurred > _THRESHOLD * blurred.max()
    shift = shift_to_middle(Solution(density, bright))
    labels, _ = ndimage.label(np.roll(bright, shift, axis=(0, 1, 2)))
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    return np.asarray(np.roll(labels == 1 + int(np.argmax(sizes)), [-s for s in shift], axis=(0, 1, 2)))


def find_initial_guess(
    settings: CrystalSettings, scan: PreprocessedScan, context: RunContext | None = None
) -> InitialGuess:
    """Find the initial guess that ``fit.start`` names.

    Args:
        settings: Settings of the run.
        scan: Preprocessed measurement.
        context: Run folder for the guess and for checkpoints of its phasing, progress callback and stop request; None
            to write nothing.

    Raises:
        Stopped: If the run was asked to end early.
        ConfigError: If ``fit.start`` names no density.
        DataError: If it names a density of another measurement.
    """
    path = context.folder.path / FILE_NAME if context is not None else None
    if path is not None and path.is_file():
        return read_initial_guess(path, scan)
    if settings.fit.start == "phase":
        guess = _from_phasing(settings, scan, context)
    elif settings.fit.start == "none":
        guess = _from_autocorrelation(settings, scan)
    else:
        guess = _from_file(settings, scan)
    if context is None or path is None:
        return guess
    _write(path, guess, scan)
    context.folder.save_checkpoint(0, {}, {"stage": _STAGE})  # Replaces the checkpoints of the phasing.
    return read_initial_guess(path, scan)  # Equal to the last digit to that of a resumed run.


def _from_phasing(settings: CrystalSettings, scan: PreprocessedScan, context: RunContext | None) -> InitialGuess:
    """Phase from a few starts, and take the best."""
    refine = settings.phase.refine.model_copy(update={"margin": 0.0})  # The field has finer samples of its own.
    update = {"starts": settings.fit.starts, "keep": 1, "gate": None, "refine": refine}
    few = settings.phase.model_copy(update=update)
    _log.info("phasing from %d starts first: a field that starts blind stagnates", settings.fit.starts)
    if context is None:
        result = phase(scan.data, few, settings.seed)
    else:
        folder = context.folder

        def save_checkpoint(step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
            folder.save_checkpoint(step, arrays, metadata | {"stage": _STAGE})

        checkpoint = _phasing_checkpoint(folder.latest_checkpoint())
        result = phase(
            scan.data, few, settings.seed, context.progress, context.should_stop, checkpoint, save_checkpoint
        )
    _log.info("start: %s", likelihood_text(result.numbers))
    return InitialGuess.from_density(result.density.astype(np.complex128), np.array(result.sigmas), result.background)


def _phasing_checkpoint(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Select a checkpoint of the phasing; None if it belongs to another stage."""
    if checkpoint is None or checkpoint.metadata.get("stage") != _STAGE or not checkpoint.arrays:
        return None
    return checkpoint


def _from_autocorrelation(settings: CrystalSettings, scan: PreprocessedScan) -> InitialGuess:
    """Fill an ellipsoid of half the autocorrelation's extent evenly; withheld pixels are not used."""
    fitted = scan.good & ~scan.data.free_pixels(settings.phase.free, settings.seed)
    counts, weights = np.where(fitted, scan.normalized_counts, 0).astype(np.float32), fitted.astype(np.float32)
    support = autocorrelation_support(
        jnp.asarray(ifftshift3(counts)), jnp.asarray(ifftshift3(weights)), settings.phase.start
    )
    extent = fftshift3(np.asarray(support)) > 0
    distance = np.zeros(extent.shape)
    for axis, n in enumerate(extent.shape):
        others = tuple(i for i in range(3) if i != axis)
        radius = np.ptp(np.flatnonzero(extent.any(axis=others))) / 4 + 1
        squares = ((np.arange(n) - n // 2) / radius) ** 2
        distance = distance + squares.reshape([-1 if i == axis else 1 for i in range(3)])
    inside = distance <= 1
    level = np.sqrt(counts.sum() / counts.size / inside.sum())
    return InitialGuess.from_density((level * inside).astype(np.complex128), np.zeros(3), 0.0)


def _from_file(settings: CrystalSettings, scan: PreprocessedScan) -> InitialGuess:
    """Read the density of a run or a volume file."""
    file = resolve_start_file(settings)
    if file is None:
        raise ConfigError(
            Diagnostic("fit.start", f"{settings.fit.start!r} names no file", "name a run or a volume file")
        )
    if settings.phase.free > 0 and not _has_same_withheld(file, scan, settings):
        _log.warning(
            "%s does not say that it withheld the same pixels (seed, phase.free, mask, box and frames): the free "
            "likelihood may flatter",
            file.name,
        )
    _log.info("start: %s, SHA-256 %s", file.name, describe_input(file).get("sha256", "unknown"))
    return read_initial_guess(file, scan)


def _has_same_withheld(file: Path, scan: PreprocessedScan, settings: CrystalSettings) -> bool:
    """Whether a file states that its density was fitted to none of the pixels that are withheld here."""
    with open_checked(file) as h5:
        group = h5.get("detector_frame", {})
        arrays = {name: np.asarray(group[name][()]) for name in ("withheld", "mask", "first") if name in group}
        frames = _provenance_frames(str(h5.attrs.get("provenance", "")))
    if len(arrays) < 3 or frames != settings.acquisition.model_dump(mode="json")["frames"]:
        return False
    if tuple(arrays["first"]) != scan.crop_box.first or arrays["mask"].shape != scan.counts.shape:
        return False
    unused = (arrays["withheld"] != 0) | (arrays["mask"] != 0)
    free = scan.data.free_pixels(settings.phase.free, settings.seed)
    return bool(unused[free].all())


def _provenance_frames(provenance: str) -> Any:
    """Read the frames of the acquisition that a run used; None if its provenance does not hold them."""
    try:
        return parse_json(provenance)["config"]["acquisition"]["frames"]
    except (ValueError, KeyError, TypeError):
        return None


def read_initial_guess(file: Path, scan: PreprocessedScan) -> InitialGuess:
    """Read ``/detector_frame`` of a volume file, or the ``start.h5`` of a run.

    Args:
        file: Path of the file.
        scan: Preprocessed measurement.

    Raises:
        DataError: If there is no density, or it is on another grid than the measurement.
    """
    with open_checked(file) as h5:
        require_density(h5, file)
        group = h5["detector_frame"]
        density = np.asarray(group["density"][()], np.complex128)
        arrays = {name: np.asarray(group[name][()]) for name in _OPTIONAL if name in group}
    _require_same_grid(file, density, arrays.get("reciprocal_basis"), scan)
    kernel = arrays.get("point_spread_function", np.ones((1, 1, 1)))
    return InitialGuess.from_density(density, _kernel_sigmas(kernel), float(arrays.get("background", 0.0)))


def _require_same_grid(
    file: Path, density: Complex[np.ndarray, "z y x"], basis: np.ndarray | None, scan: PreprocessedScan
) -> None:
    """Refuse a density that is empty, or on another grid than the measurement.

    Raises:
        DataError: If it is.
    """
    shape, own = scan.counts.shape, scan.reciprocal_basis
    where, remedy = f"{file}:/detector_frame", "start from a run with the same acquisition.crop and acquisition.bin"
    if density.shape != shape:
        message = f"the density has the shape {density.shape}, the measurement {shape} (frame, y, x)"
        raise DataError(Diagnostic(where, message, remedy))
    if not np.isfinite(density).all() or not np.abs(density).max() > 0:
        raise DataError(Diagnostic(where, "the density is 0 everywhere, or not finite"))
    if basis is not None and own is not None:
        difference = np.linalg.norm(basis - own) / np.linalg.norm(own)
        if difference > _BASIS_TOLERANCE:
            message = f"its reciprocal basis differs from the measurement's by {difference:.2g}"
            raise DataError(Diagnostic(where, message, remedy))


def _kernel_sigmas(kernel: Float[np.ndarray, "dz dy dx"]) -> Float[np.ndarray, " 3"]:
    """Compute the standard deviations [pixel] of a point-spread function along its axes."""
    sigmas = []
    for axis, n in enumerate(kernel.shape):
        line = kernel.sum(axis=tuple(i for i in range(3) if i != axis)) / kernel.sum()
        sigmas.append(float(np.sqrt(max(float((line * (np.arange(n) - n // 2) ** 2).sum()), 0.0))))
    return np.array(sigmas)


def _write(path: Path, guess: InitialGuess, scan: PreprocessedScan) -> None:
    """Write a guess in the layout of a volume file's ``/detector_frame``."""
    ramp = phase_ramp(2 * np.pi * guess.offset / np.array(guess.density.shape), guess.density.shape)
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, "unflat-start", "crystal", "detector_frame")
        group = file.create_group("detector_frame")
        group.attrs["NX_class"] = "NXcollection"
        arrays: dict[str, tuple[Any, str]] = {
            "density": (guess.density * ramp, "1"),
            "point_spread_function": (gaussian_kernel(guess.sigmas), "1"),
            "background": (np.float64(guess.background), "counts"),
        }
        if scan.reciprocal_basis is not None:
            arrays["reciprocal_basis"] = (scan.reciprocal_basis, "1/m")
        for name, (array, unit) in arrays.items():
            group.create_dataset(name, data=array).attrs["units"] = unit
