"""Volume files, opened with the readers that other people use, and the command that writes them."""

import gc
import json
import resource
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unflat.cli import sampling
from unflat.cli.main import run
from unflat.physics.rotation import rotation_matrix
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.frame import ModelFrame
from unflat.recon.grid import MOST_SAMPLES, cell_centres
from unflat.recon.io.model_file import write_model
from unflat.recon.io.volume_formats import EXTENSIONS, outline, read_volume, save
from unflat.recon.model import Model, ModelQuantity
from unflat.recon.sampled import Quantity
from unflat.recon.volume import Volume, centred_axis

# mrcfile 1.5 does what NumPy 2.5 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Setting the dtype on a NumPy array:DeprecationWarning")

INDEX = Quantity("refractive_index", "1", "real part of the refractive index")
ABSORPTION = Quantity("absorption", "1", "imaginary part, <positive> -- where light is lost")
SHAPE = (3, 4, 5)
SPACING = (0.3e-6, 0.1e-6, 0.11e-6)


def volume_of(
    quantities: tuple[Quantity, ...] = (INDEX,), seed: int = 0, shape: tuple[int, int, int] = SHAPE
) -> Volume:
    rng = np.random.default_rng(seed)
    z, y, x = (centred_axis(n, d, centre) for n, d, centre in zip(shape, SPACING, (1e-6, -2e-6, 0.0), strict=True))
    values = {q.name: (1.33 + 0.05 * rng.standard_normal(shape)).astype(np.float32) for q in quantities}
    return Volume("cell", z, y, x, values, quantities, {"medium_index": 1.337})


def assert_same(read: Volume, volume: Volume, tolerance: float = 1e-9) -> None:
    for ours, theirs in zip((volume.z, volume.y, volume.x), (read.z, read.y, read.x), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=tolerance * max(SPACING) + tolerance * np.abs(ours).max())
    assert list(read.values) == list(volume.values)
    for name, array in volume.values.items():
        np.testing.assert_array_equal(read.values[name], array)
    assert [(q.name, q.unit) for q in read.quantities] == [(q.name, q.unit) for q in volume.quantities]
    assert read.attributes == volume.attributes
    assert read.kind == volume.kind


class TestRoundTrips:
    @pytest.mark.parametrize("extension", EXTENSIONS)
    @given(
        shape=st.tuples(*[st.integers(1, 6)] * 3),
        spacing=st.tuples(*[st.floats(1e-9, 1e-4)] * 3),
        centre=st.tuples(*[st.floats(-1e-4, 1e-4)] * 3),
        data=st.data(),
    )
    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_a_volume_is_read_as_it_was_written(
        self,
        extension: str,
        shape: tuple[int, int, int],
        spacing: tuple[float, float, float],
        centre: tuple[float, float, float],
        data: st.DataObject,
        tmp_path: Path,
    ) -> None:
        values = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(-10, 10, width=32)))
        z, y, x = (centred_axis(n, d, c) for n, d, c in zip(shape, spacing, centre, strict=True))
        volume = Volume("cell", z, y, x, {INDEX.name: values}, (INDEX,), {"medium_index": 1.337})
        save(volume, tmp_path / f"v{extension}")
        read = read_volume(tmp_path / f"v{extension}")
        np.testing.assert_array_equal(read.main, values)
        # An MRC header is in single precision.
        relative = 1e-6 if extension == ".mrc" else 1e-10
        for ours, theirs, d in zip((z, y, x), (read.z, read.y, read.x), spacing, strict=True):
            np.testing.assert_allclose(
                theirs, ours, rtol=relative, atol=relative * (np.abs(ours).max() + d * len(ours))
            )
        assert read.attributes == volume.attributes

    @pytest.mark.parametrize("extension", [e for e in EXTENSIONS if e != ".mrc"])
    def test_several_quantities_keep_their_order_and_units(self, extension: str, tmp_path: Path) -> None:
        volume = volume_of((INDEX, ABSORPTION, Quantity("a_length", "m", "")))
        save(volume, tmp_path / f"v{extension}")
        read = read_volume(tmp_path / f"v{extension}")
        assert_same(read, volume)
        assert read.quantities == volume.quantities

    def test_mrc_keeps_its_quantity_and_medium(self, tmp_path: Path) -> None:
        save(volume_of(), tmp_path / "v.mrc")
        assert_same(read_volume(tmp_path / "v.mrc"), volume_of(), 1e-6)

    @pytest.mark.parametrize("extension", [".h5", ".npz"])
    def test_complex_volumes(self, extension: str, tmp_path: Path) -> None:
        volume = volume_of()
        density = (volume.main * (1 + 2j)).astype(np.complex64)
        volume = Volume("crystal", volume.z, volume.y, volume.x, {"density": density}, (Quantity("density", "1", ""),))
        save(volume, tmp_path / f"v{extension}")
        np.testing.assert_array_equal(read_volume(tmp_path / f"v{extension}").main, density)
        assert read_volume(tmp_path / f"v{extension}").kind == "crystal"
        with pytest.raises(ConfigError, match="density is complex"):
            save(volume, tmp_path / "v.mrc")


