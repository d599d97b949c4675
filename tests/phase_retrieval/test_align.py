"""Alignment removes every trivial ambiguity, and solutions combine to their common part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.experiments.crystal.geometry_checks import frequency_metric, voxel_size
from unflat.recon.phase_retrieval.align import align, apply_phase_ramp, conjugate_twin, correlation, shift_density
from unflat.recon.phase_retrieval.combine import combine, first_mode, prtf_threshold

SHAPE = (20, 18, 22)
offsets = st.tuples(*[st.floats(-4, 4)] * 3)


def crystal(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Smooth complex object without symmetry, which vanishes before the edges."""
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij")
    body = np.exp(-((z / 2.2) ** 2) - ((y - 0.6 * x) / 2.0) ** 2 - (x / 2.6) ** 2) * (1 + 0.3 * np.tanh(x - 0.5 * z))
    return np.asarray(body * np.exp(1j * (0.15 * z * y / 3 + 0.2 * x + 0.03 * y**2)))


@settings(max_examples=15, deadline=None)
@given(shift=offsets, angle=st.floats(-3, 3), scale=st.floats(0.2, 5), twin=st.booleans())
def test_twin_shift_phase_and_scale_are_removed_exactly(
    shift: tuple[float, float, float], angle: float, scale: float, twin: bool
) -> None:
    reference = crystal()
    moved = conjugate_twin(reference) if twin else reference
    moved = scale * np.exp(1j * angle) * shift_density(moved, np.array(shift))
    result = align(moved, reference, ramp=False)
    assert result.twin == twin
    np.testing.assert_allclose(result.density, reference, atol=1e-9)
    if not twin:
        np.testing.assert_allclose(result.shift, -np.array(shift), atol=1e-7)


@settings(max_examples=8, deadline=None)
@given(shift=st.tuples(*[st.floats(-1.5, 1.5)] * 3), ramp=st.tuples(*[st.floats(-1.5, 1.5)] * 3), twin=st.booleans())
def test_a_ramp_is_removed_too(shift: tuple[float, float, float], ramp: tuple[float, float, float], twin: bool) -> None:
    reference = crystal()
    moved = apply_phase_ramp(
        shift_density(conjugate_twin(reference) if twin else reference, np.array(shift)), np.array(ramp)
    )
    result = align(moved, reference)
    assert result.twin == twin
    # Not to rounding: the ramp moves the spectrum across its edge, where the shift splits the Nyquist frequency.
    assert result.correlation > 1 - 3e-4
    np.testing.assert_allclose(result.density, reference, atol=0.03)
    np.testing.assert_allclose(result.ramp, -np.array(ramp), atol=0.01)


def test_a_shift_by_whole_voxels_is_a_roll_and_a_ramp_by_whole_pixels_a_roll_of_the_spectrum() -> None:
    reference = crystal()
    np.testing.assert_allclose(
        shift_density(reference, np.array([2.0, -1.0, 3.0])), np.roll(reference, (2, -1, 3), (0, 1, 2)), atol=1e-12
    )
    spectrum, moved = (
        np.abs(np.fft.fftn(one)) for one in (reference, apply_phase_ramp(reference, np.array([1.0, 0.0, -2.0])))
    )
    np.testing.assert_allclose(moved, np.roll(spectrum, (1, 0, -2), (0, 1, 2)), atol=1e-9)


def test_the_twin_diffracts_alike_and_its_twin_is_the_object() -> None:
    reference = crystal()
    np.testing.assert_allclose(
        np.abs(np.fft.fftn(conjugate_twin(reference))), np.abs(np.fft.fftn(reference)), atol=1e-10
    )
    np.testing.assert_allclose(conjugate_twin(conjugate_twin(reference)), reference)


def test_the_scale_can_be_preserved() -> None:
    reference = crystal()
    result = align(3j * reference, reference, ramp=False, scale=False)
    np.testing.assert_allclose(result.density, 3 * reference, atol=1e-9)
    assert correlation(reference, 0 * reference) == 0


