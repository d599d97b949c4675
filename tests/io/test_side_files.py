"""Side files: any name of an acquisition may stand in another file."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile

from unflat.recon.config.source import Source
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.cell.read import read
from unflat.recon.experiments.configs import parse_config
from unflat.recon.io.open import open_tree
from unflat.recon.io.side_files import side_file_paths

IMAGES = np.random.default_rng(0).integers(10, 4000, (3, 8, 10)).astype(np.uint16)
MASK = np.zeros((8, 10), np.uint8)
MASK[3:5] = 1
SPEC = (
    "#F scan.spec\n#E 1600000000\n#O0 Delta  Theta  Focus\n#o0 del th z\n\n"
    "#S 53 ascan  th 0 1 1 1\n#P0 1 2 3\n#N 2\n#L Theta  Det\n0 5\n1 6\n\n"
    "#S 54 ascan  th 0.1 0.3 2 1\n#P0 32.5 0.1 4\n#N 2\n#L Theta  Det\n0.1 5\n0.2 6\n0.3 7\n\n"
)
TABLE = "image,row,col,z [um],phi_deg\na.tif,17,18,-1,10\nb.tif,17,16,0,20\nc.tif,16,17,1,30\n"
FIO = (
    "!\n%c\nascan om 1 3 2\n%p\ndel = 32.5\nuser = someone\n"
    "%d\n Col 1 om DOUBLE\n Col 2 det DOUBLE\n 0.1 5\n 0.2 6\n 0.3 7\n"
)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Images in an HDF5 file, and everything else in files beside it."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["I"], file["own.npy"] = IMAGES, MASK
    np.save(tmp_path / "mask.npy", MASK)
    np.savez(tmp_path / "gap.npz", mask=MASK)
    np.savez(tmp_path / "two.npz", mask=MASK, other=MASK)
    tifffile.imwrite(tmp_path / "mask.tif", MASK)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a/mask"] = MASK
        file["lambda"], file["micro"], file.attrs["n"] = 515.0, 0.515, 1.33
        file["lambda"].attrs["units"] = "nm"
    (tmp_path / "leds.csv").write_text(
        "image,row,col,z [um],phi_deg\na.tif,17,18,-1,10\nb.tif,17,16,0,20\nc.tif,16,17,1,30\n"
    )
    (tmp_path / "scan.spec").write_text(SPEC)
    (tmp_path / "scan.fio").write_text(FIO)
    return tmp_path / "a.h5"


def cell(**sources: Any) -> Any:
    """Config of a cell's images with given sources."""
    numbers = {"wavelength": "515 nm", "numerical_aperture": 0.65, "medium_index": 1.33, "pixel_size": "0.1 um"}
    light = {"illumination": "normal"} if not {"led_grid", "turn"} & set(sources) else {}
    assignments = {"images": "/I", **numbers, "defocus": [0, 1e-6, 2e-6], **light, **sources}
    return parse_config("kind: cell", [f"acquisition.{key}={value}" for key, value in assignments.items()])


def fault(scan: Path, **sources: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(cell(**sources), scan)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("mask.npy", "/mask.npy", "./mask.npy", "gap.npz", "gap.npz:/mask", "gap.npz:mask", "mask.tif", "ABSOLUTE"),
        *("other.h5:/a/mask", "other.h5:a/mask", "'other.h5:/a/mask as y x'", "[mask.npy, gap.npz]", "/own.npy"),
    ],
)
def test_a_mask_may_stand_in_another_file(scan: Path, name: str) -> None:
    name = name.replace("ABSOLUTE", str(scan.parent / "mask.npy"))
    np.testing.assert_array_equal(read(cell(mask=name), scan)["mask"], MASK)


def test_units_and_attributes_of_another_file_count_as_in_the_own(scan: Path) -> None:
    acquisition = read(cell(wavelength="other.h5:/lambda", medium_index="other.h5@n"), scan)
    assert float(acquisition["wavelength"]) == pytest.approx(515e-9)
    assert float(acquisition["medium_index"]) == 1.33
    assert float(read(cell(wavelength="other.h5:/micro in um"), scan)["wavelength"]) == pytest.approx(515e-9)


def test_columns_of_a_table_are_named_or_counted_and_have_the_units_of_their_heads(scan: Path) -> None:
    for name in ("leds.csv:z", "leds.csv:4", "'leds.csv:z [um]'", "leds.csv:Z in um"):
        np.testing.assert_allclose(read(cell(defocus=name), scan)["defocus"], [-1e-6, 0, 1e-6])
    np.testing.assert_allclose(read(cell(defocus="leds.csv:z in nm"), scan)["defocus"], [-1e-9, 0, 1e-9])
    sources = "{row_col: [leds.csv:row, leds.csv:col], pitch: 4 mm, height: 80 mm, centre: [17, 17]}"
    na = 4 / np.hypot(4, 80)
    directions = [[0, na], [0, -na], [-na, 0]]
    np.testing.assert_allclose(read(cell(led_grid=sources), scan)["illumination_na"], directions, atol=1e-15)


