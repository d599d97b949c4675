"""Program of a fit: losses of a few views, priors, and the step of Adam on field and instrument together.

It is a constant of the compiled functions, hashable and free of measured numbers: fits of equal programs, such as those
of many scans of one shape and light, share their compiled functions.

The strengths of the priors are scale-free: the field's raw outputs are of order 1 whatever the quantity's unit, and
gradients are per resolution length, so that a strength means the same for any specimen, spacing and box.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from ..errors import Diagnostic, UnflatError
from ..fields.base import FieldGrid, grid_axes
from ..sharding import map_shards, whole
from .likelihood import Batch, LossFunction, Nuisance
from .spectral_prior import SpectralPrior, spectral_penalty
from .steps import VALIDATE_EVERY

OPENING, LONGEST_OPENING = 0.2, 60
"""Fraction of the steps, and their largest number, over which the rates of a pyramid's finer levels rise in turn."""
AVERAGED = 25
"""Number of steps over which parameters are averaged; a fifth of the steps done, until that is as much."""
LOSS_LIMIT = 0.15
"""Mean loss of the views beyond which the weight of the priors grows no further with it."""
NUISANCE_RATE = 0.25
"""Learning rate of the corrections of the instrument, relative to that of the field."""


class FitState(NamedTuple):
    """State of a fit that a step updates; a pytree of arrays.

    The rate of the steps does not fall, so that a fit may go on for as long as that is of use. Its result is the mean
    of the latest parameters, which the choice of views does not move about (Polyak & Juditsky, SIAM Journal on Control
    and Optimization 30, 838, 1992).
    """

    field: dict[str, Array]
    nuisance: dict[str, Array]
    optimiser: Any
    step: Array
    mean_field: dict[str, Array]
    mean_nuisance: dict[str, Array]


class Schedule(NamedTuple):
    """Sizes of the steps: arrays, so that fits of any number of steps and any learning rate share a program.

    Attributes:
        learning_rate: Learning rate.
        opening: Number of steps over which the rates of a pyramid's finer levels rise in turn.
    """

    learning_rate: Float[np.ndarray, ""]
    opening: Float[np.ndarray, ""]

    @classmethod
    def of(cls, learning_rate: float, steps: int) -> "Schedule":
        """Build the schedule of at most a number of steps."""
        return cls(np.asarray(learning_rate, np.float32), np.asarray(min(OPENING * steps, LONGEST_OPENING), np.float32))


