"""Draws fitted to their picture through the image formation, each staying near where it was drawn.

A picture tells more than its mask: light from above and below the section, blurred. Each draw's code is changed so that
the section that the physics makes of it is the picture; how far it goes from its draw is charged for, so that what the
picture does not tell stays as it was drawn.
"""

from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from .....physics import fluorescence as light
from ....runs import RunContext
from ..cells import CellBatch
from .checkpoint import PredictionState
from .config import ShapePredict
from .inputs import PictureInput
from .psf import read_psf
from .shape_code import PIXELS, UNIT, interpolation_matrix, pixel_centres

_SLICES = 24
"""Of the stack around the section that is blurred into it."""
_STEPS = (2.0, 1.0, 1.0)
"""[pixel] Between its samples (z, y, x)."""
_LATERAL, _AXIAL, _HALO, _HALO_WIDTH = 0.9, 2.5, 0.25, 3.5
"""[pixel] Widths of the blur, and share of the halo, of the microscope that real cells were seen with."""
_MEMBRANE = 3.5
"""[pixel] Brightness of the membrane at first, as `fluorescence.Stain` has it."""
_NEAR = 20.0
"""Weight of the mean square change of a code against the relative square misfit of the picture."""
_RATE = 0.02

Blurring: TypeAlias = light.MicroscopePsf | Float[Array, "a b c"]
"""What the microscope does: Gaussians, or the samples of its own point-spread function."""


class RefinedDraws(NamedTuple):
    """What is fitted of a batch: codes, and the logarithm of the membrane's brightness."""

    codes: Float[Array, "batch 16 16 16"]
    membrane: Float[Array, " batch"]


def refine(
    kept: PredictionState, sights: list[PictureInput], blur: Blurring, steps: int, work: RunContext
) -> dict[str, float]:
    """Fit all draws to their pictures.

    Args:
        kept: All shapes as drawn, some of which may be refined already; its codes are changed.
        sights: What was seen.
        blur: As `load_blur` gives it.
        steps: How long.
        work: Who is told, and asked whether to stop.

    Returns:
        The misfit of the pictures before and after, mean over cells and draws.

    Raises:
        Stopped: If it was asked to end early.
    """
    for i in range(kept.refined, len(sights)):
        drawn, image = jnp.asarray(kept.codes[i]), jnp.asarray(sights[i].image, jnp.float32)
        codes, before, after = _fitted(drawn, image, blur, steps)
        kept.codes[i], kept.misfits[i, :, 0], kept.misfits[i, :, 1] = codes, before, after
        kept.refined = i + 1
        work.progress(kept.refined, len(sights))
        if kept.refined < len(sights):
            kept.stop_if_asked(work)
    before, after = kept.misfits.mean(axis=(0, 1))
    return {"picture_before": float(before), "picture_after": float(after)}


def load_blur(wanted: ShapePredict, cells: CellBatch) -> Blurring:
    """The microscope's blur, as its file has it or as that of the red blood cells was.

    Raises:
        DataError: If the file holds none.
    """
    if wanted.psf is None:
        return light.MicroscopePsf(_LATERAL, _AXIAL, _HALO, _HALO_WIDTH)
    return jnp.asarray(read_psf(wanted.psf, cells, _STEPS, (_SLICES - 1, PIXELS - 1, PIXELS - 1)))


@partial(jax.jit, static_argnums=3)
def _fitted(
    drawn: Float[Array, "draw 16 16 16"], image: Float[Array, "y x"], blur: Blurring, steps: int
) -> tuple[Float[Array, "draw 16 16 16"], Float[Array, " draw"], Float[Array, " draw"]]:
    """The codes after some steps, and the misfit of the pictures before and after them."""
    adam = optax.adam(_RATE)
    start = RefinedDraws(drawn, jnp.full(len(drawn), jnp.log(_MEMBRANE)))

    def loss(fitted: RefinedDraws) -> Float[Array, ""]:
        change = ((fitted.codes - drawn) ** 2).mean(axis=(1, 2, 3))
        return (misfit(fitted, image, blur) + _NEAR * change).sum()

    def step(_: Any, state: tuple[RefinedDraws, optax.OptState]) -> tuple[RefinedDraws, optax.OptState]:
        fitted, memory = state
        with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in integers
            updates, memory = adam.update(jax.grad(loss)(fitted), memory)
            return RefinedDraws(*optax.apply_updates(tuple(fitted), tuple(updates))), memory

    fitted: RefinedDraws = jax.lax.fori_loop(0, steps, step, (start, adam.init(start)))[0]
    return fitted.codes, misfit(start, image, blur), misfit(fitted, image, blur)


def misfit(fitted: RefinedDraws, image: Float[Array, "y x"], blur: Blurring) -> Float[Array, " batch"]:
    """Square of the difference of pictures made and seen over that of the one seen, at the best brightness."""
    made = simulate_images(fitted.codes, jnp.exp(fitted.membrane), blur)
    seen = image[None]
    power = jnp.maximum((made**2).sum(axis=(1, 2)), 1e-6)
    gain = (made * seen).sum(axis=(1, 2)) / power
    missed = (gain[:, None, None] * made - seen) ** 2
    return missed.sum(axis=(1, 2)) / jnp.maximum((image**2).sum(), 1e-6)


def simulate_images(
    codes: Float[Array, "batch 16 16 16"], membrane: Float[Array, " batch"], blur: Blurring
) -> Float[Array, "batch y x"]:
    """The pictures that a microscope makes of shapes, without noise."""
    heights = (np.arange(_SLICES) - _SLICES // 2) * _STEPS[0]
    along_z, across = (
        jnp.asarray(interpolation_matrix(places), jnp.float32) for places in (heights, pixel_centres(PIXELS))
    )
    distance = UNIT * jnp.einsum("za,yb,xc,nabc->nzyx", along_z, across, across, codes)
    filled = light.occupancy_from_distance(distance, 1.5)

    def one(occupancy: Float[Array, "z y x"], strength: Float[Array, ""]) -> Float[Array, "y x"]:
        stain = light.Stain(membrane=strength)
        middle = slice(_SLICES // 2, _SLICES // 2 + 1)
        return light.simulate_stack(occupancy, _STEPS, stain, blur, middle)[0]

    return jax.vmap(one)(filled, membrane)