class TestOutlines:
    @pytest.mark.parametrize("extension", [".mrc", ".vti", ".ome.tif"])
    def test_info_shows_grid_quantities_and_units(
        self, extension: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / f"v{extension}"
        save(volume_of(), path)
        assert run(["info", str(path)]) == 0
        shown = capsys.readouterr().out
        assert "volume of a cell\n  3 x 4 x 5 samples (z, y, x), 300 x 100 x 110 nm apart, 0.9 x 0.4 x 0.55 um" in shown
        assert "  refractive_index  float32  [1]" in shown
        assert "medium_index = 1.337" in shown

    @pytest.mark.parametrize("extension", [".mrc", ".vti", ".ome.tif"])
    def test_an_outline_is_the_volume_without_its_samples(self, extension: str, tmp_path: Path) -> None:
        path = tmp_path / f"v{extension}"
        save(volume_of(), path)
        header, read = outline(path), read_volume(path)
        assert header is not None
        assert header.quantities == read.quantities
        assert not header.main.any()
        assert header.main.dtype == read.main.dtype
        for ours, theirs in zip((read.z, read.y, read.x), (header.z, header.y, header.x), strict=True):
            np.testing.assert_array_equal(theirs, ours)

    def test_a_foreign_map_of_another_axis_order_and_no_spacing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with mrcfile.new(tmp_path / "v.mrc") as file:
            file.set_data(np.zeros((2, 3, 4), np.int16))
            file.header.mapc, file.header.mapr, file.header.maps = 3, 2, 1  # Columns along z.
            file.header.cella = (0, 0, 0)
        assert run(["info", str(tmp_path / "v.mrc")]) == 0
        shown = capsys.readouterr().out
        assert "4 x 3 x 2 samples (z, y, x) of unknown spacing" in shown
        assert "value  int16" in shown

    def test_images_have_no_outline(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "v.tif", np.zeros((6, 4, 5), np.uint8), photometric="minisblack")
        assert outline(tmp_path / "v.tif") is None
        assert outline(tmp_path / "v.h5") is None


class TestPublicReaders:
    def test_hdf5_is_a_nexus_plot(self, tmp_path: Path) -> None:
        volume = volume_of((INDEX, ABSORPTION))
        save(volume, tmp_path / "v.h5")
        with h5py.File(tmp_path / "v.h5") as file:
            assert file.attrs["format"].decode() == "unflat-volume"
            assert file.attrs["format_version"].decode() == "1.0"
            assert file.attrs["NX_class"].decode() == "NXroot"
            plot = file[file.attrs["default"]]
            assert plot.name == "/volume"
            assert plot.attrs["NX_class"].decode() == "NXdata"
            assert list(plot.attrs["axes"].astype(str)) == ["z", "y", "x"]
            signal = plot[plot.attrs["signal"]]
            np.testing.assert_array_equal(signal[()], volume.main)
            assert signal.attrs["units"].decode() == "1"
            assert signal.shape == tuple(len(plot[axis]) for axis in plot.attrs["axes"].astype(str))
            assert plot["z"].attrs["units"].decode() == "m"
            np.testing.assert_array_equal(plot["z"][()], volume.z)
            assert signal.compression == "gzip"
            assert signal.shuffle

    def test_silx_finds_the_plot(self, tmp_path: Path) -> None:
        nxdata = pytest.importorskip("silx.io.nxdata", reason="silx is not installed")
        save(volume_of(), tmp_path / "v.h5")
        with h5py.File(tmp_path / "v.h5") as file:
            plot = nxdata.get_default(file)
            assert plot.is_valid
            assert [axis.shape for axis in plot.axes] == [(n,) for n in SHAPE]

    @pytest.mark.parametrize("name", ["v.ome.tif", "v.tif"])
    def test_ome_tiff_carries_physical_sizes_in_micrometres(self, name: str, tmp_path: Path) -> None:
        volume = volume_of((INDEX, ABSORPTION))
        save(volume, tmp_path / name)
        with tifffile.TiffFile(tmp_path / name) as file:
            assert file.is_ome
            series = file.series[0]
            assert series.axes == "CZYX"
            assert series.dtype == np.float32
            np.testing.assert_array_equal(series.asarray()[0], volume.main)
            root = ElementTree.fromstring(file.ome_metadata or "")
        pixels = next(e for e in root.iter() if e.tag.endswith("}Pixels"))
        for axis, size in zip("ZYX", SPACING, strict=True):
            assert float(pixels.attrib[f"PhysicalSize{axis}"]) == pytest.approx(size * 1e6, rel=1e-9)
            assert pixels.attrib[f"PhysicalSize{axis}Unit"] == "µm"
        names = [e.get("Name") for e in root.iter() if e.tag.endswith("}Channel")]
        assert names == ["refractive_index", "absorption"]

    def test_mrc_is_valid_and_in_angstrom(self, tmp_path: Path) -> None:
        volume = volume_of()
        save(volume, tmp_path / "v.mrc")
        assert mrcfile.validate(tmp_path / "v.mrc")
        with mrcfile.open(tmp_path / "v.mrc") as file:
            np.testing.assert_array_equal(file.data, volume.main)
            size = [float(file.voxel_size[axis]) for axis in "zyx"]
            np.testing.assert_allclose(size, np.array(SPACING) * 1e10, rtol=1e-6)
            assert (file.header.mapc, file.header.mapr, file.header.maps) == (1, 2, 3)
            assert file.is_volume()

    def test_vti_is_read_by_vtk(self, tmp_path: Path) -> None:
        vtk = pytest.importorskip("vtk", reason="vtk is not installed")
        from vtk.util.numpy_support import vtk_to_numpy

        volume = volume_of((INDEX, ABSORPTION))
        save(volume, tmp_path / "v.vti")
        reader = vtk.vtkXMLImageDataReader()
        reader.SetFileName(str(tmp_path / "v.vti"))
        reader.Update()
        image = reader.GetOutput()
        assert image.GetDimensions() == SHAPE[::-1]
        np.testing.assert_allclose(image.GetSpacing(), SPACING[::-1])
        np.testing.assert_allclose(image.GetOrigin(), [volume.x[0], volume.y[0], volume.z[0]])
        for name, array in volume.values.items():
            np.testing.assert_array_equal(vtk_to_numpy(image.GetPointData().GetArray(name)).reshape(SHAPE), array)

    def test_vti_follows_the_format(self, tmp_path: Path) -> None:
        """Without VTK: the XML, and the bytes at the offsets that it names."""
        volume = volume_of((INDEX, ABSORPTION))
        save(volume, tmp_path / "v.vti")
        raw = (tmp_path / "v.vti").read_bytes()
        head, _, appended = raw.partition(b'<AppendedData encoding="raw">')
        root = ElementTree.fromstring(head + b"</VTKFile>")
        assert root.attrib == {
            "type": "ImageData",
            "version": "1.0",
            "byte_order": "LittleEndian",
            "header_type": "UInt64",
        }
        assert root[0].attrib["WholeExtent"] == "0 4 0 3 0 2"
        data = appended[appended.index(b"_") + 1 :]
        for entry in root.iter("DataArray"):
            start = int(entry.attrib["offset"])
            length = int.from_bytes(data[start : start + 8], "little")
            assert length == 4 * np.prod(SHAPE)
            array = np.frombuffer(data[start + 8 : start + 8 + length], "<f4").reshape(SHAPE)
            np.testing.assert_array_equal(array, volume.values[entry.attrib["Name"]])
        assert raw.endswith(b"\n</AppendedData></VTKFile>\n")

    def test_npz_needs_no_pickle(self, tmp_path: Path) -> None:
        volume = volume_of()
        save(volume, tmp_path / "v.npz")
        with np.load(tmp_path / "v.npz", allow_pickle=False) as archive:
            np.testing.assert_array_equal(archive["refractive_index"], volume.main)
            np.testing.assert_array_equal(archive["z"], volume.z)
            assert json.loads(str(archive["unflat"]))["attributes"] == {"medium_index": 1.337}


class TestForeignFiles:
    @pytest.mark.parametrize("extension", [e for e in EXTENSIONS if not e.endswith(".zarr")])
    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
    def test_a_torn_file_is_refused(self, extension: str, share: float, tmp_path: Path) -> None:
        path = tmp_path / f"v{extension}"
        save(volume_of(shape=(9, 40, 40)), path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match=rf"v{extension}"):
            read_volume(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="there is no such file"):
            read_volume(tmp_path / "absent.h5")
        with pytest.raises(ConfigError, match=r"has no extension of a volume file; use one of \.h5"):
            read_volume(tmp_path / "v.doc")
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["x"] = 1.0
        with pytest.raises(DataError, match="holds no volume"):
            read_volume(tmp_path / "a.h5")

    def test_a_plain_stack_is_in_voxels_without_a_spacing(self, tmp_path: Path) -> None:
        stack = np.random.default_rng(0).random(SHAPE).astype(np.float32)
        tifffile.imwrite(tmp_path / "raw.tif", stack, photometric="minisblack")
        assert read_volume(tmp_path / "raw.tif").length_unit == "voxel"
        volume = read_volume(tmp_path / "raw.tif", SPACING)
        np.testing.assert_array_equal(volume.main, stack)
        np.testing.assert_allclose(volume.y, centred_axis(4, 0.1e-6))
        with pytest.raises(ConfigError, match="three positive lengths"):
            read_volume(tmp_path / "raw.tif", (1e-6, 0, 1e-6))

    def test_a_spacing_that_is_given_replaces_the_files_own(self, tmp_path: Path) -> None:
        save(volume_of(), tmp_path / "v.h5")
        np.testing.assert_allclose(read_volume(tmp_path / "v.h5", (1e-6,) * 3).spacing, 1e-6)

    def test_the_truth_in_an_acquisition_is_a_volume(self, tmp_path: Path) -> None:
        from unflat.recon.io.volume_hdf5 import write_group

        with h5py.File(tmp_path / "scan.h5", "w") as file:
            file.attrs["kind"] = "cell"
            write_group(file.create_group("truth"), volume_of())
        assert_same(read_volume(tmp_path / "scan.h5"), volume_of())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda g: g.pop("y"), "/volume/y: is missing"),
            (lambda g: g["x"].write_direct(np.zeros(5)), "not a rising row"),
            (lambda g: g["x"].write_direct(np.array([0, 1, 2, 3, 9.0])), "not evenly spaced"),
            (lambda g: g["z"].attrs.update({"units": "furlong"}), "furlong"),
            (lambda g: g.create_dataset("flat", data=np.zeros((4, 5))), r"\(4, 5\)"),
            (lambda g: g.pop("refractive_index"), "holds no quantity"),
        ],
    )
    def test_a_bad_group_is_refused_with_its_path(self, change: object, message: str, tmp_path: Path) -> None:
        save(volume_of(), tmp_path / "v.h5")
        with h5py.File(tmp_path / "v.h5", "a") as file:
            change(file["volume"])  # type: ignore[operator]
        with pytest.raises(DataError, match=message) as caught:
            read_volume(tmp_path / "v.h5")
        assert "v.h5:/volume" in str(caught.value)

    def test_axes_in_micrometres_become_metres(self, tmp_path: Path) -> None:
        save(volume_of(), tmp_path / "v.h5")
        with h5py.File(tmp_path / "v.h5", "a") as file:
            for axis in "zyx":
                file["volume"][axis][...] *= 1e6
                file["volume"][axis].attrs["units"] = "um"
        np.testing.assert_allclose(read_volume(tmp_path / "v.h5").spacing, SPACING)

    def test_the_axes_of_a_map_are_reordered(self, tmp_path: Path) -> None:
        data = np.random.default_rng(0).random(SHAPE).astype(np.float32)
        with mrcfile.new(tmp_path / "m.mrc") as file:
            file.set_data(np.ascontiguousarray(data.transpose(2, 0, 1)))  # sections x, rows z, columns y
            file.set_volume()
            file.header.mapc, file.header.mapr, file.header.maps = 2, 3, 1
            file.header.mx, file.header.my, file.header.mz = 5, 4, 3
            file.header.cella = (5 * 1100, 4 * 1000, 3 * 3000)
        volume = read_volume(tmp_path / "m.mrc")
        np.testing.assert_array_equal(volume.main, data)
        np.testing.assert_allclose(volume.spacing, SPACING, rtol=1e-6)

    def test_the_real_phantom(self, shared_data: Path) -> None:
        volume = read_volume(shared_data / "cells" / "ssnp_phantom.tif", (0.1e-6,) * 3)
        assert min(volume.shape) > 50

    def test_formats_of_one_quantity_refuse_two(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"holds one quantity, not 2 .*; choose one with --quantity"):
            save(volume_of((INDEX, ABSORPTION)), tmp_path / "v.mrc")
        assert not list(tmp_path.iterdir())