@dataclass(frozen=True)
class FitProgram:
    """Loss of a field, and its optimisation step.

    Args:
        loss_function: Loss of the views.
        field: The field that is fitted: a `Field`, or a `SeriesField` of a series.
        grid: Grid on which it is evaluated.
        scales: Physical value of a raw output of 1, for each output.
        tv: Strength of total variation.
        tv_axial: Weight of its derivative along z.
        tikhonov: Strength of Tikhonov regularisation.
    """

    loss_function: LossFunction
    field: Any
    grid: FieldGrid
    scales: tuple[float, ...]
    tv: float
    tv_axial: float
    tikhonov: float

    @property
    def scale(self) -> Float[np.ndarray, "k 1 1 1"]:
        """Physical value of a raw output of 1, to multiply with."""
        return np.array(self.scales, np.float32).reshape(-1, 1, 1, 1)

    def raw(self, parameters: dict[str, Array]) -> Float[Array, "k z y x"]:
        """Evaluate the field's outputs on the grid."""
        raw: Array = self.field.on_grid(parameters, grid_axes(self.grid.shape))
        return raw

    def values(self, parameters: dict[str, Array]) -> Float[Array, "k z y x"]:
        """Evaluate the field's physical values on the grid."""
        return self.raw(parameters) * self.scale

    def losses(
        self, values: Float[Array, "*acquisition k z y x"], nuisance: Nuisance, batch: Batch
    ) -> Float[Array, " view"]:
        """Compute the loss of each view; see `sharded_losses`."""
        return sharded_losses(self.loss_function, values, nuisance, batch)

    def loss(
        self,
        trained: tuple[dict[str, Array], dict[str, Array]],
        batch: Batch,
        expected: SpectralPrior | None = None,
    ) -> Float[Array, ""]:
        """Compute the mean loss of some views plus the priors."""
        parameters, nuisance = trained
        raw = self.raw(parameters)
        losses = sharded_losses(self.loss_function, raw * self.scale, nuisance, batch, across_processes=True)
        data_loss = jnp.mean(losses)
        prior = jnp.zeros_like(data_loss)
        if self.tv:
            prior = prior + self.tv * total_variation(raw, self.grid, self.tv_axial)
        if self.tikhonov:
            prior = prior + self.tikhonov * tikhonov(raw)
        if expected is not None:
            prior = prior + spectral_penalty(raw[0], expected, self.scales[0])
        # This has the gradient of log(loss) + prior, the objective for Gaussian noise of unknown variance: the weight
        # of the priors falls with the noise. Far from the solution the loss is not yet noise, hence the limit.
        return data_loss + jnp.minimum(jax.lax.stop_gradient(data_loss), LOSS_LIMIT) * prior

    def transformation(self) -> optax.GradientTransformation:
        """Adam; the learning rate and `rates` are applied to its updates."""
        return optax.chain(optax.scale_by_adam(b1=0.9, b2=0.99), optax.scale(-1.0))

    def rates(self, parameters: dict[str, Array], step: Array, schedule: Schedule) -> dict[str, Array]:
        """Compute the factor of the learning rate of each array at a step: 1, later for finer levels."""
        done = step.astype(jnp.float32) / schedule.opening
        levels = sorted((name for name in parameters if name.startswith("grid_")), key=lambda n: int(n[5:]))
        rates = dict.fromkeys(parameters, jnp.ones(()))
        for i, name in enumerate(levels):
            rates[name] = jnp.clip((done - i / max(len(levels) - 1, 1)) / 0.25 + 1, 0.0, 1.0)
        return rates

    def advance(
        self, state: FitState, batch: Batch, schedule: Schedule, expected: SpectralPrior | None = None
    ) -> tuple[FitState, Float[Array, ""]]:
        """Take a step: the state after it, and the loss before it."""
        trained = (state.field, state.nuisance)
        loss, gradient = jax.value_and_grad(self.loss)(trained, batch, expected)
        with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in integers
            updates, optimiser = self.transformation().update(gradient, state.optimiser, trained)
        rates, rate = self.rates(state.field, state.step, schedule), schedule.learning_rate
        field = {name: value + rates[name] * (rate * updates[0][name]) for name, value in state.field.items()}
        nuisance = {name: value + NUISANCE_RATE * (rate * updates[1][name]) for name, value in state.nuisance.items()}
        weight = 1 / jnp.minimum(AVERAGED, 1 + 0.2 * (state.step + 1).astype(jnp.float32))

        def mean(before: dict[str, Array], after: dict[str, Array]) -> dict[str, Array]:
            return {name: value + weight * (after[name] - value) for name, value in before.items()}

        means = mean(state.mean_field, field), mean(state.mean_nuisance, nuisance)
        return FitState(field, nuisance, optimiser, state.step + 1, *means), loss

    def advance_many(
        self,
        state: FitState,
        batches: Batch,
        count: Int[Array, ""] | int,
        schedule: Schedule,
        expected: SpectralPrior | None = None,
    ) -> tuple[FitState, Float[Array, " steps"]]:
        """Take several steps, as many as there is time for: one program serves any number of them.

        Args:
            state: State before the first step.
            batches: Batch of each step along a first axis; the last one serves all further steps.
            count: Number of steps, at most `VALIDATE_EVERY`.
            schedule: Sizes of the steps.
            expected: Prior on the spectrum, if there is one.

        Returns:
            The state after the last step, and the loss before each step; 0 for those beyond the last.
        """

        def step(item: tuple[Array, FitState, Array]) -> tuple[Array, FitState, Array]:
            i, before, losses = item
            batch = jax.tree.map(lambda leaf: lax.dynamic_index_in_dim(leaf, i, keepdims=False), batches)
            after, loss = self.advance(before, batch, schedule, expected)
            return i + 1, after, losses.at[i].set(loss)

        losses = jnp.zeros(VALIDATE_EVERY, jnp.float32)
        _, after, losses = lax.while_loop(lambda item: item[0] < count, step, (jnp.zeros((), jnp.int32), state, losses))
        return after, losses


