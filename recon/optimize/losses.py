"""How far modelled views are from measured ones, view by view, with a mask and a free gain.

Each misfit is a mean over the good pixels, in units of a squared amplitude, so that they can be compared. The gain that
fits a view best has a closed form; where it is used the loss is stationary in it, so its own derivative drops out.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Num

FLOOR = 1e-6
"""Least intensity under a square root or a logarithm, of an empty field's: keeps gradients finite in the dark."""

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
    """Factor on each modelled view that brings it nearest to the measured one.

    Args:
        modelled: Images, or complex fields.
        measured: The same as measured.
        weights: 1 for good pixels, 0 for bad ones.
        statistics: ``amplitude``, ``poisson`` or ``field``: what is compared.
    """
    if statistics == "field":
        energy = jnp.maximum(_mean(modelled.real**2 + modelled.imag**2, weights), FLOOR)
        gain = _mean(jnp.conj(modelled) * measured, weights) / energy.astype(measured.dtype)
    elif statistics == "poisson":
        # never 0, of which the misfit takes the logarithm: also in a view that is all dark or all masked
        gain = jnp.maximum(_mean(measured, weights), FLOOR) / jnp.maximum(_mean(modelled + FLOOR, weights), FLOOR)
    else:
        amplitude = jnp.sqrt(modelled + FLOOR)
        share = _mean(amplitude * jnp.sqrt(measured), weights) / jnp.maximum(_mean(amplitude**2, weights), FLOOR)
        gain = share**2
    return lax.stop_gradient(gain)


def amplitude_loss(
    modelled: Float[Array, "view y x"],
    measured: Float[Array, "view y x"],
    weights: Weights,
    gain: Float[Array, " view"] | None,
) -> Float[Array, " view"]:
    """Σ(√I_model − √I)²: square roots make counting noise the same everywhere."""
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
    """Half the Poisson deviance: ½ Σ(m − d + d ln(d/m)), which near its minimum is the squared amplitude's misfit."""
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
    """Σ|U_model − U|², with a complex gain: the phase of a view is rarely known."""
    if gain is not None:
        modelled = modelled * gain[:, None, None]
    difference = modelled - measured
    return _mean(difference.real**2 + difference.imag**2, weights)
