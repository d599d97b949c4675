"""Prediction: from pictures of cells to a run folder with a continuous model of each, and sampled shapes."""

import logging
import time

import numpy as np

from ....errors import ConfigError, Diagnostic
from ....io.network_file import read
from ....runs import RunContext, RunOutcome
from ..cells import CellBatch, to_cell_batch
from ..output import write_prediction
from ..verdict import doubtful_note
from .checkpoint import PredictionState
from .conditioning import ENSEMBLE, SectionConditioning
from .config import BATCH
from .consensus import DRAWS, PredictedCodes, consensus
from .inputs import PictureInput, to_network_input
from .next_section import advice_numbers, advice_sentence, expected_reductions
from .novelty import compare_with_training
from .picture_quality import training_note
from .refine import Blurring, load_blur, refine, refine_one
from .remarks import numbers_of_pictures
from .sampler import CodeSampler
from .section_constraints import SectionConstraints

_log = logging.getLogger(__name__)


def predict(context: RunContext) -> RunOutcome:
    """Predict the shapes of all cells, and write them.

    Args:
        context: Config, pictures with masks, and folder.

    Returns:
        The outcome; ``seconds_of_answer`` is the time of draws and consensus, without the refinement of the draws.

    Raises:
        DataError: If there is no such network, or the file of the blur holds none.
        Stopped: If the prediction was asked to end early.
    """
    settings, acquisition = context.config, context.measurement
    section = settings.predict
    network = read(section.network, "shape")
    cells = to_cell_batch(acquisition)
    _require_draws(cells, section.mean)
    pictures = [to_network_input(image, mask) for image, mask in zip(cells.images, cells.masks, strict=True)]
    blur = load_blur(section, cells)  # Before the work, in case the file holds no blur.
    novelty = compare_with_training(network, cells.names, pictures)
    if warning := novelty.warning():
        _log.warning("%s", warning)
    start = time.monotonic()
    state = PredictionState.restore(context, len(pictures), 1 if section.mean else section.draws)
    sampler = CodeSampler(network, pictures, cells.names, settings.seed, section)
    _draw(state, sampler, context)
    numbers = {"seconds_of_answer": time.monotonic() - start, "draws": float(state.codes.shape[1])}
    if section.refine:
        start = time.monotonic()
        numbers |= refine(state, pictures, blur, section.refine_steps, context)
        numbers["seconds_of_refinement"] = time.monotonic() - start
    if not section.mean:
        start = time.monotonic()
        _combine(state, sampler, cells, pictures, blur, context)
        numbers["seconds_of_answer"] += time.monotonic() - start
    shapes = PredictedCodes(state.codes, None if section.mean else state.consensus)
    quality = numbers_of_pictures(cells, pictures, network)
    known = [own | {"novelty": distance} for own, distance in zip(quality, novelty.distances(), strict=True)]
    note, advice = training_note(network), ""
    if not section.mean:
        known = [own | advice_numbers(each, cells) for own, each in zip(known, state.reductions, strict=True)]
        mean = state.reductions.mean(axis=0)
        numbers |= advice_numbers(mean, cells)
        advice = advice_sentence(mean, cells)
        _log.info("%s", advice)
    written, specimens = write_prediction(settings, cells, shapes, pictures, context, known, note)
    notes = tuple(text for text in (note, advice, doubtful_note(specimens)) if text)
    return RunOutcome(numbers | written, notes=notes, specimens=specimens)


def _require_draws(cells: CellBatch, mean: bool) -> None:
    """Refuse the mean of all shapes for cells of several sections: it is computed from the first alone.

    Raises:
        ConfigError: If it is asked for.
    """
    if mean and cells.sections:
        message = "the mean in one step is that of the first section, and the cells have further ones"
        raise ConfigError(Diagnostic("predict.mean", message, "set it to false"))


def _draw(state: PredictionState, sampler: CodeSampler, context: RunContext) -> None:
    """Draw the codes that are missing, cell by cell and draw by draw."""
    pairs = list(np.ndindex(*state.codes.shape[:2]))
    for first in range(state.shapes_drawn, len(pairs), BATCH):
        some = pairs[first : first + BATCH]
        for (cell, draw), code in zip(some, sampler.sample(some), strict=True):
            state.codes[cell, draw] = code
        state.shapes_drawn = first + len(some)
        context.progress(state.shapes_drawn, len(pairs))
        if state.shapes_drawn < len(pairs):
            state.stop_if_asked(context)


def _combine(
    state: PredictionState,
    sampler: CodeSampler,
    cells: CellBatch,
    pictures: list[PictureInput],
    blur: Blurring,
    context: RunContext,
) -> None:
    """Make the draws of each cell agree with its further sections, and compute their consensus.

    The consensus is of as many draws whatever number is written.
    """
    settings = context.config.predict
    for cell in range(state.cells_combined, len(pictures)):
        has_more = bool(cells.sections and cells.sections[cell])
        own = state.codes[cell] if not settings.refine else state.codes[cell, :0]  # Refined ones are no draws.
        missing = [(cell, draw) for draw in range(len(own), ENSEMBLE if has_more else DRAWS)]
        more = [sampler.sample(missing[i : i + BATCH]) for i in range(0, len(missing), BATCH)]
        drawn = np.concatenate([own, *more])
        conditioning = None
        if has_more:
            conditioning = SectionConditioning.of_ensemble(drawn, SectionConstraints.of_cell(cells, cell))
            drawn = conditioning.apply(drawn)
            state.codes[cell] = conditioning.apply(state.codes[cell])
        state.reductions[cell] = expected_reductions(drawn[:DRAWS])
        code = consensus(drawn[:DRAWS], pictures[cell].outline())
        if settings.refine:
            code = refine_one(code, pictures[cell], blur, settings.refine_steps)
        if conditioning is not None:
            code = conditioning.apply(code[None])[0]
        state.consensus[cell], state.cells_combined = code, cell + 1
        context.progress(cell + 1, len(pictures))
        if cell + 1 < len(pictures):
            state.stop_if_asked(context)
