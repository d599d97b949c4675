"""Last joint fit of density and frames: its prior by the data, and smooth errors of the angles."""

import jax.numpy as jnp
import numpy as np
import pytest

from unflat.physics.diffraction.far_field import fftshift3, ifftshift3
from unflat.physics.diffraction.frame_amplitudes import frame_amplitudes
from unflat.recon.phase_retrieval import final_joint_fit
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.final_joint_fit import estimate_prior, fit_finally, reset_outliers
from unflat.recon.phase_retrieval.frame_fit import FrameParameters
from unflat.recon.phase_retrieval.frame_gauge import fit_lines
from unflat.recon.phase_retrieval.pattern import ideal_point_spread, to_device_pattern
from unflat.recon.phase_retrieval.refinement import init_refinement
from unflat.recon.phase_retrieval.settings import RefineSettings

COUNT = 20
ALONG = np.fft.fftfreq(COUNT) * COUNT


def corrections(offsets: np.ndarray) -> FrameParameters:
    own = np.stack([offsets, 0 * offsets, 0 * offsets], axis=1)
    return FrameParameters(jnp.asarray(own, jnp.float32), jnp.zeros(COUNT, jnp.float32))


def rest(offsets: np.ndarray) -> np.ndarray:
    """Offsets beside their mean and their slope."""
    return (offsets[:, None] - fit_lines(offsets[:, None], np.ones(COUNT, bool)))[:, 0]


def test_the_prior_is_as_wide_as_the_corrections_vary() -> None:
    offsets, every = np.random.default_rng(1).normal(0, 0.3, COUNT), np.ones(COUNT, bool)
    width = estimate_prior(corrections(offsets), every)[0]
    assert width == pytest.approx(1.4826 * np.median(np.abs(rest(offsets))), rel=1e-4)
    moved = estimate_prior(corrections(offsets + 2 + 0.1 * ALONG), every)[0]
    assert moved == pytest.approx(width, rel=1e-3)
    assert estimate_prior(corrections(0 * offsets), every)[0] == pytest.approx(0.02)
    faint = every.copy()
    faint[3] = False
    wild = np.where(faint, offsets, 9.0)  # A frame that tells nothing does not widen it.
    assert estimate_prior(corrections(wild), faint)[0] < 1.3 * width


def test_a_frame_that_stands_out_begins_anew() -> None:
    offsets, every = np.random.default_rng(1).uniform(-0.4, 0.4, COUNT), np.ones(COUNT, bool)
    offsets[10] = 3.0
    reset = np.asarray(reset_outliers(corrections(offsets), every).offsets)[:, 0]
    np.testing.assert_allclose(reset, np.where(np.arange(COUNT) == 10, 0, offsets), atol=1e-6)
    drift = 3 * (1 - (ALONG / 10) ** 2)  # Every frame is off, and none stands out.
    np.testing.assert_allclose(reset_outliers(corrections(drift), every).offsets[:, 0], drift, atol=1e-6)


@pytest.mark.slow
def test_a_smooth_error_of_the_angles_is_lessened() -> None:
    """Ends that are off against the middle, of a crystal on half voxels whose edges scatter beyond the detector."""
    shape = (COUNT, 16, 16)
    z, y, x = np.meshgrid(*[np.arange(2 * n) - n for n in shape], indexing="ij")
    fine = ((np.abs(z) <= 7) & (np.abs(y) <= 5) & (np.abs(x + 0.5 * y) <= 6)) * np.exp(0.03j * z * y)
    true = np.random.default_rng(2).uniform(-0.4, 0.4, COUNT)
    positions = np.zeros((COUNT, 3))
    positions[:, 0] = np.fft.fftshift(ALONG + true)
    power = np.abs(frame_amplitudes(fine, positions)[:, 8:24, 8:24]) ** 2
    factor = 1e7 / power.sum()
    counts = np.random.default_rng(0).poisson(power * factor).astype(float)
    stated = to_device_pattern(DiffractionData(counts, np.ones(shape, np.float32)), 0.05, 0)
    middle = fftshift3(np.fft.fftn(ifftshift3(fine)))[10:30, 8:24, 8:24]
    density = jnp.asarray(np.fft.ifftn(ifftshift3(middle)) * np.sqrt(factor), jnp.complex64)
    start = init_refinement(density, jnp.ones(shape, jnp.float32), ideal_point_spread())
    wrong = true + (ALONG / 10) ** 3
    fit = fit_finally(start, corrections(wrong), stated, RefineSettings(angles=True), 3)
    state, fitted = fit.measured(shape)
    assert state.density.shape == shape
    errors = rest(np.asarray(fitted.offsets, np.float64)[:, 0] - true)
    assert errors.std() < 0.95 * rest(wrong - true).std()  # Later cycles lessen it further, but are not chosen.
    draws = fit.deviations((True, False, False), COUNT)[:, :, 0]
    totals = np.asarray(stated.counts.sum(axis=(1, 2)))
    order, deviations = np.argsort(totals), np.sqrt(np.mean(draws**2, axis=0))
    assert deviations[order[:5]].mean() > deviations[order[-5:]].mean()  # Faint frames tell less.


def test_the_withheld_pixels_choose_among_the_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three cycles, of which the second has the true angles; then a frame goes away, and the others are later ones."""
    shape = (COUNT, 16, 16)
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij")
    crystal = ((np.abs(z) <= 4) & (np.abs(y) <= 3) & (np.abs(x + 0.5 * y) <= 3)) * np.exp(0.1j * z * y)
    true = np.random.default_rng(2).uniform(-0.4, 0.4, COUNT)
    positions = np.zeros((COUNT, 3))
    positions[:, 0] = np.fft.fftshift(ALONG + true)
    power = np.abs(frame_amplitudes(crystal, positions)) ** 2
    factor = 1e6 / power.sum()
    counts = np.random.default_rng(0).poisson(power * factor).astype(float)
    stated = to_device_pattern(DiffractionData(counts, np.ones(shape, np.float32)), 0.05, 0)
    density = jnp.asarray(ifftshift3(crystal * np.sqrt(factor)), jnp.complex64)
    start = init_refinement(density, jnp.ones(shape, jnp.float32), ideal_point_spread())
    ways = iter([0.5 * true, true, true + (ALONG / 10) ** 3])
    monkeypatch.setattr(final_joint_fit, "fit_jointly", lambda density, *_: (density, corrections(next(ways))))
    fit = fit_finally(start, corrections(0 * true), stated, RefineSettings(angles=True, margin=0), 3)
    np.testing.assert_allclose(rest(np.asarray(fit.corrections.offsets)[:, 0]), rest(true), atol=1e-5)
    assert fit.free_llk() < 2
    assert not fit.has_strayed
    stray, smooth = np.where(np.arange(COUNT) == COUNT // 2, 3.0, true), true + (ALONG / 10) ** 3
    ways = iter([true, stray, smooth])  # The withheld pixels alone would choose the first.
    fit = fit_finally(start, corrections(0 * true), stated, RefineSettings(angles=True, margin=0), 3)
    np.testing.assert_allclose(rest(np.asarray(fit.corrections.offsets)[:, 0]), rest(smooth), atol=1e-5)
    assert fit.has_strayed