def test_cells_fill_the_space_between_two_ends() -> None:
    np.testing.assert_allclose(cell_centres(-1, 1, 0.5), [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(cell_centres(0, 1, 0.4), [0.3, 0.7])
    np.testing.assert_allclose(cell_centres(0, 1, 7), [0.5])
    for low, high, spacing in ((1, 0, 0.1), (0, 1, 0), (0, 1, float("nan")), (0, 1, 0.1 / MOST_SAMPLES)):
        with pytest.raises(ConfigError):
            cell_centres(low, high, spacing)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    architecture = {
        "type": "pyramid",
        "version": 1,
        "levels": [[4, 4, 4], [6, 8, 8]],
        "features": 2,
        "hidden": 4,
        "outputs": 2,
        "sign": "any",
    }
    rng = np.random.default_rng(0)
    shapes = {"grid_0": (2, 4, 4, 4), "grid_1": (2, 6, 8, 8), "decoder/w0": (4, 4), "decoder/b0": (4,)}
    shapes |= {"decoder/w1": (4, 2), "decoder/b1": (2,)}
    weights = {n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    frame = ModelFrame((-1e-6, -2e-6, -2e-6), (1e-6, 2e-6, 2e-6), (0.5e-6, 0.25e-6, 0.25e-6), {"medium_index": 1.33})
    quantities = (ModelQuantity("refractive_index", "1", "", 1.33, 0.05), ModelQuantity("absorption", "1", "", 0, 0.01))
    made = Model(architecture, weights, frame, quantities, "cell")
    write_model(made, tmp_path / "model.h5")
    return made


class TestCommand:
    @pytest.mark.parametrize("extension", EXTENSIONS)
    def test_volume_writes_every_format(
        self, extension: str, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / f"v{extension}"
        assert run(["volume", str(tmp_path), "-o", str(path)]) == 0
        captured = capsys.readouterr()
        assert f"wrote {path}" in captured.out
        assert "4 x 16 x 16 samples (z, y, x), 0.5 x 0.25 x 0.25 um apart" in captured.out
        volume = read_volume(path)
        np.testing.assert_allclose(volume.main, model.sample(volume.z, volume.y, volume.x), atol=1e-6)
        np.testing.assert_allclose(volume.z, [-0.75e-6, -0.25e-6, 0.25e-6, 0.75e-6], rtol=1e-6)
        assert ("one quantity: refractive_index" in captured.err) == (extension == ".mrc")
        assert run(["volume", str(tmp_path), "-o", str(path)]) == 2
        assert run(["volume", str(tmp_path), "-o", str(path), "--force"]) == 0

    def test_spacing_and_region(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "v.h5"
        words = ["volume", str(tmp_path), "-o", str(path), "--spacing", "0.4um, 50 nm,1e-7"]
        assert run([*words, "--region", ":,-0.5um:0.5um,1 um:", "--quantity", "absorption"]) == 0
        volume = read_volume(path)
        assert list(volume.values) == ["absorption"]
        assert volume.shape == (5, 20, 10)
        np.testing.assert_allclose(volume.spacing, (0.4e-6, 50e-9, 100e-9))
        np.testing.assert_allclose([volume.y[0], volume.x[0], volume.x[-1]], [-0.475e-6, 1.05e-6, 1.95e-6])
        expected = model.sample(volume.z, volume.y, volume.x, "absorption")
        np.testing.assert_allclose(volume.main, expected, atol=1e-7)

    def test_samples_of_another_volume_and_rotations(self, model: Model, tmp_path: Path) -> None:
        like = volume_of()
        save(like, tmp_path / "like.tif")
        path = tmp_path / "v.npz"
        words = ["volume", str(tmp_path / "model.h5"), "-o", str(path), "--like", str(tmp_path / "like.tif")]
        assert run([*words, "--rotate", "y 30 deg", "--rotate", "1,0,1 0.2"]) == 0
        volume = read_volume(path)
        np.testing.assert_allclose(volume.y, like.y)
        # The value at a laboratory point is the field's at the specimen point that was turned there.
        turn = rotation_matrix((1, 0, 1), 0.2) @ rotation_matrix((0, 1, 0), np.pi / 6)
        laboratory = np.stack(np.meshgrid(volume.z, volume.y, volume.x, indexing="ij"), axis=-1).reshape(-1, 3)
        specimen = np.linalg.solve(turn, laboratory.T).T
        np.testing.assert_allclose(volume.main.ravel(), model(specimen), atol=1e-6)
        assert run([*words, "--force", "--spacing", "1um"]) == 2

    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            (["--spacing", "1 kg"], 2, "kg"),
            (["--spacing", "30 deg"], 2, "a length such as"),
            (["--spacing", "0"], 2, "not one positive length"),
            (["--spacing", "1um,2um"], 2, "or three"),
            (["--spacing", "0.3"], 2, "0.3 m along z is larger than the model's box, 2 um; a plain number is metres"),
            (["--spacing", "1um,5um,1um"], 2, "5 um along y is larger than the model's box, 4 um"),
            (["--spacing", "1e-15"], 2, "take a larger spacing"),
            (["--region", "0:1"], 2, "three ranges"),
            (["--region", "1um:0um,:,:"], 2, "nothing lies between"),
            (["--rotate", "sideways 3"], 2, "not an axis and an angle"),
            (["--rotate", "z 3 um"], 2, "an angle such as"),
            (["--rotate", "0,0,0 30deg"], 2, "no direction"),
            (["--quantity", "density"], 2, "there are 0 (refractive_index), 1 (absorption)"),
            (["-o", "v.doc"], 2, "has no extension of a volume file"),
            (["-o", "absent/v.h5"], 3, "there is no folder"),
        ],
    )
    def test_invalid_options_are_refused(
        self,
        words: list[str],
        status: int,
        message: str,
        model: Model,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert run(["volume", "model.h5", "-o", "v.h5", *words]) == status
        assert message in " ".join(capsys.readouterr().err.split())
        assert [p.name for p in tmp_path.iterdir()] == ["model.h5"]

    def test_a_grid_larger_than_memory_is_refused(
        self, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sampling, "available_memory", lambda: 1 << 30)
        words = ["volume", str(tmp_path), "-o", str(tmp_path / "v.h5"), "--spacing", "2 nm"]
        assert run(words) == 4
        error = capsys.readouterr().err
        assert "1000 x 2000 x 2000 samples" in error
        assert "take a larger --spacing" in error

    def test_long_work_shows_its_progress(
        self, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sampling, "PROGRESS_SECONDS", 0.0)
        assert run(["volume", str(tmp_path), "-o", str(tmp_path / "v.h5")]) == 0
        assert "sampling: 1024/1024" in capsys.readouterr().err

    def test_the_default_grid_has_the_spacing_of_the_finest_level(self, model: Model) -> None:
        bare = replace(model, frame=ModelFrame(model.frame.low, model.frame.high))
        assert bare.grid().shape == (3, 5, 5)


@pytest.mark.parametrize("extension", [".vti", ".ome.tif", ".npz", ".h5"])
@pytest.mark.parametrize("lacking", [1, 300, 50_000])
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, extension: str, lacking: int) -> None:
    """A disk that lacks only the last few bytes counts, which NumPy's own writer does not notice."""
    volume = volume_of(shape=(20, 30, 40))
    save(volume, tmp_path / f"whole{extension}")
    size = (tmp_path / f"whole{extension}").stat().st_size
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - lacking, former[1]))
    try:
        with pytest.raises(DataError, match=f"torn{extension}: cannot be written: the file is larger than this system"):
            save(volume, tmp_path / f"torn{extension}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert [file.name for file in tmp_path.iterdir()] == [f"whole{extension}"]


def test_a_full_disk_leaves_no_stream_to_be_flushed(tmp_path: Path) -> None:
    """An open stream is flushed when it is collected, and Python 3.13 then prints a warning."""
    volume, path = volume_of(shape=(2, 3, 4)), tmp_path / "v.mrc"  # So small that it waits in the stream's buffer.
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, former[1]))
    try:
        with pytest.raises(DataError, match="cannot be written"):
            save(volume, path)
        gc.collect()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_the_kind_is_that_of_the_caller_if_the_file_has_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", values=np.ones(SHAPE))
    assert read_volume(tmp_path / "v.npz", SPACING).kind == ""
    assert read_volume(tmp_path / "v.npz", SPACING, "crystal").kind == "crystal"
    save(volume_of(), tmp_path / "own.npz")
    assert read_volume(tmp_path / "own.npz", kind="crystal").kind == "cell"


