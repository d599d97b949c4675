"""Wide gaps of a curve in the projections: frames that were not measured, in an array that has room for them."""

import jax.numpy as jnp
import numpy as np

from unflat.physics.diffraction.far_field import fftshift3, ifftshift3
from unflat.physics.diffraction.frame_amplitudes import frame_amplitudes
from unflat.recon.phase_retrieval.curve_gaps import LARGEST, LOST
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.lost_frames import WIDE, fill_gaps, init_measured, spread_evenly
from unflat.recon.phase_retrieval.pattern import DevicePattern, ideal_point_spread, to_device_pattern
from unflat.recon.phase_retrieval.projections import UNMEASURED

ALONG = np.array([-4.0, -3, -3, -2, 0, 1, 2, 2, 3])


def pattern(along: np.ndarray, exposure: np.ndarray | None = None) -> DevicePattern:
    counts = np.arange(1.0, 1 + 6 * len(along)).reshape(len(along), 2, 3)
    weights = np.ones(counts.shape, np.float32)
    weights[1, 0, 0] = weights[6:8, 0, 1] = 0
    positions = np.stack([along, 0 * along, 0 * along], axis=1)
    return to_device_pattern(DiffractionData(counts, weights, exposure, positions=positions), 0.0, 0)


def in_order(array: object) -> np.ndarray:
    return np.fft.fftshift(np.asarray(array), axes=0)


def test_a_gap_holds_an_unmeasured_frame_in_the_place_of_one_that_was_there_twice() -> None:
    flux = np.array([1, 1.5, 0.5, 1, 1, 1, 1, 1, 1.0])
    stated = pattern(ALONG, flux)
    filled = fill_gaps(stated)
    assert in_order(filled.positions)[:, 0].tolist() == [-4, -3, -2, -1, 0, 1, 2, 2, 3]
    counts, measured, amplitude = (in_order(each) for each in (stated.counts, filled.fitted, filled.amplitude))
    assert measured[1].all()  # a pixel that is bad in one of the frames is measured by the other
    good = in_order(stated.fitted)
    expected = (good[1] * counts[1] + good[2] * counts[2]) / (good[1] * 1.5 + good[2] * 0.5)
    np.testing.assert_allclose(amplitude[1] ** 2, expected, rtol=1e-5)
    assert (amplitude[3] == UNMEASURED).all()
    assert not measured[3].any()
    assert in_order(filled.exposure).ravel().tolist() == [1, 2, 1, 1, 1, 1, 1, 1, 1]


def test_without_frames_to_join_the_array_has_more_planes_of_the_same_voxels() -> None:
    """Nine of eleven even frames, of which two were lost."""
    along = (np.delete(np.arange(11), [4, 8]) - 5) * 9 / 11
    filled = fill_gaps(pattern(along))
    np.testing.assert_allclose(in_order(filled.positions)[:, 0], np.arange(11) - 5, atol=1e-5)
    assert np.flatnonzero(~in_order(filled.fitted).any(axis=(1, 2))).tolist() == [4, 8]


def test_a_density_of_the_projections_predicts_the_counts_of_the_measured_frames() -> None:
    along = (np.delete(np.arange(11), [4, 8]) - 5) * 9 / 11
    stated = pattern(along)
    filled = fill_gaps(stated)
    centred = np.zeros((11, 2, 3), complex)
    centred[7:10, 1, 1] = 1, 2j, 1  # off the middle, and beyond the planes of the measured array
    density = jnp.asarray(ifftshift3(centred), jnp.complex64)
    state = init_measured(density, (jnp.abs(density) > 0).astype(jnp.float32), ideal_point_spread(), 9)
    assert state.density.shape == (9, 2, 3)
    counts, expected = (
        np.abs(frame_amplitudes(fftshift3(np.asarray(each)), in_order(own.positions))) ** 2
        for each, own in ((state.density, stated), (density, filled))
    )
    np.testing.assert_allclose(counts, np.delete(expected, [4, 8], axis=0), rtol=1e-4, atol=1e-4)


def test_amplitudes_are_interpolated_at_even_steps() -> None:
    stated = pattern(np.array([-4.0, -3, -2, -1, 0, 0.5, 2, 3, 4]))
    even = spread_evenly(stated)
    amplitude, before = np.sqrt(in_order(even.counts)), np.sqrt(in_order(stated.counts))
    np.testing.assert_allclose(amplitude[5, 0], before[5, 0] * 2 / 3 + before[6, 0] / 3, rtol=1e-5)
    np.testing.assert_allclose(amplitude[5, 1, 0], before[5, 1, 0], rtol=1e-5)  # bad in the next frame
    assert even.positions is stated.positions


def test_a_curve_of_scattered_frames_stays_within_its_limits() -> None:
    along = np.sort(np.random.default_rng(3).uniform(-12, 12, 24))
    filled = fill_gaps(pattern(along))
    assert 24 <= len(filled.counts) <= LARGEST * 24
    assert (np.diff(in_order(filled.positions)[:, 0]) >= 0).all()
    assert np.asarray(filled.fitted).any(axis=(1, 2)).sum() <= 24


def test_curves_without_a_wide_gap_stay_as_they_are() -> None:
    jitter = np.arange(9) - 4 + np.array([0, 0.4, -0.4, 0.4, 0.4, -0.1, 0.2, 0, 0])
    assert WIDE < np.diff(jitter).max() < LOST
    for stated in (pattern(jitter), pattern(ALONG)._replace(positions=None)):
        assert fill_gaps(stated) is stated
