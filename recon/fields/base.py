"""What every field offers: a continuous function of normalised coordinates with named arrays as parameters.

Coordinates are (z, y, x), each in [−1, 1] over the field's box. Outputs are dimensionless, one a quantity; the model
turns them into physical values (`recon.models`). Parameters are a plain dictionary of arrays, the same names that the
model file holds, so that nothing but arrays is ever archived.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Parameters: TypeAlias = dict[str, Array]
Axes: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]

SIGN_KNEE = 0.05
"""Width over which a one-signed output bends to zero; in units of the output."""


@runtime_checkable
class Field(Protocol):
    """A continuous field. Instances are frozen and hashable: they may be closed over by jitted functions."""

    @property
    def architecture(self) -> dict[str, object]:
        """Every constant that is needed to evaluate the field, as plain JSON."""
        ...

    def init(self, seed: int) -> dict[str, np.ndarray]:
        """Draw parameters; the field is zero, or nearly so, everywhere."""
        ...

    def at(self, parameters: Parameters, points: Float[Array, "n 3"]) -> Float[Array, "n k"]:
        """Evaluate at any points."""
        ...

    def on_grid(self, parameters: Parameters, axes: Axes) -> Float[Array, "k z y x"]:
        """Evaluate on the product of three axes, without gathers."""
        ...

    def fit_to_grid(
        self, parameters: dict[str, np.ndarray], values: Float[np.ndarray, "k z y x"], axes: Axes
    ) -> dict[str, np.ndarray]:
        """Parameters whose field comes near values on a lattice, where the field can do so in closed form."""
        ...


def constrained(raw: Float[Array, "*n"], sign: str) -> Float[Array, "*n"]:
    """Bend a raw output to one sign, smoothly."""
    if sign == "any":
        return raw
    flip = -1.0 if sign == "nonpositive" else 1.0
    raw = flip * raw
    return flip * 0.5 * (raw + jnp.sqrt(raw**2 + 4 * SIGN_KNEE**2))


def unconstrained(values: Float[np.ndarray, "*n"], sign: str) -> Float[np.ndarray, "*n"]:
    """Raw outputs whose constrained values come nearest to the given ones."""
    if sign == "any":
        return values
    flip = -1.0 if sign == "nonpositive" else 1.0
    # at most 3 knees below zero: deeper, the gradient would vanish and the voxel could not return
    held = np.maximum(flip * values, SIGN_KNEE / 3)
    return flip * (held - SIGN_KNEE**2 / held)


def grid_axes(counts: tuple[int, int, int]) -> Axes:
    """Normalised coordinates of a lattice whose cells fill the box."""
    z, y, x = ((2 * np.arange(n) + 1) / n - 1 for n in counts)
    return z, y, x


@dataclass(frozen=True)
class FieldGrid:
    """Lattice on which a fit evaluates a field.

    Args:
        shape: Samples (z, y, x).
        pitch: [m] Their distance.
        resolution: [m] The finest detail (z, y, x) that the measurement can show.
    """

    shape: tuple[int, int, int]
    pitch: tuple[float, float, float]
    resolution: tuple[float, float, float]
