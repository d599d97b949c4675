"""A U-Net in two or three dimensions whose layers are tuned by a vector of conditions.

Its grids are coarse: what is fine is folded into the channels before the first layer and unfolded after the last, so
that nearly all work is in small convolutions over many channels, which every device does at its best speed.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .layers import (
    GROUPS,
    Parameters,
    Values,
    convolution,
    dense,
    depth_to_space,
    group_norm,
    new_convolution,
    new_dense,
    space_to_depth,
)

_QUIET = 0.1
"""Scale of what a block adds at first: a deep network starts as nearly its skips alone."""


@dataclass(frozen=True)
class UNet:
    """The constants of a network; its parameters are a flat dictionary of arrays.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        conditions: Numbers that tune it.
        widths: Channels of each level; the grid halves from one to the next.
        blocks: Residual blocks of each level; on the way down and again on the way up, but for the last.
        width_of_conditions: Of the layer that reads the conditions.
        dimensions: 3, or 2 for planes.
    """

    inputs: int
    outputs: int
    conditions: int
    widths: tuple[int, ...] = (64, 128)
    blocks: tuple[int, ...] = (1, 4)
    width_of_conditions: int = 128
    dimensions: int = 3

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or not self.widths:
            raise ValueError(f"{len(self.widths)} widths and {len(self.blocks)} numbers of blocks: one each a level")
        if any(width % GROUPS for width in self.widths):
            raise ValueError(f"widths {self.widths} are not multiples of {GROUPS}")

    def initialise(self, seed: int) -> dict[str, np.ndarray]:
        """Draw the parameters. With numpy: jax would compile a program for each shape."""
        rng = np.random.default_rng(seed)
        layers: dict[str, dict[str, np.ndarray]] = {
            "conditions.0": new_dense(rng, self.conditions, self.width_of_conditions),
            "conditions.1": new_dense(rng, self.width_of_conditions, self.width_of_conditions),
            "in": new_dense(rng, self.inputs, self.widths[0]),
        }
        for level, (width, blocks) in enumerate(zip(self.widths, self.blocks, strict=True)):
            for i in range(blocks):
                layers |= self._new_block(rng, f"down.{level}.{i}", width)
            if level + 1 < len(self.widths):
                below = self.widths[level + 1]
                layers[f"coarser.{level}"] = new_dense(rng, 2**self.dimensions * width, below)
                layers[f"finer.{level}"] = new_dense(rng, below, 2**self.dimensions * width)
                layers[f"join.{level}"] = new_dense(rng, 2 * width, width)
                for i in range(blocks):
                    layers |= self._new_block(rng, f"up.{level}.{i}", width)
        layers["out"] = new_dense(rng, self.widths[0], self.outputs, 0.3)
        return {f"{layer}.{name}": array for layer, arrays in layers.items() for name, array in arrays.items()}

    def _new_block(self, rng: np.random.Generator, name: str, width: int) -> dict[str, dict[str, np.ndarray]]:
        return {
            f"{name}.first": new_convolution(rng, width, width, dimensions=self.dimensions),
            f"{name}.second": new_convolution(rng, width, width, _QUIET, self.dimensions),
            f"{name}.tune": new_dense(rng, self.width_of_conditions, 2 * width, _QUIET),
        }

    def conditioned(self, parameters: Parameters, conditions: Float[Array, "batch condition"]) -> Array:
        """Read the conditions."""
        first = jax.nn.silu(dense(parameters, "conditions.0", conditions))
        return jax.nn.silu(dense(parameters, "conditions.1", first))

    def apply(self, parameters: Parameters, values: Values, conditions: Array, dtype: Any = jnp.float32) -> Values:
        """Answer.

        Args:
            parameters: As `initialise` names them.
            values: (batch, z, y, x, inputs), or without z; each edge a multiple of 2 to the number of levels less one.
            conditions: As `conditioned` gives them.
            dtype: Of the factors of products.

        Returns:
            The same with the channels that go out.
        """
        alone = (1,) * self.dimensions

        def block(name: str, values: Values) -> Values:
            tuned = dense(parameters, f"{name}.tune", conditions)
            scale, shift = jnp.split(tuned.reshape(len(tuned), *alone, -1), 2, axis=-1)
            inner = convolution(parameters, f"{name}.first", jax.nn.silu(group_norm(values)), dtype)
            inner = group_norm(inner) * (1 + scale) + shift
            return values + convolution(parameters, f"{name}.second", jax.nn.silu(inner), dtype)

        values, skips = dense(parameters, "in", values, dtype), []
        last = len(self.widths) - 1
        for level, blocks in enumerate(self.blocks):
            for i in range(blocks):
                values = block(f"down.{level}.{i}", values)
            if level < last:
                skips.append(values)
                values = dense(parameters, f"coarser.{level}", space_to_depth(values, 2), dtype)
        for level in reversed(range(last)):
            finer = depth_to_space(dense(parameters, f"finer.{level}", values, dtype), 2)
            values = dense(parameters, f"join.{level}", jnp.concatenate([finer, skips[level]], axis=-1), dtype)
            for i in range(self.blocks[level]):
                values = block(f"up.{level}.{i}", values)
        return dense(parameters, "out", jax.nn.silu(group_norm(values)), dtype)
