"""Light of a condenser by name, patterns of one row, and LED arrays whose distances stand in the file."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile

from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.cell.illumination import illumination_of
from unflat.recon.experiments.cell.read import read
from unflat.recon.experiments.configs import parse_config

IMAGES = np.random.default_rng(0).uniform(0.8, 1.2, (4, 8, 8)).astype(np.float32)


def cell(*assignments: str) -> Any:
    numbers = {"images": "/I", "wavelength": "0.5 um", "numerical_aperture": 0.5, "medium_index": 1.33}
    numbers |= {"pixel_size": "0.2 um"}
    return parse_config("kind: cell", [f"acquisition.{k}={v}" for k, v in numbers.items()] + list(assignments))


def light(text: str) -> str:
    return f"acquisition.condenser={text}"


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["I"], file["z"], file["angles"] = IMAGES, np.arange(-1.0, 3.0), [270.0, 90, 180, 0]
        file["source_na"], file["pattern"] = [[0.1, 0], [0, 0.1], [-0.2, 0]], [1.0, 2.0, 0.0]
        file["led"], file["pitch"], file["height"] = [[0, 1], [1, 0], [0, -1], [-1, 0]], 4.0, 8.0
        file["height"].attrs["units"] = "cm"
    return tmp_path / "a.h5"


def test_a_stack_of_focus_has_the_same_light_in_every_view(scan: Path) -> None:
    acquisition = read(cell(light("{na: 0.3}"), "acquisition.defocus=/z in um"), scan)
    assert (acquisition["pattern"] == 1).all()
    assert acquisition["pattern"].shape == (4, len(acquisition["source_na"]))
    assert 32 <= len(acquisition["source_na"]) <= 144
    assert 0.28 < np.hypot(*acquisition["source_na"].T).max() < 0.3
    stack = scan.parent / "stack.ome.tif"
    tifffile.imwrite(stack, IMAGES, metadata={"axes": "ZYX", "PhysicalSizeZ": 1.0}, photometric="minisblack")
    acquisition = read(cell(light("{na: 0.3}"), "acquisition.images=/measurement/images"), stack)
    np.testing.assert_allclose(np.diff(acquisition["defocus"]), 1e-6)


def test_four_halves_are_top_bottom_left_and_right(scan: Path) -> None:
    acquisition = read(cell(light("{na: 0.5, shape: half}")), scan)
    illumination = illumination_of(acquisition)
    assert illumination.na.shape == (4, len(acquisition["source_na"]) // 2, 2)  # Only what shines is computed.
    means = illumination.na.mean(axis=1)
    np.testing.assert_allclose(means / 0.5, [[0.424, 0], [-0.424, 0], [0, -0.424], [0, 0.424]], atol=0.005)
    reverse = illumination_of(read(cell(light("{na: 0.5, shape: half, reverse: true}")), scan))
    np.testing.assert_allclose(reverse.na.mean(axis=1), -means, atol=1e-12)
    one = illumination_of(read(cell(light("{na: 0.5, shape: half}"), "acquisition.views=[2]"), scan))
    np.testing.assert_allclose(one.na.mean(axis=1), means[2:3])


def test_angles_of_halves_may_stand_in_the_file_or_the_config(scan: Path) -> None:
    expected = illumination_of(read(cell(light("{na: 0.5, shape: half}")), scan)).na.mean(axis=1)
    for angles in ("/angles in deg", "[270 deg, 90 deg, 180 deg, 0 deg]"):
        acquisition = read(cell(light(f"{{na: 0.5, shape: half, angles: {angles}}}")), scan)
        np.testing.assert_allclose(illumination_of(acquisition).na.mean(axis=1), expected[[3, 2, 1, 0]], atol=1e-12)


def test_an_annulus_is_dark_within(scan: Path) -> None:
    settings = cell(light("{na: 0.4, inner_na: 0.3, shape: annulus, count: 40}"), "acquisition.defocus=/z in um")
    radius = np.hypot(*read(settings, scan)["source_na"].T)
    assert len(radius) == 40
    assert 0.3 < radius.min() < radius.max() < 0.4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{na: 0.3, inner_na: 0.3, shape: annulus}", "inner_na 0.3 is not below na 0.3"),
        ("{na: 0.3, shape: annulus}", "give inner_na, or take shape: disc"),
        ("{na: 0.3, inner_na: 0.1}", "take shape: annulus"),
        ("{na: 0.3, angles: [0 deg]}", "take shape: half instead of disc"),
        ("{na: 0.3, count: 2}", "count 2 is too small"),
    ],
)
def test_condensers_that_contradict_themselves_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cell(light(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{na: 0.3}", "all 4 views have the same light"),
        ("{na: 0.3, shape: half, angles: [0, 180, 90, 270]}", "angles up to 270 rad .* look like degrees"),
        ("{na: 0.3, shape: half, angles: [0 deg, 90 deg]}", r"condenser\.angles has the shape \(2,\)"),
        ("{na: 1.4}", r"source_na\[.*\] with \|na\| = 1\.3"),
    ],
)
def test_light_that_fits_no_views_is_refused(scan: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(cell(light(text)), scan)


def test_other_numbers_of_views_need_their_angles(scan: Path) -> None:
    with h5py.File(scan, "a") as file:
        file["two"] = IMAGES[:2]
    with pytest.raises(DataError, match=r"known for 4 views by default, and the file has 2; give 2 angles"):
        read(cell(light("{na: 0.3, shape: half}"), "acquisition.images=/two"), scan)


def test_a_pattern_of_one_row_serves_for_every_view(scan: Path) -> None:
    settings = cell("acquisition.source_na=/source_na", "acquisition.pattern=/pattern", "acquisition.defocus=/z in um")
    acquisition = read(settings, scan)
    np.testing.assert_array_equal(acquisition["pattern"], [[1, 2, 0]] * 4)
    illumination = illumination_of(acquisition)
    np.testing.assert_allclose(illumination.na[0], [[0.1, 0], [0, 0.1]])
    np.testing.assert_allclose(illumination.weights, [[1, 2]] * 4)


def test_pitch_and_height_of_leds_may_stand_in_the_file(scan: Path) -> None:
    grid = "acquisition.led_grid={row_col: /led, pitch: /pitch in mm, height: /height}"
    na = 4 / np.hypot(4, 80)
    np.testing.assert_allclose(read(cell(grid), scan)["illumination_na"], [[0, na], [na, 0], [0, -na], [-na, 0]])
    with pytest.raises(ConfigError, match="pitch -4 mm is no distance"):
        cell("acquisition.led_grid={row_col: /led, pitch: -4 mm}")
    with pytest.raises(DataError, match=r"led_grid\.height; .* did you mean '/height'"):
        read(cell("acquisition.led_grid={row_col: /led, height: /heigth}"), scan)
