"""A walk through the slices of a specimen, in memory that grows as the square root of their number."""

from collections.abc import Callable
from math import ceil, sqrt
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

State = TypeVar("State")


def walk(
    step: Callable[[State, Float[Array, "channel y x"]], State],
    state: State,
    slices: Float[Array, "channel z y x"],
    block: int | None = None,
) -> State:
    """Carry a state through all slices, first to last.

    Going back for a gradient, only the state at the head of each block is kept and the block is walked again.

    Args:
        step: What a slice does to the state; an empty slice must leave a background wave as it is.
        state: The state before the first slice.
        slices: The specimen.
        block: Slices to a block; √Q when not given. With a block of all slices nothing is walked twice.
    """
    count = slices.shape[1]
    block = min(block or ceil(sqrt(count)), count)
    blocks = count // block

    def inner(state: State, part: Float[Array, "b channel y x"]) -> tuple[State, None]:
        return lax.scan(lambda s, q: (step(s, q), None), state, part)

    head, tail = slices[:, : blocks * block], slices[:, blocks * block :]
    parts = jnp.moveaxis(head, 1, 0).reshape(blocks, block, head.shape[0], *head.shape[2:])
    if blocks == 1:
        state, _ = inner(state, parts[0])
    else:
        state, _ = lax.scan(jax.checkpoint(inner), state, parts)  # type: ignore[arg-type]
    if tail.shape[1]:
        state, _ = jax.checkpoint(inner)(state, jnp.moveaxis(tail, 1, 0))
    return state
