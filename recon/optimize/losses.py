"""Losses of modelled views against measured ones, with a mask and a free gain.

Each loss is a mean over the good pixels, in units of a squared amplitude, so that losses are comparable. The gain that
fits a view best has a closed form, in which the loss is stationary, so that its own derivative drops out.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Num

FLOOR = 1e-6
"""Smallest intensity under a square root or a logarithm, relative to an empty field: keeps gradients finite."""

Weights = Float[Array, "view y x"] | None


def _mean(values: Num[Array, "view y x"], weights: Weights) -> Num[Array, " view"]:
    if weights is None:
        return jnp.mean(values, axis=(1, 2))
    weighted = values * weights.astype(values.dtype)
    count = jnp.maximum(jnp.sum(weights, axis=(1, 2)), 1).astype(values.dtype)
    return jnp.sum(weighted, axis=(1, 2)) / count


def best_gain(
    modelled: Num[Array, "view y x"], measured: Num[Array, "view y x"], weights: Weights, statistics: str
) -> Num[Array, " view"]:
    """Compute the factor on each modelled view that brings it nearest to the measured one.

    Args:
        modelled: Images, or complex fields.
        measured: Measured images, or complex fields.
        weights: 1 for good pixels, 0 for bad ones.
        statistics: ``amplitude``, ``poisson`` or ``field``, as the loss.
    """
    if statistics == "field":
        energy = jnp.maximum(_mean(modelled.real**2 + modelled.imag**2, weights), FLOOR)
        gain = _mean(jnp.conj(modelled) * measured, weights) / energy.astype(measured.dtype)
    elif statistics == "poisson":
        # Never 0, even in a view that is all dark or all masked: the loss takes its logarithm.
        gain = jnp.maximum(_mean(measured, weights), FLOOR) / jnp.maximum(_mean(modelled + FLOOR, weights), FLOOR)
    else:
        amplitude = jnp.sqrt(modelled + FLOOR)
        root_gain = _mean(amplitude * jnp.sqrt(measured), weights) / jnp.maximum(_mean(amplitude**2, weights), FLOOR)
        gain = root_gain**2
    return lax.stop_gradient(gain)


def amplitude_loss(
    modelled: Float[Array, "view y x"],
    measured: Float[Array, "view y x"],
    weights: Weights,
    gain: Float[Array, " view"] | None,
) -> Float[Array, " view"]:
    """Compute the mean of (√I_model − √I)², in which counting noise has the same variance everywhere."""
    amplitude = jnp.sqrt(modelled + FLOOR)
    if gain is not None:
        amplitude = amplitude * jnp.sqrt(gain)[:, None, None]
    return _mean((amplitude - jnp.sqrt(measured)) ** 2, weights)


def poisson_loss(
    modelled: Float[Array, "view y x"],
    measured: Float[Array, "view y x"],
    weights: Weights,
    gain: Float[Array, " view"] | None,
) -> Float[Array, " view"]:
    """Compute half the Poisson deviance, ½ (m − d + d ln(d/m)); near its minimum it equals the amplitude loss."""
    expected = modelled + FLOOR
    if gain is not None:
        expected = expected * gain[:, None, None]
    logarithm = jnp.log(jnp.maximum(measured, FLOOR) / expected)
    return _mean(0.5 * (expected - measured + measured * logarithm), weights)


def field_loss(
    modelled: Num[Array, "view y x"],
    measured: Num[Array, "view y x"],
    weights: Weights,
    gain: Num[Array, " view"] | None,
) -> Float[Array, " view"]:
    """Compute the mean of |U_model − U|², with a complex gain, as the phase of a view is rarely known."""
    if gain is not None:
        modelled = modelled * gain[:, None, None]
    difference = modelled - measured
    return _mean(difference.real**2 + difference.imag**2, weights)
