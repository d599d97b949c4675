"""Scans of one peak, between which the crystal drifts, summed by ``unflat convert``."""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.experiments.crystal import window
from unflat.recon.experiments.crystal.scan_names import ScanName

SHAPE = (20, 32, 30)
ETA = 17.6 + 0.01 * np.arange(SHAPE[0])
SHIFTS = [(0, 0, 0), (1, -3, 2), (-1, 3, -2), (0, 2, 3)]
COUNTS = [4e4, 1e5, 2e4, 5e4]
CONFIG = """kind: crystal
acquisition:
  images: /data
  mask: /mask
  monitor: {monitor}
  wavelength: /wavelength in nm
  detector_distance: 0.9 m
  pixel_size: /pixel in um
  goniometer: {{beamline: ID01, angles: {{eta: /eta in deg, delta: /delta in deg, nu: 1.3 deg}}}}
"""


def pattern(size: tuple[int, int, int] = (6, 9, 8), cut: float = 5.0, bend: float = 0.06) -> np.ndarray:
    """Intensity of a small crystal with a cut corner and strain; its sum is 1."""
    z, y, x = (np.arange(n) - n // 2 for n in SHAPE)
    z, y, x = z[:, None, None], y[:, None], x
    inside = (abs(z) < size[0] / 2) & (abs(y) < size[1] / 2) & (abs(x) < size[2] / 2) & (z + y + x < cut)
    field = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(inside * np.exp(1j * bend * (x * y + z**2)))))
    intensity = np.abs(field) ** 2
    return np.asarray(intensity / intensity.sum())


SAME, OTHER = pattern(), pattern((8, 5, 6), 2.0, -0.3)
GAP = np.zeros(SHAPE[1:], np.uint8)
GAP[21:23], GAP[:, 8] = 1, 1


def scan(
    path: Path, index: int = 0, intensity: np.ndarray = SAME, counts: float | None = None, **changes: Any
) -> np.ndarray:
    """Write one of the scans; return its counts."""
    total = COUNTS[index] if counts is None else counts
    moved = np.roll(intensity, SHIFTS[index], (0, 1, 2)) * total
    images = np.random.default_rng(index).poisson(moved).astype(np.uint32)
    images[:, GAP > 0] = 0
    images[:, 5, 25] = 400  # A stuck pixel.
    arrays = {"data": images, "mask": GAP, "eta": ETA, "delta": 35.2, "monitor": total * np.ones(SHAPE[0])}
    arrays |= {"wavelength": 0.13776, "pixel": [75.0, 75.0]}
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, value in (arrays | changes).items():
                file[name] = value
    return images


def four_scans(folder: Path) -> tuple[list[Path], list[np.ndarray]]:
    paths = [folder / f"scan{i}.h5" for i in range(4)]
    return paths, [scan(path, i) for i, path in enumerate(paths)]


def measured(bad: np.ndarray, shift: Sequence[int]) -> np.ndarray:
    """Pixels of the reference that a scan measured, whose pattern is shifted against it."""
    rows, columns = (np.arange(n) + by for n, by in zip(bad.shape, shift, strict=True))
    inside = np.outer((rows >= 0) & (rows < bad.shape[0]), (columns >= 0) & (columns < bad.shape[1]))
    return np.asarray(inside & ~bad[np.ix_(rows % bad.shape[0], columns % bad.shape[1])])


def convert(folder: Path, sources: Sequence[Path | str], *options: str, monitor: str = "/monitor") -> int:
    config = folder / "run.yaml"
    config.write_text(CONFIG.format(monitor=monitor))
    words = ["convert", *map(str, sources), "-o", str(folder / "sum.h5"), "--config", str(config)]
    return run([*words, "--set", "acquisition.doubtful=warn", *options])


