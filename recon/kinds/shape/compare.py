"""Shapes against the truth, as ``unflat evaluate`` asks for it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConfigError, DataError, Fault
from ...measures.sampled import SIGNED
from ...models import Model
from ...volumes.volume import Volume
from .score import Scores, score_shapes

if TYPE_CHECKING:
    from ...results import Result


def score(result: "Result", truth: Volume, register: bool = False) -> dict[str, float]:
    """Compare draws with the truth; the numbers are the means of all cells.

    Args:
        result: A cell's model, or the occupancies (cell, draw, z, y, x) of a run.
        truth: Occupancy.
        register: Not for shapes: their section says where they are.

    Raises:
        ConfigError: If they are to be registered.
        DataError: If they are not of the same cells.
    """
    if register:
        raise ConfigError("shapes stand where their section is: they are not registered")
    return scores(result, truth).numbers


def scores(result: "Result", truth: Volume, names: Sequence[str] = (), labels: Sequence[str] = ()) -> Scores:
    """Compare draws with the truth, cell by cell and class by class.

    Args:
        result: As for `score`.
        truth: Likewise.
        names: Of the cells, where they are known.
        labels: Their classes, likewise.

    Raises:
        DataError: If they are not of the same cells.
    """
    known = np.asarray(truth.main)
    known = known.reshape(-1, *known.shape[-3:])
    if isinstance(result, Model):
        if len(known) != 1:
            raise DataError(f"the model is of one cell, and the truth of {len(known)}: compare the run's volume.h5")
        axes = (truth.z, truth.y, truth.x)
        found = np.stack([member.sample(*axes, SIGNED) < 0 for member in result.members_apart()])[None]
    else:
        drawn = np.asarray(result.main)
        found = drawn.reshape(len(drawn) if drawn.ndim == 5 else 1, -1, *drawn.shape[-3:])
    if len(found) != len(known):
        remedy = "give the truth of the same cells: unflat convert SOURCE -o cells.h5 --set acquisition.cells=…"
        raise DataError(Fault("", f"the result is of {len(found)} cells, the truth of {len(known)}", remedy))
    middle = [np.flatnonzero(np.abs(truth.z) <= 0.5 * truth.spacing[0])]
    masks = known[:, int(middle[0][0])] > 0.5 if middle[0].size else None
    steps = truth.spacing if truth.length_unit == "m" else None
    own = {"names": names, "labels": labels}
    told: dict[str, Any] = {what: given for what, given in own.items() if len(given) == len(known)}
    return score_shapes(found, known, masks=masks, spacing=steps, **told)
