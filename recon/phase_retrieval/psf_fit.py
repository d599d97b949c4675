"""Fit of the point-spread function's widths and the background, by Fisher's scoring. Arrays are in FFT order.

C = e·(|F|² ⊛ psf(σ) + b), under a flux e of the beam, has the derivatives ∂C/∂σ = e·|F|² ⊛ ∂psf/∂σ and e. With the
score 1 − I/C of the Poisson deviance and its expected curvature 1/C, a step solves four equations for four unknowns.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from ...physics.diffraction.far_field import LEAST_COUNTS, deviance
from ...physics.psf import WIDEST_SIGMA
from .pattern import DevicePattern, PointSpread
from .projections import abs2, multiply_real

FIRST_SIGMA = 0.3
"""[pixel] First width: at 0 the model does not depend on the widths to first order."""
_STEP_RATIO = 0.4
_LEAST_STEP = 0.03


def fit_point_spread(
    density: Complex[Array, "z y x"],
    support: Float[Array, "z y x"],
    pattern: DevicePattern,
    point_spread: PointSpread,
    *,
    psf: bool = True,
    background: bool = True,
) -> PointSpread:
    """Take one step towards the widths and the background of least deviance.

    The deviance never rises above that of the values it starts from. A wider point-spread function also hides fringes
    that strain has moved: a step that widens it must explain the withheld pixels as well, where there are any.

    Args:
        density: Density, of which the part inside the support diffracts.
        support: 1 inside.
        pattern: Measured pattern; its fitted pixels count.
        point_spread: Present values; widths of 0 start at `FIRST_SIGMA`.
        psf: Whether to fit the widths.
        background: Whether to fit the background.
    """
    active = jnp.asarray([psf, psf, psf, background], jnp.float32)
    result: PointSpread = _scoring_step(density, support, pattern, point_spread, active)
    return result


# The choice of parameters is data, so that projections and refinement share one program: it takes longest to compile.
@jax.jit
def _scoring_step(
    density: Complex[Array, "z y x"],
    support: Float[Array, "z y x"],
    pattern: DevicePattern,
    point_spread: PointSpread,
    active: Float[Array, "4"],
) -> PointSpread:
    curve = pattern.curve
    intensity = abs2(curve.forward(multiply_real(density, support)))
    narrow = jnp.where(jnp.sum(point_spread.sigmas) > 0, jnp.maximum(point_spread.sigmas, 0.05), FIRST_SIGMA)
    sigmas = jnp.where(active[:3] > 0, narrow, point_spread.sigmas)
    exposure = pattern.exposure
    steady, steady_slopes = curve.convolve_with_slopes(intensity, sigmas)
    modelled, slopes = exposure * steady, [*(exposure * slope for slope in steady_slopes), exposure]
    counts = jnp.maximum(modelled + exposure * point_spread.background, LEAST_COUNTS)
    step = _solve_step(pattern.fitted * (1 - pattern.counts / counts), pattern.fitted / counts, slopes, active)

    def moved(share: Float[Array, ""]) -> PointSpread:
        wider = jnp.where(active[:3] > 0, jnp.clip(sigmas + share * step[:3], 0.0, WIDEST_SIGMA), sigmas)
        return PointSpread(wider, jnp.maximum(point_spread.background + share * step[3], 0.0))

    def deviance_of(trial: PointSpread, weights: Float[Array, "z y x"]) -> Float[Array, ""]:
        counts = exposure * (curve.convolve(intensity, trial.sigmas) + trial.background)
        return deviance(pattern.counts, counts, weights)

    least = deviance(pattern.counts, modelled + exposure * point_spread.background, pattern.fitted)

    def is_worse(search: tuple[Array, Array]) -> Array:
        share, value = search
        return ~(value < least) & (share > _LEAST_STEP)

    def shorten(search: tuple[Array, Array]) -> tuple[Array, Array]:
        share = _STEP_RATIO * search[0]
        return share, deviance_of(moved(share), pattern.fitted)

    initial = jnp.asarray(1 / _STEP_RATIO, jnp.float32), jnp.asarray(jnp.inf, jnp.float32)
    share, reached = lax.while_loop(is_worse, shorten, initial)
    proposal = PointSpread(
        *(
            jnp.where(reached < least, new, old)
            for new, old in zip(moved(share), PointSpread(sigmas, point_spread.background), strict=True)
        )
    )
    wider = jnp.sum(proposal.sigmas) > jnp.sum(point_spread.sigmas)
    withheld = deviance_of(proposal, pattern.free), deviance_of(point_spread, pattern.free)
    refused = wider & (withheld[0] > withheld[1])  # False where no pixel is withheld: both are not a number.
    return PointSpread(*(jnp.where(refused, old, new) for new, old in zip(proposal, point_spread, strict=True)))


def _solve_step(
    score: Float[Array, "z y x"],
    curvature: Float[Array, "z y x"],
    slopes: Sequence[Float[Array, "z y x"] | Float[Array, "z 1 1"]],
    active: Float[Array, "4"],
) -> Float[Array, "4"]:
    """Solve for the step of the active parameters, whose slopes are given; it is 0 for the others."""
    gradient = active * jnp.stack([jnp.sum(score * slope) for slope in slopes])
    upper = jnp.stack(
        [
            jnp.stack([jnp.sum(curvature * a * b) if i <= j else jnp.zeros(()) for j, b in enumerate(slopes)])
            for i, a in enumerate(slopes)
        ]
    )
    hessian = upper + jnp.triu(upper, 1).T
    scale = jnp.sqrt(jnp.diagonal(hessian) + 1e-30)
    both = active[:, None] * active[None, :]
    damped = both * hessian / scale[:, None] / scale[None, :] + jnp.diag(1.0 + 1e-4 - active)
    step: Array = -jnp.linalg.solve(damped, gradient / scale) / scale
    return step
