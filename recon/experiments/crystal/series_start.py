"""Initial guesses of a series of rocking curves: pixels that one curve lacks are taken from its neighbours.

Half of the frames are too few to phase a curve by itself. Curves with other frames complete it: the completed curve is
phased, and its density is one start of the curve's own phasing, that of a neighbour another. The withheld pixels
decide between what comes out, the completed curve's density and the neighbour's as it is, so that unlike neighbours do
little harm. What a curve withholds is in no completed curve.

Where a curve has changed much, as the last one of a series may, the completed curve fits no crystal, and phasing half
of the frames leaves the neighbour's density for one that fits those frames alone: the neighbour's itself is better.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import fft

from ....physics.diffraction.far_field import deviance, fftshift3, ifftshift3
from ....physics.psf import convolve_gaussian
from ...phase_retrieval.pipeline import InitialStarts
from .config import CrystalSettings
from .guess_density import InitialGuess
from .initial_guess import find_initial_guess
from .preprocess import PreprocessedScan
from .warm_start import scale_to_counts, with_ramp

LEAST_GAIN = 0.05
"""Share of the voxels that neighbours must add to a curve for it to be phased completed."""
UNEQUAL_FLUX = 1.25
"""Ratio of two fluxes from which they are not taken as equal without a warning."""
LEAST_FLUX = 1.1
"""Ratio of all counts of two curves up to which their fluxes are equal: errors of the ratio are worse."""
_COMMON_COUNTS = 1000.0
"""Counts in the pixels that two curves share from which their fluxes are compared."""

_log = logging.getLogger(__name__)

ShouldStop = Callable[[], str | None]


def find_series_guess(
    settings: CrystalSettings,
    scans: Sequence[PreprocessedScan],
    number: int,
    neighbour: InitialGuess | None,
    should_stop: ShouldStop,
) -> InitialGuess:
    """Find the initial guess of one curve of a series.

    Args:
        settings: Settings of the run.
        scans: All curves, in their order.
        number: Number of this one.
        neighbour: Guess of a curve beside it; None for the first that is phased.
        should_stop: Reason to end early.

    Raises:
        Stopped: If the run was asked to end early.
    """
    scan = scans[number]
    if settings.fit.start != "phase":
        return find_initial_guess(settings, scan)
    completed = _completed_guess(settings, scans, number, neighbour, should_stop)
    own = _phase_from(settings, scan, [guess for guess in (completed, neighbour) if guess is not None], should_stop)
    if completed is None:
        return own
    guesses = {"its own density": own, "the completed curve's": completed}
    if neighbour is not None:
        guesses["the neighbour's"] = _with_counts(neighbour, scan)
        _check_flux(scans, number, guesses["the neighbour's"], neighbour)
    misfits = {name: _withheld_misfit(settings, scan, guess) for name, guess in guesses.items()}
    best = min(misfits, key=lambda name: misfits[name])
    listed = ", ".join(f"{misfit:.4g} of {name}" for name, misfit in misfits.items())
    _log.info("withheld pixels: deviance %s: starts from %s", listed, best)
    return guesses[best]


def _check_flux(scans: Sequence[PreprocessedScan], number: int, scaled: InitialGuess, neighbour: InitialGuess) -> None:
    """Warn of fluxes that had to be taken as equal, where the neighbour's density contradicts that."""
    beside = [scans[i] for i in (number - 1, number + 1) if 0 <= i < len(scans)]
    ratio = float(np.linalg.norm(scaled.density) / np.linalg.norm(neighbour.density)) ** 2
    _log.info("flux relative to the neighbour's, by its density: %.3g", ratio)
    is_equal = 1 / UNEQUAL_FLUX < ratio < UNEQUAL_FLUX
    if not is_equal and any(
        flux_ratio(scans[number], other, scans[number].good & other.good) is None for other in beside
    ):
        _log.warning(
            "acquisition %d has %.3g times the flux of its neighbour, by its density, but the completed curve "
            "took their fluxes as equal, as they share no pixels: scale the counts to one flux",
            *(number + 1, ratio),
        )


def _phase_from(
    settings: CrystalSettings, scan: PreprocessedScan, guesses: Sequence[InitialGuess], should_stop: ShouldStop
) -> InitialGuess:
    """Phase a curve, with a start from each of some guesses beside the others."""
    if not guesses:
        return find_initial_guess(settings, scan, should_stop=should_stop)
    densities = np.stack([_scaled(guess, scan) for guess in guesses]).astype(np.complex64)
    starts = InitialStarts(len(densities), lambda: densities, settings.predict.recipe)
    return find_initial_guess(settings, scan, should_stop=should_stop, initial=starts)


