"""The plain voxel grid, in NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from . import numpy_spline
from .numpy_common import apply_signs, get_weight, parse_signs


@dataclass(frozen=True)
class NumpyVoxels:
    """Values at the centres of the box's cells, linear between them.

    Args:
        grid: Values (output, z, y, x).
        signs: Sign of each output.
    """

    grid: Float[np.ndarray, "k nz ny nx"]
    signs: tuple[str, ...]

    @classmethod
    def load(cls, architecture: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> "NumpyVoxels":
        """Build the field from a model file's description and weights."""
        shape = (architecture["outputs"], *architecture["shape"])
        return cls(get_weight(weights, "grid", shape), parse_signs(architecture))

    @property
    def outputs(self) -> int:
        """Number K of raw outputs."""
        return len(self.grid)

    @property
    def samples(self) -> tuple[int, int, int]:
        """The grid's own cells."""
        z, y, x = self.grid.shape[1:]
        return z, y, x

    def at(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points."""
        return apply_signs(numpy_spline.linear_at_points(self.grid, s), self.signs)

    def near(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points that lie close together, which is no faster here."""
        return self.at(s)

    def on_grid(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "k z y x"]:
        """Evaluate on the product of three axes."""
        bands = (numpy_spline.linear_band(s, n) for s, n in zip((z, y, x), self.samples, strict=True))
        return apply_signs(numpy_spline.on_grid(self.grid, *bands), self.signs)
