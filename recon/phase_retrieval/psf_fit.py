"""The widths of the point-spread function and the background that suit a density, by Fisher's scoring.

C = e·(|F|² ⊛ psf(σ) + b), under a flux e of the beam, has the derivatives ∂C/∂σ = e·|F|² ⊛ ∂psf/∂σ and e. With the
score 1 − I/C of the Poisson deviance and its expected curvature 1/C, a step solves four equations for four unknowns.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from ...physics.diffraction.far_field import LEAST_COUNTS, deviance, far_field
from ...physics.psf import WIDEST_SIGMA, convolve_gaussian
from .pattern import DevicePattern, PointSpread
from .projections import abs2, scaled

FIRST_SIGMA = 0.3
"""[pixel] Where the widths start: at 0 the model does not depend on them to first order."""
_SHORTER = 0.4
_SHORTEST = 0.03


def fit_blur(
    density: Complex[Array, "z y x"],
    support: Float[Array, "z y x"],
    pattern: DevicePattern,
    blur: PointSpread,
    *,
    psf: bool = True,
    background: bool = True,
) -> PointSpread:
    """Take one step towards the widths and the background that explain the counts best.

    It is never to worse ones than it starts from, which are not those given where these are widths of 0.

    Args:
        density: Only what is inside the support diffracts.
        support: 1 inside.
        pattern: Only its fitted pixels count.
        blur: Where to start; widths of 0 start at `FIRST_SIGMA`.
        psf: Whether the widths may change.
        background: Whether the background may.
    """
    wanted = jnp.asarray([psf, psf, psf, background], jnp.float32)
    found: PointSpread = _fitted(density, support, pattern, blur, wanted)
    return found


# What is fitted is data, so that projections and refinement share one program: it is the one that takes most compiling.
@jax.jit
def _fitted(
    density: Complex[Array, "z y x"],
    support: Float[Array, "z y x"],
    pattern: DevicePattern,
    blur: PointSpread,
    wanted: Float[Array, "4"],
) -> PointSpread:
    intensity = abs2(far_field(scaled(density, support)))
    narrow = jnp.where(jnp.sum(blur.sigmas) > 0, jnp.maximum(blur.sigmas, 0.05), FIRST_SIGMA)
    sigmas = jnp.where(wanted[:3] > 0, narrow, blur.sigmas)
    exposure = pattern.exposure
    modelled, derivative = jax.linearize(lambda widths: exposure * convolve_gaussian(intensity, widths), sigmas)
    flat = jnp.broadcast_to(exposure, intensity.shape)
    slopes = jnp.concatenate([jax.vmap(derivative)(jnp.eye(3, dtype=jnp.float32)), flat[None]])
    counts = jnp.maximum(modelled + exposure * blur.background, LEAST_COUNTS)
    step = _step(pattern.fitted * (1 - pattern.counts / counts), pattern.fitted / counts, slopes, wanted)

    def moved(share: Float[Array, ""]) -> PointSpread:
        wider = jnp.where(wanted[:3] > 0, jnp.clip(sigmas + share * step[:3], 0.0, WIDEST_SIGMA), sigmas)
        return PointSpread(wider, jnp.maximum(blur.background + share * step[3], 0.0))

    def value(trial: PointSpread) -> Float[Array, ""]:
        counts = exposure * (convolve_gaussian(intensity, trial.sigmas) + trial.background)
        return deviance(pattern.counts, counts, pattern.fitted)

    least = deviance(pattern.counts, modelled + exposure * blur.background, pattern.fitted)

    def is_worse(search: tuple[Array, Array]) -> Array:
        share, found = search
        return ~(found < least) & (share > _SHORTEST)

    def shorten(search: tuple[Array, Array]) -> tuple[Array, Array]:
        share = _SHORTER * search[0]
        return share, value(moved(share))

    before_the_first = jnp.asarray(1 / _SHORTER, jnp.float32), jnp.asarray(jnp.inf, jnp.float32)
    share, found = lax.while_loop(is_worse, shorten, before_the_first)
    return PointSpread(
        *(
            jnp.where(found < least, new, old)
            for new, old in zip(moved(share), PointSpread(sigmas, blur.background), strict=True)
        )
    )


def _step(
    score: Float[Array, "z y x"],
    curvature: Float[Array, "z y x"],
    slopes: Float[Array, "4 z y x"],
    wanted: Float[Array, "4"],
) -> Float[Array, "4"]:
    """Solve for the step of those that are wanted, 0 for the others."""
    gradient = wanted * jnp.sum(score[None] * slopes, axis=(1, 2, 3))
    hessian = jnp.stack([jnp.sum((curvature * slope)[None] * slopes, axis=(1, 2, 3)) for slope in slopes])
    scale = jnp.sqrt(jnp.diagonal(hessian) + 1e-30)
    both = wanted[:, None] * wanted[None, :]
    damped = both * hessian / scale[:, None] / scale[None, :] + jnp.diag(1.0 + 1e-4 - wanted)
    step: Array = -jnp.linalg.solve(damped, gradient / scale) / scale
    return step
