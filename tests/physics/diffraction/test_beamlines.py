"""Beamlines' circles against rotations written out by hand, in settings where no circle is at rest."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from unflat.physics.diffraction.beamlines import BEAMLINES, find_beamline, find_circle
from unflat.physics.diffraction.diffractometer import DetectorView, compute_reflection

VIEW = DetectorView(1.2e-10, 0.8, (75e-6, 55e-6), (35.0, -60.0))
K = 2 * np.pi / VIEW.wavelength


def turn_x(angle: float) -> np.ndarray:
    """Right-handed rotation of (x, y, z) about x."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def turn_y(angle: float) -> np.ndarray:
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def turn_z(angle: float) -> np.ndarray:
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


Chain = Callable[..., np.ndarray]
# Sample and detector as functions of the readings in degrees; signs of the rows' -y and the columns' x.
MACHINES: dict[str, tuple[dict[str, float], Chain, Chain, int]] = {
    "34-ID-C": (
        {"Theta": 0.7, "Chi": 88.0, "Phi": -4.0, "Delta": 31.0, "Gamma": 13.0},
        lambda Theta, Chi, Phi, **_: turn_y(Theta) @ turn_z(-Chi) @ turn_y(Phi),
        lambda Delta, Gamma, **_: turn_y(Delta) @ turn_x(-Gamma),
        1,
    ),
    "ID01": (
        {"mu": 0.8, "eta": 17.0, "phi": 23.0, "nu": 4.0, "delta": 34.0},
        lambda mu, eta, phi, **_: turn_y(-mu) @ turn_x(-eta) @ turn_y(-phi),
        lambda nu, delta, **_: turn_y(-nu) @ turn_x(-delta),
        1,
    ),
    "P10": (
        {"mu": 0.8, "om": 16.0, "chi": 92.0, "phi": 12.0, "gamma": 3.0, "delta": 33.0},
        lambda mu, om, chi, phi, **_: turn_y(mu) @ turn_x(-om) @ turn_z(chi - 90) @ turn_y(-phi),
        lambda gamma, delta, **_: turn_y(gamma) @ turn_x(-delta),
        -1,
    ),
    "NanoMAX": (
        {"gontheta": 14.0, "gonphi": 8.0, "gamma": 22.0, "delta": 17.0},
        lambda gontheta, gonphi, **_: turn_x(-gontheta) @ turn_y(-gonphi),
        lambda gamma, delta, **_: turn_y(-gamma) @ turn_x(-delta),
        -1,
    ),
    "CRISTAL": (
        {"mgomega": 13.0, "mgphi": 9.0, "gamma": 11.0, "delta": 25.0},
        lambda mgomega, mgphi, **_: turn_x(-mgomega) @ turn_y(mgphi),
        lambda gamma, delta, **_: turn_y(gamma) @ turn_x(-delta),
        1,
    ),
    "SIXS": (
        {"beta": 1.5, "mu": 18.0, "omega": 5.0, "gamma": 36.0, "delta": 7.0},
        lambda beta, mu, omega, **_: turn_x(-beta) @ turn_y(mu) @ turn_x(-omega),
        lambda beta, gamma, delta, **_: turn_x(-beta) @ turn_y(gamma) @ turn_x(-delta),
        1,
    ),
    "ID27": ({"nath": 6.0}, lambda nath: turn_y(nath), lambda nath: np.eye(3), -1),
    "BM02": (
        {"mu": 1.5, "th": 15.0, "chi": 4.0, "phi": 9.0, "nu": 12.0, "tth": 31.0},
        lambda mu, th, chi, phi, **_: turn_y(mu) @ turn_x(-th) @ turn_z(chi) @ turn_x(-phi),
        lambda nu, tth, **_: turn_y(nu) @ turn_x(-tth),
        -1,
    ),
}


def crystal_q(name: str, readings: dict[str, float], row: float, column: float) -> np.ndarray:
    """q (x, y, z) of a pixel, in the frame of the crystal with all circles at rest."""
    _, sample, detector, across = MACHINES[name]
    (height, width), (y, x) = VIEW.pixel_size, VIEW.offset
    pixel = np.array([across * (x + column) * width, -(y + row) * height, VIEW.distance])
    out = detector(**readings) @ pixel
    lab = K * (out / np.linalg.norm(out) - np.array([0, 0, 1]))
    turned: np.ndarray = sample(**readings).T @ lab
    return turned


@pytest.mark.parametrize("name", BEAMLINES)
def test_every_circle_may_move_at_once(name: str) -> None:
    """The frame's step is that of all circles, of crystal and detector, against finite differences."""
    readings, sample, _, _ = MACHINES[name]
    steps = {circle: 0.003 * (1 + 0.4 * i) * (-1) ** (i // 2) for i, circle in enumerate(readings)}
    radians = {circle: float(np.radians(angle)) for circle, angle in readings.items()}
    result = compute_reflection(
        BEAMLINES[name].machine, radians, {circle: float(np.radians(step)) for circle, step in steps.items()}, VIEW
    )
    to_lab = sample(**readings)
    ahead, behind = (
        to_lab @ crystal_q(name, {c: a + half * steps[c] for c, a in readings.items()}, 0, 0) for half in (0.5, -0.5)
    )
    rows, columns = (
        to_lab @ (crystal_q(name, readings, *step) - crystal_q(name, readings, *(-np.array(step))))
        for step in ((0.5, 0.0), (0.0, 0.5))
    )
    expected = np.stack([ahead - behind, rows, columns])[:, ::-1]
    np.testing.assert_allclose(result.basis, expected, atol=2e-6 * np.abs(expected).max())
    np.testing.assert_allclose(result.bragg_vector, (to_lab @ crystal_q(name, readings, 0, 0))[::-1], rtol=1e-9)


def test_a_detector_without_circles_needs_the_direct_beam() -> None:
    machine = BEAMLINES["ID27"].machine
    for offset, along in (((0.0, 0.0), 0.0), ((-4000.0, 0.0), 1.0)):
        result = compute_reflection(machine, {"nath": 0.1}, {"nath": 1e-4}, replace(VIEW, offset=offset))
        assert np.sign(result.bragg_vector[1]) == along


@pytest.mark.parametrize(
    ("beamline", "given", "circle"),
    [
        ("ID01", "del", "delta"),
        ("ID01", "Eta", "eta"),
        ("ID01", "Mu", "mu"),
        ("P10", "gam", "gamma"),
        ("P10", "omega", "om"),
        ("34-ID-C", "th", "Theta"),
        ("NanoMAX", "theta", "gontheta"),
        ("NanoMAX", "phi", "gonphi"),
        ("CRISTAL", "omega", "mgomega"),
        ("SIXS", "basepitch", "beta"),
        ("BM02", "2theta", "tth"),
        ("BM02", "delta", None),
        ("ID27", "delta", None),
    ],
)
def test_circles_have_abbreviations_and_other_cases(beamline: str, given: str, circle: str | None) -> None:
    assert find_circle(BEAMLINES[beamline].machine, given) == circle


@pytest.mark.parametrize(
    ("given", "name"), [("id01", "ID01"), ("34IDC", "34-ID-C"), ("nanomax", "NanoMAX"), ("P 10", "P10"), ("", None)]
)
def test_beamlines_are_found_in_any_case(given: str, name: str | None) -> None:
    beamline = find_beamline(given)
    assert (beamline and beamline.name) == name
