"""Share of the coarse structure of a phase delay that views determine."""

import numpy as np
import pytest

from unflat.physics.optics.microscope import Illumination, Microscope
from unflat.recon.experiments.cell.coarse_structure import determined_phase, least_coarse_period
from unflat.recon.experiments.cell.verdict import FEWEST_TESTED, PHASE_DETERMINED
from unflat.recon.optimize.minibatches import FEWEST_VIEWS, withheld_views

MICROSCOPE = Microscope(532e-9, 0.65, 1.333, (0.2e-6, 0.2e-6))
DEPTH = 9e-6


def light(na: np.ndarray, focus: float | np.ndarray = 0.0) -> Illumination:
    return Illumination(na[:, None], np.ones((len(na), 1)), np.broadcast_to(focus, len(na)).astype(float))


def ring(count: int, na: float) -> np.ndarray:
    angle = 0.3 + 2 * np.pi * np.arange(count) / count
    return na * np.stack([np.sin(angle), np.cos(angle)], axis=1)


def test_light_near_the_rim_shows_what_light_near_the_axis_does_not() -> None:
    shares = [determined_phase(MICROSCOPE, light(ring(16, na)), DEPTH) for na in (0.2, 0.35, 0.5, 0.6)]
    assert all(np.diff(shares) > 0)
    assert shares[0] < PHASE_DETERMINED
    assert shares[-1] > 0.9


def test_more_directions_and_planes_of_focus_show_more() -> None:
    few, many = (determined_phase(MICROSCOPE, light(ring(count, 0.58)), DEPTH) for count in (3, 12))
    assert few < many
    axis = np.zeros((5, 2))
    thin = determined_phase(MICROSCOPE, light(axis), 0.2e-6)
    assert thin < 0.01  # In focus along the axis a thin phase object is invisible.
    assert determined_phase(MICROSCOPE, light(axis, np.linspace(-3e-6, 3e-6, 5)), 0.2e-6) > 0.5


def test_opposite_light_and_a_turn_of_all_change_nothing() -> None:
    na = ring(5, 0.4) * np.linspace(0.5, 1, 5)[:, None]
    share = determined_phase(MICROSCOPE, light(na), DEPTH)
    assert determined_phase(MICROSCOPE, light(-na), DEPTH) == pytest.approx(share, rel=1e-6)
    assert determined_phase(MICROSCOPE, light(na[:, ::-1]), DEPTH) == pytest.approx(share, rel=1e-6)


def test_the_share_is_of_no_unit() -> None:
    double = Microscope(2 * 532e-9, 0.65, 1.333, (0.4e-6, 0.4e-6))
    na = ring(6, 0.45)
    assert least_coarse_period(double) == pytest.approx(2 * least_coarse_period(MICROSCOPE))
    share = determined_phase(MICROSCOPE, light(na), DEPTH)
    assert determined_phase(double, light(na), 2 * DEPTH) == pytest.approx(share)


def test_dark_fields_alone_tell_nothing_by_linear_theory() -> None:
    assert np.isnan(determined_phase(MICROSCOPE, light(ring(6, 0.9)), DEPTH))


def test_fewer_views_than_leave_one_to_withhold_are_untested() -> None:
    assert FEWEST_TESTED == FEWEST_VIEWS
    assert len(withheld_views(FEWEST_TESTED, 0.1, 0)) == 1
    assert not len(withheld_views(FEWEST_TESTED - 1, 0.08, 0))
