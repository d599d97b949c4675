"""Plain voxel grid, trilinear between the centres of its cells: the classical alternative on the same interface."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .base import Axes, Parameters, constrained, unconstrained
from .splines import Matrix, apply_matrices, least_squares, linear_matrix


@dataclass(frozen=True)
class Voxels:
    """Grid of values at the centres of its cells.

    Args:
        shape: Cells (z, y, x).
        outputs: Quantities K.
        sign: ``any``, ``nonnegative`` or ``nonpositive``.
    """

    shape: tuple[int, int, int]
    outputs: int = 1
    sign: str = "any"

    @property
    def architecture(self) -> dict[str, object]:
        """All constants needed to evaluate the field, as plain JSON."""
        return {
            "type": "voxels",
            "version": 1,
            "shape": list(self.shape),
            "outputs": self.outputs,
            "sign": self.sign,
        }

    @property
    def varying(self) -> tuple[str, ...]:
        """Name of the grid."""
        return ("grid",)

    def init(self, seed: int) -> dict[str, np.ndarray]:
        """Return zeros; nothing is drawn."""
        return {"grid": np.zeros((self.outputs, *self.shape), np.float32)}

    def at(self, parameters: Parameters, points: Float[Array, "n 3"]) -> Float[Array, "n k"]:
        """Evaluate at any points."""
        grid = parameters["grid"]
        total = jnp.zeros((self.outputs, points.shape[0]), grid.dtype)
        t = [jnp.clip((points[:, a] + 1) / 2 * n - 0.5, 0, n - 1) for a, n in enumerate(self.shape)]
        first = [jnp.clip(jnp.floor(s).astype(jnp.int32), 0, max(n - 2, 0)) for s, n in zip(t, self.shape, strict=True)]
        share = [s - i.astype(s.dtype) for s, i in zip(t, first, strict=True)]
        for corner in np.ndindex(2, 2, 2):
            index = [jnp.minimum(i + c, n - 1) for i, c, n in zip(first, corner, self.shape, strict=True)]
            weight = jnp.ones_like(share[0])
            for c, f in zip(corner, share, strict=True):
                weight = weight * (f if c else 1 - f)
            total = total + grid[:, index[0], index[1], index[2]] * weight[None]
        return constrained(total, self.sign).T

    def on_grid(self, parameters: Parameters, axes: Axes) -> Float[Array, "k z y x"]:
        """Evaluate on the product of three axes by matrix products."""
        return constrained(apply_matrices(parameters["grid"], self._matrices(axes)), self.sign)

    def fit_to_grid(
        self, parameters: dict[str, np.ndarray], values: Float[np.ndarray, "k z y x"], axes: Axes
    ) -> dict[str, np.ndarray]:
        """Fit the values at the centres of the cells."""
        raw = unconstrained(values, self.sign)
        return {"grid": least_squares(raw, self._matrices(axes), damping=1e-6).astype(np.float32)}

    def _matrices(self, axes: Axes) -> tuple[Matrix, Matrix, Matrix]:
        z, y, x = (linear_matrix(s, n) for s, n in zip(axes, self.shape, strict=True))
        return z, y, x
