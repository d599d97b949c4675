"""Exchange of crystals with other programs: CXI for viewers, results of cohere and PyNX."""

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.physics.diffraction.bragg_geometry import real_space_steps
from unflat.recon.errors import DataError
from unflat.recon.experiments.crystal.evaluate import score
from unflat.recon.experiments.crystal.laboratory import LaboratoryFrame, Solution, to_laboratory
from unflat.recon.experiments.crystal.output import MeasurementModel, write_volume_file
from unflat.recon.experiments.truth import read_pair
from unflat.recon.io.detector_frame import detector_frame, on_grid
from unflat.recon.io.phasing_programs import COHERE, on_detector
from unflat.recon.io.result import read_result
from unflat.recon.io.volume_formats import read_volume, save
from unflat.recon.volume import Volume

from ..commands import run_here

SHAPE = (24, 28, 32)
BASIS = np.array([[1.5e7, 3e6, 0.0], [0.0, -2e7, 1e6], [0.0, 0.0, 2.2e7]])
BRAGG = np.array([-8e9, 9e9, 2.4e10])


def density() -> np.ndarray:
    """Build a crystal that differs from its twin and its conjugate, off the middle."""
    z, y, x = (np.arange(n) - n // 2 for n in SHAPE)
    z, y, x = z[:, None, None], y[:, None], x
    inside = (np.abs(z) < 4) & (np.abs(y - 1) < 5) & (np.abs(x) < 6) & (z + y + x < 7)
    phase = 0.6 * np.sin(0.5 * x + 0.2 * z) + 0.02 * y**2 + 0.01 * z * x
    return (inside * np.exp(1j * phase) * (1 + 0.05 * y)).astype(np.complex64)


def counts(of: np.ndarray) -> np.ndarray:
    """Compute the diffraction pattern of a density."""
    return np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(of)))) ** 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder with the volume that phasing writes."""
    folder = tmp_path_factory.mktemp("exchange") / "RUN"
    folder.mkdir()
    solution, frame = Solution(density(), np.abs(density()) > 0), LaboratoryFrame(BASIS, BRAGG)
    seen = MeasurementModel(np.ones((1, 1, 1)), 0.1, np.ones(SHAPE, bool), np.ones(SHAPE[0]))
    write_volume_file(folder / "volume.h5", to_laboratory(solution, frame), solution, frame, seen, {})
    return folder


def like_cohere(folder: Path, of: np.ndarray, **more: np.ndarray) -> Path:
    """Write a density as cohere saves it: its transform to the detector is ifft, its axes are (x, y, frame)."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "image.npy", of.conj().transpose(2, 1, 0))
    for name, array in more.items():
        np.save(folder / f"{name}.npy", array.transpose(2, 1, 0))
    return folder


def like_pynx(path: Path, of: np.ndarray, **changes: Any) -> Path:
    """Write a density in the layout of PyNX: cropped around its support, whose mask it is."""
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 150
        file.attrs.update({"creator": "PyNX", "default": "entry_1"})
        image = file.create_group("entry_1/image_1")
        image["data"] = changes.get("data", of)
        image["mask"] = (np.abs(of) > 0).astype(np.int8)
        image["support"] = h5py.SoftLink("/entry_1/image_1/mask")
        image["data_space"], image["data_type"] = "real", "electron density"
        image["process_1/program"] = "PyNX"
        image["instrument_1/detector_1/distance"] = 1.0
    return path


@pytest.fixture(scope="module")
def path(run: Path) -> Path:
    """Volume of the run, converted to CXI by the command."""
    path = run.parent / "crystal.cxi"
    done = run_here("volume", run, "-o", path)
    assert done.returncode == 0, done.stderr
    return path


