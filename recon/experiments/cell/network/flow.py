"""Loss of the cell's flow: errors of the estimate at times drawn at random, often at the very start."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ....networks.flow import draw_times, weighted_mean
from .denoiser import Batch, CellDenoiser, Condition, draw_noise

_STARTS = 0.4
"""Share of the examples at time 0, at which the estimate is the posterior mean."""
_LEAST_POWER = 0.02
"""Floor of the mean square of a linear answer, which its errors are relative to."""
_AXES = (1, 2, 3)


def loss(
    denoiser: CellDenoiser, condition: Condition, contrast: Batch, key: PRNGKeyArray, dtype: object
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Compute the error of the estimated contrasts, at times drawn at random.

    It is relative to the power of the linear answer, not of the truth: the least error is then that of the mean.

    Args:
        denoiser: Network.
        condition: Linear answers and numbers of the instruments.
        contrast: True contrasts.
        key: Key of noise and times.
        dtype: Precision of the factors of products.

    Returns:
        The loss; and the mean relative square error (``error``).
    """
    time_key, start_key, noise_key = jax.random.split(key, 3)
    is_start = jax.random.uniform(start_key, (len(contrast),)) < _STARTS
    time = jnp.where(is_start, 0.0, draw_times(time_key, len(contrast)))
    fraction = time[:, None, None, None]
    noisy = (1 - fraction) * draw_noise(noise_key, contrast.shape) + fraction * contrast
    estimate = denoiser.estimate(noisy, time, condition, dtype)
    count = condition.inside.sum(axis=_AXES)
    power = (condition.contrast**2).sum(axis=_AXES) / count
    squares = (condition.inside * (estimate - contrast) ** 2).sum(axis=_AXES) / count
    error = squares / (power + _LEAST_POWER)
    return weighted_mean(error, time), {"error": jnp.mean(error)}
