"""Start of phasing with the density of another scan of the same crystal, beside a part of the other starts.

It is taken only where that density explains the new pattern already, as in a series of scans of one crystal. The
withheld pixels decide between the starts, and the caller begins again without it if the result is not sound. The
density is kept in the run's folder: a resumed run begins with the same.
"""

import logging
from dataclasses import replace
from math import ceil

import numpy as np
from jaxtyping import Complex
from scipy import fft

from ....physics.diffraction.far_field import fftshift3, ifftshift3
from ....physics.diffraction.frame_amplitudes import frame_amplitudes
from ...errors import DataError
from ...phase_retrieval.pipeline import InitialStarts
from ...runs.context import RunContext
from .config import CrystalSettings
from .guess_density import InitialGuess, read_initial_guess, write_initial_guess
from .laboratory import phase_ramp
from .preprocess import PreprocessedScan

FILE_NAME = "former.h5"

OTHERS = 3 / 8
"""Share of the other starts that are left: on simulated crystals as many as find the best solution beside this one."""

LIMIT = 0.3
"""Relative error of the amplitudes above which a density is that of another crystal, or of one that has changed."""

_log = logging.getLogger(__name__)


def former_density(scan: PreprocessedScan, context: RunContext) -> Complex[np.ndarray, "z y x"] | None:
    """Read the density of another scan with which a run is to begin.

    Args:
        scan: Preprocessed measurement.
        context: Folder of the run, and that of the other scan's run.

    Returns:
        The density, scaled to the counts of this scan; None for a cold start: if no other run is given, its array or
        its geometry is another, it does not explain this scan, or this run has begun without.
    """
    own, other = context.folder.path / FILE_NAME, context.warm_start
    try:
        if not own.is_file():
            if other is None or context.folder.latest_checkpoint() is not None:
                return None
            guess = read_initial_guess(other / "volume.h5", scan)
            error = scale_to_counts(with_ramp(guess), scan)[1]
            if error > LIMIT:
                _log.info("cold start: the density of %s is off by %.2g of the amplitudes", other.name, error)
                return None
            write_initial_guess(own, guess, scan)
            _log.info("warm start: one start has the density of %s, off by %.2g of the amplitudes", other.name, error)
        return scale_to_counts(with_ramp(read_initial_guess(own, scan)), scan)[0]
    except DataError as error:
        _log.info("cold start: %s", error)
        return None


def with_ramp(guess: InitialGuess) -> Complex[np.ndarray, "z y x"]:
    """Density of a guess with its phase ramp."""
    shape = guess.density.shape
    return np.asarray(guess.density * phase_ramp(2 * np.pi * guess.offset / np.array(shape), shape))


def scale_to_counts(
    density: Complex[np.ndarray, "z y x"], scan: PreprocessedScan
) -> tuple[Complex[np.ndarray, "z y x"], float]:
    """Scale a density so that its amplitudes are as large as those that were measured.

    Returns:
        The density, and the relative error of its amplitudes in the good pixels.
    """
    if scan.positions is None:
        amplitudes = fftshift3(fft.fftn(ifftshift3(density)))
    else:
        amplitudes = frame_amplitudes(density, scan.positions)
    modelled = np.abs(amplitudes)[scan.good]
    measured = np.sqrt(scan.normalized_counts[scan.good])
    scale = float(modelled @ measured / max(modelled @ modelled, 1e-30))
    error = np.linalg.norm(scale * modelled - measured) / max(float(np.linalg.norm(measured)), 1e-30)
    return scale * density, float(error)


def starts_beside(starts: int) -> int:
    """Count the starts of a run, of which one has a given density.

    Args:
        starts: Number of starts of a cold run.
    """
    return 1 + ceil(OTHERS * starts)


def add_start(
    density: Complex[np.ndarray, "z y x"], others: InitialStarts | None, settings: CrystalSettings
) -> InitialStarts:
    """Put a start with a given density before the initial starts of a network, if there are any."""
    if others is None:
        return InitialStarts(1, lambda: density[None].astype(np.complex64), settings.predict.recipe)

    def compute() -> Complex[np.ndarray, "k z y x"]:
        return np.concatenate([density[None].astype(np.complex64), others.compute()])

    return replace(others, count=others.count + 1, compute=compute)