class TestCxi:
    def test_default_attributes_lead_to_the_density(self, path: Path) -> None:
        """Viewers follow ``default`` from the root to an NXdata, whose signal and axes must exist."""
        with h5py.File(path) as file:
            assert int(file["cxi_version"][()]) == 150
            node: Any = file
            while "default" in node.attrs and node.attrs["NX_class"] != b"NXdata":
                node = node[node.attrs["default"]]
            assert node.attrs["NX_class"].decode() == "NXdata"
            signal = node[node.attrs["signal"]]
            assert signal.dtype.kind == "c"
            assert [node[axis].shape[0] for axis in node.attrs["axes"].astype(str)] == list(signal.shape)
            assert {node[axis].attrs["units"] for axis in node.attrs["axes"]} == {b"m"}

    def test_every_group_has_its_class_and_every_plot_its_signal(self, path: Path) -> None:
        classes: dict[str, list[str]] = {}

        def visit(name: str, node: Any) -> None:
            if not isinstance(node, h5py.Group):
                return
            classes.setdefault(node.attrs["NX_class"].decode(), []).append(name)
            if node.attrs["NX_class"].decode() == "NXdata":
                signal = node[node.attrs["signal"]]
                assert all(
                    node[axis].shape == (n,)
                    for axis, n in zip(node.attrs["axes"].astype(str), signal.shape, strict=True)
                )

        with h5py.File(path) as file:
            file.visititems(visit)
            titles = {file[f"{name}/title"].asstr()[()] for name in classes["NXdata"] if "title" in file[name]}
        assert {"density", "amplitude", "phase", "displacement", "strain"} <= titles
        assert {"NXentry", "NXdata", "NXprocess", "NXnote", "NXsample", "NXcollection"} <= set(classes)

    def test_datasets_of_pynx_are_there(self, path: Path) -> None:
        with h5py.File(path) as file:
            image = file["entry_1/image_1"]
            assert image["data_space"].asstr()[()] == "real"
            assert image["data_type"].asstr()[()] == "electron density"
            np.testing.assert_array_equal(image["support"], image["mask"])
            np.testing.assert_allclose(image["image_size"], np.array(image["data"].shape) * image["voxel_size"])
            np.testing.assert_allclose(file["entry_1/sample_1/bragg_vector"], BRAGG)
            assert image["process_1/program"].asstr()[()] == "unflat"
            np.testing.assert_array_equal(file["entry_2/image_1/data"], density())

    def test_a_volume_is_read_as_it_was_written(self, path: Path, run: Path) -> None:
        volume, first = read_volume(path), read_volume(run / "volume.h5")
        assert volume.attributes == first.attributes
        assert [(q.name, q.unit) for q in volume.quantities] == [(q.name, q.unit) for q in first.quantities]
        for name, values in first.values.items():
            np.testing.assert_array_equal(volume.values[name], values)
        np.testing.assert_allclose(volume.z, first.z)

    def test_a_cxi_volume_can_be_converted_to_vti(self, path: Path, run: Path) -> None:
        done = run_here("volume", path, "-o", path.with_suffix(".vti"))
        assert done.returncode == 0, done.stderr
        volume, first = read_volume(path.with_suffix(".vti")), read_volume(run / "volume.h5")
        for name in ("amplitude", "phase", "displacement", "strain"):
            np.testing.assert_array_equal(volume.values[name], first.values[name])

    def test_info_names_the_frame(self, path: Path) -> None:
        assert "crystal on the laboratory's frame" in run_here("info", path).stdout

    def test_a_measurement_is_refused_as_a_volume(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "scan.cxi", "w") as file:
            file["entry_1/instrument_1/detector_1/data"] = counts(density())
        with pytest.raises(DataError, match=r"holds no /entry_1/image_1/data.*unflat convert"):
            read_volume(tmp_path / "scan.cxi")


