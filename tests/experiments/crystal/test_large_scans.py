"""Scans larger than memory: a region, a window around the peak, and frames that are read one by one."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError, DataError, DeviceError
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.crystal import window
from unflat.recon.experiments.crystal.artifacts import find_bragg_peak
from unflat.recon.experiments.crystal.preprocess import preprocess
from unflat.recon.experiments.crystal.read import read
from unflat.recon.experiments.crystal.survey import survey

SHAPE = (24, 150, 160)
PEAK = (11, 61, 94)
ID01 = """kind: crystal
acquisition:
  images: /data
  wavelength: 0.13776 nm
  detector_distance: 0.9 m
  pixel_size: 75 um
  crop: [20, 24, 24]
  goniometer: {beamline: ID01, angles: {eta: /eta in deg, delta: 35.2 deg, nu: 1.3 deg}}
"""


def counts(shape: tuple[int, int, int] = SHAPE, peak: tuple[int, int, int] = PEAK) -> np.ndarray:
    """Counts of a crystal somewhere on a detector, with hot pixels, a stuck one, and another particle."""
    z, y, x = (np.sinc((np.arange(n) - m) / 2.8) ** 2 for n, m in zip(shape, peak, strict=True))
    frames = np.random.default_rng(0).poisson(2e4 * z[:, None, None] * y[:, None] * x + 0.01).astype(np.uint32)
    frames[:, 20, 30] = 500_000  # Stuck.
    frames[3, 100, 100] = 70_000  # A cosmic ray.
    frames[peak[0] + 8, peak[1] + 9, peak[2] - 9] += 300
    return frames


def write(path: Path, images: np.ndarray, chunks: tuple[int, int, int] | None = None, **more: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=images, chunks=chunks or (1, *images.shape[1:]), compression="gzip")
        file["eta"] = 17.6 + 0.01 * (np.arange(len(images)) - len(images) // 2)
        for name, value in more.items():
            file[name] = value
    return path


def acquired(path: Path, *overrides: str, config: str = ID01) -> Acquisition:
    settings: Any = parse_config(config, list(overrides))
    return read(settings, path)


def scan_of(acquisition: Acquisition, *overrides: str) -> Any:
    settings: Any = parse_config(ID01, list(overrides))
    return preprocess(settings, acquisition)


@pytest.fixture
def _small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every scan for a large one."""
    monkeypatch.setattr(window, "LARGEST_WHOLE", 0)


CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "plain": ({}, ()),
    "masked": ({"mask": (np.arange(150 * 160).reshape(150, 160) % 97 == 0).astype(np.uint8)}, ("mask=/mask",)),
    "masked frames": ({"mask": (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 89 == 0).astype(int)}, ("mask=/mask",)),
    "monitor": ({"monitor": np.where(np.arange(24) < 11, 100.0, 700.0)}, ("monitor=/monitor", "doubtful=warn")),
    "saturated": ({}, ("saturation=15000",)),
    "binned": ({}, ("bin=[1, 2, 2]",)),
    "some frames": ({}, ("frames=2:22:2", "crop=[8, 24, 24]", "doubtful=warn")),
    "reversed": ({}, ("frames=::-1",)),
    "a centre": ({}, ("centre=[12, 64, 90]",)),
    "the middle": ({}, ("centre=none", "hot_pixels=keep", "doubtful=warn")),
    "an edge": ({}, ()),
}


@pytest.mark.parametrize("case", CASES)
def test_frames_read_one_by_one_give_the_box_of_the_whole_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    more, settings = CASES[case]
    overrides = [f"acquisition.{text}" for text in settings]
    path = write(tmp_path / "scan.h5", counts(peak=(11, 3, 157) if case == "an edge" else PEAK), **more)
    whole = acquired(path, *overrides)
    monkeypatch.setattr(window, "LARGEST_WHOLE", 0)
    part = acquired(path, *overrides)
    assert part["images"].size < whole["images"].size / 2
    np.testing.assert_allclose(part["reciprocal_basis"], whole["reciprocal_basis"], rtol=1e-9)
    if case != "the middle":  # There another place is the brightest of the window.
        np.testing.assert_allclose(part["bragg_vector"], whole["bragg_vector"], rtol=1e-12)
    boxes = [scan_of(each, *overrides) for each in (whole, part)]
    assert boxes[0].crop_box == boxes[1].crop_box
    for name in ("counts", "good", "exposure"):
        np.testing.assert_array_equal(getattr(boxes[0], name), getattr(boxes[1], name))
    assert any("are used, around" in note for note in part.notes)


