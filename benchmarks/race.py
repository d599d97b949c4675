"""Time of each field to the final accuracy of linear IDT, and of voxels with total variation.

All run in one process, one after the other, on one simulated cell. Times are measured from the linear start,
compilation included, without the comparisons with the truth.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from unflat.recon.acquisition import Acquisition
from unflat.recon.config import with_overrides
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.shipped_configs import shipped
from unflat.recon.fields.build import field_for
from unflat.recon.metrics import signal_to_noise
from unflat.recon.optimize.fit_loop import Fit
from unflat.recon.optimize.objective import Objective
from unflat.recon.optimize.trainer import Callbacks

from .commands import Options, settings_of
from .ledger import Numbers
from .linear import best_inverse, problem_of
from .scene import CONFIG

COMPARE_EVERY = 5
"""Steps between two comparisons with the truth."""


def race(simulated: Options, fit: Options, of_field: Mapping[str, Options]) -> Numbers:
    """Fit all fields.

    Args:
        simulated: Options of the specimen and its images.
        fit: Options of all fits.
        of_field: Options of each field.

    Returns:
        ``linear`` with its SNR, time and strength; for each field pairs of seconds and SNR [dB].
    """
    settings: Any = parse_config(shipped(CONFIG), settings_of({**simulated, **fit}))
    acquisition = get_experiment("cell").simulate(settings)
    figures: Numbers = {"linear": _linear(settings, acquisition)}
    update: Callable[[str, bool], None] = jax.config.update  # untyped in some releases of jax
    update("jax_enable_compilation_cache", False)  # the compilation of every field counts
    try:
        for name, own in of_field.items():
            chosen: Any = with_overrides(settings, settings_of({**own, "fit.field": name}))
            figures[name] = _course(chosen, acquisition)
    finally:
        update("jax_enable_compilation_cache", True)
    return figures


def reached(course: list[list[float]], snr: float) -> float | None:
    """Return the time at which a course reaches an SNR [s]; None if it does not."""
    return next((seconds for seconds, value in course if value >= snr), None)


def _linear(settings: Any, acquisition: Acquisition) -> Numbers:
    measured = problem_of(settings, acquisition)
    known = _truth(measured, acquisition)
    every = np.arange(measured.views)
    best = best_inverse(measured, every, lambda contrast: signal_to_noise(known, np.asarray(contrast[0], np.float64)))
    return {"snr": best.merit, "seconds": best.seconds, "strength": best.strength}


def _course(settings: Any, acquisition: Acquisition) -> list[list[float]]:
    """Fit a field, and return pairs of seconds and SNR [dB]."""
    jax.clear_caches()
    measured = problem_of(settings, acquisition)
    known = _truth(measured, acquisition)
    field = field_for(settings.fit, measured.grid, len(measured.scales), measured.sign)
    fit = Fit(Objective(measured, field, settings.fit), settings.seed)
    values = fit.objective.compiled.values
    paused, course = [0.0], []
    began = time.perf_counter()

    def compare(step: int, _: dict[str, float]) -> None:
        if step % COMPARE_EVERY and step != settings.fit.steps:
            return
        now = time.perf_counter()
        answer = np.asarray(values(fit.state.field), np.float64)[0]
        course.append([now - began - paused[0], signal_to_noise(known, answer)])
        paused[0] += time.perf_counter() - now

    fit.run(Callbacks(progress=compare))
    return course


def _truth(measured: Any, acquisition: Acquisition) -> np.ndarray:
    """Return n − n_m of the truth on the grid of the fit."""
    if acquisition.truth is None:
        raise ValueError("a simulated acquisition without its truth")
    index = acquisition.truth.sample(*measured.geometry.lattice.axes)
    return np.asarray(index - measured.microscope.medium_index, np.float64)
