"""Energies of photons where a wavelength is due: in configs, in files, for crystals and for cells."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.recon.config.source import Source
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.crystal.schema import SCHEMA as CRYSTAL
from unflat.recon.io.lazy_arrays import LazyArray, LazyArrays
from unflat.recon.io.read import read_all
from unflat.recon.io.resolve import resolve
from unflat.recon.io.side_files import SideFiles

NINE_KEV = 1.3776022e-10


@pytest.mark.parametrize("text", ["9 keV", "9000 eV", "9.0KeV", "9000 ev", "1.441958971e-15 J", "0.13776022 nm"])
def test_an_energy_in_a_config_is_a_wavelength(text: str) -> None:
    config: Any = parse_config(
        f"kind: crystal\nacquisition: {{wavelength: {text}}}\nsimulate: {{wavelength: {text}}}\n"
    )
    assert float(config.acquisition.wavelength.value) == pytest.approx(NINE_KEV, rel=1e-8)
    assert config.simulate.wavelength == pytest.approx(NINE_KEV, rel=1e-8)


def test_visible_light_has_an_energy_too() -> None:
    config: Any = parse_config("kind: cell\nacquisition: {wavelength: 2.33 eV}\n")
    assert float(config.acquisition.wavelength.value) == pytest.approx(532.12e-9, rel=1e-5)


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("acquisition.wavelength", "-9 keV", r"a photon's energy of -1\.44196e-15 J is not positive"),
        ("acquisition.wavelength", "9 s", r"'9 s' is a time; expected a length"),
        ("acquisition.wavelength", "/energy in s", r"is in 's', which is no length"),
        ("acquisition.detector_distance", "9 keV", r"'9 keV' is an energy; expected a length"),
        ("simulate.wavelength", "9 s", r"'9 s' is a time; expected a length such as '0\.2 um', or an energy"),
    ],
)
def test_what_is_neither_length_nor_energy_is_refused(key: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config("kind: crystal\n", [f"{key}={text}"])


def tree(energy: Any, unit: Any = None) -> LazyArrays:
    attributes = {} if unit is None else {"units": unit}
    return LazyArrays(Path("scan.h5"), "HDF5", {"/m/energy": LazyArray.of(np.asarray(energy), attributes)})


def wavelength(file: LazyArrays, text: str = "/m/energy") -> Any:
    entry = next(e for e in CRYSTAL if e.name == "wavelength")
    item = resolve(file, entry, Source.parse(text, "length", photon=True), SideFiles(file.path))
    assert item is not None
    return item.array.read() * item.factor


@pytest.mark.parametrize(
    ("energy", "unit"),
    [(9.0, "keV"), (9000, "eV"), (9000.0, "electron volts"), (9.0, "KEV"), (1.441958971e-15, "J"), ([9.0], " keV ")],
)
def test_the_unit_in_the_file_makes_an_energy_a_wavelength(energy: Any, unit: str) -> None:
    np.testing.assert_allclose(wavelength(tree(energy, unit)), NINE_KEV, rtol=1e-8)


def test_the_unit_in_the_config_takes_precedence() -> None:
    np.testing.assert_allclose(wavelength(tree(9000.0, "keV"), "/m/energy in eV"), NINE_KEV, rtol=1e-8)


@pytest.mark.parametrize(
    ("energy", "unit", "message"),
    [(0.0, "keV", r"energy 0 keV is not positive"), (9.0, "furlong", r"'furlong' is unknown; .*'/m/energy in keV'")],
)
def test_a_useless_energy_is_refused(energy: float, unit: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        wavelength(tree(energy, unit))


@pytest.mark.parametrize(("given", "agrees"), [("9 keV", True), ("0.13776 nm", True), ("9.5 keV", False)])
def test_config_and_file_are_compared_as_wavelengths(tmp_path: Path, given: str, agrees: bool) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["measurement/images"] = np.ones((8, 9, 9))
        file["instrument/wavelength"] = 9000.0
        file["instrument/wavelength"].attrs["units"] = "eV"
    sources = {"wavelength": Source.parse(given, "length", photon=True)}
    _, faults = read_all(tmp_path / "scan.h5", CRYSTAL, sources, "crystal")
    assert [str(fault) for fault in faults if "the config says" in str(fault)] == [str(f) for f in faults]
    assert bool(faults) is not agrees
