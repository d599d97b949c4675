"""Withheld views and the views of each step, functions of the seed alone so that a run can resume; numbers of views."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Array, Float, Int

FEWEST_VIEWS = 6
"""Smallest number of views of which one is withheld although the fraction amounts to less than one."""


def withheld_views(views: int, fraction: float, seed: int) -> Int[np.ndarray, " held"]:
    """Choose views to withhold from the fit, spread over the acquisition.

    Args:
        views: Number of views.
        fraction: Share to withhold; 0 for none.
        seed: Shifts the choice.
    """
    count = round(fraction * views)
    if fraction > 0 and count == 0 and views >= FEWEST_VIEWS:
        count = 1
    if not 0 < count < views:
        return np.zeros(0, int)
    offset = np.random.default_rng([seed, 1]).uniform(0, views / count)
    return np.unique((offset + np.arange(count) * views / count).astype(int) % views)


def batch_views(step: int, trained: Int[np.ndarray, " view"], batch: int, seed: int) -> Int[np.ndarray, " batch"]:
    """Choose the views of a step: epochs of random order, cut into batches that may span two epochs."""
    size = min(batch, len(trained))
    first = step * size
    chosen = []
    for position in range(first, first + size):
        epoch, index = divmod(position, len(trained))
        chosen.append(trained[_order(seed, epoch, len(trained))[index]])
    return np.array(chosen)


def map_batches(
    function: Callable[[Int[np.ndarray, " batch"]], Array], views: Int[np.ndarray, " view"], size: int
) -> Float[np.ndarray, " view"]:
    """Compute a number for each view in batches of one size, so that one compiled program serves all.

    Args:
        function: Function that gives a number for each view of a batch.
        views: The views.
        size: Number of views in a batch; the last one is filled up with its last view.
    """
    numbers: list[np.ndarray] = []
    for first in range(0, len(views), size):
        part = views[first : first + size]
        filled = np.concatenate([part, np.repeat(part[-1:], size - len(part))])
        numbers.append(np.asarray(function(filled), np.float64)[: len(part)])
    return np.concatenate(numbers) if numbers else np.zeros(0)


@lru_cache(maxsize=64)
def _order(seed: int, epoch: int, count: int) -> Int[np.ndarray, " view"]:
    """Order of the views of an epoch."""
    return np.random.default_rng([seed, 2, epoch]).permutation(count)
