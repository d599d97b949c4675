"""Interface of the fields: continuous functions of normalised coordinates with named arrays as parameters.

Coordinates are (z, y, x), each in [−1, 1] over the field's box. Outputs are dimensionless, one for each quantity; the
model (`recon.model`) turns them into physical values. Parameters are a plain dictionary of arrays with the names of the
model file, so that nothing but arrays is ever archived.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Parameters: TypeAlias = dict[str, Array]
Axis: TypeAlias = np.ndarray | Array
Axes: TypeAlias = tuple[Axis, Axis, Axis]
"""Coordinates along z, y and x: arrays of NumPy, or of jax for coordinates that are fitted."""

SIGN_KNEE = 0.05
"""Width over which a one-signed output bends to zero; in units of the output."""


@runtime_checkable
class Field(Protocol):
    """Continuous field. Instances are frozen and hashable, so that jitted functions may close over them."""

    @property
    def architecture(self) -> dict[str, object]:
        """All constants needed to evaluate the field, as plain JSON."""
        ...

    @property
    def varying(self) -> tuple[str, ...]:
        """Names of the arrays that each acquisition of a series has for itself; it shares the others."""
        ...

    def init(self, seed: int) -> dict[str, np.ndarray]:
        """Draw parameters of a field that is zero, or nearly so, everywhere."""
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
        """Fit parameters to values on a grid, where the field can do so in closed form."""
        ...


def constrained(raw: Float[Array, "*n"], sign: str) -> Float[Array, "*n"]:
    """Constrain a raw output to one sign, smoothly."""
    if sign == "any":
        return raw
    flip = -1.0 if sign == "nonpositive" else 1.0
    raw = flip * raw
    return flip * 0.5 * (raw + jnp.sqrt(raw**2 + 4 * SIGN_KNEE**2))


def unconstrained(values: Float[np.ndarray, "*n"], sign: str) -> Float[np.ndarray, "*n"]:
    """Compute the raw outputs whose constrained values come nearest to the given ones."""
    if sign == "any":
        return values
    flip = -1.0 if sign == "nonpositive" else 1.0
    # At most 3 knees below zero: deeper, the gradient would vanish and the voxel could not return.
    bounded = np.maximum(flip * values, SIGN_KNEE / 3)
    return flip * (bounded - SIGN_KNEE**2 / bounded)


def grid_axes(counts: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the normalised coordinates of a grid whose cells fill the box."""
    z, y, x = ((2 * np.arange(n) + 1) / n - 1 for n in counts)
    return z, y, x


@dataclass(frozen=True)
class FieldGrid:
    """Grid on which a fit evaluates a field; its cells fill the field's box, wherever that lies.

    In contrast, a `recon.grid.Grid` has coordinates in the laboratory.

    Args:
        shape: Number of samples (z, y, x).
        pitch: [m] Distance between samples (z, y, x).
        resolution: [m] Finest detail (z, y, x) that the measurement can show.
    """

    shape: tuple[int, int, int]
    pitch: tuple[float, float, float]
    resolution: tuple[float, float, float]
