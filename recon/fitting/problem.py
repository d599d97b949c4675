"""What the fit asks of an experiment: where its specimen is sampled, and how far a specimen is from the measurement.

The fit knows nothing else of it. A new kind of experiment is a new object with these members.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Array, Float

from ..models import Frame, ModelQuantity

Batch: TypeAlias = dict[str, Any]
"""What was measured in some views, and under which conditions: arrays, and pytrees of them, whose first axis is the
view."""
Extras: TypeAlias = dict[str, Array]
"""What else is fitted: corrections of the instrument, by name; zero means as it was given."""


@dataclass(frozen=True)
class Sampling:
    """The lattice on which the fit evaluates the field.

    Args:
        shape: Samples (z, y, x).
        pitch: [m] Their distance.
        resolution: [m] The finest detail (z, y, x) that the measurement can show.
    """

    shape: tuple[int, int, int]
    pitch: tuple[float, float, float]
    resolution: tuple[float, float, float]


@runtime_checkable
class Problem(Protocol):
    """A measurement, seen by the fit. Values are physical, relative to the background: n − n_m for a cell."""

    @property
    def sampling(self) -> Sampling:
        """The lattice of the specimen."""
        ...

    @property
    def frame(self) -> Frame:
        """The box of the specimen."""
        ...

    @property
    def quantities(self) -> tuple[ModelQuantity, ...]:
        """What the field's outputs mean; their scale makes the outputs of order 1."""
        ...

    @property
    def views(self) -> int:
        """Number of views."""
        ...

    @property
    def extras(self) -> dict[str, np.ndarray]:
        """Corrections of the instrument that are to be fitted, all zero; in units of their expected size."""
        ...

    def start(self, views: np.ndarray) -> Float[np.ndarray, "k z y x"] | None:
        """A closed-form first answer from some views, or None where there is none."""
        ...

    def batch(self, views: np.ndarray) -> Batch:
        """What was measured in some views."""
        ...

    def misfit(self, values: Float[Array, "k z y x"], extras: Extras, batch: Batch) -> Float[Array, " view"]:
        """How far each view is from the measurement: 1 for an empty box, 0 for a perfect specimen. Jittable."""
        ...

    def predict(self, values: Float[Array, "k z y x"], extras: Extras, batch: Batch) -> Array:
        """What the views should have measured, comparable with ``batch["measured"]``. Jittable."""
        ...
