"""Refinement of draws: a fit of their codes to the picture through the image formation.

A picture contains more than its mask: blurred light from above and below the section. The code of each draw is fitted
so that its simulated section agrees with the picture. A penalty on the change of the code keeps the draw where the
picture leaves it open.
"""

from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .....physics import fluorescence as light
from ....runs import RunContext
from ..cells import CellBatch
from .checkpoint import PredictionState
from .config import ShapePredict
from .inputs import PictureInput
from .psf import read_psf
from .shape_code import PIXELS, UNIT, Code, interpolation_matrix, pixel_centres

_SLICES = 24
"""Number of slices of the simulated stack: those around the section whose light reaches it."""
_STEPS = (2.0, 1.0, 1.0)
"""[pixel] Distance between the samples of the simulated stack (z, y, x)."""
_LATERAL, _AXIAL, _HALO, _HALO_WIDTH = 0.9, 2.5, 0.25, 3.5
"""Blur of the microscope that imaged the real cells: lateral and axial width [pixel], fraction and width of a halo."""
_MEMBRANE = 3.5
"""[pixel] Initial brightness of the membrane, as in `fluorescence.Stain`."""
_PENALTY = 20.0
"""Weight of the mean square change of a code relative to the misfit of the picture."""
_RATE = 0.02
"""Learning rate of the fit."""

Blurring: TypeAlias = light.MicroscopePsf | Float[Array, "a b c"]
"""Blur of the microscope: Gaussians, or samples of its point-spread function."""


class RefinedDraws(NamedTuple):
    """Fitted parameters of a batch: codes, and the logarithm of the membrane's brightness."""

    codes: Float[Array, "batch 16 16 16"]
    membrane: Float[Array, " batch"]


def refine(
    state: PredictionState, inputs: list[PictureInput], blur: Blurring, steps: int, context: RunContext
) -> dict[str, float]:
    """Fit all draws to their pictures.

    Args:
        state: Drawn shapes, some of which may be refined already; their codes are updated in place.
        inputs: Pictures of the cells.
        blur: Blur of the microscope.
        steps: Number of steps of the optimiser.
        context: Context of the run: progress callback, stop request and checkpoints.

    Returns:
        ``picture_before`` and ``picture_after``: misfit before and after the fit, mean over cells and draws.

    Raises:
        Stopped: If a stop was requested.
    """
    for i in range(state.cells_refined, len(inputs)):
        drawn, image = jnp.asarray(state.codes[i]), jnp.asarray(inputs[i].image, jnp.float32)
        codes, before, after = _fit(drawn, image, blur, steps)
        state.codes[i], state.misfits[i, :, 0], state.misfits[i, :, 1] = codes, before, after
        state.cells_refined = i + 1
        context.progress(state.cells_refined, len(inputs))
        if state.cells_refined < len(inputs):
            state.stop_if_asked(context)
    before, after = state.misfits.mean(axis=(0, 1))
    return {"picture_before": float(before), "picture_after": float(after)}


def refine_one(code: Code, picture: PictureInput, blur: Blurring, steps: int) -> Code:
    """Fit one shape to its picture."""
    return np.asarray(_fit(jnp.asarray(code[None]), jnp.asarray(picture.image, jnp.float32), blur, steps)[0][0])


def load_blur(settings: ShapePredict, cells: CellBatch) -> Blurring:
    """Read the blur of the microscope from its file, by default that of the red blood cells' microscope.

    Raises:
        DataError: If the file holds no point-spread function.
    """
    if settings.psf is None:
        return light.MicroscopePsf(_LATERAL, _AXIAL, _HALO, _HALO_WIDTH)
    return jnp.asarray(read_psf(settings.psf, cells, _STEPS, (_SLICES - 1, PIXELS - 1, PIXELS - 1)))


@partial(jax.jit, static_argnums=3)
def _fit(
    drawn: Float[Array, "draw 16 16 16"], image: Float[Array, "y x"], blur: Blurring, steps: int
) -> tuple[Float[Array, "draw 16 16 16"], Float[Array, " draw"], Float[Array, " draw"]]:
    """Fit the codes of a cell's draws; return them, and the misfit of each draw before and after."""
    import optax  # Not at the top: a prediction without refinement need not wait for it.

    adam = optax.adam(_RATE)
    start = RefinedDraws(drawn, jnp.full(len(drawn), jnp.log(_MEMBRANE)))

    def loss(fitted: RefinedDraws) -> Float[Array, ""]:
        change = ((fitted.codes - drawn) ** 2).mean(axis=(1, 2, 3))
        return (misfit(fitted, image, blur) + _PENALTY * change).sum()

    def step(_: Any, state: tuple[RefinedDraws, Any]) -> tuple[RefinedDraws, Any]:
        fitted, memory = state
        with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in integers
            updates, memory = adam.update(jax.grad(loss)(fitted), memory)
            return RefinedDraws(*optax.apply_updates(tuple(fitted), tuple(updates))), memory

    fitted: RefinedDraws = jax.lax.fori_loop(0, steps, step, (start, adam.init(start)))[0]
    return fitted.codes, misfit(start, image, blur), misfit(fitted, image, blur)


def misfit(fitted: RefinedDraws, image: Float[Array, "y x"], blur: Blurring) -> Float[Array, " batch"]:
    """Compute the misfit of each code: ∑(g·simulated − measured)² / ∑measured², at the best brightness g."""
    simulated = simulate_images(fitted.codes, jnp.exp(fitted.membrane), blur)
    measured = image[None]
    power = jnp.maximum((simulated**2).sum(axis=(1, 2)), 1e-6)
    gain = (simulated * measured).sum(axis=(1, 2)) / power
    squares = (gain[:, None, None] * simulated - measured) ** 2
    return squares.sum(axis=(1, 2)) / jnp.maximum((image**2).sum(), 1e-6)


def simulate_images(
    codes: Float[Array, "batch 16 16 16"], membrane: Float[Array, " batch"], blur: Blurring
) -> Float[Array, "batch y x"]:
    """Simulate the pictures of shapes, without noise."""
    heights = (np.arange(_SLICES) - _SLICES // 2) * _STEPS[0]
    along_z, across = (
        jnp.asarray(interpolation_matrix(places), jnp.float32) for places in (heights, pixel_centres(PIXELS))
    )
    distance = UNIT * jnp.einsum("za,yb,xc,nabc->nzyx", along_z, across, across, codes)
    filled = light.occupancy_from_distance(distance, 1.5)

    def image(occupancy: Float[Array, "z y x"], strength: Float[Array, ""]) -> Float[Array, "y x"]:
        stain = light.Stain(membrane=strength)
        middle = slice(_SLICES // 2, _SLICES // 2 + 1)
        return light.simulate_stack(occupancy, _STEPS, stain, blur, middle)[0]

    return jax.vmap(image)(filled, membrane)
