"""Loss of the cell's flow: errors of the estimate at times drawn at random, often at the very start.

At the start the network's estimate of its own error is learned too: the likelihood of the error, each voxel's weighted
by σ, which keeps voxels of hardly any error from ruling it (Seitzer et al., ICLR 2022).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ....networks.flow import draw_times, weighted_mean
from .denoiser import Batch, CellDenoiser, Condition, draw_noise

_STARTS = 0.8
"""Share of the examples at time 0, at which the estimate is the posterior mean."""
_LEAST_ERROR = 1e-3
"""Floor of the mean square error of an input, which that of the estimate is relative to."""
_SPREAD_WEIGHT = 0.05
"""Weight of the likelihood of the error."""
_AXES = (1, 2, 3)


def loss(
    denoiser: CellDenoiser,
    condition: Condition,
    contrast: Batch,
    input_error: Float[Array, " batch"],
    key: PRNGKeyArray,
    dtype: object,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Compute the error of the estimated contrasts, at times drawn at random.

    It is relative to the error that inputs of the same instrument have, so that good ones count as much as bad ones, or
    to that of this input where it is larger: a few specimens would rule the loss.

    Args:
        denoiser: Network.
        condition: Inputs and numbers of the instruments.
        contrast: True contrasts.
        input_error: Mean square error of inputs of the same instruments, or of these where it is larger.
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
    estimate, log_spread = denoiser.estimate_with_spread(noisy, time, condition, dtype)
    count = condition.inside.sum(axis=_AXES)
    squares = (condition.inside * (estimate - contrast) ** 2).sum(axis=_AXES) / count
    error = squares / (input_error + _LEAST_ERROR)
    spread = jnp.exp(log_spread)
    likelihood = 0.5 * (jax.lax.stop_gradient(estimate - contrast) / spread) ** 2 + log_spread
    each = (condition.inside * jax.lax.stop_gradient(spread) * likelihood).sum(axis=_AXES) / count
    doubt = jnp.mean(jnp.where(is_start, each, 0))
    return weighted_mean(error, time) + _SPREAD_WEIGHT * doubt, {"error": jnp.mean(error)}
