"""Objective of a fit: a measurement, the field that is fitted to it, and their program."""

from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..fields.base import Field, grid_axes
from ..fields.build import field_for
from ..fields.config import FieldChoice
from ..fields.series import SeriesField
from ..fields.series_start import first_motions
from ..sharding import replicate
from .likelihood import Likelihood
from .program import CompiledProgram, FitProgram, FitState, Schedule, compile_program, shared_program
from .series_likelihood import SeriesLikelihood
from .series_program import SeriesProgram
from .settings import FieldSettings
from .spectral_prior import SpectralPrior

AnyLikelihood = Likelihood | SeriesLikelihood
AnyField = Field | SeriesField


def field_of(likelihood: AnyLikelihood, settings: FieldChoice) -> AnyField:
    """Build the field that is fitted to a measurement, or to each acquisition of a series."""
    spatial = field_for(settings, likelihood.grid, len(likelihood.scales), likelihood.sign)
    if isinstance(likelihood, SeriesLikelihood):
        return SeriesField(spatial, len(likelihood.parts), likelihood.moves)
    return spatial


@dataclass(frozen=True, eq=False)
class Objective:
    """Loss of a field, and its optimisation step.

    Args:
        likelihood: The measurement.
        field: The field that is fitted.
        settings: Strengths, rates and steps.
    """

    likelihood: AnyLikelihood
    field: AnyField
    settings: FieldSettings

    @cached_property
    def expected(self) -> SpectralPrior | None:
        """Prior on the spectrum, where the likelihood has one."""
        prior: SpectralPrior | None = getattr(self.likelihood, "expected", None)
        return None if prior is None else replicate(prior)

    @cached_property
    def program(self) -> FitProgram:
        """Program of the fit: of the likelihood's own loss function if it has one, and else of itself."""
        settings, likelihood = self.settings, self.likelihood
        program = SeriesProgram if isinstance(likelihood, SeriesLikelihood) else FitProgram
        return program(
            getattr(likelihood, "loss_function", likelihood),
            self.field,
            likelihood.grid,
            tuple(likelihood.scales),
            settings.tv,
            settings.tv_axial,
            settings.tikhonov,
        )

    @cached_property
    def schedule(self) -> Schedule:
        """Sizes of the steps."""
        schedule: Schedule = replicate(Schedule.of(self.settings.learning_rate, self.settings.steps))
        return schedule

    @cached_property
    def compiled(self) -> CompiledProgram:
        """Compiled functions, shared with the fits of other scans where the likelihood has a loss function.

        A likelihood itself holds a measurement, which shared functions would keep in memory.
        """
        likelihood = self.likelihood
        if isinstance(likelihood, SeriesLikelihood):
            is_own = not likelihood.is_shareable
        else:
            is_own = self.program.loss_function is likelihood
        return compile_program(self.program) if is_own else shared_program(self.program)

    def init(self, seed: int, start: Float[np.ndarray, "*acquisition k z y x"] | None) -> FitState:
        """Draw the state before the first step, or fit the field to an initial guess of physical values."""
        parameters = self.field.init(seed)
        if start is not None:
            axes = grid_axes(self.likelihood.grid.shape)
            raw = start / self.program.scale
            if isinstance(self.field, SeriesField):
                begun, motions = first_motions(raw) if self.field.moves else (raw, np.zeros((len(raw), 7)))
                parameters = self.field.fit_to_grid(parameters, begun, axes, motions)
            else:
                parameters = self.field.fit_to_grid(parameters, raw, axes)
        arrays = {name: jnp.asarray(value, jnp.float32) for name, value in parameters.items()}
        nuisance = {
            name: jnp.asarray(value, jnp.float32) for name, value in self.likelihood.nuisance_parameters.items()
        }
        mean = ({name: jnp.copy(array) for name, array in part.items()} for part in (arrays, nuisance))
        optimiser = self.program.transformation().init((arrays, nuisance))
        return FitState(arrays, nuisance, optimiser, jnp.zeros((), jnp.int32), *mean)
