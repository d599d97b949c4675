"""An answer that goes through the physics; where it leads nowhere, ordinary starts beside it.

A refined answer that explains withheld pixels far worse than fitted ones is not the crystal, nor is one that explains
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
from ....phase_retrieval.pipeline import phase
from ....phase_retrieval.result import NoObjectError, PhasingResult
from ....phase_retrieval.settings import PhaseSettings
from ....runs import RunContext
from ....runs.checkpoint import Checkpoint
from ..config import CrystalSettings
from ..phase import CheckpointWriter
from ..summary import FAR, judging_likelihood, likelihood_text
from .finetune import of_tuning

_BESIDE = "starts beside the answer"
"""Fact of a checkpoint that is of them."""
_NOISE = 3.0
"""Likelihood that counting noise alone does not give: it gives 1."""
_MISFIT = 0.05
"""``chi_rms`` that no converged solution has, unless by counting noise."""

_log = logging.getLogger(__name__)


def refine_samples(
    settings: CrystalSettings, measured: DiffractionData, densities: Complex[np.ndarray, "draw z y x"], work: RunContext
) -> PhasingResult:
    """Refine a network's answer, and add ordinary starts if it is doubtful.

    Args:
        settings: The config.
        measured: Counts and weights, centred.
        densities: The draws, the best first.
        work: Where checkpoints go, and who is told.

    Returns:
        The better result; ``starts_beside`` is the number of starts that were added, and ``answer_kept`` tells whether
        the answer was the better one.

    Raises:
        Stopped: If it was asked to end early.
        NoObjectError: If no object was found.
    """
    count, state = settings.predict.starts, work.folder.latest_checkpoint()
    state = None if of_tuning(state) else state
    resumed = state if state is not None and state.metadata.get(_BESIDE) else None
    try:
        # Of an answer that was refined before nothing is kept: it is soon done again, to the same numbers.
        found = _answer(settings, measured, densities, work, None if resumed else state, save=resumed is None)
    except NoObjectError:
        if not count:
            raise
        _log.warning("the answer fell apart when it was refined: %d ordinary starts take its place", count)
        beside = _beside(settings, measured, len(densities), work, resumed)
        return replace(beside, numbers=beside.numbers | {"starts_beside": float(count), "answer_kept": 0.0})
    if not count or not is_doubtful(found.numbers):
        return found
    _log.warning(
        "the refined answer is doubtful (%s): %d ordinary starts are added", likelihood_text(found.numbers), count
    )
    try:
        beside = _beside(settings, measured, len(densities), work, resumed)
    except NoObjectError:
        _log.warning("none of the added starts found an object: the answer remains")
        better, kept = found, True
    else:
        kept = judging_likelihood(found.numbers) <= judging_likelihood(beside.numbers)
        better = found if kept else beside
    return replace(better, numbers=better.numbers | {"starts_beside": float(count), "answer_kept": float(kept)})


def _answer(
    settings: CrystalSettings,
    measured: DiffractionData,
    densities: Complex[np.ndarray, "draw z y x"],
    work: RunContext,
    state: Checkpoint | None,
    *,
    save: bool,
) -> PhasingResult:
    """Refine the draws that are kept."""
    saver, wanted = CheckpointWriter(work.folder, withheld=settings.phase.free > 0), refining(settings, len(densities))
    saving = {"save_checkpoint": saver.save} if save else {}
    found = phase(
        measured, wanted, settings.seed, work.progress, work.should_stop, state, initial_densities=densities, **saving
    )
    saver.write_rows(found.solutions)
    return found


def refining(settings: CrystalSettings, draws: int) -> PhaseSettings:
    """How an answer of some draws is refined: as phasing ends, from those of them that are tried."""
    wanted = settings.predict
    count = min(max(wanted.tried, wanted.keep), draws)
    changed = {"recipe": wanted.recipe, "starts": count, "keep": min(wanted.keep, count), "twin": False, "gate": None}
    return settings.phase.model_copy(update=changed)


def is_doubtful(numbers: Mapping[str, float]) -> bool:
    """Whether a result is not to be believed: it explains withheld pixels far worse than fitted ones, or neither.

    Args:
        numbers: ``llk``, ``chi_rms``, and ``llk_free`` where pixels are withheld.
    """
    foreseen = judging_likelihood(numbers) <= FAR * numbers["llk"]  # False of what is no number, too.
    return not foreseen or (numbers["llk"] > _NOISE and numbers["chi_rms"] > _MISFIT)


def _beside(
    settings: CrystalSettings, measured: DiffractionData, draws: int, work: RunContext, state: Checkpoint | None
) -> PhasingResult:
    """Phase from random starts; checkpoints and lines of metrics follow those of the answer."""
    before = refining(settings, draws)
    done = before.starts * sum(step.step.iterations for step in before.recipe)
    done += (before.keep + 1) * before.refine.iterations
    saver = CheckpointWriter(work.folder, first=before.starts, withheld=settings.phase.free > 0)

    def save(step: int, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        saver.save(done + step, arrays, facts | {_BESIDE: True})

    wanted = settings.phase.model_copy(update={"starts": settings.predict.starts, "gate": None})
    found = phase(measured, wanted, settings.seed, work.progress, work.should_stop, state, save)
    saver.write_rows(found.solutions)
    return found
