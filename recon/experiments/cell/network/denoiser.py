"""Denoiser of the cell: it estimates the index contrast from the linear answer and a noisy contrast.

A rectified flow (`recon.networks.flow`) integrates the estimates from noise to a contrast. At its start the noisy
contrast tells nothing, and is left out: the estimate is the posterior mean given the linear answer. Later ones lead to
a draw of the posterior. What the light saw is in the linear answer; what it did not see, the noise decides.

Notation
--------
c      linear answer in the units of `inputs`
x_t    noisy contrast, (1 − t)·noise + t·contrast
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ....networks.flow import time_embedding
from ....networks.layers import Linear, depth_to_space, space_to_depth
from ....networks.unet import UNet, UNetSize
from .inputs import INSTRUMENT_NUMBERS

_FREQUENCIES = 8
"""Number of waves that embed the time, each an octave above the one before."""
_FOLD = 2
"""Edge of the blocks of voxels folded into channels."""
_CHANNELS = 4
"""Channels of the input: noisy contrast, linear answer, its sum along z, and the mask of the box."""
_COLUMN_SCALE = 0.1
"""Factor on the sum along z, so that it is about 1."""
_TEST_EDGE = 16
"""Voxels along an axis of the self-test: enough for the halvings of four levels."""
_SKIP_SCALE = 0.01
"""Scale of the initial weights of the skips."""

Batch = Float[Array, "batch z y x"]


class Condition(NamedTuple):
    """Condition of the estimate: that of `inputs.LinearInput` with a batch axis, as arrays of jax."""

    contrast: Batch
    inside: Batch
    instrument: Float[Array, "batch number"]


class CellDenoiser(nnx.Module):
    """Network whose output is added to a weighted sum of the linear answer and the noisy contrast.

    Args:
        widths: Channels of each level of the U-Net, whose finest grid is half the contrast's.
        blocks: Residual blocks of each level.
        seed: Seed of the weights; None sets them to 0, to be replaced.
    """

    def __init__(
        self, widths: tuple[int, ...] = (32, 64, 96), blocks: tuple[int, ...] = (1, 1, 2), seed: int | None = None
    ) -> None:
        self.widths, self.blocks = widths, blocks
        voxels = _FOLD**3
        size = UNetSize(_CHANNELS * voxels, voxels, 2 * _FREQUENCIES + INSTRUMENT_NUMBERS, widths, blocks)
        self.unet = UNet(size, None if seed is None else np.random.default_rng(seed))
        skips_rng = None if seed is None else np.random.default_rng([seed, 1])
        self.skips = Linear(size.condition_width, 2, skips_rng, _SKIP_SCALE)

    def constants(self) -> dict[str, Any]:
        """Return the constructor's arguments, which the network's file holds as JSON."""
        return {"widths": self.widths, "blocks": self.blocks}

    @property
    def multiple(self) -> int:
        """Number that each edge of the grid is a multiple of."""
        return _FOLD << (len(self.widths) - 1)

    @staticmethod
    def draw_inputs(random: np.random.RandomState) -> tuple[Any, ...]:
        """Draw inputs of `estimate` for the self-test of the network's file."""
        noisy, contrast = random.standard_normal((2, 1, *(_TEST_EDGE,) * 3)).astype(np.float32)
        instrument = random.uniform(size=(1, INSTRUMENT_NUMBERS)).astype(np.float32)
        inside = np.ones_like(noisy)
        return noisy, np.full(1, 0.5, np.float32), Condition(*map(jnp.asarray, (contrast, inside, instrument)))

    def estimate(
        self, noisy: Batch, time: Float[Array, " batch"], condition: Condition, dtype: Any = jnp.float32
    ) -> Batch:
        """Estimate the contrast that a noisy one comes from; 0 outside the box.

        Args:
            noisy: x_t.
            time: t, from 0 for noise, where x_t is ignored, to 1 for the contrast.
            condition: Linear answer and numbers of the instrument.
            dtype: Precision of the factors of products.
        """
        noisy = jnp.where((time > 0)[:, None, None, None], noisy, 0) * condition.inside
        column = jnp.broadcast_to(condition.contrast.sum(axis=1, keepdims=True), noisy.shape) * _COLUMN_SCALE
        channels = jnp.stack([noisy, condition.contrast, column, condition.inside], axis=-1)
        embedded = self.unet.embed(jnp.concatenate([time_embedding(time, _FREQUENCIES), condition.instrument], axis=-1))
        change = depth_to_space(self.unet(space_to_depth(channels, _FOLD), embedded, dtype), _FOLD)[..., 0]
        weights = self.skips(embedded)[:, :, None, None, None]
        estimate: Batch = change + (1 + weights[:, 0]) * condition.contrast + weights[:, 1] * noisy
        return estimate * condition.inside


def draw_noise(key: Array, shape: tuple[int, ...]) -> Batch:
    """Draw the noise that contrasts are drawn from."""
    return jax.random.normal(key, shape)
