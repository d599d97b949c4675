"""Metadata of OME and ImageJ in a TIFF, and the order of file names."""

import math
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unflat.recon.io.file_names import natural_order
from unflat.recon.io.tiff import open_tiff, parse_ome, read_metadata

OME = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image><Pixels {}/></Image></OME>'


def test_sizes_without_a_unit_are_in_micrometres() -> None:
    metadata = parse_ome(OME.format('PhysicalSizeX="0.1" PhysicalSizeY="0.12" PhysicalSizeZ="0.3"'))
    np.testing.assert_allclose(metadata.size, (0.3e-6, 0.12e-6, 0.1e-6), rtol=1e-12)
    assert metadata.voxel_size == metadata.size


def test_each_axis_has_its_own_unit() -> None:
    sizes = 'PhysicalSizeX="65" PhysicalSizeXUnit="nm" PhysicalSizeY="0.065" PhysicalSizeYUnit="µm"'
    metadata = parse_ome(OME.format(sizes))
    np.testing.assert_allclose(metadata.size[1:], (65e-9, 65e-9), rtol=1e-12)
    assert metadata.has_pixel_size
    assert metadata.voxel_size is None


@pytest.mark.parametrize(
    ("unit", "metres"),
    [("nm", 1e-9), ("Å", 1e-10), ("mm", 1e-3), ("cm", 1e-2), ("in", 25.4e-3), ("pt", 25.4e-3 / 72), ("thou", 25.4e-6)],
)
def test_units_of_ome(unit: str, metres: float) -> None:
    metadata = parse_ome(OME.format(f'PhysicalSizeX="2" PhysicalSizeXUnit="{unit}"'))
    assert metadata.size[2] == pytest.approx(2 * metres)


def test_a_single_section_without_a_height_is_as_high_as_a_pixel() -> None:
    metadata = parse_ome(OME.format('SizeZ="1" PhysicalSizeX="0.1" PhysicalSizeY="0.12"'))
    assert math.isnan(metadata.size[0])
    np.testing.assert_allclose(metadata.voxel_size or (), (0.12e-6, 0.12e-6, 0.1e-6), rtol=1e-12)


@pytest.mark.parametrize(
    "xml",
    [None, "", "no XML", "<OME/>", OME.format('PhysicalSizeX="1" PhysicalSizeY="1" PhysicalSizeXUnit="pixel"')],
)
def test_sizes_that_are_absent_or_of_no_length_are_unknown(xml: str | None) -> None:
    metadata = parse_ome(xml)
    assert not metadata.has_pixel_size
    assert metadata.voxel_size is None


def test_names_are_ordered_by_their_numbers() -> None:
    names = ["image_10", "image_2", "dark", "image_1"]
    assert sorted(names, key=natural_order) == ["dark", "image_1", "image_2", "image_10"]


def test_imagej_calibrates_pixels_and_slices(tmp_path: Path) -> None:
    stack = np.zeros((3, 4, 5), np.uint16)
    calibration = {"unit": "um", "spacing": 0.4, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, resolution=(10, 5), metadata=calibration)
    with open_tiff(tmp_path / "a.tif") as tiff:
        np.testing.assert_allclose(read_metadata(tiff).size, (0.4e-6, 0.2e-6, 0.1e-6), rtol=1e-12)


def test_resolution_without_a_unit_of_length_is_no_calibration(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint16), resolution=(72, 72), resolutionunit="INCH")
    with open_tiff(tmp_path / "a.tif") as tiff:
        assert not read_metadata(tiff).has_pixel_size
