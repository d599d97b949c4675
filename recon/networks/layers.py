"""Layers of a network of two or three dimensions as functions of a flat dictionary of arrays.

Values are (batch, z, y, x, channel), or (batch, y, x, channel). Products are taken in bfloat16 where that is asked for,
sums and everything else in float32.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Parameters: TypeAlias = Mapping[str, Array]
Values: TypeAlias = Float[Array, "batch ... _channel"]

GROUPS = 8
"""Groups of channels that are normalised together."""
_EPSILON = 1e-5
_PLANES_ARE_FASTER = jax.__version_info__ < (0, 11)
"""On a CPU, twice; later releases of jax give the convolution to oneDNN (`devices.use`), which is faster still."""


def new_dense(rng: np.random.Generator, inputs: int, outputs: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    """Draw a dense layer: weights with the variance that keeps the variance of what passes, times scale²."""
    weights = rng.normal(size=(inputs, outputs)) * (scale / np.sqrt(inputs))
    return {"w": weights.astype(np.float32), "b": np.zeros(outputs, np.float32)}


def new_convolution(
    rng: np.random.Generator, inputs: int, outputs: int, scale: float = 1.0, dimensions: int = 3
) -> dict[str, np.ndarray]:
    """Draw a convolution over the 3 neighbours along each dimension."""
    size = (3,) * dimensions
    weights = rng.normal(size=(*size, inputs, outputs)) * (scale / np.sqrt(3**dimensions * inputs))
    return {"w": weights.astype(np.float32), "b": np.zeros(outputs, np.float32)}


def dense(parameters: Parameters, name: str, values: Array, dtype: Any = jnp.float32) -> Array:
    """A linear layer over the last axis."""
    weights = parameters[f"{name}.w"]
    product: Array = jnp.matmul(values.astype(dtype), weights.astype(dtype), preferred_element_type=jnp.float32)
    return product + _along_last(parameters[f"{name}.b"], product.ndim)


def convolution(parameters: Parameters, name: str, values: Values, dtype: Any = jnp.float32) -> Values:
    """Convolution with weights for the 3 neighbours along each dimension; zeros are beyond the edges."""
    values, weights = values.astype(dtype), parameters[f"{name}.w"].astype(dtype)
    planes = values.ndim == 5 and _PLANES_ARE_FASTER and jax.default_backend() == "cpu"
    product = by_planes(values, weights) if planes else at_once(values, weights)
    return product.astype(jnp.float32) + _along_last(parameters[f"{name}.b"], product.ndim)


def at_once(values: Values, weights: Float[Array, "... _in _out"]) -> Values:
    """The convolution as one operation."""
    dimensions = values.ndim - 2
    size = "DHW"[3 - dimensions :]
    layout = (f"N{size}C", f"{size}IO", f"N{size}C")
    product: Array = jax.lax.conv_general_dilated(values, weights, (1,) * dimensions, "SAME", dimension_numbers=layout)
    return product


def by_planes(values: Values, weights: Float[Array, "3 3 3 _in _out"]) -> Values:
    """A convolution in three dimensions as the sum of three convolutions in the plane."""
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


def group_norm(values: Values) -> Values:
    """Mean 0 and variance 1 in each group of channels of each sample (Wu and He, 2018)."""
    batch, *size, channels = values.shape
    within = tuple(range(1, 1 + len(size)))
    mean = values.mean(axis=within).reshape(batch, GROUPS, -1)
    square = (values * values).mean(axis=within).reshape(batch, GROUPS, -1)
    of_group = mean.mean(axis=-1, keepdims=True)
    variance = jnp.maximum(square.mean(axis=-1, keepdims=True) - of_group**2, 0.0)
    shape = (batch, *(1 for _ in size), channels)
    offset = jnp.broadcast_to(of_group, mean.shape).reshape(shape)
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
