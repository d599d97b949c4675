"""A whole prediction: from pictures of cells to a run folder with a continuous model of each, and sampled draws."""

import time
from zlib import crc32

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ....io.network_file import Network, read
from ....networks.architecture import built, on_device
from ....runs import RunContext, RunOutcome
from ..cells import to_cell_batch
from ..output import write_prediction
from . import flow
from .checkpoint import PredictionState
from .config import ShapePredict
from .denoiser import ShapeDenoiser
from .inputs import PictureInput, to_network_input
from .refine import load_blur, refine
from .shape_code import EDGE
from .thickness_prior import ThicknessPrior

_AT_ONCE = 16
"""Codes that the network is asked for at once."""


def predict(context: RunContext) -> RunOutcome:
    """Predict the shapes of all cells, and write them.

    Args:
        context: Config, pictures with masks, and folder.

    Returns:
        The outcome; ``seconds_of_answer`` is the network's own time.

    Raises:
        DataError: If there is no such network, or the file of the blur holds none.
        Stopped: If it was asked to end early.
    """
    settings, acquisition, work = context.config, context.measurement, context
    wanted = settings.predict
    network = read(wanted.network, "shape")
    cells = to_cell_batch(acquisition)
    sights = [to_network_input(image, mask) for image, mask in zip(cells.images, cells.masks, strict=True)]
    blur = load_blur(wanted, cells)  # Read in time, should it be none.
    asked = time.monotonic()
    kept = PredictionState.restore(work, len(sights), 1 if wanted.mean else wanted.draws)
    _draw(kept, network, sights, [_seeds(settings.seed, name) for name in cells.names], wanted, work)
    numbers = {"seconds_of_answer": time.monotonic() - asked, "draws": float(kept.codes.shape[1])}
    if wanted.refine:
        asked = time.monotonic()
        numbers |= refine(kept, sights, blur, wanted.refine_steps, work)
        numbers["seconds_of_refinement"] = time.monotonic() - asked
    numbers |= write_prediction(settings, cells, kept.codes, sights, work)
    return RunOutcome(numbers)


def _draw(
    kept: PredictionState,
    network: Network,
    sights: list[PictureInput],
    seeds: list[list[int]],
    wanted: ShapePredict,
    work: RunContext,
) -> None:
    """Draw the codes that are not drawn yet, cell by cell and draw by draw; those of a cell do not depend on others."""
    pairs = list(np.ndindex(*kept.codes.shape[:2]))
    denoiser, parameters = built(network, ShapeDenoiser), on_device(network.weights)
    heights = ThicknessPrior.from_arrays(network.statistics)
    guessed = [heights.predict(sight) for sight in sights]
    steps = 1 if wanted.mean else wanted.steps or network.steps
    for first in range(kept.drawn, len(pairs), _AT_ONCE):
        some = pairs[first : first + _AT_ONCE]
        filled = some + [some[-1]] * (min(_AT_ONCE, _rounded(len(some))) - len(some))  # One program for most sizes.
        noise, higher = zip(*(_noise([*seeds[cell], draw], wanted) for cell, draw in filled), strict=True)
        told = [guessed[cell][0] + guessed[cell][1] * more for (cell, _), more in zip(filled, higher, strict=True)]
        views = [sights[cell].channels(high) for (cell, _), high in zip(filled, told, strict=True)]
        seen, start = jnp.asarray(np.stack(views)), jnp.asarray(np.stack(noise), jnp.float32)
        answer = np.asarray(flow.draw(denoiser, parameters, seen, start, steps))
        for (cell, draw), code in zip(some, answer, strict=False):
            kept.codes[cell, draw] = code
        kept.drawn = first + len(some)
        work.progress(kept.drawn, len(pairs))
        if kept.drawn < len(pairs):
            kept.stop_if_asked(work)


def _seeds(seed: int, name: str) -> list[int]:
    """Of a cell's draws, by its name: they are the same whichever other cells are read."""
    return [seed, crc32(name.encode())]


def _noise(seed: list[int], wanted: ShapePredict) -> tuple[Float[np.ndarray, "z y x"], float]:
    """Of a draw's code, and of its height in units of the spread; none where the mean is asked for."""
    if wanted.mean:
        return np.zeros((EDGE,) * 3), 0.0
    rng = np.random.default_rng(seed)
    return wanted.temperature * rng.normal(size=(EDGE,) * 3), wanted.temperature * float(rng.normal())


def _rounded(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()