class TestForeign:
    def test_a_density_of_cohere_gives_the_pattern_of_its_own_model(self, tmp_path: Path) -> None:
        """The forward model of cohere, ifft on (x, y, frame), and ours give one pattern."""
        folder = like_cohere(tmp_path / "results", density(), support=np.abs(density()) > 0)
        image = np.load(folder / "image.npy")
        theirs = np.fft.fftshift(np.abs(np.fft.ifftn(np.fft.ifftshift(image), norm="forward"))) ** 2
        volume = read_volume(folder)
        np.testing.assert_allclose(counts(volume.values["density"]), theirs.transpose(2, 1, 0), rtol=1e-4, atol=1e-2)
        np.testing.assert_array_equal(volume.values["density"], density())
        np.testing.assert_array_equal(volume.values["support"], np.abs(density()) > 0)
        assert volume.length_unit == "voxel"
        assert volume.attributes["assumed"] == "axes (x, y, frame), inverse FFT to the detector"

    def test_file_folder_and_hdf5_of_cohere_give_one_density(self, tmp_path: Path) -> None:
        folder = like_cohere(tmp_path / "results", density(), support=np.abs(density()) > 0)
        with h5py.File(tmp_path / "image.h5", "w") as file:
            file["image"], file["support"] = np.load(folder / "image.npy"), np.load(folder / "support.npy")
        for path in (folder / "image.npy", tmp_path / "image.h5"):
            np.testing.assert_array_equal(read_volume(path).values["density"], density())

    @pytest.mark.parametrize("ending", [".cxi", ".npz"])
    def test_pynx_keeps_the_order_and_the_forward_transform(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"result{ending}"
        if ending == ".cxi":
            like_pynx(path, density())
        else:
            np.savez_compressed(path, obj=density(), support=np.abs(density()) > 0)
        volume = read_volume(path)
        np.testing.assert_array_equal(volume.values["density"], density())
        assert volume.attributes["program"] == "PyNX"

    @pytest.mark.parametrize("name", ["modes.cxi", "modes.h5", "modes.npz"])
    def test_the_first_mode_is_the_density_of_a_file_of_modes(self, tmp_path: Path, name: str) -> None:
        path, modes = tmp_path / name, np.stack([density(), density()[::-1]])
        if name.endswith("npz"):
            np.savez(path, obj=modes)
        else:
            like_pynx(path, density(), data=modes)
            with h5py.File(path, "a") as file:
                file["entry_1/data_1"] = h5py.SoftLink("/entry_1/image_1")
                file["entry_1/data_2/data"] = np.array([0.9, 0.1])
        for volume in (read_volume(path), detector_frame(path)):
            assert volume is not None
            np.testing.assert_array_equal(volume.values["density"], density())
            share = "" if name.endswith("npz") else r" \(90 %\)"
            assert re.match(rf"mode 0 of 2{share}, axes \(frame, y, x\)", str(volume.attributes["assumed"]))

    @pytest.mark.parametrize("shape", [(3, 4), (1, 1, 4, 4, 4), (0, 4, 4, 4)])
    def test_an_image_of_other_axes_is_refused(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        path = like_pynx(tmp_path / "a.cxi", density(), data=np.ones(shape, np.complex64))
        with pytest.raises(DataError, match=re.escape(f"of the shape {shape}; a phased crystal is complex")):
            read_volume(path)

    def test_a_cropped_density_is_put_back_on_the_grid(self, tmp_path: Path) -> None:
        cropped = density()[6:-6, 6:-6, 8:-8]
        volume = read_volume(like_pynx(tmp_path / "a.cxi", cropped))
        np.testing.assert_array_equal(on_grid(volume, SHAPE), density())
        np.testing.assert_allclose(counts(on_grid(volume, SHAPE)), counts(density()), rtol=1e-4, atol=1e-2)

    def test_a_grid_that_cuts_the_crystal_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"\d+ % of the density lie outside 6 x 28 x 32 voxels"):
            on_grid(read_volume(like_pynx(tmp_path / "a.cxi", density())), (6, 28, 32))

    def test_other_axes_may_be_named(self, tmp_path: Path) -> None:
        np.save(tmp_path / "image.npy", density().conj())
        volume = detector_frame(tmp_path / "image.npy", ("frame", "y", "x"))
        assert volume is not None
        np.testing.assert_array_equal(volume.values["density"], density())

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((4, 4, 4), complex), r"is 0 everywhere, or not finite"),
            (np.ones((4, 4), complex), r"has the shape \(4, 4\); a crystal is an array of three axes"),
        ],
    )
    def test_arrays_that_are_no_density_are_refused(self, tmp_path: Path, array: np.ndarray, message: str) -> None:
        np.save(tmp_path / "image.npy", array)
        with pytest.raises(DataError, match=message):
            read_volume(tmp_path / "image.npy")

    def test_a_torn_file_is_refused_in_one_line(self, tmp_path: Path) -> None:
        np.save(tmp_path / "image.npy", density())
        whole = (tmp_path / "image.npy").read_bytes()
        (tmp_path / "image.npy").write_bytes(whole[:5000])
        with pytest.raises(DataError, match=r"image\.npy: the file is damaged") as caught:
            read_volume(tmp_path / "image.npy")
        assert "\n" not in str(caught.value)

    def test_a_support_of_another_shape_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"support has the shape \(2, 2, 2\)"):
            on_detector(density(), np.ones((2, 2, 2)), COHERE)


