"""Hot functions that `unflat bench` lists: each is lowered for CPUs, NVIDIA GPUs and TPUs, and its floor is its own."""

from functools import cache

import jax
import pytest

from unflat.recon.benchmarking.case import Case, Size
from unflat.recon.benchmarking.floors import Product, Transform, work_of
from unflat.recon.benchmarking.runner import compile_case
from unflat.recon.experiments import BUILT_IN, get_experiment

HOT = {f"{kind}: {one.name}": one for kind in BUILT_IN for one in get_experiment(kind).benchmarks() if not one.is_job}
"""Hot functions of all kinds: a new one is tested without a word here."""


@cache
def tiny_case(name: str) -> Case:
    benchmark = HOT[name]
    return benchmark.build(Size(8 if benchmark.edges else benchmark.size.edge, 2))


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize("name", HOT)
def test_hot_functions_are_lowered_for_each_platform(name: str, platform: str) -> None:
    case = tiny_case(name)
    exported = jax.export.export(compile_case(case), platforms=[platform])(*case.arguments)
    assert exported.platforms == (platform,)


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
