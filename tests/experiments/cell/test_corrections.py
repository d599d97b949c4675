"""Corrections of the light that a fit finds, and those that a description states."""

import jax.numpy as jnp
import numpy as np
import pytest

from unflat.physics.optics.illumination import PlaneWaves
from unflat.physics.optics.microscope import Microscope
from unflat.recon.experiments.cell.config_illumination import LightCorrection
from unflat.recon.experiments.cell.corrections import corrected_light, correction_numbers
from unflat.recon.experiments.cell.illumination import correct_directions

MICROSCOPE = Microscope(0.5e-6, 0.65, 1.33, (0.2e-6, 0.2e-6))


@pytest.mark.parametrize("array", [[0.3, 0.2, -0.1, 0.15], [-1.0, 0.0, 0.3, -0.2]])
def test_a_rigid_correction_that_was_found_can_be_stated_as_the_light_correction(array: list[float]) -> None:
    na = np.array([[0.1, 0.4], [-0.3, 0.2], [0.0, -0.5]])
    fitted = {"array": jnp.array(array)}
    tilts = jnp.asarray(na[:, None] / MICROSCOPE.medium_index, jnp.float32)
    light = PlaneWaves(tilts, jnp.ones((3, 1)), jnp.zeros(3))
    moved = corrected_light(light, fitted, np.arange(3), MICROSCOPE.medium_index)

    numbers = correction_numbers(fitted, MICROSCOPE)
    shift = (numbers["light_shift_y"], numbers["light_shift_x"])
    stated = LightCorrection(turn=np.deg2rad(numbers["light_turn"]), scale=numbers["light_scale"], shift=shift)
    np.testing.assert_allclose(moved.tilts[:, 0] * MICROSCOPE.medium_index, correct_directions(na, stated), atol=1e-6)
