"""Refinement of a network's draws by the physics, with random starts in addition where they explain too little.

A refined result that explains withheld pixels far worse than fitted ones is not the crystal, nor is one that explains
neither: it has stagnated, or its support is wrong. Then a few random starts go through the whole recipe of phasing, and
whichever explains the withheld pixels better is the result.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Complex

from ....phase_retrieval.data import DiffractionData
from ....phase_retrieval.pipeline import InitialStarts, phase
from ....phase_retrieval.result import NoObjectError, PhasingResult
from ....phase_retrieval.settings import PhaseSettings
from ....runs import RunContext
from ....runs.checkpoint import Checkpoint
from ..config import CrystalSettings
from ..start_records import CheckpointWriter
from ..summary import likelihood_text, quality_deviance
from .finetune import finetuning_checkpoint

_ADDED = "starts beside the answer"
"""Entry of the metadata of checkpoints that the added starts wrote."""
_NOISE = 3.0
"""Poisson deviance that counting noise alone does not give: it gives 1."""
_FAR = 2.0
"""Ratio of the withheld to the fitted pixels' deviance above which random starts are worth their time."""
_MISFIT = 0.05
"""``chi_rms`` above that of any converged solution, unless by counting noise."""

_log = logging.getLogger(__name__)


def refine_samples(
    settings: CrystalSettings,
    measured: DiffractionData,
    densities: Complex[np.ndarray, "draw z y x"],
    context: RunContext,
) -> PhasingResult:
    """Refine a network's draws, and add random starts if the result explains too little.

    Args:
        settings: Config.
        measured: Counts and weights, centred.
        densities: Draws, the best first.
        context: Folder and progress callback of the run.

    Returns:
        The better result; ``starts_beside`` is the number of starts that were added, and ``answer_kept`` is 1 if the
        refined draws were the better result.

    Raises:
        Stopped: If the refinement was asked to end early.
        NoObjectError: If no object was found.
    """
    count, checkpoint = settings.predict.starts, context.folder.latest_checkpoint()
    checkpoint = None if finetuning_checkpoint(checkpoint) else checkpoint
    resumed = checkpoint if checkpoint is not None and checkpoint.metadata.get(_ADDED) else None
    try:
        # Once starts are added, checkpoints do not hold the refinement: it is soon repeated, to the same numbers.
        previous = None if resumed else checkpoint
        refined = _refine(settings, measured, densities, context, previous, save=resumed is None)
    except NoObjectError:
        if not count:
            raise
        _log.warning("the answer fell apart when it was refined: %d ordinary starts take its place", count)
        added = _phase_starts(settings, measured, len(densities), context, resumed)
        return replace(added, numbers=added.numbers | {"starts_beside": float(count), "answer_kept": 0.0})
    if not count or not needs_random_starts(refined.numbers):
        return refined
    _log.warning(
        "the refined answer explains too little (%s): %d ordinary starts are added",
        likelihood_text(refined.numbers),
        count,
    )
    try:
        added = _phase_starts(settings, measured, len(densities), context, resumed)
    except NoObjectError:
        _log.warning("none of the added starts found an object: the answer remains")
        better, retained = refined, True
    else:
        retained = quality_deviance(refined.numbers) <= quality_deviance(added.numbers)
        better = refined if retained else added
    return replace(better, numbers=better.numbers | {"starts_beside": float(count), "answer_kept": float(retained)})


def _refine(
    settings: CrystalSettings,
    measured: DiffractionData,
    densities: Complex[np.ndarray, "draw z y x"],
    context: RunContext,
    checkpoint: Checkpoint | None,
    *,
    save: bool,
) -> PhasingResult:
    """Refine the best of the draws."""
    writer = CheckpointWriter(context.folder, withheld=settings.phase.free > 0)
    options = {"save_checkpoint": writer.save} if save else {}
    recipe = refine_settings(settings, len(densities))
    result = phase(
        measured,
        recipe,
        settings.seed,
        context.progress,
        context.should_stop,
        checkpoint,
        initial=InitialStarts(len(densities), lambda: densities),
        **options,
    )
    writer.write_rows(result.solutions)
    return result


def refine_settings(settings: CrystalSettings, draws: int) -> PhaseSettings:
    """Settings of the refinement of some draws: as phasing ends, from those of them that are tried."""
    section = settings.predict
    count = min(max(section.tried, section.keep), draws)
    changed = {"recipe": section.recipe, "starts": count, "keep": min(section.keep, count), "twin": False, "gate": None}
    return settings.phase.model_copy(update=changed)


def needs_random_starts(numbers: Mapping[str, float]) -> bool:
    """Check whether a result explains withheld pixels far worse than fitted ones, or neither.

    Args:
        numbers: Values of ``llk``, ``chi_rms``, and ``llk_free`` where pixels are withheld.
    """
    predicted = quality_deviance(numbers) <= _FAR * numbers["llk"]  # False of NaN, too.
    return not predicted or (numbers["llk"] > _NOISE and numbers["chi_rms"] > _MISFIT)


def _phase_starts(
    settings: CrystalSettings, measured: DiffractionData, draws: int, context: RunContext, checkpoint: Checkpoint | None
) -> PhasingResult:
    """Phase from random starts; checkpoints and lines of metrics follow those of the refined draws."""
    before = refine_settings(settings, draws)
    done = before.starts * sum(step.step.iterations for step in before.recipe)
    done += (before.keep + 1) * before.refine.iterations
    writer = CheckpointWriter(context.folder, first=before.starts, withheld=settings.phase.free > 0)

    def save(step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        writer.save(done + step, arrays, metadata | {_ADDED: True})

    recipe = settings.phase.model_copy(update={"starts": settings.predict.starts, "gate": None})
    result = phase(measured, recipe, settings.seed, context.progress, context.should_stop, checkpoint, save)
    writer.write_rows(result.solutions)
    return result
