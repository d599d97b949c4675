"""Steps of q from a diffractometer's circles: against xrayutilities, by hand, and through files and configs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.diffraction.beamlines import BEAMLINES
from unflat.physics.diffraction.diffractometer import (
    Circle,
    DetectorView,
    Diffractometer,
    Reflection,
    compute_reflection,
)
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.crystal.read import read
from unflat.recon.experiments.crystal.schema import SCHEMA
from unflat.recon.io.write import write

K = 2 * np.pi / 1.4e-10
DISTANCE, PIXELS = 1.1, (55e-6, 75e-6)
VIEW = DetectorView(1.4e-10, DISTANCE, PIXELS)
SCANS = {
    "34-ID-C": ({"Theta": 0.2, "Chi": 90.0, "Phi": -5.0, "Delta": 32.2, "Gamma": 12.6}, "Theta"),
    "ID01": ({"mu": 0.3, "eta": 17.4, "phi": 20.0, "nu": 3.0, "delta": 35.1}, "eta"),
    "P10": ({"mu": 0.7, "om": 16.6, "chi": 91.0, "phi": 11.0, "gamma": 2.0, "delta": 33.0}, "om"),
    "NanoMAX": ({"gontheta": 14.0, "gonphi": 7.0, "gamma": 21.0, "delta": 17.0}, "gonphi"),
    "CRISTAL": ({"mgomega": 13.0, "mgphi": 9.0, "gamma": 11.0, "delta": 24.0}, "mgomega"),
    "SIXS": ({"beta": 0.5, "mu": 18.0, "omega": 4.0, "gamma": 36.0, "delta": 6.0}, "mu"),
    "ID27": ({"nath": 5.0}, "nath"),
    "BM02": ({"mu": 1.5, "th": 15.0, "chi": 3.0, "phi": 8.0, "nu": 12.0, "tth": 31.0}, "th"),
    "other": ({"tilt": 5.0, "turn": 24.0, "arm": 31.0}, "turn"),
}
MACHINES = {name: beamline.machine for name, beamline in BEAMLINES.items()} | {
    "other": Diffractometer((Circle("tilt", "z"), Circle("turn", "x")), (Circle("arm", "-x"),), "x", "y")
}
SHAPE = (24, 28, 32)


def reflection(
    machine: Diffractometer,
    angles: Mapping[str, float],
    scanned: str,
    step: float,
    offset: tuple[float, float] = (0.0, 0.0),
) -> Reflection:
    return compute_reflection(machine, angles, {scanned: step}, replace(VIEW, offset=offset))


def radians(angles: Mapping[str, float]) -> dict[str, float]:
    return {name: float(np.radians(angle)) for name, angle in angles.items()}


def xu_name(axis: str) -> str:
    """Translate a direction to xrayutilities' frame (x along the beam, y outboard, z up) and notation."""
    return {"z": "x", "x": "y", "y": "z"}[axis[-1]] + ("-" if axis.startswith("-") else "+")


class TestAgainstXrayutilities:
    """Its q, rotated from the crystal's frame to the laboratory's, has the rows of the basis as steps."""

    @staticmethod
    def q(name: str, angles: Mapping[str, float], offset: tuple[float, float]) -> np.ndarray:
        """q (z, y, x) [1/m] of 3 x 3 pixels around an offset, in the frame of the crystal with all circles at rest."""
        xu = pytest.importorskip("xrayutilities")
        machine = MACHINES[name]
        sample, detector = ([xu_name(c.axis) for c in circles] for circles in (machine.sample, machine.detector))
        convert = xu.QConversion(sample, detector, (1, 0, 0), wl=1.4)
        rows, columns = PIXELS
        convert.init_area(
            xu_name(machine.rows),
            xu_name(machine.columns),
            cch1=1 - offset[0],
            cch2=1 - offset[1],
            Nch1=3,
            Nch2=3,
            distance=DISTANCE,
            pwidth1=rows,
            pwidth2=columns,
        )
        given = [np.degrees(np.radians(angles[c.name]) - c.rest) for c in (*machine.sample, *machine.detector)]
        x, y, z = convert.area(*given, deg=True)
        return np.stack([x, z, y], axis=-1).reshape(3, 3, 3) * 1e10

    @pytest.mark.parametrize("name", SCANS)
    @pytest.mark.parametrize("offset", [(0.0, 0.0), (40.0, -90.0)])
    def test_q_and_its_steps_agree(self, name: str, offset: tuple[float, float]) -> None:
        (angles, scanned), step = SCANS[name], 0.004
        machine = MACHINES[name]
        result = reflection(machine, radians(angles), scanned, float(np.radians(step)), offset)
        turn = np.eye(3)
        for circle in machine.sample:
            turn = turn @ circle.rotation(float(np.radians(angles[circle.name])))
        middle = self.q(name, angles, offset) @ turn.T
        before, after = (
            self.q(name, angles | {scanned: angles[scanned] + half * step}, offset)[1, 1] @ turn.T
            for half in (-0.5, 0.5)
        )
        expected = np.stack([after - before, (middle[2, 1] - middle[0, 1]) / 2, (middle[1, 2] - middle[1, 0]) / 2])
        np.testing.assert_allclose(result.bragg_vector, middle[1, 1], atol=1e-9 * K)
        np.testing.assert_allclose(result.basis, expected, atol=1e-5 * np.abs(expected).max())


