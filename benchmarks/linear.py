"""Linear intensity diffraction tomography (IDT) in closed form, the reference of all fits to views.

It uses the same views as the fit. Its strength is chosen by the figure that is reported (on the withheld views, or
against the truth), which favours it over published uses. The fit chooses its best step by the withheld views, too.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from unflat.recon.config import with_overrides
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.initial_guess import invert_born_model
from unflat.recon.experiments.cell.likelihood import CellLikelihood, likelihood
from unflat.recon.experiments.configs import load_config
from unflat.recon.metrics import correlation, signal_to_noise
from unflat.recon.optimize.minibatches import withheld_views
from unflat.recon.sampled import Quantity
from unflat.recon.volume import Volume

from .commands import Options, settings_of
from .ledger import Numbers

STRENGTHS = (0.1, 0.03, 0.01, 0.003)
"""Values of Tikhonov's α to try, relative to the largest gain of the transfer functions."""

Contrast = Float[np.ndarray, "k z y x"]


@dataclass(frozen=True)
class LinearInverse:
    """Best of several linear inverses.

    Args:
        strength: Tikhonov's α.
        merit: Figure of merit; larger is better.
        contrast: n − n_m on the grid of the likelihood.
        seconds: [s] Time of this inversion, compilation included if it was the first.
    """

    strength: float
    merit: float
    contrast: Contrast
    seconds: float


def options_of_linear(options: Options) -> Options:
    """Select the options of a fit on which linear IDT and its evaluation depend."""
    relevant = ("fit.withheld", "fit.loss", "fit.refine")
    return {name: value for name, value in options.items() if not name.startswith("fit.") or name.startswith(relevant)}


def best_inverse(
    measured: CellLikelihood,
    views: np.ndarray,
    merit: Callable[[Contrast], float],
    *,
    clipped: bool = False,
    strengths: Sequence[float] = STRENGTHS,
) -> LinearInverse:
    """Invert some views at every strength, and return the best inverse.

    Args:
        measured: Likelihood of the measurement.
        views: Indices of the views to invert.
        merit: Figure of merit of a contrast.
        clipped: Whether negative contrast is set to 0 first.
        strengths: Values of α to try.
    """
    best: LinearInverse | None = None
    for strength in strengths:
        began = time.monotonic()
        contrast = invert_born_model(measured, views, strength)
        seconds = time.monotonic() - began
        if clipped:
            contrast = np.maximum(contrast, 0)
        value = merit(contrast)
        if best is None or value > best.merit:
            best = LinearInverse(strength, value, contrast, seconds)
    if best is None:
        raise ValueError("no strength to try")
    return best


def nearest_to_truth(
    config: Path, path: Path, figure: str, options: Options | None = None, *, clipped: bool = False
) -> Numbers:
    """Compute the accuracy of the linear inverse nearest to the truth, from the views that a fit would use.

    Args:
        config: Config of the fit.
        path: Acquisition with its truth.
        figure: Measure of the distance: ``snr`` or ``ncc``.
        options: Options set in the config.
        clipped: Whether negative contrast is set to 0.
    """
    settings: Any = load_config(config, settings_of(options or {}))
    kind = get_experiment("cell")
    acquisition = kind.read(settings, path)
    if acquisition.truth is None:
        raise ValueError(f"no truth in {path}")
    measured = problem_of(settings, acquisition)
    seen, _ = split(measured)
    best = best_inverse(measured, seen, against_truth(measured, acquisition.truth, figure), clipped=clipped)
    accuracy = dict(kind.evaluate(volume_of(measured, best.contrast), acquisition.truth).numbers)
    return accuracy | {"strength": best.strength, "seconds": best.seconds}


def split(measured: CellLikelihood) -> tuple[np.ndarray, np.ndarray]:
    """Split the views into those that the fit uses and those that it withholds."""
    settings = measured.settings
    withheld = withheld_views(measured.views, settings.fit.withheld, settings.seed)
    return np.setdiff1d(np.arange(measured.views), withheld), withheld


def residual(measured: CellLikelihood, views: np.ndarray) -> Callable[[Contrast], float]:
    """Create a function for the residual of some views as in the fit: root of the mean loss, 1 for an empty box.

    The physics is that of the likelihood; see `with_physics`.
    """
    import jax
    import jax.numpy as jnp

    nuisance = {name: jnp.asarray(value) for name, value in measured.nuisance_parameters.items()}
    losses = jax.jit(lambda values, batch: measured.losses(values, nuisance, batch))

    def of(contrast: Contrast) -> float:
        values = jnp.asarray(contrast, jnp.float32)
        each = [float(losses(values, measured.batch(np.array([view])))[0]) for view in views]
        return float(np.sqrt(np.mean(each)))

    return of


def with_physics(measured: CellLikelihood, model: str) -> CellLikelihood:
    """Return the likelihood of the same measurement by another physics."""
    settings: Any = with_overrides(measured.settings, [f"physics.model={model}"])
    return replace(measured, settings=settings)


def problem_of(settings: Any, acquisition: Any) -> CellLikelihood:
    """Create the likelihood of a measurement."""
    return likelihood(settings, acquisition)


def volume_of(measured: CellLikelihood, contrast: Contrast) -> Volume:
    """Convert a contrast to a volume."""
    z, y, x = measured.geometry.lattice.axes
    medium = measured.microscope.medium_index
    quantity = Quantity("refractive_index", "1", "real part of the refractive index")
    values = {quantity.name: (contrast[0] + medium).astype(np.float32)}
    return Volume("cell", z, y, x, values, (quantity,), {"medium_index": medium})


def against_truth(measured: CellLikelihood, truth: Volume, figure: str) -> Callable[[Contrast], float]:
    """Create a function for the accuracy of a contrast on the samples of the truth: ``snr`` or ``ncc``."""
    compare = {"snr": signal_to_noise, "ncc": correlation}[figure]
    medium = measured.microscope.medium_index
    known = np.asarray(truth.main, np.float64) - medium

    def of(contrast: Contrast) -> float:
        return compare(known, volume_of(measured, contrast).sample(truth.z, truth.y, truth.x) - medium)

    return of
