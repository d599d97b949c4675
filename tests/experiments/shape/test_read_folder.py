"""Reading and faults of folders of image, mask and obj."""

import logging
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from unflat.physics.phantoms.red_blood_cells import random_cell
from unflat.recon.acquisition import Acquisition
from unflat.recon.config.base import Settings
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.shape.cell_crops import normalise_image
from unflat.recon.experiments.shape.config import ShapeAcquisition
from unflat.recon.experiments.shape.masks import classify
from unflat.recon.experiments.shape.read import read
from unflat.recon.experiments.shape.schema import SCHEMA
from unflat.recon.experiments.shape.section_files import class_of, is_sections
from unflat.recon.experiments.shape.section_images import decode_image
from unflat.recon.io.inspect import describe
from unflat.recon.io.write import write


class Config(Settings):
    acquisition: ShapeAcquisition = ShapeAcquisition()


def reading(path: Path, **options: Any) -> Acquisition:
    return read(Config(acquisition=ShapeAcquisition(**options)), path)


def faults(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as raised:
        reading(path, **options)
    return str(raised.value)


def a_cell(size: int = 48, label: str = "discocyte") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    axis = (np.arange(size) - size // 2) * 12e-6 / size
    filled = random_cell(3, label).occupancy(axis, axis, axis)
    volume = (255 * filled).astype(np.uint8)
    section = volume[size // 2]
    return np.maximum(section // 2, 3), section, volume


def put(root: Path, name: str, parts: dict[str, np.ndarray], extension: str = ".tif", **more: Any) -> None:
    import imageio.v3 as imageio

    for part, values in parts.items():
        path = root / part / f"{name}{extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if extension == ".npy":
            np.save(path, values)
        elif extension == ".png":
            imageio.imwrite(path, values)
        else:
            tifffile.imwrite(path, values, **more)


def folder(root: Path, **change: np.ndarray) -> Path:
    image, mask, volume = a_cell()
    put(root, "discocyte_01", {"image": image, "mask": mask, "obj": volume})
    put(root, "discocyte_02", {"image": image, "mask": mask, "obj": volume} | change)
    return root


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("A_cell_clusters000604", "cell_cluster"),
        ("-0.33_stomatocyte_I-12", "stomatocyte_I"),
        ("train/D_multilobate_cells000727", "multilobate_cell"),
        ("echinocyte_III_7", "echinocyte_III"),
        ("Discocyte 3", "discocyte"),
        ("sickle-4", "sickle"),
        ("000123", ""),
        ("img_12", ""),
    ],
)
def test_the_class_is_part_of_the_name(name: str, label: str) -> None:
    assert class_of(name) == label


@pytest.mark.timeout(60)  # A pattern that tries every division takes longer than anyone waits.
def test_a_long_name_is_read() -> None:
    assert class_of("1.2.840.113619.2.55.3.604688119.971.1234567890.123456789012_crop").endswith("crop")
    assert class_of("discocyte_" + "12-" * 200 + "x") != ""
    assert class_of("sickle_1.2.840.113619.2.55.3.604688119 (4)a") == "sickle"


def test_a_folder_is_read_with_its_truth(tmp_path: Path) -> None:
    acquisition = reading(folder(tmp_path), voxel_size=["0.2 um", "0.25 um", "0.25 um"])
    image, _, volume = a_cell()
    assert list(acquisition["name"]) == ["discocyte_01", "discocyte_02"]
    assert list(acquisition["label"]) == ["discocyte"] * 2
    assert acquisition["images"].shape == acquisition["mask"].shape == (2, 64, 64)
    np.testing.assert_allclose(acquisition["images"][0, 8:56, 8:56], image / 255, atol=1e-6)
    np.testing.assert_allclose(acquisition["voxel_size"], [0.2e-6, 0.25e-6, 0.25e-6])
    assert acquisition.truth is not None
    assert acquisition.truth.main.shape == (2, 1, 64, 64, 64)
    np.testing.assert_allclose(acquisition.truth.main[0, 0, 8:56, 8:56, 8:56], volume / volume.max(), atol=1e-6)
    np.testing.assert_allclose(acquisition.truth.main[:, 0, 32], acquisition["mask"], atol=1e-2)
    assert acquisition.truth.spacing == pytest.approx((0.2e-6, 0.25e-6, 0.25e-6))


def test_written_cells_are_read_unchanged(tmp_path: Path) -> None:
    before = reading(folder(tmp_path / "cells"), voxel_size="0.25 um", size=48)
    path = tmp_path / "cells.h5"
    write(before, SCHEMA, path)
    after = reading(path)
    for name in ("images", "mask", "voxel_size", "name", "label"):
        np.testing.assert_array_equal(after[name], before[name])
    assert before.truth is not None
    assert after.truth is not None
    np.testing.assert_array_equal(after.truth.main, before.truth.main)
    one = reading(path, cells=[1])
    assert list(one["name"]) == ["discocyte_02"]
    assert one.truth is not None
    assert one.truth.main.shape[0] == 1


def test_trees_of_one_last_name_have_distinct_cells(tmp_path: Path) -> None:
    image, mask, _ = a_cell()
    for tree in ("a/train", "b/train"):
        put(tmp_path / tree, "x_1", {"image": image, "mask": mask})
    assert list(reading(tmp_path)["name"]) == ["a/train/x_1", "b/train/x_1"]


@pytest.mark.parametrize("extension", [".png", ".npy"])
def test_trees_archives_and_other_formats(tmp_path: Path, extension: str) -> None:
    image, mask, _ = a_cell()
    put(tmp_path / "data/train", "knizocyte_1", {"image": image, "mask": mask}, extension)
    put(tmp_path / "data/test", "knizocyte_1", {"image": image, "mask": mask}, extension)
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (tmp_path / "data").rglob(f"*{extension}"):
            file.write(path, f"all/{path.relative_to(tmp_path / 'data').as_posix()}")
    for path in (tmp_path / "data", archive):
        assert is_sections(path)
        acquisition = reading(path)
        assert sorted(acquisition["name"]) == ["test/knizocyte_1", "train/knizocyte_1"]
        assert acquisition.truth is None
        assert "voxel_size" not in acquisition
    assert not is_sections(tmp_path / "nothing")


def test_the_voxel_is_that_of_ome_metadata(tmp_path: Path) -> None:
    image, mask, volume = a_cell()
    put(tmp_path, "discocyte_1", {"image": image, "mask": mask})
    metadata = {"axes": "ZYX", "PhysicalSizeX": 170, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 170}
    metadata |= {"PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 0.21, "PhysicalSizeZUnit": "µm"}
    put(tmp_path, "discocyte_1", {"obj": volume}, ".ome.tif", metadata=metadata, ome=True)
    acquisition = reading(tmp_path)
    np.testing.assert_allclose(acquisition["voxel_size"], 0.17e-6)
    assert acquisition.truth is not None  # Its slices, 0.21 um apart, are resampled to cubes.
    assert acquisition.truth.main.sum() == pytest.approx(volume.sum() / 255 * 0.21 / 0.17, rel=0.02)
    assert reading(tmp_path, voxel_size="0.3 um")["voxel_size"][0] == pytest.approx(0.3e-6)


def test_large_cells_are_binned_and_keep_their_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image, mask, volume = a_cell(144)
    put(tmp_path, "discocyte_1", {"image": image, "mask": mask, "obj": volume})
    with caplog.at_level(logging.WARNING):
        acquisition = reading(tmp_path, voxel_size="0.125 um")
    rows, columns = (np.flatnonzero((mask > 127).any(axis=axis)) for axis in (1, 0))
    voxel = 0.125 * (max(np.ptp(rows), np.ptp(columns)) + 1 + 8) / 64
    np.testing.assert_allclose(acquisition["voxel_size"], voxel * 1e-6)
    assert f"all cells are binned, and a voxel is {voxel:.4g} um" in caplog.text
    area = float(mask.sum() / mask.max()) * 0.125**2
    assert acquisition["mask"].sum() * voxel**2 == pytest.approx(area, rel=0.02)
    assert acquisition.truth is not None
    assert acquisition.truth.main.sum() * voxel**3 == pytest.approx(volume.sum() / 255 * 0.125**3, rel=0.02)
    in_pixels = reading(tmp_path)
    assert in_pixels["binning"] == pytest.approx(voxel / 0.125)
    assert in_pixels.truth is not None
    assert in_pixels.truth.spacing == pytest.approx((voxel / 0.125,) * 3)
    coarse = reading(tmp_path, voxel_size="0.125 um", spacing="0.25 um")
    assert coarse["mask"].sum() * 0.25**2 == pytest.approx(area, rel=0.03)
    with pytest.raises(ConfigError, match="voxel's size is unknown"):
        reading(tmp_path, spacing="0.25 um")
    with pytest.raises(ConfigError, match=r"64 pixels, 0.1 um apart, would cut off 1 of 1 cells: discocyte_1"):
        reading(tmp_path, voxel_size="0.125 um", spacing="0.1 um")
    assert reading(tmp_path, voxel_size="0.125 um", spacing="0.1 um", size=128)["images"].shape == (1, 128, 128)


def test_a_volume_higher_than_the_grid_is_not_cut_off(tmp_path: Path) -> None:
    image, mask, _ = a_cell()
    high = np.zeros((120, 48, 48), np.uint8)
    high[10:110] = mask
    put(tmp_path, "discocyte_1", {"image": image, "mask": mask, "obj": high})
    with pytest.raises(ConfigError, match="a grid of 64 pixels would cut off 1 of 1 cells"):
        reading(tmp_path)
    truth = reading(tmp_path, size=128).truth
    assert truth is not None
    assert truth.main.sum() == pytest.approx(100 * mask.sum() / 255, rel=1e-3)


def test_a_label_image_is_cut_into_its_cells(tmp_path: Path) -> None:
    labels = np.zeros((90, 120), np.uint16)
    labels[10:30, 12:34], labels[50:80, 60:85], labels[31:45, 20:40] = 1, 2, 7
    image = np.where(labels > 0, 150, 5).astype(np.uint8)
    put(tmp_path, "field_3", {"image": image, "mask": labels})
    acquisition = reading(tmp_path, size=40)
    assert list(acquisition["name"]) == ["field_3-1", "field_3-2", "field_3-7"]
    assert [int(m.sum()) for m in acquisition["mask"]] == [20 * 22, 30 * 25, 14 * 20]
    assert list(acquisition["label"]) == [""] * 3
    assert list(reading(tmp_path, size=40, cells=[2, 0])["name"]) == ["field_3-7", "field_3-1"]
    with pytest.raises(ConfigError, match="cell 3 is beyond the last of 3 cells"):
        reading(tmp_path, cells=[3])
    lit = (acquisition["images"] > 0.3).sum(axis=(1, 2))
    np.testing.assert_array_equal(lit, acquisition["mask"].sum(axis=(1, 2)))  # neighbours are darkened


def test_masks_and_labels_are_distinguished() -> None:
    grey = np.array([[0, 3, 254], [255, 255, 1]], np.uint8)
    assert classify(grey, 255.0) == "share"
    assert classify(grey > 0, 1.0) == "share"
    labels = np.zeros((12, 16), np.uint8)
    labels[1:5, 1:6], labels[1:5, 6:11], labels[7:10, 3:7] = 2, 9, 4  # Two of them touch.
    assert classify(labels, 255.0) == "labels"


@pytest.mark.parametrize("levels", [(128, 255), (100, 200, 254), (1, 2)])
def test_grey_edges_are_no_labels(levels: tuple[int, ...], tmp_path: Path) -> None:
    far = np.hypot(*(np.indices((48, 48)) - 24))
    thin = sum(((far < 14 - 0.7 * i) * (level - low)) for i, (low, level) in enumerate(pairwise((0, *levels))))
    thick = np.where(far < 9, levels[-1], np.where(far < 15, levels[0], 0))
    for mask in (thin, thick):
        assert classify(mask.astype(np.uint16), 65535.0) == ("share" if mask is thin else "nested")
    image = np.where(thin > 0, 150, 5).astype(np.uint8)
    put(tmp_path, "discocyte_1", {"image": image, "mask": thin.astype(np.uint16)})
    assert list(reading(tmp_path)["name"]) == ["discocyte_1"]


def test_sixteen_bits_are_scaled_by_their_range(tmp_path: Path) -> None:
    image, mask, _ = a_cell()
    put(tmp_path, "discocyte_1", {"image": image.astype(np.uint16) * 13, "mask": mask})
    acquisition = reading(tmp_path)
    assert acquisition["images"].max() == pytest.approx(1)
    assert normalise_image(image, 255.0).max() == pytest.approx(image.max() / 255)


def test_two_cells_in_a_mask(tmp_path: Path) -> None:
    mask = np.zeros((48, 48), np.uint8)
    mask[6:20, 6:20], mask[26:40, 26:40] = 255, 255
    image = mask // 2 + 2
    put(tmp_path / "a", "discocyte_1", {"image": image, "mask": mask})
    assert "holds 2 cells" in faults(tmp_path / "a")
    assert len(reading(tmp_path / "a", several="cut")["mask"]) == 2
    assert len(reading(tmp_path / "a", several="keep")["mask"]) == 1
    put(tmp_path / "b", "cell_cluster_1", {"image": image, "mask": mask})
    assert len(reading(tmp_path / "b")["mask"]) == 1


def test_colour_is_refused_unless_asked_for(tmp_path: Path) -> None:
    image, mask, _ = a_cell()
    colour = np.stack([image, image // 2, image // 3], axis=-1)
    put(tmp_path, "discocyte_1", {"image": colour, "mask": mask}, ".png")
    assert "in colour: its shape is (48, 48, 3)" in faults(tmp_path)
    assert reading(tmp_path, colour="mean")["images"].shape == (1, 64, 64)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_mean_of_colours_keeps_its_greys(tmp_path: Path, dtype: type) -> None:
    image, mask, _ = a_cell()
    share = image / 255 if dtype is np.float32 else image
    colour = np.stack([share, share / 2, share / 4], axis=-1).astype(dtype)
    put(tmp_path, "discocyte_1", {"image": colour, "mask": mask}, ".npy")
    mean = reading(tmp_path, colour="mean")["images"][0, 8:56, 8:56]
    np.testing.assert_allclose(mean, image / 255 * 7 / 12, atol=1 / 255)


def test_equal_channels_are_grey(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image, mask, _ = a_cell()
    put(tmp_path, "discocyte_1", {"image": np.stack([image] * 3, axis=-1), "mask": mask}, ".png")
    with caplog.at_level(logging.INFO):
        acquisition = reading(tmp_path)
    np.testing.assert_allclose(acquisition["images"][0, 8:56, 8:56], image / 255, atol=1e-6)
    assert "all channels are alike: taken as grey" in caplog.text


def test_colours_of_16_bit_keep_their_lower_bits() -> None:
    import imagecodecs

    green = np.arange(12, dtype=np.uint16).reshape(3, 4) + 300
    data = imagecodecs.png_encode(np.stack([green // 2, green, green // 3], axis=-1))
    image = decode_image(data, ".png", "cell_1.png", "image", ShapeAcquisition(channel="green"))
    np.testing.assert_array_equal(image.values, green)


def test_a_mask_at_the_border_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image, mask, _ = a_cell()
    put(tmp_path, "discocyte_1", {"image": image[:, 20:], "mask": mask[:, 20:]})
    with caplog.at_level(logging.WARNING):
        reading(tmp_path)
    assert "1 mask touches its image's border" in caplog.text
    assert "voxel's size is unknown" in caplog.text


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    image, mask, volume = a_cell()
    put(tmp_path, "a_1", {"image": image[:40], "mask": mask, "obj": volume})
    put(tmp_path, "b_1", {"image": image, "mask": np.zeros_like(mask), "obj": volume})
    put(tmp_path, "c_1", {"image": image, "mask": mask, "obj": volume[:, :40]})
    put(tmp_path, "d_1", {"image": image, "mask": mask, "obj": volume})
    (tmp_path / "image" / "d_1.tif").write_bytes(b"II*\0torn")
    put(tmp_path, "e_1", {"image": image[:4], "mask": mask[:4], "obj": volume})
    message = faults(tmp_path)
    for words in (
        "the mask is 48 x 48 pixels, its image 40 x 48",
        "the mask is empty",
        "the volume is 48 x 40 x 48 voxels",
        "the file is damaged",
        "an image (y, x) of at least 8 pixels",
    ):
        assert words in message


def test_missing_partners_are_reported(tmp_path: Path) -> None:
    image, mask, volume = a_cell()
    put(tmp_path, "a_1", {"image": image, "mask": mask, "obj": volume})
    put(tmp_path, "a_2", {"image": image})
    put(tmp_path, "a_3", {"image": image, "mask": mask})
    message = faults(tmp_path)
    assert "'a_2' has no mask and no obj of this name" in message
    assert "'a_3' has no obj of this name" in message


def test_cells_are_selected(tmp_path: Path) -> None:
    assert list(reading(folder(tmp_path), cells=[1])["name"]) == ["discocyte_02"]
    with pytest.raises(ConfigError, match="cell 5 is beyond the last of 2 cells"):
        reading(tmp_path, cells=[5])


def test_a_damaged_file_can_be_left_out(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "mask" / "discocyte_01.tif").write_bytes(b"II*\0torn")
    assert "the file is damaged" in faults(tmp_path)
    assert list(reading(tmp_path, cells=[1])["name"]) == ["discocyte_02"]


def test_the_real_cells(shared_data: Path) -> None:
    acquisition = reading(shared_data / "shapes" / "red_blood_cells_108.zip", cells="::9")
    assert set(acquisition["label"]) == {"cell_cluster", "keratocyte", "knizocyte", "multilobate_cell"}
    assert acquisition.truth is not None
    assert acquisition.truth.main.shape == (12, 1, 64, 64, 64)
    middle, inside = acquisition.truth.main[:, 0, 32] > 0.5, acquisition["mask"] > 0.5
    assert (middle & inside).sum() / (middle | inside).sum() > 0.97


def test_the_contents_of_a_folder_are_described(tmp_path: Path) -> None:
    lines = describe(folder(tmp_path), describers=get_experiment("shape").describers())
    assert "2 cells" in lines[0]
    assert "2 of discocyte" in lines[1]