class TestComparing:
    @pytest.mark.parametrize("program", ["cohere", "PyNX", "unflat"])
    def test_a_shifted_crystal_correlates_fully(self, tmp_path: Path, run: Path, program: str) -> None:
        theirs = np.roll(density(), (2, -1, 3), axis=(0, 1, 2)) * np.complex64(3j)
        if program == "cohere":
            path = like_cohere(tmp_path / "results", theirs)
        elif program == "PyNX":
            path = like_pynx(tmp_path / "theirs.cxi", theirs)
        else:
            path = tmp_path / "ours.cxi"
            save(read_volume(run / "volume.h5"), path, detector_frame(run))
        one, other = read_pair(run, path)
        assert score(one, other)["correlation"] > 0.999

    def test_a_conjugate_density_does_not_correlate(self, tmp_path: Path, run: Path) -> None:
        """Neither twin nor shift makes a strained crystal its conjugate: the assumed convention matters."""
        one, other = read_pair(run, like_pynx(tmp_path / "theirs.cxi", density().conj()))
        assert score(one, other)["correlation"] < 0.95

    def test_stored_axes_are_taken_if_only_they_have_the_sizes(self, tmp_path: Path, run: Path) -> None:
        np.save(tmp_path / "image.npy", density().conj())
        one, other = read_pair(run, tmp_path / "image.npy")
        assert other.shape == SHAPE
        assert score(one, other)["correlation"] > 0.999

    def test_evaluate_names_the_assumed_convention(self, tmp_path: Path, run: Path) -> None:
        done = run_here("evaluate", run, like_cohere(tmp_path / "results", density()), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["correlation"] > 0.999
        assert "cohere: taken to be axes (x, y, frame), inverse FFT to the detector" in done.stderr

    def test_a_result_without_that_frame_is_named(self, tmp_path: Path, run: Path) -> None:
        save(read_volume(run / "volume.h5"), tmp_path / "alone.h5")
        with pytest.raises(DataError, match=r"alone\.h5: holds no density on the detector's frame"):
            read_pair(tmp_path / "alone.h5", like_pynx(tmp_path / "theirs.cxi", density()))

    def test_a_folder_of_cohere_is_read_as_a_result(self, tmp_path: Path) -> None:
        volume = read_result(like_cohere(tmp_path / "results", density()))
        assert isinstance(volume, Volume)
        assert "cohere" in run_here("info", tmp_path / "results").stdout


def test_both_frames_have_the_same_crystal_volume(run: Path) -> None:
    """The density on the laboratory frame has the volume of that on the skewed frame."""
    volume, steps = read_volume(run / "volume.h5"), real_space_steps(BASIS, SHAPE)
    cubic = float(np.prod(volume.spacing)) * float((volume.values["support"] > 0).sum())
    skewed = abs(float(np.linalg.det(steps))) * float((np.abs(density()) > 0).sum())
    assert cubic == pytest.approx(skewed, rel=0.1)
