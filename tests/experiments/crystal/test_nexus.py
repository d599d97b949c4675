"""Rocking curves in NeXus, of Dectris detectors and of BLISS, read without a config that names their arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import DataError
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.crystal import window
from unflat.recon.experiments.crystal.convert import convert
from unflat.recon.experiments.crystal.read import read

SHAPE = (24, 28, 32)
ETA = 17.6 + 0.01 * (np.arange(SHAPE[0]) - 12)
ANGLES = "om: /entry/sample/goniometer/omega, gam: 1.3 deg, del: 35.2 deg"
CONFIG = "kind: crystal\nacquisition:\n  goniometer: {sample: [om -x], detector: [gam -y, del -x], angles: {%s}}\n"
ID01 = "kind: crystal\nacquisition: {detector_distance: 0.9 m, pixel_size: 75 um, goniometer: {beamline: ID01}}\n"


def counts() -> np.ndarray:
    z, y, x = (np.sinc((np.arange(n) - n // 2) / 2.8) ** 2 for n in SHAPE)
    return np.random.default_rng(0).poisson(2e4 * z[:, None, None] * y[:, None] * x + 0.02).astype(np.uint32)


def put(group: Any, name: str, value: Any, unit: str = "") -> None:
    group[name] = value
    if unit:
        group[name].attrs["units"] = unit


def dectris(folder: Path, version: int = 1, parts: int = 3) -> Path:
    """Write a scan as the file writer of a Dectris detector does: a master, and parts that it links to."""
    size = SHAPE[0] // parts
    with h5py.File(folder / "scan_master.h5", "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        data, detector = entry.create_group("data"), entry.create_group("instrument/detector")
        data.attrs["NX_class"], detector.attrs["NX_class"] = "NXdata", "NXdetector"
        if version == 2:
            data.attrs["signal"] = "data_000001"
        for k in range(parts):
            name = f"scan_data_{k + 1:06d}.h5"
            with h5py.File(folder / name, "w") as part:
                part["entry/data/data"] = counts()[k * size : (k + 1) * size]
                numbers = {"image_nr_low": k * size + 1, "image_nr_high": (k + 1) * size}
                part["entry/data/data"].attrs.update(numbers)
            data[f"data_{k + 1:06d}"] = h5py.ExternalLink(name, "/entry/data/data")
        put(entry, "instrument/beam/incident_wavelength", 1.3776022, "angstrom")
        put(detector, "beam_center_x", 20.0, "pixel")
        put(detector, "beam_center_y", 11.0, "pixel")
        put(detector, "detector_distance" if version == 1 else "distance", 0.9, "m")
        put(detector, "x_pixel_size", 75.0, "um")
        put(detector, "y_pixel_size", 75.0, "um")
        put(detector, "count_time", 0.1, "s")
        mask = np.zeros(SHAPE[1:], np.uint32)
        mask[3, 4], mask[5, 6], mask[7, 8] = 1, 2, 1 << 31
        put(detector, "detectorSpecific/pixel_mask" if version == 1 else "pixel_mask", mask)
        put(entry, "sample/goniometer/omega", ETA, "degree")
    return folder / "scan_master.h5"


def bliss(path: Path, scans: int = 1) -> Path:
    """Write scans as BLISS does: an entry for each, with links from ``measurement`` to the detector's data."""
    with h5py.File(path, "w") as file:
        for number in range(1, scans + 1):
            entry = file.create_group(f"{number}.1")
            entry.attrs["NX_class"] = "NXentry"
            detector = entry.create_group("instrument/mpx1x4")
            detector.attrs["NX_class"] = "NXdetector"
            detector["data"] = counts() + np.uint32(number == 2)
            entry["measurement/mpx1x4"] = h5py.SoftLink(detector["data"].name)
            entry["measurement/mon"] = np.full(SHAPE[0], 1e5)
            for name, value in {"eta": ETA, "delta": 35.2, "nu": 1.3, "mu": 0.0, "phi": 0.0}.items():
                put(entry, f"instrument/positioners/{name}", value, "deg")
            put(entry, "instrument/positioners/mononrj", 9.0, "keV")
    return path


