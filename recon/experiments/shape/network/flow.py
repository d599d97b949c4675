"""From noise to a code, and what the network is taught on the way; and the mean of all codes in one step."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ....io.network_file import STEPS
from ....networks.flow import follow, loss_weights, remaining_noise, times
from ....networks.layers import Parameters
from .denoiser import Codes, ShapeDenoiser, Sights
from .shape_code import EDGE

_AXES = (1, 2, 3)
_BEGINS = (0.5, 0.35, 0.15)
"""Shares of the examples of a distillation that begin with noise, half-way, and anywhere."""
_OWN = 0.5
"""Of those half-way the share that got there by the network's own first step, as it does when it is asked."""
_MEAN = 0.2
"""Share of the examples of which the network is asked for the mean of all codes, which is what it tells of no noise."""


def noise(key: PRNGKeyArray, count: int) -> Codes:
    """Draw codes to start from."""
    return jax.random.normal(key, (count, EDGE, EDGE, EDGE))


def loss(
    denoiser: ShapeDenoiser, parameters: Parameters, codes: Codes, seen: Sights, key: PRNGKeyArray, dtype: object
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """How far the network is from the codes, at times drawn at random.

    Until it is distilled all noise is alike to it at time 0: what it then tells is the mean of the codes that could be
    meant. Some examples are of that time, with no noise at all, for those who ask for the mean.

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
    time, start = times(of_time, len(codes)), noise(of_noise, len(codes))
    return _missed(denoiser, parameters, codes, codes, seen, time, start, _plain(of_mean, len(codes)), dtype)


def distillation_loss(
    denoiser: ShapeDenoiser,
    parameters: Parameters,
    teacher: Parameters,
    codes: Codes,
    seen: Sights,
    key: PRNGKeyArray,
    dtype: object,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """How far the network is from telling at once where a teacher comes to in many steps (Liu, Gong and Liu, 2023).

    Noise and the teacher's draw of it belong together, as noise and the truth do not: there is nothing to average, and
    the way between them is straight. Most is learned of the two times that one or two steps begin at.

    Args:
        denoiser: The network.
        parameters: Its parameters.
        teacher: Those of the teacher.
        codes: The truth, of which the mean is still learned.
        seen: What was seen of it.
        key: Of noise and times.
        dtype: Of the factors of products.

    Returns:
        The loss; and the mean square error of the code (``error``).
    """
    of_time, of_noise, of_mean, of_way = jax.random.split(jax.random.fold_in(key, 1), 4)  # Not the teacher's own.
    start, plain = noise(of_noise, len(codes)), _plain(of_mean, len(codes))
    drawn = draw(denoiser, teacher, seen, start, STEPS)
    which, anywhere = jax.random.split(of_time)
    chosen = jax.random.choice(which, jnp.arange(3), (len(codes),), p=jnp.array(_BEGINS))
    time = jnp.select([chosen == 0, chosen == 1], [0.0, 0.5], times(anywhere, len(codes)))
    first = denoiser.estimate(parameters, start, jnp.zeros(len(codes)), seen, dtype)
    own = (chosen == 1) & (jax.random.uniform(of_way, (len(codes),)) < _OWN)
    through = jnp.where(own[:, None, None, None], first, drawn)
    through, drawn = (jnp.where(plain[:, None, None, None], codes, jax.lax.stop_gradient(c)) for c in (through, drawn))
    return _missed(denoiser, parameters, drawn, through, seen, time, start, plain, dtype)


def _plain(key: PRNGKeyArray, count: int) -> Bool[Array, " count"]:
    """Which examples are asked for the mean."""
    return jax.random.uniform(key, (count,)) < _MEAN


def _missed(
    denoiser: ShapeDenoiser,
    parameters: Parameters,
    codes: Codes,
    through: Codes,
    seen: Sights,
    time: Float[Array, " batch"],
    start: Codes,
    plain: Bool[Array, " batch"],
    dtype: object,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """How far the network is from codes on the way from noise through others, or without any noise."""
    time = jnp.where(plain, 0.0, time)
    share, strength = time[:, None, None, None], jnp.where(plain, 0.0, 1 - time)[:, None, None, None]
    noisy = strength * start + share * through
    error = ((denoiser.estimate(parameters, noisy, time, seen, dtype) - codes) ** 2).mean(axis=_AXES)
    return loss_weights(error, time), {"error": error.mean()}


def draw(
    denoiser: ShapeDenoiser,
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
    denoiser: ShapeDenoiser,
    parameters: Parameters,
    noisy: Codes,
    seen: Sights,
    now: Float[Array, ""],
    then: Float[Array, ""],
) -> Codes:
    found = denoiser.estimate(parameters, noisy, jnp.full(len(noisy), now), seen)
    return found + remaining_noise(now, then) * (noisy - found)


_stepped = jax.jit(_step, static_argnums=0)
