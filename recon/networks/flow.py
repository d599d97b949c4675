"""A rectified flow from noise to an answer (Liu, Gong and Liu, 2023): its times, and the steps along it.

x_t = (1 − t)·noise + t·answer, and dx/dt = (answer of x_t − x_t)/(1 − t): a network that tells the answer that is meant
by x_t leads there. What is noised (complex densities, codes of a surface) is the caller's.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

_LATEST = 0.98
"""Time beyond which nothing is taught: hardly any noise is left."""
_EVEN = 0.15
"""Keeps the weight of the last moments from growing without end."""

State = TypeVar("State")


def times(key: PRNGKeyArray, count: int) -> Float[Array, " count"]:
    """Draw times at which a network is taught."""
    return _LATEST * jax.random.uniform(key, (count,))


def loss_weights(errors: Float[Array, " batch"], time: Float[Array, " batch"]) -> Float[Array, ""]:
    """Mean of errors of the answer at some times, weighted as errors of the flow are."""
    return jnp.mean(errors / (1 - time + _EVEN))


def follow(
    advance: Callable[[State, Float[Array, ""], Float[Array, ""]], State],
    start: State,
    steps: int,
    told: Callable[[int], None] = lambda step: None,
) -> State:
    """Go from noise to an answer.

    Args:
        advance: What is had at a later time, of what is had now: ``advance(state, now, then)``; see `remaining_noise`.
        start: Noise.
        steps: How many; each asks the network once.
        told: Told of each step that is done.
    """
    state, moments = start, [jnp.float32(step / steps) for step in range(steps + 1)]
    for step, (now, then) in enumerate(pairwise(moments), start=1):
        state = advance(state, now, then)
        told(step)
    return state


def remaining_noise(now: Float[Array, ""], then: Float[Array, ""]) -> Float[Array, ""]:
    """Share of the way to the answer that is left by a step: the state then is answer + left·(state now − answer)."""
    return (1 - then) / (1 - now)


def time_embedding(time: Float[Array, " batch"], frequencies: int) -> Float[Array, "batch wave"]:
    """Sines and cosines of the time, in steps of an octave: how a network is told it."""
    octaves = np.pi / 16 * 2.0 ** np.arange(frequencies, dtype=np.float32)
    turns = time[:, None] * octaves[None]
    return jnp.concatenate([jnp.sin(turns), jnp.cos(turns)], axis=-1)
