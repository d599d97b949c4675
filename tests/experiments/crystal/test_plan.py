"""Plan of a rocking curve: against Fourier transforms, the exact form factor of a ball, and counted photons."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from unflat.physics.diffraction.porod import one_photon_radius, porod_counts
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.crystal.plan import edge_radius, plan
from unflat.recon.experiments.crystal.planned_curve import (
    measured_curve,
    measured_falloff,
    plan_curve,
    planned_acquisition,
)
from unflat.recon.experiments.crystal.simulate import simulate

SMALL = "kind: crystal\nsimulate: {shape: [32, 40, 36], flaws: [], strains: []}\n"


def settings(*overrides: str) -> Any:
    return parse_config(SMALL, overrides)


def form_factor(q: np.ndarray, radius: float) -> np.ndarray:
    """|F|² of a ball of density 1."""
    x = np.maximum(q * radius, 1e-3)
    return (4 * np.pi * radius**3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2


def test_porods_law_is_the_mean_of_the_exact_form_factor() -> None:
    radius, total, n = 1e-7, 1e8, 96
    step = 2 * np.pi / (4 * radius)
    axis = (np.arange(n) - n // 2) * step
    q = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    power = form_factor(q, radius)
    counts = total * power / power.sum()
    fringe = 2 * np.pi / (2 * radius)
    shell = (q > 10 * fringe) & (q < 14 * fringe)
    expected = porod_counts(q[shell], total, step**3, radius)
    assert counts[shell].mean() == pytest.approx(expected.mean(), rel=0.03)
    assert counts.max() == pytest.approx(porod_counts(np.zeros(1), total, step**3, radius)[0], rel=0.03)
    limit = one_photon_radius(total, step**3, radius)
    assert porod_counts(np.array([limit]), total, step**3, radius)[0] == pytest.approx(1)


def test_the_falloff_is_told_from_counted_photons() -> None:
    rng, radius, step, total = np.random.default_rng(0), 1e-7, 2e7, 2e6
    axis = (np.arange(48) - 24) * step
    q = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).ravel()
    power = form_factor(q, radius)
    counts = rng.poisson(total * power / power.sum() + 0.02).astype(float)
    limit = measured_falloff(q, counts, 2 * radius)
    assert limit == pytest.approx(one_photon_radius(total, step**3, radius), rel=0.08)
    assert measured_falloff(q, np.zeros_like(q), 2 * radius) is None


def test_voxel_and_field_are_those_of_the_transform() -> None:
    config = settings()
    acquisition = planned_acquisition(config)
    curve = plan_curve(config, acquisition)
    basis, shape = acquisition["reciprocal_basis"], np.array([32, 40, 36])
    for axis, step in enumerate(curve.steps):
        # One step of position is a cycle of the array's own axis, and none of the others.
        cycles = basis @ step * shape / (2 * np.pi)
        assert np.allclose(cycles, np.eye(3)[axis], atol=1e-9)
        assert curve.voxels[axis] == pytest.approx(np.linalg.norm(step))
    assert np.allclose(curve.fields, 2 * np.pi / np.linalg.norm(basis, axis=1))
    faces = np.array([index @ basis for index in np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T * shape])
    normal = curve.steps / np.linalg.norm(curve.steps, axis=1)[:, None]
    assert edge_radius(curve) == pytest.approx(np.abs(faces @ normal.T).max(axis=0).min())


def test_the_planned_oversampling_is_that_of_the_crystal_that_is_drawn() -> None:
    config = settings("simulate.radius=150 nm")
    planned = plan(config, None).number("oversampling").value
    measured = measured_curve(config, simulate(config)).oversampling
    # The crystal is no ball, and its autocorrelation misses faint edges.
    assert np.allclose(measured, planned, rtol=0.35)
    automatic = plan(settings("simulate.oversampling=3.1"), None).number("oversampling").value
    assert min(automatic) == pytest.approx(3.1)


def test_gains_are_those_of_the_longer_or_finer_curve() -> None:
    config = settings()
    gains = {gain.change: (gain.before.value, gain.after.value) for gain in plan(config, None).gains}
    longer = plan(settings("simulate.shape=[34, 40, 36]", "acquisition.crop=all"), None).number("voxel").value[0]
    assert gains["1 frame more at each end"][1] == pytest.approx(longer)
    size = ("simulate.radius=200 nm",)
    finer = plan(settings("simulate.rocking_step=0.003 deg", *size), None).number("oversampling").value[0]
    coarse = plan(settings(*size), None)
    half = next(gain for gain in coarse.gains if gain.change.startswith("half the rocking step"))
    assert half.after.value == pytest.approx(finer, rel=1e-3)
    assert gains["twice the counts"][1] == pytest.approx(gains["twice the counts"][0] * 2**-0.25)


def test_a_large_crystal_is_warned_of_and_lengths_of_the_acquisition_go_first() -> None:
    planned = plan(settings("simulate.radius=1 um", "acquisition.detector_distance=2 m"), None)
    assert any("below 2" in warning for warning in planned.warnings)
    shorter = plan(settings("simulate.radius=1 um"), None)
    along_y = (each.number("oversampling").value[1] for each in (planned, shorter))
    assert next(along_y) == pytest.approx(2 * next(along_y), rel=1e-6)


def test_a_pattern_without_a_basis_is_planned_in_voxels() -> None:
    config = settings("simulate.radius=150 nm")
    simulated = simulate(config)
    arrays = {name: array for name, array in simulated.arrays.items() if name != "reciprocal_basis"}
    planned, known = (plan(config, each) for each in (replace(simulated, arrays=arrays), simulated))
    assert planned.number("oversampling").value == pytest.approx(known.number("oversampling").value)
    assert planned.number("resolution").value == pytest.approx((2.0, 2.0, 2.0))
    assert planned.number("field_of_view").unit == "voxels"
    assert planned.number("field_of_view").value == pytest.approx(planned.number("shape").value)
    assert planned.pictures[0].unit == "rad/voxels"
    with pytest.raises(KeyError):
        planned.number("q_step")


def test_frames_that_the_crop_leaves_are_offered_first() -> None:
    gains = {g.change: g for g in plan(settings("acquisition.crop=[20, 32, 32]"), None).gains}
    (change,) = (change for change in gains if "crop=all" in change)
    assert change.startswith("all 32 frames")
    assert gains[change].after.value == pytest.approx(gains[change].before.value * 20 / 32)
    assert not any("each end" in change for change in gains)


def test_a_longer_distance_makes_voxels_larger() -> None:
    size = "simulate.radius=200 nm"
    near, far = (settings(f"simulate.detector_distance={d} m", size, "acquisition.crop=all") for d in (1, 1.5))
    longer = plan_curve(far, planned_acquisition(far))
    (gain,) = (g for g in plan(near, None).gains if g.change.startswith("the detector"))
    assert gain.after.value == pytest.approx(min(longer.oversampling[1:]), rel=0.01)
    assert f"{1e9 * longer.voxels[1]:.3g} nm" in gain.change
    assert longer.voxels[1] == pytest.approx(1.5 * plan_curve(near, planned_acquisition(near)).voxels[1], rel=0.01)


def test_the_resolution_is_limited_axis_by_axis() -> None:
    config = settings("simulate.shape=[16, 40, 36]", "simulate.radius=150 nm", "simulate.detector.counts=1e5")
    planned = plan(config, None)
    frame, y, x = planned.number("resolution").value
    signal = planned.number("signal_resolution").value
    assert max(y, x) < signal < frame
    assert planned.sections[2].lines == (
        "the resolution is limited by the extent of q along frame, by the counts along y and x",
    )


def test_a_pattern_without_counting_noise_is_drawn_relative_to_its_peak() -> None:
    picture = plan(settings("simulate.detector.counts=null"), None).pictures[0]
    assert picture.legend == "log10(intensity over the peak's)"
    assert np.nanmax(picture.values) == pytest.approx(0)
    assert np.isnan(picture.values[0, 0])
