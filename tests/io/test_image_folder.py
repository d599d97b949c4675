"""Folders of images: pictures, kinds of names, numbers in names, several images a file."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from unflat.recon.io.inspect import describe
from unflat.recon.io.name_pattern import NamePattern, missing_numbers
from unflat.recon.io.open import open_tree

from .image_reading import images, refusal

RNG = np.random.default_rng(0)
STACK = RNG.integers(1, 65535, (4, 6, 8)).astype(np.uint16)
COLOUR = RNG.integers(1, 65535, (6, 8, 3)).astype(np.uint16)


def numbers(path: Path, name: str) -> np.ndarray:
    with open_tree(path) as tree:
        array = tree.array(name)
        assert array is not None
        return array.read()


def png(path: Path, image: np.ndarray) -> Path:
    path.write_bytes(imagecodecs.png_encode(image))
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_pictures_are_read_with_all_their_bits(tmp_path: Path, dtype: type) -> None:
    image = STACK[0].astype(dtype)
    np.testing.assert_array_equal(images(png(tmp_path / "a.png", image)), image[None])


def test_colours_of_a_picture_are_chosen_with_all_their_bits(tmp_path: Path) -> None:
    png(tmp_path / "a.png", COLOUR)
    assert "3 channels (0 red, 1 green, 2 blue)" in refusal(tmp_path / "a.png")
    np.testing.assert_array_equal(images(tmp_path / "a.png", channel="green"), COLOUR[None, :, :, 1])


def test_a_grey_picture_that_was_stored_in_colour_is_grey(tmp_path: Path) -> None:
    grey = np.repeat(COLOUR[..., :1], 3, -1)
    np.testing.assert_array_equal(images(png(tmp_path / "a.png", grey)), grey[None, :, :, 0])


def test_transparency_of_a_picture_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    opaque = np.concatenate([np.repeat(COLOUR[..., :1], 3, -1), np.full((6, 8, 1), 9, np.uint16)], -1)
    np.testing.assert_array_equal(images(png(tmp_path / "a.png", opaque)), COLOUR[None, :, :, 0])
    assert "alpha channel is not used" in caplog.text


def test_a_palette_gives_its_colours_or_its_indices(tmp_path: Path) -> None:
    indices = RNG.integers(0, 4, (6, 8)).astype(np.uint8)
    picture = (
        Image.fromarray(indices, "P") if not hasattr(Image, "frombytes") else Image.frombytes("P", (8, 6), indices)
    )
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9])
    picture.save(tmp_path / "a.png")
    assert "4 channels (0 red, 1 green, 2 blue, 3 index)" in refusal(tmp_path / "a.png")
    np.testing.assert_array_equal(images(tmp_path / "a.png", channel="index"), indices[None])
    np.testing.assert_array_equal(images(tmp_path / "a.png", channel="red"), np.array([0, 255, 0, 9])[indices][None])
    picture.putpalette([value for grey in (0, 50, 100, 150) for value in [grey] * 3])
    picture.save(tmp_path / "b.png")
    np.testing.assert_array_equal(images(tmp_path / "b.png"), 50 * indices[None])


def test_bmp_and_jpeg_are_read_and_jpeg_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = np.full((16, 16), 120, np.uint8)
    Image.fromarray(image).save(tmp_path / "a.bmp")
    np.testing.assert_array_equal(images(tmp_path / "a.bmp"), image[None])
    assert not caplog.text
    Image.fromarray(image).save(tmp_path / "a.jpg")
    np.testing.assert_allclose(images(tmp_path / "a.jpg"), image[None], atol=2)
    assert "JPEG is lossy" in caplog.text


def test_a_folder_of_pictures_is_a_stack_without_hidden_files(tmp_path: Path) -> None:
    for number, image in enumerate(STACK):
        png(tmp_path / f"image_{number + 8}.png", image)
        (tmp_path / f"._image_{number}.png").write_bytes(b"\0\5\26\7")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    np.testing.assert_array_equal(images(tmp_path), STACK)
    np.testing.assert_array_equal(images(tmp_path / "image_*.png"), STACK)


def test_images_of_several_kinds_of_names_are_no_views_unless_named(tmp_path: Path) -> None:
    for number, image in enumerate(STACK):
        tifffile.imwrite(tmp_path / f"Image_{number}.tif", image)
    tifffile.imwrite(tmp_path / "Image_1_dark.tif", STACK[0])
    png(tmp_path / "preview.png", STACK[0])
    message = refusal(tmp_path)
    assert "are of 3 kinds: image_#.tif (4), image_#_dark.tif (1), preview.png (1)" in message
    pattern = message.partition("by a pattern, '")[2].partition("'")[0]
    assert pattern == str(tmp_path / "Image_{a}.tif")
    np.testing.assert_array_equal(images(Path(pattern)), STACK)
    assert len(images(tmp_path / "*.tif")) == 5


def test_images_without_numbers_are_views(tmp_path: Path) -> None:
    for name, image in zip(("bottom", "left", "right", "top"), STACK, strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", image)
    np.testing.assert_array_equal(images(tmp_path), STACK)


def test_files_of_several_pages_are_joined(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a_1.tif", STACK[:1], photometric="minisblack")
    tifffile.imwrite(tmp_path / "b_1.tif", STACK[:3], photometric="minisblack")
    tifffile.imwrite(tmp_path / "b_2.tif", STACK[3:].repeat(2, 0), photometric="minisblack")
    joined = images(tmp_path / "b_*.tif")
    np.testing.assert_array_equal(joined, STACK[[0, 1, 2, 3, 3]])


def test_files_of_several_planes_of_focus_are_positions(tmp_path: Path) -> None:
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", STACK, metadata={"axes": "ZYX"})
    assert "2 positions (0 a.ome.tif, 1 b.ome.tif)" in refusal(tmp_path)
    np.testing.assert_array_equal(images(tmp_path, position="b.ome.tif"), STACK)


def test_files_of_another_type_are_named(tmp_path: Path) -> None:
    png(tmp_path / "a_1.png", STACK[0])
    png(tmp_path / "a_2.png", STACK[0].astype(np.uint8))
    assert "a_2.png: the image is uint8; the first of the folder is uint16" in refusal(tmp_path)


def test_a_folder_gives_the_pixel_size_of_its_first_image(tmp_path: Path) -> None:
    for number, image in enumerate(STACK):
        metadata = {"axes": "YX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2}
        tifffile.imwrite(tmp_path / f"a_{number}.ome.tif", image, metadata=metadata)
    np.testing.assert_allclose(numbers(tmp_path, "/instrument/pixel_size"), [0.2e-6, 0.1e-6])


def test_numbers_in_names_are_arrays(tmp_path: Path) -> None:
    places = [(12, 16), (2, 3), (12, 4), (-1, 16)]
    for (row, column), image in zip(places, STACK, strict=True):
        tifffile.imwrite(tmp_path / f"img_y{row:02d}_x{column:02d}.tif", image)
    tifffile.imwrite(tmp_path / "dark.tif", STACK[0])
    path = tmp_path / "img_y{row}_x{column}.tif"
    order = [3, 1, 2, 0]
    np.testing.assert_array_equal(images(path), STACK[order])
    for source in ("/img_y{row}_x{column}.tif", "img_y{row}_x{column}.tif"):
        np.testing.assert_array_equal(images(tmp_path, source), STACK[order])
    np.testing.assert_array_equal(numbers(path, "/led_row_col"), np.array(places)[order])
    np.testing.assert_array_equal(numbers(path, "/name/column"), np.array(places)[order, 1])
    assert any("row  4  float64  = -1, 2, 12, 12" in line for line in describe(path))


def test_columns_may_precede_rows_in_names(tmp_path: Path) -> None:
    for (row, column), image in zip([(1, 5), (0, 7)], STACK, strict=False):
        tifffile.imwrite(tmp_path / f"led_{column}_{row}.tif", image)
    path = tmp_path / "led_{column}_{row}.tif"
    np.testing.assert_array_equal(numbers(path, "/led_row_col"), [[1, 5], [0, 7]])
    np.testing.assert_array_equal(images(path), STACK[:2])


def test_angles_in_names_have_a_unit(tmp_path: Path) -> None:
    for angle, image in zip(("000.0", "012.5", "025.0", "-12.5"), STACK, strict=True):
        tifffile.imwrite(tmp_path / f"angle_{angle}.tif", image)
    path = tmp_path / "angle_{angle in deg}.tif"
    np.testing.assert_array_equal(images(path), STACK[[3, 0, 1, 2]])
    with open_tree(path) as tree:
        array = tree.array("/angle")
        assert array is not None
        assert array.attributes["units"] == "deg"
        np.testing.assert_array_equal(array.read(), [-12.5, 0, 12.5, 25])


def test_missing_images_and_those_left_out_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, image in zip((1, 2, 4, 5), STACK, strict=True):
        tifffile.imwrite(tmp_path / f"led_{number}.tif", image)
    tifffile.imwrite(tmp_path / "dark.tif", STACK[0])
    images(tmp_path / "led_{led}.tif")
    assert "of the images led_1.tif to led_5.tif, number 3 is missing" in caplog.text
    assert "1 images do not fit the pattern, and are not used: dark.tif" in caplog.text


def test_a_missing_led_of_a_grid_is_named() -> None:
    names = [f"led_{row}_{column}.tif" for row in range(5) for column in range(5) if (row, column) != (2, 3)]
    assert missing_numbers(names) == ""  # Two numbers change: only a pattern tells which form a grid.
    assert missing_numbers([f"a{i}.tif" for i in (0, 10, 20, 40)]) == "30"
    assert missing_numbers([f"a{i}.tif" for i in (0, 1, 7, 30)]) == ""


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("img_y{row}_x{column}.tif", "img_y12_x16.tif", (12, 16)),
        ("led_{row}_{column}.png", "led_05_11.png", (5, 11)),
        ("led_{row}_{column}.png", "led_-3_+2.png", (-3, 2)),
        ("scan-{row}-{column}.png", "scan-3-5.png", (3, 5)),
        ("angle_{a}.5.tif", "angle_012.5.tif", (12,)),
        ("angle_{a}.tif", "angle_012.5.tif", (12.5,)),
        ("*_{a}.tif", "run_7_012.tif", (12,)),
        ("img_{a}.tif", "dark_1.tif", None),
        ("img_{a}.tif", "img_1.tiff", None),
    ],
)
def test_names_are_matched(pattern: str, name: str, expected: tuple[float, ...] | None) -> None:
    assert NamePattern(pattern).match(name) == expected


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a_{row}{column}.tif", "without a text between them"),
        ("a_{row}_{row}.tif", "two numbers have one name"),
        ("a_{}.tif", "braces hold a name"),
        ("a_{angle in furlongs}.tif", "unit 'furlongs' is unknown"),
    ],
)
def test_patterns_that_are_none_are_refused(tmp_path: Path, pattern: str, words: str) -> None:
    tifffile.imwrite(tmp_path / "a_1.tif", STACK[0])
    assert words in refusal(tmp_path / pattern)


def test_names_of_one_number_or_of_several_readings_are_refused(tmp_path: Path) -> None:
    for name in ("a_1.tif", "a_01.tif"):
        tifffile.imwrite(tmp_path / name, STACK[0])
    assert "'a_01.tif' and 'a_1.tif' have the same numbers" in refusal(tmp_path / "a_{n}.tif")
    tifffile.imwrite(tmp_path / "b_1.2.3.tif", STACK[0])
    assert "can be read in several ways" in refusal(tmp_path / "b_{row}.{column}.tif")


def test_a_set_of_ome_files_in_a_folder_is_read_once(tmp_path: Path) -> None:
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{}">{}</OME>',
        '<Image ID="Image:{0}" Name="Pos{0}"><Pixels ID="Pixels:{0}" DimensionOrder="XYZCT" Type="uint16" SizeX="8" '
        'SizeY="6" SizeZ="1" SizeC="1" SizeT="2"><Channel ID="Channel:{0}:0" SamplesPerPixel="1"/>'
        '<TiffData FirstT="0" IFD="0" PlaneCount="2"><UUID FileName="s_Pos{0}.ome.tif">urn:uuid:{0}</UUID></TiffData>'
        "</Pixels></Image>",
    )
    both = "".join(xml[1].format(i) for i in range(2))
    for i in range(2):
        part, text = STACK[2 * i : 2 * i + 2], xml[0].format(i, both)
        options: dict[str, Any] = {"metadata": None, "photometric": "minisblack"}
        tifffile.imwrite(tmp_path / f"s_Pos{i}.ome.tif", part, description=text, **options)
    assert "2 positions (0 Pos0, 1 Pos1)" in refusal(tmp_path)
    np.testing.assert_array_equal(images(tmp_path, position="Pos1"), STACK[2:])
