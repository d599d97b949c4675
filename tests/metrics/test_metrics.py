"""Metrics of any specimen: invariances, known widths, known shifts, and limits."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from unflat.recon.errors import DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.evaluate import score
from unflat.recon.frame import ModelFrame
from unflat.recon.metrics import (
    Aperture,
    catalogue,
    correlation,
    estimate_shift,
    filter_visible,
    full_width_half_maximum,
    index_of_highest_contrast,
    line_width,
    metric_named,
    peak_signal_to_noise,
    register_metrics,
    relative_l2,
    root_mean_square_over_range,
    shell_correlation,
    signal_to_noise,
    structural_similarity,
    visible_frequencies,
)
from unflat.recon.model import Model, ModelQuantity
from unflat.recon.sampled import Quantity
from unflat.recon.volume import Volume, centred_axis

SPACING = (0.2e-6, 0.1e-6, 0.1e-6)
MEDIUM = 1.337
LIGHT = Aperture(wavelength=0.532e-6, medium_index=MEDIUM, illumination_na=0.6, numerical_aperture=0.65)


def specimen(seed: int = 0, shape: tuple[int, int, int] = (24, 32, 40)) -> np.ndarray:
    """A smooth contrast that is 0 at the edges."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    window = np.ones(())
    for n in shape:
        window = np.multiply.outer(window, np.hanning(n))
    return 0.02 * noise * window / np.abs(noise * window).max()


def volume_of(contrast: np.ndarray, spacing: tuple[float, float, float] = SPACING) -> Volume:
    z, y, x = (centred_axis(n, d) for n, d in zip(contrast.shape, spacing, strict=True))
    index = Quantity("refractive_index", "1", "real part of the refractive index")
    return Volume("cell", z, y, x, {index.name: contrast + MEDIUM}, (index,), {"medium_index": MEDIUM})


@given(st.floats(0.05, 0.9), st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_a_scaled_result_has_the_error_that_follows_by_hand(error: float, seed: int) -> None:
    truth = specimen(seed)
    result = (1 - error) * truth
    assert relative_l2(truth, result) == pytest.approx(error)
    assert signal_to_noise(truth, result) == pytest.approx(-20 * np.log10(error))
    assert correlation(truth, result) == pytest.approx(1)
    rms = error * np.sqrt(np.mean(truth**2)) / np.ptp(truth)
    assert root_mean_square_over_range(truth, result) == pytest.approx(rms)
    assert peak_signal_to_noise(truth, result) == pytest.approx(-20 * np.log10(rms))


@given(st.floats(1e-3, 1e3), st.floats(-5, 5), st.sampled_from([correlation, structural_similarity]))
@settings(max_examples=20, deadline=None)
def test_unit_and_zero_of_the_quantity_do_not_matter(scale: float, offset: float, metric: object) -> None:
    truth, result = specimen(1), specimen(1) + 0.3 * specimen(2)
    shifted = 0.0 if metric is structural_similarity else offset  # Its brightness term is of the contrast itself.
    assert callable(metric)
    assert metric(scale * truth + shifted, scale * result + shifted) == pytest.approx(metric(truth, result), rel=1e-6)


def test_a_perfect_result_is_perfect_by_every_metric() -> None:
    truth = specimen()
    assert peak_signal_to_noise(truth, truth) == signal_to_noise(truth, truth) == float("inf")
    assert relative_l2(truth, truth) == root_mean_square_over_range(truth, truth) == 0
    assert structural_similarity(truth, truth) == pytest.approx(1)
    curve = shell_correlation(truth, truth, SPACING)
    np.testing.assert_allclose(curve.value, 1, atol=1e-9)
    assert curve.resolution() == pytest.approx(2 * max(SPACING))


def test_similarity_of_a_single_plane_is_that_of_the_image() -> None:
    truth, result = specimen(3)[12:13], specimen(3)[12:13] + 0.5 * specimen(4)[12:13]
    expected = skimage.metrics.structural_similarity(truth[0], result[0], data_range=float(np.ptp(truth)))
    assert structural_similarity(truth, result) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [correlation, relative_l2, signal_to_noise, structural_similarity])
def test_incomparable_volumes_are_refused(metric: object) -> None:
    assert callable(metric)
    truth = specimen()
    with pytest.raises(DataError, match="shape"):
        metric(truth, truth[1:])
    broken = truth.copy()
    broken[3, 4, 5] = np.nan
    with pytest.raises(DataError, match=r"1 of the .* values of the result are not finite"):
        metric(truth, broken)
    with pytest.raises(DataError, match="truth"):
        metric(np.zeros((8, 8, 8)), truth[:8, :8, :8])