def summed(folder: Path) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]], dict[str, np.ndarray]]:
    """Read the sum: counts, good voxels, the record of each scan, and everything else."""
    with h5py.File(folder / "sum.h5") as file:
        images, mask = file["measurement/images"][()], file["measurement/mask"][()]
        rest: dict[str, np.ndarray] = {}
        file.visititems(lambda name, item: rest.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        return images, np.broadcast_to(mask == 0, images.shape), json.loads(file.attrs["scans"]), rest


def test_the_sum_holds_every_count_of_the_aligned_scans(tmp_path: Path) -> None:
    paths, counts = four_scans(tmp_path)
    assert convert(tmp_path, paths) == 0
    images, good, record, rest = summed(tmp_path)
    assert [tuple(item["shift"]) for item in record] == SHIFTS
    assert all(item["summed"] and item["correlation"] > 0.97 * item["expected_correlation"] for item in record)
    assert images.shape == (18, 32, 30)  # The frames that all scans have.
    # Within the frames rolling and shifting are the same.
    moved = [
        np.roll(c.astype(float), [-s for s in shift], (0, 1, 2))[1:19] for c, shift in zip(counts, SHIFTS, strict=True)
    ]
    assert np.array_equal(images[good], sum(moved)[good])
    still = GAP > 0
    still[5, 25] = True
    assert np.array_equal(good, np.broadcast_to(np.all([measured(still, s[1:]) for s in SHIFTS], axis=0), good.shape))
    expected = (SAME * sum(COUNTS))[1:19][good]
    assert np.mean((images[good] - expected) ** 2 / np.maximum(expected, 1e-9)) == pytest.approx(1, abs=0.2)
    assert rest["measurement/monitor"] == pytest.approx(sum(COUNTS))
    assert np.degrees(rest["instrument/goniometer/eta"]) == pytest.approx(ETA[1:19])


def test_the_sum_is_an_acquisition_that_names_its_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths, _ = four_scans(tmp_path)
    assert convert(tmp_path, paths) == 0
    record = summed(tmp_path)[2]
    assert [item["sha256"] for item in record] == [sha256(path.read_bytes()).hexdigest() for path in paths]
    assert run(["init", "crystal", "-o", str(tmp_path / "own.yaml")]) == 0
    assert run(["check", str(tmp_path / "own.yaml"), str(tmp_path / "sum.h5")]) == 0
    assert "scan1.h5: shift +1 frames, -3 rows, +2 columns" in capsys.readouterr().out


def test_another_crystal_and_a_beam_dump_are_left_out_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, _ = four_scans(tmp_path)
    scan(tmp_path / "other.h5", 1, OTHER, counts=1e5)
    scan(tmp_path / "dump.h5", 2, counts=0)
    assert convert(tmp_path, [tmp_path / "other.h5", *paths, tmp_path / "dump.h5"]) == 0
    record = {item["input"]: item for item in summed(tmp_path)[2]}
    assert [name for name, item in record.items() if not item["summed"]] == ["other.h5"]
    assert [tuple(record[path.name]["shift"]) for path in paths] == SHIFTS
    warnings = capsys.readouterr().err
    assert "other.h5: its correlation with the sum of the other scans is 0." in warnings
    assert "dump.h5: left out" in warnings


def test_scans_that_differ_are_kept_on_request(tmp_path: Path) -> None:
    paths, _ = four_scans(tmp_path)
    scan(tmp_path / "other.h5", 0, OTHER, counts=1e5)
    assert convert(tmp_path, [*paths, tmp_path / "other.h5"], "--set", "acquisition.unlike_scans=keep") == 0
    assert all(item["summed"] for item in summed(tmp_path)[2])


def test_two_scans_of_different_crystals_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan(tmp_path / "one.h5", 0)
    scan(tmp_path / "other.h5", 1, OTHER)
    assert convert(tmp_path, [tmp_path / "one.h5", tmp_path / "other.h5"]) == 3
    assert "acquisition.unlike_scans=keep" in capsys.readouterr().err
    assert not (tmp_path / "sum.h5").exists()


def test_scans_of_few_counts_are_judged_by_counting_statistics(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.h5" for i in range(4)]
    for i, path in enumerate(paths):
        scan(path, i, counts=1500)
    assert convert(tmp_path, paths) == 0
    record = summed(tmp_path)[2]
    assert [tuple(item["shift"]) for item in record] == SHIFTS
    assert all(item["summed"] and item["correlation"] < 0.9 for item in record)


def test_a_scan_that_ran_the_other_way_is_turned_round(tmp_path: Path) -> None:
    paths, counts = four_scans(tmp_path)
    with h5py.File(paths[1], "r+") as file:
        file["data"][...], file["eta"][...] = counts[1][::-1], ETA[::-1]
    assert convert(tmp_path, paths) == 0
    assert [tuple(item["shift"]) for item in summed(tmp_path)[2]] == SHIFTS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"eta": 17.6 + 0.012 * np.arange(SHAPE[0])}, "one frame changes q by"),
        ({"delta": 36.2}, "delta differs from that of"),
        ({"wavelength": 0.1385}, "the wavelength is 1.385e-10 m"),
        ({"pixel": [55.0, 55.0]}, "the pixel is 5.5e-05 x 5.5e-05 m"),
        ({"mask": GAP[2:], "data": None}, "its frames have 30 x 30 pixels"),
    ],
)
def test_scans_of_another_geometry_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    paths, counts = four_scans(tmp_path)
    changes = {name: counts[1][:, 2:] if name == "data" else value for name, value in changes.items()}
    scan(tmp_path / "off.h5", 1, **changes)
    assert convert(tmp_path, [tmp_path / "off.h5", *paths[:2]]) == 3
    error = capsys.readouterr().err
    assert words in error
    assert {line.split(": ")[1] for line in error.splitlines() if line.startswith("error")} == {
        str(tmp_path / "off.h5")
    }