def test_equal_solutions_agree_in_everything() -> None:
    one = crystal().astype(np.complex64)
    result = combine(np.stack([one, one, one, one]))
    np.testing.assert_allclose(result.density, one, atol=1e-5)
    assert result.weight == pytest.approx(1)
    np.testing.assert_allclose(result.pairs, 1, atol=1e-6)
    np.testing.assert_allclose(result.prtf, 1, atol=1e-5)
    np.testing.assert_allclose(result.fsc, 1, atol=1e-5)
    assert result.resolution(result.fsc, 0.5) == 2.0


def test_the_first_mode_is_better_than_any_solution_and_its_weight_measures_the_noise() -> None:
    truth, rng = crystal(), np.random.default_rng(0)
    level = np.linalg.norm(truth) / np.sqrt(truth.size)
    noise = rng.normal(size=(6, *SHAPE)) + 1j * rng.normal(size=(6, *SHAPE))
    noisy = (truth + 0.3 * level * noise).astype(np.complex64)
    mode, weight = first_mode(noisy)
    assert correlation(mode, truth) > max(correlation(one, truth) for one in noisy)
    # Each solution has the energy 1 + 0.18 with noise 0.18, a sixth of which is in the mode.
    assert weight == pytest.approx((1 + 0.18 / 6) / 1.18, abs=0.02)


def test_curves_fall_where_solutions_differ() -> None:
    truth, rng = crystal(), np.random.default_rng(1)
    fine = np.fft.ifftn(
        np.where(np.abs(np.fft.fftfreq(SHAPE[2])) > 0.25, 1, 0)
        * np.fft.fftn(rng.normal(size=(4, *SHAPE)), axes=(1, 2, 3)),
        axes=(1, 2, 3),
    )
    result = combine((truth + 0.1 * fine).astype(np.complex64))
    assert result.prtf[1] > 0.95
    assert result.prtf[-1] < 0.8
    assert result.fsc[1] > 0.9 > result.fsc[-1]
    assert 2 < result.resolution(result.fsc, 0.5) < 6


def test_the_resolution_in_metres_does_not_depend_on_the_steps_of_the_axes() -> None:
    """With steps of pixels ten times those of frames, agreement up to some |q| gives the period of that |q|."""
    basis, shape = np.diag([0.6e6, 6.0e6, 6.0e6]), (48, 48, 48)
    rng, voxel = np.random.default_rng(1), voxel_size(basis, shape)
    grid = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n) * n for n in shape), indexing="ij")
    q = np.sqrt(sum((step * axis / (2 * np.pi)) ** 2 for step, axis in zip(np.diag(basis), grid, strict=True)))
    end = 2.0e7
    spectra = np.where(q < end, 1, rng.normal(size=(6, *shape)) + 1j * rng.normal(size=(6, *shape)))
    solutions = np.fft.ifftn(spectra, axes=(1, 2, 3)).astype(np.complex64)
    result = combine(solutions, frequency_metric(basis, shape))
    assert voxel * result.resolution(result.prtf, prtf_threshold(6)) == pytest.approx(2 * np.pi / end, rel=0.06)
    blind = combine(solutions)
    assert voxel * blind.resolution(blind.prtf, prtf_threshold(6)) > 1.2 * 2 * np.pi / end  # shells mix lengths
    cubes = combine(solutions, frequency_metric(np.eye(3) * 1e6, shape))
    np.testing.assert_allclose(cubes.prtf, blind.prtf, atol=0.02)  # but for rounding at the shells' borders


def test_a_single_solution_has_no_shell_correlation() -> None:
    result = combine(crystal().astype(np.complex64)[None])
    assert np.isnan(result.fsc).all()
    assert result.pairs.size == 0
    assert result.weight == pytest.approx(1)
