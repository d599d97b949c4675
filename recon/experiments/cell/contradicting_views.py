"""Views that contradict a result which explains the others: images exchanged, or a source that did not shine.

A view that is described wrongly was fitted like the others, but no specimen explains it with them: its residual is
several times theirs, and as large as that of an empty box.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from ...optimize.likelihood import Nuisance
    from .forward_model import CellForwardModel

_RESIDUAL_RATIO = 3.0
"""Residual of a view over the median of the views from which it is unlike them. Sound fits had 1.8 at most."""
_EMPTY_RATIO = 0.8
"""Residual of a view over that of an empty box from which it is not explained."""
_FEWEST_VIEWS = 6
_MOST_NAMED = 4


def contradiction_numbers(
    forward_model: "CellForwardModel", values: Float[Any, "k z y x"], nuisance: "Nuisance"
) -> dict[str, float]:
    """Count the views that contradict the result, and number the first few.

    Args:
        forward_model: Measured views, of which bright and complex fields are compared, and their physics.
        values: Index contrast on the fit's grid.
        nuisance: Corrections of the instrument.
    """
    views = np.flatnonzero(forward_model.is_bright | forward_model.is_field)
    if len(views) < _FEWEST_VIEWS:
        return {}
    losses = forward_model.losses_of(values, nuisance, views)
    is_unlike = losses > _RESIDUAL_RATIO**2 * np.median(losses)
    unlike, losses = views[is_unlike], losses[is_unlike]
    if len(unlike):
        empty = forward_model.losses_of(np.zeros_like(values), nuisance, unlike)
        unlike = unlike[losses > _EMPTY_RATIO**2 * empty]
    named = {f"view_contradicting_{n}": float(view) for n, view in enumerate(unlike[:_MOST_NAMED], 1)}
    return {"views_contradicting": float(len(unlike))} | named


def contradicting_views(numbers: Mapping[str, float]) -> str:
    """List the views that contradict a result, the first few of many."""
    names = [f"view_contradicting_{n}" for n in range(1, _MOST_NAMED + 1)]
    listed = ", ".join(f"{numbers[name]:.0f}" for name in names if name in numbers)
    return listed + (", …" if numbers.get("views_contradicting", 0.0) > _MOST_NAMED else "")
