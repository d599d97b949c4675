"""Numbers of LEDs that are none, and stacks whose axes are in another order."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from unflat.recon.errors import DataError
from unflat.recon.experiments.cell.illumination import ring_na
from unflat.recon.experiments.cell.read import read
from unflat.recon.experiments.configs import parse_config

ROW_COL = np.array([(row, column) for row in (15, 16, 17) for column in (15, 16, 17)])


def cell(**acquisition: Any) -> Any:
    given = {"wavelength": "515 nm", "numerical_aperture": "0.6", "medium_index": "1.33", "pixel_size": "0.2 um"}
    return parse_config("kind: cell", [f"acquisition.{k}={v}" for k, v in (given | acquisition).items()])


def scan(path: Path, images: np.ndarray | None = None, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["I"] = np.random.default_rng(0).uniform(1, 2, (9, 20, 12)) if images is None else images
        for name, array in arrays.items():
            file[name] = array
    return path


def refusal(path: Path, **acquisition: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(cell(images="/I", **acquisition), path)
    return str(caught.value)


def printed(message: str, key: str) -> str:
    """Value of a setting in a remedy, as it would be pasted."""
    match = re.search(rf"acquisition\.{re.escape(key)}: (\[.+\]|'[^']*'|\S+)", message)
    assert match is not None, message
    return match[1].rstrip(";,")


def test_positions_in_metres_are_no_rows_and_columns(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.h5", leds=(ROW_COL - 16) * 4e-3)
    message = refusal(path, led_grid="{row_col: /leds, height: 80 mm}")
    assert "-0.004 of view 0 is no row of an LED" in message
    positions = printed(message, "led_grid.positions")
    acquisition = read(cell(images="/I", led_grid=f"{{positions: {positions}, height: 80 mm}}"), path)
    by_row = read(
        cell(images="/I", led_grid="{row_col: /row_col, centre: [16, 16], pitch: 4 mm, height: 80 mm}"),
        scan(tmp_path / "b.h5", row_col=ROW_COL),
    )
    np.testing.assert_allclose(acquisition["illumination_na"], by_row["illumination_na"], atol=1e-12)


def test_positions_in_millimetres_need_their_unit(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.h5", leds=(ROW_COL - 16) * 4.1)
    message = refusal(path, led_grid="{row_col: /leds, height: 80 mm}")
    assert printed(message, "led_grid.positions") == "'/leds in mm'"
    assert "these are no metres" in refusal(path, led_grid="{positions: /leds, height: 80 mm}")
    na = read(cell(images="/I", led_grid="{positions: /leds in mm, height: 80 mm}"), path)["illumination_na"]
    np.testing.assert_allclose(na[0, 0], -4.1 / np.sqrt(2 * 4.1**2 + 80**2))


def test_columns_of_a_table_of_leds_are_suggested_with_their_unit(tmp_path: Path) -> None:
    leds = np.column_stack([(ROW_COL - 16) * 4.0, np.full(len(ROW_COL), 80)])
    path = scan(tmp_path / "a.h5", leds=leds)
    np.savetxt(tmp_path / "leds.txt", leds, header="places (row, column, height) in mm")
    grid = "{{positions: {}, height: 80 mm}}"
    plain = read(cell(images="/I", led_grid=grid.format("/leds in mm")), scan(tmp_path / "b.h5", leds=leds[:, :2]))
    for name in ("/leds", "leds.txt"):
        message = refusal(path, led_grid=grid.format(name))
        assert "choose 2 of its 3 columns" in message
        assert "direction of the light" not in message
        columns = printed(message, "led_grid.positions")
        with_unit = printed(refusal(path, led_grid=grid.format(columns)), "led_grid.positions")
        acquisition = read(cell(images="/I", led_grid=grid.format(with_unit)), path)
        np.testing.assert_allclose(acquisition["illumination_na"], plain["illumination_na"])


def test_a_folder_of_images_and_a_table_of_leds_takes_two_attempts(tmp_path: Path) -> None:
    for number in range(9):
        image = np.random.default_rng(number).integers(50, 99, (20, 12)).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"Photo_{number + 1:04d}.tif", image)
    places = (ROW_COL[:, ::-1] - 16) * 4.0
    table = [np.arange(1, 10), *places.T, np.full(9, 80.0)]
    np.savetxt(tmp_path / "led_positions.txt", np.column_stack(table), fmt="%g")
    with pytest.raises(DataError) as caught:
        read(cell(), tmp_path)
    columns = printed(str(caught.value).partition(" with ")[0], "led_grid.positions")
    assert columns == "[led_positions.txt:2 in mm, led_positions.txt:3 in mm]"
    grid = f"{{positions: {columns}, height: 80 mm, row_axis: x, column_axis: y}}"
    na = read(cell(led_grid=grid), tmp_path)["illumination_na"]
    np.testing.assert_allclose(na[0], -4 / np.sqrt(2 * 16 + 6400))
    np.testing.assert_allclose(na[1], [-4 / np.sqrt(16 + 6400), 0], atol=1e-12)


def test_leds_of_an_even_array_about_its_middle_are_at_halves(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.h5", leds=ROW_COL - 15.5)
    na = read(cell(images="/I", led_grid="{row_col: /leds, pitch: 4 mm, height: 80 mm}"), path)["illumination_na"]
    np.testing.assert_allclose(na[0], np.array([-2, -2]) / np.sqrt(8 + 80**2))


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ("size: [17, 32]", "row 17 of view 6 is off the array of 17: rows are counted from 0"),
        ("centre: [16, 16], size: [32, 17]", "column 17 of view 2 is off the array of 17"),
    ],
)
def test_leds_off_the_array_are_refused(tmp_path: Path, grid: str, words: str) -> None:
    assert words in refusal(scan(tmp_path / "a.h5", leds=ROW_COL), led_grid=f"{{row_col: /leds, {grid}}}")


def test_leds_on_one_side_of_the_axis_are_refused_unless_its_place_is_given(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.h5", leds=ROW_COL)
    message = refusal(path, led_grid="{row_col: /leds}")
    assert "rows 15 to 17 and columns 15 to 17 lie on one side of the optical axis" in message
    assert "acquisition.led_grid.centre: [16, 16]" in message
    read(cell(images="/I", led_grid="{row_col: /leds, centre: [16, 16]}"), path)
    read(cell(images="/I", led_grid="{row_col: /leds, centre: [0, 0], height: 200 mm}"), path)


def test_negative_rows_beside_a_middle_in_numbers_from_0_are_refused(tmp_path: Path) -> None:
    message = refusal(scan(tmp_path / "a.h5", leds=ROW_COL - 16), led_grid="{row_col: /leds, centre: [16, 16]}")
    assert "row -1 of view 0 is off the array whose middle is row 16" in message


@pytest.mark.parametrize("order", ["y x view", "y view x"])
def test_images_in_another_order_are_told_by_their_own_axes(tmp_path: Path, order: str) -> None:
    images = np.random.default_rng(0).uniform(1, 2, (9, 20, 12))
    stored = np.moveaxis(images, 0, order.split().index("view"))
    path = scan(tmp_path / "a.h5", stored, leds=ROW_COL)
    grid = "{row_col: /leds, centre: [16, 16]}"
    message = refusal(path, led_grid=grid)
    assert message.startswith(f"{path}:/I: images has 20 views by its first axis, and led_grid.row_col has 9")
    named = printed(message, "images")
    assert named == f"'/I as {order}'"
    np.testing.assert_array_equal(read(cell(images=named, led_grid=grid), path)["images"], images.astype(np.float32))


def test_images_of_matlab_are_told_by_their_own_axes(tmp_path: Path) -> None:
    images = np.random.default_rng(0).uniform(1, 2, (9, 20, 12))
    scipy.io.savemat(tmp_path / "a.mat", {"I": images, "leds": ROW_COL})
    grid = "{row_col: /leds, centre: [16, 16]}"
    named = printed(refusal(tmp_path / "a.mat", led_grid=grid), "images")
    assert named == "'/I as view y x'"
    acquisition = read(cell(images=named, led_grid=grid), tmp_path / "a.mat")
    np.testing.assert_array_equal(acquisition["images"], images.astype(np.float32))


def test_a_ring_of_too_few_directions_names_the_images_axes(tmp_path: Path) -> None:
    images = np.random.default_rng(0).uniform(1, 2, (9, 20, 12))
    path = scan(tmp_path / "a.h5", np.moveaxis(images, 0, -1))
    named = printed(refusal(path, ring="{na: 0.4, count: 9}"), "images")
    acquisition = read(cell(images=named, ring="{na: 0.4, count: 9}"), path)
    np.testing.assert_array_equal(acquisition["images"], images.astype(np.float32))
    np.testing.assert_allclose(acquisition["illumination_na"], ring_na(9, na=0.4, count=9))


def test_a_part_of_an_array_of_too_many_axes_is_named(tmp_path: Path) -> None:
    images = np.random.default_rng(0).uniform(1, 2, (9, 2, 20, 12))
    path = scan(tmp_path / "a.h5", images, leds=ROW_COL)
    grid = "{row_col: /leds, centre: [16, 16]}"
    named = printed(refusal(path, led_grid=grid), "images").replace("0]", "1]")
    assert named == "'/I[:, 1]'"
    expected = images[:, 1].astype(np.float32)
    np.testing.assert_array_equal(read(cell(images=named, led_grid=grid), path)["images"], expected)
    by_name = read(cell(images="/I as view channel y x", channel=1, led_grid=grid), path)
    np.testing.assert_array_equal(by_name["images"], expected)
    with pytest.raises(DataError, match="there is no 2 along an axis of 2"):
        read(cell(images="/I[:, 2]", led_grid=grid), path)


def test_a_table_without_a_row_for_each_image_has_no_remedy_that_cannot_work(tmp_path: Path) -> None:
    message = refusal(scan(tmp_path / "a.h5", leds=ROW_COL[:8]), led_grid="{row_col: /leds}")
    assert "led_grid.row_col has the shape (8, 2); expected (view 9, 2)" in message
    assert " as " not in message


def test_apertures_in_degrees_are_refused(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.h5", angle=np.stack([np.linspace(-30, 30, 9), np.zeros(9)], 1))
    assert "not angles" in refusal(path, illumination_na="/angle")
    with h5py.File(path, "a") as file:
        file["angle"].attrs["units"] = "deg"
    message = refusal(path, illumination_na="/angle")
    assert "its unit 'deg' is no number" in message
    assert "in 1'" not in message
