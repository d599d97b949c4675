"""Sharding of views and starts over the local devices of this process.

What is computed for each element of a first axis alone is shared out among the devices; everything else is on all of
them. Results are those of one device up to the order of sums.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, PartitionSpec

_AXIS = "shard"


@cache
def _mesh() -> Mesh:
    devices = jax.local_devices()
    return jax.make_mesh((len(devices),), (_AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def map_shards(function: Callable[[Any, Any], Any], common: Any, split: Any) -> Any:
    """Compute a function of arrays of one first axis on all local devices.

    The axis is filled up to a multiple of the devices by copies of its last element, whose results are left out.

    Args:
        function: Function of ``common`` and ``split``, traceable by jax; an element of its result needs the same
            element of ``split`` only.
        common: Arrays that every device needs whole, as a pytree.
        split: Arrays of one first axis, as a pytree. Others, or one element alone, are computed without sharding.

    Returns:
        Result of the function, whose arrays have the same first axis.
    """
    lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(split)}
    devices = jax.local_device_count()
    if devices == 1 or len(lengths) != 1 or lengths <= {(), (1,)}:
        return function(common, split)
    (length,) = lengths.pop()
    if missing := -length % devices:
        split = jax.tree.map(lambda leaf: jnp.concatenate([leaf, *[leaf[-1:]] * missing]), split)
    sharded, everywhere = PartitionSpec(_AXIS), PartitionSpec()  # type: ignore[no-untyped-call]
    result = jax.shard_map(function, mesh=_mesh(), in_specs=(everywhere, sharded), out_specs=sharded, check_vma=False)(
        common, split
    )
    return jax.tree.map(lambda leaf: leaf[:length], result) if missing else result