def _completed_guess(
    settings: CrystalSettings,
    scans: Sequence[PreprocessedScan],
    number: int,
    neighbour: InitialGuess | None,
    should_stop: ShouldStop,
) -> InitialGuess | None:
    """Phase a completed curve, and scale the density to the curve's own counts; None where there is none."""
    scan, completed = scans[number], complete_curve(settings, scans, number)
    if completed is None:
        return None
    added = np.mean(completed.good & ~scan.good)
    _log.info("neighbours add %.0f %% of the voxels: the completed curve is phased first", 100 * added)
    return _with_counts(_phase_from(settings, completed, [] if neighbour is None else [neighbour], should_stop), scan)


def _with_counts(guess: InitialGuess, scan: PreprocessedScan) -> InitialGuess:
    """Scale a guess to the counts of a curve."""
    scale = np.linalg.norm(_scaled(guess, scan)) / np.linalg.norm(guess.density)
    return replace(guess, density=scale * guess.density)


def _scaled(guess: InitialGuess, scan: PreprocessedScan) -> Complex[np.ndarray, "z y x"]:
    return scale_to_counts(with_ramp(guess), scan)[0]


def _withheld_misfit(settings: CrystalSettings, scan: PreprocessedScan, guess: InitialGuess) -> float:
    """Compute the deviance of the withheld pixels of an even curve."""
    free = scan.data.free_pixels(settings.phase.free, settings.seed)
    waves = fftshift3(fft.fftn(ifftshift3(_scaled(guess, scan))))
    blurred = convolve_gaussian(jnp.asarray(np.abs(waves) ** 2, jnp.float32), jnp.asarray(guess.sigmas, jnp.float32))
    modelled = jnp.maximum(blurred, 0) * scan.exposure[:, None, None] + guess.background
    return float(deviance(jnp.asarray(scan.counts), modelled, jnp.asarray(free, jnp.float32)))


def complete_curve(
    settings: CrystalSettings, scans: Sequence[PreprocessedScan], number: int
) -> PreprocessedScan | None:
    """Fill what a curve lacks, or withholds, with the counts of the nearest curves that have it.

    Returns:
        The completed curve; None where the others add next to nothing, or frames have positions or fluxes of their own.
    """
    refine = settings.fit.refine
    if any(scan.positions is not None for scan in scans) or refine.angles or refine.rolls or refine.flux:
        return None
    own, counts = _fitted(settings, scans[number])
    good = own.copy()
    for distance in range(1, len(scans)):
        beside = [scans[i] for i in (number - distance, number + distance) if 0 <= i < len(scans)]
        total, weight = np.zeros(own.shape), np.zeros(own.shape)
        for other in beside:
            fitted, values = _fitted(settings, other)
            ratio = flux_ratio(scans[number], other, fitted & own)
            total += np.where(fitted, (1.0 if ratio is None else ratio) * values, 0)
            weight += fitted
        new = ~good & (weight > 0)
        counts[new] = total[new] / weight[new]
        good |= new
    if np.mean(good & ~scans[number].good) < LEAST_GAIN:
        return None
    even = np.ones_like(scans[number].exposure)
    return replace(scans[number], counts=counts.astype(np.float32), good=good, exposure=even)


def flux_ratio(scan: PreprocessedScan, other: PreprocessedScan, common: Bool[np.ndarray, "frame y x"]) -> float | None:
    """Estimate the flux of a curve relative to another's by their pixels in common, or by all counts.

    A crystal scatters as many counts however it is strained. Every other frame has half of them, if the crystal is at
    most half as thick as the array along the curve.

    Args:
        scan: The curve.
        other: The other one.
        common: Mask of the pixels that both have.

    Returns:
        The ratio; None where neither tells, as curves without common pixels have other frames than every other one.
    """
    shared = float(other.normalized_counts[common].sum())
    if shared > _COMMON_COUNTS:
        return float(scan.normalized_counts[common].sum()) / shared
    if not (_is_alternate(scan) and _is_alternate(other)):
        return None
    # Pixels that are masked in some of the measured frames are left out in both.
    lines = np.logical_and(*(each.good.sum(axis=0) == each.good.any(axis=(1, 2)).sum() for each in (scan, other)))
    own, others = (float(each.normalized_counts[:, lines].sum(where=each.good[:, lines])) for each in (scan, other))
    if min(own, others) <= _COMMON_COUNTS:
        return None
    # Strain moves counts to and from the masked pixels: a small difference is the error of this estimate.
    return own / others if max(own / others, others / own) > LEAST_FLUX else 1.0


def _is_alternate(scan: PreprocessedScan) -> bool:
    """Whether every other frame of a curve is measured."""
    steps = np.diff(np.flatnonzero(scan.good.any(axis=(1, 2))))
    return len(steps) > 0 and bool((steps == 2).all())


def _fitted(
    settings: CrystalSettings, scan: PreprocessedScan
) -> tuple[Bool[np.ndarray, "frame y x"], Float[np.ndarray, "frame y x"]]:
    """Return the mask of the pixels that are fitted, and their counts under a steady beam."""
    fitted = scan.good & ~scan.data.free_pixels(settings.phase.free, settings.seed)
    return fitted, np.where(fitted, scan.normalized_counts, 0).astype(np.float64)
