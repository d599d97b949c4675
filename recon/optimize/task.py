"""What the training asks of a kind of experiment."""

from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Array, Float

Batch: TypeAlias = tuple[np.ndarray, ...]
Numbers: TypeAlias = dict[str, Array]


@runtime_checkable
class TrainingObjective(Protocol):
    """Something to learn."""

    def initialise(self, seed: int) -> dict[str, np.ndarray]:
        """Draw the parameters."""
        ...

    def batch(self, step: int) -> Batch | None:
        """Examples of a step, the same at each call; None if it was asked to stop while it waited for them."""
        ...

    def loss(self, parameters: dict[str, Array], batch: Any, key: Array) -> tuple[Float[Array, ""], Numbers]:
        """Loss and what else is worth knowing of a step. Jittable."""
        ...

    def judge(self, parameters: dict[str, Array]) -> dict[str, float]:
        """Quality on held-out specimens, by name; the first is told on the screen."""
        ...
