"""Further sections of cells: geometry, files, faults, and the conditioning of draws on them."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.configs import load_config
from unflat.recon.experiments.shape.cell_table import sections_agreement
from unflat.recon.experiments.shape.cells import CellBatch, to_cell_batch
from unflat.recon.experiments.shape.config import ShapeAcquisition, ShapeSettings
from unflat.recon.experiments.shape.network import conditioning
from unflat.recon.experiments.shape.network.conditioning import nearest_draws
from unflat.recon.experiments.shape.network.next_section import CANDIDATES, expected_reductions
from unflat.recon.experiments.shape.network.predict import predict
from unflat.recon.experiments.shape.network.section_constraints import SectionConstraints
from unflat.recon.experiments.shape.network.shape_code import decode, encode, pixel_centres
from unflat.recon.experiments.shape.read import read
from unflat.recon.experiments.shape.read_folder import read_folder
from unflat.recon.experiments.shape.schema import SCHEMA
from unflat.recon.experiments.shape.section_figure import draw_further_sections
from unflat.recon.experiments.shape.section_files import describe_folder
from unflat.recon.experiments.shape.sections import (
    HEIGHT,
    IMAGES,
    MASK,
    ROTATION,
    TILT,
    Section,
    SectionPlane,
    cut_section,
    read_sections,
    section_arrays,
    tilt_rotation,
)
from unflat.recon.experiments.shape.simulate import simulate
from unflat.recon.io.inspect import describe
from unflat.recon.io.write import write
from unflat.recon.runs import RunContext, RunFolder

EDGE, STEP = 32, 0.2e-6
VOXEL = (STEP,) * 3
UPRIGHT = SectionPlane.tilted(0.0, (np.pi / 2, 0.0))
Z, ACROSS = np.arange(64.0) - 32, pixel_centres()


def ellipsoid(axes: tuple[float, float, float], edge: int = EDGE, shift: float = 0.0) -> np.ndarray:
    """Voxels inside an ellipsoid of half axes (z, y, x) about the centre of the grid, shifted along x."""
    z, across = np.arange(edge) - edge // 2, np.arange(edge) - (edge - 1) / 2
    zz, yy, xx = np.meshgrid(z, across, across - shift, indexing="ij")
    return np.asarray((zz / axes[0]) ** 2 + (yy / axes[1]) ** 2 + (xx / axes[2]) ** 2 < 1)


def acquired(sections: list[tuple[Section, ...]], inside: np.ndarray | None = None) -> Acquisition:
    cell = ellipsoid((8, 10, 12)) if inside is None else inside
    mask = np.stack([cell[EDGE // 2]] * len(sections)).astype(np.float32)
    arrays = {"images": 0.1 + mask, "mask": mask, "voxel_size": np.array(VOXEL)}
    return Acquisition("shape", arrays | section_arrays(sections), "made")


def cut(plane: SectionPlane, inside: np.ndarray | None = None, number: int = 0) -> Section:
    cell = ellipsoid((8, 10, 12)) if inside is None else inside
    return Section(number, plane, cut_section(cell, plane, EDGE, VOXEL).astype(np.float32))


def test_planes_cut_the_voxels_that_height_and_tilt_name() -> None:
    cell = np.random.default_rng(0).random((EDGE,) * 3) > 0.5
    parallel = cut_section(cell, SectionPlane.tilted(3 * STEP), EDGE, VOXEL)
    np.testing.assert_array_equal(parallel, cell[EDGE // 2 + 3])
    about_y = cut_section(cell, UPRIGHT, EDGE, VOXEL)  # x points along -z.
    np.testing.assert_array_equal(about_y[:, 1:], cell[:0:-1, :, EDGE // 2].T)
    about_x = cut_section(cell, SectionPlane.tilted(2 * STEP, (0.0, np.pi / 2)), EDGE, VOXEL)
    np.testing.assert_array_equal(about_x[1:], np.array([cell[k, EDGE // 2 - 2] for k in range(1, EDGE)]))
    assert np.allclose(tilt_rotation(0.3, 0.4) @ tilt_rotation(0.3, 0.4).T, np.eye(3))


def test_sections_pass_through_files_and_may_be_lacking(tmp_path: Path) -> None:
    own = [(cut(UPRIGHT, number=1),), ()]
    acquisition = acquired(own)
    write(acquisition, SCHEMA, tmp_path / "a.h5")
    again = read(ShapeSettings(), tmp_path / "a.h5")
    (section,), none = read_sections(again)
    assert none == ()
    assert section.number == 1
    assert section.image is None
    np.testing.assert_array_equal(section.mask, own[0][0].mask)
    np.testing.assert_allclose(section.plane.rotation, UPRIGHT.rotation)
    arrays = {name: array for name, array in acquisition.arrays.items() if name not in (MASK, HEIGHT, ROTATION)}
    write(replace(acquisition, arrays=arrays), SCHEMA, tmp_path / "old.h5")
    old = read(ShapeSettings(), tmp_path / "old.h5")
    assert set(old.arrays) == set(arrays) | {"name", "label", "outline_at_border"}
    assert to_cell_batch(old).sections == ()


def test_simulated_sections_are_cut_from_the_truth(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "kind: shape\nsimulate: {cells: 1, classes: [spherocyte], pixels: 32, section_height: ['0 um', '1 um'], "
        "section_tilt: [['90 deg', '0 deg'], ['0 deg', '0 deg']]}\n"
    )
    acquisition = simulate(load_config(tmp_path / "c.yaml"))
    batch = to_cell_batch(acquisition)
    assert batch.inside is not None
    assert batch.voxel is not None
    assert [section.number for section in batch.sections[0]] == [0, 1]
    for section in batch.sections[0]:
        np.testing.assert_array_equal(section.mask, cut_section(batch.inside[0], section.plane, 32, batch.voxel))
        assert section.mask is not None
        assert section.mask.any()
    (tmp_path / "c.yaml").write_text("kind: shape\nsimulate: {section_height: [0], section_tilt: [[0, 0], [1, 0]]}\n")
    with pytest.raises(ConfigError, match="2 tilts of sections and 1 heights"):
        load_config(tmp_path / "c.yaml")


NOISE = np.random.default_rng(3).random((1, EDGE, EDGE))
NAN = np.full((1, 1, EDGE, EDGE), np.nan, np.float32)


def gap(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    mask = arrays[MASK].copy()
    mask[0, 0, 3, 4] = np.nan
    return {MASK: mask}


FAULTS: list[tuple[Any, str]] = [
    (lambda a: {HEIGHT: np.array([[20e-6]])}, r"section 0 of cell_0, 20 um from the first, lies outside .* 3.2 um"),
    (lambda a: {ROTATION: a[ROTATION] * 1.1}, r"1 of 1 matrices are no rotations.* differs from 1 by 0.21"),
    (lambda a: {ROTATION: -np.eye(3)[None, None]}, "mirrors the specimen"),
    (gap, "section 0 of cell_0: 1 of 1024 pixels are NaN"),
    (lambda a: {MASK: np.zeros_like(a[MASK])}, "section 0 of cell_0: the mask is empty, and its plane crosses"),
    (lambda a: {MASK: np.ones_like(a[MASK])}, "the mask is full"),
    (lambda a: {MASK: a[MASK][..., :-2]}, "section_mask"),
    (lambda a: {HEIGHT: np.array([[np.nan]])}, "section_height.*NaN"),
    (lambda a: {TILT: np.zeros((1, 1, 2))}, "tilts and rotations are given"),
    (lambda a: {TILT: np.array([[[90.0, 0]]]), ROTATION: None}, "its largest tilt is 90 rad, more than a turn"),
    (lambda a: {IMAGES: np.where(a[MASK] > 0, np.inf, 0.1)}, "pixels are NaN or infinite"),
    (lambda a: {HEIGHT: None, ROTATION: None}, "the places of 1 further section are unknown"),
    (lambda a: {MASK: None}, "there is neither section_mask nor section_images"),
    (lambda a: {"voxel_size": None, HEIGHT: np.array([[1e-6]])}, "the voxel's size is unknown"),
    (lambda a: {MASK: NAN, IMAGES: np.ones_like(NAN)}, "section 0 of cell_0: every pixel is 1"),
    (lambda a: {MASK: None, IMAGES: 0.1 * a[MASK]}, "its plane crosses the first mask, and it is darker than"),
    (lambda a: {MASK: None, IMAGES: 1 + a[MASK]}, "brighter everywhere than the outline of the first picture"),
    (lambda a: {MASK: None, IMAGES: a[MASK], "images": NOISE}, r"no threshold of the first picture .* \(IoU 0"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_faults_of_sections_are_named(change: Any, message: str, tmp_path: Path) -> None:
    acquisition = acquired([(cut(UPRIGHT),)])
    arrays = {**acquisition.arrays, **change(acquisition.arrays)}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    write(replace(acquisition, arrays=arrays), SCHEMA, tmp_path / "a.h5")
    with pytest.raises(DataError, match=message):
        read(ShapeSettings(), tmp_path / "a.h5")


def test_heights_that_are_not_given_are_taken_to_be_zero_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acquisition = acquired([(cut(UPRIGHT),)])
    arrays = {name: array for name, array in acquisition.arrays.items() if name != HEIGHT}
    write(replace(acquisition, arrays=arrays), SCHEMA, tmp_path / "a.h5")
    read(ShapeSettings(), tmp_path / "a.h5")
    assert "section_height: the height of 1 section is not given, and taken to be 0" in caplog.text
    caplog.clear()
    read(ShapeSettings(acquisition=ShapeAcquisition(section_height=["0 um"])), tmp_path / "a.h5")
    assert "section_height" not in caplog.text
    folder_of_sections(tmp_path / "f")
    read_folder(ShapeAcquisition(section_tilt=PLACES_OF_FOLDER["section_tilt"]), tmp_path / "f")
    assert "the heights of 2 sections are not given" in caplog.text


def test_empty_masks_beyond_the_cell_are_taken_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(acquired([(cut(SectionPlane.tilted(10 * STEP)),)]), SCHEMA, tmp_path / "a.h5")
    read(ShapeSettings(), tmp_path / "a.h5")
    assert "does not reach their plane: cell_0 (0)" in caplog.text


def test_pictures_that_show_nothing_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    acquisition = acquired([(cut(SectionPlane.tilted(3 * STEP)),)])
    arrays = {name: array for name, array in acquisition.arrays.items() if name != MASK}
    dark = replace(acquisition, arrays={**arrays, IMAGES: 0.1 * acquisition[MASK]})  # Exposed a tenth as long.
    write(dark, SCHEMA, tmp_path / "a.h5")
    assert to_cell_batch(read(ShapeSettings(), tmp_path / "a.h5")).sections[0][0].mask is not None
    assert "the cell does not reach their plane: cell_0 (0); give the mask" in caplog.text


def test_masks_of_other_programs_may_be_labels(tmp_path: Path) -> None:
    acquisition = acquired([(cut(UPRIGHT),)])
    halves = acquisition[MASK] * np.where(np.arange(EDGE) < EDGE // 2, 1, 2)
    write(replace(acquisition, arrays={**acquisition.arrays, MASK: halves}), SCHEMA, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["creator"] = "another program"
    again = read(ShapeSettings(acquisition=ShapeAcquisition(size=EDGE)), tmp_path / "a.h5")
    np.testing.assert_array_equal(again[MASK], acquisition[MASK])


def test_masks_are_drawn_from_pictures_at_the_threshold_of_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from scipy.ndimage import gaussian_filter

    acquisition = acquired([(cut(UPRIGHT),)])
    first, mask = (gaussian_filter(one.astype(float), 1.0) for one in (acquisition["mask"][0], acquisition[MASK][0, 0]))
    arrays = {**acquisition.arrays, "images": 7 + 50 * first[None], IMAGES: (7 + 50 * mask)[None, None]}
    del arrays[MASK]
    write(replace(acquisition, arrays=arrays), SCHEMA, tmp_path / "a.h5")
    again = read(ShapeSettings(), tmp_path / "a.h5")
    assert "the masks of 1 section is drawn" not in caplog.text
    assert "1 section are drawn" not in caplog.text
    assert "the mask of 1 section is drawn from its picture" in caplog.text
    assert MASK not in again.arrays  # A file says what was measured.
    (section,) = to_cell_batch(again).sections[0]
    assert not section.has_own_mask
    assert section.mask is not None
    known = acquisition[MASK][0, 0] > 0.5
    assert (known ^ (section.mask > 0.5)).sum() < 0.05 * known.sum()


def test_the_figure_shows_each_section_under_its_number(tmp_path: Path) -> None:
    cell, parallel = ellipsoid((8, 10, 12)), SectionPlane.tilted(2 * STEP)
    own = [(cut(UPRIGHT), cut(parallel, number=2)), (cut(parallel, number=2),)]
    arrays = acquired(own).arrays
    with h5py.File(tmp_path / "volume.h5", "w") as file:
        file["name"] = ["a", "b"]
        file["volume/occupancy"] = np.broadcast_to(cell, (2, 1, *cell.shape)).astype(np.uint8)
        for axis in "zyx":
            file[f"volume/{axis}"] = STEP * np.arange(EDGE)
        for name in ("images", "mask", MASK, HEIGHT, ROTATION):
            file[f"seen/{name}"] = arrays[name]
    figure = draw_further_sections(tmp_path / "volume.h5")
    (axes,) = figure.axes
    assert axes.get_visible()
    assert [text.get_text() for text in axes.texts if "section" in text.get_text()] == ["section 0", "section 2"]
    (a, first), (b,) = [[image.get_extent() for image in axes.images[i:j]] for i, j in ((0, 2), (2, 3))]
    assert a[0] < first[0] == b[0]


def test_images_of_several_cells_have_no_further_sections(tmp_path: Path) -> None:
    labels = np.zeros((1, EDGE, EDGE), np.uint8)
    labels[0, 4:12, 4:12], labels[0, 18:28, 18:28] = 1, 2
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["measurement/mask"], file["measurement/images"] = labels, np.where(labels > 0, 100, 5).astype(np.uint8)
        file["measurement/section_mask"] = (labels[:, None] > 0).astype(np.uint8)
    settings = ShapeSettings(acquisition=ShapeAcquisition(section_height=["1 um"], voxel_size="0.2 um"))
    with pytest.raises(DataError, match="further sections belong to images of one cell"):
        read(settings, tmp_path / "f.h5")


def folder_of_sections(root: Path) -> dict[str, np.ndarray]:
    """Write a folder with a cell of which section 0 has a mask and section 1 a picture."""
    import tifffile

    cell = ellipsoid((8, 10, 12))
    first, upright = cell[EDGE // 2], cut_section(cell, UPRIGHT, EDGE, VOXEL)
    files = {"image/a": 20 + 200 * first, "mask/a": 255 * first, "section_0/mask/a": 255 * upright}
    files["section_1/image/a"] = 20 + 200 * cell[EDGE // 2 + 4]
    for name, values in files.items():
        path = root / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, values.astype(np.uint8))
    return files


PLACES_OF_FOLDER = {"section_height": ["0 um", "0.8 um"], "section_tilt": [["90 deg", 0], [0, 0]]}


def test_further_sections_of_a_folder_are_read_at_the_places_of_the_config(tmp_path: Path) -> None:
    files = folder_of_sections(tmp_path / "f")
    options = {"voxel_size": "0.2 um", "size": EDGE, **PLACES_OF_FOLDER}
    acquisition = read(ShapeSettings(acquisition=ShapeAcquisition(**options)), tmp_path / "f")
    write(acquisition, SCHEMA, tmp_path / "f.h5")
    again = read(ShapeSettings(acquisition=ShapeAcquisition(**options)), tmp_path / "f.h5")  # The tilts of the config.
    upright, parallel = to_cell_batch(again).sections[0]
    np.testing.assert_array_equal(upright.mask, files["section_0/mask/a"] > 0)
    np.testing.assert_allclose(upright.plane.rotation, UPRIGHT.rotation, atol=1e-12)
    assert parallel.plane.height == pytest.approx(0.8e-6)
    assert not parallel.has_own_mask
    assert parallel.mask is not None
    assert ((parallel.mask > 0.5) ^ ellipsoid((8, 10, 12))[EDGE // 2 + 4]).sum() < 40
    assert any("section_1: a further section of 1" in line for line in describe_folder(tmp_path / "f") or ())
    null = ShapeAcquisition(**{"section_mask": None, **options})  # The masks are not used: section 0 has nothing else.
    assert [one.number for one in read_sections(read(ShapeSettings(acquisition=null), tmp_path / "f"))[0]] == [1]


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({}, "the places of 2 further sections are unknown"),
        ({"section_height": ["1 um"]}, r"has the shape \(1,\), and the folder has 2 further sections: expected \(2,\)"),
        ({"section_tilt": [["90 deg"], [0]]}, r"expected \(2, 2\)"),  # Not both angles.
        ({"section_tilt": [[90, 0], [0, 0]]}, "its largest tilt is 90 rad"),
        ({**PLACES_OF_FOLDER, "section_rotation": [np.eye(3).tolist()] * 2}, "tilts and rotations are given"),
        ({**PLACES_OF_FOLDER, "section_mask": "/masks"}, "names an array of an HDF5 file"),
    ],
)
def test_places_that_do_not_fit_the_folder_are_refused(places: Any, message: str, tmp_path: Path) -> None:
    folder_of_sections(tmp_path)
    with pytest.raises(ConfigError, match=message):
        read_folder(ShapeAcquisition(**places), tmp_path)


def test_further_sections_that_do_not_fit_their_cell_are_refused(tmp_path: Path) -> None:
    import tifffile

    folder_of_sections(tmp_path)
    tifffile.imwrite(tmp_path / "section_0" / "mask" / "b.tif", np.ones((EDGE, EDGE), np.uint8))
    with pytest.raises(DataError, match="is a further section of 'b', which has no first section: those are of a;"):
        read_folder(ShapeAcquisition(**PLACES_OF_FOLDER), tmp_path)
    (tmp_path / "section_0" / "mask" / "b.tif").rename(tmp_path / "section_0" / "mask" / "a.tif")
    tifffile.imwrite(tmp_path / "section_1" / "image" / "a.tif", np.ones((EDGE, 20), np.uint8))
    settings = ShapeSettings(acquisition=ShapeAcquisition(**PLACES_OF_FOLDER))
    with pytest.raises(DataError, match="is 32 x 20 pixels, and the first section 32 x 32"):
        read(settings, tmp_path)


def codes_of(shapes: list[np.ndarray]) -> np.ndarray:
    from unflat.recon.metrics.shapes import signed_distance

    return np.stack([encode(signed_distance(shape), (Z, ACROSS, ACROSS)) for shape in shapes])


def test_draws_agree_with_all_sections_and_their_spread_shrinks() -> None:
    rng, voxel = np.random.default_rng(1), (1.0,) * 3
    heights = rng.uniform(8, 20, 30)
    codes = codes_of([ellipsoid((h, 16, 20), 64) for h in heights])
    truth = ellipsoid((17, 16, 20), 64)
    section = Section(0, UPRIGHT, cut_section(truth, UPRIGHT, 64, voxel).astype(np.float32))
    mask = truth[32][None].astype(np.float32)
    cells = CellBatch(mask, mask, ["a"], [""], sections=[(section,)])
    nearest, conditioning = nearest_draws(codes, SectionConstraints.of_cell(cells, 0), 15)
    conditioned = conditioning.apply(nearest)

    def inside(own: np.ndarray) -> np.ndarray:
        return np.stack([decode(code, Z, ACROSS, ACROSS) < 0 for code in own])

    before, after = inside(codes), inside(conditioned)
    volumes = [one.sum(axis=(1, 2, 3)) / truth.sum() for one in (before, after)]
    assert np.abs(volumes[0] - 1).mean() > 0.2
    assert np.abs(volumes[1] - 1).mean() < 0.05
    agreement = [sections_agreement(one, cells, 0, mask[0])["sections_agreement"] for one in (before, after)]
    assert agreement[0] < 0.8
    assert agreement[1] > 0.97
    chosen = [i for i, code in enumerate(codes) if any(np.array_equal(code, one) for one in nearest)]
    assert np.abs(heights[chosen] - 17).max() <= np.sort(np.abs(heights - 17))[14]
    other = codes.copy()
    other[chosen] *= 1.001  # The gain comes from other draws than those that it is applied to.
    again = nearest_draws(other, SectionConstraints.of_cell(cells, 0), 15)[1]
    np.testing.assert_array_equal(again.gain, conditioning.gain)


def test_the_expected_gain_is_that_of_the_section_that_tells() -> None:
    rng = np.random.default_rng(2)
    codes = codes_of([ellipsoid((height, 16, 20), 64) for height in rng.uniform(8, 20, 12)])
    gains = expected_reductions(codes)
    upright = [i for i, one in enumerate(CANDIDATES) if one.about_y or one.about_x]
    assert (gains[upright] > 0.8).all()  # All that differs is the height, which an upright section shows.
    noise = rng.normal(0, 0.3, (12, 16, 16, 16)).astype(np.float32)
    assert expected_reductions(codes[:1] + noise).max() < 0.5  # Noise in one plane tells little of that elsewhere.


def test_predictions_use_all_sections_and_leave_single_ones_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditioning, "_POOL", 0)  # Twice the draws of the consensus, the least that there may be.
    (tmp_path / "c.yaml").write_text(
        "kind: shape\npredict: {draws: 3, steps: 1}\nvolume: {edge: 32}\nsimulate: {cells: 3, classes: [cell_cluster, "
        "knizocyte], pixels: 64, section_height: [0], section_tilt: [['90 deg', '0 deg']]}\n"
    )
    settings = load_config(tmp_path / "c.yaml")
    two = replace(simulate(settings), truth=None)
    masks = two[MASK].copy()
    masks[1] = np.roll(masks[1], 12, axis=1)  # It contradicts the first section.
    masks[2] = np.nan  # It is lacking.
    two = replace(two, arrays={**two.arrays, MASK: masks, IMAGES: np.where(np.isnan(masks), np.nan, two[IMAGES])})
    one = replace(two, arrays={name: a for name, a in two.arrays.items() if not name.startswith("section_")})
    outcomes, rows = {}, {}
    for name, acquisition in (("one", one), ("two", two)):
        with RunFolder.create(tmp_path / name, fingerprint={}) as folder:
            outcomes[name] = predict(RunContext(settings, folder, acquisition))
        rows[name] = list(csv.DictReader((tmp_path / name / "cells.csv").read_text("utf-8").splitlines()))
    with h5py.File(tmp_path / "one" / "volume.h5") as alone, h5py.File(tmp_path / "two" / "volume.h5") as among:
        for path in ("volume/occupancy", "consensus/occupancy"):
            np.testing.assert_array_equal(alone[path][2], among[path][2])
    assert "sections_agreement" not in rows["one"][0]
    agree, contradict, lacking = (row["sections_agreement"] for row in rows["two"])
    assert float(agree) > 0.85
    assert float(contradict) < float(agree)
    assert lacking == ""
    assert "sections of the cell contradict one another" in rows["two"][1]["verdict_reasons"]
    assert float(rows["two"][0]["sections_contradiction"]) < 0.1
    assert 0 < outcomes["two"].numbers["next_section_gain"] < 1
    assert any("a further section would narrow the draws most in" in note for note in outcomes["two"].notes)
    assert {"next_section_height [um]", "next_section_gain"} <= set(rows["one"][0])
    assert draw_further_sections(tmp_path / "two" / "volume.h5").axes
    mean = settings.model_copy(update={"predict": settings.predict.model_copy(update={"mean": True})})
    first = {name: array[:1] for name, array in two.arrays.items() if name not in ("voxel_size", MASK)}
    pictures = replace(two, arrays={**first, "voxel_size": two["voxel_size"]})
    with RunFolder.create(tmp_path / "mean", fingerprint={}) as folder:
        numbers = predict(RunContext(mean, folder, pictures)).numbers
    assert numbers["draws"] == 1
    assert numbers["sections_agreement"] > 0.85
    with h5py.File(tmp_path / "mean" / "volume.h5") as file, h5py.File(tmp_path / "two" / "volume.h5") as given:
        assert file[f"seen/{MASK}_drawn"][()].tolist() == [[1]]
        assert f"seen/{MASK}_drawn" not in given
    assert any("@drawn_from_pictures = 1 of 1 masks" in line for line in describe(tmp_path / "mean" / "volume.h5"))
