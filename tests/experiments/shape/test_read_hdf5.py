"""Reading of HDF5 files: those of unflat stay unchanged, others are treated like folders."""

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.recon.acquisition import Acquisition
from unflat.recon.config.base import Settings
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.shape.cells import to_cell_batch
from unflat.recon.experiments.shape.config import ShapeAcquisition, ShapeSettings
from unflat.recon.experiments.shape.grids import centred_grid
from unflat.recon.experiments.shape.read import read
from unflat.recon.experiments.shape.schema import OCCUPANCY, SCHEMA
from unflat.recon.experiments.shape.simulate import simulate
from unflat.recon.io.write import write
from unflat.recon.sampled import Quantity
from unflat.recon.volume import SIGNED_DISTANCE, Volume

STEP = 0.2e-6


class Config(Settings):
    acquisition: ShapeAcquisition = ShapeAcquisition()


def reading(path: Path, **options: Any) -> Acquisition:
    return read(Config(acquisition=ShapeAcquisition(**options)), path)


def disc(shape: tuple[int, int], radius: float, middle: tuple[float, float] | None = None) -> np.ndarray:
    y, x = np.indices(shape)
    at = middle or (shape[0] / 2, shape[1] / 2)
    return np.asarray(np.hypot(y - at[0], x - at[1]) < radius)


def foreign(path: Path, masks: np.ndarray, images: np.ndarray | None = None) -> Path:
    """Write a file of another program with our paths of datasets."""
    with h5py.File(path, "w") as file:
        file["measurement/mask"] = masks
        file["measurement/images"] = np.where(masks > 0, 100, 5).astype(np.uint8) if images is None else images
    return path


def acquired(edge: int = 32, count: int = 3, truth: Volume | None = None) -> Acquisition:
    masks = np.stack([disc((edge, edge), 5 + 2 * i) for i in range(count)]).astype(np.float32)
    inside = np.stack([ball(edge, 5 + 2 * i) for i in range(count)])[:, None].astype(np.uint8)
    arrays = {
        "images": 0.1 + 0.5 * masks,
        "mask": masks,
        "voxel_size": np.full(3, STEP),
        "name": np.array([f"ball_{i}" for i in range(count)]),
    }
    own = Volume("shape", *centred_grid((edge,) * 3, (STEP,) * 3).axes, {"occupancy": inside}, (OCCUPANCY,))
    return Acquisition("shape", arrays, "made", truth or own)


def ball(edge: int, radius: float) -> np.ndarray:
    return np.asarray(np.linalg.norm(np.indices((edge,) * 3) - edge / 2, axis=0) < radius)


def saved(path: Path, acquisition: Acquisition) -> Path:
    write(acquisition, SCHEMA, path)
    return path


@pytest.mark.parametrize("pixels", [32, 80])
def test_simulated_cells_are_read_unchanged(tmp_path: Path, pixels: int) -> None:
    settings = ShapeSettings.model_validate(
        {"simulate": {"cells": 3, "classes": ["discocyte", "stomatocyte_I", "cell_cluster"], "pixels": pixels}}
    )
    made = simulate(settings)
    acquisition = reading(saved(tmp_path / "cells.h5", made))
    for name in made.arrays:
        np.testing.assert_array_equal(acquisition[name], made[name])
    assert made.truth is not None
    assert acquisition.truth is not None
    np.testing.assert_array_equal(acquisition.truth.main, made.truth.main)
    for axis in "zyx":
        np.testing.assert_allclose(getattr(acquisition.truth, axis), getattr(made.truth, axis), atol=1e-6 * STEP)
    assert acquisition.attributes["specimen"] == "simulated red blood cells"


def test_a_requested_grid_is_used(tmp_path: Path) -> None:
    acquisition = reading(saved(tmp_path / "cells.h5", acquired()), spacing="0.4 um", size=24)
    assert acquisition["images"].shape == (3, 24, 24)
    np.testing.assert_allclose(acquisition["voxel_size"], 0.4e-6)
    assert acquisition.truth is not None
    assert acquisition.truth.main.sum(axis=(1, 2, 3, 4)) * 8 == pytest.approx(
        [ball(32, 5 + 2 * i).sum() for i in range(3)], rel=0.05
    )
    with pytest.raises(ConfigError, match=r"would cut off 1 of 3 cells: ball_2"):
        reading(tmp_path / "cells.h5", spacing="0.2 um", size=16)


