"""What the fit asks of an experiment: where its specimen is sampled, and how far a specimen is from the measurement.

The fit knows nothing else of it. A new kind of experiment is a new object with these members. What judges a fit may be
whole views that it never sees (images of a cell), or pixels of every view (a crystal's rocking curve, one view that
cannot be spared): the experiment says which.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Int

from ..fields.base import FieldGrid
from ..model import Model

Batch: TypeAlias = dict[str, Any]
"""What was measured in some views, and under which conditions: arrays, and pytrees of them, whose first axis is the
view."""
Nuisance: TypeAlias = dict[str, Array]
"""What else is fitted: corrections of the instrument, by name; zero means as it was given."""
Weights: TypeAlias = Mapping[str, np.ndarray]
"""A field's parameters by name."""


class Split(NamedTuple):
    """What is fitted, and what judges.

    Args:
        fitted: Views that the fit sees.
        withheld: Views that judge it: others, or the same by pixels that were withheld; empty where nothing judges.
    """

    fitted: Int[np.ndarray, " fitted"]
    withheld: Int[np.ndarray, " withheld"]


class MetricNames(NamedTuple):
    """What the numbers of a fit are called in ``metrics.json``.

    Args:
        fitted: Misfit of what was fitted.
        withheld: Misfit of what judges.
        initial: The same of the start.
    """

    fitted: str
    withheld: str
    initial: str


@runtime_checkable
class Likelihood(Protocol):
    """A measurement, seen by the fit. Values are physical, relative to the background: n − n_m for a cell."""

    @property
    def grid(self) -> FieldGrid:
        """The lattice of the specimen."""
        ...

    @property
    def scales(self) -> tuple[float, ...]:
        """Value of a field's output of 1, one an output: outputs should be of order 1."""
        ...

    @property
    def sign(self) -> str:
        """Sign that the outputs are held to: ``any``, ``nonnegative`` or ``nonpositive``."""
        ...

    @property
    def views(self) -> int:
        """Number of views."""
        ...

    @property
    def batch_size(self) -> int:
        """Views in a step."""
        ...

    @property
    def metric_names(self) -> MetricNames:
        """What its numbers are called."""
        ...

    @property
    def nuisance_parameters(self) -> dict[str, np.ndarray]:
        """Corrections of the instrument that are to be fitted, all zero; in units of their expected size."""
        ...

    def split(self) -> Split:
        """Which views are fitted and which judge; a function of the config and its seed alone."""
        ...

    def initial_guess(self, views: np.ndarray) -> Float[np.ndarray, "k z y x"] | None:
        """A first answer, from some views where it comes from views; None to start flat."""
        ...

    def batch(self, views: np.ndarray, *, withheld: bool = False) -> Batch:
        """What was measured in some views: what is to be fitted of it, or what judges."""
        ...

    def losses(self, values: Float[Array, "k z y x"], nuisance: Nuisance, batch: Batch) -> Float[Array, " view"]:
        """How far each view is from the measurement, in a unit of the experiment's own. Jittable."""
        ...

    def metric(self, losses: Float[np.ndarray, " view"]) -> float:
        """The one number, smaller is better, that people know for some losses."""
        ...

    def model(self, architecture: Mapping[str, Any], weights: list[Weights], provenance: Mapping[str, Any]) -> Model:
        """The continuous model of a fitted field, or of several that make an ensemble."""
        ...

    def write(
        self,
        folder: Path,
        model: Model,
        values: Float[np.ndarray, "k z y x"],
        nuisance: Nuisance,
        facts: Mapping[str, Any],
    ) -> dict[str, float]:
        """Write the sampled volume and the predictions beside the model, and give further numbers.

        Args:
            folder: Of the run.
            model: As written.
            values: Of the first member on the lattice.
            nuisance: Its corrections of the instrument.
            facts: The model's provenance.
        """
        ...