@pytest.mark.parametrize("chunks", [(1, 150, 160), (5, 40, 40), (24, 16, 16), (1, 7, 160)])
@pytest.mark.usefixtures("_small_memory")
def test_every_layout_of_chunks_is_read_alike(tmp_path: Path, chunks: tuple[int, int, int]) -> None:
    part = acquired(write(tmp_path / "scan.h5", counts(), chunks))
    y, x = (part.ranges[axis].first for axis in "yx")
    np.testing.assert_array_equal(part["images"], counts()[:, y : y + 80, x : x + 80])


@pytest.mark.parametrize("seed", range(8))
def test_the_search_finds_what_the_whole_array_has(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = (int(random.integers(1, 12)), int(random.integers(9, 30)), int(random.integers(9, 30)))
    images = random.poisson(random.choice([0.05, 2.0, 30.0]), shape).astype(np.float32)
    y, x = random.integers(1, 8, 2)
    images[:, y : y + 2, x : x + 2] += 60
    images[:, shape[1] // 2, shape[2] // 2] += 4000
    images[0, -1, -1] += 4000
    good = random.random(shape) > 0.1
    flux = random.uniform(0.5, 2, shape[0])
    result = survey(lambda: iter([(np.where(good, images, 0), good)]), flux)
    assert result.total == pytest.approx(float(images[good].sum(dtype=float)))
    expected = find_bragg_peak(images / flux[:, None, None].astype(np.float32), good)
    assert np.abs(np.subtract(result.peak, expected)).max() <= 8


class TestRegion:
    @pytest.mark.parametrize("region", ["[30:110, 60:150]", "['30:110', '60:']", "[':-40', '-100:150']"])
    def test_the_geometry_is_that_of_the_whole_frame(self, tmp_path: Path, region: str) -> None:
        path = write(tmp_path / "scan.h5", counts())
        whole, part = acquired(path), acquired(path, f"acquisition.region={region}")
        assert part["images"].shape[1:] != whole["images"].shape[1:]
        for name in ("reciprocal_basis", "bragg_vector"):
            np.testing.assert_allclose(part[name], whole[name], rtol=1e-12)
        assert scan_of(part, f"acquisition.region={region}").crop_box == scan_of(whole).crop_box

    def test_pixels_are_counted_from_the_corner_of_the_frame(self, tmp_path: Path) -> None:
        path = write(tmp_path / "scan.h5", counts())
        names = ["acquisition.centre=[11, 70, 90]", "acquisition.goniometer.direct_beam=[40, 120]"]
        whole = acquired(path, *names)
        part = acquired(path, *names, "acquisition.region=[30:110, 60:150]")
        np.testing.assert_allclose(part["bragg_vector"], whole["bragg_vector"], rtol=1e-12)
        assert part.groups["/instrument/goniometer"].datasets["direct_beam"].values.tolist() == [10, 60]
        assert scan_of(part, *names).crop_box == scan_of(whole, *names).crop_box

    def test_nothing_outside_is_looked_at(self, tmp_path: Path) -> None:
        images = counts().astype(np.float32)
        images[5, 10, 10], images[6, 120, 140] = np.nan, -3
        path = write(tmp_path / "scan.h5", images)
        with pytest.raises(DataError, match="NaN or infinite"):
            acquired(path)
        assert acquired(path, "acquisition.region=[30:110, 60:130]")["images"].shape == (24, 80, 70)

    @pytest.mark.parametrize(
        ("region", "message"),
        [
            ("[30:200, 60:150]", "'30:200' reaches beyond the 150 rows; they count from 0 to 149"),
            ("[50:40, 60:150]", "'50:40' selects none of the 150 rows"),
            ("[30, 60]", r"\[30, 60\] is not rows and columns, as \[100:356, 200:456\], or 'all'"),
            ("[0:100:2, ':']", "is not rows and columns"),
        ],
    )
    def test_what_is_no_region_is_refused(self, tmp_path: Path, region: str, message: str) -> None:
        path = write(tmp_path / "scan.h5", counts())
        with pytest.raises(ConfigError, match=message):
            acquired(path, f"acquisition.region={region}")

    def test_a_centre_outside_names_what_is_read(self, tmp_path: Path) -> None:
        names = ["acquisition.centre=[11, 20, 90]", "acquisition.region=[30:110, 60:150]"]
        with pytest.raises(ConfigError, match=r"\[11, 20, 90\] .* rows 30 to 109, columns 60 to 149"):
            scan_of(acquired(write(tmp_path / "scan.h5", counts()), *names), *names)


class TestConvert:
    @pytest.mark.usefixtures("_small_memory")
    @pytest.mark.parametrize("region", ["all", "[30:110, 60:150]"])
    def test_all_frames_of_a_large_scan_are_written(self, tmp_path: Path, region: str, capsys: Any) -> None:
        images = counts()
        images[:, 140], images[4, 60, 60] = np.iinfo(np.uint32).max, np.iinfo(np.uint32).max
        config, path = tmp_path / "a.yaml", write(tmp_path / "scan.h5", images)
        config.write_text(ID01, "utf-8")
        more = ["--set", f"acquisition.region={region}"]
        assert run(["convert", str(path), "-o", str(tmp_path / "b.h5"), "--config", str(config), *more]) == 0
        part = (slice(None),) if region == "all" else (slice(None), slice(30, 110), slice(60, 150))
        with h5py.File(tmp_path / "b.h5") as file:
            expected = np.where(images == np.iinfo(np.uint32).max, 0, images)[part]
            np.testing.assert_array_equal(file["measurement/images"][()], expected)
            np.testing.assert_array_equal(file["measurement/mask"][()] != 0, (images == np.iinfo(np.uint32).max)[part])
        again = acquired(tmp_path / "b.h5", "acquisition.crop=[20, 24, 24]", config="kind: crystal\n")
        for name in ("reciprocal_basis", "bragg_vector"):
            np.testing.assert_allclose(again[name], acquired(path)[name], rtol=1e-9)


class TestPixelsWithoutACount:
    @pytest.mark.parametrize(
        ("kind", "mark"), [(np.uint32, 2**32 - 1), (np.uint16, 65535), (np.int32, -1), (np.int16, -2)]
    )
    def test_marks_of_the_detector_are_masked(self, tmp_path: Path, kind: Any, mark: int) -> None:
        images = np.minimum(counts(), 30000).astype(kind)
        images[:, 70:73], images[7, 50, 60] = mark, mark
        scan = acquired(write(tmp_path / "scan.h5", images), "acquisition.doubtful=warn")
        assert scan["images"].max() <= 30000
        np.testing.assert_array_equal(np.broadcast_to(scan["mask"], SHAPE) != 0, images == kind(mark))
        assert f"{3 * 160 * 24 + 1} voxels are marked as without a count in the file, and masked" in scan.notes

    def test_other_negative_numbers_are_refused(self, tmp_path: Path) -> None:
        images = counts().astype(np.int32)
        images[0, 0, :3] = [-1, -2, -3]
        with pytest.raises(DataError, match="3 numbers are negative"):
            acquired(write(tmp_path / "scan.h5", images))


@pytest.mark.parametrize("value", [np.nan, -4.0])
@pytest.mark.usefixtures("_small_memory")
def test_a_fault_anywhere_on_the_detector_is_named(tmp_path: Path, value: float) -> None:
    images = counts().astype(np.float32)
    images[20, 149, 3] = value
    with pytest.raises(DataError, match=r"scan\.h5:/data: 1 number is .* at \[20, 149, 3\]"):
        acquired(write(tmp_path / "scan.h5", images))


def test_a_scan_that_memory_cannot_hold_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "available_memory", lambda: 1 << 20)
    with pytest.raises(DeviceError, match=r"576,000 voxels need about .* acquisition\.region, as"):
        acquired(write(tmp_path / "scan.h5", counts()), "acquisition.crop=all")
