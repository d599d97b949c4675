"""Denoiser of the shape: it estimates the code from a noisy code and a picture.

The code's planes along z are the channels of a network over the picture's plane: a pixel determines most of the profile
of the cell above and below it, and convolutions in a plane cost little.

A skip passes on the part of the code that noise leaves, and the network adds the rest, at its own scale (Karras et al.,
2022, Elucidating the design space of diffusion models): a network that gives the whole code blurs the part that it need
only copy, and draws were a fifth smoother than cells.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ....networks.flow import time_embedding
from ....networks.layers import space_to_depth
from ....networks.unet import UNet, UNetSize
from .inputs import CHANNELS, SCALARS
from .shape_code import EDGE, PIXELS

Codes = Float[Array, "batch 16 16 16"]
Pictures = Float[Array, "batch 64 64 channel"]
_FREQUENCIES = 8
_FOLD = PIXELS // EDGE
_STRONG = 3.0
"""Factor that brings the scalars to about 1."""


class ShapeDenoiser(nnx.Module):
    """Network.

    Args:
        widths: Channels of each level of the U-Net, whose finest grid is that of the code.
        blocks: Residual blocks of each level.
        codes: Mean and spread of the numbers of codes (those of the red blood cells that were at hand).
        seed: Seed of the weights; None sets them to 0, to be replaced.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (64, 128, 128),
        blocks: tuple[int, ...] = (1, 2, 2),
        codes: tuple[float, float] = (0.85, 0.7),
        seed: int | None = None,
    ) -> None:
        self.widths, self.blocks, self.codes = widths, blocks, codes
        inputs = EDGE + _FOLD**2 * CHANNELS
        size = UNetSize(inputs, EDGE, 2 * _FREQUENCIES + SCALARS, widths, blocks, dimensions=2)
        self.unet = UNet(size, None if seed is None else np.random.default_rng(seed))

    def constants(self) -> dict[str, Any]:
        """Return the constructor's arguments, which the network's file holds as JSON."""
        return {"widths": self.widths, "blocks": self.blocks, "codes": self.codes}

    @staticmethod
    def draw_inputs(random: np.random.RandomState) -> tuple[Any, ...]:
        """Draw inputs of `estimate` for the self-test of the network's file."""
        noisy = random.standard_normal((1, EDGE, EDGE, EDGE)).astype(np.float32)
        seen = random.uniform(size=(1, PIXELS, PIXELS, CHANNELS)).astype(np.float32)
        return noisy, np.full(1, 0.5, np.float32), seen

    def estimate(self, noisy: Codes, time: Float[Array, " batch"], seen: Pictures, dtype: Any = jnp.float32) -> Codes:
        """Estimate the code that a noisy one comes from.

        Args:
            noisy: x_t.
            time: t, from 0 for noise to 1 for the code.
            seen: `PictureInput.channels` of each picture.
            dtype: Precision of the factors of products.
        """
        conditions = jnp.concatenate([time_embedding(time, _FREQUENCIES), _STRONG * _scalars(seen)], axis=-1)
        values = jnp.concatenate([noisy.transpose(0, 2, 3, 1), space_to_depth(seen, _FOLD)], axis=-1)
        change = self.unet(values, self.unet.embed(conditions), dtype).transpose(0, 3, 1, 2)
        skip, scale = self._scales(time[:, None, None, None])
        return self.codes[0] + skip * (noisy - time[:, None, None, None] * self.codes[0]) + scale * change

    def _scales(self, time: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Weight of the noisy code in the posterior mean, and posterior deviation, for independent normal values."""
        spread, noise = self.codes[1], 1 - time
        variance = (time * spread) ** 2 + noise**2
        return time * spread**2 / variance, spread * noise / jnp.sqrt(variance)


def _scalars(seen: Pictures) -> Float[Array, "batch scalar"]:
    """Compute size of the section, mean and mean square of the brightness, brightness in the section, and height."""
    image, inside = seen[..., 0], seen[..., 2]
    area, mean = inside.mean(axis=(1, 2)), image.mean(axis=(1, 2))
    within = (image * inside).mean(axis=(1, 2)) / jnp.maximum(area, 1e-3)
    high = seen[..., 3].mean(axis=(1, 2)) / _STRONG
    return jnp.stack([area, mean, (image**2).mean(axis=(1, 2)), within - 0.5, high], axis=-1)
