"""How long each field takes to the accuracy that linear IDT, and voxels with total variation, reach in the end.

In one process, one after the other, on one simulated cell. The clock runs from the linear start to the step, compiling
included; it stands still while the answer is compared with the truth.
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
from .linear import best_answer, problem_of
from .scene import CONFIG

LOOK_EVERY = 5
"""Steps between two comparisons with the truth."""


def race(simulated: Options, fit: Options, of_field: Mapping[str, Options]) -> Numbers:
    """Let the fields run.

    Args:
        simulated: Of the specimen and its images.
        fit: Of every fit.
        of_field: Of each field.

    Returns:
        ``linear`` with its SNR, time and strength; each field's course, as pairs of seconds and SNR [dB].
    """
    settings: Any = parse_config(shipped(CONFIG), settings_of({**simulated, **fit}))
    acquisition = get_experiment("cell").simulate(settings)
    found: Numbers = {"linear": _linear(settings, acquisition)}
    update: Callable[[str, bool], None] = jax.config.update  # untyped in some releases of jax
    update("jax_enable_compilation_cache", False)  # every field compiles: it counts
    try:
        for name, own in of_field.items():
            chosen: Any = with_overrides(settings, settings_of({**own, "fit.field": name}))
            found[name] = _course(chosen, acquisition)
    finally:
        update("jax_enable_compilation_cache", True)
    return found


def reached(course: list[list[float]], snr: float) -> float | None:
    """[s] When a course first has an SNR, or None."""
    return next((seconds for seconds, found in course if found >= snr), None)


def _linear(settings: Any, acquisition: Acquisition) -> Numbers:
    measured = problem_of(settings, acquisition)
    known = _truth(measured, acquisition)
    every = np.arange(measured.views)
    best = best_answer(measured, every, lambda contrast: signal_to_noise(known, np.asarray(contrast[0], np.float64)))
    return {"snr": best.merit, "seconds": best.seconds, "strength": best.strength}


def _course(settings: Any, acquisition: Acquisition) -> list[list[float]]:
    """[s], [dB] of a fit as it goes on."""
    jax.clear_caches()
    measured = problem_of(settings, acquisition)
    known = _truth(measured, acquisition)
    field = field_for(settings.fit, measured.grid, len(measured.scales), measured.sign)
    fit = Fit(Objective(measured, field, settings.fit), settings.seed)
    values = jax.jit(fit.objective.values)
    looked, course = [0.0], []
    began = time.perf_counter()

    def look(step: int, _: dict[str, float]) -> None:
        if step % LOOK_EVERY and step != settings.fit.steps:
            return
        now = time.perf_counter()
        answer = np.asarray(values(fit.state.field), np.float64)[0]
        course.append([now - began - looked[0], signal_to_noise(known, answer)])
        looked[0] += time.perf_counter() - now

    fit.run(Callbacks(progress=look))
    return course


def _truth(measured: Any, acquisition: Acquisition) -> np.ndarray:
    """N − n_m of the truth on the fit's own lattice."""
    if acquisition.truth is None:
        raise ValueError("a simulated acquisition without its truth")
    index = acquisition.truth.sample(*measured.geometry.lattice.axes)
    return np.asarray(index - measured.microscope.medium_index, np.float64)
