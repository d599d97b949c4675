"""Reading, validation and preprocessing of a crystal's rocking curve."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unflat.physics.diffraction.bragg_geometry import real_space_steps
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.crystal.artifacts import find_aliens, find_hot_pixels
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.crop import bin_counts, choose_crop_box
from unflat.recon.experiments.crystal.estimate import estimate
from unflat.recon.experiments.crystal.geometry_checks import voxel_size
from unflat.recon.experiments.crystal.oversampling import estimate_oversampling, find_brightest_peak
from unflat.recon.experiments.crystal.preprocess import preprocess
from unflat.recon.experiments.crystal.read import read
from unflat.recon.experiments.crystal.schema import SCHEMA
from unflat.recon.experiments.crystal.simulate import simulate
from unflat.recon.experiments.crystal.validate import warnings_for
from unflat.recon.io.write import write

from ...commands import run_here

BASIS = np.array([[1.5e6, 3e5, 0.0], [0.0, -2e6, 1e5], [0.0, 0.0, 2.2e6]])
BRAGG = np.array([-8e9, 9e9, 2.4e10])
SHAPE = (24, 28, 32)
PEAK = (12, 14, 16)


def pattern(shape: tuple[int, int, int] = SHAPE, peak: tuple[int, int, int] = PEAK, width: float = 2.8) -> np.ndarray:
    """Counts of a small cuboid crystal: a peak with fringes on a faint background."""
    z, y, x = (np.sinc((np.arange(n) - m) / width) ** 2 for n, m in zip(shape, peak, strict=True))
    mean = 2e4 * z[:, None, None] * y[:, None] * x + 0.02
    return np.random.default_rng(0).poisson(mean).astype(float)


def settings(**sections: Any) -> CrystalSettings:
    return CrystalSettings.model_validate({"kind": "crystal", "device": "cpu", **sections})


def acquired(counts: np.ndarray, **arrays: Any) -> Acquisition:
    return Acquisition("crystal", {"images": counts.astype(np.float32), **arrays}, "scan.h5")


def sound(path: Path) -> Path:
    """Write an acquisition without a fault."""
    arrays = {
        "images": pattern().astype(np.float32),
        "mask": np.zeros(SHAPE, np.uint8),
        "monitor": np.full(SHAPE[0], 1000.0, np.float32),
        "wavelength": np.array(1.378e-10),
        "detector_distance": np.array(0.5),
        "pixel_size": np.array([55e-6, 55e-6]),
        "reciprocal_basis": BASIS,
        "bragg_vector": BRAGG,
    }
    write(Acquisition("crystal", arrays), SCHEMA, path)
    return path


class TestReading:
    def test_a_written_file_is_read_unchanged(self, tmp_path: Path) -> None:
        acquisition = read(settings(), sound(tmp_path / "scan.h5"))
        assert acquisition["images"].shape == SHAPE
        np.testing.assert_array_equal(acquisition["images"], pattern().astype(np.float32))
        np.testing.assert_allclose(acquisition["reciprocal_basis"], BASIS)
        assert acquisition["wavelength"] == pytest.approx(1.378e-10)

    def test_foreign_names_and_units_are_those_of_the_config(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "scan.npz", intensity=pattern().astype(np.int32), bad=np.zeros(SHAPE, np.uint8), l=1.378)
        names = {"images": "/intensity", "mask": "/bad", "wavelength": "/l in angstrom"}
        acquisition = read(settings(acquisition=names), tmp_path / "scan.npz")
        assert acquisition["wavelength"] == pytest.approx(1.378e-10)
        assert "reciprocal_basis" not in acquisition

    def test_a_basis_in_inverse_nanometres_is_read_in_inverse_metres(self, tmp_path: Path) -> None:
        path = sound(tmp_path / "scan.h5")
        with h5py.File(path, "a") as file:
            file["instrument/reciprocal_basis"][...] *= 1e-9
            file["instrument/reciprocal_basis"].attrs["units"] = "1/nm"
        np.testing.assert_allclose(read(settings(), path)["reciprocal_basis"], BASIS)

    def test_a_config_names_inverse_units(self, tmp_path: Path) -> None:
        path = tmp_path / "scan.npz"
        np.savez(path, counts=pattern(), b=BASIS * 1e-9, g=BRAGG * 1e-10)
        names = {"images": "/counts", "reciprocal_basis": "/b in 1/nm", "bragg_vector": "/g in 1/A"}
        acquisition = read(settings(acquisition=names), path)
        np.testing.assert_allclose(acquisition["reciprocal_basis"], BASIS)
        np.testing.assert_allclose(acquisition["bragg_vector"], BRAGG)
        literal = read(settings(acquisition=names | {"bragg_vector": ["-0.8 1/A", "0.9 1/A", "2.4 A^-1"]}), path)
        np.testing.assert_allclose(literal["bragg_vector"], BRAGG)

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("/g in nm", r"'/g in nm' is in 'nm', which is no inverse length"),
            ("/g in 1/furlong", r"has the unknown unit '1/furlong'"),
            (["1 nm", "2 nm", "3 nm"], r"'1 nm' is a length; expected an inverse length"),
        ],
    )
    def test_a_unit_that_is_no_inverse_length_is_named(self, source: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            settings(acquisition={"bragg_vector": source})

    def test_every_second_frame_has_twice_the_step(self, tmp_path: Path) -> None:
        acquisition = read(settings(acquisition={"frames": "::2"}), sound(tmp_path / "scan.h5"))
        assert acquisition["images"].shape[0] == SHAPE[0] // 2
        np.testing.assert_allclose(acquisition["reciprocal_basis"][0], 2 * BASIS[0])
        np.testing.assert_allclose(acquisition["reciprocal_basis"][1:], BASIS[1:])

    def test_falling_frames_reverse_the_step(self, tmp_path: Path) -> None:
        """Equal q has equal counts: otherwise the crystal would be mirrored."""
        path = sound(tmp_path / "scan.h5")
        plain, turned = read(settings(), path), read(settings(acquisition={"frames": "::-1"}), path)
        np.testing.assert_array_equal(turned["images"], plain["images"][::-1])
        np.testing.assert_allclose(turned["reciprocal_basis"], BASIS * [[-1], [1], [1]])
        assert np.linalg.det(turned["reciprocal_basis"]) == pytest.approx(-np.linalg.det(BASIS))
        thinned = read(settings(acquisition={"frames": [20, 18, 16, 14, 12, 10, 8, 6, 4]}), path)
        np.testing.assert_allclose(thinned["reciprocal_basis"][0], -2 * BASIS[0])

    def test_frames_out_of_order_are_refused_unless_they_sort_the_whole_file(self, tmp_path: Path) -> None:
        path = sound(tmp_path / "scan.h5")
        with pytest.raises(ConfigError, match=r"frames are out of order: 8 follows 10; name them rising or falling"):
            read(settings(acquisition={"frames": [9, 10, 8, *range(11, 20)]}), path)
        order = sorted(range(SHAPE[0]), key=str)
        with h5py.File(path, "a") as file:
            file["measurement/images"][...] = file["measurement/images"][...][order]
        acquisition = read(settings(acquisition={"frames": np.argsort(order).tolist()}), path)
        np.testing.assert_array_equal(acquisition["images"], pattern().astype(np.float32))
        np.testing.assert_allclose(acquisition["reciprocal_basis"], BASIS)

    def test_uneven_frames_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"frames are 1 to 5 apart.*even steps"):
            read(settings(acquisition={"frames": [*range(8, 18), 22]}), sound(tmp_path / "scan.h5"))

    def test_frames_beyond_the_file_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"frame 29 is beyond the last of 24.*frames 0 to 23"):
            read(settings(acquisition={"frames": [29, 30]}), sound(tmp_path / "scan.h5"))

    def test_unmeasured_frames_may_be_masked_whole(self, tmp_path: Path) -> None:
        path = sound(tmp_path / "scan.h5")
        with h5py.File(path, "a") as file:
            file["measurement/mask"][20:] = 1
            file["measurement/images"][20:] = 0
        assert read(settings(), path)["mask"][20:].all()

    def test_saturated_voxels_are_masked_on_request(self, tmp_path: Path) -> None:
        path = sound(tmp_path / "scan.h5")
        with h5py.File(path, "a") as file:
            file["measurement/images"][...] = np.minimum(file["measurement/images"][...], 5000)
        acquisition = read(settings(acquisition={"saturation": 5000}), path)
        assert 3 < int(acquisition["mask"].sum()) == int((pattern() >= 5000).sum())


def put(name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change


def counts(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[h5py.File], None]:
    """Build a change of the counts in a file."""

    def changed(file: h5py.File) -> None:
        file["measurement/images"][...] = change(file["measurement/images"][...])

    return changed


def empty_frames(frames: slice) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[frames] = 0
        return array

    return change


def sort_by_name(array: np.ndarray) -> np.ndarray:
    """Sort frames by their names: 0, 1, 10, 11, …, 2, 20."""
    return pattern(peak=(10, 14, 16))[sorted(range(len(array)), key=str)]


def interleave(array: np.ndarray) -> np.ndarray:
    """Interleave the frames: every fourth one, four times."""
    return np.concatenate([array[first::4] for first in range(4)])


def hide_peak(file: h5py.File) -> None:
    axes = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    ball = sum((a - c) ** 2 for a, c in zip(axes, PEAK, strict=True)) <= 25
    file["measurement/mask"][...] = ball.astype(np.uint8)
    file["measurement/images"][...] = np.where(ball, 0, file["measurement/images"][...])


FAULTS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "no images": (lambda file: file.pop("measurement/images"), r"holds no /measurement/images"),
    "too few frames": (put("measurement/images", pattern()[10:14]), r"mask has the shape|4 x 28 x 32 voxels"),
    "all empty": (counts(np.zeros_like), r"every frame is empty: no pixel is above 0"),
    "empty frames": (
        counts(empty_frames(slice(11, 13))),
        r"2 empty frames beside frames with many counts: 11, 12; mask them",
    ),
    "wrong order": (
        counts(sort_by_name),
        r"do not form one rocking curve: beside the brightest, frame 2,.*image_10 sorts before image_2",
    ),
    "mixed order": (counts(interleave), r"do not form one rocking curve"),
    "no peak": (
        counts(lambda a: np.random.default_rng(1).poisson(3.0, a.shape).astype(np.float32)),
        r"no peak is in view: the brightest place is [0-9.]+ standard deviations",
    ),
    "saturated centre": (
        counts(lambda a: np.minimum(a, 5000)),
        r"centre of the peak is saturated: \d+ voxels side by side hold exactly 5000.*acquisition\.saturation=5000",
    ),
    "energy in eV": (
        put("instrument/wavelength", 9000.0),
        r"9000 m is no wavelength of X-rays; it looks like an energy in eV; if so, set "
        r"acquisition\.wavelength: \'/instrument/wavelength in eV\'",
    ),
    "energy in keV": (put("instrument/wavelength", 9.0), r"looks like an energy in keV.*in keV\'"),
    "wavelength in ångström": (put("instrument/wavelength", 1.378), r"looks like ångströms.*in angstrom\'"),
    "wavelength in nanometres": (put("instrument/wavelength", 0.1378), r"looks like nanometres.*in nm\'"),
    "pixel in micrometres": (put("instrument/pixel_size", [55.0, 55.0]), r"55 m is no pixel of an X-ray detector"),
    "mask over the peak": (
        hide_peak,
        r"mask hides the Bragg peak: \d+ % of the voxels around \[1[1-3], 1[3-5], 1[5-7]\]",
    ),
    "mask the wrong way round": (put("measurement/mask", np.ones(SHAPE, np.uint8)), r"all 21504 pixels are masked"),
    "mask of the dark pixels": (
        put("measurement/mask", (pattern() > 0).astype(np.uint8)),
        r"measurement/mask: every pixel with counts is masked.*write the mask the other way round",
    ),
    "negative counts": (counts(lambda a: a - 5), r"numbers are negative"),
    "NaN": (counts(lambda a: np.where(a > 19000, np.nan, a)), r"NaN or infinite, the first nan at \["),
    "a basis in one plane": (put("instrument/reciprocal_basis", np.ones((3, 3))), r"lie in one plane"),
    "a circle that moves q along the detector": (
        put("instrument/reciprocal_basis", BASIS - np.outer([1, 0, 0], [1.499e6, 0, 0])),
        r"lie in one plane.*see that the circle that was scanned is named",
    ),
    "a peak that does not move": (counts(lambda a: np.broadcast_to(a[12], SHAPE)), r"form no rocking curve: the peak"),
    "pixel in millimetres": (
        put("instrument/pixel_size", [0.055, 0.055]),
        r"0\.055 m is no pixel.*looks like millimetres",
    ),
    "distance in millimetres": (
        put("instrument/detector_distance", 500.0),
        r"detector_distance: 500 m is no distance of a detector; it looks like millimetres; .*acquisition\.det",
    ),
    "a rocking angle in degrees": (
        put("instrument/reciprocal_basis", BASIS * np.array([[57.3], [1.0], [1.0]])),
        r"one frame changes q by 8\.77e\+07 1/m, 40 times as much as a pixel; .*degrees taken for radians",
    ),
    "a basis in inverse micrometres": (
        put("instrument/reciprocal_basis", BASIS * 1e-6),
        r"one pixel along y changes q by 2 1/m; wavelength, distance and pixel make it 5\.02e\+06 1/m; check its unit",
    ),
    "a basis without 2π": (
        put("instrument/reciprocal_basis", BASIS / np.linalg.norm(BASIS, axis=1)[:, None] * 5.01e6 / (2 * np.pi)),
        r"one pixel along [yx] changes q by 7\.97e\+05 1/m; .* 5\.02e\+06 1/m; it looks like .* without 2π: multiply",
    ),
    "a Bragg vector that no X-ray reaches": (
        put("instrument/bragg_vector", BRAGG * 4),
        r"\|G\| = 1\.07\d*e\+11 1/m is beyond 4π/λ = 9\.1\d*e\+10 1/m",
    ),
    "a basis of another unit": (put("instrument/reciprocal_basis", BASIS * 1e-10), r"reciprocal_basis in 1/A\'"),
    "a Bragg vector of another unit": (put("instrument/bragg_vector", BRAGG * 1e-10), r"\|G\| = 2\.\d+ 1/m"),
    "a dead monitor": (put("measurement/monitor", np.zeros(SHAPE[0])), r"24 numbers are not positive"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_with_its_place_and_value(tmp_path: Path, name: str) -> None:
    path = sound(tmp_path / "scan.h5")
    change, message = FAULTS[name]
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(DataError, match=message):
        read(settings(), path)


@pytest.mark.parametrize("name", ["empty frames", "wrong order", "saturated centre", "mask over the peak"])
def test_doubtful_data_are_read_with_a_warning_on_request(tmp_path: Path, name: str) -> None:
    path = sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        FAULTS[name][0](file)
    assert read(settings(acquisition={"doubtful": "warn"}), path)["images"].shape == SHAPE


def test_a_stuck_pixel_is_no_saturated_peak(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is masked in preprocessing as other hot pixels are, and is not taken for a peak, nor for one at both ends."""
    path = sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        file["measurement/images"][:, 3, 4] = 65535
    acquisition = read(settings(), path)
    assert "cut off" not in caplog.text
    assert not preprocess(settings(), acquisition).good[:, 3, 4].any()
    with h5py.File(path, "a") as file:
        file["measurement/images"][...] = np.random.default_rng(1).poisson(3.0, SHAPE)
        file["measurement/images"][:, 3, 4] = 65535
    with pytest.raises(DataError, match="no peak is in view"):
        read(settings(), path)