@pytest.mark.parametrize("name", ["leds.csv:phi_deg", "scan.spec:54/Theta", "scan.spec:54/th", "scan.fio:om"])
def test_angles_of_tables_and_scan_files_are_in_degrees(scan: Path, name: str) -> None:
    angles = np.radians([10, 20, 30] if "leds" in name else [0.1, 0.2, 0.3])
    rotation = read(cell(turn=f"{{axis: y, angles: {name}}}", illumination="normal"), scan)["rotation"]
    np.testing.assert_allclose(rotation[:, 0, 0], np.cos(angles), rtol=1e-12)


def test_a_column_by_its_number_is_told_by_its_name(scan: Path) -> None:
    acquisition = read(cell(defocus="leds.csv:4"), scan)
    assert acquisition.place("defocus").endswith("leds.csv:4 (the column z)")
    assert any("4 (the column z)" in note for note in acquisition.notes)


def test_lengths_of_scan_files_need_a_unit(scan: Path) -> None:
    text = fault(scan, defocus="scan.spec:54/z")
    assert "states no unit" in text
    assert "'scan.spec:54/z in um'" in text
    sources = {"defocus": "scan.spec:54/z in um", "turn": "{angles: leds.csv:phi_deg}", "illumination": "normal"}
    np.testing.assert_allclose(read(cell(**sources), scan)["defocus"], 4e-6)
    with open_tree(scan.parent / "scan.fio") as tree:
        assert tree.names() == ["/del", "/om", "/det"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mosk.npy", ("acquisition.mask: there is no file 'mosk.npy' in", "did you mean 'mask.npy'")),
        ("other.h5:/a/mosk", ("nothing of that name", "did you mean 'other.h5:/a/mask'?")),
        ("leds.csv:raw", ("leds.csv:raw: there is nothing", "it holds image (3,), row (3,)", "'leds.csv:row'")),
        ("leds.csv:0", ("leds.csv:0: there is nothing",)),
        ("leds.csv", ("column image holds text", "[leds.csv:row, leds.csv:col]")),
        ("two.npz", ("several arrays", "as 'two.npz:/mask'")),
        ("scan.spec:99/th", ("there is no scan '99'", "53, 54", "scan.spec:53/th")),
    ],
)
def test_what_is_absent_is_named_with_what_is_like_it(scan: Path, name: str, words: tuple[str, ...]) -> None:
    text = fault(scan, mask=name)
    assert all(word in text for word in words), text


def test_files_of_one_name_that_differ_are_refused(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = scan.parent / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    np.save("mask.npy", MASK)  # The same bytes are no contradiction.
    read(cell(mask="mask.npy"), scan)
    np.save("mask.npy", 1 - MASK)
    text = fault(scan, mask="mask.npy")
    assert "several files are named 'mask.npy'" in text
    name = text.rpartition("name one in full: ")[2].strip("'")
    np.testing.assert_array_equal(read(cell(mask=name), scan)["mask"], MASK)


def test_a_folder_and_a_tiff_may_have_side_files_too(tmp_path: Path, scan: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for i, image in enumerate(IMAGES):
        tifffile.imwrite(folder / f"image_{i}.tif", image)
    tifffile.imwrite(tmp_path / "stack.tif", IMAGES, photometric="minisblack")
    for path in (folder, folder / "image_*.tif", tmp_path / "stack.tif"):
        acquisition = read(
            cell(images="/measurement/images", mask="../mask.npy" if "*" in path.name else "mask.npy"), path
        )
        np.testing.assert_array_equal(acquisition["mask"], MASK)


def test_the_files_that_a_config_names_are_listed(scan: Path) -> None:
    settings = cell(
        mask="[mask.npy, gap.npz]", turn="{angles: /scan.fio}", wavelength="other.h5:/lambda", medium_index="/none"
    )
    paths = {key: path.name for key, path in side_file_paths(settings, scan).items()}
    assert paths == {
        "acquisition.mask.0": "mask.npy",
        "acquisition.mask.1": "gap.npz",
        "acquisition.turn.angles": "scan.fio",
        "acquisition.wavelength": "other.h5",
    }


@pytest.mark.parametrize("text", ["0.63 um", "9 keV", "1.33", "1e-7", "0.5", ".5 mm"])
def test_quantities_are_no_files(text: str) -> None:
    assert Source.parse(text, photon=True).is_literal


def test_forms_of_sources() -> None:
    source = Source.parse(r"C:\data\x.h5:/a/b@step as y x in mm", "length")
    assert (source.file, source.path, source.attribute) == (r"C:\data\x.h5", "/a/b", "step")
    assert (source.order, source.unit) == (("y", "x"), "mm")
    assert Source.parse("/x in um as y x").order == ("y", "x")
    assert Source.parse("cells in dish.npy").file == "cells in dish.npy"
    assert Source.parse("/home/me@lab/x.h5:/a").attribute == ""
    with pytest.raises(ValueError, match="unknown unit 'parsec'"):
        Source.parse("leds.csv:z in parsec")
    with pytest.raises(ConfigError, match=r"'mask' is not a number .* another file is named as mask\.npy"):
        cell(mask="mask")
