"""Jumps of the flux within a rocking curve."""

import re

import numpy as np
import pytest

from unflat.recon.experiments.crystal.flux import flux_warnings


def crystal(size: int = 48) -> np.ndarray:
    """Pattern of a small crystal with slanted faces and a strained inside."""
    grid = np.stack(np.meshgrid(*[np.arange(size) - size // 2] * 3, indexing="ij"))
    inside = (abs(grid[0]) < 6) & (abs(grid[1]) < 7) & (abs(grid[2] + 0.5 * grid[1]) < 8) & (grid.sum(0) < 9)
    centre = np.array([2, -2, 3])[:, None, None, None]
    density = inside * np.exp(0.8j * np.exp(-((grid - centre) ** 2).sum(0) / 18))
    far = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(density)))) ** 2
    return np.random.default_rng(0).poisson(far * 3e4 / far.max()).astype(float)


def test_filters_for_the_brightest_frames_are_named_unless_the_monitor_explains_them() -> None:
    counts, flux = crystal(), np.ones(48)
    flux[20:29] = 0.12
    filtered = np.random.default_rng(1).binomial(counts.astype(int), flux[:, None, None]).astype(float)
    good = np.ones(counts.shape, bool)
    (warning,) = flux_warnings(filtered, good, None, "scan.h5:/data")
    assert "frames 20 to 28 hold 0.13 of what their neighbours let expect" in str(warning)
    assert flux_warnings(filtered, good, flux, "") == []
    assert flux_warnings(counts, good, None, "") == []


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        (range(10, 58), "frames 30 to 38 hold"),
        (range(47, -1, -1), "frames 19 to 27 hold"),
        (range(0, 96, 2), "frames 40, 42, 44, 46, 48, … hold"),
    ],
    ids=["part", "reversed", "every second"],
)
def test_frames_are_named_by_their_numbers_in_the_file(numbers: range, text: str) -> None:
    counts, flux = crystal(), np.ones(48)
    flux[20:29] = 0.12
    filtered = np.random.default_rng(1).binomial(counts.astype(int), flux[:, None, None]).astype(float)
    (warning,) = flux_warnings(filtered, np.ones(counts.shape, bool), None, "", numbers)
    assert text in str(warning)


@pytest.mark.parametrize("width", [1.2, 1.5, 2.8, 4.0, 7.0])
@pytest.mark.parametrize("top", [200.0, 2e4])
def test_peaks_and_dark_fringes_are_no_jumps(width: float, top: float) -> None:
    z, y, x = (np.sinc((np.arange(48) - 24) / width) ** 2 for _ in range(3))
    counts = np.random.default_rng(0).poisson(top * z[:, None, None] * y[:, None] * x + 0.02).astype(float)
    assert flux_warnings(counts, np.ones(counts.shape, bool), None, "") == []


@pytest.mark.parametrize("factor", [0.3, 0.6])
def test_a_jump_of_a_well_sampled_curve_is_found_beside_the_peak(factor: float) -> None:
    z, y, x = (np.exp(-(((np.arange(48) - 24) / width) ** 2)) + 0.02 for width in (9, 7, 7))
    flux = np.ones(48)
    flux[30:36] = factor
    means = 3e3 * (flux * z)[:, None, None] * y[:, None] * x
    counts = np.random.default_rng(0).poisson(means).astype(float)
    (warning,) = flux_warnings(counts, np.ones(counts.shape, bool), None, "scan.h5:/data")
    assert f"frames 30 to 35 hold {factor} of what" in str(warning).replace("0.31", "0.3").replace("0.59", "0.6")
    assert flux_warnings(counts, np.ones(counts.shape, bool), flux, "") == []


@pytest.mark.parametrize(("frame", "factor"), [(24, 0.3), (22, 0.3), (32, 3.0)])
def test_a_single_frame_under_another_flux_is_named(frame: int, factor: float) -> None:
    counts, flux = crystal(), np.ones(48)
    flux[frame] = factor
    changed = np.random.default_rng(1).poisson(counts * flux[:, None, None]).astype(float)
    good = np.ones(counts.shape, bool)
    (warning,) = flux_warnings(changed, good, None, "scan.h5:/data")
    match = re.search(r"frame (\d+) holds ([\d.]+) (of|times) what its neighbours let expect", str(warning))
    assert match is not None
    assert int(match[1]) == frame
    assert float(match[2]) == pytest.approx(factor, rel=0.1)
    assert flux_warnings(changed, good, flux, "") == []
