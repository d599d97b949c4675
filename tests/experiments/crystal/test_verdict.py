"""Tests of the verdict on a crystal, and of the numbers that it rests on."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from unflat.physics.diffraction.far_field import expected_deviance
from unflat.recon.experiments.crystal.oversampling import circular_extent
from unflat.recon.experiments.crystal.quality import amplitude_variation, noise_numbers
from unflat.recon.experiments.crystal.strain_noise import phase_noise
from unflat.recon.experiments.crystal.verdict import assess
from unflat.recon.runs.verdict import Verdict

SOUND = {"llk": 1.0, "llk_free": 1.4, "noise_ratio_bright": 1.1, "excess_chi": 0.01, "agreement": 0.97, "kept": 4.0}
SOUND |= {"starts": 8.0, "amplitude_variation": 0.1, "masked_counts": 0.0, "psf_y": 0.4, "oversampling_y": 2.5}


@pytest.mark.parametrize("mean", [0.02, 0.1, 0.7, 4.0, 60.0, 3000.0])
def test_the_expected_deviance_is_the_mean_over_poisson_counts(mean: float) -> None:
    counts = np.random.default_rng(0).poisson(mean, 400_000).astype(float)
    model = max(mean, 0.1)
    deviance = 2 * (model - counts + counts * np.log(np.maximum(counts, 1e-9) / model))
    assert expected_deviance(np.array([mean]))[0] == pytest.approx(deviance.mean(), rel=0.012)


@given(scale=st.floats(0.5, 1e4), seed=st.integers(0, 99))
def test_a_right_model_leaves_noise_alone_at_any_brightness(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    modelled = scale * rng.uniform(0, 1, (16, 20, 24)) ** 4
    good = rng.uniform(size=modelled.shape) > 0.1
    numbers = noise_numbers(rng.poisson(modelled).astype(float), modelled, good, np.zeros_like(good))
    assert numbers["noise_ratio"] == pytest.approx(1, abs=0.15)
    assert numbers["excess_chi"] < 0.35 / np.sqrt(scale)  # Five standard deviations.


def test_a_wrong_model_shows_more_than_noise_and_how_much_of_the_amplitudes() -> None:
    modelled = np.full((16, 16, 16), 900.0)
    counts = np.random.default_rng(1).poisson(modelled * 1.1**2).astype(float)
    good, withheld = np.ones(modelled.shape, bool), np.zeros(modelled.shape, bool)
    withheld[:4] = True
    numbers = noise_numbers(counts, modelled, good, withheld)
    assert numbers["noise_ratio_bright"] > 30
    assert numbers["noise_ratio_free"] == pytest.approx(numbers["noise_ratio_bright"], rel=0.05)
    assert numbers["excess_chi"] == pytest.approx(0.1 / 1.1, rel=0.05)
    assert numbers["excess_chi_free"] == pytest.approx(0.1 / 1.1, rel=0.05)


def test_holes_make_an_amplitude_uneven_and_a_phase_does_not() -> None:
    ball = np.linalg.norm(np.indices((32, 32, 32)) - 16, axis=0) < 10
    phase = np.exp(3j * np.sin(np.indices(ball.shape)[0] / 4))
    assert amplitude_variation(ball * phase, ball) < 1e-6
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=ball.shape), 2)
    holes = ball * (1 + 0.6 * noise / noise.std())
    assert 0.4 < amplitude_variation(holes * phase, ball) < 0.9
    assert np.isnan(amplitude_variation(np.zeros(ball.shape, complex), np.zeros_like(ball)))


def test_the_blurred_surface_of_a_small_crystal_is_not_taken_for_unevenness() -> None:
    """A small crystal of 10 voxels, 0.99 right, varied by 37 % where all its voxels were compared with one another."""
    slab = np.zeros((24, 24, 24))
    slab[9:15, 8:16, 8:16] = 1
    blurred = ndimage.gaussian_filter(slab, 1.4)
    low, middle, high = np.percentile(blurred[ndimage.binary_erosion(blurred > 0.1, iterations=2)], [25, 50, 75])
    assert high - low > 0.4 * middle
    assert amplitude_variation(blurred.astype(complex), blurred > 0.1) < 0.2


def test_a_hollow_crystal_is_uneven_though_each_of_its_depths_is_even() -> None:
    radius = np.linalg.norm(np.indices((32, 32, 32)) - 16, axis=0)
    ball = radius < 11
    assert amplitude_variation(ball * np.where(radius < 8.5, 0.5, 1.0).astype(complex), ball) > 0.33


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"noise_ratio_bright": 15.0, "excess_chi": 0.12}, "misfit-above-noise"),
        ({"excess_chi": 0.7}, "counts-unexplained"),
        ({"noise_ratio": 0.45}, "less-than-noise"),
        ({"agreement": 0.8, "amplitude_variation": 0.3}, "solutions-disagree"),
        ({"agreement": None, "kept": 1.0, "amplitude_variation": 0.3}, "solution-alone"),
        ({"amplitude_variation": 0.5}, "uneven-amplitude"),
        ({"llk_free": 12.0}, "withheld-unexplained"),
        ({"llk": 12.0, "llk_free": 38.0, "noise_ratio_free": 40.0, "excess_chi_free": 0.3}, "withheld-unexplained"),
        ({"strain_rms": 8e-5, "strain_noise": 9e-5, "phase_noise": 0.3}, "strain-in-noise"),
        ({"psf_x": 1.2}, "blur-at-bound"),
        ({"masked_counts": 0.7}, "counts-behind-mask"),
        ({"oversampling_frame": 1.1}, "undersampled"),
        ({"oversampling_frame": 1.4, "oversampling_ratio": 2.8}, "undersampled"),
        ({"end_brightness": 0.9}, "curve-cut-off"),
    ],
)
def test_each_reason_is_named(changes: Mapping[str, float | None], reason: str) -> None:
    assert Verdict.of(assess(SOUND)).soundness == "sound"
    numbers = {name: value for name, value in {**SOUND, **changes}.items() if value is not None}
    reasons = assess(numbers)
    assert [each.name for each in reasons] == [reason]
    assert Verdict.of(reasons).soundness == ("failed" if reason == "counts-unexplained" else "doubtful")


def test_an_even_amplitude_confirms_a_solution_that_no_other_start_found() -> None:
    numbers = {name: value for name, value in SOUND.items() if name != "agreement"}
    assert not assess({**numbers, "kept": 1.0, "amplitude_variation": 0.2})
    assert not assess({**numbers, "kept": 4.0, "agreement": 0.84, "amplitude_variation": 0.16})
    assert [reason.name for reason in assess({**numbers, "kept": 4.0, "agreement": 0.7})] == ["solutions-disagree"]


def test_a_network_is_not_believed_because_its_answer_is_even() -> None:
    """Draws of a saturated pattern agreed by 0.33, under an even amplitude, and were far from the crystal."""
    answer = {name: value for name, value in SOUND.items() if name != "starts"}
    answer |= {"seconds_of_answer": 13.0, "agreement": 0.84, "amplitude_variation": 0.16}
    assert [reason.name for reason in assess(answer)] == ["solutions-disagree"]


def test_more_starts_are_no_remedy_for_an_unevenness_on_which_starts_agree() -> None:
    """Two crystals tilted by 8 pixels came out wrong from 8 starts, three of which agreed by 0.895, and from 24."""
    uneven = SOUND | {"amplitude_variation": 0.5}
    assert "smaller beam" in assess(uneven | {"agreement": 0.895})[0].remedy
    doubtful = assess(uneven | {"agreement": 0.82})
    assert [reason.name for reason in doubtful] == ["solutions-disagree", "uneven-amplitude"]
    assert all("phase.starts" in reason.remedy for reason in doubtful)


MOVED = {"curve_misfit": 85.0, "curve_misfit_moved": 4.4, "curve_error": 0.1, "curve_moves_agreement": 0.92}
"""Of a simulated curve with a jitter of 0.4 steps and three reversals that its file does not tell."""


def test_angles_of_the_frames_come_before_grains_and_more_starts_where_the_curve_contradicts_them() -> None:
    """Under even angles the crystal came out with a correlation of 0.885, and starts that agreed by 0.94."""
    reasons = assess(SOUND | MOVED | {"amplitude_variation": 0.59, "llk_free": 24.6, "excess_chi_free": 0.14})
    assert [reason.name for reason in reasons] == ["frame-angles", "uneven-amplitude", "withheld-unexplained"]
    assert "phase.refine.angles" in reasons[0].remedy
    assert all(reason.remedy.startswith("put the angles") for reason in reasons[1:])


def test_angles_that_the_counts_only_may_contradict_are_no_reason_but_the_first_remedy() -> None:
    """Undersampled crystals hold counts beyond the band as well."""
    numbers = SOUND | MOVED | {"curve_misfit_moved": 40.0, "curve_moves_agreement": 0.2}
    assert not assess(numbers)
    (reason,) = assess(numbers | {"amplitude_variation": 0.5})
    assert reason.name == "uneven-amplitude"
    assert reason.remedy.index("phase.refine.angles") < reason.remedy.index("grains")
    assert "angles" not in assess(SOUND | {"curve_misfit": 1.03, "amplitude_variation": 0.5})[0].remedy


def test_angles_that_are_wrong_by_little_are_no_reason() -> None:
    assert not assess(SOUND | MOVED | {"curve_error": 0.02})


def test_fitted_angles_are_confirmed_by_an_even_amplitude_alone() -> None:
    """A fit of angles came to a correlation of 0.852, the withheld pixels off by 13 %, and nothing named it."""
    fitted = SOUND | {"frames_taken": 1.0, "angle_correction_largest": 2.0, "curve_misfit": 2.3}
    fitted |= {"curve_misfit_moved": 2.0, "curve_error": 0.006, "curve_moves_agreement": -0.1}
    assert not assess(fitted)
    (reason,) = assess(fitted | {"amplitude_variation": 0.3})
    assert reason.name == "frame-angles"
    assert "phase.refine.angles" not in reason.remedy
    assert not assess(fitted | {"amplitude_variation": 0.3, "frames_taken": 0.0})
    by_fit = {name: value for name, value in fitted.items() if name != "frames_taken"}  # It takes what it fits.
    assert assess(by_fit | {"amplitude_variation": 0.3}) == [reason]
    assert not assess(fitted | {"amplitude_variation": 0.3, "angle_correction_largest": 0.0}), "the flux was fitted"


@given(shift=st.integers(0, 39), hole=st.booleans())
def test_a_crystal_across_the_edge_of_its_array_is_as_wide_as_elsewhere(shift: int, hole: bool) -> None:
    line = np.zeros(40, bool)
    line[5:24] = True
    line[9:12] = not hole
    assert circular_extent(np.roll(line, shift)) == 19
    assert circular_extent(np.ones(7, bool)) == 7


def test_a_sparse_crystal_leaves_room_that_its_widths_do_not_show() -> None:
    """Two crystals along a diagonal, 28 of 40 voxels wide, came out with a correlation of 0.973."""
    numbers = SOUND | {"oversampling_frame": 1.38, "oversampling_y": 1.29, "oversampling_x": 1.29}
    assert [reason.name for reason in assess(numbers)] == ["undersampled"]
    assert not assess(numbers | {"oversampling_ratio": 13.0})


def test_one_start_alone_is_no_reason_to_doubt_it() -> None:
    numbers = {name: value for name, value in SOUND.items() if name != "agreement"}
    alone = {**numbers, "kept": 1.0, "starts": 1.0}
    assert not assess(alone)
    assert not assess({name: value for name, value in alone.items() if name != "amplitude_variation"})


def test_a_single_start_halfway_to_its_conjugated_twin_is_doubted() -> None:
    """Mixed with its twin, a crystal of 3e5 counts was fitted to the noise, with a correlation of 0.878."""
    numbers = {"llk": 0.515, "llk_free": 2.958, "noise_ratio_bright": 1.726, "noise_ratio": 1.043, "excess_chi": 0.027}
    numbers |= {"excess_chi_free": 0.434, "noise_ratio_free": 6.91, "amplitude_variation": 0.303}
    assert [reason.name for reason in assess({**numbers, "kept": 1.0, "starts": 1.0})] == ["solution-alone"]


def test_agreeing_draws_of_a_network_are_not_called_starts() -> None:
    answer = {name: value for name, value in SOUND.items() if name != "starts"} | {"seconds_of_answer": 13.0}
    uneven = assess(answer | {"amplitude_variation": 0.5})
    assert [reason.name for reason in uneven] == ["uneven-amplitude"]
    assert "the starts agree" not in uneven[0].remedy


def test_noise_of_the_phase_is_that_of_counts_with_a_known_support() -> None:
    """Least squares of the linearised moduli, with the support and the phases of the pattern known."""
    rng = np.random.default_rng(0)
    density = np.zeros((8, 8, 8), complex)
    density[2:6, 2:5, 2:5] = np.exp(1j * rng.normal(0, 0.5, (4, 3, 3)))
    inside = np.flatnonzero(density)
    counts = 3e5
    density *= np.sqrt(counts / np.sum(np.abs(np.fft.fftn(density)) ** 2))
    field = np.fft.fftn(density)
    points = [np.eye(1, density.size, i).reshape(density.shape) for i in inside]
    waves = np.array([(np.fft.fftn(point) / np.exp(1j * np.angle(field))).ravel() for point in points])
    jacobian = np.concatenate([waves.real, -waves.imag]).T  # Moduli by the real and imaginary parts of each voxel.
    covariance = np.linalg.pinv(4 * jacobian.T @ jacobian, rcond=1e-6)
    across = np.concatenate([-np.diag(np.imag(density.flat[inside])), np.diag(np.real(density.flat[inside]))])
    across /= np.abs(density.flat[inside]) ** 2
    exact = np.sqrt(np.mean(np.diag(across.T @ covariance @ across)))
    good = np.ones(density.shape, bool)
    estimate = phase_noise(np.abs(field) ** 2, good, np.zeros(8), density)
    assert estimate == pytest.approx(np.sqrt(len(inside) / (2 * counts)), rel=1e-6)
    assert 0.6 < estimate / exact < 1.1


def test_noise_of_the_phase_leaves_out_the_background_and_needs_counts() -> None:
    density, good = np.ones((4, 4, 4), complex), np.ones((4, 4, 4), bool)
    counts = np.full(good.shape, 10.0)
    assert phase_noise(counts + 3, good, np.full(4, 3.0), density) == pytest.approx(
        phase_noise(counts, good, np.zeros(4), density)
    )
    assert np.isnan(phase_noise(counts, good, np.full(4, 10.0), density))


def test_a_strain_without_noise_is_trusted_however_small() -> None:
    numbers = SOUND | {"strain_rms": 2e-6, "strain_noise": 3e-7, "phase_noise": 0.03, "strain_spread": 5e-7}
    numbers |= {"phase_spread": 0.2}
    assert not assess(numbers)
    assert [reason.name for reason in assess(numbers | {"strain_spread": 1.9e-6})] == ["strain-in-noise"]


def test_withheld_voxels_of_a_bright_pattern_may_miss_counting_noise_by_little() -> None:
    """At 1e9 counts a right crystal left withheld voxels 8.02 times the deviance, and 4 % of their amplitudes."""
    numbers = SOUND | {"llk": 1.1, "llk_free": 9.0}
    assert not assess(numbers | {"excess_chi_free": 0.038})
    assert [reason.name for reason in assess(numbers | {"excess_chi_free": 0.2})] == ["withheld-unexplained"]


def test_a_lattice_whose_displacement_is_known_to_be_small_is_not_doubted() -> None:
    """Perfect crystals at 1e7 counts leave 0.07 rad, and as much between solutions: a result, and no failure."""
    numbers = SOUND | {"strain_rms": 3e-5, "strain_noise": 2e-6, "strain_spread": 4e-5, "phase_noise": 0.005}
    assert not assess(numbers | {"phase_spread": 0.09})
    assert [reason.name for reason in assess(numbers | {"phase_spread": 0.3})] == ["strain-in-noise"]


def test_the_unevenness_of_the_amplitude_stands_for_the_spread_of_a_lone_solution() -> None:
    lone = {name: value for name, value in SOUND.items() if name != "agreement"} | {"kept": 1.0}
    lone |= {"strain_noise": 3e-7, "phase_noise": 0.03}  # 1e-5 for a radian.
    for unevenness, strain, reasons in ((0.2, 6e-6, []), (0.2, 2.4e-6, ["strain-in-noise"]), (0.04, 5e-7, [])):
        numbers = lone | {"strain_rms": strain, "amplitude_variation": unevenness}
        assert [reason.name for reason in assess(numbers)] == reasons
