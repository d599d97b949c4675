"""Least work of a function, alone in a compiled loop: Fourier transforms, matrix products, a copy of memory."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import log2, prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from ..sharding import map_shards

COMPLEX_BYTES = 8
"""[byte] Size of a complex sample."""
_COPIES = 5
_LARGEST_FACTOR = 1 << 22
"""Largest number of elements of a factor of a matrix product."""
_SMALL = 1e-30
"""Factor that makes one product depend on the one before, and changes no number."""


# Else the compiler may compute only those elements that are used.
_complete: Callable[[Array], Array] = lax.optimization_barrier


def transform_loop(shape: tuple[int, ...], axes: int, count: int, *, on_all_devices: bool = False) -> Callable[[], Any]:
    """Create a function of some Fourier transforms of an array, forward and inverse in turns.

    Args:
        shape: Shape of the array; axes before the last ones are a batch.
        axes: Number of last axes that are transformed: 2 or 3.
        count: Number of transforms of the whole batch.
        on_all_devices: Whether the batch is shared out among the devices of this process, as the steps of a fit do.
    """
    last = tuple(range(-axes, 0))

    def pair(_: Any, wave: Complex[Array, "..."]) -> Complex[Array, "..."]:
        return jnp.fft.fftn(jnp.fft.ifftn(wave, axes=last), axes=last)

    def transform_all(wave: Complex[Array, "..."]) -> Complex[Array, "..."]:
        wave = lax.fori_loop(0, count // 2, pair, wave)
        return jnp.fft.ifftn(wave, axes=last) if count % 2 else wave

    def transform_shards(wave: Complex[Array, "..."]) -> Any:
        return map_shards(lambda _, shard: transform_all(shard), (), wave)

    compiled, field = jax.jit(transform_shards if on_all_devices else transform_all), jnp.ones(shape, jnp.complex64)
    return lambda: compiled(field)


def transform_bytes(shape: Sequence[int], count: int) -> float:
    """[byte] Memory that some transforms read and write, if each passes over its array once."""
    return 2.0 * COMPLEX_BYTES * prod(shape) * count


class Product(NamedTuple):
    """Matrix product of shapes (rows, inner) and (inner, columns), repeated for a batch.

    Args:
        batch: Number of products.
        rows: Rows of the first factor and the result.
        inner: Columns of the first factor, and rows of the second.
        columns: Columns of the second factor and the result.
        factor: Name of the type of the factors.
        result: Name of the type of the result.
    """

    batch: int
    rows: int
    inner: int
    columns: int
    factor: str = "float32"
    result: str = "float32"

    @property
    def operations(self) -> float:
        """Number of floating-point operations."""
        return 2.0 * self.batch * self.rows * self.inner * self.columns


class Transform(NamedTuple):
    """Complex Fourier transform of the last axes of an array."""

    shape: tuple[int, ...]
    axes: int


def work_of(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Counter[Product | Transform]:
    """Count the matrix products and Fourier transforms of a function; a convolution is the product of its patches.

    Loops of an unknown number of rounds count once, and of the branches of a condition the one with the least work.
    """
    return _work_of_program(jax.make_jaxpr(function)(*arguments).jaxpr, 1)


def _work_of_program(program: Any, rounds: int) -> Counter[Product | Transform]:
    work: Counter[Product | Transform] = Counter()
    for equation in program.eqns:
        if (item := _work_item(equation)) is not None:
            work[item] += rounds
        inner = rounds * (equation.params["length"] if equation.primitive.name == "scan" else 1)
        parts = [_work_of_program(one, inner) for one in _programs_within(equation)]
        if equation.primitive.name == "cond":
            parts = [min(parts, key=_operations)]
        for part in parts:
            work += part
    return work


def _work_item(equation: Any) -> Product | Transform | None:
    """Matrix product or transform that an equation is; None for all others."""
    shapes = [getattr(variable.aval, "shape", ()) for variable in equation.invars]
    if equation.primitive.name == "fft":
        return Transform(tuple(shapes[0]), len(equation.params["fft_lengths"]))
    if equation.primitive.name not in ("dot_general", "conv_general_dilated"):
        return None
    out = equation.outvars[0].aval
    types = (str(equation.invars[0].aval.dtype), str(out.dtype))
    if equation.primitive.name == "dot_general":
        (left, _), (batch, _) = equation.params["dimension_numbers"]
        inner, many = (prod(shapes[0][axis] for axis in axes) for axes in (left, batch))
        return Product(many, prod(shapes[0]) // (inner * many), inner, prod(shapes[1]) // (inner * many), *types)
    columns = shapes[1][equation.params["dimension_numbers"].rhs_spec[0]]
    return Product(1, prod(out.shape) // columns, prod(shapes[1]) // columns, columns, *types)


def _programs_within(equation: Any) -> Iterator[Any]:
    """Iterate over the programs that an equation calls."""
    for parameter in equation.params.values():
        for item in parameter if isinstance(parameter, tuple | list) else (parameter,):
            program = getattr(item, "jaxpr", item)
            if hasattr(program, "eqns"):
                yield program


def _operations(work: Counter[Product | Transform]) -> float:
    """Number of floating-point operations, about."""
    return sum(
        count * (item.operations if isinstance(item, Product) else 5 * prod(item.shape) * log2(prod(item.shape)))
        for item, count in work.items()
    )


def work_loop(work: Counter[Product | Transform]) -> Callable[[], Any]:
    """Create a function of matrix products and transforms alone, one after the other in a compiled program."""
    arrays, loops = [], []
    for item, count in work.items():
        if isinstance(item, Transform):
            loops.append(transform_loop(item.shape, item.axes, count))
        else:
            parts = _parts(item)
            left = jnp.ones((item.batch, item.rows // parts, item.inner), item.factor)
            right = jnp.ones((item.batch, item.inner, item.columns), item.factor)
            arrays.append((left, right, count * parts, item.result))

    @jax.jit
    def products(pairs: list[tuple[Array, Array]]) -> Array:
        total = jnp.zeros((), jnp.float32)
        for (left, right), (_, _, count, result) in zip(pairs, arrays, strict=True):

            def multiply(
                _: Any, before: Array, left: Array = left, right: Array = right, result: str = result
            ) -> Array:
                scaled = right * (1 + before).astype(right.dtype)
                product: Array = _complete(jnp.matmul(left, scaled, preferred_element_type=result))
                return before + _SMALL * product.ravel()[0].astype(jnp.float32)

            total = lax.fori_loop(0, count, multiply, total)
        return total

    pairs = [(left, right) for left, right, *_ in arrays]
    return lambda: (products(pairs), [loop() for loop in loops])


def _parts(product: Product) -> int:
    """Number of parts in which the rows of a product are computed, as the patches of a convolution are large."""
    parts = 1
    while product.rows % (2 * parts) == 0 and product.rows * product.inner / parts > _LARGEST_FACTOR:
        parts *= 2
    return parts


def copy_bandwidth(size: int | None = None) -> float:
    """Measure the bandwidth [byte/s] of a copy: the bytes read and written in a second.

    Args:
        size: [byte] Size of the copied array; by default well beyond the caches of the device.
    """
    if size is None:
        size = 1 << (27 if jax.default_backend() == "cpu" else 30)

    def copies(values: Float[Array, " n"]) -> Float[Array, " n"]:
        last: Array = lax.fori_loop(0, _COPIES, lambda _, these: these + 1, values)
        return last

    compiled, values = jax.jit(copies, donate_argnums=0), jnp.ones(size // 4, jnp.float32)
    best = float("inf")
    for _ in range(_COPIES):  # The first one compiles.
        began = time.perf_counter()
        values = compiled(values)
        values.block_until_ready()
        best = min(best, time.perf_counter() - began)
    return 2 * size * _COPIES / best
