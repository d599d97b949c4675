"""The widths of the point-spread function and the background that suit a density, by Fisher's scoring.

C = e·(|F|² ⊛ psf(σ) + b), under a flux e of the beam, has the derivatives ∂C/∂σ = e·|F|² ⊛ ∂psf/∂σ and e. With the
score 1 − I/C of the Poisson deviance and its expected curvature 1/C, a step solves four equations for four unknowns.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ...physics.diffraction import LEAST_COUNTS, deviance
from .convolution import WIDEST, convolved
from .pattern import Blur, Pattern

FIRST_SIGMA = 0.3
"""[pixel] Where the widths start: at 0 the model does not depend on them to first order."""
_SHORTER = 0.4
_SHORTEST = 0.03


@partial(jax.jit, static_argnames=("psf", "background"))
def fit_blur(
    intensity: Float[Array, "z y x"], pattern: Pattern, blur: Blur, *, psf: bool = True, background: bool = True
) -> Blur:
    """Take one step towards the widths and the background that explain the counts best; never a worse one.

    Args:
        intensity: |F|² of the density.
        pattern: Only its fitted pixels count.
        blur: Where to start.
        psf: Whether the widths may change.
        background: Whether the background may.
    """
    sigmas = jnp.maximum(blur.sigmas, 0.05) if psf else blur.sigmas
    exposure = pattern.exposure
    modelled, derivative = jax.linearize(lambda widths: exposure * convolved(intensity, widths), sigmas)
    slopes = [derivative(axis) for axis in jnp.eye(3, dtype=jnp.float32)] if psf else []
    slopes += [jnp.broadcast_to(exposure, intensity.shape)] if background else []
    counts = jnp.maximum(modelled + exposure * blur.background, LEAST_COUNTS)
    score = pattern.fitted * (1 - pattern.counts / counts)
    curvature = pattern.fitted / counts
    gradient = jnp.stack([jnp.sum(score * slope) for slope in slopes])
    hessian = jnp.stack([jnp.stack([jnp.sum(curvature * a * b) for a in slopes]) for b in slopes])
    scale = jnp.sqrt(jnp.diagonal(hessian) + 1e-30)
    damped = hessian / scale[:, None] / scale[None, :] + 1e-4 * jnp.eye(len(slopes), dtype=jnp.float32)
    step = -jnp.linalg.solve(damped, gradient / scale) / scale

    def moved(share: Float[Array, ""]) -> Blur:
        wider = jnp.clip(sigmas + share * step[:3], 0.0, WIDEST) if psf else sigmas
        return Blur(wider, jnp.maximum(blur.background + share * step[-1], 0.0) if background else blur.background)

    def value(trial: Blur) -> Float[Array, ""]:
        counts = exposure * (convolved(intensity, trial.sigmas) + trial.background)
        return deviance(pattern.counts, counts, pattern.fitted)

    least = deviance(pattern.counts, modelled + exposure * blur.background, pattern.fitted)

    def is_worse(search: tuple[Array, Array]) -> Array:
        share, found = search
        return ~(found < least) & (share > _SHORTEST)

    def shorten(search: tuple[Array, Array]) -> tuple[Array, Array]:
        share = _SHORTER * search[0]
        return share, value(moved(share))

    whole = jnp.ones((), jnp.float32)
    share, found = lax.while_loop(is_worse, shorten, (whole, value(moved(whole))))
    return Blur(*(jnp.where(found < least, new, old) for new, old in zip(moved(share), blur, strict=True)))
