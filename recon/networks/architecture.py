"""From a network's file to the architecture that its weights are of."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import DataError
from ..io.network_file import Network


@runtime_checkable
class Architecture(Protocol):
    """What has parameters."""

    def constants(self) -> dict[str, Any]:
        """What it is built of, as files keep it."""
        ...

    def initialise(self, seed: int) -> dict[str, np.ndarray]:
        """Draw them."""
        ...


A = TypeVar("A", bound=Architecture)


def built(network: Network, architecture: Callable[..., A]) -> A:
    """Build a network's architecture from its constants.

    Args:
        network: As read.
        architecture: Takes tuples by the constants' names.

    Raises:
        DataError: If it cannot be built, or the weights are not its.
    """
    try:
        found = architecture(**{name: tuple(value) for name, value in network.constants.items()})
        if missing := sorted(set(found.constants()) - set(network.constants)):
            raise ValueError(f"{missing[0]} is not told; a former version wrote the file: train it again")
        wanted = {name: array.shape for name, array in found.initialise(0).items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"the network's architecture is not one that is known here: {error}") from error
    shapes = {name: array.shape for name, array in network.weights.items()}
    if shapes != wanted:
        wrong = sorted(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name))
        message = f"the network's weights are not those of its architecture: {wrong[0]} and {len(wrong) - 1} more"
        raise DataError(message)
    return found


def on_device(weights: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Weights as arrays of jax."""
    return {name: jnp.asarray(array, jnp.float32) for name, array in weights.items()}