def test_a_weak_scan_on_a_background_is_in_order_and_its_shuffled_frames_are_not(tmp_path: Path) -> None:
    """Counting noise of the background varies more than the weak peak."""

    def scan(brightest: float) -> np.ndarray:
        rng = np.random.default_rng(0)
        counts = rng.poisson(0.32, (100, 128, 128)).astype(float)
        curve = brightest * np.sinc((np.arange(100) - 50) / 20) ** 2
        y, x = np.meshgrid(*[np.arange(-4, 5)] * 2, indexing="ij")
        spot = np.exp(-(y**2 + x**2) / 8) / np.exp(-(y**2 + x**2) / 8).sum()
        counts[:, 60:69, 60:69] += rng.poisson(curve[:, None, None] * spot)
        return np.asarray(counts)

    assert not warnings_for(acquired(scan(1000)))
    mixed = acquired(np.concatenate([scan(4000)[first::4] for first in range(4)]))
    assert any("do not form one rocking curve" in fault.message for fault in warnings_for(mixed))


JOULES = 9000 * 1.602176634e-19


def cxi(path: Path, energy: float = JOULES, unit: str = "", **detector: Any) -> Path:
    """Write a rocking curve in CXI; further numbers of its detector by name, each with or without its unit."""
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 140
        group = file.create_group("entry_1/instrument_1/detector_1")
        group["data"] = pattern()
        mask = np.full(SHAPE, 0x1000, np.uint32)  # "Has signal", which is no fault.
        mask[:, 3, 5] |= 0x1
        group["mask"] = mask
        for name, value in ({"distance": 0.5} | detector).items():
            number, own = value if isinstance(value, tuple) else (value, "")
            group[name] = number
            if own:
                group[name].attrs["units"] = own
        file["entry_1/instrument_1/source_1/energy"] = energy
        file["entry_1/instrument_1/source_1/energy"].attrs["units"] = unit
    return path


