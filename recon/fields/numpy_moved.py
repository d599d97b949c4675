"""A field that is moved and stretched in its box, in NumPy, as in one acquisition of a series."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from ..errors import DataError


@runtime_checkable
class Movable(Protocol):
    """A field in NumPy."""

    @property
    def outputs(self) -> int:
        """Number K of raw outputs."""
        ...

    @property
    def samples(self) -> tuple[int, int, int]:
        """Number of details along each axis."""
        ...

    def at(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points."""
        ...

    def near(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points that lie close together."""
        ...

    def on_grid(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "k z y x"]:
        """Evaluate on the product of three axes."""
        ...


@dataclass(frozen=True)
class NumpyMoved:
    """A field that is evaluated at stretch · s + shift, clipped to the box.

    Args:
        field: The field at rest.
        stretch: Factor of the normalised coordinates (z, y, x).
        shift: Addend to them.
    """

    field: Movable
    stretch: Float[np.ndarray, " 3"]
    shift: Float[np.ndarray, " 3"]

    @classmethod
    def load(cls, field: Movable, motion: Mapping[str, Any]) -> "NumpyMoved":
        """Move a field as a model file describes it.

        Raises:
            DataError: If the description is none.
        """
        stretch, shift = (np.asarray(motion[name], float) for name in ("stretch", "shift"))
        if stretch.shape != (3,) or shift.shape != (3,) or not np.isfinite([stretch, shift]).all():
            raise DataError("its motion is none: it has a stretch (3,) and a shift (3,)")
        return cls(field, stretch, shift)

    @property
    def outputs(self) -> int:
        """Number K of raw outputs."""
        return self.field.outputs

    @property
    def samples(self) -> tuple[int, int, int]:
        """Number of details along each axis of the field at rest."""
        return self.field.samples

    def at(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points."""
        return self.field.at(self._moved(s))

    def near(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points that lie close together."""
        return self.field.near(self._moved(s))

    def on_grid(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "k z y x"]:
        """Evaluate on the product of three axes."""
        axes = (np.clip(a * s + b, -1, 1) for s, a, b in zip((z, y, x), self.stretch, self.shift, strict=True))
        return self.field.on_grid(*axes)

    def _moved(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        return np.asarray(np.clip(s * self.stretch + self.shift, -1, 1))
