"""Light of a cell's plan: along the axis, beyond the objective, of a condenser, and of a specimen that turns."""

import math
from typing import Any

import numpy as np
import pytest

from unflat.physics.optics.microscope import Illumination, Microscope
from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments.cell.caps import axial_resolution
from unflat.recon.experiments.cell.linear_posterior import LinearPosterior
from unflat.recon.experiments.cell.plan import plan
from unflat.recon.experiments.cell.plan_gains import candidate_foci
from unflat.recon.experiments.cell.planned_light import PlannedLight, coarsest_pixel, largest_gap
from unflat.recon.experiments.cell.planned_views import planned_acquisition
from unflat.recon.experiments.configs import parse_config
from unflat.recon.metrics.missing_cone import Aperture

RING = "kind: cell\nsimulate: {shape: [32, 32], depth: 6 um, illumination: {pattern: ring, count: 4, na: 0.5}}\n"
STACK = "acquisition={illumination: normal, defocus: [-2 um, -1 um, 1 um, 2 um]}"


def light_of(*overrides: str) -> PlannedLight:
    return PlannedLight(planned_acquisition(parse_config(RING, overrides)), 6e-6, 2000.0)


def directions(na: list[list[float]], **arrays: Any) -> PlannedLight:
    own = dict(planned_acquisition(parse_config(RING, ())).arrays) | {"illumination_na": np.array(na)} | arrays
    views = len(na)
    own |= {"defocus": np.zeros(views), "images": np.broadcast_to(np.float32(1), (views, 8, 8))}
    return PlannedLight(Acquisition("cell", own, "directions"), 6e-6, 2000.0)


def test_light_near_the_axis_tells_as_much_as_light_along_it() -> None:
    microscope, foci = Microscope(532e-9, 0.65, 1.333, (0.2e-6, 0.2e-6)), np.array([-4e-6, -2e-6, 2e-6, 4e-6])
    shares = []
    for na in (0.0, 1e-6, 1e-3):
        posterior = LinearPosterior(microscope, 6e-6, Aperture(532e-9, 1.333, na, 0.65))
        light = Illumination.from_directions(np.tile([na, 0.0], (4, 1)), foci)
        shares.append(posterior.spectrum(light).determined(posterior.gain(2000.0)))
    assert shares[0] > 0.5
    assert shares == pytest.approx([shares[0]] * 3, rel=0.02)


def test_a_focal_stack_has_a_spread_and_no_share_of_an_empty_band() -> None:
    planned = plan(parse_config(RING, [STACK]), None)
    assert planned.number("photons_needed").value < 1e4
    assert planned.number("filled").text == "-"
    assert planned.as_json()["numbers"]["filled"]["value"] is None
    assert "strength" in planned.as_json()["numbers"]["relative_error"]["note"]


def test_light_that_determines_nothing_needs_no_number_of_photons() -> None:
    # Light beyond the objective makes dark fields only, which have no linear signal.
    planned = plan(parse_config(RING, ["simulate.numerical_aperture=0.1", "simulate.pixel_size=[1 um, 1 um]"]), None)
    assert math.isnan(planned.number("photons_needed").value)
    assert planned.as_json()["numbers"]["photons_needed"]["value"] is None
    assert planned.number("determined").text == "0 %"
    assert any("no number of photons" in warning for warning in planned.warnings)


def test_a_thin_phase_object_in_focus_is_invisible_and_a_deep_one_is_not() -> None:
    light = "acquisition={illumination: normal, defocus: [0 um]}"
    thin, deep = (plan(parse_config(RING, [light, f"volume.depth={depth}"]), None) for depth in ("0.3 um", "9 um"))
    assert math.isnan(thin.number("photons_needed").value)
    assert deep.number("determined").value > 0.1


