"""Draws fitted to their picture through the image formation, each staying near where it was drawn.

A picture tells more than its mask: light from above and below the section, blurred. Each draw's code is changed so that
the section that the physics makes of it is the picture; how far it goes from its draw is charged for, so that what the
picture does not tell stays as it was drawn.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from .....physics import fluorescence as light
from ....errors import Stopped
from ....runs import Workplace
from .code import PIXELS, UNIT, matrix, pixels
from .settings import ShapePredict
from .sight import Sight

_SLICES = 24
"""Of the stack around the section that is blurred into it."""
_STEP = 2.0
"""[pixel] Between them."""
_LATERAL, _AXIAL, _HALO, _HALO_WIDTH = 0.9, 2.5, 0.25, 3.5
"""[pixel] Widths of the blur, and share of the halo, of the microscope that real cells were seen with."""
_MEMBRANE = 3.5
"""[pixel] Brightness of the membrane at first, as `fluorescence.Stain` has it."""
_NEAR = 20.0
"""Weight of the mean square change of a code against the relative square misfit of the picture."""
_RATE = 0.02


class Fitted(NamedTuple):
    """What is fitted of a batch: codes, and the logarithm of the membrane's brightness."""

    codes: Float[Array, "batch 16 16 16"]
    membrane: Float[Array, " batch"]


def refined(
    codes: Float[np.ndarray, "cell draw z y x"], sights: list[Sight], wanted: ShapePredict, work: Workplace
) -> Float[np.ndarray, "cell draw z y x"]:
    """Fit all draws to their pictures.

    Args:
        codes: As drawn.
        sights: What was seen.
        wanted: ``refine_steps`` is how long.
        work: Who is told, and asked whether to stop.

    Raises:
        Stopped: If it was asked to end early.
    """
    found = np.empty_like(codes)
    for i, (own, sight) in enumerate(zip(codes, sights, strict=True)):
        if (reason := work.stop()) is not None:
            raise Stopped(f"{reason}: stopped after {i} of {len(codes)} cells were refined; run again with --force")
        found[i] = np.asarray(_fitted(jnp.asarray(own), jnp.asarray(sight.image, jnp.float32), wanted.refine_steps))
        work.progress(i + 1, len(codes))
    return found


@partial(jax.jit, static_argnums=2)
def _fitted(
    drawn: Float[Array, "draw 16 16 16"], image: Float[Array, "y x"], steps: int
) -> Float[Array, "draw 16 16 16"]:
    adam = optax.adam(_RATE)
    start = Fitted(drawn, jnp.full(len(drawn), jnp.log(_MEMBRANE)))

    def loss(fitted: Fitted) -> Float[Array, ""]:
        change = ((fitted.codes - drawn) ** 2).mean(axis=(1, 2, 3))
        return (misfit(fitted, image) + _NEAR * change).sum()

    def step(_: Any, state: tuple[Fitted, optax.OptState]) -> tuple[Fitted, optax.OptState]:
        fitted, memory = state
        with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in integers
            updates, memory = adam.update(jax.grad(loss)(fitted), memory)
            return Fitted(*optax.apply_updates(tuple(fitted), tuple(updates))), memory

    codes: Float[Array, "draw 16 16 16"] = jax.lax.fori_loop(0, steps, step, (start, adam.init(start)))[0].codes
    return codes


def misfit(fitted: Fitted, image: Float[Array, "y x"]) -> Float[Array, " batch"]:
    """Square of the difference of pictures made and seen over that of the one seen, at the best brightness."""
    made = sections(fitted.codes, jnp.exp(fitted.membrane))
    seen = image[None]
    power = jnp.maximum((made**2).sum(axis=(1, 2)), 1e-6)
    gain = (made * seen).sum(axis=(1, 2)) / power
    missed = (gain[:, None, None] * made - seen) ** 2
    return missed.sum(axis=(1, 2)) / jnp.maximum((image**2).sum(), 1e-6)


def sections(codes: Float[Array, "batch 16 16 16"], membrane: Float[Array, " batch"]) -> Float[Array, "batch y x"]:
    """The pictures that a microscope makes of shapes, without noise."""
    heights = (np.arange(_SLICES) - _SLICES // 2) * _STEP
    along_z, across = (jnp.asarray(matrix(places), jnp.float32) for places in (heights, pixels(PIXELS)))
    distance = UNIT * jnp.einsum("za,yb,xc,nabc->nzyx", along_z, across, across, codes)
    filled = light.occupancy_of_distance(distance, 1.5)
    blur = light.Blur(_LATERAL, _AXIAL, _HALO, _HALO_WIDTH)

    def one(occupancy: Float[Array, "z y x"], strength: Float[Array, ""]) -> Float[Array, "y x"]:
        stain = light.Stain(membrane=strength)
        middle = slice(_SLICES // 2, _SLICES // 2 + 1)
        return light.segmented(occupancy, (_STEP, 1.0, 1.0), stain, blur, middle)[0]

    return jax.vmap(one)(filled, membrane)
