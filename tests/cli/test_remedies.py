"""The remedy of a message works as it is printed: it is taken from the message and tried."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unflat.cli.main import run
from unflat.recon.config.advice import at_least, at_most, exact, quantity
from unflat.recon.config.units import parse_quantity

FILES = Path(__file__).resolve().parents[1] / "fixtures" / "before_0_2"
_VALUE = r"""'(?:[^']|'')*'|\[[^\]]*\]|-?[\d.]+(?:e[-+]?\d+)?(?: (?:[fpnum]?m|deg|rad|[mk]?eV|J)\b)?|[^\s;,]+"""
_SETTING = re.compile(rf"(?:--set )?((?:acquisition|volume|fit|physics|simulate|predict)\.[\w.]+)(?:: |=)({_VALUE})")
_BARE = re.compile(rf"(?P<key>[a-z_]+\.[a-z_.]+)\b.*(?:write|use|take|at most) (?P<value>{_VALUE})")
_COMMAND = re.compile(r"(?:unflat info|mkdir -p|chmod u\+r) \S.*?(?=$|, or )")


def settings_in(message: str) -> list[str]:
    """Return the settings that a message suggests, as they are printed; of a value alone, with the key of the fault."""
    remedy = message.partition("; ")[2]
    printed = [match[0].removeprefix("--set ") for match in _SETTING.finditer(remedy)]
    if not printed and (bare := _BARE.search(message.removeprefix("error: --set "))):
        return [f"{bare['key']}: {bare['value']}"]
    return printed


def commands_in(message: str) -> list[str]:
    """Return the commands that a message suggests, as they are printed."""
    return _COMMAND.findall(message)


Change = Callable[[h5py.File], None]


def put(name: str, value: object, **attributes: object) -> Change:
    """Return a function that replaces an array; an empty text removes an attribute."""

    def change(file: h5py.File) -> None:
        former = dict(file[name].attrs) if name in file else {}
        file.pop(name, None)
        file[name] = value
        file[name].attrs.update({key: text for key, text in (former | attributes).items() if text != ""})

    return change


def edit(name: str, function: Callable[[np.ndarray], object], **attributes: object) -> Change:
    """Return a function that replaces an array by a function of it."""
    return lambda file: put(name, function(file[name][()]), **attributes)(file)


def foreign(change: Change) -> Change:
    """Return a function that makes the file one of another program as well."""

    def both(file: h5py.File) -> None:
        change(file)
        for name in ("format", "kind"):
            file.attrs.pop(name, None)
        file.pop("truth", None)

    return both


def saturate(counts: np.ndarray) -> np.ndarray:
    """Fill the middle of a peak with one large count."""
    counts[7:10, 7:10, 7:10] = 1234567
    return counts


def unchanged(file: h5py.File) -> None:
    """Leave the file as it is."""


@dataclass(frozen=True)
class Case:
    """A fault, and the setting that its message suggests.

    Args:
        kind: Kind of experiment.
        fault: Words of the message.
        change: Function that makes the fault in an acquisition.
        settings: Assignments that the fault needs.
    """

    kind: str
    fault: str
    change: Change = unchanged
    settings: tuple[str, ...] = ()


INSTRUMENT, IMAGES, MASK = "instrument", "measurement/images", "measurement/mask"
WAVE, PIXEL, BASIS = f"{INSTRUMENT}/wavelength", f"{INSTRUMENT}/pixel_size", f"{INSTRUMENT}/reciprocal_basis"
LIGHT = ("volume.depth=4 um",)
SETTINGS = {
    "saturation": Case("crystal", "is saturated", edit(IMAGES, saturate)),
    "wavelength of light": Case("cell", "it looks like nanometres", put(WAVE, 515.0, units=""), LIGHT),
    "photons of light": Case("cell", "is unknown", put(WAVE, 0.00233, units="kiloev"), LIGHT),
    "unit of the wavelength": Case("cell", "unit a thousand times too large", put(WAVE, 515.0, units="um"), LIGHT),
    "pixel": Case("cell", "it looks like micrometres", put(PIXEL, [0.1, 0.1], units=""), LIGHT),
    "unit of the pixel": Case("cell", "is unknown", put(PIXEL, [0.1, 0.1], units="px"), LIGHT),
    "image and field": Case("cell", "holds both", put("measurement/field", np.ones((4, 16, 16), np.complex64)), LIGHT),
    "energy of X-rays": Case("crystal", "it looks like an energy in keV", put(WAVE, 9.00123, units="")),
    "wavelength of X-rays": Case("crystal", "it looks like", put(WAVE, 0.1387654321, units="")),
    "distance": Case("crystal", "it looks like millimetres", put(f"{INSTRUMENT}/detector_distance", 1000.0, units="")),
    "basis": Case("crystal", "no step of a rocking curve", edit(BASIS, lambda basis: basis * 1e-9, units="")),
    "basis in another unit": Case("crystal", "1/m read as 1/nm", edit(BASIS, np.asarray, units="1/nm")),
    "depth": Case("cell", "too deep", settings=("volume.depth=9.123",)),
    "whole number": Case("cell", "too large for a whole number", settings=("simulate.photons=99999999999999999999",)),
    "spacing of a crystal": Case("crystal", "times finer", settings=("volume.spacing=0.01 nm",)),
    "spacing of a cell": Case("cell", "does not divide", settings=(*LIGHT, "volume.spacing=77.7 nm")),
    "thick slices": Case(
        "cell", "too thick", settings=(*LIGHT, "physics.model=ssnp", "volume.spacing=[0.21 um, 0.2 um, 0.2 um]")
    ),
    "inverted mask": Case("shape", "it seems inverted", foreign(edit(MASK, lambda mask: 1 - mask))),
}


