"""Linear intensity diffraction tomography in closed form: what everything is compared with.

It sees the same views as the fit, and it may choose its strength by what it is judged by (the withheld views, or the
truth): no published use is so lucky. Ours chooses its best step by the withheld views, too.
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
"""Tikhonov's α that are tried, as shares of the largest gain of the transfer functions."""

Contrast = Float[np.ndarray, "k z y x"]


@dataclass(frozen=True)
class Answer:
    """The best of several linear answers.

    Args:
        strength: Its Tikhonov's α.
        merit: What it was chosen by; larger is better.
        contrast: n − n_m on the problem's lattice.
        seconds: [s] Time of this one inversion, compilation included if it was the first.
    """

    strength: float
    merit: float
    contrast: Contrast
    seconds: float


def judged_alike(options: Options) -> Options:
    """Those options of a fit that linear IDT and its judgement depend on, too."""
    kept = ("fit.withheld", "fit.loss", "fit.refine")
    return {name: value for name, value in options.items() if not name.startswith("fit.") or name.startswith(kept)}


def best_answer(
    measured: CellLikelihood,
    views: np.ndarray,
    merit: Callable[[Contrast], float],
    *,
    clipped: bool = False,
    strengths: Sequence[float] = STRENGTHS,
) -> Answer:
    """Invert some views at every strength, and keep the best.

    Args:
        measured: The measurement.
        views: Which are inverted.
        merit: Of an answer.
        clipped: Whether negative contrast is set to 0 first.
        strengths: Which to try.
    """
    best: Answer | None = None
    for strength in strengths:
        began = time.monotonic()
        contrast = invert_born_model(measured, views, strength)
        seconds = time.monotonic() - began
        if clipped:
            contrast = np.maximum(contrast, 0)
        found = merit(contrast)
        if best is None or found > best.merit:
            best = Answer(strength, found, contrast, seconds)
    if best is None:
        raise ValueError("no strength to try")
    return best


def nearest_to_truth(
    config: Path, path: Path, figure: str, options: Options | None = None, *, clipped: bool = False
) -> Numbers:
    """Accuracy of the linear answer that comes nearest to the truth, from the views that a fit would see.

    Args:
        config: The fit's.
        path: The acquisition, with its truth.
        figure: What counts as near: ``snr`` or ``ncc``.
        options: Set in the config.
        clipped: Whether negative contrast is set to 0.
    """
    settings: Any = load_config(config, settings_of(options or {}))
    kind = get_experiment("cell")
    acquisition = kind.read(settings, path)
    if acquisition.truth is None:
        raise ValueError(f"no truth in {path}")
    measured = problem_of(settings, acquisition)
    seen, _ = split(measured)
    best = best_answer(measured, seen, against_truth(measured, acquisition.truth, figure), clipped=clipped)
    accuracy = dict(kind.evaluate(volume_of(measured, best.contrast), acquisition.truth).numbers)
    return accuracy | {"strength": best.strength, "seconds": best.seconds}


def split(measured: CellLikelihood) -> tuple[np.ndarray, np.ndarray]:
    """The views that the fit sees, and those that it does not."""
    settings = measured.settings
    withheld = withheld_views(measured.views, settings.fit.withheld, settings.seed)
    return np.setdiff1d(np.arange(measured.views), withheld), withheld


def residual(measured: CellLikelihood, views: np.ndarray) -> Callable[[Contrast], float]:
    """The residual of some views as the fit counts it: root of the mean misfit, 1 for an empty box.

    The physics is the problem's own; see `with_physics`.
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
    """The same measurement, seen through another physics."""
    settings: Any = with_overrides(measured.settings, [f"physics.model={model}"])
    return replace(measured, settings=settings)


def problem_of(settings: Any, acquisition: Any) -> CellLikelihood:
    """The fit's view of a measurement."""
    return likelihood(settings, acquisition)


def volume_of(measured: CellLikelihood, contrast: Contrast) -> Volume:
    """An answer as a volume."""
    z, y, x = measured.geometry.lattice.axes
    medium = measured.microscope.medium_index
    quantity = Quantity("refractive_index", "1", "real part of the refractive index")
    values = {quantity.name: (contrast[0] + medium).astype(np.float32)}
    return Volume("cell", z, y, x, values, (quantity,), {"medium_index": medium})


def against_truth(measured: CellLikelihood, truth: Volume, figure: str) -> Callable[[Contrast], float]:
    """One figure of an answer's accuracy on the truth's samples: ``snr`` or ``ncc``."""
    compare = {"snr": signal_to_noise, "ncc": correlation}[figure]
    medium = measured.microscope.medium_index
    known = np.asarray(truth.main, np.float64) - medium

    def of(contrast: Contrast) -> float:
        return compare(known, volume_of(measured, contrast).sample(truth.z, truth.y, truth.x) - medium)

    return of
