"""Files as Micro-Manager writes them: several positions, channels and planes, in one file or one for each position."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.io.open import open_tree

from .image_reading import images, refusal
from .micromanager import write_micromanager
from .ome_files import binary_only

STACK = np.random.default_rng(0).integers(1, 999, (2, 1, 4, 2, 6, 8)).astype(np.uint16)
"""Images (position, time, plane, channel, y, x)."""
LABELS: dict[str, Any] = {
    "positions": ("Pos0", "Pos1"),
    "channels": ("BF", "GFP"),
    "PixelSize_um": 0.1,
    "z-step_um": 0.5,
}


def lengths(path: Path) -> dict[str, np.ndarray]:
    with open_tree(path) as tree:
        names = ("/instrument/pixel_size", "/plane_z")
        return {name: array.read() for name in names if (array := tree.array(name)) is not None}


def test_positions_and_channels_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "run_MMStack.ome.tif"
    write_micromanager(path, STACK, **LABELS)
    assert "2 positions (0 Pos0, 1 Pos1) and 2 channels (0 BF, 1 GFP)" in refusal(path)
    np.testing.assert_array_equal(images(path, position="Pos1", channel="GFP"), STACK[1, 0, :, 1])
    np.testing.assert_allclose(lengths(path)["/instrument/pixel_size"], 0.1e-6)
    np.testing.assert_allclose(lengths(path)["/plane_z"][1], [-1e-6, -0.5e-6, 0, 0.5e-6])


def test_a_file_for_each_position_is_one_set(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = [tmp_path / f"run_MMStack_Pos{i}.ome.tif" for i in range(2)]
    for i, name in enumerate(names):
        write_micromanager(name, STACK[i : i + 1], first=i, **LABELS)
    for path in (tmp_path, *names):
        np.testing.assert_array_equal(images(path, position="Pos1", channel=0), STACK[1, 0, :, 0])
    names[1].unlink()
    np.testing.assert_array_equal(images(names[0], channel=0), STACK[0, 0, :, 0])
    assert "1 of 2 positions are in files that are not here: Pos1" in caplog.text


def test_parts_of_positions_are_one_set(tmp_path: Path) -> None:
    for position in range(2):
        for part in range(2):
            name = f"run_MMStack_Pos{position}{'_1' * part}.ome.tif"
            images_of_part = STACK[position : position + 1, :, 2 * part : 2 * part + 2]
            reference = binary_only("run_MMStack_Pos0.ome.tif", name) if position or part else ""
            places = {"first": position, "first_plane": 2 * part, "ome": reference}
            write_micromanager(tmp_path / name, images_of_part, Slices=4, **places, **LABELS)
    for path in (tmp_path, *tmp_path.iterdir()):
        np.testing.assert_array_equal(images(path, position="Pos1", channel="GFP"), STACK[1, 0, :, 1])
    (tmp_path / "run_MMStack_Pos1_1.ome.tif").unlink()
    path = tmp_path / "run_MMStack_Pos0.ome.tif"
    np.testing.assert_array_equal(images(path, position="Pos0", channel="GFP"), STACK[0, 0, :, 1])
    assert "2 of 4 images are absent: a file of the set is missing" in refusal(path, position="Pos1", channel="GFP")


def test_positions_of_the_stage_in_the_ome_xml_precede(tmp_path: Path) -> None:
    planes = "".join(
        f'<Plane TheZ="{z}" TheC="0" TheT="0" PositionZ="{100 - 2 * z}" PositionZUnit="µm"/>' for z in range(4)
    )
    pixels = (
        '<Pixels DimensionOrder="XYCZT" Type="uint16" SizeX="8" SizeY="6" SizeZ="4" SizeC="2" SizeT="1" '
        f'PhysicalSizeX="0.2" PhysicalSizeY="0.2"><Channel Name="BF"/><Channel Name="GFP"/>{planes}</Pixels>'
    )
    xml = f"<OME><Image Name='a'>{pixels}</Image><Image Name='b'>{pixels}</Image></OME>"
    path = tmp_path / "run_MMStack.ome.tif"
    write_micromanager(path, STACK, ome=xml, **LABELS)
    assert "2 positions (0 a, 1 b)" in refusal(path)
    np.testing.assert_allclose(lengths(path)["/instrument/pixel_size"], 0.2e-6)
    np.testing.assert_allclose(lengths(path)["/plane_z"][0], [4e-6, 2e-6, 0, -2e-6], atol=1e-15)


def test_an_acquisition_that_was_stopped_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "run_MMStack.ome.tif"
    write_micromanager(path, STACK[:1], **LABELS | {"positions": ()}, Slices=6)
    np.testing.assert_array_equal(images(path, channel=0), STACK[0, 0, :, 0])
    assert "4 of 6 slices are here: the acquisition was stopped" in caplog.text
