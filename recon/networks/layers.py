"""Layers of a 3D network as functions of a flat dictionary of arrays.

Values are (batch, z, y, x, channel). Products are taken in bfloat16 where asked for, sums and everything else in
float32.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Parameters: TypeAlias = Mapping[str, Array]
Values: TypeAlias = Float[Array, "batch _z _y _x _channel"]

GROUPS = 8
"""Groups of channels that are normalised together."""
_EPSILON = 1e-5
_PLANES_ARE_FASTER = jax.__version_info__ < (0, 11)
"""On a CPU, twice; later releases of jax give the convolution to oneDNN (`devices.use`), which is faster still."""


def new_dense(rng: np.random.Generator, inputs: int, outputs: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    """Draw a dense layer: weights with the variance that keeps the variance of what passes, times scale²."""
    weights = rng.normal(size=(inputs, outputs)) * (scale / np.sqrt(inputs))
    return {"w": weights.astype(np.float32), "b": np.zeros(outputs, np.float32)}


def new_convolution(rng: np.random.Generator, inputs: int, outputs: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    """Draw a convolution over 3 × 3 × 3 neighbours."""
    weights = rng.normal(size=(3, 3, 3, inputs, outputs)) * (scale / np.sqrt(27 * inputs))
    return {"w": weights.astype(np.float32), "b": np.zeros(outputs, np.float32)}


def dense(parameters: Parameters, name: str, values: Array, dtype: Any = jnp.float32) -> Array:
    """A linear layer over the last axis."""
    weights = parameters[f"{name}.w"]
    product: Array = jnp.matmul(values.astype(dtype), weights.astype(dtype), preferred_element_type=jnp.float32)
    return product + _along_last(parameters[f"{name}.b"], product.ndim)


def convolution(parameters: Parameters, name: str, values: Values, dtype: Any = jnp.float32) -> Values:
    """Convolution with 3 × 3 × 3 weights; zeros are beyond the edges."""
    factors = values.astype(dtype), parameters[f"{name}.w"].astype(dtype)
    product = by_planes(*factors) if _PLANES_ARE_FASTER and jax.default_backend() == "cpu" else at_once(*factors)
    return product.astype(jnp.float32) + _along_last(parameters[f"{name}.b"], product.ndim)


def at_once(values: Values, weights: Float[Array, "3 3 3 _in _out"]) -> Values:
    """The convolution as one operation."""
    product: Array = jax.lax.conv_general_dilated(
        values, weights, (1, 1, 1), "SAME", dimension_numbers=("NDHWC", "DHWIO", "NDHWC")
    )
    return product


def by_planes(values: Values, weights: Float[Array, "3 3 3 _in _out"]) -> Values:
    """The same as the sum of three convolutions in the plane."""
    batch, z, y, x, channels = values.shape
    padded = jnp.pad(values, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
    total = jnp.zeros((batch * z, y, x, weights.shape[-1]), values.dtype)
    for i in range(3):
        planes = padded[:, i : i + z].reshape(batch * z, y, x, channels)
        flat = jax.lax.conv_general_dilated(
            planes, weights[i], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        total = total + flat
    return total.reshape(batch, z, y, x, -1)


def _along_last(bias: Array, dimensions: int) -> Array:
    return bias.reshape((1,) * (dimensions - 1) + bias.shape)


def normalised(values: Values) -> Values:
    """Mean 0 and variance 1 in each group of channels of each sample (Wu and He, 2018)."""
    batch, *_, channels = values.shape
    mean = values.mean(axis=(1, 2, 3)).reshape(batch, GROUPS, -1)
    square = (values * values).mean(axis=(1, 2, 3)).reshape(batch, GROUPS, -1)
    of_group = mean.mean(axis=-1, keepdims=True)
    variance = jnp.maximum(square.mean(axis=-1, keepdims=True) - of_group**2, 0.0)
    shape = (batch, 1, 1, 1, channels)
    offset = jnp.broadcast_to(of_group, mean.shape).reshape(shape)
    factor = jnp.broadcast_to(jax.lax.rsqrt(variance + _EPSILON), mean.shape).reshape(shape)
    return (values - offset) * factor


def folded(values: Values, edge: int) -> Values:
    """Move cubes of neighbours into the channels: (n, n, n, c) becomes (n/edge, n/edge, n/edge, edge³ c)."""
    batch, z, y, x, channels = values.shape
    blocks = values.reshape(batch, z // edge, edge, y // edge, edge, x // edge, edge, channels)
    moved = blocks.transpose(0, 1, 3, 5, 2, 4, 6, 7)
    return moved.reshape(batch, z // edge, y // edge, x // edge, edge**3 * channels)


def unfolded(values: Values, edge: int) -> Values:
    """Undo `folded`."""
    batch, z, y, x, channels = values.shape
    blocks = values.reshape(batch, z, y, x, edge, edge, edge, channels // edge**3)
    moved = blocks.transpose(0, 1, 4, 2, 5, 3, 6, 7)
    return moved.reshape(batch, z * edge, y * edge, x * edge, channels // edge**3)
