"""Prediction: from pictures of cells to a run folder with a continuous model of each, and sampled shapes."""

import logging
import time

import numpy as np

from ....io.network_file import read
from ....runs import RunContext, RunOutcome
from ..cells import to_cell_batch
from ..output import write_prediction
from ..verdict import doubtful_note
from .checkpoint import PredictionState
from .combine import combine, condition_means, take_nearest
from .config import BATCH
from .consensus import PredictedCodes
from .inputs import to_network_input
from .next_section import advice_numbers, advice_sentence
from .novelty import compare_with_training
from .picture_quality import training_note
from .refine import load_blur, refine
from .remarks import numbers_of_pictures
from .sampler import CodeSampler

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
        if not section.mean:
            take_nearest(state, sampler, cells)
        numbers |= refine(state, pictures, blur, section.refine_steps, context)
        numbers["seconds_of_refinement"] = time.monotonic() - start
    start = time.monotonic()
    if not section.mean:
        combine(state, sampler, cells, pictures, blur, context)
    elif cells.sections:
        single = section.model_copy(update={"mean": False})
        condition_means(state, CodeSampler(network, pictures, cells.names, settings.seed, single), cells, context)
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