def acquired(path: Path, config: str, *overrides: str) -> Acquisition:
    settings: Any = parse_config(config, list(overrides))
    return read(settings, path)


@pytest.mark.parametrize("version", [1, 2])
def test_a_dectris_master_needs_no_names(tmp_path: Path, version: int) -> None:
    scan = acquired(dectris(tmp_path, version), CONFIG % ANGLES)
    assert scan["images"].shape == SHAPE
    assert scan["wavelength"] == pytest.approx(1.3776022e-10)
    assert scan["detector_distance"] == pytest.approx(0.9)
    np.testing.assert_allclose(scan["pixel_size"], 75e-6)
    assert np.argwhere(scan["mask"]).tolist() == [[3, 4], [5, 6], [7, 8]]
    assert scan.groups["/instrument/goniometer"].datasets["direct_beam"].values.tolist() == [11, 20]
    assert "images from /entry/data/data_000001 to data_000003 (3 parts)" in scan.notes
    assert any(note.startswith("goniometer.direct_beam from /entry/instrument/detector/beam") for note in scan.notes)


def test_the_beam_centre_counts_as_the_direct_beam_of_the_config(tmp_path: Path) -> None:
    path = dectris(tmp_path)
    automatic = acquired(path, CONFIG % ANGLES)
    with h5py.File(path, "r+") as file:
        del file["entry/instrument/detector/beam_center_x"]
    named = acquired(path, CONFIG % ANGLES, "acquisition.goniometer.direct_beam=[11, 20]")
    middle = acquired(path, CONFIG % ANGLES)
    np.testing.assert_allclose(automatic["bragg_vector"], named["bragg_vector"])
    assert not np.allclose(automatic["bragg_vector"], middle["bragg_vector"], rtol=1e-6)


def change_length(file: h5py.File) -> None:
    detector = file["entry/instrument/detector"]
    for axis, pixels in (("x", 20.0), ("y", 11.0)):
        del detector[f"beam_center_{axis}"]
        put(detector, f"beam_center_{axis}", pixels * 75e-3, "mm")


def change_unset(file: h5py.File) -> None:
    file["entry/instrument/detector/beam_center_x"][...] = 0
    file["entry/instrument/detector/beam_center_y"][...] = 0


@pytest.mark.parametrize(("change", "beam"), [(change_length, [11, 20]), (change_unset, None)])
def test_a_beam_centre_in_millimetres_and_one_that_was_never_set(
    tmp_path: Path, change: Callable[[h5py.File], None], beam: list[float] | None
) -> None:
    path = dectris(tmp_path)
    with h5py.File(path, "r+") as file:
        change(file)
    group = acquired(path, CONFIG % ANGLES).groups["/instrument/goniometer"].datasets
    if beam is None:
        assert "direct_beam" not in group
    else:
        np.testing.assert_allclose(group["direct_beam"].values, beam)


@pytest.mark.parametrize("name", ["/entry/data/data_000001", "/entry/data/data_*", "/entry/data", "/entry"])
def test_the_first_part_the_group_and_a_pattern_mean_the_whole_scan(tmp_path: Path, name: str) -> None:
    scan = acquired(dectris(tmp_path), CONFIG % ANGLES, f"acquisition.images={name}")
    np.testing.assert_array_equal(scan["images"], counts())


def test_the_files_of_a_scan_must_all_be_there(tmp_path: Path) -> None:
    path = dectris(tmp_path)
    (tmp_path / "scan_data_000002.h5").unlink()
    with pytest.raises(DataError, match=r"data_000002: .*scan_data_000002\.h5"):
        acquired(path, CONFIG % ANGLES)