def test_an_unknown_kind_is_written_as_unknown(tmp_path: Path) -> None:
    volume = volume_of()
    volume = Volume("", volume.z, volume.y, volume.x, volume.values, volume.quantities)
    for extension in EXTENSIONS:
        save(volume, tmp_path / f"v{extension}")
        assert read_volume(tmp_path / f"v{extension}", kind="shape").kind == "shape"


@pytest.mark.parametrize("extension", [".h5", ".ome.tif", ".mrc", ".vti", ".npz", ".cxi", ".ome.zarr"])
@pytest.mark.parametrize("step", [1.0, 2.5])
def test_voxels_of_unknown_size_have_no_physical_size(tmp_path: Path, extension: str, step: float) -> None:
    z, y, x = (step * (np.arange(n) - (n - 1) / 2) for n in SHAPE)
    values = {"occupancy": np.random.default_rng(0).random(SHAPE).astype(np.float32)}
    volume = Volume("shape", z, y, x, values, (Quantity("occupancy", "1", ""),), {"row_min": 14.0}, "voxel")
    path = tmp_path / f"a{extension}"
    save(volume, path)
    read = read_volume(path)
    assert read.length_unit == "voxel"
    assert read.spacing == pytest.approx((step,) * 3)
    if extension != ".cxi":  # Whose images are centred on the origin.
        np.testing.assert_allclose(read.x, x)
    known = read_volume(path, (1e-7, 1e-7, 1e-7))
    assert known.length_unit == "m"
    assert known.spacing == pytest.approx((1e-7,) * 3)
    if extension == ".ome.tif":
        with tifffile.TiffFile(path) as tiff:
            assert 'PhysicalSizeXUnit="pixel"' in str(tiff.ome_metadata)
    if extension == ".mrc":
        with mrcfile.open(path) as file:
            assert float(file.voxel_size.x) == 0