class TestCxi:
    def test_an_energy_in_joules_becomes_a_wavelength(self, tmp_path: Path) -> None:
        acquisition = read(settings(), cxi(tmp_path / "scan.cxi"))
        assert acquisition["wavelength"] == pytest.approx(1.3776e-10, rel=1e-4)

    def test_its_mask_is_read_and_pixels_with_signal_are_good(self, tmp_path: Path) -> None:
        mask = read(settings(), cxi(tmp_path / "scan.cxi"))["mask"]
        assert mask[:, 3, 5].all()
        assert mask.sum() == SHAPE[0]

    def test_pixel_and_distance_come_in_the_files_own_units(self, tmp_path: Path) -> None:
        sizes = {"x_pixel_size": (75.0, "um"), "y_pixel_size": (0.055, "mm"), "distance": (850.0, "mm")}
        acquisition = read(settings(), cxi(tmp_path / "scan.cxi", 9.0, "keV", **sizes))
        np.testing.assert_allclose(acquisition["pixel_size"], [55e-6, 75e-6])
        assert acquisition["detector_distance"] == pytest.approx(0.85)
        assert acquisition["wavelength"] == pytest.approx(1.3776e-10, rel=1e-4)

    @pytest.mark.parametrize(
        ("detector", "message"),
        [
            ({"distance": 850.0}, r"detector_1/distance|detector_distance: 850 m .* looks like millimetres"),
            ({"x_pixel_size": 0.055, "y_pixel_size": 0.055}, r"0\.055 m is no pixel.*looks like millimetres"),
            ({"x_pixel_size": (55.0, "s"), "y_pixel_size": 55e-6}, r"x_pixel_size: its unit 's' is no length"),
            ({"y_pixel_size": 55e-6}, r"gives the pixel's size along y only"),
        ],
    )
    def test_units_that_are_not_metres_are_named(self, tmp_path: Path, detector: Any, message: str) -> None:
        with pytest.raises(DataError, match=message):
            read(settings(), cxi(tmp_path / "scan.cxi", **detector))

    def test_the_energy_of_the_ring_is_not_the_photons(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"energy 9\.61e-10 J \(6 GeV\) is that of a ring's electrons"):
            read(settings(), cxi(tmp_path / "scan.cxi", 9.61e-10, "J"))

    def test_an_energy_of_nine_thousand_joules_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"energy 9000 is no number of joules.*looks like eV"):
            read(settings(), cxi(tmp_path / "scan.cxi", 9000.0, "J"))

    def test_an_energy_in_electronvolts_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"energy 9000 is no number of joules.*looks like eV.*acquisition\.wavelength: 9000 eV"
        ):
            read(settings(), cxi(tmp_path / "scan.cxi", 9000.0))


