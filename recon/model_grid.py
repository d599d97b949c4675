"""Where a model is sampled: what a person asks for (spacing, region, turns, another volume) becomes a lattice."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from .errors import ConfigError
from .grid import Grid, cells
from .model import TILE, Model
from .runs.estimate import Estimate
from .volume import Volume

Region = tuple[tuple[float | None, float | None], ...]

# [s] Measured on one core of 2.5 GHz, on a pyramid of five levels. A turned lattice is evaluated point by point.
_SECONDS_ON_LATTICE = 3e-7
_SECONDS_AT_POINT = 8e-6


def lattice_for(
    model: Model,
    *,
    spacing: Sequence[float] | None = None,
    region: Region | None = None,
    like: Volume | None = None,
    turns: Sequence[Float[np.ndarray, "3 3"]] = (),
) -> Grid:
    """Choose the samples.

    Args:
        model: The model.
        spacing: [m] Between samples (z, y, x); the model's own by default.
        region: [m] Ends (low, high) along z, y and x; None is the end of the model's box.
        like: A volume whose samples are taken.
        turns: How the specimen is turned, one after the other, about the origin.

    Raises:
        ConfigError: If ``like`` comes with another choice of samples, or the region is empty.
    """
    if like is not None and (spacing is not None or region is not None):
        raise ConfigError("the samples are those of the other volume: --like goes with neither --spacing nor --region")
    turn = None
    for one in turns:
        turn = one if turn is None else one @ turn
    if like is not None:
        return Grid(like.z, like.y, like.x, turn)
    own = model.lattice(spacing)
    if region is None:
        return replace(own, turn=turn)
    spacing = spacing or model.spacing
    ends = zip(region, model.frame.low, model.frame.high, spacing, strict=True)
    z, y, x = (cells(low if a is None else a, high if b is None else b, d) for (a, b), low, high, d in ends)
    return Grid(z, y, x, turn)


def estimate(model: Model, lattice: Grid, quantities: int) -> Estimate:
    """Tell what sampling takes: the arrays of the volume, and one tile in work."""
    brick = int(np.prod(TILE)) * 8 * (len(model.members) * len(model.given) + 64)
    # Formats with channels lay the quantities out anew before they write them.
    memory = lattice.size * 4 * quantities * (2 if quantities > 1 else 1) + brick + 12 * model.size
    each = _SECONDS_AT_POINT if model.pointwise or lattice.turn is not None else _SECONDS_ON_LATTICE
    return Estimate(memory, lattice.size * each * len(model.members))
