"""U-Net in two or three dimensions whose layers are modulated by a vector of conditions.

Its grids are coarse: fine detail is folded into the channels before the first layer and unfolded after the last, so
that nearly all work is in small convolutions over many channels, which every device does at its best speed.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from .layers import GROUPS, Convolution, Linear, Values, depth_to_space, group_norm, space_to_depth

_INITIAL_SCALE = 0.1
"""Scale of a block's output before the training: a deep network starts as nearly its skips alone."""
_OUTPUT_SCALE = 0.3

Generator: TypeAlias = np.random.Generator | None


class ResidualBlock(nnx.Module):
    """Two convolutions beside a skip; the conditions scale and shift the values between them.

    Args:
        width: Channels of the values.
        conditions: Width of the embedded conditions.
        dimensions: 3, or 2 for planes.
        rng: Generator of the weights; None sets them to 0, to be replaced.
    """

    def __init__(self, width: int, conditions: int, dimensions: int, rng: Generator) -> None:
        self.first = Convolution(width, dimensions, rng)
        self.second = Convolution(width, dimensions, rng, _INITIAL_SCALE)
        self.tune = Linear(conditions, 2 * width, rng, _INITIAL_SCALE)

    def __call__(self, values: Values, conditions: Float[Array, "batch condition"], dtype: Any = jnp.float32) -> Values:
        """Apply the block; arguments as for `UNet`."""
        modulation = self.tune(conditions)
        singles = (1,) * (values.ndim - 2)
        scale, shift = jnp.split(modulation.reshape(len(modulation), *singles, -1), 2, axis=-1)
        inner = self.first(jax.nn.silu(group_norm(values)), dtype)
        inner = group_norm(inner) * (1 + scale) + shift
        return values + self.second(jax.nn.silu(inner), dtype)


Levels: TypeAlias = "nnx.List[nnx.List[ResidualBlock]]"
Layers: TypeAlias = "nnx.List[Linear]"


@dataclass(frozen=True)
class UNetSize:
    """Size of a U-Net.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        conditions: Number of conditions.
        widths: Channels of each level; the grid halves from one to the next.
        blocks: Residual blocks of each level; on the way down and again on the way up, but for the last.
        condition_width: Width of the layers that embed the conditions.
        dimensions: 3, or 2 for planes.
    """

    inputs: int
    outputs: int
    conditions: int
    widths: tuple[int, ...] = (64, 128)
    blocks: tuple[int, ...] = (1, 4)
    condition_width: int = 128
    dimensions: int = 3

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or not self.widths:
            raise ValueError(f"{len(self.widths)} widths and {len(self.blocks)} numbers of blocks: one each a level")
        if any(width % GROUPS for width in self.widths):
            raise ValueError(f"widths {self.widths} are not multiples of {GROUPS}")


class UNet(nnx.Module):
    """U-Net.

    Args:
        size: Numbers of channels and blocks.
        rng: Generator of the weights; None sets them to 0, to be replaced.
    """

    def __init__(self, size: UNetSize, rng: Generator) -> None:
        hidden, cells = size.condition_width, 2**size.dimensions
        self.conditions = nnx.List([Linear(size.conditions, hidden, rng), Linear(hidden, hidden, rng)])
        self.input = Linear(size.inputs, size.widths[0], rng)
        self.down: Levels = nnx.List([])
        self.up: Levels = nnx.List([])
        self.coarser: Layers = nnx.List([])
        self.finer: Layers = nnx.List([])
        self.join: Layers = nnx.List([])
        for level, (width, count) in enumerate(zip(size.widths, size.blocks, strict=True)):
            self.down.append(nnx.List(_blocks(count, width, size, rng)))
            if level + 1 < len(size.widths):
                below = size.widths[level + 1]
                self.coarser.append(Linear(cells * width, below, rng))
                self.finer.append(Linear(below, cells * width, rng))
                self.join.append(Linear(2 * width, width, rng))
                self.up.append(nnx.List(_blocks(count, width, size, rng)))
        self.out = Linear(size.widths[0], size.outputs, rng, _OUTPUT_SCALE)

    def embed(self, conditions: Float[Array, "batch condition"]) -> Float[Array, "batch width"]:
        """Embed the conditions in the vector that modulates the blocks."""
        for layer in self.conditions:
            conditions = jax.nn.silu(layer(conditions))
        return conditions

    def __call__(self, values: Values, conditions: Float[Array, "batch width"], dtype: Any = jnp.float32) -> Values:
        """Apply the network.

        Args:
            values: (batch, z, y, x, inputs), or without z; each edge a multiple of 2 to the number of levels less one.
            conditions: Embedded conditions (`embed`).
            dtype: Precision of the factors of products.

        Returns:
            Values on the same grid with the channels of the output.
        """
        values, skips = self.input(values, dtype), []
        for level, blocks in enumerate(self.down):
            for block in blocks:
                values = block(values, conditions, dtype)
            if level < len(self.coarser):
                skips.append(values)
                values = self.coarser[level](space_to_depth(values, 2), dtype)
        for level in reversed(range(len(self.up))):
            finer = depth_to_space(self.finer[level](values, dtype), 2)
            values = self.join[level](jnp.concatenate([finer, skips[level]], axis=-1), dtype)
            for block in self.up[level]:
                values = block(values, conditions, dtype)
        output: Values = self.out(jax.nn.silu(group_norm(values)), dtype)
        return output


def _blocks(count: int, width: int, size: UNetSize, rng: Generator) -> list[ResidualBlock]:
    return [ResidualBlock(width, size.condition_width, size.dimensions, rng) for _ in range(count)]