class TestCropBox:
    @given(st.tuples(*[st.integers(30, 60)] * 3), st.data())
    def test_the_peak_lands_in_the_middle_whatever_the_crop(
        self, count: tuple[int, int, int], data: st.DataObject
    ) -> None:
        centre = data.draw(st.tuples(*[st.integers(0, n - 1) for n in count]))
        box = choose_crop_box(count, centre, (16, 16, 16))
        marked = np.zeros(count)
        marked[centre] = 1
        taken = box.take(marked)
        assert taken.shape == (16, 16, 16)
        assert taken.sum() == 1
        assert np.abs(np.argwhere(taken)[0] - 8).max() <= 2

    @pytest.mark.parametrize(
        ("section", "peak"),
        [
            ({}, (10, 14, 16)),
            ({"centre": "none"}, (10, 14, 16)),
            ({"centre": [12, 14, 20], "crop": [16, 20, 16]}, (6, 10, 4)),
            ({"crop": "all", "bin": [2, 2, 2]}, (5, 7, 8)),
        ],
    )
    def test_the_peak_is_never_withheld_wherever_the_box_leaves_it(self, section: Any, peak: tuple[int, ...]) -> None:
        scan = preprocess(settings(acquisition=section), acquired(pattern(peak=(10, 14, 16))))
        assert scan.peak == peak
        near = tuple(slice(p - 1, p + 2) for p in peak)
        assert not any(scan.data.free_pixels(0.3, seed)[near].any() for seed in range(8))

    def test_a_peak_near_an_edge_is_centred_with_masked_voxels(self) -> None:
        scan = preprocess(settings(acquisition={"crop": "all"}), acquired(pattern(peak=(4, 14, 16))))
        assert not scan.good[:2].any()
        assert find_brightest_peak(scan.counts.astype(float), scan.good) == (12, 14, 16)
        assert any("beyond the data" in note for note in scan.notes)

    def test_auto_keeps_128_voxels_and_logs_the_counts_outside(self) -> None:
        counts = pattern((16, 16, 150), (8, 8, 80))
        scan = preprocess(settings(), acquired(counts))
        assert scan.counts.shape == (16, 16, 128)
        assert any("% of the counts lie outside" in note for note in scan.notes)

    def test_binning_keeps_all_counts_and_stretches_the_basis(self) -> None:
        counts = pattern()
        assert bin_counts(counts, (2, 1, 4)).sum() == counts.sum()
        config = settings(acquisition={"bin": [2, 1, 1], "crop": "all", "centre": "none"})
        scan = preprocess(config, acquired(counts, reciprocal_basis=BASIS))
        assert scan.counts.shape == (12, 28, 32)
        assert scan.counts.sum() == pytest.approx(counts.sum())
        assert scan.reciprocal_basis is not None
        np.testing.assert_allclose(scan.reciprocal_basis[0], 2 * BASIS[0])

    def test_too_small_a_crop_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"acquisition\.crop: 6 frames would be left of 24"):
            preprocess(settings(acquisition={"bin": [4, 1, 1]}), acquired(pattern()))

    def test_a_centre_outside_the_data_is_refused(self) -> None:
        message = r"\[90, 14, 16\] .* lies outside of what is read: frames 0 to 23, rows 0 to 27"
        with pytest.raises(ConfigError, match=message):
            preprocess(settings(acquisition={"centre": [90, 14, 16]}), acquired(pattern()))


