"""A whole prediction: from settings and an acquisition to a run folder, by a network, and through the physics if asked.

Pixels that phasing would withhold are hidden from the network too, so that the free likelihood means the same in both.
"""

import time

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .....physics.diffraction.far_field import fftshift3, ifftshift3
from ....io.network_file import FILE_NAME, read, write
from ....phase_retrieval.align import align
from ....phase_retrieval.combine import combine
from ....phase_retrieval.pattern import DevicePattern, fit_metrics, ideal_point_spread, to_device_pattern
from ....phase_retrieval.result import PhasingResult
from ....phase_retrieval.support import shrink_wrap
from ....runs import Gate, RunContext, RunOutcome
from ..oversampling import estimate_oversampling
from ..phase import write_phasing_result
from ..preprocess import preprocess
from .finetune import finetune, of_tuning
from .inputs import resample_pattern
from .refine import refine_samples
from .sample import Samples, draw_samples

_SIGMA, _THRESHOLD = 1.0, 0.3
"""[voxel] and in units of the rms: what of an answer is the crystal."""


def predict(context: RunContext) -> RunOutcome:
    """Predict the density of a crystal, and write the result.

    Args:
        context: Config, measurement and folder.

    Returns:
        The outcome; ``seconds_of_answer`` is the network's own time.

    Raises:
        DataError: If there is no such network.
        Stopped: If it was asked to end early.
    """
    settings, acquisition, work = context.config, context.measurement, context
    wanted, adaptation = settings.predict, {}
    network = read(wanted.network, "crystal")
    prepared = preprocess(settings, acquisition)
    measured = prepared.data
    pattern = to_device_pattern(measured, settings.phase.free, settings.seed)
    seen = prepared.good & ~(fftshift3(np.asarray(pattern.free)) > 0)
    brought = resample_pattern(
        prepared.normalized_counts, seen, estimate_oversampling(prepared.normalized_counts, seen)
    )
    if wanted.adapt:
        found, told = work.folder.latest_checkpoint(), (work.progress, work.should_stop)
        # One of the refinement is worth more than one of the tuning before it, which comes to the same weights again.
        save = work.folder.save_checkpoint if found is None or of_tuning(found) else None
        network, kept = finetune(network, brought, wanted, settings.seed, *told, of_tuning(found), save)
        if kept:
            write(network, work.folder.path / FILE_NAME)
        adaptation = {"adapted_steps": float(kept), "adapt_steps": float(wanted.adapt)}
    asked = time.monotonic()

    def step(done: int) -> None:
        work.progress(done, wanted.steps)

    answered = draw_samples(network, brought, wanted.draws, wanted.steps, settings.seed, step)
    seconds = {"seconds_of_answer": time.monotonic() - asked}
    phased = (
        refine_samples(settings, measured, answered.densities, work)
        if wanted.refine
        else judged(answered, pattern, measured.metric)
    )
    numbers = write_phasing_result(settings, prepared, phased, acquisition.truth, work) | seconds | adaptation
    numbers |= {"draws": float(wanted.draws), "chi_of_answer": float(answered.chi[0])}
    if wanted.gate is None:
        return RunOutcome(numbers)
    remedy = "use unflat phase" if wanted.refine else "refine it with --refine, or use unflat phase"
    return RunOutcome(numbers, Gate("chi_rms", numbers["chi_rms"], wanted.gate, remedy))


def judged(found: Samples, pattern: DevicePattern, metric: Float[np.ndarray, "3 3"] | None = None) -> PhasingResult:
    """The best of the draws as a result, with the others as its spread; for the metric see `combine`."""
    best = found.densities[0]
    best = best * np.exp(-1j * np.angle(best.sum())).astype(np.complex64)
    kept = np.stack([best, *(align(one, best, ramp=False, scale=False).density for one in found.densities[1:])])
    combined = combine(kept.astype(np.complex64), metric)
    support = fftshift3(np.asarray(_support_of(jnp.asarray(ifftshift3(best))))) > 0
    numbers = fit_metrics(jnp.asarray(ifftshift3(best)), ideal_point_spread(), pattern) | combined.numbers()
    numbers["support_voxels"] = float(support.sum())
    return PhasingResult(
        best,
        support,
        (0.0, 0.0, 0.0),
        0.0,
        numbers,
        (),
        kept.astype(np.complex64),
        {"frequency": combined.frequency, "prtf": combined.prtf, "fsc": combined.fsc},
        fftshift3(np.asarray(pattern.free)) > 0,
    )


def _support_of(density: jnp.ndarray) -> jnp.ndarray:
    inside = (jnp.abs(density) > 0.1 * jnp.max(jnp.abs(density))).astype(jnp.float32)
    return shrink_wrap(density, inside, _SIGMA, _THRESHOLD)