@given(st.floats(0.25, 1.2), st.floats(-0.5, 0.5), st.floats(-0.3, 0.3), st.sampled_from([-1.0, 1.0]))
@settings(max_examples=30, deadline=None)
def test_the_width_of_a_gaussian_filament_is_right_to_two_percent(
    sigma: float, offset: float, level: float, sign: float
) -> None:
    z = centred_axis(64, 0.2e-6)
    y = x = centred_axis(16, 0.1e-6)
    filament = np.exp(-0.5 * ((z * 1e6 - offset) / sigma) ** 2)[:, None, None]
    filament = filament * np.exp(-0.5 * (y * 1e6 / 0.25) ** 2)[None, :, None] * np.ones(len(x))
    volume = level + sign * filament
    point = index_of_highest_contrast(volume, background=level)
    assert abs(z[point[0]] * 1e6 - offset) < 0.21
    expected = 2 * np.sqrt(2 * np.log(2)) * sigma * 1e-6
    where = (float(point[0]), float(point[1]), float(point[2]))
    assert line_width(volume, (0.2e-6, 0.1e-6, 0.1e-6), where, baseline=level) == pytest.approx(expected, rel=0.02)
    assert line_width(volume, (0.2e-6, 0.1e-6, 0.1e-6), where) == pytest.approx(expected, rel=0.03)


def test_a_neighbour_does_not_widen_a_peak_and_an_open_peak_has_no_width() -> None:
    z = np.linspace(-10, 10, 201)
    peak = np.exp(-0.5 * z**2)
    both = peak + 1.5 * np.exp(-0.5 * (z - 6) ** 2)
    alone = full_width_half_maximum(z, peak, baseline=0.0)
    assert full_width_half_maximum(z, both, near=0.0, baseline=0.0) == pytest.approx(alone, rel=1e-3)
    assert np.isnan(full_width_half_maximum(z, 1 + z / 100, baseline=0.0))
    with pytest.raises(DataError, match="at least 4 samples"):
        full_width_half_maximum(z[:3], peak[:3])


def test_the_width_does_not_depend_on_the_sampling() -> None:
    widths = []
    for step in (0.4, 0.2, 0.05):
        z = np.arange(-8, 8, step) + 0.13
        widths.append(full_width_half_maximum(z, 3 + np.exp(-0.5 * z**2), baseline=3.0))
    np.testing.assert_allclose(widths, 2.3548, rtol=2e-3)


@given(*[st.floats(-0.35e-6, 0.35e-6)] * 3)
@settings(max_examples=15, deadline=None)
def test_a_shift_between_samples_is_found(z: float, y: float, x: float) -> None:
    truth = specimen(5)
    moved = np.fft.ifftn(
        ndimage.fourier_shift(np.fft.fftn(truth), [d / s for d, s in zip((z, y, x), SPACING, strict=True)])
    ).real
    np.testing.assert_allclose(estimate_shift(truth, moved, SPACING), (-z, -y, -x), atol=0.06 * max(SPACING))


def test_a_smaller_aperture_transmits_less_and_none_transmits_the_axis() -> None:
    shape, spacing = (32, 48, 48), (0.15e-6,) * 3
    wide = visible_frequencies(shape, spacing, LIGHT)
    narrow = visible_frequencies(shape, spacing, replace(LIGHT, illumination_na=0.3))
    assert wide[0, 0, 0]
    assert not wide[1:, 0, 0].any()
    assert not (narrow & ~wide).any()
    assert narrow.sum() < 0.7 * wide.sum()
    # A real contrast has a Hermitian spectrum: what is seen at a frequency is seen at its opposite.
    opposite = np.roll(wide[::-1, ::-1, ::-1], (1, 1, 1), axis=(0, 1, 2))
    inner = np.ix_(*[np.arange(n) != n // 2 for n in shape])
    np.testing.assert_array_equal(wide[inner], opposite[inner])


def test_the_transmitted_spectrum_contains_random_pairs_of_waves() -> None:
    """An independent way to the same support: light along p, scattered along q, sees (q − p, η(q) − η(p))."""
    shape, spacing = (64, 64, 64), (0.12e-6,) * 3
    seen = visible_frequencies(shape, spacing, LIGHT)
    rng = np.random.default_rng(0)

    def directions(na: float) -> np.ndarray:
        radius, angle = na * np.sqrt(rng.uniform(size=200_000)), rng.uniform(0, 2 * np.pi, 200_000)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)]) / LIGHT.wavelength

    p, q = directions(LIGHT.illumination_na), directions(LIGHT.numerical_aperture)
    eta = [np.sqrt((MEDIUM / LIGHT.wavelength) ** 2 - (u**2).sum(0)) for u in (p, q)]
    reached = np.stack([eta[1] - eta[0], *(q - p)])
    bins = [np.rint(f * n * d).astype(int) % n for f, n, d in zip(reached, shape, spacing, strict=True)]
    counts = np.zeros(shape, int)
    np.add.at(counts, tuple(bins), 1)
    counts += np.roll(counts[::-1, ::-1, ::-1], (1, 1, 1), axis=(0, 1, 2))
    nearly = ndimage.binary_dilation(np.fft.fftshift(seen), np.ones((3, 3, 3)))
    assert not (np.fft.fftshift(counts > 0) & ~nearly).any()
    assert (counts[seen] > 0).mean() > 0.85


