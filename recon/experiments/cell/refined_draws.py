"""Likelihood of a fit that goes on from a network's answer, and whose model has the network's draws beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...fields.base import grid_axes
from ...fields.build import field_for
from ...fields.config import FieldChoice
from ...model import DRAWS, Model
from ...optimize.likelihood import Weights
from .likelihood import CellLikelihood


@dataclass(frozen=True, eq=False)
class RefinedLikelihood(CellLikelihood):
    """Likelihood of a measurement, with deviations of a network's draws from their mean.

    The light sees the fitted specimen alone; the draws tell how else it may be where the light sees nothing. The model
    is that of the fit, with a member for each draw: the fit's values plus the deviation.

    Args:
        deviations: Deviation of each draw at frequencies that the views do not determine.
    """

    deviations: Float[np.ndarray, "draw z y x"] = field(default_factory=lambda: np.zeros((0, 1, 1, 1), np.float32))

    def model(self, architecture: Mapping[str, Any], weights: list[Weights], provenance: Mapping[str, Any]) -> Model:
        """Make the model of a fit with its draws; that of an ensemble of fits has its own spread."""
        if len(weights) > 1 or not len(self.deviations):
            return super().model(architecture, weights, provenance)
        axes, settings = grid_axes(self.grid.shape), cast(FieldChoice, self.settings.fit)
        shape = field_for(settings, self.grid, len(self.scales), self.sign)
        raw = np.asarray(shape.on_grid({name: jnp.asarray(array) for name, array in weights[0].items()}, axes))
        members = []
        for deviation in self.deviations:
            values = raw.copy()
            values[0] += deviation / self.scales[0]
            members.append(shape.fit_to_grid(shape.init(self.settings.seed), values, axes))
        known = dict(architecture) | {"members": DRAWS}
        return Model.ensemble(
            known, members, self.frame, self.quantities, self.settings.kind, provenance, consensus=weights[0]
        )
