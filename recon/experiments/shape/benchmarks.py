"""Hot functions of the shapes' network, with the matrix products that they cannot do without."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...benchmarking.case import Benchmark, Case, Size
from ...benchmarking.floors import work_loop, work_of
from ...io.network_file import SHIPPED, Network, read
from ...networks.weights import load_network
from ..base import Experiment
from ..benchmark_job import small_job
from .network import flow
from .network.consensus import DRAWS
from .network.denoiser import ShapeDenoiser
from .network.inputs import CHANNELS
from .network.shape_code import EDGE, PIXELS

BATCHES = (8, 16, 32, 64, 128, 256)
SIZE = Size(EDGE, 8)
_DRAW_BYTES = 3e7
"""[byte] Memory of a draw within the network."""


def benchmarks(experiment: Experiment) -> tuple[Benchmark, ...]:
    """List a step of the flow from noise to codes, and a whole prediction."""
    cells = 2
    changes = {"simulate": {"cells": cells}, "predict": {"draws": 4}}
    return (
        Benchmark("flow step", flow_case, SIZE, _memory, batches=BATCHES, batch_name="draws"),
        small_job(experiment, "predict", changes, partial(_job_floor, cells), Size(PIXELS, cells), "cells"),
    )


def flow_case(size: Size) -> Case:
    """Case of a step of the shipped network's flow, for several codes."""
    network: Network = read(SHIPPED, "shape")
    leaves, structure = jax.tree.flatten(load_network(network, ShapeDenoiser))
    seen = np.random.default_rng(0).random((size.batch, PIXELS, PIXELS, CHANNELS))

    def step(leaves: list[Any], *arrays: Any) -> Any:
        return flow.advance(jax.tree.unflatten(structure, leaves), *arrays)

    noise = flow.noise(jax.random.key(0), size.batch)
    arguments = (leaves, noise, jnp.asarray(seen, jnp.float32), jnp.float32(0.25), jnp.float32(0.5))
    return Case(step, arguments, work_loop(work_of(step, arguments)), "its matrix products")


def _memory(size: Size) -> float:
    return _DRAW_BYTES * size.batch


def _job_floor(cells: int, size: Size) -> tuple[Callable[[], Any], str]:
    steps = read(SHIPPED, "shape").steps
    step = flow_case(size._replace(edge=EDGE, batch=DRAWS)).floor
    return lambda: [step() for _ in range(cells * steps)], f"matrix products of {cells * steps} steps of {DRAWS} draws"