def test_truth_and_cells_are_selected_in_the_same_order(tmp_path: Path) -> None:
    path = saved(tmp_path / "cells.h5", acquired())
    for cells, order in (([1, 0], [1, 0]), ("::-1", [2, 1, 0]), ([2], [2])):
        acquisition = reading(path, cells=cells)
        assert list(acquisition["name"]) == [f"ball_{i}" for i in order]
        assert acquisition.truth is not None
        for i, inside in zip(order, acquisition.truth.main[:, 0], strict=True):
            np.testing.assert_array_equal(inside > 0.5, ball(32, 5 + 2 * i))


def test_cells_without_names_keep_their_numbers(tmp_path: Path) -> None:
    masks = np.stack([disc((64, 64), r) for r in (8, 9, 10)]).astype(np.uint8)
    acquisition = reading(foreign(tmp_path / "a.h5", masks), cells=[2, 0])
    assert list(acquisition["name"]) == ["cell_2", "cell_0"]
    assert [int(mask.sum()) for mask in acquisition["mask"]] == [int(masks[2].sum()), int(masks[0].sum())]


def test_missing_and_mismatched_arrays_are_reported_for_any_selection(tmp_path: Path) -> None:
    masks = np.stack([disc((64, 64), r) for r in (8, 9, 10)]).astype(np.uint8)
    path = foreign(tmp_path / "a.h5", masks, np.ones((2, 64, 64)))
    with pytest.raises(DataError, match=r"mask has the shape \(3, 64, 64\); expected \(cell 2, y 64, x 64\)"):
        reading(path, cells=[2])
    with h5py.File(path, "r+") as file:
        del file["measurement/mask"]
    with pytest.raises(DataError, match="the file holds no /measurement/mask"):
        reading(path, cells=[2])


def test_a_cell_is_cut_out_of_an_image_larger_than_the_grid(tmp_path: Path) -> None:
    masks = disc((48, 96), 15)[None].astype(np.uint8)
    acquisition = reading(foreign(tmp_path / "a.h5", masks), voxel_size="0.1 um")
    assert acquisition["images"].shape == acquisition["mask"].shape == (1, 64, 64)
    np.testing.assert_allclose(acquisition["voxel_size"], 0.1e-6)
    assert acquisition["mask"].sum() == masks.sum()


def test_pixels_that_are_not_square_become_square(tmp_path: Path) -> None:
    masks = disc((60, 60), 12)[None].astype(np.uint8)
    acquisition = reading(foreign(tmp_path / "a.h5", masks), voxel_size=["0.2 um", "0.2 um", "0.1 um"])
    assert acquisition["voxel_size"][1] == acquisition["voxel_size"][2]
    area = acquisition["mask"].sum() * acquisition["voxel_size"][1] * acquisition["voxel_size"][2]
    assert area == pytest.approx(masks.sum() * 0.02e-12, rel=0.03)


def test_labels_are_cut_apart(tmp_path: Path) -> None:
    labels = np.zeros((1, 100, 100), np.uint8)
    for number, (y, x) in enumerate(((15, 20), (30, 70), (75, 40)), 1):
        labels[0][disc((100, 100), 8, (y, x))] = 30 * number
    path = foreign(tmp_path / "a.h5", labels)
    acquisition = reading(path)
    assert list(acquisition["name"]) == ["cell_0-30", "cell_0-60", "cell_0-90"]
    area = int(disc((100, 100), 8, (15, 20)).sum())
    assert [int(mask.sum()) for mask in acquisition["mask"]] == [area] * 3
    assert list(reading(path, cells=[2])["name"]) == ["cell_0-90"]
    with pytest.raises(ConfigError, match="cell 3 is beyond the last of 3 cells"):
        reading(path, cells=[3])


def test_a_single_level_in_each_mask_is_a_mask(tmp_path: Path) -> None:
    masks = np.stack([(i + 1) * disc((64, 64), 9) for i in range(4)]).astype(np.uint8)
    assert [int(mask.sum()) for mask in reading(foreign(tmp_path / "a.h5", masks))["mask"]] == [int(masks[0].sum())] * 4