class TestSize:
    """Memory of a run, and limits of its result's size."""

    def test_memory_is_that_of_the_solutions_that_are_kept(self) -> None:
        def memory(**phase: int) -> int:
            return estimate(settings(phase=phase), acquired(pattern())).memory_bytes

        assert memory(starts=100, keep=4) == memory(starts=4, keep=4) < memory(starts=8, keep=8)

    def test_a_fit_of_the_frames_is_named_and_counted(self) -> None:
        plain, fitted = (
            estimate(settings(phase={"refine": {"angles": angles, "flux": angles}}), acquired(pattern()))
            for angles in (False, True)
        )
        assert "angles, fluxes fitted with the crystal, in up to 8 rounds and a last fit" in fitted.lines
        assert not any("fitted" in line for line in plain.lines)
        assert fitted.seconds > 1.5 * plain.seconds

    def test_the_larger_array_of_a_curve_with_lost_frames_is_counted(self) -> None:
        def expected(gap: float) -> tuple[float, int, bool]:
            offsets = np.zeros((SHAPE[0], 3))
            offsets[10:, 0] = gap
            one = estimate(settings(phase={"refine": {"margin": 0}}), acquired(pattern(), frame_offsets=offsets))
            return one.seconds, one.memory_bytes, any("frames are lost" in line for line in one.lines)

        (seconds, memory, are_named), (more_seconds, more_memory, are_lost) = expected(0.5), expected(2.0)
        assert (are_named, are_lost) == (False, True)
        assert 1.2 * seconds < more_seconds < 2.25 * seconds
        assert memory < more_memory

    def test_a_spacing_far_finer_than_a_voxel_is_refused_before_any_work(self) -> None:
        made = acquired(pattern(), reciprocal_basis=BASIS)
        shape: tuple[int, int, int] = SHAPE
        voxel = float(np.cbrt(abs(np.linalg.det(real_space_steps(BASIS, shape)))))
        assert voxel_size(BASIS, shape) == pytest.approx(voxel)
        fine, finest = (settings(volume={"spacing": f"{1e9 * voxel / times} nm"}) for times in (7.9, 8.1))
        assert estimate(fine, made).memory_bytes > 1.5 * estimate(settings(), made).memory_bytes
        preprocess(fine, made)
        for refused in (estimate, preprocess):
            with pytest.raises(ConfigError, match=r"volume\.spacing: .* nm is 8\.1 times finer than a voxel of"):
                refused(finest, made)
        preprocess(finest, acquired(pattern()))  # without a basis the result is in voxels


