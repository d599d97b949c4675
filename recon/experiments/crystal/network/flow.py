"""From noise to a density: the steps of the flow, and what the network is taught at each of them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ....networks.flow import follow, loss_weights, remaining_noise, times
from ....networks.layers import Parameters
from .denoiser import NOISE, CrystalDenoiser, Density, PatternBatch, autocorrelation, misfit, scaled
from .inputs import BOX

_PHYSICS = 0.3
"""Weight of the misfit to the pattern against that to the density."""


def noise(key: PRNGKeyArray, count: int) -> Density:
    """Draw densities to start from."""
    parts = NOISE * jax.random.normal(key, (2, count, BOX, BOX, BOX))
    return jax.lax.complex(parts[0], parts[1])


def loss(
    denoiser: CrystalDenoiser,
    parameters: Parameters,
    pattern: PatternBatch,
    density: Density,
    key: PRNGKeyArray,
    dtype: object,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """How far the network is from the densities, at times drawn at random.

    Args:
        denoiser: The network.
        parameters: Its parameters.
        pattern: What was measured.
        density: The truth.
        key: Of noise and times.
        dtype: Of the factors of products.

    Returns:
        The loss; and the relative square error of the density (``error``) and of the moduli (``misfit``).
    """
    of_time, of_noise = jax.random.split(key)
    time = times(of_time, len(density))
    share = time[:, None, None, None]
    noisy = scaled(noise(of_noise, len(density)), 1 - share) + scaled(density, share)
    found = denoiser.estimate(parameters, noisy, time, pattern, autocorrelation(pattern), dtype)
    error = _power(found - density) / _power(density)
    missed = misfit(found, pattern)
    return loss_weights(error + _PHYSICS * missed, time), {"error": jnp.mean(error), "misfit": jnp.mean(missed)}


def draw(
    denoiser: CrystalDenoiser,
    parameters: Parameters,
    pattern: PatternBatch,
    start: Density,
    steps: int,
    told: Callable[[int], None] = lambda step: None,
) -> Density:
    """Follow the flow from noise to densities.

    Args:
        denoiser: The network.
        parameters: Its parameters.
        pattern: One for each density.
        start: `noise`.
        steps: How many; each asks the network once.
        told: Told of each step that is done.
    """
    correlation = _autocorrelation(pattern)

    def advance(noisy: Density, now: Float[Array, ""], then: Float[Array, ""]) -> Density:
        stepped: Density = _stepped(denoiser, parameters, noisy, pattern, correlation, now, then)
        return stepped

    return follow(advance, start, steps, told)


_autocorrelation = jax.jit(autocorrelation)


def _step(
    denoiser: CrystalDenoiser,
    parameters: Parameters,
    noisy: Density,
    pattern: PatternBatch,
    correlation: Density,
    now: Float[Array, ""],
    then: Float[Array, ""],
) -> Density:
    """The density at a later time; at the end it is what the network takes it for."""
    found = denoiser.estimate(parameters, noisy, jnp.full(len(noisy), now), pattern, correlation)
    return found + scaled(noisy - found, remaining_noise(now, then))


_stepped = jax.jit(_step, static_argnums=0)


def _power(density: Density) -> Float[Array, " batch"]:
    return (density.real**2 + density.imag**2).sum(axis=(1, 2, 3))
