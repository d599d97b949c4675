"""Bad data: each fault has a clear message and status 3, none a traceback, and no half-written file stays."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.experiments.cell.read import read
from unflat.recon.experiments.configs import parse_config
from unflat.recon.io.inspect import describe

from ..commands import run_here

SHAPE = (4, 8, 10)


def write_sound(path: Path) -> Path:
    """Write an acquisition without a fault."""
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "unflat-acquisition"
        file["measurement/images"] = np.random.default_rng(0).poisson(100, SHAPE).astype(float)
        file["measurement/mask"] = np.zeros(SHAPE, np.uint8)
        file["instrument/wavelength"] = 515e-9
        file["instrument/numerical_aperture"] = 0.65
        file["instrument/medium_index"] = 1.33
        file["instrument/pixel_size"] = [1e-7, 1e-7]
        file["instrument/illumination_na"] = 0.2 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    return path


def put(name: str, value: Any) -> Callable[[h5py.File], None]:
    """Replace a dataset; None removes it."""

    def change(file: h5py.File) -> None:
        del file[name]
        if value is not None:
            file[name] = value

    return change


def unit(name: str, text: str) -> Callable[[h5py.File], None]:
    """Give a dataset a unit."""
    return lambda file: file[name].attrs.__setitem__("units", text)


def poke(name: str, index: tuple[Any, ...], value: float) -> Callable[[h5py.File], None]:
    """Change some numbers of a dataset."""

    def change(file: h5py.File) -> None:
        file[name][index] = value

    return change


IMAGES, MASK = "measurement/images", "measurement/mask"
FAULTS = {
    "missing images": (put(IMAGES, None), r"/measurement/images .*nor /measurement/field.*it holds /instrument/"),
    "missing wavelength": (
        put("instrument/wavelength", None),
        r"holds no /instrument/wavelength \(vacuum wavelength\).*or a number with its unit\), it holds",
    ),
    "flat images": (put(IMAGES, np.ones(7)), r"images has the shape \(7,\); expected \(view, y, x\)"),
    "too few directions": (
        put("instrument/illumination_na", np.zeros((3, 2))),
        r"illumination_na: illumination_na has the shape \(3, 2\); expected \(view 4, 2\)",
    ),
    "mask of another size": (put(MASK, np.zeros((8, 9))), r"mask has the shape \(8, 9\); expected \(y 8, x 10\) or"),
    "complex images": (put(IMAGES, np.ones(SHAPE, complex)), r"holds complex numbers.*acquisition\.field"),
    "text": (put("instrument/wavelength", "515 nm"), r"wavelength: holds text; expected numbers"),
    "NaN": (
        poke(IMAGES, (2, 5, slice(7, 9)), np.nan),
        r"2 numbers are NaN or infinite, the first nan at \[2, 5, 7\]",
    ),
    "infinite": (poke(IMAGES, (0, 0, 0), np.inf), r"1 number is NaN or infinite, the first inf at \[0, 0, 0\]"),
    "negative counts": (
        poke(IMAGES, (1, 2, 3), -1e6),
        r"1 of 320 numbers are negative, the least -1e\+06 at \[1, 2, 3\]",
    ),
    "all masked": (put(MASK, np.ones(SHAPE, np.uint8)), r"all 320 pixels are masked; 0 means good"),
    "a masked view": (poke(MASK, (3,), 1), r"every pixel of view 3 is masked"),
    "a dark view": (poke(IMAGES, (2,), 0), r"view 2 of those used is dark"),
    "aperture beyond the medium": (
        put("instrument/numerical_aperture", 1.4),
        r"the numerical aperture 1\.4 exceeds the medium's index 1\.33",
    ),
    "light beyond the medium": (
        poke("instrument/illumination_na", (2, 0), 1.5),
        r"1 of 4 directions of light exceed the medium's index.*illumination_na\[2\]",
    ),
    "pixel in micrometres": (
        put("instrument/pixel_size", [0.1, 0.1]),
        r"0\.1 m is too large.*looks like micrometres.*acquisition\.pixel_size: '/instrument/pixel_size in um'",
    ),
    "pixel in nanometres": (put("instrument/pixel_size", [100.0, 100.0]), r"looks like nanometres"),
    "pixel of the camera's millimetres": (put("instrument/pixel_size", [6.5e-4] * 2), r"wavelengths.*magnification"),
    "wavelength in micrometres": (put("instrument/wavelength", 0.515), r"0\.515 m is no wavelength.*micrometres"),
    "wavelength in nanometres": (put("instrument/wavelength", 515.0), r"looks like nanometres"),
    "negative wavelength": (put("instrument/wavelength", -5e-7), r"wavelength: -5e-07 is not positive"),
    "no view": (put(IMAGES, np.ones((0, 8, 10))), r"images: is empty: its shape is \(0, 8, 10\); copy or acquire"),
    "a unit of something else": (unit("instrument/pixel_size", "s"), r"pixel_size: its unit 's' is no length"),
    "an unknown unit": (unit("instrument/pixel_size", "furlong"), r"pixel_size: its unit 'furlong' is unknown"),
    "a link that leads nowhere": (
        put(IMAGES, h5py.ExternalLink("absent.h5", "/data")),
        r"images: cannot be opened: it is a link to absent\.h5:/data",
    ),
    "index of nothing": (put("instrument/medium_index", 0.3), r"medium_index: 0\.3 is below 1"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_with_its_place_and_value(tmp_path: Path, name: str) -> None:
    path = write_sound(tmp_path / "scan.h5")
    change, message = FAULTS[name]
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(DataError, match=message) as caught:
        read(parse_config("kind: cell"), path)
    assert all("scan.h5" in fault.where for fault in caught.value.faults)
    assert len(caught.value.faults) <= 2


@pytest.mark.parametrize("name", [name for name in FAULTS if "unit" in name])
def test_a_wrong_unit_is_reported_once(tmp_path: Path, name: str) -> None:
    path = write_sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        FAULTS[name][0](file)
    with pytest.raises(DataError) as caught:
        read(parse_config("kind: cell"), path)
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("kind", "crystal", "is an acquisition of a crystal, not of a cell"),
        ("format_version", "2.0", r"format version 2\.0; this reads 1\.0"),
    ],
)
def test_another_kind_and_a_later_format_are_refused(tmp_path: Path, attribute: str, value: str, message: str) -> None:
    path = write_sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        file.attrs[attribute] = value
    with pytest.raises(DataError, match=message):
        read(parse_config("kind: cell"), path)


def test_info_names_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        put(IMAGES, h5py.SoftLink("/absent"))(file)
    assert "    images  cannot be opened: it is a link to /absent" in describe(path)


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "scan.h5")
    chosen = ["NaN", "negative counts", "aperture beyond the medium", "pixel in micrometres", "too few directions"]
    with h5py.File(path, "a") as file:
        for name in chosen:
            FAULTS[name][0](file)
    with pytest.raises(DataError) as caught:
        read(parse_config("kind: cell"), path)
    assert len(caught.value.faults) == len(chosen)


def test_sound_data_have_no_fault(tmp_path: Path) -> None:
    acquisition = read(parse_config("kind: cell"), write_sound(tmp_path / "scan.h5"))
    assert acquisition["images"].shape == SHAPE
    assert acquisition["images"].dtype == np.float32


def test_masked_pixels_may_have_any_value_and_become_finite(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        for place, value in (((0, 0, 0), np.nan), ((1, 2, 3), -7.0)):
            file[IMAGES][place] = value
            file[MASK][place] = 1
    assert np.isfinite(read(parse_config("kind: cell"), path)["images"]).all()


def test_indices_of_bad_pixels_are_those_in_the_file(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        file[IMAGES][2, 5, 7] = np.nan
    with pytest.raises(DataError, match=r"at \[2, 5, 7\]"):
        read(parse_config("kind: cell", ["acquisition.views=[3, 2]", "acquisition.crop=[4, 6]"]), path)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "images=/measurement/image",
            r"nothing of that name, for acquisition\.images.*did you mean '/measurement/images'",
        ),
        ("images=/data/images", r"did you mean '/measurement/images'"),
        ("wavelength=/@lambda", r"no attribute 'lambda' for acquisition\.wavelength; its attributes are format"),
        ("pixel_size=0.2 um", r"acquisition\.pixel_size: the config says 2e-07 m, the file 1e-07, 1e-07 m"),
        ("numerical_aperture=1.5", r"acquisition\.numerical_aperture: the numerical aperture 1\.5 exceeds"),
        ("pixel_size=0.1", r"a unit is missing: they differ by a factor of 1e6"),
    ],
)
def test_a_config_that_contradicts_the_file_is_reported(tmp_path: Path, assignment: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(parse_config("kind: cell", [f"acquisition.{assignment}"]), write_sound(tmp_path / "scan.h5"))


def test_units_of_another_dimension_are_refused(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        file["instrument/wavelength"].attrs["units"] = "furlong"
        file["instrument/pixel_size"].attrs["units"] = "rad"
    with pytest.raises(DataError, match=r"'furlong' is unknown(.|\n)*'rad' is no length"):
        read(parse_config("kind: cell"), path)


def test_coarse_pixels_and_light_at_the_edge_raise_warnings_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        file["instrument/pixel_size"][:] = 1e-6
        file["instrument/illumination_na"][1] = [0, 0.649]
    monkeypatch.setattr(logging.getLogger("unflat"), "propagate", True)
    with caplog.at_level(logging.WARNING, "unflat"):
        acquisition = read(parse_config("kind: cell"), path)
    assert len(acquisition["images"]) == 4
    assert "samples the aperture 0.65 too coarsely: at most 396 nm" in caplog.text
    assert "1 of 4 directions of light lie at the edge of the aperture" in caplog.text


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (truncate, "the HDF5 file is truncated"),
    "no HDF5": (lambda path: path.write_text("view,y,x\n"), "is no HDF5 file, though its name says so"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "missing": (lambda path: path.unlink(), "there is no such file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_reported_in_one_line(tmp_path: Path, name: str) -> None:
    path = write_sound(tmp_path / "scan.h5")
    breaking, message = BROKEN[name]
    breaking(path)
    with pytest.raises(DataError, match=message) as caught:
        read(parse_config("kind: cell"), path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_without_read_permission_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is simulated: root may read files of any mode."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    path = write_sound(tmp_path / "scan.h5")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="no permission to read it; chmod u\\+r"):
        read(parse_config("kind: cell"), path)


def test_a_length_in_the_config_without_its_unit_is_reported(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        put("instrument/pixel_size", None)(file)
    with pytest.raises(
        DataError, match=r"acquisition\.pixel_size: 0\.1 m is too large.*acquisition\.pixel_size: 0\.1 um"
    ):
        read(parse_config("kind: cell", ["acquisition.pixel_size=0.1"]), path)


def test_a_damaged_chunk_is_reported_with_its_dataset(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        images = np.random.default_rng(0).poisson(100, (4, 64, 64))
        put(IMAGES, None)(file)
        put(MASK, None)(file)
        stored = file.create_dataset(IMAGES, data=images, chunks=(1, 64, 64), compression="gzip")
        start = stored.id.get_chunk_info(2).byte_offset
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(b"\xff" * 200)
    with pytest.raises(DataError, match=r"scan\.h5:/measurement/images: cannot be read"):
        read(parse_config("kind: cell"), path)


def test_convert_of_bad_data_ends_with_status_3_and_writes_no_file(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        file[IMAGES][0, 0, 0] = np.nan
    command = [sys.executable, "-m", "unflat", "convert", str(path), "-o", str(tmp_path / "out.h5")]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 3
    assert "error: " in process.stderr
    assert "mask them" in process.stderr
    assert "Traceback" not in process.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["scan.h5"]


def test_convert_does_not_overwrite_and_info_describes_its_file(tmp_path: Path) -> None:
    path, output = write_sound(tmp_path / "scan.h5"), tmp_path / "out.h5"
    process = run_here("convert", path, "-o", output, "--set", "acquisition.crop=[4, 4]", "--set", "acquisition.dark=0")
    assert (process.returncode, process.stderr) == (0, "")
    assert f"wrote {output}" in process.stdout
    assert run_here("convert", path, "-o", output).returncode == 2
    shown = run_here("info", output)
    assert shown.returncode == 0
    assert "4 intensity images of 4 x 4 pixels" in shown.stdout
    truncate(output)
    broken = run_here("info", output)
    assert broken.returncode == 3
    assert len(broken.stderr.splitlines()) == 1


def test_an_output_in_a_missing_folder_is_reported(tmp_path: Path) -> None:
    process = run_here("convert", write_sound(tmp_path / "scan.h5"), "-o", tmp_path / "absent" / "out.h5")
    assert process.returncode == 3
    assert "there is no folder" in process.stderr
    assert "Traceback" not in process.stderr
