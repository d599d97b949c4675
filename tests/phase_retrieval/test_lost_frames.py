"""Lost frames of a curve in the projections: interpolated, in the places of joined ones."""

import numpy as np

from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.lost_frames import WIDE, fill_gaps
from unflat.recon.phase_retrieval.pattern import DevicePattern, to_device_pattern

ALONG = np.array([-4.0, -3, -3, -2, 0, 1, 2, 2, 3])


def pattern(along: np.ndarray, exposure: np.ndarray | None = None) -> DevicePattern:
    counts = np.arange(1.0, 1 + 6 * len(along)).reshape(len(along), 2, 3)
    weights = np.ones(counts.shape, np.float32)
    weights[1, 0, 0] = weights[6:8, 0, 1] = 0
    positions = np.stack([along, 0 * along, 0 * along], axis=1)
    return to_device_pattern(DiffractionData(counts, weights, exposure, positions=positions), 0.0, 0)


def in_order(array: object) -> np.ndarray:
    return np.fft.fftshift(np.asarray(array), axes=0)


def test_a_lost_frame_is_interpolated_and_two_at_one_q_are_one_of_all_their_counts() -> None:
    flux = np.array([1, 1.5, 0.5, 1, 1, 1, 1, 1, 1.0])
    stated = pattern(ALONG, flux)
    filled = fill_gaps(stated)
    assert in_order(filled.positions)[:, 0].tolist() == [-4, -3, -2, -1, 0, 1, 2, 2, 3]
    counts, measured, amplitude = (in_order(each) for each in (stated.counts, filled.fitted, filled.amplitude))
    assert measured[1].all()  # a pixel that is bad in one of the frames is measured by the other
    good = in_order(stated.fitted)
    expected = (good[1] * counts[1] + good[2] * counts[2]) / (good[1] * 1.5 + good[2] * 0.5)
    np.testing.assert_allclose(amplitude[1] ** 2, expected, rtol=1e-5)
    np.testing.assert_allclose(amplitude[3], (amplitude[2] + amplitude[4]) / 2, rtol=1e-6)
    assert not in_order(filled.free)[3].any()
    assert in_order(filled.exposure).ravel().tolist() == [1, 2, 1, 1, 1, 1, 1, 1, 1]


def test_a_pixel_bad_in_both_frames_stays_unmeasured() -> None:
    along = np.array([-4.0, -3, -2, -1, 0, 0.5, 3, 3, 4])
    filled = fill_gaps(pattern(along))
    joined = int(np.flatnonzero(in_order(filled.positions)[:, 0] == 3)[0])
    assert in_order(filled.fitted)[joined].sum() == 5
    assert (in_order(filled.amplitude)[joined] < 0).sum() == 1


def test_curves_without_a_wide_gap_or_frames_to_join_stay_as_they_are() -> None:
    jitter = np.arange(9) - 4 + np.array([0, 0.4, -0.3, 0, 0.4, -0.1, 0.2, 0, 0])
    assert np.diff(jitter).max() < WIDE
    even = pattern(ALONG)._replace(positions=None)
    apart = pattern(np.array([-4.0, -3, -2, -1, 0, 1, 3, 4, 5]))
    for stated in (pattern(jitter), even, apart):
        assert fill_gaps(stated) is stated
