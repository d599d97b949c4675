"""One pixel size for all cells of a run, whatever the sizes of their images."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from unflat.recon.errors import ConfigError
from unflat.recon.experiments.shape.cells import to_cell_batch
from unflat.recon.experiments.shape.experiment import ShapeExperiment
from unflat.recon.experiments.shape.schema import FIELD

from .test_masks import cells, disc, plate, reading


def lit(mask: np.ndarray) -> np.ndarray:
    return np.where(mask > 0, 900, 100).astype(np.uint16)


def sized(step: float, z: float | None = None, unit: str = "µm") -> dict[str, Any]:
    meta: dict[str, Any] = {"axes": "YX"}
    for axis, size in (("X", step), ("Y", step), ("Z", z)):
        if size is not None:
            meta |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}
    return {"ome": True, "metadata": meta}


@pytest.mark.parametrize("size", [(40, 40), (512, 512), (64, 300)])
def test_a_cell_is_the_same_in_images_of_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    shapes = []
    for name, shape in (("usual", (64, 64)), ("other", size)):
        own = disc(shape, 17)
        image = np.where(own, 900, 100) + 200 * disc(shape, 6)
        acquisition = reading(cells(tmp_path / name, 255 * own.astype(np.uint8), image.astype(np.uint16)))
        assert "binning" not in acquisition
        shapes.append((acquisition["images"], acquisition["mask"]))
    for one, other in zip(*shapes, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_stray_speck_does_not_shrink_a_cell(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = disc((512, 512), 17)
    speck = own.copy()
    speck[3, 500] = True
    with caplog.at_level(logging.WARNING):
        acquisition = reading(cells(tmp_path, 255 * speck.astype(np.uint8), lit(own)))
    assert acquisition["mask"].sum() == own.sum()
    assert "stray pixels of cells left out (acquisition.smallest): 1 pixel of" in caplog.text


def test_cells_larger_than_the_grid_are_binned_together(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = plate(numbers=(1, 2, 3))
    labels[disc(labels.shape, 60, (120, 190))] = 4
    with caplog.at_level(logging.WARNING):
        batch = to_cell_batch(reading(cells(tmp_path, labels)))
    factor = (121 + 8) / 64
    assert batch.voxel_lengths == pytest.approx((factor,) * 3)
    assert f"plate-4 needs 129 pixels, and the grid has 64: all cells are binned, and a voxel is {factor:.4g}" in (
        caplog.text
    )
    areas = [float((cell.mask > 0.5).sum()) * cell.voxel[1] * cell.voxel[2] for cell in batch]
    assert areas == pytest.approx([(labels == number).sum() for number in (1, 2, 3, 4)], rel=0.015)
    assert "1 of 4 cells have fewer than 100 pixels after that" in caplog.text
    assert "predict plate-4 in a run of its own, so that the others keep finer pixels" in caplog.text


def test_files_of_different_pixel_sizes_share_the_coarsest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, step in (("a", 0.1), ("b", 0.2)):
        own = disc((64, 64), 2.0 / step)
        cells(tmp_path, 255 * own.astype(np.uint8), lit(own), name, **sized(step))
    with caplog.at_level(logging.WARNING):
        acquisition = reading(tmp_path)
    np.testing.assert_allclose(acquisition["voxel_size"], 0.2e-6)
    assert "pixels from 0.1 um to 0.2 um: all cells are resampled to the coarsest; finer ones are those of a" in (
        caplog.text
    )
    area = acquisition["mask"].sum(axis=(1, 2)) * 0.2**2
    assert area == pytest.approx(np.pi * 4, rel=0.05)
    own = disc((64, 64), 10)
    cells(tmp_path, 255 * own.astype(np.uint8), lit(own), "c")
    with pytest.raises(ConfigError, match=r"pixel size of 1 of 3 cells is unknown \(the first: c\), .* a is 0\.1 um"):
        reading(tmp_path)


@pytest.mark.parametrize(
    ("pixel", "spacing"),
    [((0.2, 0.1), "auto"), ((0.1, 0.2), "0.1 um"), ((0.34, 0.34), "0.17 um"), ((0.34, 0.34), "0.1703 um")],
)
def test_sections_keep_their_area_on_finer_pixels(tmp_path: Path, pixel: tuple[float, float], spacing: str) -> None:
    rows, columns = np.indices((40, 40)) - 20.3
    own = np.hypot(rows * pixel[0], columns * pixel[1]) < 2.1
    voxel = [f"{size} um" for size in (pixel[1], *pixel)]
    acquisition = reading(cells(tmp_path, 255 * own.astype(np.uint8), lit(own)), voxel_size=voxel, spacing=spacing)
    step = acquisition["voxel_size"][2] * 1e6
    assert (acquisition["mask"] > 0.5).sum() * step**2 == pytest.approx(own.sum() * pixel[0] * pixel[1], rel=0.01)


def test_predictions_resample_to_the_pixel_of_the_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    experiment, trained = ShapeExperiment(), FIELD / 64
    for name, step in (("fine", 0.17), ("coarse", 0.34), ("huge", 1.0)):
        own = disc((64, 64), 3.0 / step if name != "huge" else 20)
        cells(tmp_path / name, 255 * own.astype(np.uint8), lit(own), name, **sized(step))
    with caplog.at_level(logging.WARNING):
        config, paths = experiment.Config(), {name: tmp_path / name for name in ("fine", "coarse", "huge")}
        steps = {name: experiment.read(config, path)["voxel_size"][0] for name, path in paths.items()}
    assert steps == pytest.approx({"fine": 0.17e-6, "coarse": trained, "huge": 1e-6}, rel=1e-6)
    assert caplog.text.count("are resampled") == 1
    assert "pixels of 0.34 um are resampled to 0.1703 um" in caplog.text
    experiment.convert(config, paths["coarse"], tmp_path / "coarse.h5")
    unsampled = config.model_copy(update={"predict": config.predict.model_copy(update={"resample": False})})
    for path in (paths["coarse"], tmp_path / "coarse.h5"):
        np.testing.assert_allclose(experiment.read(unsampled, path)["voxel_size"], 0.34e-6)


def test_the_step_of_a_stack_does_not_stretch_a_section(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = disc((64, 64), 18)
    cells(tmp_path, 255 * own.astype(np.uint8), lit(own), **sized(0.1, 0.5))
    with caplog.at_level(logging.INFO):
        np.testing.assert_allclose(reading(tmp_path)["voxel_size"], 0.1e-6)
    assert "the pixel goes for z too" in caplog.text
    assert "0.5 um between planes, 0.1 um a pixel" in caplog.text
    stretched = reading(tmp_path, voxel_size=["0.5 um", "0.1 um", "0.1 um"])
    np.testing.assert_allclose(stretched["voxel_size"], [0.5e-6, 0.1e-6, 0.1e-6])
    assert "stretched by 5 along z" in caplog.text
    assert "set acquisition.voxel_size: '0.1 um'" in caplog.text


def test_imagej_calibrates_as_ome_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = disc((64, 64), 18)
    calibrated = {"imagej": True, "resolution": (1 / 0.13, 1 / 0.13), "metadata": {"axes": "YX", "unit": "micron"}}
    cells(tmp_path, 255 * own.astype(np.uint8), lit(own), **calibrated)
    np.testing.assert_allclose(reading(tmp_path)["voxel_size"], 0.13e-6, rtol=1e-6)
    tifffile.imwrite(tmp_path / "mask" / "plate.tif", 255 * own.astype(np.uint8), **sized(0.2))
    with caplog.at_level(logging.WARNING):
        np.testing.assert_allclose(reading(tmp_path)["voxel_size"], 0.13e-6, rtol=1e-6)
    assert "plate (image 0.13 um, mask 0.2 um; that of the image is taken)" in caplog.text


def test_dots_per_inch_are_no_calibration(tmp_path: Path) -> None:
    own = disc((64, 64), 18)
    cells(tmp_path, 255 * own.astype(np.uint8), lit(own), resolution=(72, 72), resolutionunit="INCH")
    assert "voxel_size" not in reading(tmp_path)
