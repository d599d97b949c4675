"""Least work of a function, alone in a compiled loop: Fourier transforms, matrix products, a copy of memory."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

COMPLEX_BYTES = 8
"""[byte] Size of a complex sample."""
_COPIES = 5
_LARGEST_FACTOR = 1 << 22
"""Largest number of elements of a factor of a matrix product."""
_SMALL = 1e-30
"""Factor that makes one product depend on the one before, and changes no number."""


# Else the compiler may compute only those elements that are used.
_complete: Callable[[Array], Array] = lax.optimization_barrier


def transform_loop(shape: tuple[int, ...], axes: int, count: int) -> Callable[[], Any]:
    """Create a function of some Fourier transforms of an array, forward and inverse in turns.

    Args:
        shape: Shape of the array; axes before the last ones are a batch.
        axes: Number of last axes that are transformed: 2 or 3.
        count: Number of transforms of the whole batch.
    """
    last = tuple(range(-axes, 0))

    def pair(_: Any, wave: Complex[Array, "..."]) -> Complex[Array, "..."]:
        return jnp.fft.fftn(jnp.fft.ifftn(wave, axes=last), axes=last)

    def transform_all(wave: Complex[Array, "..."]) -> Complex[Array, "..."]:
        wave = lax.fori_loop(0, count // 2, pair, wave)
        return jnp.fft.ifftn(wave, axes=last) if count % 2 else wave

    compiled, field = jax.jit(transform_all), jnp.ones(shape, jnp.complex64)
    return lambda: compiled(field)


def transform_bytes(shape: Sequence[int], count: int) -> float:
    """[byte] Memory that some transforms read and write, if each passes over its array once."""
    return 2.0 * COMPLEX_BYTES * prod(shape) * count


class Product(NamedTuple):
    """Matrix product of shapes (rows, inner) and (inner, columns), repeated for a batch."""

    batch: int
    rows: int
    inner: int
    columns: int

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

    Loops of an unknown number of rounds count once.
    """
    work: Counter[Product | Transform] = Counter()
    for equation, rounds in _equations(jax.make_jaxpr(function)(*arguments).jaxpr, 1):
        shapes = [getattr(variable.aval, "shape", ()) for variable in equation.invars]
        out = getattr(equation.outvars[0].aval, "shape", ())
        if equation.primitive.name == "dot_general":
            (left, _), (batch, _) = equation.params["dimension_numbers"]
            inner, many = (prod(shapes[0][axis] for axis in axes) for axes in (left, batch))
            work[Product(many, prod(shapes[0]) // (inner * many), inner, prod(shapes[1]) // (inner * many))] += rounds
        elif equation.primitive.name == "conv_general_dilated":
            columns = shapes[1][equation.params["dimension_numbers"].rhs_spec[0]]
            work[Product(1, prod(out) // columns, prod(shapes[1]) // columns, columns)] += rounds
        elif equation.primitive.name == "fft":
            work[Transform(tuple(shapes[0]), len(equation.params["fft_lengths"]))] += rounds
    return work


def _equations(jaxpr: Any, rounds: int) -> Iterator[tuple[Any, int]]:
    """Iterate over the equations of a program and of those within it, with the number of times that each is done."""
    for equation in jaxpr.eqns:
        yield equation, rounds
        inner = rounds * (equation.params["length"] if equation.primitive.name == "scan" else 1)
        for parameter in equation.params.values():
            for item in parameter if isinstance(parameter, tuple | list) else (parameter,):
                program = getattr(item, "jaxpr", item)
                if hasattr(program, "eqns"):
                    yield from _equations(program, inner)


def work_loop(work: Counter[Product | Transform]) -> Callable[[], Any]:
    """Create a function of matrix products and transforms alone, one after the other in a compiled program."""
    arrays, loops = [], []
    for item, count in work.items():
        if isinstance(item, Transform):
            loops.append(transform_loop(item.shape, item.axes, count))
        else:
            parts = _parts(item)
            left = jnp.ones((item.batch, item.rows // parts, item.inner), jnp.float32)
            arrays.append((left, jnp.ones((item.batch, item.inner, item.columns), jnp.float32), count * parts))

    @jax.jit
    def products(pairs: list[tuple[Array, Array]]) -> Array:
        total = jnp.zeros((), jnp.float32)
        for (left, right), (_, _, count) in zip(pairs, arrays, strict=True):

            def multiply(_: Any, before: Array, left: Array = left, right: Array = right) -> Array:
                product: Array = _complete(jnp.matmul(left, right * (1 + before)))
                return before + _SMALL * product.ravel()[0]

            total = lax.fori_loop(0, count, multiply, total)
        return total

    pairs = [(left, right) for left, right, _ in arrays]
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