class TestByHand:
    def test_a_vertical_rocking_curve_turns_q_in_the_plane_of_scattering(self) -> None:
        """ID01, eta = 2θ/2, delta = 2θ: q bisects the beams, and its step lies across it, dη |q| long."""
        two_theta, step = np.radians(34.0), np.radians(0.005)
        angles = {"mu": 0.0, "eta": two_theta / 2, "phi": 0.0, "nu": 0.0, "delta": two_theta}
        result = reflection(MACHINES["ID01"], angles, "eta", step)
        length = 2 * K * np.sin(two_theta / 2)
        up, along = np.cos(two_theta / 2), -np.sin(two_theta / 2)
        np.testing.assert_allclose(result.bragg_vector, length * np.array([along, up, 0.0]), atol=1e-9 * length)
        # Eta lifts the crystal's far end as delta lifts the detector: the fixed q sinks through the crystal's planes.
        np.testing.assert_allclose(result.basis[0], length * step * np.array([up, -along, 0.0]), atol=1e-9 * length)
        assert np.linalg.norm(result.basis[0]) == pytest.approx(length * step)

    @pytest.mark.parametrize(("name", "across"), [("ID01", 1.0), ("P10", -1.0)])
    def test_steps_of_pixels_point_down_and_to_the_signed_side(self, name: str, across: float) -> None:
        """At small angles q's steps are the pixels' own: k p/D down, and outboard or inboard."""
        machine = MACHINES[name]
        still = {circle.name: circle.rest for circle in machine.circles} | {machine.detector[1].name: 1e-6}
        result = reflection(machine, still, machine.sample[1].name, 1e-4)
        rows, columns = (K * size / DISTANCE for size in PIXELS)
        np.testing.assert_allclose(result.basis[1], [0.0, -rows, 0.0], atol=1e-5 * rows)
        np.testing.assert_allclose(result.basis[2], [0.0, 0.0, across * columns], atol=1e-5 * columns)

    @pytest.mark.parametrize("name", BEAMLINES)
    def test_in_the_direct_beam_q_and_its_step_per_frame_are_zero(self, name: str) -> None:
        machine = MACHINES[name]
        still = {circle.name: circle.rest for circle in machine.circles}
        result = reflection(machine, still, machine.sample[-1].name, 1e-4)
        np.testing.assert_allclose(result.bragg_vector, 0, atol=1e-9 * K)
        np.testing.assert_allclose(result.basis[0], 0, atol=1e-9 * K)

    def test_the_horizontal_arms_of_id01_and_p10_open_to_opposite_sides(self) -> None:
        result = [
            reflection(MACHINES[name], radians(angles), scanned, 1e-4).bragg_vector[2]
            for name, angles, scanned in (
                ("ID01", {"mu": 0, "eta": 0, "phi": 0, "nu": 20, "delta": 0}, "phi"),
                ("P10", {"mu": 0, "om": 0, "chi": 90, "phi": 0, "gamma": 20, "delta": 0}, "phi"),
            )
        ]
        assert result[0] == pytest.approx(-result[1])
        assert result[0] < 0

    @given(st.sampled_from(list(SCANS)), st.floats(-90, 90))
    @settings(max_examples=20, deadline=None)
    def test_rotating_crystal_and_detector_together_rotates_the_bragg_vector_and_the_steps(
        self, name: str, angle: float
    ) -> None:
        """A further circle around both, about the beam, carries G and each step with it."""
        machine = MACHINES[name]
        outer = Circle("all", "z")
        whole = Diffractometer(
            (outer, *machine.sample), (Circle("both", "z"), *machine.detector), machine.rows, machine.columns
        )
        angles, scanned = SCANS[name]
        turned = radians(angles | {"all": angle, "both": angle})
        one = reflection(machine, radians(angles), scanned, 1e-4)
        two = reflection(whole, turned, scanned, 1e-4)
        turn = outer.rotation(float(np.radians(angle)))
        np.testing.assert_allclose(two.basis, one.basis @ turn.T, atol=1e-9 * np.abs(one.basis).max())
        np.testing.assert_allclose(two.bragg_vector, turn @ one.bragg_vector, atol=1e-9 * K)


