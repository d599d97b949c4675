"""Hot functions of a cell's fit, with the Fourier transforms that they cannot do without."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....physics.optics.illumination import spiral
from ...acquisition import Acquisition
from ...benchmarking.case import Benchmark, Case, Size
from ...benchmarking.floors import transform_bytes, transform_loop
from ...fields.build import field_for
from ...optimize.likelihood import Batch
from ...optimize.objective import Objective
from ...optimize.steps import VALIDATE_EVERY
from ..base import Experiment
from ..benchmark_job import small_job
from .config import CellSettings
from .estimate import estimate
from .likelihood import CellLikelihood, likelihood

MODELS = {"multislice": "multi-slice", "ssnp": "SSNP"}
"""Models of the scattering with their names in a table."""
GOAL = 1.5
"""Largest ratio of a gradient's time to that of its transforms."""
EDGES = (64, 96, 128, 192, 256, 384, 512)
VIEWS = (8, 16, 32, 64, 128, 256)
SIZE = Size(64, 8)
STEPS_IN_CALL = 4
_PIXEL, _SLICE, _WAVELENGTH, _MEDIUM, _NA = 0.2e-6, 0.1e-6, 0.532e-6, 1.333, 0.65
_LIGHT_NA = 0.58


def benchmarks(experiment: Experiment) -> tuple[Benchmark, ...]:
    """List the forward model, its gradient and a step of a fit for each model of the scattering, and a whole fit."""
    listed = []
    for model, title in MODELS.items():
        parts: tuple[tuple[str, Callable[[str, Size], Case], float | None], ...] = (
            ("forward", forward_case, None),
            ("gradient", gradient_case, GOAL),
            ("fit step", step_case, None),
        )
        for name, build, goal in parts:
            grows = name == "gradient"
            listed.append(
                Benchmark(
                    f"{name}, {title}",
                    partial(build, model),
                    SIZE,
                    partial(_memory, model),
                    EDGES if grows else EDGES[:1],
                    VIEWS if grows else (),
                    goal=goal,
                )
            )
    edge, views, steps = 48, 12, 40
    changes = {
        "volume": {"depth": "3 um"},
        "physics": {"absorption": False},
        "fit": {"steps": steps, "sign": "any"},
        "simulate": {"shape": [edge, edge], "depth": "3 um", "illumination": {"count": views}},
    }
    listed.append(
        small_job(experiment, "fit", changes, partial(_job_floor, changes, steps), Size(edge, views), "views")
    )
    return tuple(listed)


def synthetic_likelihood(model: str, shape: tuple[int, int, int], views: int) -> CellLikelihood:
    """Make a likelihood of random images on a lattice without padding, all of whose views are in one step.

    Args:
        model: Model of the scattering, as in a config.
        shape: Number of samples (z, y, x).
        views: Number of views.
    """
    settings = _settings(model, shape, views)
    return likelihood(settings, _acquisition(shape, views))


def _settings(model: str, shape: tuple[int, int, int], views: int) -> CellSettings:
    return CellSettings.model_validate(
        {
            "kind": "cell",
            "acquisition": {"normalise": "none"},
            "volume": {"depth": shape[0] * _SLICE, "spacing": (_SLICE, _PIXEL, _PIXEL)},
            "physics": {"model": model, "absorption": False, "padding": 0},
            "fit": {"batch": views, "withheld": 0, "refine": {"gain": False}},
        }
    )


def _acquisition(shape: tuple[int, int, int], views: int) -> Acquisition:
    rng = np.random.default_rng(0)
    arrays = {
        "images": rng.normal(1, 0.1, (views, *shape[1:])).astype(np.float32) ** 2,
        "wavelength": np.array(_WAVELENGTH),
        "numerical_aperture": np.array(_NA),
        "medium_index": np.array(_MEDIUM),
        "pixel_size": np.full(2, _PIXEL),
        "illumination_na": spiral(views, _LIGHT_NA),
    }
    return Acquisition("cell", arrays)


