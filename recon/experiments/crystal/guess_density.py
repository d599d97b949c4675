"""Density that a reconstruction of a crystal begins with: its normal form, and its file.

The density is moved to the middle of its array, and its phase ramp (of a peak beside the array's middle pixel) becomes
a separate offset of the pattern.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import ndimage

from ....physics.psf import gaussian_kernel
from ...errors import DataError, Diagnostic
from ...io.hdf5_common import open_checked, write_root_attributes
from ...phase_retrieval.frame_corrections import FrameCorrections
from ...runs import new_hdf5, write_atomically
from .initial_guess_file import require_density
from .laboratory import Solution, phase_ramp, phase_slopes, shift_to_middle
from .output import POSITIONS
from .preprocess import PreprocessedScan

_BLUR = 1.0
"""[voxel] Width of the blur before the support is found."""
_THRESHOLD = 0.2
"""Amplitude of the crystal's surface, relative to the largest blurred amplitude."""
_BASIS_TOLERANCE = 1e-3
"""Relative difference of two reciprocal bases above which they differ."""
_OPTIONAL = ("point_spread_function", "background", "reciprocal_basis", POSITIONS, "exposure")
_ROUNDING = 1e-9
"""Difference of positions and fluxes that is none."""


@dataclass(frozen=True)
class InitialGuess:
    """Initial guess of a density and of its measurement.

    Args:
        density: Density on the grid conjugate to the measured array, in its middle, without ramp; |FFT|² is in counts.
        support: Mask of the crystal.
        offset: [pixel] Position of the peak relative to the array's middle pixel.
        sigmas: [pixel] Widths of the point-spread function.
        background: [counts] Background in every pixel.
        frames: Corrections of the frames that were fitted with the density; None for none.
    """

    density: Complex[np.ndarray, "z y x"]
    support: Bool[np.ndarray, "z y x"]
    offset: Float[np.ndarray, " 3"]
    sigmas: Float[np.ndarray, " 3"]
    background: float
    frames: FrameCorrections | None = None

    @classmethod
    def from_density(
        cls,
        density: Complex[np.ndarray, "z y x"],
        sigmas: Float[np.ndarray, " 3"],
        background: float,
        frames: FrameCorrections | None = None,
    ) -> "InitialGuess":
        """Move a density to the middle, and separate its ramp; what lies outside its largest part is removed."""
        support = find_support(density)
        shift = shift_to_middle(Solution(density, support))
        density, support = (np.roll(array, shift, axis=(0, 1, 2)) for array in (density, support))
        slopes = phase_slopes(density, support)
        flat = np.where(support, density * np.conj(phase_ramp(slopes, density.shape)), 0)
        return cls(flat, support, slopes * np.array(density.shape) / (2 * np.pi), sigmas, background, frames)


def find_support(density: Complex[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """Find the crystal: the largest part above a threshold of the blurred amplitude; it may lie across the edges."""
    blurred = ndimage.gaussian_filter(np.abs(density).astype(np.float64), _BLUR, mode="wrap")
    bright = blurred > _THRESHOLD * blurred.max()
    shift = shift_to_middle(Solution(density, bright))
    labels, _ = ndimage.label(np.roll(bright, shift, axis=(0, 1, 2)))
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    return np.asarray(np.roll(labels == 1 + int(np.argmax(sizes)), [-s for s in shift], axis=(0, 1, 2)))


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
    background, frames = float(arrays.get("background", 0.0)), _frame_corrections(arrays, scan)
    return InitialGuess.from_density(density, _kernel_sigmas(kernel), background, frames)


def _frame_corrections(arrays: Mapping[str, np.ndarray], scan: PreprocessedScan) -> FrameCorrections | None:
    """Compute the corrections of the frames by which a file's positions and fluxes differ from the measurement's."""
    if POSITIONS not in arrays or arrays[POSITIONS].shape != (len(scan.counts), 3):
        return None
    offsets = arrays[POSITIONS] - scan.frame_positions
    flux = arrays["exposure"] / scan.exposure if "exposure" in arrays else np.ones(len(scan.counts))
    if np.abs(offsets).max() < _ROUNDING and np.abs(flux - 1).max() < _ROUNDING:
        return None
    return FrameCorrections(offsets, flux)


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


def write_initial_guess(path: Path, guess: InitialGuess, scan: PreprocessedScan) -> None:
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
        corrected = scan.corrected(guess.frames)
        if corrected.positions is not None:
            arrays |= {POSITIONS: (corrected.positions, "1"), "exposure": (corrected.exposure, "1")}
        if scan.reciprocal_basis is not None:
            arrays["reciprocal_basis"] = (scan.reciprocal_basis, "1/m")
        for name, (array, unit) in arrays.items():
            group.create_dataset(name, data=array).attrs["units"] = unit
