"""Prediction: from pictures of cells to a run folder with a continuous model of each, and sampled draws."""

import logging
import time
from zlib import crc32

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ....io.network_file import Network, read
from ....networks.weights import load_network
from ....runs import RunContext, RunOutcome
from ..cells import to_cell_batch
from ..output import write_prediction
from ..verdict import doubtful_note
from . import flow
from .checkpoint import PredictionState
from .config import ShapePredict
from .denoiser import ShapeDenoiser
from .inputs import PictureInput, to_network_input
from .novelty import compare_with_training
from .picture_quality import training_note
from .refine import load_blur, refine
from .remarks import numbers_of_pictures
from .shape_code import EDGE
from .thickness_prior import ThicknessPrior

_log = logging.getLogger(__name__)
_BATCH = 16
"""Codes of one call of the network."""


def predict(context: RunContext) -> RunOutcome:
    """Predict the shapes of all cells, and write them.

    Args:
        context: Config, pictures with masks, and folder.

    Returns:
        The outcome; ``seconds_of_answer`` is the network's own time.

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
    _draw(state, network, pictures, [_seeds(settings.seed, name) for name in cells.names], section, context)
    numbers = {"seconds_of_answer": time.monotonic() - start, "draws": float(state.codes.shape[1])}
    if section.refine:
        start = time.monotonic()
        numbers |= refine(state, pictures, blur, section.refine_steps, context)
        numbers["seconds_of_refinement"] = time.monotonic() - start
    quality = numbers_of_pictures(cells, pictures, network)
    known = [own | {"novelty": distance} for own, distance in zip(quality, novelty.distances(), strict=True)]
    note = training_note(network)
    written, specimens = write_prediction(settings, cells, state.codes, pictures, context, known, note)
    notes = tuple(text for text in (note, doubtful_note(specimens)) if text)
    return RunOutcome(numbers | written, notes=notes, specimens=specimens)


def _draw(
    state: PredictionState,
    network: Network,
    pictures: list[PictureInput],
    seeds: list[list[int]],
    settings: ShapePredict,
    context: RunContext,
) -> None:
    """Draw the codes that are missing, cell by cell and draw by draw; those of a cell do not depend on others."""
    pairs = list(np.ndindex(*state.codes.shape[:2]))
    denoiser, prior = load_network(network, ShapeDenoiser), ThicknessPrior.from_arrays(network.statistics)
    predicted = [prior.predict(picture) for picture in pictures]
    steps = 1 if settings.mean else settings.steps or network.steps
    for first in range(state.shapes_drawn, len(pairs), _BATCH):
        some = pairs[first : first + _BATCH]
        filled = some + [some[-1]] * (min(_BATCH, _power_of_two(len(some))) - len(some))  # One program for most sizes.
        noise, deviations = zip(*(_noise([*seeds[cell], draw], settings) for cell, draw in filled), strict=True)
        seen = []
        for (cell, _), deviation in zip(filled, deviations, strict=True):
            mean, spread = predicted[cell]
            seen.append(pictures[cell].channels(mean + spread * deviation))
        start = jnp.asarray(np.stack(noise), jnp.float32)
        codes = np.asarray(flow.draw(denoiser, jnp.asarray(np.stack(seen)), start, steps))
        for (cell, draw), code in zip(some, codes, strict=False):
            state.codes[cell, draw] = code
        state.shapes_drawn = first + len(some)
        context.progress(state.shapes_drawn, len(pairs))
        if state.shapes_drawn < len(pairs):
            state.stop_if_asked(context)


def _seeds(seed: int, name: str) -> list[int]:
    """Seeds of a cell's draws, by its name: they do not depend on the other cells that are read."""
    return [seed, crc32(name.encode())]


def _noise(seed: list[int], settings: ShapePredict) -> tuple[Float[np.ndarray, "z y x"], float]:
    """Draw the noise of a code, and the deviation of its height in units of the spread; zeros for the mean."""
    if settings.mean:
        return np.zeros((EDGE,) * 3), 0.0
    rng = np.random.default_rng(seed)
    return settings.temperature * rng.normal(size=(EDGE,) * 3), settings.temperature * float(rng.normal())


def _power_of_two(count: int) -> int:
    """Round up to a power of two."""
    return 1 << (count - 1).bit_length()
