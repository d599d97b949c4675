"""Rocking curves of which frames are still to come."""

import logging
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.errors import DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.crystal import partial_curve
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.network.preview import network_input
from unflat.recon.experiments.crystal.network.sample import resample_scan
from unflat.recon.experiments.crystal.partial_curve import PartialCurve, read_partial_curve
from unflat.recon.experiments.crystal.preprocess import preprocess
from unflat.recon.experiments.crystal.read import read

FRAMES, SIZE, PEAK = 24, 16, 11
SETTINGS = CrystalSettings(kind="crystal")


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """The pattern of a block: a peak with fringes, at frame 11."""
    f, y, x = np.ogrid[:FRAMES, :SIZE, :SIZE]
    modulus = np.sinc((f - PEAK) / 4.3) * np.sinc((y - 8) / 3.7) * np.sinc((x - 8) / 3.1)
    return np.random.default_rng(1).poisson(3e5 * modulus**2).astype(np.float32)


def write(path: Path, images: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "unflat-acquisition", "format_version": "1.0", "kind": "crystal"})
        file["measurement/images"] = images
        file["measurement/monitor"] = np.full(len(images), 3.0)
        file["instrument/reciprocal_basis"] = np.diag([1e6, 2e6, 3e6])
        file["instrument/reciprocal_basis"].attrs["units"] = "1/m"
    return path


def partial(path: Path, images: np.ndarray, there: np.ndarray, config: CrystalSettings = SETTINGS) -> PartialCurve:
    return read_partial_curve(config, write(path, images), there)


def first(number: int) -> np.ndarray:
    return np.arange(FRAMES) < number


def test_all_frames_give_the_network_what_the_finished_curve_does(tmp_path: Path, counts: np.ndarray) -> None:
    path = write(tmp_path / "scan.h5", counts)
    curve = read_partial_curve(SETTINGS, path, first(FRAMES))
    whole = preprocess(SETTINGS, read(SETTINGS, path))
    assert curve.is_whole
    assert (curve.scan.counts == whole.counts).all()
    assert (curve.scan.good == whole.good).all()
    ours, theirs = network_input(SETTINGS, curve, 9.9)[0], resample_scan(whole, SETTINGS.phase.free, SETTINGS.seed)
    assert (ours.input.amplitude == theirs.input.amplitude).all()
    assert (ours.input.weight == theirs.input.weight).all()
    assert (ours.input.scalars == theirs.input.scalars).all()


@settings(max_examples=4, deadline=None)
@given(number=st.integers(14, FRAMES - 1), seed=st.integers(0, 99), masked=st.booleans())
def test_what_stands_in_missing_frames_has_no_influence(
    tmp_path_factory: pytest.TempPathFactory, counts: np.ndarray, number: int, seed: int, masked: bool
) -> None:
    folder, there = tmp_path_factory.mktemp("curve"), first(number)
    config = SETTINGS
    if not masked:  # Whatever the config says of a mask.
        config = get_experiment("crystal").Config.model_validate({"kind": "crystal", "acquisition": {"mask": None}})
    junk = counts.copy()
    junk[~there] = 1e6 * np.random.default_rng(seed).random((FRAMES - number, SIZE, SIZE))
    one = partial(folder / "a.h5", np.where(there[:, None, None], counts, 0), there, config)
    other = partial(folder / "b.h5", junk, there, config)
    for a, b in zip(
        (one.scan.counts, one.scan.good, one.totals), (other.scan.counts, other.scan.good, other.totals), strict=True
    ):
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    assert one.scan.crop_box == other.scan.crop_box


@pytest.mark.parametrize("number", [15, 18, 23])
def test_frames_keep_their_places_in_q(tmp_path: Path, counts: np.ndarray, number: int) -> None:
    part = partial(tmp_path / "a.h5", counts, first(number)).scan
    whole = partial(tmp_path / "b.h5", counts, first(FRAMES)).scan
    assert part.peak == whole.peak
    assert part.crop_box == whole.crop_box
    assert part.reciprocal_basis == pytest.approx(whole.reciprocal_basis)
    there = part.good.any(axis=(1, 2))
    assert (part.counts[there] == whole.counts[there]).all()
    assert there.sum() < whole.good.any(axis=(1, 2)).sum()


@pytest.mark.parametrize(
    ("number", "is_seen"), [(PEAK - 1, False), (PEAK + 4, False), (PEAK + 8, True), (FRAMES, True)]
)
def test_the_maximum_is_seen_when_frames_on_both_sides_are_darker(
    tmp_path: Path, counts: np.ndarray, number: int, is_seen: bool
) -> None:
    assert partial(tmp_path / "a.h5", counts, first(number)).has_maximum is is_seen


def test_a_curve_measured_backwards_or_in_part_is_judged_by_the_frames_that_are_used(
    tmp_path: Path, counts: np.ndarray
) -> None:
    for frames, number in (("::-1", FRAMES), ("2:22", 20)):
        config = CrystalSettings.model_validate({"kind": "crystal", "acquisition": {"frames": frames}})
        curve = partial(tmp_path / "a.h5", counts, first(16), config)
        assert len(curve.totals) == number
        assert np.isfinite(curve.totals).sum() == (16 if number == FRAMES else 14)


def test_an_empty_beginning_shows_nothing_and_says_so(tmp_path: Path, counts: np.ndarray) -> None:
    with pytest.raises(DataError, match="every frame is empty"):
        partial(tmp_path / "a.h5", np.where(first(3)[:, None, None], 0, counts).astype(np.float32), first(3))


@pytest.mark.parametrize("period", [4, 6, 8, 12])
def test_fringes_before_the_peak_are_no_maximum(period: int) -> None:
    """A crystal with parallel faces has a curve sin²x/x², whose fringes rise towards the peak."""
    peak = 40
    totals = np.sinc((np.arange(2 * peak) - peak) / period) ** 2 + 1e-4
    seen = [partial_curve._has_maximum(np.where(np.arange(2 * peak) < n, totals, np.nan)) for n in range(1, 2 * peak)]
    first_seen = seen.index(True) + 1
    assert peak + 3 <= first_seen <= peak + 2 * period
    assert all(seen[first_seen:])
    backwards = [
        partial_curve._has_maximum(np.where(np.arange(2 * peak) >= 2 * peak - n, totals, np.nan))
        for n in range(1, 2 * peak)
    ]
    assert peak - 1 <= backwards.index(True) <= peak + 2 * period


def test_the_log_of_other_threads_is_not_dropped(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("elsewhere")
    with partial_curve.without_log():
        log.warning("a doubt about the partial curve")
        thread = threading.Thread(target=log.warning, args=("a report could not be written",))
        thread.start()
        thread.join()
    log.warning("the next scan")
    assert caplog.messages == ["a report could not be written", "the next scan"]