def acquisition(case: Case, folder: Path) -> Path:
    """Write the acquisition of a case, under a name that a shell would split."""
    path = folder / "it's a scan.h5"
    shutil.copy(FILES / case.kind / "acquisition.h5", path)
    with h5py.File(path, "r+") as file:
        case.change(file)
    return path


def check(path: Path, config: str, *settings: str) -> None:
    """Run `unflat check`."""
    (path.parent / "run.yaml").write_text(config, "utf-8")
    words = [word for setting in settings for word in ("--set", setting)]
    run(["check", str(path.parent / "run.yaml"), str(path), *words])


@pytest.mark.parametrize("name", SETTINGS)
def test_a_suggested_setting_mends_the_fault(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = SETTINGS[name]
    path, config = acquisition(case, tmp_path), f"kind: {case.kind}\n"
    check(path, config, *case.settings)
    said = [line for line in capsys.readouterr().err.splitlines() if case.fault in line]
    assert said
    suggested = settings_in(said[0])
    assert suggested, said
    key, value = re.split("=|: ", suggested[0], maxsplit=1)
    others = [setting for setting in case.settings if not setting.startswith(key)]
    check(path, config, *others, suggested[0])
    after = capsys.readouterr().err
    assert case.fault not in after, f"--set {suggested[0]}"
    assert not any(line.startswith(("error", "Error")) for line in after.splitlines()), f"{suggested}: {after}"
    check(path, f"{config}{key}: {value}\n", *others)
    assert case.fault not in capsys.readouterr().err, f"in the config: {suggested[0]}"


def test_suggested_commands_are_quoted_for_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = acquisition(Case("crystal", ""), tmp_path)
    assert run(["check", str(tmp_path / "run.yaml"), str(path)]) == 2
    (tmp_path / "run.yaml").write_text("kind: cell\n")
    assert run(["check", str(tmp_path / "run.yaml"), str(path)]) == 3
    (command,) = commands_in(capsys.readouterr().err)
    assert run(shlex.split(command)[1:]) == 0
    output = tmp_path / "new $HOME folder" / "it's.h5"
    assert run(["convert", str(path), "--kind", "crystal", "-o", str(output)]) == 3
    (command,) = commands_in(capsys.readouterr().err)
    subprocess.run(command, shell=True, check=True)
    assert run(["convert", str(path), "--kind", "crystal", "-o", str(output)]) == 0


def test_a_file_that_lies_beside_is_suggested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tifffile import imwrite

    rows, columns = np.mgrid[:64, :64] - 32
    inside = np.hypot(rows, columns) < 20
    path = tmp_path / "it's a well.tif"
    imwrite(path, (1000 * inside).astype(np.uint16))
    for name in ("it's a well_cp_masks.tif", "another_mask.tif"):
        imwrite(tmp_path / name, inside.astype(np.uint8))
    check(path, "kind: shape\n")
    (said,) = capsys.readouterr().err.splitlines()
    (suggested,) = [setting for setting in settings_in(said) if "cp_masks" in setting]
    check(path, "kind: shape\n", suggested)
    assert "error" not in capsys.readouterr().err
    check(path, f"kind: shape\n{suggested}\n")
    assert "error" not in capsys.readouterr().err


def test_of_a_folder_the_file_of_its_measurement_is_suggested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("scan_master.h5", "scan_data_000001.h5", "scan_data_000002.h5"):
        shutil.copy(FILES / "crystal" / "acquisition.h5", tmp_path / name)
    check(tmp_path, "kind: crystal\n")
    assert f"name the file itself: {tmp_path / 'scan_master.h5'}" in capsys.readouterr().err


def test_a_depth_that_is_missing_is_reported_with_the_faults_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = acquisition(Case("cell", "", put(WAVE, 515.0, units="")), tmp_path)
    (tmp_path / "run.yaml").write_text("kind: cell\n")
    assert run(["check", str(tmp_path / "run.yaml"), str(path)]) == 3
    said = capsys.readouterr().err
    assert "it looks like nanometres" in said
    assert "volume.depth: is required" in said


def test_force_works_where_it_is_suggested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["init", "cell", "-o", str(tmp_path / "run.yaml")]
    assert [run(words), run(words)] == [0, 2]
    assert "replace it with --force" in capsys.readouterr().err
    assert run([*words, "--force"]) == 0


@pytest.mark.parametrize("value", [0.1, 65535.0, 1234567.0, 16777217.0, 1e22, 123456.703125, np.float32(0.17), 1 / 3])
def test_a_number_is_written_with_all_its_digits(value: float) -> None:
    assert float(exact(value)) == float(value)
    assert parse_quantity(quantity(float(value) * 1e-6), "length") == pytest.approx(float(value) * 1e-6, rel=1e-14)


@given(st.floats(1e-9, 1e9))
def test_a_limit_is_rounded_to_the_side_that_is_allowed(value: float) -> None:
    assert value <= float(at_least(value)) <= value * 1.01
    assert value * 0.99 <= float(at_most(value)) <= value
