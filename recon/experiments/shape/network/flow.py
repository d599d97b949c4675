"""Flow from noise to codes: its steps, the losses of the training, and the mean of all codes in one step."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ....io.network_file import STEPS
from ....networks.flow import draw_times, integrate, remaining_noise, weighted_mean
from ....networks.weights import compile_with
from ....sharding import map_shards
from .denoiser import Codes, Pictures, ShapeDenoiser
from .shape_code import EDGE

_AXES = (1, 2, 3)
_START_PROBABILITIES = (0.5, 0.35, 0.15)
"""Probabilities that an example of a distillation begins with noise, half-way, or anywhere."""
_OWN_PROBABILITY = 0.5
"""Probability that an example half-way is on the path of the network's first step, as in a prediction."""
_NOISELESS_PROBABILITY = 0.2
"""Probability of an example without noise, from which the network learns the mean of all codes."""


def noise(key: PRNGKeyArray, count: int) -> Codes:
    """Draw the noise that codes are drawn from."""
    return jax.random.normal(key, (count, EDGE, EDGE, EDGE))


def loss(
    denoiser: ShapeDenoiser, codes: Codes, seen: Pictures, key: PRNGKeyArray, dtype: object
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Compute the error of the estimated codes, at times drawn at random.

    At time 0 a network that is not distilled estimates the mean of the possible codes, whatever the noise. Some
    examples are of that time, with no noise at all, for predictions of the mean.

    Args:
        denoiser: Network.
        codes: True codes.
        seen: Pictures of them.
        key: Key of noise and times.
        dtype: Precision of the factors of products.

    Returns:
        The loss; and the mean square error of the code (``error``).
    """
    time_key, noise_key, mean_key = jax.random.split(key, 3)
    time, start = draw_times(time_key, len(codes)), noise(noise_key, len(codes))
    return _error(denoiser, codes, codes, seen, time, start, _noiseless(mean_key, len(codes)), dtype)


def distillation_loss(
    denoiser: ShapeDenoiser,
    teacher: ShapeDenoiser,
    codes: Codes,
    seen: Pictures,
    key: PRNGKeyArray,
    dtype: object,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Compute the error of estimating at once the draws of a teacher of many steps (Liu, Gong and Liu, 2023).

    Noise and the teacher's draw of it belong together, as noise and the truth do not: there is nothing to average, and
    the path between them is straight. Most examples are of the two times at which one or two steps begin.

    Args:
        denoiser: Network.
        teacher: Network before the distillation.
        codes: True codes, of which the mean is still learned.
        seen: Pictures of them.
        key: Key of noise and times.
        dtype: Precision of the factors of products.

    Returns:
        The loss; and the mean square error of the code (``error``).
    """
    # Folded in, so that times and noise are not those of the teacher's training.
    time_key, noise_key, mean_key, own_key = jax.random.split(jax.random.fold_in(key, 1), 4)
    start, noiseless = noise(noise_key, len(codes)), _noiseless(mean_key, len(codes))
    drawn = _draw_in_loop(teacher, seen, start, STEPS)
    begin_key, any_key = jax.random.split(time_key)
    begin = jax.random.choice(begin_key, jnp.arange(3), (len(codes),), p=jnp.array(_START_PROBABILITIES))
    time = jnp.select([begin == 0, begin == 1], [0.0, 0.5], draw_times(any_key, len(codes)))
    first = denoiser.estimate(start, jnp.zeros(len(codes)), seen, dtype)
    own = (begin == 1) & (jax.random.uniform(own_key, (len(codes),)) < _OWN_PROBABILITY)
    through = jnp.where(own[:, None, None, None], first, drawn)
    through, drawn = (
        jnp.where(noiseless[:, None, None, None], codes, jax.lax.stop_gradient(c)) for c in (through, drawn)
    )
    return _error(denoiser, drawn, through, seen, time, start, noiseless, dtype)


def _noiseless(key: PRNGKeyArray, count: int) -> Bool[Array, " count"]:
    """Draw which examples have no noise."""
    return jax.random.uniform(key, (count,)) < _NOISELESS_PROBABILITY


def _error(
    denoiser: ShapeDenoiser,
    codes: Codes,
    through: Codes,
    seen: Pictures,
    time: Float[Array, " batch"],
    start: Codes,
    noiseless: Bool[Array, " batch"],
    dtype: object,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Compute the error to codes on the path from noise through others, or without any noise."""
    time = jnp.where(noiseless, 0.0, time)
    fraction, strength = time[:, None, None, None], jnp.where(noiseless, 0.0, 1 - time)[:, None, None, None]
    noisy = strength * start + fraction * through
    error = ((denoiser.estimate(noisy, time, seen, dtype) - codes) ** 2).mean(axis=_AXES)
    return weighted_mean(error, time), {"error": error.mean()}


def draw(
    denoiser: ShapeDenoiser,
    seen: Pictures,
    start: Codes,
    steps: int,
    progress: Callable[[int], None] = lambda step: None,
) -> Codes:
    """Follow the flow from noise to codes.

    Args:
        denoiser: Network.
        seen: Pictures, one for each code.
        start: Noise (`noise`); zeros for the mean, in one step.
        steps: Number of steps; each applies the network once.
        progress: Called with the number of steps done.
    """
    step = compile_with(advance, denoiser)

    def step_of(noisy: Codes, now: Float[Array, ""], then: Float[Array, ""]) -> Codes:
        later: Codes = step(noisy, seen, now, then)
        return later

    return integrate(step_of, start, steps, progress)


def _draw_in_loop(denoiser: ShapeDenoiser, seen: Pictures, start: Codes, steps: int) -> Codes:
    """Follow the flow within a program, as `draw` does: a loop, which is compiled once for all steps."""
    times = jnp.arange(steps + 1, dtype=jnp.float32) / steps

    def step(noisy: Codes, both: tuple[Float[Array, ""], Float[Array, ""]]) -> tuple[Codes, None]:
        return advance(denoiser, noisy, seen, *both), None

    drawn: Codes = jax.lax.scan(step, start, (times[:-1], times[1:]))[0]
    return drawn


def advance(
    denoiser: ShapeDenoiser, noisy: Codes, seen: Pictures, now: Float[Array, ""], then: Float[Array, ""]
) -> Codes:
    """Compute the code at a later time, on all local devices; at the end it is the network's estimate."""

    def estimate_some(now: Float[Array, ""], some: tuple[Codes, Pictures]) -> Codes:
        codes, pictures = some
        return denoiser.estimate(codes, jnp.full(len(codes), now), pictures)

    estimate: Codes = map_shards(estimate_some, now, (noisy, seen))
    return estimate + remaining_noise(now, then) * (noisy - estimate)