class TestArtifacts:
    def test_diffraction_has_no_artifacts(self) -> None:
        good = np.ones(SHAPE, bool)
        assert not find_hot_pixels(pattern(), good, PEAK).any()
        assert not find_aliens(pattern(), good, PEAK)[0].any()

    def test_hot_pixels_are_masked_and_logged(self) -> None:
        counts = pattern()
        counts[5, 3, 4] = 800
        counts[:, 25, 2] = 300
        scan = preprocess(settings(), acquired(counts))
        assert not scan.good[5, 3, 4]
        assert not scan.good[:, 25, 2].any()
        assert any("25 hot pixels" in note and "masked" in note for note in scan.notes)

    def test_hot_pixels_are_kept_on_request_and_logged(self) -> None:
        counts = pattern()
        counts[5, 3, 4] = 800
        scan = preprocess(settings(acquisition={"hot_pixels": "keep"}), acquired(counts))
        assert scan.good.all()
        assert any("kept, as acquisition.hot_pixels says" in note for note in scan.notes)

    def test_a_pixel_that_is_hot_in_some_frames_is_masked_in_all(self) -> None:
        counts = pattern()
        counts[:, 14, 11] += 150  # In the frames of the peak its neighbours are as bright.
        hot = find_hot_pixels(counts, np.ones(SHAPE, bool), PEAK)
        assert hot[:, 14, 11].all()
        assert hot.sum() == SHAPE[0]

    def test_a_hot_pixel_is_no_peak(self) -> None:
        counts = pattern()
        counts[:, 3, 4] = 1e6
        scan = preprocess(settings(acquisition={"crop": "all"}), acquired(counts))
        assert any("peak at [12, 14, 16]" in note for note in scan.notes)

    @pytest.mark.parametrize("seed", range(4))
    def test_a_strained_crystal_has_no_aliens(self, seed: int) -> None:
        """Dislocations make one side much brighter than the other; flares of facets are not other particles."""
        section = {
            "shape": [40, 40, 40],
            "oversampling": 2.2,
            "strains": ["screw", "waves"],
            "detector": {"counts": 3e7},
        }
        made = simulate(settings(seed=seed, simulate=section))
        scan = preprocess(settings(), made)
        assert scan.good.all(), scan.notes

    def test_single_photons_behind_a_filter_are_no_artifacts(self) -> None:
        flux = np.where(abs(np.arange(SHAPE[0]) - PEAK[0]) < 4, 0.01, 1.0)
        counts = np.random.default_rng(3).binomial(pattern().astype(int), flux[:, None, None])
        scan = preprocess(settings(acquisition={"crop": "all"}), acquired(counts, monitor=flux))
        assert scan.good.all(), scan.notes
        assert scan.peak == PEAK

    def test_another_particle_is_found_and_logged(self) -> None:
        counts = pattern()
        counts[2:6, 20:26, 24:30] += np.random.default_rng(2).poisson(60.0, (4, 6, 6))
        mask, regions = find_aliens(counts, np.ones(SHAPE, bool), PEAK)
        assert mask[3:5, 21:25, 25:29].all()
        assert len(regions) == 1
        assert np.abs(np.array(regions[0].centre) - (3.5, 22.5, 26.5)).max() < 1.5
        assert mask.sum() < 0.05 * mask.size

    def test_counts_are_normalized_by_the_monitor(self) -> None:
        monitor = 1000 + 300 * np.sin(np.arange(SHAPE[0]))
        dimmed = pattern() * (monitor / monitor.mean())[:, None, None]
        scan = preprocess(settings(), acquired(dimmed, monitor=monitor))
        np.testing.assert_allclose(scan.normalized_counts, pattern(), rtol=1e-5)
        np.testing.assert_allclose(scan.counts, dimmed, rtol=1e-5)  # The counts themselves are not scaled.
        joined = preprocess(settings(acquisition={"crop": "all", "bin": [2, 1, 1]}), acquired(dimmed, monitor=monitor))
        np.testing.assert_allclose(joined.exposure, (monitor / monitor.mean()).reshape(-1, 2).mean(axis=1))


