"""Prediction by a network, from settings and an acquisition to a run folder, refined by the physics on demand.

Pixels that phasing would withhold are hidden from the network too, so that the free likelihood means the same in both.
"""

import time

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .....physics.diffraction.far_field import fftshift3, ifftshift3
from ....io.network_file import FILE_NAME, read, write
from ....networks.weights import load_network, with_self_test
from ....phase_retrieval.align import align
from ....phase_retrieval.combine import combine
from ....phase_retrieval.pattern import DevicePattern, fit_metrics, ideal_point_spread, to_device_pattern
from ....phase_retrieval.result import PhasingResult
from ....phase_retrieval.support import shrink_wrap
from ....runs import Gate, RunContext, RunOutcome
from ..phasing_output import write_phasing_result
from ..preprocess import preprocess
from .denoiser import CrystalDenoiser
from .finetune import finetune, finetuning_checkpoint
from .refine import refine_samples
from .sample import Samples, draw_samples, resample_scan

_SIGMA, _THRESHOLD = 1.0, 0.3
"""[voxel] Width of the smoothing, and threshold in units of the rms, of the support of a draw."""


def predict(context: RunContext) -> RunOutcome:
    """Predict the density of a crystal, and write the result.

    Args:
        context: Config, measurement and folder.

    Returns:
        The outcome; ``seconds_of_answer`` is the network's own time.

    Raises:
        DataError: If there is no such network.
        Stopped: If the prediction was asked to end early.
    """
    settings, acquisition = context.config, context.measurement
    section, adaptation = settings.predict, {}
    network = read(section.network, "crystal")
    prepared = preprocess(settings, acquisition)
    measured = prepared.data
    pattern = to_device_pattern(measured, settings.phase.free, settings.seed)
    resampled = resample_scan(prepared, settings.phase.free, settings.seed)
    if section.adapt:
        newest, callbacks = context.folder.latest_checkpoint(), (context.progress, context.should_stop)
        own = finetuning_checkpoint(newest)
        # A checkpoint of the refinement is worth more than one of the tuning before it, which can be repeated exactly.
        save = context.folder.save_checkpoint if newest is None or own else None
        network, steps = finetune(network, resampled, section, settings.seed, *callbacks, own, save)
        if steps:
            write(with_self_test(network, CrystalDenoiser), context.folder.path / FILE_NAME)
        adaptation = {"adapted_steps": float(steps), "adapt_steps": float(section.adapt)}
    drawing = time.monotonic()

    def progress(done: int) -> None:
        context.progress(done, section.steps)

    denoiser = load_network(network, CrystalDenoiser)
    samples = draw_samples(denoiser, resampled, section.draws, section.steps, settings.seed, progress)
    seconds = {"seconds_of_answer": time.monotonic() - drawing}
    result = (
        refine_samples(settings, measured, samples.densities, context)
        if section.refine
        else combine_samples(samples, pattern, measured.metric)
    )
    numbers = write_phasing_result(settings, prepared, result, acquisition.truth, context) | seconds | adaptation
    numbers |= {"draws": float(section.draws), "chi_of_answer": float(samples.chi[0])}
    if section.gate is None:
        return RunOutcome(numbers)
    remedy = "use unflat phase" if section.refine else "refine it with --refine, or use unflat phase"
    return RunOutcome(numbers, Gate("chi_rms", numbers["chi_rms"], section.gate, remedy))


def combine_samples(
    samples: Samples, pattern: DevicePattern, metric: Float[np.ndarray, "3 3"] | None = None
) -> PhasingResult:
    """Take the best of the draws as the result, and the others for its spread.

    Args:
        samples: Draws, the best first.
        pattern: Measured pattern.
        metric: Metric of reciprocal space (`combine`).
    """
    best = samples.densities[0]
    best = best * np.exp(-1j * np.angle(best.sum())).astype(np.complex64)
    aligned = np.stack([best, *(align(one, best, ramp=False, scale=False).density for one in samples.densities[1:])])
    combined = combine(aligned.astype(np.complex64), metric)
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
        aligned.astype(np.complex64),
        {"frequency": combined.frequency, "prtf": combined.prtf, "fsc": combined.fsc},
        fftshift3(np.asarray(pattern.free)) > 0,
    )


def _support_of(density: jnp.ndarray) -> jnp.ndarray:
    inside = (jnp.abs(density) > 0.1 * jnp.max(jnp.abs(density))).astype(jnp.float32)
    return shrink_wrap(density, inside, _SIGMA, _THRESHOLD)