def test_the_config_is_believed_over_a_number_that_the_detector_wrote(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scan = acquired(dectris(tmp_path), CONFIG % ANGLES, "acquisition.detector_distance=1.83 m")
    assert scan["detector_distance"] == pytest.approx(1.83)
    assert "the config says 1.83 m, the file 0.9 m" in caplog.text


def test_a_mask_of_another_size_may_be_left_out(tmp_path: Path) -> None:
    path = dectris(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["entry/instrument/detector/detectorSpecific/pixel_mask"]
        file["entry/instrument/detector/detectorSpecific/pixel_mask"] = np.zeros((100, 100), np.uint32)
    with pytest.raises(DataError, match=r"mask has the shape \(100, 100\).*leave it out: acquisition\.mask: null"):
        acquired(path, CONFIG % ANGLES)
    assert "mask" not in acquired(path, CONFIG % ANGLES, "acquisition.mask=null")


def test_exposure_times_that_change_are_the_monitor(tmp_path: Path) -> None:
    path, times = dectris(tmp_path), np.where(np.arange(SHAPE[0]) < 12, 0.1, 0.2)
    with h5py.File(path, "r+") as file:
        del file["entry/instrument/detector/count_time"]
        put(file, "entry/instrument/detector/count_time", times, "s")
    np.testing.assert_allclose(acquired(path, CONFIG % ANGLES)["monitor"], times)


def test_a_scan_of_bliss_gives_energy_and_angles(tmp_path: Path) -> None:
    scan = acquired(bliss(tmp_path / "a.h5"), ID01)
    assert scan["wavelength"] == pytest.approx(1.3776022e-10)
    assert scan.groups["/instrument/goniometer"].datasets["delta"].values == pytest.approx(np.radians(35.2))
    assert scan.groups["/instrument/goniometer"].attributes["scanned"] in ("eta", ["eta"])
    assert "images from /1.1/instrument/mpx1x4/data" in scan.notes


def test_of_several_scans_one_is_chosen_by_its_images(tmp_path: Path) -> None:
    path = bliss(tmp_path / "a.h5", 3)
    with pytest.raises(DataError, match=r"several scans with images: /1\.1 \(24, 28, 32\), /2\.1.*images: /1\.1"):
        acquired(path, ID01)
    for name in ("/2.1", "/2.1/measurement/mpx1x4"):
        scan = acquired(path, ID01, f"acquisition.images={name}")
        np.testing.assert_array_equal(scan["images"], counts() + 1.0)
        assert "wavelength from /2.1/instrument/positioners/mononrj" in scan.notes


def test_of_two_detectors_one_is_named(tmp_path: Path) -> None:
    path = bliss(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["1.1/instrument/basler/data"] = counts()[:, :10, :10]
    with pytest.raises(DataError, match=r"several stacks of images: .*basler.*mpx1x4"):
        acquired(path, ID01)
    assert acquired(path, ID01, "acquisition.images=/1.1/measurement/mpx1x4")["images"].shape == SHAPE


def test_the_default_signal_of_nexus_is_the_measurement(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file.attrs["default"] = "entry"
        file["entry/plot/counts"], file["entry/raw/dark"] = counts(), np.ones(SHAPE)
        file["entry"].attrs.update({"NX_class": "NXentry", "default": "plot"})
        file["entry/plot"].attrs.update({"NX_class": "NXdata", "signal": "counts"})
    np.testing.assert_array_equal(acquired(tmp_path / "a.nxs", "kind: crystal\n")["images"], counts())


def test_readings_of_a_distance_are_one_number_unless_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, images=counts(), still=0.9 + 1e-6 * np.arange(24), moving=0.9 + 0.01 * np.arange(24))
    names = ["acquisition.images=/images", "acquisition.detector_distance=/still"]
    assert float(acquired(path, "kind: crystal\n", *names)["detector_distance"]) == pytest.approx(0.9, rel=1e-4)
    with pytest.raises(DataError, match=r"detector_distance changes from 0\.9 m to 1\.13 m within its 24 readings"):
        acquired(path, "kind: crystal\n", names[0], "acquisition.detector_distance=/moving")


def detector_of(path: Path) -> str:
    return "1.1/instrument/mpx1x4" if path.name == "a.h5" else "entry/instrument/detector"


TOP = int(counts().max())
LIMITED: dict[str, tuple[str, float, float, str]] = {
    "valid up to the number": ("saturation_value", 9000, 9001, "hold more than 9000 counts"),
    "the largest count is valid": ("saturation_value", TOP, TOP + 1, ""),
    "cut off at the number": (
        "detectorSpecific/countrate_correction_count_cutoff",
        9000,
        9000,
        "hold 9000 counts or m",
    ),
    "never set": ("detectorSpecific/countrate_correction_count_cutoff", 0, TOP + 1, ""),
}


@pytest.mark.parametrize("case", LIMITED)
@pytest.mark.parametrize("file", [bliss, dectris])
def test_counts_above_the_saturation_that_a_detector_states_are_masked(
    tmp_path: Path, case: str, file: Callable[[Path], Path]
) -> None:
    name, number, end, sentence = LIMITED[case]
    path = file(tmp_path / "a.h5" if file is bliss else tmp_path)
    with h5py.File(path, "r+") as opened:
        put(opened, f"{detector_of(path)}/{name}", np.array([number]), "adu")
        opened[detector_of(path)].pop("detectorSpecific/pixel_mask", None)
    scan = acquired(path, ID01 if file is bliss else CONFIG % ANGLES, "acquisition.doubtful=warn")
    expected = counts() >= end
    assert np.count_nonzero(np.broadcast_to(scan.arrays.get("mask", 0), SHAPE)[expected]) == expected.sum()
    if "mask" in scan:
        assert np.count_nonzero(scan["mask"]) == expected.sum()
    shown = [note for note in scan.notes if "masked as saturated" in note]
    assert len(shown) == (1 if sentence else 0)
    assert not sentence or f"{expected.sum()} voxels {sentence}" in shown[0]
    assert "saturation_value" not in scan
    assert "count_cutoff" not in scan


def test_a_saturation_in_the_config_replaces_that_of_the_file(tmp_path: Path) -> None:
    path = bliss(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["1.1/instrument/mpx1x4/saturation_value"] = 100.0
    assert "mask" in acquired(path, ID01, "acquisition.doubtful=warn")
    assert "mask" not in acquired(path, ID01, "acquisition.saturation=1e9")


@pytest.mark.parametrize("is_large", [False, True])
def test_counts_below_the_underload_of_a_detector_are_masked_even_negative_ones(
    tmp_path: Path, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, images = bliss(tmp_path / "a.h5"), counts().astype(np.float32)
    images[3, 4, 5], images[7, 8, 9] = -7, -3.5
    with h5py.File(path, "r+") as file:
        del file["1.1/instrument/mpx1x4/data"]
        file["1.1/instrument/mpx1x4/data"] = images
    with pytest.raises(DataError, match="negative"):
        acquired(path, ID01)
    with h5py.File(path, "r+") as file:
        file["1.1/instrument/mpx1x4/underload_value"] = 0
    if is_large:
        monkeypatch.setattr(window, "LARGEST_WHOLE", 0)
    scan = acquired(path, ID01)
    assert np.argwhere(scan["mask"]).tolist() == [[3, 4, 5], [7, 8, 9]]
    assert any("2 voxels" in note and "less than its underload value 0, and masked" in note for note in scan.notes)


def test_a_converted_scan_keeps_the_mask_of_the_saturated_voxels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "LARGEST_WHOLE", 0)
    path = bliss(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["1.1/instrument/mpx1x4/saturation_value"] = 9000
    settings: Any = parse_config(ID01, ["acquisition.doubtful=warn"])
    convert(settings, path, tmp_path / "own.h5")
    own = acquired(tmp_path / "own.h5", "kind: crystal\n", "acquisition.doubtful=warn")
    np.testing.assert_array_equal(own["mask"] != 0, counts() > 9000)
