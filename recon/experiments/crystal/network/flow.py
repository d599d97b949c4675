"""Flow from noise to densities: its steps, and the loss of the training."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ....networks.flow import draw_times, integrate, remaining_noise, weighted_mean
from ....networks.weights import compile_with
from ....sharding import map_shards
from .denoiser import NOISE, ComplexBatch, CrystalDenoiser, PatternBatch, autocorrelation, misfit, multiply_real
from .inputs import BOX

_PHYSICS = 0.3
"""Weight of the misfit to the pattern against that to the density."""


def noise(key: PRNGKeyArray, count: int) -> ComplexBatch:
    """Draw the noise that densities are drawn from."""
    parts = NOISE * jax.random.normal(key, (2, count, BOX, BOX, BOX))
    return jax.lax.complex(parts[0], parts[1])


def loss(
    denoiser: CrystalDenoiser, pattern: PatternBatch, density: ComplexBatch, key: PRNGKeyArray, dtype: object
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Compute the error of the estimated densities, at times drawn at random.

    Args:
        denoiser: Network.
        pattern: Measured patterns.
        density: True densities.
        key: Key of noise and times.
        dtype: Precision of the factors of products.

    Returns:
        The loss; and the relative square error of the density (``error``) and of the moduli (``misfit``).
    """
    time_key, noise_key = jax.random.split(key)
    time = draw_times(time_key, len(density))
    fraction = time[:, None, None, None]
    noisy = multiply_real(noise(noise_key, len(density)), 1 - fraction) + multiply_real(density, fraction)
    estimate = denoiser.estimate(noisy, time, pattern, autocorrelation(pattern), dtype)
    error = _power(estimate - density) / _power(density)
    moduli = misfit(estimate, pattern)
    return weighted_mean(error + _PHYSICS * moduli, time), {"error": jnp.mean(error), "misfit": jnp.mean(moduli)}


def draw(
    denoiser: CrystalDenoiser,
    pattern: PatternBatch,
    start: ComplexBatch,
    steps: int,
    progress: Callable[[int], None] = lambda step: None,
) -> ComplexBatch:
    """Follow the flow from noise to densities.

    Args:
        denoiser: Network.
        pattern: Patterns, one for each density.
        start: Noise (`noise`).
        steps: Number of steps; each applies the network once.
        progress: Called with the number of steps done.
    """
    correlation, step = _autocorrelation(pattern), compile_with(advance, denoiser)

    def step_of(noisy: ComplexBatch, now: Float[Array, ""], then: Float[Array, ""]) -> ComplexBatch:
        later: ComplexBatch = step(noisy, pattern, correlation, now, then)
        return later

    return integrate(step_of, start, steps, progress)


_autocorrelation = jax.jit(autocorrelation)


def advance(
    denoiser: CrystalDenoiser,
    noisy: ComplexBatch,
    pattern: PatternBatch,
    correlation: ComplexBatch,
    now: Float[Array, ""],
    then: Float[Array, ""],
) -> ComplexBatch:
    """Compute the density at a later time, on all local devices; at the end it is the network's estimate."""

    def estimate_some(now: Float[Array, ""], some: tuple[ComplexBatch, PatternBatch, ComplexBatch]) -> ComplexBatch:
        densities, patterns, correlations = some
        return denoiser.estimate(densities, jnp.full(len(densities), now), patterns, correlations)

    estimate: ComplexBatch = map_shards(estimate_some, now, (noisy, pattern, correlation))
    return estimate + multiply_real(noisy - estimate, remaining_noise(now, then))


def _power(density: ComplexBatch) -> Float[Array, " batch"]:
    return (density.real**2 + density.imag**2).sum(axis=(1, 2, 3))
