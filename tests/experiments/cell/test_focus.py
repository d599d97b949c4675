"""Planes of focus from image files, and views that nothing tells apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.cell.read import read
from unflat.recon.experiments.configs import parse_config

STACK = np.random.default_rng(0).integers(1, 999, (5, 6, 8)).astype(np.uint16)
SIZES = {"PhysicalSizeX": 0.4, "PhysicalSizeY": 0.4, "PhysicalSizeZ": 1.0}


def cell(**acquisition: Any) -> Any:
    given = {"wavelength": "532 nm", "numerical_aperture": "0.5", "medium_index": "1.33"} | acquisition
    return parse_config("kind: cell", [f"acquisition.{k}={v}" for k, v in given.items()])


def focus_stack(folder: Path, **metadata: Any) -> Path:
    tifffile.imwrite(folder / "a.ome.tif", STACK, metadata={"axes": "ZYX", **SIZES, **metadata})
    return folder / "a.ome.tif"


def test_a_stack_of_focus_takes_its_planes_from_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = focus_stack(tmp_path)
    acquisition = read(cell(illumination="normal"), path)
    np.testing.assert_allclose(acquisition["defocus"], np.arange(-2, 3) * 1e-6)
    assert "-2 … 2 um along the light in the order of its planes" in caplog.text
    reverse = read(cell(illumination="normal", reverse_defocus="true"), path)
    np.testing.assert_allclose(reverse["defocus"], np.arange(2, -3, -1) * 1e-6)
    some = read(cell(illumination="normal", views="'1:4'"), path)
    np.testing.assert_allclose(some["defocus"], np.arange(-1, 2) * 1e-6)


def test_an_imagej_stack_of_focus_takes_its_planes_too(tmp_path: Path) -> None:
    calibration = {"unit": "micron", "spacing": 0.5, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(2.5, 2.5), metadata=calibration)
    acquisition = read(cell(illumination="normal"), tmp_path / "a.tif")
    np.testing.assert_allclose(acquisition["defocus"], np.arange(-2, 3) * 0.5e-6)
    np.testing.assert_allclose(acquisition["pixel_size"], 0.4e-6)


def test_the_config_precedes_the_file(tmp_path: Path) -> None:
    planes = "['0 um', '1 um', '2 um', '3 um', '4 um']"
    acquisition = read(cell(illumination="normal", defocus=planes), focus_stack(tmp_path))
    np.testing.assert_allclose(acquisition["defocus"], np.arange(5) * 1e-6)


def test_a_stack_without_positions_takes_the_step_of_the_config(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack")
    given = {"illumination": "normal", "pixel_size": "0.4 um", "focus_step": "2 um"}
    np.testing.assert_allclose(read(cell(**given), tmp_path / "a.tif")["defocus"], np.arange(-2, 3) * 2e-6)
    some = read(cell(**given, views="[4, 0]", reverse_defocus="true"), tmp_path / "a.tif")
    np.testing.assert_allclose(some["defocus"], [-4e-6, 4e-6])
    with pytest.raises(ConfigError, match="both defocus and focus_step are given"):
        cell(**given, defocus="/z")


def test_views_of_several_lights_are_no_stack_of_focus(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = focus_stack(tmp_path)
    assert "defocus" not in read(cell(ring="{na: 0.3, count: 5}"), path)
    assert "acquisition.defocus: /plane_z takes the planes" in caplog.text
    acquisition = read(cell(ring="{na: 0.3, count: 5}", defocus="/plane_z"), path)
    np.testing.assert_allclose(acquisition["defocus"], np.arange(-2, 3) * 1e-6)


def test_views_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "TYX", **SIZES})
    with pytest.raises(
        DataError, match=r"all 5 views have the same light \(along the axis\), focus and turn"
    ) as caught:
        read(cell(illumination="normal"), tmp_path / "a.ome.tif")
    assert "acquisition.views: [0]" in str(caught.value)
    assert "acquisition.average_repeats: true" in str(caught.value)
    assert len(read(cell(illumination="normal", views="[0]"), tmp_path / "a.ome.tif")["images"]) == 1
    mean = read(cell(illumination="normal", average_repeats="true"), tmp_path / "a.ome.tif")
    np.testing.assert_allclose(mean["images"], STACK.mean(axis=0, keepdims=True), rtol=1e-6)


def test_repeats_among_other_views_are_named_and_averaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "TYX", **SIZES})
    na = "[[0, 0], [0, 0.2], [0, 0], [0.2, 0], [0, 0.2]]"
    assert len(read(cell(illumination_na=na), tmp_path / "a.ome.tif")["images"]) == 5
    assert "2 of 5 views repeat the light, focus and turn of others (2 of 0, 4 of 1)" in caplog.text
    acquisition = read(cell(illumination_na=na, average_repeats="true"), tmp_path / "a.ome.tif")
    np.testing.assert_allclose(acquisition["illumination_na"], [[0, 0], [0, 0.2], [0.2, 0]])
    means = [STACK[[0, 2]].mean(axis=0), STACK[[1, 4]].mean(axis=0), STACK[3]]
    np.testing.assert_allclose(acquisition["images"], means, rtol=1e-6)


def test_repeats_are_averaged_over_good_pixels() -> None:
    from unflat.recon.experiments.cell.repeated_views import average_repeats

    images, mask = np.array([[[1.0, 5.0]], [[3.0, 7.0]]], np.float32), np.array([[[0, 1]], [[0, 1]]], np.uint8)
    mask[0, 0, 0] = 1
    arrays = {"images": images, "mask": mask, "illumination_na": np.zeros((2, 2))}
    mean = average_repeats(Acquisition("cell", arrays))
    np.testing.assert_allclose(mean["images"], [[[3, 6]]])
    np.testing.assert_array_equal(mean["mask"], [[[0, 1]]])
