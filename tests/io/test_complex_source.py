"""Complex fields in every form that programs write: parts, amplitude and phase, path differences, compound types."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.cell.read import read
from unflat.recon.experiments.configs import parse_config

PHASE = np.random.default_rng(0).uniform(0, 9, (3, 8, 10)).astype(np.float32)
AMPLITUDE = np.random.default_rng(1).uniform(0.8, 1.2, PHASE.shape).astype(np.float32)
FIELD = AMPLITUDE * np.exp(1j * PHASE)
ANGLES = [0.1, 0.2, 0.3]


def pairs(first: str, second: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pack two arrays into one of a compound type."""
    packed = np.zeros(a.shape, [(first, "f4"), (second, "f4")])
    packed[first], packed[second] = a, b
    return packed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("fields")
    polar = pairs("amplitude", "phase", AMPLITUDE, PHASE)
    with h5py.File(path / "a.h5", "w") as file:
        file["polar"], file["complex"] = polar, FIELD
        file["parts"] = pairs("re", "im", FIELD.real, FIELD.imag)
        file["amplitude"], file["phase"], file["degrees"] = AMPLITUDE, PHASE, np.degrees(PHASE)
        file["wrapped"] = np.angle(FIELD)
        file["opd"] = PHASE * 0.5 / (2 * np.pi)
        file["opd"].attrs["units"] = "um"
        file["table"] = pairs("angle", "monitor", np.array(ANGLES), np.ones(3))
    with h5py.File(path / "groups.h5", "w") as file:
        for i, (amplitude, phase) in enumerate(zip(AMPLITUDE, PHASE, strict=True)):
            name = 5 * i  # image_0, image_5, image_10: not the order of the letters.
            file[f"image_{name}/amplitude/raw"], file[f"image_{name}/phase/raw"] = amplitude, phase
    np.savez(path / "a.npz", polar=polar)
    views_last = {"A": AMPLITUDE.transpose(1, 2, 0), "P": PHASE.transpose(1, 2, 0)}
    images = np.empty(3, object)
    images[:] = [{"field": field} for field in FIELD]
    scipy.io.savemat(path / "a.mat", {"d": views_last, "s": images})
    return path


def cell(field: str, angles: str = str(ANGLES)) -> Any:
    numbers = {"wavelength": "0.5 um", "numerical_aperture": 0.9, "medium_index": 1.33, "pixel_size": "0.3 um"}
    numbers |= {"illumination": "normal", "turn": f"{{angles: {angles}}}", "field": field}
    return parse_config("kind: cell", [f"acquisition.{key}={value}" for key, value in numbers.items()])


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("a.h5", name) for name in ("/polar", "/parts", "/complex")),
        ("a.h5", "{amplitude: /amplitude, phase: /phase}"),
        ("a.h5", "{amplitude: /amplitude, phase: /degrees in deg}"),
        ("a.h5", "{amplitude: /amplitude, phase: /wrapped}"),
        ("a.h5", "{amplitude: /amplitude, path_difference: /opd}"),
        ("a.h5", "{amplitude: /polar/amplitude, phase: '/polar:phase', scale: 1.0}"),
        ("groups.h5", "{amplitude: /image_*/amplitude/raw, phase: /image_*/phase/raw}"),
        ("a.npz", "/polar"),
        ("a.mat", "{amplitude: /d/A, phase: /d/P}"),
    ],
)
def test_every_form_gives_the_same_field(folder: Path, name: str, field: str) -> None:
    np.testing.assert_allclose(read(cell(field), folder / name)["field"], FIELD, rtol=2e-5)


def test_a_phase_alone_has_amplitude_one(folder: Path) -> None:
    for field in ("{phase: /phase}", "{phase: /phase, amplitude: 1}"):
        np.testing.assert_allclose(read(cell(field), folder / "a.h5")["field"], FIELD / AMPLITUDE, rtol=2e-5)


def test_structures_of_matlab_are_counted_from_one(folder: Path) -> None:
    acquisition = read(cell("/s/*/field"), folder / "a.mat")
    np.testing.assert_allclose(acquisition["field"], FIELD, rtol=1e-6)


def test_columns_of_a_compound_type_are_arrays(folder: Path) -> None:
    for angles in ("/table/angle", "/table:angle", "a.h5:/table/angle"):
        rotation = read(cell("/complex", angles), folder / "a.h5")["rotation"]
        np.testing.assert_allclose(rotation[:, 0, 0], np.cos(ANGLES))


@pytest.mark.parametrize(
    ("field", "angles", "message"),
    [
        ("/phase", "[0, 1, 2]", r"holds real numbers; .* write acquisition\.field: \{phase: '/phase'\}"),
        ("/complex", "/table", r"of the parts angle, monitor; .* acquisition\.turn\.angles: '/table/angle'"),
        ("{amplitude: /amplitude, phase: /table/angle}", "[0, 1, 2]", r"phase and amplitude of field differ: .*\(3,\)"),
        ("{phase: /opd}", "[0, 1, 2]", r"its unit 'um' is no angle"),
        ("{amplitude: /amplitude, phase: /phose}", "[0, 1, 2]", r"field\.phase; .* did you mean '/phase'"),
    ],
)
def test_what_makes_no_field_is_refused(folder: Path, field: str, angles: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(cell(field, angles), folder / "a.h5")


def test_parts_of_two_forms_are_refused() -> None:
    for field in ("{amplitude: /a}", "{real: /a}", "{real: /a, phase: /b}", "{}"):
        with pytest.raises(ConfigError, match="no complex field; give real and imag, or phase"):
            cell(field)
