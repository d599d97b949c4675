"""Meaning of masks: labels with their numbers and places, specks, inverted masks, segmentations without a 0."""

import logging
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile

from unflat.recon.acquisition import Acquisition
from unflat.recon.config.base import Settings
from unflat.recon.errors import DataError
from unflat.recon.experiments.shape.cells import to_cell_batch
from unflat.recon.experiments.shape.config import ShapeAcquisition
from unflat.recon.experiments.shape.masks import classify
from unflat.recon.experiments.shape.network.inputs import to_network_input
from unflat.recon.experiments.shape.network.picture_quality import picture_numbers
from unflat.recon.experiments.shape.read import read
from unflat.recon.experiments.shape.schema import SCHEMA
from unflat.recon.experiments.shape.verdict import PICTURE_CRITERIA, assess_cell
from unflat.recon.io.write import write


class Config(Settings):
    acquisition: ShapeAcquisition = ShapeAcquisition()


def reading(path: Path, **options: Any) -> Acquisition:
    return read(Config(acquisition=ShapeAcquisition(**options)), path)


def disc(shape: tuple[int, int], radius: float, at: tuple[float, float] | None = None) -> np.ndarray:
    y, x = np.indices(shape)
    centre = at or (shape[0] // 2, shape[1] // 2)
    return np.asarray(np.hypot(y - centre[0], x - centre[1]) <= radius)


def cells(root: Path, mask: np.ndarray, image: np.ndarray | None = None, name: str = "plate", **more: Any) -> Path:
    for part in ("image", "mask"):
        (root / part).mkdir(parents=True, exist_ok=True)
    lit = np.where(mask > 0, 900, 100).astype(np.uint16) if image is None else image
    tifffile.imwrite(root / "image" / f"{name}.tif", lit, **more)
    tifffile.imwrite(root / "mask" / f"{name}.tif", mask)
    return root


def plate(dtype: Any = np.uint16, numbers: tuple[int, ...] = (1, 2, 5, 300)) -> np.ndarray:
    labels = np.zeros((200, 260), dtype)
    for k, number in enumerate(numbers):
        labels[disc(labels.shape, 10 + 2 * k, (50 + 90 * (k // 2), 50 + 110 * (k % 2)))] = number
    return labels


@pytest.mark.parametrize(
    ("dtype", "numbers"),
    [(np.uint16, (1, 2, 5, 300)), (np.uint32, (3, 7, 70_000, 4_000_000_000)), (np.float32, (1, 12, 13, 255))],
)
def test_cells_have_the_number_and_the_place_of_their_label(
    tmp_path: Path, dtype: Any, numbers: tuple[int, ...]
) -> None:
    labels = plate(dtype, numbers)
    acquisition = reading(cells(tmp_path, labels))
    assert list(acquisition["name"]) == [f"plate-{number}" for number in numbers]
    assert list(acquisition["cell_label"]) == list(numbers)
    assert list(acquisition["image_file"]) == ["image/plate.tif"] * 4
    rows, columns = np.nonzero(labels == numbers[2])
    assert acquisition["bounding_box"][2].tolist() == [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
    np.testing.assert_allclose(acquisition["origin"][2], [140 - 0.5, 50 - 0.5])
    path = tmp_path / "cells.h5"
    write(acquisition, SCHEMA, path)
    again = reading(path, cells=[3, 2])
    for name in ("name", "cell_label", "bounding_box", "origin", "image_file", "mask"):
        np.testing.assert_array_equal(again[name], acquisition[name][[3, 2]])


def test_a_cell_that_the_border_of_a_large_image_cuts_is_named_also_from_a_converted_file(tmp_path: Path) -> None:
    labels = plate()
    labels[disc(labels.shape, 20, (120, -4))] = 9
    acquisition = reading(cells(tmp_path, labels))
    path = tmp_path / "cells.h5"
    write(acquisition, SCHEMA, path)
    for source in (acquisition, reading(path)):
        batch = to_cell_batch(source)
        share = dict(zip(batch.names, batch.at_border, strict=True))
        # A chord 4 pixels from the centre of a circle of 20, beside an arc whose pixels touch by edges or corners.
        chord, arc = 39, 2 * 20 * np.arccos(4 / 20) * np.sqrt(8) / np.pi
        assert share.pop("plate-9") == pytest.approx(chord / (chord + arc), abs=0.02)
        assert set(share.values()) == {0.0}
        pictures = [to_network_input(*pair) for pair in zip(batch.images, batch.masks, strict=True)]
        numbers = [picture_numbers(one, None, None, at) for one, at in zip(pictures, batch.at_border, strict=True)]
        cut = [any("border" in r.name for r in assess_cell(own, PICTURE_CRITERIA).reasons) for own in numbers]
        assert cut == [name == "plate-9" for name in batch.names]


def test_a_label_that_is_alone_keeps_its_number(tmp_path: Path) -> None:
    cells(tmp_path, 7 * disc((60, 60), 12).astype(np.uint16), name="seven")
    cells(tmp_path, disc((60, 60), 12).astype(np.uint8), name="one")
    cells(tmp_path, 255 * disc((60, 60), 12).astype(np.uint8), name="byte")
    acquisition = reading(tmp_path)
    assert sorted(acquisition["name"]) == ["byte", "one", "seven-7"]


def test_specks_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = plate()
    labels[5, 190] = 400
    labels[195:197, 3:6] = 401
    with caplog.at_level(logging.WARNING):
        assert len(reading(cells(tmp_path, labels))["mask"]) == 4
    assert "2 labels of fewer than 8 pixels (acquisition.smallest) left out: label 400, 1 pixel, at [5, 190]" in (
        caplog.text
    )
    assert "label 401, 6 pixels, at [195, 3]" in caplog.text
    assert len(reading(tmp_path, smallest=6)["mask"]) == 5
    with pytest.raises(
        DataError, match=r"all 6 labels are smaller than 2000 pixels: label 1, 317 pixels, at \[40, 50\]"
    ):
        reading(tmp_path, smallest=2000)


def test_a_speck_beside_one_label_is_no_grey_edge(tmp_path: Path) -> None:
    labels = disc((60, 60), 12).astype(np.uint8)
    labels[3, 3] = 2
    acquisition = reading(cells(tmp_path, labels))
    assert list(acquisition["name"]) == ["plate-1"]
    assert acquisition["mask"].sum() == disc((60, 60), 12).sum()


def test_parts_of_a_label_are_warned_of_kept_or_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = plate()
    labels[disc(labels.shape, 8, (50, 82))] = 1
    labels[2, 2] = 300
    cells(tmp_path, labels)
    with caplog.at_level(logging.WARNING):
        assert reading(tmp_path)["mask"][0].sum() == (labels == 1).sum()
    assert "1 label has parts that do not touch: label 1 at [40, 50] and [42, 82]" in caplog.text
    assert "stray pixels of cells left out (acquisition.smallest): 1 pixel of label 300" in caplog.text
    names = list(reading(tmp_path, several="cut")["name"])
    assert names == ["plate-1-1", "plate-1-2", "plate-2", "plate-5", "plate-300"]
    labels[disc(labels.shape, 8, (50, 240))] = 1  # Numbers of 8 bits that began again, for example.
    cells(tmp_path, labels)
    with pytest.raises(DataError, match="label 1 has 3 parts, 209 pixels from end to end"):
        reading(tmp_path)


@pytest.mark.parametrize("top", [255, 1])
def test_an_inverted_mask_is_refused_and_turned_over(tmp_path: Path, top: int) -> None:
    own = disc((64, 64), 18)
    cells(tmp_path, (top * ~own).astype(np.uint8), np.where(own, 900, 100).astype(np.uint16))
    match = rf"{top} in the mask holds the whole border .* brighter outside it \(900\) than inside \(100\)"
    with pytest.raises(DataError, match=match) as raised:
        reading(tmp_path)
    assert f"set acquisition.outside: {top}" in str(raised.value)
    np.testing.assert_array_equal(reading(tmp_path, outside=top)["mask"][0], own)
    np.testing.assert_array_equal(reading(tmp_path, outside=0)["mask"][0], ~own)
    with pytest.raises(DataError, match="no pixel of the mask is 7"):
        reading(tmp_path, outside=7)


def test_an_inverted_mask_of_a_cell_at_the_border_is_refused_by_its_picture(tmp_path: Path) -> None:
    own = disc((64, 64), 18, (10, 32))
    cells(tmp_path, (255 * ~own).astype(np.uint8), np.where(own, 900, 100).astype(np.uint16))
    with pytest.raises(DataError, match="holds 88 % of the border"):
        reading(tmp_path)
    large = disc((64, 64), 38)  # A large cell holds most of the border of its image as well.
    cells(tmp_path, (255 * large).astype(np.uint8))
    assert reading(tmp_path)["mask"].sum() == large.sum()


@pytest.mark.parametrize("background", [1, 2])
def test_a_segmentation_without_a_zero_names_its_background(tmp_path: Path, background: int) -> None:
    own = disc((64, 64), 18)
    cells(tmp_path, np.where(own, 3 - background, background).astype(np.uint8), np.where(own, 900, 100).astype("u2"))
    with pytest.raises(DataError, match=rf"set acquisition\.outside: {background} if {background} means outside"):
        reading(tmp_path)
    np.testing.assert_array_equal(reading(tmp_path, outside=background)["mask"][0], own)


def test_a_labelled_background_and_negative_ridges_are_no_cells(tmp_path: Path) -> None:
    labels = plate(np.int32).astype(np.int32)
    watershed = np.where(labels == 0, 1, labels + 1).astype(np.int32)
    cells(tmp_path, watershed, np.where(labels > 0, 900, 100).astype(np.uint16))
    with pytest.raises(DataError, match=r"1 in the mask holds the whole border.* seems to be the outside"):
        reading(tmp_path)
    assert list(reading(tmp_path, outside=1)["cell_label"]) == [2, 3, 6, 301]
    cells(
        tmp_path, np.where(labels == 0, -1, labels).astype(np.int32), np.where(labels > 0, 900, 100).astype(np.uint16)
    )
    with pytest.raises(DataError, match=r"smallest number is -1; if that means outside, set acquisition\.outside: -1"):
        reading(tmp_path)
    assert list(reading(tmp_path, outside=-1)["cell_label"]) == [1, 2, 5, 300]


def test_parts_of_a_cell_within_one_another_are_a_question(tmp_path: Path) -> None:
    mask = disc((64, 64), 20).astype(np.uint8) + disc((64, 64), 9)
    cells(tmp_path, mask)
    with pytest.raises(DataError, match=r"the levels 1, 2, one within the other.*acquisition\.mask_values: any"):
        reading(tmp_path)
    assert reading(tmp_path, mask_values="any")["mask"].sum() == disc((64, 64), 20).sum()
    assert reading(tmp_path, mask_values="share")["mask"][0][32, 32] == 1
    assert list(reading(tmp_path, mask_values="labels")["cell_label"]) == [1, 2]


def test_confluent_and_many_labels_are_labels() -> None:
    rng = np.random.default_rng(0)
    seeds = rng.integers(0, 100, (40, 2))
    nearest = np.linalg.norm(np.indices((100, 100))[..., None] - seeds.T[:, None, None], axis=0).argmin(-1) + 1
    assert classify(nearest.astype(np.uint16), 65535.0) == "labels"
    grid = np.kron(np.arange(1, 256).reshape(15, 17), np.pad(np.ones((6, 6)), 1)).astype(np.uint8)
    assert classify(grid, 255.0) == "labels"  # The highest label of 8 bits is no mask.


def test_a_lossy_or_soft_mask_is_one_cell() -> None:
    from scipy import ndimage

    soft = np.rint(ndimage.gaussian_filter(250.0 * disc((64, 64), 18), 3)).astype(np.uint8)
    assert classify(soft, 255.0) == "share"
    noise = np.random.default_rng(0).integers(0, 4, (64, 64))
    lossy = np.where(disc((64, 64), 18), 255 - noise, noise).astype(np.uint8)
    assert classify(lossy, 255.0) == "share"


def test_equal_masks_of_different_images_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = disc((60, 60), 12)
    for i in range(2):
        cells(tmp_path, 255 * own.astype(np.uint8), np.where(own, 900 + i, 100).astype(np.uint16), f"c{i}")
    with caplog.at_level(logging.WARNING):
        reading(tmp_path)
    assert "all 2 masks are the same, and their images differ" in caplog.text


@pytest.mark.parametrize("form", ["folder", "hdf5"])
def test_a_dark_level_of_a_camera_is_named_and_subtracted(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inside = disc((64, 64), 15)
    noise = np.random.default_rng(0).normal(0, 2, inside.shape)
    clean = np.where(inside, 400, 0)

    def source(name: str, image: np.ndarray) -> Path:
        if form == "folder":
            return cells(tmp_path / name, 255 * inside.astype(np.uint8), image.astype(np.uint16))
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["measurement/images"], file["measurement/mask"] = image[None], inside[None].astype(np.uint8)
        return tmp_path / f"{name}.h5"

    offset = source("offset", np.rint(clean + 100 + noise))
    reading(source("clean", clean))
    assert "nowhere dark" not in caplog.text
    assert reading(offset)["images"].min() > 0.15
    level = re.search(r"1 picture is nowhere dark: \S+ \((\d+), 19 % of the brightness of its cells\)", caplog.text)
    assert level is not None
    assert int(level[1]) == pytest.approx(96, abs=2)
    caplog.clear()
    image = reading(offset, dark=100)["images"][0]
    assert "nowhere dark" not in caplog.text
    assert image.min() == 0
    np.testing.assert_allclose(image, clean / 400, atol=0.03)
    with pytest.raises(DataError, match=r"no pixel is brighter than acquisition\.dark, 3000: the brightest is 50\d"):
        reading(offset, dark=3000)
