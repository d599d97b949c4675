"""Default field: a pyramid of cubic B-spline feature grids and a small decoder.

Each level is a grid of F features, every one a smooth function of space. The first K features of every level add up to
the K outputs directly, a multi-resolution spline; the decoder, a network of one hidden layer over the features of all
levels, adds what a spline cannot say. It starts at zero, so that a closed-form start passes through unchanged.
"""

from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .base import Axes, Parameters, constrained, unconstrained
from .config import SLAB_POINTS
from .splines import Matrix, apply_across, cubic_at, cubic_matrix, least_squares

FEATURE_SCALE = 0.3
"""Standard deviation of the features that only the decoder reads; smaller ones slow its learning."""


@dataclass(frozen=True)
class Pyramid:
    """Pyramid of feature grids with a decoder.

    Args:
        levels: Coefficients (z, y, x) of each level, coarse to fine; at least 4 an axis.
        features: Features F of each level, at least ``outputs``.
        hidden: Width of the decoder's hidden layer; 0 leaves the spline alone.
        outputs: Quantities K.
        sign: ``any``, ``nonnegative`` or ``nonpositive``.
    """

    levels: tuple[tuple[int, int, int], ...]
    features: int = 3
    hidden: int = 24
    outputs: int = 1
    sign: str = "any"

    @property
    def architecture(self) -> dict[str, object]:
        """All constants needed to evaluate the field, as plain JSON."""
        return {
            "type": "pyramid",
            "version": 1,
            "levels": [list(level) for level in self.levels],
            "features": self.features,
            "hidden": self.hidden,
            "outputs": self.outputs,
            "sign": self.sign,
        }

    @property
    def varying(self) -> tuple[str, ...]:
        """Names of the grids: a series shares the decoder."""
        return tuple(f"grid_{i}" for i in range(len(self.levels)))

    def init(self, seed: int) -> dict[str, np.ndarray]:
        """Draw small features and a decoder whose last layer is zero."""
        rng = np.random.default_rng(seed)
        drawn: dict[str, np.ndarray] = {}
        for i, level in enumerate(self.levels):
            grid = FEATURE_SCALE * rng.standard_normal((self.features, *level))
            grid[: self.outputs] = 0
            drawn[f"grid_{i}"] = grid.astype(np.float32)
        if self.hidden:
            inputs = len(self.levels) * self.features
            drawn["decoder/w0"] = (rng.standard_normal((inputs, self.hidden)) / np.sqrt(inputs)).astype(np.float32)
            drawn["decoder/b0"] = np.zeros(self.hidden, np.float32)
            drawn["decoder/w1"] = np.zeros((self.hidden, self.outputs), np.float32)
            drawn["decoder/b1"] = np.zeros(self.outputs, np.float32)
        return drawn

    def at(self, parameters: Parameters, points: Float[Array, "n 3"]) -> Float[Array, "n k"]:
        """Evaluate at any points."""
        levels = [cubic_at(parameters[f"grid_{i}"], points).T for i in range(len(self.levels))]
        return constrained(self._decode(parameters, levels), self.sign).T

    def on_grid(self, parameters: Parameters, axes: Axes) -> Float[Array, "k z y x"]:
        """Evaluate on the product of three axes by matrix products, slab by slab, recomputing each for its gradient.

        All features of all points at once would not fit into a cache, nor those of a large volume into memory. Along z
        all slabs are interpolated first: they share the grids, and would each read them whole.
        """
        z, y, x = axes
        thick = max(1, min(len(z), SLAB_POINTS // (len(y) * len(x))))
        slabs = -(-len(z) // thick)
        xp = np if isinstance(z, np.ndarray) else jnp
        filled = xp.concatenate([z, xp.repeat(z[-1:], slabs * thick - len(z))])
        matrices = [self._matrices(i, (filled, y, x)) for i in range(len(self.levels))]
        parts = []
        for i, (down, _, _) in enumerate(matrices):
            grid = parameters[f"grid_{i}"]
            planes = jnp.einsum("zn,fnbc->zfbc", jnp.asarray(down, grid.dtype), grid)
            parts.append(planes.reshape(slabs, thick, *planes.shape[1:]))

        @jax.checkpoint
        def slab(part: list[Float[Array, "s f _b _c"]]) -> Float[Array, "k s y x"]:
            levels = [apply_across(planes, *of) for planes, (_, *of) in zip(part, matrices, strict=True)]
            return constrained(self._decode(parameters, levels), self.sign)

        if slabs == 1:
            return cast(Array, slab([part[0] for part in parts]))
        values = jnp.moveaxis(cast(Array, jax.lax.map(slab, parts)), 0, 1)
        return values.reshape(self.outputs, slabs * thick, len(y), len(x))[:, : len(z)]

    def fit_to_grid(
        self, parameters: dict[str, np.ndarray], values: Float[np.ndarray, "k z y x"], axes: Axes
    ) -> dict[str, np.ndarray]:
        """Fit the directly added features to values, coarse to fine, each level to the residual of those before."""
        projected = dict(parameters)
        residual = unconstrained(values, self.sign)
        for i in range(len(self.levels)):
            matrices = self._matrices(i, axes)
            grid = np.array(projected[f"grid_{i}"])
            part = least_squares(residual, matrices)
            grid[: self.outputs] = part
            projected[f"grid_{i}"] = grid
            residual = residual - np.einsum("fabc,za,yb,xc->fzyx", part, *matrices, optimize=True)
        return projected

    def _matrices(self, level: int, axes: Axes) -> tuple[Matrix, Matrix, Matrix]:
        z, y, x = (cubic_matrix(s, n) for s, n in zip(axes, self.levels[level], strict=True))
        return z, y, x

    def _decode(self, parameters: Parameters, levels: list[Float[Array, "f *n"]]) -> Float[Array, "k *n"]:
        direct = sum((level[: self.outputs] for level in levels[1:]), levels[0][: self.outputs])
        if not self.hidden:
            return direct
        features = jnp.concatenate(levels).reshape(len(levels) * self.features, -1)  # products of matrices are fastest
        wide = jax.nn.gelu(parameters["decoder/w0"].T @ features + parameters["decoder/b0"][:, None])
        added = parameters["decoder/w1"].T @ wide + parameters["decoder/b1"][:, None]
        return direct + added.reshape(direct.shape)


def pyramid_levels(
    counts: tuple[int, int, int], finest: tuple[float, float, float], number: int
) -> tuple[tuple[int, int, int], ...]:
    """Compute grid sizes from coarse to fine, each axis growing by a constant factor.

    Args:
        counts: Samples of the fit's grid (z, y, x).
        finest: Samples of the fit's grid to one interval of the finest level (z, y, x).
        number: Number of levels.

    Returns:
        Coefficients (z, y, x) of each level.
    """
    last = [max(1.0, n / step) for n, step in zip(counts, finest, strict=True)]
    levels = []
    for i in range(number):
        share = (i + 1) / number
        levels.append(
            tuple(
                3
                + max(
                    1,
                    round(
                        min(n, 4.0)
                        * (n / min(n, 4.0)) ** ((share - 1 / number) / (1 - 1 / number) if number > 1 else 1)
                    ),
                )
                for n in last
            )
        )
    return tuple((a, b, c) for a, b, c in levels)