class TestOversampling:
    @pytest.mark.parametrize("width", [2.5, 3.5, 5.0])
    def test_a_box_is_measured(self, width: float) -> None:
        oversampling = estimate_oversampling(pattern((48, 48, 48), (24, 24, 24), width), np.ones((48, 48, 48), bool))
        assert all(oversampling.is_sufficient)
        for ratio in oversampling.ratio:
            assert width * 0.95 <= ratio <= width * 1.25

    def test_less_than_two_is_named(self, caplog: pytest.LogCaptureFixture) -> None:
        scan = preprocess(settings(), acquired(pattern((48, 48, 48), (24, 24, 24), 1.5)))
        assert scan.sampling.is_sufficient == (False, False, False)
        assert any("oversampling is below 2 along frame and y and x" in note for note in scan.notes)

    def test_a_mask_over_the_peak_does_not_accuse_the_sampling(self) -> None:
        mask = np.zeros((48, 48), np.uint8)
        mask[23:25] = 1  # A gap of the detector.
        scan = preprocess(settings(), acquired(pattern((48, 48, 48), (24, 24, 24), 3.5), mask=mask))
        assert any("along y cannot be judged" in note for note in scan.notes)
        assert not any("below 2" in note for note in scan.notes)

    def test_planes_of_background_beyond_the_data_do_not_excuse_the_sampling(self) -> None:
        background = np.random.default_rng(1).poisson(0.5, (20, 48, 48))
        counts = pattern((20, 48, 48), (10, 24, 24), 1.4) / 4 + background
        scan = preprocess(settings(acquisition={"crop": [24, 48, 48]}), acquired(np.rint(counts)))
        assert any("below 2" in note for note in scan.notes), scan.notes


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (lambda file: None, 0, ""),
        (FAULTS["energy in eV"][0], 3, "looks like an energy in eV"),
        (FAULTS["no peak"][0], 3, "no peak is in view"),
    ],
    ids=["sound", "energy", "no peak"],
)
def test_check_exits_by_the_state_of_the_data(
    tmp_path: Path, change: Callable[[h5py.File], None], status: int, message: str
) -> None:
    path, config = sound(tmp_path / "scan.h5"), tmp_path / "c.yaml"
    config.write_text("kind: crystal\n", "utf-8")
    with h5py.File(path, "a") as file:
        change(file)
    done = run_here("check", config, path)
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_no_cell_is_phased_and_no_crystal_predicted_as_one(tmp_path: Path) -> None:
    cell = tmp_path / "cell.yaml"
    cell.write_text("kind: cell\n", "utf-8")
    path = sound(tmp_path / "scan.h5")
    phased = run_here("phase", cell, path, "-o", tmp_path / "run")
    assert phased.returncode == 2
    assert "a cell's measurement is not phased by projections; use unflat fit" in phased.stderr
    predicted = run_here("predict", cell, path, "-o", tmp_path / "run")
    assert predicted.returncode == 3
    assert "is an acquisition of a crystal, not of a cell" in predicted.stderr