def test_the_gain_of_a_view_is_the_same_in_the_space_of_views_and_of_coefficients() -> None:
    microscope, angles = Microscope(532e-9, 0.65, 1.333, (0.2e-6, 0.2e-6)), np.linspace(0, 2 * np.pi, 10)[:-1]
    na = 0.5 * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    posterior = LinearPosterior(microscope, 3e-6, Aperture(532e-9, 1.333, 0.5, 0.65))
    assert {len(column.w) > 8 for column in posterior.columns} == {True, False}
    (share,) = posterior.determined_with(
        Illumination.from_directions(na[:-1]), Illumination.from_directions(na[-1:]), 1000.0
    )
    whole = posterior.spectrum(Illumination.from_directions(na)).determined(posterior.gain(1000.0))
    assert share == pytest.approx(whole, rel=1e-9)


def test_the_pixel_holds_what_two_waves_in_the_pupil_make() -> None:
    na, wavelength = 0.65, 532e-9
    axial = directions([[0.0, 0.0]])
    assert coarsest_pixel(axial) == pytest.approx((wavelength / (2 * na),) * 2)
    tilted = directions([[0.3, 0.0], [0.0, 0.0]])
    assert coarsest_pixel(tilted) == pytest.approx((wavelength / (2 * (na + 0.3)), wavelength / (2 * na)))
    # Dark fields interfere within the pupil alone, however steep their light.
    for steep in (0.7, 1.2):
        assert coarsest_pixel(directions([[0.0, steep]])) == pytest.approx((wavelength / (4 * na),) * 2)


def test_a_field_fills_the_pupil_whatever_its_light() -> None:
    own = {name: array for name, array in light_of().acquisition.arrays.items() if name != "images"}
    field = Acquisition("cell", own | {"field": np.ones((4, 8, 8), np.complex64)}, "fields")
    assert coarsest_pixel(PlannedLight(field, 6e-6, None)) == pytest.approx((532e-9 / 1.3,) * 2)


def test_few_turns_leave_a_wedge_and_the_axial_resolution_of_light_at_rest() -> None:
    light = ["simulate.illumination.count=1", "simulate.illumination.na=0.01"]
    turn = "simulate.turn={axis: y, count: %d, range: %s}"
    narrow, whole = (light_of(turn % words, *light) for words in ((3, "0.01 deg"), (36, "180 deg")))
    at_rest = axial_resolution(light_of(*light).acquisition)
    assert axial_resolution(narrow.acquisition) == pytest.approx(at_rest, rel=0.05)
    assert axial_resolution(whole.acquisition) == pytest.approx(532e-9 / 0.66, rel=0.05)
    assert np.degrees(largest_gap(whole)) == pytest.approx(5)
    assert np.degrees(largest_gap(narrow)) == pytest.approx(180, abs=0.01)
    assert any("missing wedge" in warning for warning in plan(parse_config(RING, [turn % (3, "9 deg")]), None).warnings)


def test_a_further_focus_repeats_the_light_of_a_view() -> None:
    light = light_of("acquisition={condenser: {na: 0.4, shape: half}}")
    view, foci = candidate_foci(light)
    own = light.illumination
    assert np.array_equal(foci.na, np.repeat(own.na[view : view + 1], len(foci.na), axis=0))
    assert np.array_equal(foci.weights[0], own.weights[view])
    assert np.count_nonzero(foci.weights[0]) > 1
    assert not np.isin(foci.defocus, own.defocus).any()
    # A source without weight has no say in which view is nearest to the axis.
    sources = np.array([[0.0, 0.0], [0.0, 0.5], [0.3, 0.0]])
    pattern = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    arrays = {name: array for name, array in light.acquisition.arrays.items() if name != "illumination_na"}
    arrays |= {"source_na": sources, "pattern": pattern, "defocus": np.zeros(2)}
    arrays["images"] = np.broadcast_to(np.float32(1), (2, 8, 8))
    assert candidate_foci(PlannedLight(Acquisition("cell", arrays, "pattern"), 6e-6, 2000.0))[0] == 1
