"""Denoiser of the cell: it estimates the index contrast from a begun fit, or a linear answer, and a noisy contrast.

A rectified flow (`recon.networks.flow`) integrates the estimates from noise to a contrast. At its start the noisy
contrast tells nothing, and is left out: the estimate is the posterior mean given the input, and beside it the network
estimates its own error. Later ones lead to a draw of the posterior. What the light saw is in the input; what it did not
see, the noise decides.

Notation
--------
c      input in the units of `inputs`
x_t    noisy contrast, (1 − t)·noise + t·contrast
σ      standard deviation of the contrast about the posterior mean
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
"""Channels of the input: noisy contrast, begun fit or linear answer, its sum along z, and the mask of the box."""
_SPREADS = (-4.5, 1.0)
"""Least and largest ln σ."""
_FIRST_SPREAD = -2.0
"""ln σ before the training, about."""
_COLUMN_SCALE = 0.1
"""Factor on the sum along z, so that it is about 1."""
_TEST_EDGE = 16
"""Voxels along an axis of the self-test: enough for the halvings of four levels."""
_SKIP_SCALE = 0.01
"""Scale of the initial weights of the skips."""

Batch = Float[Array, "batch z y x"]


class Condition(NamedTuple):
    """Condition of the estimate: that of `inputs.NetworkInput` with a batch axis, as arrays of jax."""

    contrast: Batch
    inside: Batch
    instrument: Float[Array, "batch number"]


class CellDenoiser(nnx.Module):
    """Network whose output is added to a weighted sum of its input and the noisy contrast.

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
        size = UNetSize(_CHANNELS * voxels, 2 * voxels, 2 * _FREQUENCIES + INSTRUMENT_NUMBERS, widths, blocks)
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
        """Estimate the contrast that a noisy one comes from; arguments as for `estimate_with_spread`."""
        return self.estimate_with_spread(noisy, time, condition, dtype)[0]

    def estimate_with_spread(
        self, noisy: Batch, time: Float[Array, " batch"], condition: Condition, dtype: Any = jnp.float32
    ) -> tuple[Batch, Batch]:
        """Estimate the contrast that a noisy one comes from, and ln σ.

        Args:
            noisy: x_t.
            time: t, from 0 for noise, where x_t is ignored, to 1 for the contrast.
            condition: Input and numbers of the instrument.
            dtype: Precision of the factors of products.

        Returns:
            Contrast, 0 outside the box; and ln σ, which is learned at t = 0 only.
        """
        noisy = jnp.where((time > 0)[:, None, None, None], noisy, 0) * condition.inside
        column = jnp.broadcast_to(condition.contrast.sum(axis=1, keepdims=True), noisy.shape) * _COLUMN_SCALE
        channels = jnp.stack([noisy, condition.contrast, column, condition.inside], axis=-1)
        embedded = self.unet.embed(jnp.concatenate([time_embedding(time, _FREQUENCIES), condition.instrument], axis=-1))
        output = depth_to_space(self.unet(space_to_depth(channels, _FOLD), embedded, dtype), _FOLD)
        weights = self.skips(embedded)[:, :, None, None, None]
        estimate: Batch = output[..., 0] + (1 + weights[:, 0]) * condition.contrast + weights[:, 1] * noisy
        return estimate * condition.inside, jnp.clip(output[..., 1] + _FIRST_SPREAD, *_SPREADS)


def draw_noise(key: Array, shape: tuple[int, ...]) -> Batch:
    """Draw the noise that contrasts are drawn from."""
    return jax.random.normal(key, shape)