class CompiledProgram(NamedTuple):
    """Compiled functions of a program.

    Attributes:
        advance_many: `FitProgram.advance_many`, on the devices of all processes. In a process alone it takes over the
            memory of the state; one of several keeps the state, which is saved if another ends meanwhile.
        losses: `FitProgram.losses`.
        values: `FitProgram.values`.
    """

    advance_many: Callable[
        [FitState, Batch, int, Schedule, SpectralPrior | None], tuple[FitState, Float[Array, " steps"]]
    ]
    losses: Callable[..., Float[Array, " view"]]
    values: Callable[..., Float[Array, "k z y x"]]


def compile_program(program: FitProgram) -> CompiledProgram:
    """Compile the functions of a program, for itself alone."""
    advance_many = jax.jit(
        program.advance_many, donate_argnums=() if jax.process_count() > 1 else 0, out_shardings=whole()
    )
    return CompiledProgram(advance_many, jax.jit(program.losses), jax.jit(program.values))


@lru_cache(maxsize=16)
def shared_program(program: FitProgram) -> CompiledProgram:
    """Compile the functions of a program, for all fits of an equal one."""
    return compile_program(program)._replace(losses=shared_losses(program.loss_function))  # type: ignore[arg-type]


@lru_cache(maxsize=16)
def shared_losses(loss_function: LossFunction) -> Callable[..., Float[Array, " view"]]:
    """Compile the losses of views, for all that have an equal loss function."""
    return jax.jit(partial(sharded_losses, loss_function))


def sharded_losses(
    loss_function: LossFunction,
    values: Float[Array, "*acquisition k z y x"],
    nuisance: Nuisance,
    batch: Batch,
    *,
    across_processes: bool = False,
) -> Float[Array, " view"]:
    """Compute the loss of each view, on all devices; its shape is checked while it is compiled.

    Raises:
        UnflatError: If the loss function does not return one number for each view of the batch.
    """

    def losses_of_some(common: tuple[Array, Nuisance], views: Batch) -> Array:
        losses = loss_function.losses(*common, views)
        shape, expected = jnp.shape(losses), jnp.shape(jax.tree.leaves(views)[0])[:1]
        if shape != expected:
            name = f"{type(loss_function).__qualname__}.losses"
            message = f"returned an array of shape {shape} for a batch of shape {expected} along its views"
            raise UnflatError(Diagnostic(name, message, "return one number a view, in an array of shape (views,)"))
        return losses

    losses: Array = map_shards(losses_of_some, (values, nuisance), batch, across_processes=across_processes)
    return losses


ROUNDING = 1e-3
"""Gradient below which total variation is quadratic, per resolution length."""


def total_variation(values: Float[Array, "k z y x"], grid: FieldGrid, axial: float) -> Float[Array, ""]:
    """Compute the mean length of the gradient (Rudin, Osher & Fatemi, Physica D 60, 259, 1992).

    It favours smooth regions with sharp edges.

    Args:
        values: Raw outputs of the field on the grid.
        grid: The grid; gradients are per lateral resolution length.
        axial: Weight of the derivative along z relative to the lateral ones.
    """
    length = grid.resolution[1]
    squares = jnp.zeros_like(values)
    for axis, (pitch, weight) in enumerate(zip(grid.pitch, (axial, 1.0, 1.0), strict=True), start=1):
        if values.shape[axis] < 2:
            continue
        steps = jnp.diff(values, axis=axis)
        end = [(0, 0)] * 4
        end[axis] = (0, 1)
        squares = squares + (weight * length / pitch * jnp.pad(steps, end)) ** 2
    return jnp.mean(jnp.sqrt(squares + ROUNDING**2) - ROUNDING)


def tikhonov(values: Float[Array, "k z y x"]) -> Float[Array, ""]:
    """Compute the mean square of the deviation from the background."""
    return jnp.mean(values**2)