def test_check_info_and_init_of_a_crystal_import_no_jax(tmp_path: Path) -> None:
    path, config = sound(tmp_path / "scan.h5"), tmp_path / "c.yaml"
    config.write_text("kind: crystal\n", "utf-8")
    code = (
        "import sys\n"
        "from unflat.cli.main import run\n"
        "for words in sys.argv[1:]:\n"
        "    assert run(words.split(';')) == 0\n"
        "print('JAX' if 'jax' in sys.modules else 'NONE')"
    )
    words = [
        f"check;{config};{path}",
        f"info;{path}",
        "init;crystal",
        f"convert;{path};-o;{tmp_path / 'b.h5'};--config;{config}",
    ]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "NONE"


def test_a_recipe_is_written_as_a_list_and_read_again() -> None:
    from unflat.recon.config import dump_commented

    text = dump_commented(settings(phase={"recipe": [{"hio": {"iterations": 30}}, {"er": {"iterations": 5}}]}))
    assert "\n    - hio: {iterations: 30, beta: 0.9, support: {" in text
    assert "\n    - er: {iterations: 5" in text
    import yaml

    assert CrystalSettings.model_validate(yaml.safe_load(text)).phase.recipe[1].er is not None


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("acquisition.crop=[4, 4, 4]", r"is not three sizes of at least 8 \(frame, y, x\)"),
        ("acquisition.crop=[64, 64]", r"'auto' or 'all'"),
        ("acquisition.bin=0", r"three numbers of pixels"),
        ("simulate.strains=[bent]", r"'bent' is none of polynomial, waves"),
        ("simulate.shape=[15, 16, 16]", r"three even numbers of at least 16"),
        ("phase.recipe=[{foo: {iterations: 3}}]", r"foo: unknown key"),
    ],
)
def test_wrong_settings_are_named(assignment: str, message: str) -> None:
    from unflat.recon.experiments.configs import parse_config

    with pytest.raises(ConfigError, match=message):
        parse_config("kind: crystal\n", [assignment])
