"""Series of rocking curves: curves that complete each other, and the model of all."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.crystal import series_start
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.guess_density import InitialGuess
from unflat.recon.experiments.crystal.laboratory import phase_ramp
from unflat.recon.experiments.crystal.preprocess import PreprocessedScan, preprocess
from unflat.recon.experiments.crystal.series import _aligned
from unflat.recon.experiments.crystal.series_start import complete_curve, find_series_guess, flux_ratio
from unflat.recon.io.model_file import read_model_series
from unflat.recon.io.write import write
from unflat.recon.phase_retrieval.align import conjugate_twin, correlation
from unflat.recon.phase_retrieval.frame_corrections import FrameCorrections
from unflat.recon.runs.context import never_stop

SHAPE = (16, 18, 20)
CONFIG: dict[str, Any] = {
    "kind": "crystal",
    "acquisition": {"doubtful": "warn", "centre": "none"},
    "phase": {
        "recipe": [{"hio": {"iterations": 20, "support": {"every": 10}}}],
        "refine": {"iterations": 5, "margin": 0},
    },
    "predict": {"recipe": [{"er": {"iterations": 10}}]},
    "fit": {"steps": 3, "starts": 1, "pyramid": {"levels": 2}, "series": {"smoothness": 1}},
}


def expected(level: float) -> np.ndarray:
    """Counts of a small cuboid crystal."""
    z, y, x = (np.sinc((np.arange(n) - n // 2) / 2.8) ** 2 for n in SHAPE)
    return np.asarray(level * z[:, None, None] * y[:, None] * x + 0.02)


@cache
def measured(first: int, level: float = 2e4) -> Acquisition:
    """Every other frame, from a first one on; the others are masked."""
    counts = np.random.default_rng(first).poisson(expected(level)).astype(np.float32)
    mask = np.ones(SHAPE, np.uint8)
    mask[first::2] = 0
    return Acquisition("crystal", {"images": np.where(mask, 0, counts), "mask": mask}, f"t{first}.h5")


def scans(*acquisitions: Acquisition) -> tuple[CrystalSettings, list[PreprocessedScan]]:
    settings = CrystalSettings.model_validate(CONFIG)
    return settings, [preprocess(settings, acquisition) for acquisition in acquisitions]


def test_neighbours_complete_a_curve_but_for_what_it_withholds() -> None:
    settings, (even, odd) = scans(measured(0), measured(1))
    completed = complete_curve(settings, [even, odd], 0)
    assert completed is not None
    free, other = (scan.data.free_pixels(settings.phase.free, settings.seed) for scan in (even, odd))
    np.testing.assert_array_equal(completed.good, (even.good & ~free) | (odd.good & ~other))
    np.testing.assert_array_equal(completed.counts[even.good & ~free], even.counts[even.good & ~free])
    np.testing.assert_array_equal(completed.counts[odd.good & ~other], odd.counts[odd.good & ~other])
    assert not completed.counts[~completed.good].any()


def test_curves_of_the_same_frames_do_not_complete_each_other() -> None:
    settings, both = scans(measured(0), measured(0))
    assert complete_curve(settings, both, 1) is None


def test_curves_with_fitted_frames_are_not_completed() -> None:
    settings, both = scans(measured(0), measured(1))
    fit = settings.fit.model_copy(update={"refine": settings.fit.refine.model_copy(update={"flux": True})})
    assert complete_curve(settings.model_copy(update={"fit": fit}), both, 0) is None


def test_the_nearest_curve_with_a_frame_completes_and_fluxes_are_compared() -> None:
    whole = Acquisition("crystal", {"images": expected(4e4).astype(np.float32)}, "whole.h5")
    settings, three = scans(measured(0), whole, measured(1, 8e4))
    completed = complete_curve(settings, three, 0)
    assert completed is not None
    odd = completed.good & ~three[0].good
    # A curve of twice the flux, scaled by the pixels in common; the last, of four times, is further off.
    assert completed.counts[odd].sum() == pytest.approx(expected(2e4)[odd].sum(), rel=0.1)


def test_fluxes_of_alternate_frames_are_compared_by_all_counts() -> None:
    settings, both = scans(measured(0), measured(1, 6e4))
    assert flux_ratio(both[0], both[1], both[0].good & both[1].good) == pytest.approx(1 / 3, rel=0.02)
    completed = complete_curve(settings, both, 0)
    assert completed is not None
    odd = completed.good & ~both[0].good
    assert completed.counts[odd].sum() == pytest.approx(expected(2e4)[odd].sum(), rel=0.1)
    halves = [replace(both[i], good=np.indices(SHAPE)[0] // 8 == i) for i in (0, 1)]
    assert flux_ratio(halves[0], halves[1], halves[0].good & halves[1].good) is None
    dark = replace(both[0], counts=np.zeros_like(both[0].counts))
    assert flux_ratio(dark, both[1], dark.good & both[1].good) is None


@pytest.mark.parametrize("best", ["completed", "own", "neighbour"])
def test_withheld_pixels_decide_between_a_completed_curve_its_own_and_the_neighbour(
    best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, both = scans(measured(0), measured(1))
    cuboid = np.zeros(SHAPE, complex)
    cuboid[5:11, 6:12, 7:13] = 1  # As wide as the fringes say: 16, 18 and 20 over 2.8.
    small = np.where(np.indices(SHAPE)[0] < 8, cuboid, 0)
    calls = []

    def find(settings: object, scan: PreprocessedScan, initial: Any = None, **_: Any) -> InitialGuess:
        calls.append(0 if initial is None else len(initial.compute()))
        is_first = len(calls) % 2 == 1
        density = small if best == "neighbour" or is_first != (best == "completed") else cuboid
        return InitialGuess.from_density(density, np.zeros(3), 0.0)

    monkeypatch.setattr(series_start, "find_initial_guess", find)
    beside = InitialGuess.from_density(cuboid, np.zeros(3), 0.0) if best == "neighbour" else None
    guess = find_series_guess(settings, both, 0, beside, never_stop)
    assert calls == [0, 1] or beside is not None
    assert guess.support.sum() > 150
    find_series_guess(settings, both, 1, guess, never_stop)
    assert calls[2:] == [1, 2]  # Starts of a completed curve, and of its own.


def crystal() -> np.ndarray:
    z, y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in SHAPE), indexing="ij")
    amplitude = np.exp(-((z / 2.5) ** 2) - ((y / 3) ** 2) - ((x / 2) ** 2)) + np.exp(-(z**2) - (y - 3) ** 2 - x**2)
    return np.asarray(amplitude * np.exp(1j * (0.3 * y + 0.02 * z * x + 0.03 * y**2)))


def pattern(guess: InitialGuess) -> np.ndarray:
    ramp = phase_ramp(2 * np.pi * guess.offset / np.array(SHAPE), SHAPE)
    return np.asarray(np.abs(np.fft.fftn(np.fft.ifftshift(guess.density * ramp))))


def test_a_guess_that_is_aligned_keeps_its_pattern_and_the_corrections_of_its_frames() -> None:
    frames = FrameCorrections(np.full((SHAPE[0], 3), 0.1), np.ones(SHAPE[0]))
    other = np.roll(conjugate_twin(crystal()), (1, -2, 1), axis=(0, 1, 2))
    other = other * phase_ramp(np.array([0.02, -0.05, 0.04]), SHAPE)
    reference, guess = (
        InitialGuess.from_density(density, np.array([0.1, 0.2, 0.3]), 2.0, own)
        for density, own in ((crystal(), None), (other, frames))
    )
    aligned = _aligned(guess, reference)
    assert correlation(aligned.density, reference.density) > 0.99
    np.testing.assert_allclose(pattern(aligned), pattern(guess), atol=2e-3 * pattern(guess).max())
    assert aligned.frames is frames
    assert (aligned.background, *aligned.sigmas) == (2.0, 0.1, 0.2, 0.3)


@pytest.mark.slow
def test_a_series_of_halves_is_one_model_also_if_it_is_interrupted(tmp_path: Path) -> None:
    paths, config, folder = [tmp_path / f"t{number}.h5" for number in range(2)], tmp_path / "run.yaml", tmp_path / "RUN"
    for number, path in enumerate(paths):
        write(measured(number), get_experiment("crystal").schema, path)
    config.write_text(json.dumps(CONFIG), "utf-8")
    words = ["fit", str(config), *map(str, paths), "-o", str(folder), "--series", "time=0s,10s"]
    assert run([*words, "--time-limit", "0.01 s"]) == 75
    guesses = {file: file.stat().st_mtime_ns for file in (folder / "starts").glob("*.h5")}
    assert len(guesses) == 2
    assert run([*words, "--resume"]) == 0
    assert all(file.stat().st_mtime_ns == time for file, time in guesses.items())
    assert "the completed curve is phased first" in (folder / "run.log").read_text("utf-8")
    series = read_model_series(folder)
    assert series.axis.positions == (0, 10)
    both = [json.loads((folder / "series" / f"t{i}" / "metrics.json").read_text("utf-8")) for i in (0, 1)]
    assert all(0 < numbers["llk_free"] < 100 for numbers in both)
