"""Propagation of light through the slices of a specimen, with its gradient.

A slice step is a linear map of the wave's state that depends on one slice. Two scans apply it:

`scan_slices` differentiates automatically with respect to the specimen and everything else (tilts, aberrations). The
forward pass stores the state at the head of each block, and the backward pass recomputes the block: memory grows as √Q.

`scan_slices_fixed` uses the adjoint of the step and gives the gradient of the specimen alone, for known light. It
stores one real-space wave per slice where the memory allows (``block`` of all slices), or else the heads of blocks.

A specimen is (channel, z, y, x); states are trees of arrays (wave, y, x).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil, sqrt
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

UNROLL = 2
"""Slices written out in a loop's body: a recurrence over two slices then overwrites the older and copies none."""

State: TypeAlias = Any
Piece: TypeAlias = Float[Array, "channel y x"]


@dataclass(frozen=True)
class SliceStep:
    """Propagation over one slice, forward and back: pure functions, their first argument the constants of all slices.

    Args:
        step: (constants, state, slice) to the state after the slice, and the residual for `back`.
        back: (constants, cotangent of the state after, slice, residual) to the cotangents of the state before and of
            the slice, the latter summed over the waves.
    """

    step: Callable[[Any, State, Piece], tuple[State, Any]]
    back: Callable[[Any, State, Piece, Any], tuple[State, Piece]]


def scan_slices(
    slice_step: SliceStep, constants: Any, state: State, specimen: Float[Array, "channel z y x"], block: int | None
) -> State:
    """Propagate a state through all slices, first to last; differentiable in everything.

    Args:
        slice_step: Propagation over one slice.
        constants: Arrays that are the same for all slices.
        state: State before the first slice.
        specimen: Slices.
        block: Slices between the states that are stored; None for √Q.
    """

    def through(state: State, part: Float[Array, "b channel y x"]) -> State:
        return lax.scan(lambda s, piece: (slice_step.step(constants, s, piece)[0], None), state, part, unroll=UNROLL)[0]

    for part, several in _blocks(specimen, block):
        if several:
            state = lax.scan(lambda s, p: (jax.checkpoint(through)(s, p), None), state, part)[0]
        else:
            state = jax.checkpoint(through)(state, part)
    return state


@partial(jax.custom_vjp, nondiff_argnums=(0, 4))
def scan_slices_fixed(
    slice_step: SliceStep, constants: Any, state: State, specimen: Float[Array, "channel z y x"], block: int | None
) -> State:
    """Propagate a state through all slices; differentiable in the specimen alone. Arguments as for `scan_slices`."""
    pieces = jnp.moveaxis(specimen, 1, 0)
    return lax.scan(lambda s, piece: (slice_step.step(constants, s, piece)[0], None), state, pieces, unroll=UNROLL)[0]


def _forward(
    slice_step: SliceStep, constants: Any, state: State, specimen: Float[Array, "channel z y x"], block: int | None
) -> tuple[State, Any]:
    residuals = []
    for part, several in _blocks(specimen, block):
        if several:
            heads = state

            def through(state: State, part: Array) -> tuple[State, State]:
                return _steps(slice_step, constants, state, part)[0], state

            state, heads = lax.scan(through, state, part)
            residuals.append(heads)
        else:
            state, residual = _steps(slice_step, constants, state, part)
            residuals.append(residual)
    return state, (constants, specimen, residuals)


def _steps(
    slice_step: SliceStep, constants: Any, state: State, part: Float[Array, "b channel y x"]
) -> tuple[State, Any]:
    return lax.scan(lambda s, piece: slice_step.step(constants, s, piece), state, part, unroll=UNROLL)


def _backward(slice_step: SliceStep, block: int | None, saved: Any, cotangent: State) -> tuple[Any, State, Array]:
    constants, specimen, residuals = saved

    def again(cotangent: State, item: tuple[Array, Any]) -> tuple[State, Array]:
        part, residual = item
        return lax.scan(lambda c, one: slice_step.back(constants, c, *one), cotangent, (part, residual), reverse=True)

    def from_head(cotangent: State, item: tuple[Array, State]) -> tuple[State, Array]:
        part, head = item
        return again(cotangent, (part, _steps(slice_step, constants, head, part)[1]))

    gradients = []
    for (part, several), residual in zip(reversed(_blocks(specimen, block)), reversed(residuals), strict=True):
        if several:
            cotangent, gradient = lax.scan(from_head, cotangent, (part, residual), reverse=True)
            gradient = gradient.reshape(-1, *gradient.shape[2:])
        else:
            cotangent, gradient = again(cotangent, (part, residual))
        gradients.append(gradient)
    whole = jnp.moveaxis(jnp.concatenate(gradients[::-1]), 0, 1)
    return jax.tree.map(jnp.zeros_like, constants), cotangent, whole


scan_slices_fixed.defvjp(_forward, _backward)


def _blocks(specimen: Float[Array, "channel z y x"], block: int | None) -> list[tuple[Array, bool]]:
    """Divide a specimen into full blocks, stacked, and the remainder; a single block is not stacked."""
    count = specimen.shape[1]
    block = min(block or ceil(sqrt(count)), count)
    pieces = jnp.moveaxis(specimen, 1, 0)
    full = count // block
    parts: list[tuple[Array, bool]] = []
    if full == 1:
        parts.append((pieces[:block], False))
    else:
        parts.append((pieces[: full * block].reshape(full, block, *pieces.shape[1:]), True))
    if full * block < count:
        parts.append((pieces[full * block :], False))
    return parts
