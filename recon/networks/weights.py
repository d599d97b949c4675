"""Weights of a network's modules as named arrays, and back from a network's file."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ..errors import DataError
from ..io.network_file import Network


@runtime_checkable
class Archived(Protocol):
    """Module that a network's file can hold."""

    def constants(self) -> dict[str, Any]:
        """Return the constructor's arguments, which the network's file holds as JSON."""
        ...


A = TypeVar("A", bound=Archived)
M = TypeVar("M")


def compile_with(function: Callable[..., Any], module: nnx.Module) -> Callable[..., Any]:
    """Compile a function of a module and arrays for calls with one module.

    jax would take the module apart into its arrays at each call, which takes a millisecond; here it is done once.

    Args:
        function: Function of the module and further arrays.
        module: Module of the calls.

    Returns:
        The function of the further arrays.
    """
    leaves, structure = jax.tree.flatten(module)
    compiled = _compiled(function, structure)
    return lambda *arrays: compiled(leaves, *arrays)


@cache
def _compiled(function: Callable[..., Any], structure: Any) -> Callable[..., Any]:
    return jax.jit(lambda leaves, *arrays: function(jax.tree.unflatten(structure, leaves), *arrays))


def named_weights(module: nnx.Module) -> dict[str, np.ndarray]:
    """Collect the weights of a module by their paths, as in ``unet.down.0.0.first.kernel``."""
    return {name: np.asarray(parameter[...]) for name, parameter in _parameters(module).items()}


def load_weights(module: M, weights: Mapping[str, np.ndarray]) -> M:
    """Put named weights into a module, in place of its own.

    Args:
        module: Module, which is changed.
        weights: Arrays as `named_weights` names them.

    Returns:
        The module.

    Raises:
        DataError: If names or shapes are not those of the module.
    """
    parameters = _parameters(module)
    shapes = {name: np.shape(array) for name, array in weights.items()}
    expected = {name: parameter.shape for name, parameter in parameters.items()}
    if shapes != expected:
        wrong = sorted(name for name in shapes.keys() | expected.keys() if shapes.get(name) != expected.get(name))
        message = f"the network's weights are not those of its architecture: {wrong[0]} and {len(wrong) - 1} more"
        raise DataError(message)
    for name, parameter in parameters.items():
        parameter.set_value(jnp.asarray(weights[name], jnp.float32))
    return module


def load_network(network: Network, architecture: Callable[..., A]) -> A:
    """Build the modules of a network with its weights.

    Args:
        network: Contents of the network's file.
        architecture: Class of the modules; takes constants by name, lists as tuples.

    Raises:
        DataError: If it cannot be built, or the weights are not those of the architecture.
    """
    try:
        constants = {name: tuple(value) for name, value in network.constants.items()}
        module: A = nnx.eval_shape(lambda: architecture(**constants))  # Without drawing weights that are replaced.
        if missing := sorted(set(module.constants()) - set(network.constants)):
            raise ValueError(f"{missing[0]} is missing; a former version wrote the file: train it again")
    except (TypeError, ValueError) as error:
        raise DataError(f"the network's architecture is not one that is known here: {error}") from error
    return load_weights(module, network.weights)


def _parameters(module: Any) -> dict[str, nnx.Param[Any]]:
    """Parameters of a module by their paths."""
    nodes = nnx.iter_graph(module)
    return {".".join(map(str, path)): node for path, node in nodes if isinstance(node, nnx.Param)}
