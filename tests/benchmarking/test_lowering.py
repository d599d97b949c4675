"""Hot functions that `unflat bench` lists: each is lowered for CPUs, NVIDIA GPUs and TPUs, and its floor is its own."""

from functools import cache

import jax
import jax.numpy as jnp
import pytest

from unflat.recon.benchmarking.case import Case, Size
from unflat.recon.benchmarking.floors import Product, Transform, work_loop, work_of
from unflat.recon.benchmarking.measurement import compile_case
from unflat.recon.experiments import BUILT_IN, get_experiment

HOT = {f"{kind}: {one.name}": one for kind in BUILT_IN for one in get_experiment(kind).benchmarks() if not one.is_job}
"""Hot functions of all kinds: a new one is tested without a word here."""


@cache
def tiny_case(name: str) -> Case:
    benchmark = HOT[name]
    return benchmark.build(Size(8 if benchmark.edges else benchmark.size.edge, 2))


@pytest.mark.parametrize("name", HOT)
def test_hot_functions_are_lowered_for_each_platform(name: str) -> None:
    case, platforms = tiny_case(name), ("cpu", "cuda", "tpu")
    exported = jax.export.export(compile_case(case), platforms=platforms)(*case.arguments)
    assert exported.platforms == platforms


@pytest.mark.parametrize("name", HOT)
def test_the_floor_is_work_that_the_function_does(name: str) -> None:
    """The transforms or products of a floor are those of the program of its function."""
    case = tiny_case(name)
    kinds = {type(item) for item in work_of(case.function, case.arguments)}
    assert (Transform in kinds) == ("transforms" in case.floor_work)
    assert (Product in kinds) >= ("products" in case.floor_work)


@pytest.mark.parametrize("name", [name for name in HOT if "forward" in name or "gradient" in name])
def test_the_transforms_of_a_floor_are_as_many_as_those_of_the_function(name: str) -> None:
    case = tiny_case(name)
    work = work_of(case.function, case.arguments)
    assert case.floor_work.startswith(f"{sum(n for item, n in work.items() if isinstance(item, Transform))} ")


def test_products_are_counted_in_their_precision_and_conditions_by_their_least_branch() -> None:
    def function(x: jax.Array) -> jax.Array:
        half = x.astype(jnp.bfloat16)
        y = jnp.matmul(half, half, preferred_element_type=jnp.float32)
        return jax.lax.cond(y[0, 0] > 0, lambda y: y @ y @ y, lambda y: y @ y, y)

    work = work_of(function, (jnp.ones((8, 8)),))
    assert work == {Product(1, 8, 8, 8, "bfloat16"): 1, Product(1, 8, 8, 8): 1}
    jax.block_until_ready(work_loop(work)())
