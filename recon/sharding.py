"""Sharding of views and starts over the devices of this process, or of all processes of a run.

What is computed for each element of a first axis alone is shared out among the devices; everything else is on all of
them. Results are those of one device up to the order of sums.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

_AXIS = "shard"


@cache
def _mesh(across_processes: bool) -> Mesh:
    devices = jax.devices() if across_processes else jax.local_devices()
    return jax.make_mesh((len(devices),), (_AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def whole() -> NamedSharding | None:
    """Sharding of arrays that all devices of all processes have whole; None for one process alone.

    Any process can read the results of a program that has it as its ``out_shardings``.
    """
    everywhere = PartitionSpec()  # type: ignore[no-untyped-call]
    return None if jax.process_count() == 1 else NamedSharding(_mesh(True), everywhere)


def replicate(arrays: Any) -> Any:
    """Put arrays that all processes have alike on all their devices, as a program leaves them whose results are whole.

    The first call of such a program then is like all later ones, and it is compiled once.
    """
    sharding = whole()
    if sharding is None:
        return arrays

    def put(leaf: Any) -> Any:
        array = np.asarray(leaf)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(put, arrays)


def divide(arrays: Any) -> Any:
    """Share out the first axis of arrays of a program among the devices of all processes, where it can be.

    The compiler then divides all that follows. For one process alone, and for arrays whose first axis is no multiple of
    the devices, nothing changes.
    """
    count = jax.device_count()
    if jax.process_count() == 1 or any(jnp.ndim(a) == 0 or len(a) % count for a in jax.tree.leaves(arrays)):
        return arrays
    rows = PartitionSpec(_AXIS)  # type: ignore[no-untyped-call]
    return jax.lax.with_sharding_constraint(arrays, NamedSharding(_mesh(True), rows))  # type: ignore[no-untyped-call]


def map_shards(function: Callable[[Any, Any], Any], common: Any, split: Any, *, across_processes: bool = False) -> Any:
    """Compute a function of arrays of one first axis on all devices of this process, or of all processes.

    The axis is filled up to a multiple of the devices by copies of its last element, whose results are left out.

    Args:
        function: Function of ``common`` and ``split``, traceable by jax; an element of its result needs the same
            element of ``split`` only.
        common: Arrays that every device needs whole, as a pytree.
        split: Arrays of one first axis, as a pytree. Others, or one element alone, are computed without sharding.
        across_processes: Whether to use the devices of all processes, which must come to the same call; within a
            program whose results are `whole`.

    Returns:
        Result of the function, whose arrays have the same first axis.
    """
    lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(split)}
    devices = jax.device_count() if across_processes else jax.local_device_count()
    if devices == 1 or len(lengths) != 1 or lengths <= {(), (1,)}:
        return function(common, split)
    (length,) = lengths.pop()
    if missing := -length % devices:
        split = jax.tree.map(lambda leaf: jnp.concatenate([leaf, *[leaf[-1:]] * missing]), split)
    sharded, everywhere = PartitionSpec(_AXIS), PartitionSpec()  # type: ignore[no-untyped-call]
    mesh = _mesh(across_processes)
    result = jax.shard_map(function, mesh=mesh, in_specs=(everywhere, sharded), out_specs=sharded, check_vma=False)(
        common, split
    )
    return jax.tree.map(lambda leaf: leaf[:length], result) if missing else result
