"""Hot functions of a cell's fit, with the Fourier transforms that they cannot do without."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....physics.optics.patterns import spiral
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
from .simulate import simulate
from .view_model import ViewModel

MODELS = {"multislice": "multi-slice", "ssnp": "SSNP"}
"""Models of the scattering with their names in a table."""
GOAL = 1.5
"""Largest ratio of a gradient's time to that of its transforms."""
EDGES = (48, 64, 96, 128, 192, 256, 384, 512)
VIEWS = (8, 16, 32, 64, 128, 256)
SIZE = Size(48, 8)
STEPS_IN_CALL = 4
_PIXEL, _SLICE, _WAVELENGTH, _MEDIUM, _NA = 0.2e-6, 0.1e-6, 0.532e-6, 1.333, 0.65
_LIGHT_NA = 0.58


def benchmarks(experiment: Experiment) -> tuple[Benchmark, ...]:
    """List the forward model, its gradient and a step of a fit for each model of the scattering, and a whole fit."""
    listed = []
    for model, title in MODELS.items():
        parts: tuple[tuple[str, Callable[[Problem], Case], float | None], ...] = (
            ("forward", forward_case, None),
            ("gradient", gradient_case, GOAL),
            ("fit step", step_case, None),
        )
        for name, build, goal in parts:
            grows = name == "gradient"
            listed.append(
                Benchmark(
                    f"{name}, {title}",
                    partial(_cube_case, build, model),
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


@dataclass(frozen=True)
class Problem:
    """Random images on a lattice without padding, all of whose views are in one step.

    Args:
        model: Model of the scattering, as in a config.
        shape: Number of samples (z, y, x).
        views: Number of views.
        recomputed: Whether the slices are recomputed for the gradient; otherwise only where their waves are too large.
    """

    model: str
    shape: tuple[int, int, int]
    views: int
    recomputed: bool = False

    @cached_property
    def likelihood(self) -> CellLikelihood:
        """Likelihood of the images."""
        return likelihood(_settings(self.model, self.shape, self.views), _acquisition(self.shape, self.views))

    @cached_property
    def physics(self) -> ViewModel:
        """Physics of the views."""
        physics = self.likelihood.loss_function
        return replace(physics, formation=replace(physics.formation, block=None)) if self.recomputed else physics

    @property
    def values(self) -> Float[Array, "k z y x"]:
        """A random specimen."""
        return jnp.asarray(np.random.default_rng(1).normal(size=(1, *self.shape)) * 1e-3, jnp.float32)

    @property
    def batch(self) -> Batch:
        """Batch of all views."""
        batch: Batch = jax.tree.map(jnp.asarray, self.likelihood.batch(np.arange(self.views)))
        return batch

    def case(self, function: Callable[..., Any], arguments: tuple[Any, ...], *, gradient: bool, steps: int = 1) -> Case:
        """Case of a function of all views: 2 transforms a slice and 1 for the images; for a gradient twice that.

        Two more a slice are counted only where ``recomputed`` asks for them: where the waves of large problems do not
        fit, computing the slices again is no least work. The steps of a fit share out the views among devices.
        """
        slices, *plane = self.physics.formation.lattice.shape
        count = ((6 if self.recomputed else 4) * slices + 2 if gradient else 2 * slices + 1) * steps
        shape, is_fit = (self.views, *plane), steps > 1
        work = f"{count // steps} transforms of {' x '.join(map(str, shape))}"
        floor, moved = transform_loop(shape, 2, count, on_all_devices=is_fit), transform_bytes(shape, count)
        return Case(function, arguments, floor, work, moved, steps, carries_state=is_fit)


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


def forward_case(problem: Problem) -> Case:
    """Case of the images of all views."""
    physics = problem.physics

    def forward(values: Float[Array, "k z y x"], batch: Batch) -> Any:
        return physics.predict(values, {}, batch)

    return problem.case(forward, (problem.values, problem.batch), gradient=False)


def gradient_case(problem: Problem) -> Case:
    """Case of the loss of all views and its gradient with respect to the specimen."""
    physics = problem.physics

    def mean_loss(values: Float[Array, "k z y x"], batch: Batch) -> Float[Array, ""]:
        return jnp.mean(jnp.asarray(physics.losses(values, {}, batch)))

    return problem.case(jax.value_and_grad(mean_loss), (problem.values, problem.batch), gradient=True)


def step_case(problem: Problem) -> Case:
    """Case of a few steps of a fit of a neural field, in one call."""
    made = problem.likelihood
    settings: Any = made.settings.fit
    objective = Objective(made, field_for(settings, made.grid, len(made.scales)), settings)
    batches = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (VALIDATE_EVERY, *jnp.shape(leaf))), problem.batch)
    arguments = (objective.init(0, None), batches, jnp.asarray(STEPS_IN_CALL, jnp.int32), objective.schedule)
    return problem.case(objective.program.advance_many, arguments, gradient=True, steps=STEPS_IN_CALL)


def _cube_case(build: Callable[[Problem], Case], model: str, size: Size) -> Case:
    return build(Problem(model, (size.edge,) * 3, size.batch))


def _memory(model: str, size: Size) -> float:
    shape = (size.edge,) * 3
    images = np.broadcast_to(np.float32(1), (size.batch, *shape[1:]))  # Of this size, without its memory.
    acquisition = Acquisition("cell", {**_acquisition((shape[0], 1, 1), size.batch).arrays, "images": images})
    return float(estimate(_settings(model, shape, size.batch), acquisition).memory_bytes)


def _job_floor(changes: dict[str, Any], steps: int, size: Size) -> tuple[Callable[[], Any], str]:
    settings = CellSettings.model_validate({"kind": "cell", **changes})
    made = likelihood(settings, simulate(settings))
    slices, *plane = made.geometry.padded.shape
    shape, count = (made.batch_size, *plane), steps * (4 * slices + 2)
    floor = transform_loop(shape, 2, count, on_all_devices=True)
    return floor, f"{count} transforms of {' x '.join(map(str, shape))}"
