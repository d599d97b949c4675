"""Combination of the draws of each cell: their agreement with its further sections, and their consensus."""

import numpy as np
from jaxtyping import Float

from ....runs import RunContext
from ..cells import CellBatch
from .checkpoint import PredictionState
from .conditioning import Codes, SectionConditioning, nearest_draws, pool_size
from .consensus import DRAWS, consensus
from .inputs import PictureInput
from .next_section import expected_reductions
from .refine import Blurring, refine_one
from .sampler import CodeSampler
from .section_constraints import SectionConstraints


def combine(
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
        own = state.codes[cell] if not settings.refine else state.codes[cell, :0]  # Refined ones are no draws.
        conditioning = None
        if cells.further_masks(cell):
            drawn, conditioning = _nearest(sampler, cells, cell, own, settings.draws)
            drawn = conditioning.apply(drawn)
            state.codes[cell] = conditioning.apply(state.codes[cell]) if settings.refine else drawn[: settings.draws]
        else:
            drawn = sampler.complete(cell, own, DRAWS)
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


def _nearest(
    sampler: CodeSampler, cells: CellBatch, cell: int, own: Float[np.ndarray, "known z y x"], draws: int
) -> tuple[Codes, SectionConditioning]:
    """Take the draws of a cell that are nearest to its sections, from a pool that begins with draws that are known."""
    count = max(draws, DRAWS)
    pool = sampler.complete(cell, own, pool_size(count))
    return nearest_draws(pool, SectionConstraints.of_cell(cells, cell), count)


def take_nearest(state: PredictionState, sampler: CodeSampler, cells: CellBatch) -> None:
    """Replace the draws of the cells that are not refined yet by those nearest to their further sections."""
    for cell in range(state.cells_refined, len(cells)):
        if cells.further_masks(cell):
            draws = state.codes.shape[1]
            state.codes[cell] = _nearest(sampler, cells, cell, state.codes[cell, :0], draws)[0][:draws]


def condition_means(state: PredictionState, sampler: CodeSampler, cells: CellBatch, context: RunContext) -> None:
    """Make the mean of each cell's shapes agree with its further sections."""
    for cell in range(state.cells_combined, len(cells)):
        if cells.further_masks(cell):
            conditioning = _nearest(sampler, cells, cell, state.codes[cell, :0], 1)[1]
            state.codes[cell] = conditioning.apply(state.codes[cell])
        state.cells_combined = cell + 1
        context.progress(cell + 1, len(cells))
        if cell + 1 < len(cells):
            state.stop_if_asked(context)