def test_entries_of_one_file_are_scans(tmp_path: Path) -> None:
    paths, _ = four_scans(tmp_path)
    whole = tmp_path / "bliss.h5"
    with h5py.File(whole, "w") as file:
        for number, path in enumerate(paths, 1):
            with h5py.File(path) as source:
                for name in source:
                    source.copy(name, file, f"{number}.1/measurement/{name}")
    config = (tmp_path / "run.yaml", CONFIG.format(monitor="/monitor"))
    text = config[1].replace(": /", ": /1.1/measurement/").replace("images: /1.1/measurement/data", "images: /1.1")
    config[0].write_text(text)
    sources = [f"{whole}:/{number}.1" for number in (1, 2, 3, 4)]
    words = ["--config", str(config[0]), "--set", "acquisition.doubtful=warn"]
    assert run(["convert", *sources, "-o", str(tmp_path / "sum.h5"), *words]) == 0
    record = summed(tmp_path)[2]
    assert [tuple(item["shift"]) for item in record] == SHIFTS
    assert [item["entry"] for item in record] == ["/1.1", "/2.1", "/3.1", "/4.1"]
    assert run(["convert", sources[1], "-o", str(tmp_path / "one.h5"), *words]) == 0
    with h5py.File(tmp_path / "one.h5") as one, h5py.File(paths[1]) as source:
        assert np.array_equal(one["measurement/images"], source["data"])
    before = whole.read_bytes()
    assert run(["convert", *sources, "-o", str(whole), "--force", *words]) == 2
    assert whole.read_bytes() == before


def test_windows_of_large_scans_are_aligned_as_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, _ = four_scans(tmp_path)
    assert convert(tmp_path, paths) == 0
    whole, good, record, _ = summed(tmp_path)
    monkeypatch.setattr(window, "LARGEST_WHOLE", 0)
    monkeypatch.setattr(window, "_MARGIN", 0)
    assert convert(tmp_path, paths, "--force", "--set", "acquisition.crop=[16, 10, 10]") == 0
    part, part_good, again, rest = summed(tmp_path)
    assert [item["shift"] for item in again] == [item["shift"] for item in record]
    assert part.shape == (18, 20, 20)
    corner = np.argwhere(whole == whole.max())[0] - np.argwhere(part == part.max())[0]
    same = tuple(slice(c, c + n) for c, n in zip(corner, part.shape, strict=True))
    assert np.array_equal(part[part_good], whole[same][part_good])
    assert part_good.sum() > 0.5 * good[same].sum()
    assert rest["instrument/goniometer/direct_beam"].tolist() == [16 - corner[1], 15 - corner[2]]


def test_a_scan_named_twice_and_one_that_is_missing_are_refused(tmp_path: Path) -> None:
    paths, _ = four_scans(tmp_path)
    assert convert(tmp_path, [paths[0], paths[1], paths[0]]) == 3
    assert convert(tmp_path, [paths[0], tmp_path / "missing.h5"]) == 3


def test_a_copy_of_a_scan_is_refused_although_its_file_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan(tmp_path / "a.h5")
    scan(tmp_path / "b.h5", note=1.0)
    assert convert(tmp_path, [tmp_path / "a.h5", tmp_path / "b.h5"]) == 3
    assert "holds the same counts as" in capsys.readouterr().err
    assert not (tmp_path / "sum.h5").exists()


def test_a_pattern_of_images_is_a_scan(tmp_path: Path) -> None:
    (tmp_path / "im_0.tif").touch()
    images, others = (ScanName.of(tmp_path / name) for name in ("im_*.tif", "no_*.tif"))
    assert images.exists
    assert not others.exists
    assert images.is_same(images)
    assert not images.is_same(others)


def test_other_kinds_convert_one_file_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", "a.h5", "b.h5", "-o", str(tmp_path / "c.h5"), "--kind", "cell"]) == 2
    assert "one by one" in capsys.readouterr().err