def test_the_visible_part_is_a_projection() -> None:
    truth = specimen(6)
    seen = visible_frequencies(truth.shape, SPACING, LIGHT)
    once = filter_visible(truth, seen)
    np.testing.assert_allclose(filter_visible(once, seen), once, atol=1e-12)
    assert np.vdot(once, truth - once) == pytest.approx(0, abs=1e-9 * np.vdot(truth, truth))


def test_shell_correlation_falls_where_noise_dominates() -> None:
    truth = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(48, 48, 48)), 1.5)
    spacing = (0.1e-6,) * 3
    resolutions = []
    for level in (0.02, 0.1, 0.5):
        noisy = truth + level * truth.std() * np.random.default_rng(2).normal(size=truth.shape)
        curve = shell_correlation(truth, noisy, spacing)
        assert curve.value[0] > 0.9
        resolutions.append(curve.resolution())
    assert resolutions == sorted(resolutions)
    assert shell_correlation(3 * truth, 7 * truth, spacing).resolution() == pytest.approx(0.2e-6)


def test_a_finer_grid_of_the_same_specimen_scores_as_well() -> None:
    """The truth's samples lie on another lattice: the score must be that of the specimen, not of the lattice."""

    def ball(spacing: float) -> Volume:
        z, y, x = (centred_axis(int(6e-6 / spacing), spacing, 0.013e-6) for _ in range(3))
        r = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
        index = Quantity("refractive_index", "1", "")
        values = {index.name: MEDIUM + 0.02 * np.exp(-0.5 * (r / 1e-6) ** 2)}
        return Volume("cell", z, y, x, values, (index,), {"medium_index": MEDIUM})

    numbers = score(ball(0.2e-6), ball(0.15e-6))
    assert numbers["snr"] > 45
    assert numbers["ncc"] > 0.9999
    assert numbers["axial_width"] == pytest.approx(numbers["axial_width_truth"], rel=0.01)
    assert numbers["axial_width"] == pytest.approx(2.3548e-6, rel=0.02)


def test_a_model_is_scored_at_the_truths_own_samples() -> None:
    contrast = specimen(7)
    truth = volume_of(contrast)
    (z0, z1), (y0, y1), (x0, x1) = (
        (float(a[0] - d / 2), float(a[-1] + d / 2)) for a, d in zip((truth.z, truth.y, truth.x), SPACING, strict=True)
    )
    low, high = (z0, y0, x0), (z1, y1, x1)
    field = {"type": "voxels", "version": 1, "shape": list(contrast.shape), "outputs": 1, "sign": "any"}
    quantity = ModelQuantity("refractive_index", "1", "", MEDIUM, 0.01)
    attributes = {"wavelength": 0.532e-6, "medium_index": MEDIUM, "illumination_na": 0.6, "numerical_aperture": 0.65}
    grid = {"grid": (contrast[None] / 0.01).astype(np.float32)}
    model = Model(field, grid, ModelFrame(low, high, None, attributes), (quantity,), "cell")
    numbers = score(model, truth)
    assert numbers["snr"] > 100
    assert numbers["coverage"] == 1
    assert numbers["snr_seen"] > 100
    assert {f"{name}_seen" for name in ("psnr", "ssim", "ncc", "nrmse_range", "relative_l2")} <= set(numbers)


def test_registration_removes_a_shift_and_reports_it() -> None:
    contrast = specimen(8)
    truth = volume_of(contrast)
    shifted = replace(truth, z=truth.z + 0.13e-6, x=truth.x - 0.07e-6)
    assert score(shifted, truth)["snr"] < 20
    numbers = score(shifted, truth, register=True)
    assert numbers["snr"] > 30
    assert numbers["shift_z"] == pytest.approx(-0.13e-6, abs=0.02e-6)
    assert numbers["shift_x"] == pytest.approx(0.07e-6, abs=0.01e-6)


def test_micrometres_written_as_metres_are_noticed() -> None:
    truth = volume_of(specimen())
    far = replace(truth, z=truth.z + 1.0, y=truth.y, x=truth.x)
    with pytest.raises(DataError, match=r"do not overlap; check the units"):
        score(far, truth)
    with pytest.raises(DataError, match="medium's index"):
        score(replace(truth, attributes={}), replace(truth, attributes={}))


def test_every_score_is_in_the_catalogue_and_reads_well() -> None:
    truth = volume_of(specimen())
    result = volume_of(0.9 * specimen())
    numbers = score(result, truth, register=True, aperture=LIGHT)
    get_experiment("cell")  # Registers its metrics.
    assert set(numbers) <= set(catalogue())
    assert metric_named("axial_width").text(1.234e-6) == "1.23 µm"
    assert metric_named("snr").text(float("inf")) == "∞"
    assert metric_named("seconds").text(600) == "10.0 min"
    assert metric_named("something_new").title == "Something new"


def test_a_metric_of_another_meaning_needs_another_name() -> None:
    get_experiment("cell")
    known = metric_named("snr")
    register_metrics([known])
    assert list(catalogue())[-1] == "volume_bytes"
    with pytest.raises(ValueError, match="'snr'"):
        register_metrics([replace(known, unit="m")])
    assert metric_named("snr") == known