class TestOmeZarr:
    def test_other_programs_see_the_place_and_the_scale(self, tmp_path: Path) -> None:
        zarr = pytest.importorskip("zarr")
        volume = volume_of((INDEX, ABSORPTION))
        save(volume, tmp_path / "a.ome.zarr")
        described = dict(zarr.open_group(tmp_path / "a.ome.zarr", mode="r").attrs)["ome"]
        assert described["version"] == "0.5"
        shown = {channel["label"]: channel["active"] for channel in described["omero"]["channels"]}
        assert shown == {INDEX.name: True, ABSORPTION.name: False}  # All at once, and white, nothing could be told.
        (image,) = described["multiscales"]
        assert [(axis["name"], axis.get("unit")) for axis in image["axes"]] == [
            ("c", None),
            *((axis, "micrometer") for axis in "zyx"),
        ]
        scale, translation = image["datasets"][0]["coordinateTransformations"]
        assert scale["scale"] == pytest.approx([1, 0.3, 0.1, 0.11])
        first = [axis[0] * 1e6 for axis in volume.grid.axes]
        assert translation["translation"] == pytest.approx([0, *first])

    def test_copies_of_half_the_resolution_lie_on_the_specimen(self, tmp_path: Path) -> None:
        zarr = pytest.importorskip("zarr")
        x = centred_axis(301, 0.1e-6)
        ramp = np.broadcast_to(x * 1e6, (2, 3, 301)).astype(np.float32)
        y, z = centred_axis(3, 0.1e-6), centred_axis(2, 0.1e-6)
        save(Volume("cell", z, y, x, {INDEX.name: ramp}, (INDEX,)), tmp_path / "a.zarr")
        group = zarr.open_group(tmp_path / "a.zarr", mode="r")
        datasets = dict(group.attrs)["ome"]["multiscales"][0]["datasets"]
        assert len(datasets) == 3
        for dataset in datasets:
            scale, translation = (each[each["type"]] for each in dataset["coordinateTransformations"])
            samples = group[dataset["path"]][0, 0, 0]
            places = translation[3] + scale[3] * np.arange(len(samples))
            # The value is the position; the last sample of an odd number has itself as its neighbour.
            np.testing.assert_allclose(samples[:-1], places[:-1], atol=2e-5)

    def test_labels_are_not_averaged(self, tmp_path: Path) -> None:
        zarr = pytest.importorskip("zarr")
        labels = np.random.default_rng(0).choice([0, 7, 200], (2, 2, 400)).astype(np.uint16)
        z, y, x = (centred_axis(n, 1e-7) for n in labels.shape)
        save(Volume("", z, y, x, {"value": labels}, (Quantity("value", "1", ""),)), tmp_path / "a.zarr")
        group = zarr.open_group(tmp_path / "a.zarr", mode="r")
        assert {*np.unique(group["1"][...])} <= {0, 7, 200}
        np.testing.assert_array_equal(read_volume(tmp_path / "a.zarr").main, labels)

    def test_a_store_is_replaced_whole_and_nothing_else_is(self, tmp_path: Path) -> None:
        pytest.importorskip("zarr")
        first, second = volume_of(seed=1), volume_of(seed=2)
        save(first, tmp_path / "a.ome.zarr")
        with pytest.raises(ConfigError, match="complex"):
            save(replace(first, values={INDEX.name: first.main + 1j}), tmp_path / "a.ome.zarr")
        assert_same(read_volume(tmp_path / "a.ome.zarr"), first)
        save(second, tmp_path / "a.ome.zarr")
        assert_same(read_volume(tmp_path / "a.ome.zarr"), second)
        assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]
        (tmp_path / "b.zarr").mkdir()
        (tmp_path / "b.zarr" / "thesis.tex").write_text("years of work")
        with pytest.raises(DataError, match="something else is there"):
            save(first, tmp_path / "b.zarr")
        assert (tmp_path / "b.zarr" / "thesis.tex").is_file()

    @pytest.mark.parametrize("damage", ["gone", "torn"])
    def test_a_store_that_has_lost_a_chunk_is_refused(self, damage: str, tmp_path: Path) -> None:
        pytest.importorskip("zarr")
        empty = replace(volume_of(), values={INDEX.name: np.zeros(SHAPE, np.float32)})
        save(empty, tmp_path / "a.ome.zarr")
        assert_same(read_volume(tmp_path / "a.ome.zarr"), empty)
        (chunk,) = (path for path in (tmp_path / "a.ome.zarr" / "0" / "c").rglob("*") if path.is_file())
        if damage == "gone":
            chunk.unlink()
        else:
            chunk.write_bytes(chunk.read_bytes()[:8])
        with pytest.raises(DataError, match=r"a\.ome\.zarr.*(not stored|damaged)"):
            read_volume(tmp_path / "a.ome.zarr")

    def test_the_command_writes_one_that_other_commands_read(self, tmp_path: Path) -> None:
        pytest.importorskip("zarr")
        save(volume_of(), tmp_path / "a.h5")
        target = str(tmp_path / "a.ome.zarr")
        assert run(["volume", str(tmp_path / "a.h5"), "-o", target]) == 0
        assert run(["volume", str(tmp_path / "a.h5"), "-o", target]) == 2  # It is there already.
        assert run(["volume", str(tmp_path / "a.h5"), "-o", target, "--force"]) == 0
        assert run(["info", target]) == 0
        assert run(["render", target, "-o", str(tmp_path / "a.svg")]) == 0
        assert_same(read_volume(target), volume_of())
