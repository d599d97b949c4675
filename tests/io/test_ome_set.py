"""Sets of OME-TIFF files whose metadata stand in another file, and planes in any order."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from unflat.recon.io.open import open_tree

from .image_reading import images, refusal
from .ome_files import binary_only, block, image, ome, write

STACK = np.random.default_rng(0).integers(1, 999, (2, 3, 2, 6, 8)).astype(np.uint16)
"""Images (position, plane, channel, y, x)."""
SIZES = {"X": 8, "Y": 6, "Z": 3, "C": 2}
FILES = ("s_0.ome.tif", "s_1.ome.tif")


def planes(position: int) -> np.ndarray:
    """Planes of a position, those of one channel after the other."""
    return STACK[position].swapaxes(0, 1).reshape(6, 6, 8)


def positions(*, own: str = "") -> str:
    """OME-XML of both positions, one a file."""
    pair = [image(f"Pos{i}", SIZES, [block(name, name, 0, 6)], channels=("BF", "GFP")) for i, name in enumerate(FILES)]
    return ome(*pair, uuid=own)


@pytest.fixture(params=["companion", "first TIFF"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Folder of a file for each position, whose metadata stand in a companion or in the first."""
    if request.param == "companion":
        (tmp_path / "s.companion.ome").write_text(positions(own="companion"), encoding="utf-8")
        write(tmp_path / FILES[0], planes(0), binary_only("s.companion.ome", FILES[0]))
        write(tmp_path / FILES[1], planes(1), binary_only("s.companion.ome", FILES[1]))
    else:
        write(tmp_path / FILES[0], planes(0), positions(own=FILES[0]))
        write(tmp_path / FILES[1], planes(1), binary_only(FILES[0], FILES[1], FILES[0]))
    return tmp_path


def test_whichever_file_is_named_the_set_is_read(folder: Path) -> None:
    for path in (folder, *folder.iterdir()):
        assert "2 positions (0 Pos0, 1 Pos1) and 2 channels (0 BF, 1 GFP)" in refusal(path)
        for number in range(2):
            values = images(path, position=f"Pos{number}", channel="GFP")
            np.testing.assert_array_equal(values, STACK[number, :, 1])
    with open_tree(folder / FILES[1]) as tree:
        size = tree.array("/instrument/pixel_size")
        assert size is not None
        np.testing.assert_allclose(size.read(), 1e-7)


def test_a_missing_file_is_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / FILES[1]).unlink()
    np.testing.assert_array_equal(images(folder / FILES[0], channel="BF"), STACK[0, :, 0])
    assert "1 of 2 positions are in files that are not here: Pos1 (s_1.ome.tif)" in caplog.text


def test_metadata_that_are_absent_or_of_another_set_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.tif", planes(0), binary_only("s.companion.ome", "a"))
    assert "takes its metadata from s.companion.ome, and that file is not there; copy s.companion.ome" in refusal(path)
    (tmp_path / "s.companion.ome").write_text(positions(), encoding="utf-8")
    assert "s.companion.ome, which does not name it" in refusal(path)
    assert "none of the 2 files that it names is here: s_0.ome.tif, s_1" in refusal(tmp_path / "s.companion.ome")
    (tmp_path / "s.companion.ome").write_text("<OME><Image>", encoding="utf-8")
    assert "s.companion.ome is damaged" in refusal(path)
    write(tmp_path / "b.ome.tif", planes(0), binary_only("a.ome.tif", "b"))
    assert "takes its metadata from a.ome.tif, which has none either" in refusal(tmp_path / "b.ome.tif")


def test_metadata_outside_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.companion.ome").write_text(positions(), encoding="utf-8")
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in" / "a.ome.tif", planes(0), binary_only("../s.companion.ome", "a"))
    assert "outside the folder" in refusal(path)


def test_images_as_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.companion.ome"
    path.write_text(ome(image("a", SIZES, ["<BinData>AAAA</BinData>"])), encoding="utf-8")
    assert "holds its images as text within OME-XML" in refusal(path)


def test_a_renamed_file_of_a_companion_is_known(tmp_path: Path) -> None:
    (tmp_path / "s.companion.ome").write_text(positions(own="companion"), encoding="utf-8")
    path = write(tmp_path / "renamed.tif", planes(0), binary_only("s.companion.ome", FILES[0]))
    np.testing.assert_array_equal(images(path, channel="BF"), STACK[0, :, 0])


@pytest.mark.parametrize("order", ["XY" + "".join(axes) for axes in permutations("ZCT")])
def test_every_order_of_dimensions_is_read(tmp_path: Path, order: str) -> None:
    stack = np.random.default_rng(1).integers(1, 999, (2, 3, 4, 6, 8)).astype(np.uint16)
    stored = stack.transpose(*("TCZ".index(axis) for axis in reversed(order[2:])), 3, 4).reshape(-1, 6, 8)
    sizes = {"X": 8, "Y": 6, "Z": 4, "C": 3, "T": 2}
    xml = ome(image("a", sizes, [block(count=24)], order=order, channels=("r", "s", "t")))
    path = write(tmp_path / "a.ome.tif", stored, xml)
    np.testing.assert_array_equal(images(path, channel="s", time=1), stack[1, 1])
    np.testing.assert_array_equal(images(path, channel="t", plane=3), stack[:, 2, 3])


def test_blocks_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    blocks = [block(ifd=0, count=2, Z=1, C=1), block(ifd=2, Z=2), block(ifd=3, count=2), block(ifd=5, C=1)]
    whole = planes(0)
    stored = whole[[4, 5, 2, 0, 1, 3]]
    path = write(tmp_path / "a.ome.tif", stored, ome(image("a", SIZES, blocks, channels=("BF", "GFP"))))
    for number, channel in enumerate(("BF", "GFP")):
        np.testing.assert_array_equal(images(path, channel=channel), STACK[0, :, number])


def test_planes_without_a_block_are_absent(tmp_path: Path) -> None:
    xml = ome(image("a", SIZES, [block(count=5)], channels=("BF", "GFP")))
    path = write(tmp_path / "a.ome.tif", planes(0)[:5], xml)
    np.testing.assert_array_equal(images(path, channel="BF"), STACK[0, :, 0])
    assert "1 of 3 images of 'a' are absent" in refusal(path, channel="GFP")
