"""Layers of networks in two or three dimensions: flax modules whose weights NumPy draws.

Values are (batch, z, y, x, channel), or (batch, y, x, channel). Products are taken in bfloat16 where that is asked for,
sums and everything else in float32. jax would compile a program for the random numbers of each shape of weights.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

Values: TypeAlias = Float[Array, "batch ... _channel"]

GROUPS = 8
"""Groups of channels that are normalised together."""
_EPSILON = 1e-5
_PLANES_ARE_FASTER = jax.__version_info__ < (0, 11)
"""On a CPU, twice; later releases of jax give the convolution to oneDNN (`devices.use`), which is faster still."""


class Linear(nnx.Linear):
    """Linear layer over the last axis, with a product in a precision that the call chooses.

    Args:
        inputs: Number of channels of the values.
        outputs: Number of channels of the result.
        rng: Generator of the weights; None sets them to 0, to be replaced.
        scale: Standard deviation of the result relative to that of the values, before the training.
    """

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator | None, scale: float = 1.0) -> None:
        deviation = scale / np.sqrt(inputs)
        super().__init__(inputs, outputs, kernel_init=_normal(rng, deviation), bias_init=_zeros, rngs=nnx.Rngs(0))

    def __call__(self, inputs: Array, dtype: Any = jnp.float32) -> Array:
        """Apply the layer.

        Args:
            inputs: Values, of any number of axes.
            dtype: Precision of the factors of the product.
        """
        kernel = self.kernel[...].astype(dtype)
        product: Array = jnp.matmul(inputs.astype(dtype), kernel, preferred_element_type=jnp.float32)
        return product + _along_last(self.bias, product.ndim)


class Convolution(nnx.Conv):
    """Convolution over the 3 neighbours along each dimension, with zeros beyond the edges.

    Args:
        width: Number of channels of the values and of the result.
        dimensions: 2 or 3.
        rng: Generator of the weights; None sets them to 0, to be replaced.
        scale: Standard deviation of the result relative to that of the values, before the training.
    """

    def __init__(self, width: int, dimensions: int, rng: np.random.Generator | None, scale: float = 1.0) -> None:
        deviation, size = scale / np.sqrt(3**dimensions * width), (3,) * dimensions
        super().__init__(width, width, size, kernel_init=_normal(rng, deviation), bias_init=_zeros, rngs=nnx.Rngs(0))

    def __call__(self, inputs: Values, dtype: Any = jnp.float32) -> Values:
        """Apply the layer; arguments as for `Linear`."""
        inputs, kernel = inputs.astype(dtype), self.kernel[...].astype(dtype)
        planes = inputs.ndim == 5 and _PLANES_ARE_FASTER and jax.default_backend() == "cpu"
        product = convolve_planes(inputs, kernel) if planes else convolve(inputs, kernel)
        return product.astype(jnp.float32) + _along_last(self.bias, product.ndim)


def _normal(rng: np.random.Generator | None, deviation: float) -> Callable[..., Array]:
    """Initialiser of flax that draws normal numbers with NumPy."""

    def init(_key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        return jnp.asarray(np.zeros(shape) if rng is None else rng.normal(size=shape) * deviation, dtype)

    return init


def _zeros(_key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    return jnp.asarray(np.zeros(shape), dtype)


def _along_last(bias: Any, dimensions: int) -> Array:
    values: Array = bias[...]
    return values.reshape((1,) * (dimensions - 1) + values.shape)


def convolve(values: Values, kernel: Float[Array, "... _in _out"]) -> Values:
    """Convolve in one operation."""
    dimensions = values.ndim - 2
    size = "DHW"[3 - dimensions :]
    layout = (f"N{size}C", f"{size}IO", f"N{size}C")
    product: Array = jax.lax.conv_general_dilated(values, kernel, (1,) * dimensions, "SAME", dimension_numbers=layout)
    return product


def convolve_planes(values: Values, kernel: Float[Array, "3 3 3 _in _out"]) -> Values:
    """Convolve in three dimensions by the sum of three convolutions in the plane."""
    batch, z, y, x, channels = values.shape
    padded = jnp.pad(values, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
    total = jnp.zeros((batch * z, y, x, kernel.shape[-1]), values.dtype)
    for i in range(3):
        planes = padded[:, i : i + z].reshape(batch * z, y, x, channels)
        flat = jax.lax.conv_general_dilated(
            planes, kernel[i], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        total = total + flat
    return total.reshape(batch, z, y, x, -1)


def group_norm(values: Values) -> Values:
    """Scale to mean 0 and variance 1 in each group of channels of each sample (Wu and He, 2018).

    `nnx.GroupNorm` without scale and bias gives the same values, and takes longer on a CPU.
    """
    batch, *size, channels = values.shape
    within = tuple(range(1, 1 + len(size)))
    mean = values.mean(axis=within).reshape(batch, GROUPS, -1)
    square = (values * values).mean(axis=within).reshape(batch, GROUPS, -1)
    group_mean = mean.mean(axis=-1, keepdims=True)
    variance = jnp.maximum(square.mean(axis=-1, keepdims=True) - group_mean**2, 0.0)
    shape = (batch, *(1 for _ in size), channels)
    offset = jnp.broadcast_to(group_mean, mean.shape).reshape(shape)
    factor = jnp.broadcast_to(jax.lax.rsqrt(variance + _EPSILON), mean.shape).reshape(shape)
    return (values - offset) * factor


def space_to_depth(values: Values, edge: int) -> Values:
    """Move cubes (squares) of neighbours into the channels: (n, n, n, c) becomes (n/edge, n/edge, n/edge, edge³ c)."""
    batch, *size, channels = values.shape
    coarse = [n // edge for n in size]
    blocks = values.reshape(batch, *(part for n in coarse for part in (n, edge)), channels)
    outer, inner = range(1, 2 * len(size), 2), range(2, 2 * len(size) + 1, 2)
    moved = blocks.transpose(0, *outer, *inner, 2 * len(size) + 1)
    return moved.reshape(batch, *coarse, edge ** len(size) * channels)


def depth_to_space(values: Values, edge: int) -> Values:
    """Undo `space_to_depth`."""
    batch, *size, channels = values.shape
    own, dimensions = channels // edge ** len(size), len(size)
    blocks = values.reshape(batch, *size, *(edge for _ in size), own)
    order = [axis for i in range(dimensions) for axis in (1 + i, 1 + dimensions + i)]
    moved = blocks.transpose(0, *order, 2 * dimensions + 1)
    return moved.reshape(batch, *(n * edge for n in size), own)
