"""Weights of a network's modules as named arrays, and back from a network's file, with its self-test.

The self-test of a file is one evaluation of the network as it was written: the inputs are drawn from a seed, and some
values of the output are stored. Readers evaluate the network once, and refuse it if it gives other values.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from ..errors import DataError, Diagnostic
from ..io.network_file import SELF_TEST, Network, as_stored

_TEST_SEED = 0
_TEST_VALUES = 512
"""Number of values of the output that a file holds."""
_TOLERANCE = 3e-4
"""Largest difference of a value, relative to the root mean square of all of them. Releases of jax differ by 6e-6."""


@runtime_checkable
class Archived(Protocol):
    """Module that a network's file can hold."""

    def constants(self) -> dict[str, Any]:
        """Return the constructor's arguments, which the network's file holds as JSON."""
        ...

    @staticmethod
    def draw_inputs(random: np.random.RandomState) -> tuple[Any, ...]:
        """Draw inputs of `estimate` for the self-test."""
        ...

    def estimate(self, *args: Any, **kwargs: Any) -> jax.Array:
        """Apply the network."""
        ...


A = TypeVar("A", bound=Archived)
M = TypeVar("M")


def compile_with(function: Callable[..., Any], module: nnx.Module | Archived) -> Callable[..., Any]:
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
        DataError: If it cannot be built, the weights are not those of the architecture, or it gives other values than
            when it was written.
    """
    module = _build(network, architecture)
    if network.self_test is not None:
        _require_values(self_test_values(module), network.self_test, network.source)
    return module


def with_self_test(network: Network, architecture: Callable[..., A]) -> Network:
    """Return a network as its file is to hold it: with rounded weights, and the values that these give.

    Args:
        network: Contents of the network's file.
        architecture: Class of the modules, as for `load_network`.
    """
    stored = as_stored(network)
    return replace(stored, self_test=self_test_values(_build(stored, architecture)))


def self_test_values(module: Archived) -> Float[np.ndarray, " value"]:
    """Evaluate a network on the inputs of the self-test, at some places of its output.

    Products are taken in float32 on devices too that would take fewer digits.
    """
    random = np.random.RandomState(_TEST_SEED)  # Unlike a Generator's, its numbers never change.
    inputs = jax.tree.map(jnp.asarray, module.draw_inputs(random))
    with jax.default_matmul_precision("highest"):
        output = np.ravel(np.asarray(compile_with(_estimate, module)(*inputs)))
    values = output[random.randint(0, output.size, _TEST_VALUES)]
    return np.concatenate([values.real, values.imag]) if np.iscomplexobj(values) else values


def _estimate(module: Archived, *inputs: Any) -> jax.Array:
    return module.estimate(*inputs)


def _require_values(values: Float[np.ndarray, " value"], expected: np.ndarray, source: str) -> None:
    """Compare the values of a network with those that were written.

    Raises:
        DataError: If one differs.
    """
    where = f"{source}:/{SELF_TEST}"
    if expected.shape != values.shape:
        raise DataError(Diagnostic(where, f"values of the shape {expected.shape}, expected {values.shape}"))
    allowed = _TOLERANCE * np.sqrt(np.mean(expected.astype(float) ** 2))
    wrong = ~(np.abs(values - expected) <= allowed)
    if wrong.any():
        first = int(np.argmax(wrong))
        message = f"the network gives {values[first]:.6g} where it gave {expected[first]:.6g} when it was written"
        message += f" ({wrong.sum()} of {len(values)} values wrong, with jax {jax.__version__})"
        remedy = "the file is damaged: copy it again, or train again; unflat doctor shows whether this jax is supported"
        raise DataError(Diagnostic(where, message, remedy))


def _build(network: Network, architecture: Callable[..., A]) -> A:
    """Build the modules of a network; arguments and errors as for `load_network`, without the self-test."""
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