def test_separate_pieces_without_labels_are_no_single_cell(tmp_path: Path) -> None:
    both = disc((80, 80), 9, (20, 20)) | disc((80, 80), 9, (60, 50))
    path = foreign(tmp_path / "a.h5", both[None].astype(np.uint8))
    with pytest.raises(DataError, match=r"mask\[0\]: the mask holds 2 cells that do not touch"):
        reading(path)
    assert len(reading(path, several="cut")["mask"]) == 2
    assert len(reading(path, several="keep")["mask"]) == 1


def test_useless_masks_and_masks_at_the_border_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    masks = np.stack([disc((64, 64), 9), np.zeros((64, 64)), np.ones((64, 64)), disc((64, 64), 9, (5, 30))])
    path = foreign(tmp_path / "a.h5", masks.astype(np.uint8), 5 + np.arange(4 * 64 * 64.0).reshape(4, 64, 64))
    with pytest.raises(DataError) as raised:
        reading(path)
    assert "mask[1]: the mask is empty" in str(raised.value)
    assert "mask[2]: the mask is full" in str(raised.value)
    with caplog.at_level(logging.WARNING):
        assert len(reading(path, cells=[0, 3])["mask"]) == 2
    assert "1 mask touches its image's border, where the cell may go on: cell_3" in caplog.text


def test_pixels_that_are_no_numbers_are_not_to_be_marked_in_the_mask_of_the_section(tmp_path: Path) -> None:
    masks = np.stack([disc((32, 32), 8)]).astype(np.float32)
    images = np.where(masks > 0, 100.0, 5.0)
    images[0, 3, 4] = np.nan
    with pytest.raises(DataError, match="1 number is NaN or infinite") as caught:
        reading(foreign(tmp_path / "cells.h5", masks, images))
    assert "acquisition.mask" not in str(caught.value)


def test_a_truth_may_be_a_distance(tmp_path: Path) -> None:
    axes = centred_grid((32,) * 3, (STEP,) * 3).axes
    far = np.linalg.norm(np.indices((32,) * 3) - 16, axis=0)
    distance = np.stack([far - r for r in (5.0, 7.0, 9.0)])[:, None] * STEP
    truth = Volume("shape", *axes, {SIGNED_DISTANCE: distance}, (Quantity(SIGNED_DISTANCE, "m", ""),))
    acquisition = to_cell_batch(reading(saved(tmp_path / "cells.h5", acquired(truth=truth))))
    assert acquisition.inside is not None
    np.testing.assert_array_equal(acquisition.inside, distance[:, 0] < 0)


@pytest.mark.parametrize(
    ("shape", "steps", "message"),
    [
        ((3, 5, 32, 32, 32), (STEP,) * 3, r"the shape \(3, 5, 32, 32, 32\), and the images are \(3, 32, 32\)"),
        ((2, 1, 32, 32, 32), (STEP,) * 3, r"the shape \(2, 1, 32, 32, 32\)"),
        ((3, 1, 64, 64, 64), (STEP,) * 3, r"the shape \(3, 1, 64, 64, 64\)"),
        ((3, 32, 32, 32), (STEP,) * 3, r"the shape \(3, 32, 32, 32\)"),
        ((3, 1, 16, 32, 32), (2 * STEP, STEP, STEP), "samples are 4e-07, 2e-07, 2e-07 m apart"),
    ],
)
def test_a_truth_that_does_not_fit_is_refused(
    tmp_path: Path, shape: tuple[int, ...], steps: tuple[float, ...], message: str
) -> None:
    truth = Volume(
        "shape", *centred_grid(shape[-3:], steps).axes, {"occupancy": np.ones(shape, np.uint8)}, (OCCUPANCY,)
    )
    with pytest.raises(DataError, match=message):
        reading(saved(tmp_path / "cells.h5", acquired(truth=truth)))


def test_a_flat_truth_is_padded_and_not_stretched(tmp_path: Path) -> None:
    flat = np.stack([ball(32, 5 + 2 * i)[4:29] for i in range(3)])[:, None].astype(np.uint8)
    truth = Volume("shape", *centred_grid((25, 32, 32), (STEP,) * 3).axes, {"occupancy": flat}, (OCCUPANCY,))
    acquisition = reading(saved(tmp_path / "cells.h5", acquired(truth=truth))).truth
    assert acquisition is not None
    np.testing.assert_array_equal(acquisition.main[2, 0] > 0.5, ball(32, 9))