@pytest.mark.parametrize(
    ("circles", "message"),
    [
        ((("eta", "-w"),), r"circle 'eta' turns about '-w'; axes are x, -x"),
        ((("eta", "x"), ("eta", "y")), r"two circles are named 'eta'"),
        ((), r"no circle turns the crystal"),
    ],
)
def test_invalid_diffractometers_are_refused(circles: tuple[tuple[str, str], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Diffractometer(tuple(Circle(*c) for c in circles), (Circle("nu", "y"),), "-y", "x")


def counts() -> np.ndarray:
    z, y, x = (np.sinc((np.arange(n) - n // 2) / 2.8) ** 2 for n in SHAPE)
    mean = 2e4 * z[:, None, None] * y[:, None] * x + 0.02
    return np.random.default_rng(0).poisson(mean).astype(np.float32)


def foreign(path: Path) -> Path:
    """File with counts and each motor in degrees."""
    with h5py.File(path, "w") as file:
        file["data"] = counts()
        file["eta"] = 17.0 + 0.005 * np.arange(SHAPE[0])
        file["delta"] = 35.0
        file["delta"].attrs["units"] = "deg"
    return path


CONFIG = """
kind: crystal
acquisition:
  images: /data
  wavelength: 0.14 nm
  detector_distance: 1.1 m
  pixel_size: [55 um, 75 um]
  goniometer:
    beamline: ID01
    angles: {eta: /eta in deg, delta: /delta, nu: 3 deg}
"""


def read_foreign(tmp_path: Path, *assignments: str, config: str = CONFIG) -> Acquisition:
    return read(parse_config(config, assignments), foreign(tmp_path / "scan.h5"))


def expected(frame_angle: float) -> Any:
    angles = {"mu": 0.0, "eta": frame_angle, "phi": 0.0, "nu": 3.0, "delta": 35.0}
    return reflection(MACHINES["ID01"], radians(angles), "eta", float(np.radians(0.005)))


class TestInFiles:
    def test_a_config_names_the_motors(self, tmp_path: Path) -> None:
        result, known = read_foreign(tmp_path), expected(17.0 + 0.005 * (SHAPE[0] // 2))
        np.testing.assert_allclose(result["reciprocal_basis"], known.basis, rtol=1e-6, atol=1.0)
        np.testing.assert_allclose(result["bragg_vector"], known.bragg_vector, rtol=1e-6, atol=1.0)
        assert result.groups["/instrument/goniometer"].attributes["scanned"] == "eta"

    def test_the_same_circles_by_their_axes_and_a_step(self, tmp_path: Path) -> None:
        config = CONFIG.replace("beamline: ID01", "sample: [eta -x]\n    detector: [nu -y, delta -x]")
        config = config.replace("/eta in deg", "17.06 deg") + "    scanned: eta\n    step: 0.005 deg\n"
        result, known = read_foreign(tmp_path, config=config), expected(17.06)
        np.testing.assert_allclose(result["reciprocal_basis"], known.basis, rtol=1e-6, atol=1.0)

    @pytest.mark.parametrize("frames", ["::2", "6:20"])
    def test_the_step_accounts_for_frames_that_are_left_out(self, tmp_path: Path, frames: str) -> None:
        result = read_foreign(tmp_path, f"acquisition.frames='{frames}'")
        step = np.linalg.norm(result["reciprocal_basis"][0]) / np.linalg.norm(result["bragg_vector"])
        assert step == pytest.approx(np.radians(0.01 if frames == "::2" else 0.005), rel=0.01)

    def test_the_direct_beam_moves_the_detector(self, tmp_path: Path) -> None:
        """100 pixels of 55 µm further up at 1.1 m: 0.2865 degrees more of delta."""
        here = read_foreign(tmp_path)["bragg_vector"]
        y, x = SHAPE[1] // 2 + 100, SHAPE[2] // 2
        there = read_foreign(tmp_path, f"acquisition.goniometer.direct_beam=[{y}, {x}]")["bragg_vector"]
        angle = {name: 2 * np.arcsin(np.linalg.norm(q) / (2 * K)) for name, q in (("here", here), ("there", there))}
        assert np.degrees(angle["there"] - angle["here"]) == pytest.approx(0.2865, abs=0.004)

    def test_a_goniometer_survives_writing_and_reading(self, tmp_path: Path) -> None:
        first = read_foreign(tmp_path, "acquisition.goniometer.direct_beam=[14, 16]")
        write(first, SCHEMA, tmp_path / "ours.h5")
        with h5py.File(tmp_path / "ours.h5", "a") as file:
            group = file["instrument/goniometer"]
            assert group.attrs["NX_class"].decode() == "NXtransformations"
            assert group["eta"].attrs["depends_on"].decode() == "mu"
            np.testing.assert_array_equal(group["eta"].attrs["vector"], [-1, 0, 0])
            assert group["eta"].attrs["units"].decode() == "rad"
            del file["instrument/reciprocal_basis"], file["instrument/bragg_vector"]
        again = read(parse_config("kind: crystal"), tmp_path / "ours.h5")
        np.testing.assert_allclose(again["reciprocal_basis"], first["reciprocal_basis"], rtol=1e-9)
        np.testing.assert_allclose(again["bragg_vector"], first["bragg_vector"], rtol=1e-9)

    def test_a_file_needs_only_the_beamlines_name_and_the_motors(self, tmp_path: Path) -> None:
        path = tmp_path / "ours.h5"
        arrays = {"images": counts(), "wavelength": np.array(1.4e-10), "detector_distance": np.array(1.1)}
        write(Acquisition("crystal", arrays | {"pixel_size": np.array([55e-6, 75e-6])}), SCHEMA, path)
        with h5py.File(path, "a") as file:
            group = file.create_group("instrument/goniometer")
            group.attrs["beamline"] = "ID01"
            for name, values in {"eta": 17.0 + 0.005 * np.arange(SHAPE[0]), "nu": 3.0, "delta": 35.0}.items():
                group[name] = values
                group[name].attrs["units"] = "deg"
        result, known = read(parse_config("kind: crystal"), path), expected(17.0 + 0.005 * (SHAPE[0] // 2))
        np.testing.assert_allclose(result["reciprocal_basis"], known.basis, rtol=1e-6, atol=1.0)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "angles={eta: /eta, delta: 35 deg}",
            r"unit is not stated, and 17 to 17\.115 look like degrees; .*'/eta in deg",
        ),
        ("angles={eta: /eta in deg, delta: 35.0}", r"delta at 35 rad is more than half a turn; it looks like degrees"),
        ("angles={delta: 35 deg}", r"no circle's readings differ.*goniometer\.scanned \(one of mu, eta, phi\)"),
        (
            "angles={delta: /eta in deg, eta: 17 deg}",
            r"delta of the detector moved .*, by 0\.115 degrees, and no circle",
        ),
        ("angles={eta: /eta in deg}", r"point the detector into the direct beam"),
        ("angles={eta: /etta in deg, delta: 35 deg}", r"nothing of that name.*did you mean '/eta'"),
        ("angles={eta: /eta in mm, delta: 35 deg}", r"is in 'mm', which is no angle"),
        ("angles={etta: /eta in deg}", r"angles\.etta: there is no such circle.*did you mean 'eta'"),
        ("beamline=ID02", r"beamline"),
        ("sample=[eta]", r"'eta' is no circle; write its name and its axis, as 'eta -x'"),
        ("scanned=delta", r"'delta' does not turn the crystal; those that do: mu, eta, phi"),
    ],
)
def test_wrong_circles_are_named(tmp_path: Path, assignment: str, message: str) -> None:
    config = CONFIG.replace(", nu: 3 deg", "")
    with pytest.raises((ConfigError, DataError), match=message):
        read_foreign(tmp_path, f"acquisition.goniometer.{assignment}", config=config)


def test_a_step_in_degrees_is_named(tmp_path: Path) -> None:
    assignments = [f"acquisition.goniometer.{text}" for text in ("angles={eta: 17 deg, delta: 35 deg}", "scanned=eta")]
    with pytest.raises(DataError, match=r"turns by 0\.1 rad \(5\.73 degrees\).*looks like degrees.*'0\.1 deg'"):
        read_foreign(tmp_path, *assignments, "acquisition.goniometer.step=0.1")
    with pytest.raises(DataError, match=r"one frame changes q by .* times as much as a pixel; .*degrees taken for rad"):
        read_foreign(tmp_path, *assignments, "acquisition.goniometer.step=0.005")


def test_without_a_distance_the_steps_cannot_be_computed(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"without detector_distance; name it in the config: acquisition\.detector_dist"
    ):
        read_foreign(tmp_path, "acquisition.detector_distance=null")


def test_circles_that_are_not_the_files_basis_are_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        file["basis"] = expected(17.06).basis * np.array([[1.5], [1.0], [1.0]]) * 1e-9
    names = ["acquisition.reciprocal_basis=/basis in 1/nm"]
    with pytest.raises(DataError, match=r"not that of the circles: along frame they differ by 50.*%.*basis: null"):
        read(parse_config(CONFIG, names), path)
