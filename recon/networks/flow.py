"""Rectified flow from noise to a sample (Liu, Gong and Liu, 2023): times of the training, and steps of the integration.

x_t = (1 − t)·noise + t·sample, and dx/dt = (estimate(x_t) − x_t)/(1 − t), with a network that estimates the sample from
x_t. The caller decides what is noised (complex densities, codes of a surface).
"""

from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

_LATEST = 0.98
"""Latest time of the training: hardly any noise is left."""
_OFFSET = 0.15
"""Keeps the weight of the last moments finite."""

State = TypeVar("State")


def draw_times(key: PRNGKeyArray, count: int) -> Float[Array, " count"]:
    """Draw times at which a network is trained."""
    return _LATEST * jax.random.uniform(key, (count,))


def weighted_mean(errors: Float[Array, " batch"], time: Float[Array, " batch"]) -> Float[Array, ""]:
    """Average errors of the estimated sample, with the weights that make them errors of the flow."""
    return jnp.mean(errors / (1 - time + _OFFSET))


def integrate(
    advance: Callable[[State, Float[Array, ""], Float[Array, ""]], State],
    noise: State,
    steps: int,
    progress: Callable[[int], None] = lambda step: None,
) -> State:
    """Integrate the flow from noise to a sample.

    Args:
        advance: Step of the state from one time to another: ``advance(state, now, then)``; see `remaining_noise`.
        noise: State at time 0.
        steps: Number of steps; each applies the network once.
        progress: Called with the number of steps done.
    """
    state, times = noise, [jnp.float32(step / steps) for step in range(steps + 1)]
    for step, (now, then) in enumerate(pairwise(times), start=1):
        state = advance(state, now, then)
        progress(step)
    return state


def remaining_noise(now: Float[Array, ""], then: Float[Array, ""]) -> Float[Array, ""]:
    """Compute r in: state(then) = estimate + r·(state(now) − estimate)."""
    return (1 - then) / (1 - now)


def time_embedding(time: Float[Array, " batch"], frequencies: int) -> Float[Array, "batch wave"]:
    """Compute sines and cosines of the time, in steps of an octave."""
    octaves = np.pi / 16 * 2.0 ** np.arange(frequencies, dtype=np.float32)
    angles = time[:, None] * octaves[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
