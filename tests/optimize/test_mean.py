"""Mean of the latest parameters: the result of a fit, whose steps do not shrink."""

from typing import Any
from unittest.mock import MagicMock

import jax.numpy as jnp
import numpy as np

from unflat.recon.fields.base import FieldGrid
from unflat.recon.fields.build import field_for
from unflat.recon.optimize.fit_loop import _complete_former_state
from unflat.recon.optimize.likelihood import Likelihood
from unflat.recon.optimize.objective import Objective
from unflat.recon.optimize.settings import FitSettings
from unflat.recon.optimize.trainer import state_from_arrays, state_to_arrays

GRID = FieldGrid((2, 3, 3), (1e-6, 1e-6, 1e-6), (1e-6, 1e-6, 1e-6))


def objective() -> Objective:
    """Objective whose target differs from view to view, as that of noisy data."""

    def losses(values: Any, nuisance: Any, batch: Any) -> Any:
        return jnp.mean((values - batch["target"][:, None, None, None]) ** 2, axis=(1, 2, 3))

    likelihood = MagicMock(spec=Likelihood)
    likelihood.configure_mock(losses=losses, scales=(1.0,), nuisance_parameters={}, grid=GRID, sign="any")
    settings = FitSettings(field="voxels", tv=0.0, steps=1000)
    return Objective(likelihood, field_for(settings, GRID, 1), settings)


def test_the_mean_weighs_the_latest_parameters_by_one_in_25_and_the_first_ones_more() -> None:
    problem = objective()
    step, state = problem.compiled.advance_many, problem.init(0, None)
    expected = np.asarray(problem.program.values(state.field))
    for k in range(1, 141):
        state, _ = step(state, {"target": jnp.full((1, 1), 4.0 if k % 2 else -2.0)}, 1, problem.schedule)
        latest = np.asarray(problem.program.values(state.field))
        expected = expected + (latest - expected) / min(25, 1 + k / 5)
        np.testing.assert_allclose(problem.program.values(state.mean_field), expected, atol=1e-5)


def test_the_rate_does_not_fall_and_finer_levels_begin_later() -> None:
    problem = objective()
    levels = {"grid_0": jnp.zeros(1), "grid_1": jnp.zeros(1)}
    early, late = (
        {name: float(rate) for name, rate in problem.program.rates(levels, jnp.array(k), problem.schedule).items()}
        for k in (20, 900)
    )
    assert early == {"grid_0": 1.0, "grid_1": 0.0}
    assert late == {"grid_0": 1.0, "grid_1": 1.0}


def test_a_checkpoint_without_means_goes_on_from_its_latest_parameters() -> None:
    state = objective().init(0, None)
    arrays = {name: array for name, array in state_to_arrays(state).items() if "mean_" not in name}
    numbered = {f"state/{i:04d}": array for i, array in enumerate(arrays.values())}
    for former in (arrays, numbered):
        restored = state_from_arrays(state, _complete_former_state(state, former))
        assert set(restored.mean_field) == set(state.field)
        for name, value in restored.mean_field.items():
            np.testing.assert_array_equal(value, state.field[name])