def forward_case(model: str, size: Size) -> Case:
    """Case of the images of all views."""
    made, (values, batch) = _problem(model, size)
    loss = made.loss_function

    def forward(values: Float[Array, "k z y x"], batch: Batch) -> Array:
        images: Array = loss.predict(values, {}, batch)
        return images

    return _case(made, forward, (values, batch), size)


def gradient_case(model: str, size: Size) -> Case:
    """Case of the loss of all views and its gradient with respect to the specimen."""
    made, (values, batch) = _problem(model, size)
    loss = made.loss_function

    def mean_loss(values: Float[Array, "k z y x"], batch: Batch) -> Float[Array, ""]:
        return jnp.mean(jnp.asarray(loss.losses(values, {}, batch)))

    return _case(made, jax.value_and_grad(mean_loss), (values, batch), size)


def step_case(model: str, size: Size) -> Case:
    """Case of a few steps of a fit of a neural field, in one call."""
    made, (_, batch) = _problem(model, size)
    settings: Any = made.settings.fit
    objective = Objective(made, field_for(settings, made.grid, len(made.scales)), settings)
    batches = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (VALIDATE_EVERY, *jnp.shape(leaf))), batch)
    count = jnp.asarray(STEPS_IN_CALL, jnp.int32)
    arguments = (objective.init(0, None), batches, count)
    return _case(made, objective.program.advance_many, arguments, size, steps=STEPS_IN_CALL)


def _problem(model: str, size: Size) -> tuple[CellLikelihood, tuple[Array, Batch]]:
    shape = (size.edge,) * 3
    made = synthetic_likelihood(model, shape, size.batch)
    values = np.random.default_rng(1).normal(size=(1, *made.grid.shape)) * 1e-3
    batch = jax.tree.map(jnp.asarray, made.batch(np.arange(size.batch)))
    return made, (jnp.asarray(values, jnp.float32), batch)


def transform_count(made: CellLikelihood, *, gradient: bool) -> int:
    """Count the transforms of the batch: 2 a slice and 1 for the images; twice that, or thrice with recomputed slices.

    Args:
        made: Likelihood.
        gradient: Whether the gradient is computed.
    """
    slices = made.geometry.padded.shape[0]
    if not gradient:
        return 2 * slices + 1
    is_kept = made.loss_function.formation.block == slices
    return (4 if is_kept else 6) * slices + 2


def _case(
    made: CellLikelihood, function: Callable[..., Any], arguments: tuple[Any, ...], size: Size, steps: int = 1
) -> Case:
    is_step, is_gradient = len(arguments) == 3, function.__name__ != "forward"
    count = steps * transform_count(made, gradient=is_gradient)
    shape = (size.batch, *made.geometry.padded.shape[1:])
    return Case(
        function,
        arguments,
        transform_loop(shape, 2, count),
        f"{count // steps} transforms of {' x '.join(map(str, shape))}",
        transform_bytes(shape, count),
        steps,
        carries_state=is_step,
    )


def _memory(model: str, size: Size) -> float:
    shape = (size.edge,) * 3
    images = np.broadcast_to(np.float32(1), (size.batch, *shape[1:]))  # Of this size, without its memory.
    acquisition = Acquisition("cell", {**_acquisition((shape[0], 1, 1), size.batch).arrays, "images": images})
    return float(estimate(_settings(model, shape, size.batch), acquisition).memory_bytes)


def _job_floor(changes: dict[str, Any], steps: int, size: Size) -> tuple[Callable[[], Any], str]:
    settings = CellSettings.model_validate({"kind": "cell", **changes})
    from .simulate import simulate

    made = likelihood(settings, simulate(settings))
    count = steps * transform_count(made, gradient=True)
    shape = (made.batch_size, *made.geometry.padded.shape[1:])
    return transform_loop(shape, 2, count), f"{count} transforms of {' x '.join(map(str, shape))}"
