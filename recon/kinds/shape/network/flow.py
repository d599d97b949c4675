"""From noise to a code, and what the network is taught on the way; and the mean of all codes in one step."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ....networks.flow import follow, left, times, weighted
from ....networks.layers import Parameters
from .code import EDGE
from .denoiser import Codes, Denoiser, Sights

_AXES = (1, 2, 3)
_MEAN = 0.2
"""Share of the examples of which the network is asked for the mean of all codes, which is what it tells of no noise."""


def noise(key: PRNGKeyArray, count: int) -> Codes:
    """Draw codes to start from."""
    return jax.random.normal(key, (count, EDGE, EDGE, EDGE))


def loss(
    denoiser: Denoiser, parameters: Parameters, codes: Codes, seen: Sights, key: PRNGKeyArray, dtype: object
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """How far the network is from the codes, at times drawn at random.

    At time 0 all noise is alike to it: what it then tells is the mean of the codes that could be meant. Some examples
    are of that time, with no noise at all, for those who ask for the mean.

    Args:
        denoiser: The network.
        parameters: Its parameters.
        codes: The truth.
        seen: What was seen of it.
        key: Of noise and times.
        dtype: Of the factors of products.

    Returns:
        The loss; and the mean square error of the code (``error``).
    """
    of_time, of_noise, of_mean = jax.random.split(key, 3)
    plain = jax.random.uniform(of_mean, (len(codes),)) < _MEAN
    time = jnp.where(plain, 0.0, times(of_time, len(codes)))
    share, strength = time[:, None, None, None], jnp.where(plain, 0.0, 1 - time)[:, None, None, None]
    noisy = strength * noise(of_noise, len(codes)) + share * codes
    error = ((denoiser.estimate(parameters, noisy, time, seen, dtype) - codes) ** 2).mean(axis=_AXES)
    return weighted(error, time), {"error": error.mean()}


def draw(
    denoiser: Denoiser,
    parameters: Parameters,
    seen: Sights,
    start: Codes,
    steps: int,
    told: Callable[[int], None] = lambda step: None,
) -> Codes:
    """Follow the flow from noise to codes.

    Args:
        denoiser: The network.
        parameters: Its parameters.
        seen: One for each code.
        start: `noise`; zeros for the mean, in one step.
        steps: How many; each asks the network once.
        told: Told of each step that is done.
    """

    def advance(noisy: Codes, now: Float[Array, ""], then: Float[Array, ""]) -> Codes:
        stepped: Codes = _stepped(denoiser, parameters, noisy, seen, now, then)
        return stepped

    return follow(advance, start, steps, told)


def _step(
    denoiser: Denoiser,
    parameters: Parameters,
    noisy: Codes,
    seen: Sights,
    now: Float[Array, ""],
    then: Float[Array, ""],
) -> Codes:
    found = denoiser.estimate(parameters, noisy, jnp.full(len(noisy), now), seen)
    return found + left(now, then) * (noisy - found)


_stepped = jax.jit(_step, static_argnums=0)
