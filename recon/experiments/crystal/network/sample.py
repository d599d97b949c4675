"""A network's answer to a pattern: densities drawn, judged by the pattern, the best of them first."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from ....io.network_file import Network
from ....networks.architecture import built, on_device
from . import flow
from .denoiser import CrystalDenoiser, PatternBatch, misfit, scaled_to
from .inputs import ResampledPattern


@dataclass(frozen=True)
class Samples:
    """Densities that a network takes a pattern for, the best first.

    Args:
        densities: On the grid conjugate to the measured array, in √counts, centred.
        chi: ``chi_rms`` of each in the network's array, over the pixels that it saw.
    """

    densities: Complex[np.ndarray, "draw z y x"]
    chi: Float[np.ndarray, " draw"]


def denoiser_of(network: Network) -> CrystalDenoiser:
    """Build the network's architecture; see `built`."""
    return built(network, CrystalDenoiser)


def draw_samples(
    network: Network,
    brought: ResampledPattern,
    draws: int,
    steps: int,
    seed: int,
    told: Callable[[int], None] = lambda step: None,
) -> Samples:
    """Draw densities.

    Args:
        network: Trained.
        brought: The pattern.
        draws: How many.
        steps: Steps of the flow.
        seed: Of the noise.
        told: Told of each step that is done.
    """
    denoiser, parameters = denoiser_of(network), on_device(network.weights)
    pattern = pattern_of(brought, draws)
    start = flow.noise(jax.random.key(seed), draws)
    found = flow.draw(denoiser, parameters, pattern, start, steps, told)
    found = scaled_to(found, pattern)
    chi = np.sqrt(np.asarray(misfit(found, pattern), np.float64))
    order = np.argsort(chi)
    return Samples(brought.back(np.asarray(found)[order]), chi[order])


def pattern_of(brought: ResampledPattern, count: int) -> PatternBatch:
    """The pattern, once for each density."""
    sight = brought.sight
    arrays = (sight.amplitude, sight.weight, sight.scalars)
    return PatternBatch(*(jnp.broadcast_to(jnp.asarray(array), (count, *array.shape)) for array in arrays))
