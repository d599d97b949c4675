"""Series, positions, channels, planes and pages of TIFF files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from unflat.recon.errors import DataError
from unflat.recon.io.image_axes import ImageChoice, take_image
from unflat.recon.io.image_stack import open_images, open_stack
from unflat.recon.io.inspect import describe

from .image_reading import images, refusal

STACK = np.random.default_rng(0).integers(1, 999, (4, 6, 8)).astype(np.uint16)


def appended(path: Path, *arrays: np.ndarray, **options: Any) -> Path:
    for array in arrays:
        tifffile.imwrite(path, array, append=path.exists(), photometric="minisblack", **options)
    return path


@pytest.fixture
def positions(tmp_path: Path) -> Path:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(STACK, metadata={"axes": "TYX", "Name": "run_MMStack_Pos0"})
        writer.write(STACK[::-1].copy(), metadata={"axes": "TYX", "Name": "run_MMStack_Pos1"})
    return tmp_path / "a.ome.tif"


@pytest.fixture
def channels(tmp_path: Path) -> Path:
    names = {"axes": "CTYX", "Channel": {"Name": ["membrane", "DNA"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.stack([STACK, STACK + 1]), metadata=names)
    return tmp_path / "a.ome.tif"


@pytest.mark.parametrize("options", [{}, {"metadata": None}, {"compression": "zlib"}])
def test_pages_that_were_appended_one_by_one_are_one_stack(tmp_path: Path, options: dict[str, Any]) -> None:
    np.testing.assert_array_equal(images(appended(tmp_path / "a.tif", *STACK, **options)), STACK)


def test_appended_stacks_are_one_stack(tmp_path: Path) -> None:
    np.testing.assert_array_equal(images(appended(tmp_path / "a.tif", STACK[:2], STACK[2:3], STACK[3:])), STACK)


def test_pages_of_several_compressions_keep_their_order(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for number, image in enumerate(STACK):
            writer.write(image, compression="zlib" if number % 2 else None, metadata=None)
    np.testing.assert_array_equal(images(tmp_path / "a.tif"), STACK)


def test_positions_are_chosen_by_number_or_name(positions: Path) -> None:
    message = refusal(positions)
    assert "2 positions (0 run_MMStack_Pos0, 1 run_MMStack_Pos1)" in message
    assert "acquisition.position: 0 or acquisition.position: run_MMStack_Pos0" in message
    for position in (1, "run_MMStack_Pos1", "Pos1"):
        np.testing.assert_array_equal(images(positions, position=position), STACK[::-1])
    assert "there is no position 2" in refusal(positions, position=2)
    assert "there is no position 'Pos7'" in refusal(positions, position="Pos7")


def test_channels_are_chosen_by_number_or_name(channels: Path) -> None:
    assert "2 channels (0 membrane, 1 DNA); choose acquisition.channel: 0 or acquisition" in refusal(channels)
    for channel in (1, "DNA", "dna", "1"):
        np.testing.assert_array_equal(images(channels, channel=channel), STACK + 1)


def test_positions_and_channels_are_both_chosen(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for shift in (0, 10):
            writer.write(np.stack([STACK, STACK + 1]) + shift, metadata={"axes": "CTYX"})
    message = refusal(tmp_path / "a.ome.tif")
    assert "acquisition.position: 0" in message
    assert "acquisition.channel: 0" in message
    np.testing.assert_array_equal(images(tmp_path / "a.ome.tif", position=1, channel=1), STACK + 11)


def test_channels_may_be_the_views(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "CYX"})
    assert "'/measurement/images as view y x'" in refusal(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(images(tmp_path / "a.ome.tif", "/measurement/images as view y x"), STACK)


def test_time_or_planes_are_the_views(tmp_path: Path) -> None:
    stack = np.stack([STACK, STACK + 1, STACK + 2])
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata={"axes": "TZYX"})
    message = refusal(tmp_path / "a.ome.tif")
    assert "3 time points x 4 planes of focus, of which one can be the views" in message
    assert "acquisition.time: 0 or acquisition.plane: 0" in message
    np.testing.assert_array_equal(images(tmp_path / "a.ome.tif", time=2), STACK + 2)
    np.testing.assert_array_equal(images(tmp_path / "a.ome.tif", plane=1), stack[:, 1])


def test_colours_are_chosen_unless_they_are_equal(tmp_path: Path) -> None:
    colour = np.stack([STACK // 9, STACK, STACK // 7], -1)
    tifffile.imwrite(tmp_path / "colour.tif", colour, photometric="rgb")
    assert "3 channels (0 red, 1 green, 2 blue)" in refusal(tmp_path / "colour.tif")
    np.testing.assert_array_equal(images(tmp_path / "colour.tif", channel="blue"), STACK // 7)
    tifffile.imwrite(tmp_path / "grey.tif", np.stack([STACK] * 3, -1), photometric="rgb")
    np.testing.assert_array_equal(images(tmp_path / "grey.tif"), STACK)
    np.testing.assert_array_equal(images(tmp_path / "grey.tif", channel="red"), STACK)
    late = np.stack([STACK] * 3, -1)
    late[2, 0, 0] = 1, 2, 3
    tifffile.imwrite(tmp_path / "late.tif", late, photometric="rgb")
    assert "a later one has colours" in refusal(tmp_path / "late.tif")


def test_views_that_were_saved_as_planes_of_colour_can_be_taken(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="rgb", planarconfig="separate")
    assert "take all as views with acquisition.images: '/measurement/images as view y x'" in refusal(tmp_path / "a.tif")
    np.testing.assert_array_equal(images(tmp_path / "a.tif", "/measurement/images as view y x"), STACK)


def test_transparency_is_no_channel(tmp_path: Path) -> None:
    grey = np.stack([STACK, np.full_like(STACK, 65535)], -1)
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric="minisblack", planarconfig="contig", extrasamples=[2])
    np.testing.assert_array_equal(images(tmp_path / "a.tif"), STACK)


@pytest.mark.parametrize("is_ome", [False, True])
def test_numbers_of_a_palette_are_used_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, is_ome: bool) -> None:
    image, path = STACK[0].astype(np.uint8), tmp_path / ("a.ome.tif" if is_ome else "a.tif")
    grey = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, axis=0)
    for colours, words in ((grey, ""), (grey[:, ::-1].copy(), "colours in a palette"), (grey * [[1], [0], [1]], "")):
        tifffile.imwrite(path, image, photometric="palette", colormap=colours.astype(np.uint16))
        caplog.clear()
        np.testing.assert_array_equal(images(path), image[None])
        assert words in caplog.text
    assert "colours in a palette" in caplog.text
    tifffile.imwrite(path, image, photometric="miniswhite")
    np.testing.assert_array_equal(images(path), image[None])
    assert "its 0 is white" in caplog.text


def test_reduced_copies_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK, metadata=None, photometric="minisblack")
        writer.write(STACK[0, ::2, ::2], metadata=None)
    np.testing.assert_array_equal(images(tmp_path / "a.tif"), STACK)
    assert "not used: reduced copy (y 3, x 4)" in caplog.text


def test_levels_of_a_pyramid_are_no_further_images(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(STACK, subifds=1, metadata={"axes": "TYX"})
        writer.write(STACK[:, ::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(images(tmp_path / "a.ome.tif"), STACK)


def test_images_of_several_kinds_are_named(tmp_path: Path) -> None:
    path = appended(tmp_path / "a.tif", STACK, STACK[:, :, :5].copy())
    message = refusal(path)
    assert "images of 2 kinds: /series/0 (view 4, y 6, x 8; uint16), /series/1 (view 4, y 6, x 5; uint16)" in message
    np.testing.assert_array_equal(images(path, "/series/1"), STACK[:, :, :5])
    assert any("1  4 x 6 x 5" in line for line in describe(path))


def test_a_choice_that_a_file_does_not_offer_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack")
    np.testing.assert_array_equal(images(tmp_path / "a.tif", channel=0), STACK)
    assert "acquisition.channel is 2, and images has no channels" in refusal(tmp_path / "a.tif", channel=2)


def test_planes_of_focus_stand_beside_the_images(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeZ": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata=metadata)
    with open_stack(tmp_path / "a.ome.tif") as tree:
        planes = tree.array("/plane_z")
        assert planes is not None
        np.testing.assert_allclose(planes.read(), [-1e-6, -0.5e-6, 0, 0.5e-6])


def test_positions_of_the_stage_precede_the_distance_of_planes(tmp_path: Path) -> None:
    z = [7.0, 6.0, 4.0, 3.0]
    metadata = {"axes": "ZYX", "Plane": {"PositionZ": z, "PositionZUnit": ["µm"] * 4}}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata=metadata)
    with open_stack(tmp_path / "a.ome.tif") as tree:
        planes = tree.array("/plane_z")
        assert planes is not None
        np.testing.assert_allclose(planes.read(), [3e-6, 2e-6, 0, -1e-6], atol=1e-15)


def test_contradictory_distances_of_planes_are_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeZ": 1.0, "Plane": {"PositionZ": [0, 0.5, 1, 1.5]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata=metadata)
    images(tmp_path / "a.ome.tif")
    assert "PositionZ of its planes (0.5 um apart) contradicts PhysicalSizeZ (1 um)" in caplog.text


def test_a_set_of_files_is_read_whole_or_refused(tmp_path: Path) -> None:
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" Name="Pos0"><Pixels '
        'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="8" SizeY="6" SizeZ="1" SizeC="1" SizeT="4">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{}</Pixels></Image></OME>'
    )
    data = '<TiffData FirstT="{}" IFD="{}" PlaneCount="1"><UUID FileName="{}.ome.tif">urn:uuid:{}</UUID></TiffData>'
    parts = "".join(data.format(t, t % 2, "ab"[t // 2], "ab"[t // 2]) for t in range(4))
    for name, part in (("a", STACK[:2]), ("b", STACK[2:])):
        text = xml.format(parts).replace("<OME ", f'<OME UUID="urn:uuid:{name}" ')
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", part, description=text, metadata=None, photometric="minisblack")
    np.testing.assert_array_equal(images(tmp_path / "a.ome.tif"), STACK)
    (tmp_path / "b.ome.tif").unlink()
    assert "2 of 4 images of 'Pos0' are absent" in refusal(tmp_path / "a.ome.tif")


def test_a_section_is_read_with_its_channel(channels: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "b.ome.tif", STACK[:2], metadata={"axes": "CYX", "Channel": {"Name": ["a", "b"]}})
    with open_images(tmp_path / "b.ome.tif", "b") as (array, _):
        values = take_image(array, ImageChoice(channel="b"), "image", "b", stack=False).read()
        np.testing.assert_array_equal(values, STACK[1])
        with pytest.raises(DataError, match=r"image has 2 channels \(0 a, 1 b\); choose acquisition\.channel: 0"):
            take_image(array, ImageChoice(), "image", "b")
