"""Folders of sections as segmentation programs leave them; channels, planes and palettes of their images."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from unflat.recon.errors import DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.shape.section_files import is_sections
from unflat.recon.io.inspect import describe

from .test_masks import disc, plate, reading

LABELS = plate(numbers=(1, 2, 5))
LIT = np.where(LABELS > 0, 900, 100).astype(np.uint16)


def put(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(values).save(path)
    elif path.suffix == ".npy":
        np.save(path, values)
    else:
        tifffile.imwrite(path, values)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("plate.tif", "plate_cp_masks.png"),
        ("plate.tif", "plate_cp_masks.tif"),
        ("image/plate.tif", "mask/plate_cp_masks.png"),
        ("image/plate.tif", "image/plate_cp_masks.tif"),
        ("plate.tif", "masks/plate_cp_masks.png"),
        ("raw/plate.tif", "labels/plate.tif"),
        ("images/plate.tif", "masks/plate.tif"),
        ("plate.tif", "Count Masks of plate.tif"),
        ("plate.tif", "Count Masks of plate.tif.tif"),
        ("plate.tif", "plate_Object Identities.tif"),
        ("plate.tif", "LblImg_plate.tif"),
        ("plate_image.tif", "plate_mask.tif"),
        ("plate.ome.tif", "plate_labels.tif"),
        ("images/plate_raw.tif", "masks/plate.tif"),
    ],
)
def test_masks_are_found_by_the_names_that_programs_give(tmp_path: Path, image: str, mask: str) -> None:
    put(tmp_path / image, LIT)
    put(tmp_path / mask, LABELS)
    put((tmp_path / image).with_name("plate_flows.tif"), LIT)
    assert is_sections(tmp_path)
    acquisition = reading(tmp_path)
    stem = Path(image).name.split(".")[0]
    assert list(acquisition["name"]) == [f"{stem}-{number}" for number in (1, 2, 5)]
    assert list(acquisition["image_file"]) == [image] * 3


def test_images_without_cells_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, labels in (("a", LABELS), ("b", 0 * LABELS), ("c", (LABELS == 1).astype(np.uint16))):
        put(tmp_path / f"{name}.tif", LIT)
        put(tmp_path / f"{name}_cp_masks.tif", labels)
    put(tmp_path / "d.tif", LIT)
    with caplog.at_level(logging.WARNING):
        assert list(reading(tmp_path)["name"]) == ["a-1", "a-2", "a-5", "c-1"]
    assert "1 mask without a cell is left out: b_cp_masks.tif" in caplog.text
    assert "1 image without a mask is left out: d.tif" in caplog.text
    assert list(reading(tmp_path, cells=[3, 1])["name"]) == ["c-1", "a-2"]


def test_a_pickle_of_cellpose_is_refused_with_a_remedy_that_works(tmp_path: Path) -> None:
    put(tmp_path / "plate.tif", LIT)
    np.save(tmp_path / "plate_seg.npy", np.array({"masks": LABELS}, object), allow_pickle=True)
    assert is_sections(tmp_path)
    with pytest.raises(DataError, match="is a file of cellpose's window, which could run code") as raised:
        reading(tmp_path)
    code = str(raised.value).partition("in Python: ")[2]
    exec(code, {"numpy": np, "tifffile": tifffile})
    assert list(reading(tmp_path)["cell_label"]) == [1, 2, 5]


def test_a_palette_is_labels_in_a_mask_and_colours_in_an_image(tmp_path: Path) -> None:
    put(tmp_path / "image" / "plate.tif", LIT)
    picture = Image.fromarray(LABELS.astype(np.uint8), mode="P")
    picture.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    (tmp_path / "mask").mkdir()
    picture.save(tmp_path / "mask" / "plate.png")
    assert list(reading(tmp_path)["cell_label"]) == [1, 2, 5]
    picture.save(tmp_path / "image" / "plate.png")
    (tmp_path / "image" / "plate.tif").unlink()
    with pytest.raises(DataError, match=r"is in colour.*acquisition\.channel: red, green or blue"):
        reading(tmp_path)


def test_a_coloured_mask_is_refused_unless_it_has_one_colour(tmp_path: Path) -> None:
    own = disc((64, 64), 18)
    red = np.zeros((64, 64, 3), np.uint8)
    red[own, 0] = 255
    put(tmp_path / "image" / "a.tif", np.where(own, 900, 100).astype(np.uint16))
    put(tmp_path / "mask" / "a.png", red)
    np.testing.assert_array_equal(reading(tmp_path)["mask"][0], own)
    red[20:30, :, 1] = 99
    put(tmp_path / "mask" / "a.png", red)
    with pytest.raises(DataError, match="save the numbers of the cells as grey values"):
        reading(tmp_path)


def test_a_channel_is_chosen_by_number_or_name(tmp_path: Path) -> None:
    own, small = disc((64, 64), 18), disc((64, 64), 7)
    two = np.stack([np.where(own, 900, 100), np.where(small, 600, 100)]).astype(np.uint16)
    put(tmp_path / "mask" / "c1.tif", 255 * own.astype(np.uint8))
    (tmp_path / "image").mkdir()
    meta = {"axes": "CYX", "Channel": {"Name": ["membrane", "DNA"]}}
    tifffile.imwrite(tmp_path / "image" / "c1.tif", two, ome=True, metadata=meta)
    with pytest.raises(
        DataError, match=r"image has 2 channels \(0 membrane, 1 DNA\); choose acquisition\.channel: 0 or"
    ):
        reading(tmp_path)
    for channel, values in ((0, two[0]), ("DNA", two[1])):
        np.testing.assert_allclose(reading(tmp_path, channel=channel)["images"][0], values / values.max(), rtol=1e-6)
    assert "2 channels (0 membrane, 1 DNA)" in "\n".join(
        describe(tmp_path, describers=get_experiment("shape").describers())
    )
    tifffile.imwrite(tmp_path / "image" / "c1.tif", two, imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(DataError, match="image has 2 channels; choose acquisition"):
        reading(tmp_path)
    assert reading(tmp_path, channel=1)["images"].shape == (1, 64, 64)


def test_a_plane_of_a_stack_is_chosen(tmp_path: Path) -> None:
    own = disc((64, 64), 18)
    stack = np.stack([np.where(own, 100 * k + 200, 100) for k in range(5)]).astype(np.uint16)
    put(tmp_path / "mask" / "c1.tif", 255 * own.astype(np.uint8))
    for options in ({"imagej": True, "metadata": {"axes": "ZYX"}}, {"photometric": "minisblack"}):
        (tmp_path / "image").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "image" / "c1.tif", stack, **options)
        with pytest.raises(DataError, match=r"image has 5 planes of focus; choose acquisition\.plane: 0 or .*middle"):
            reading(tmp_path)
        for plane, number in ((3, 3), ("middle", 2)):
            image = reading(tmp_path, plane=plane)["images"][0]
            np.testing.assert_allclose(image, stack[number] / stack[number].max(), rtol=1e-6)
