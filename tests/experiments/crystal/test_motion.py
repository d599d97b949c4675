"""Circles that move during a scan: together, drifting, unevenly, or not at all; readings that do not fit the frames."""

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.physics.diffraction.beamlines import BEAMLINES
from unflat.physics.rotation import rotation_matrix
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import DataError
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.crystal.crop import CropBox
from unflat.recon.experiments.crystal.read import read
from unflat.recon.experiments.crystal.uneven_curve import box_positions

SHAPE, PEAK = (24, 28, 32), (12, 14, 16)
TIMES = np.arange(24) - 12
ETA, DELTA = 17.6 + 0.01 * TIMES, 35.2 + 0.02 * TIMES
JITTER = 0.01 * np.random.default_rng(4).uniform(-0.5, 0.5, 24)
K, PIXEL = 2 * np.pi / 1.3776e-10, 75e-6 / 0.9
CONFIG = """
kind: crystal
acquisition:
  images: /data
  monitor: /monitor
  wavelength: 0.13776 nm
  detector_distance: 0.9 m
  pixel_size: 75 um
  goniometer:
    beamline: ID01
    angles: {eta: /m/eta in deg, del: /m/delta in deg, nu: /m/nu in deg, mu: 0 deg, phi: 0 deg}
"""


def counts() -> np.ndarray:
    z, y, x = (np.sinc((np.arange(n) - m) / 2.8) ** 2 for n, m in zip(SHAPE, PEAK, strict=True))
    return np.random.default_rng(0).poisson(2e4 * z[:, None, None] * y[:, None] * x + 0.02).astype(np.uint16)


def write_scan(folder: Path, **given: Any) -> Path:
    """Write a scan of ID01 with a reading in degrees for each circle, and a monitor."""
    path = folder / "scan.h5"
    datasets = {"m/eta": ETA, "m/delta": 35.2, "m/nu": 1.3, "monitor": np.full(24, 1e3)}
    datasets |= {name if name == "monitor" else f"m/{name}": values for name, values in given.items()}
    with h5py.File(path, "w") as file:
        file["data"] = counts()
        for name, values in datasets.items():
            file[name] = values
    return path


def read_scan(folder: Path, *assignments: str, config: str = CONFIG, **given: Any) -> Acquisition:
    return read(parse_config(config, assignments), write_scan(folder, **given))


def q_of_frame(eta: float, delta: float, nu: float) -> np.ndarray:
    """q (z, y, x) of the peak's pixel, in the crystal's frame, from rotations about y and x."""
    turn = [rotation_matrix(axis, np.radians(angle)) for axis, angle in (((0, -1, 0), nu), ((-1, 0, 0), delta))]
    out = turn[0] @ turn[1] @ np.array([1.0, 0.0, 0.0])
    back: np.ndarray = rotation_matrix((-1, 0, 0), np.radians(eta)).T @ (K * (out - np.array([1, 0, 0])))
    return back


def expected_step(eta: np.ndarray, delta: np.ndarray, nu: np.ndarray) -> np.ndarray:
    """Change of q from frame to frame at the peak, in the laboratory."""
    before, after = (q_of_frame(eta[i], delta[i], nu[i]) for i in (PEAK[0] - 1, PEAK[0] + 1))
    step: np.ndarray = rotation_matrix((-1, 0, 0), np.radians(eta[PEAK[0]])) @ (after - before) / 2
    return step


class TestSeveralCircles:
    @pytest.mark.parametrize("named", [(), ("acquisition.goniometer.scanned=eta",)], ids=["found", "named"])
    def test_crystal_and_detector_turn_together(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, named: tuple[str, ...]
    ) -> None:
        """A scan of eta and delta (θ-2θ): q moves along itself, and hardly across."""
        result = read_scan(tmp_path, *named, delta=DELTA)
        step = result["reciprocal_basis"][0]
        np.testing.assert_allclose(step, expected_step(ETA, DELTA, np.full(24, 1.3)), atol=30.0)
        np.testing.assert_allclose(step[::-1] / 1e5, [2.1, 144.7, -45.9], atol=0.06)
        assert "eta (by 0.01 degrees a frame) and delta (by 0.02 degrees a frame) moved together" in caplog.text

    def test_each_circle_may_be_a_series(self, tmp_path: Path) -> None:
        nu = 1.3 + 0.004 * TIMES
        step = read_scan(tmp_path, delta=DELTA, nu=nu)["reciprocal_basis"][0]
        np.testing.assert_allclose(step, expected_step(ETA, DELTA, nu), atol=30.0)

    def test_circles_at_rest_may_be_series(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        rest = {"delta": np.full(24, 35.2), "nu": 1.3 + 1e-6 * np.sin(np.arange(24))}
        moving, known = (read_scan(tmp_path, **given)["reciprocal_basis"] for given in (rest, {}))
        np.testing.assert_allclose(moving, known, rtol=1e-5, atol=1.0)
        assert "moved" not in caplog.text  # the noise of a read-back is no motion

    def test_a_converted_file_keeps_all_motions(self, tmp_path: Path) -> None:
        path = write_scan(tmp_path, delta=DELTA)
        (tmp_path / "run.yaml").write_text(CONFIG, "utf-8")
        words = ["convert", str(path), "-o", str(tmp_path / "ours.h5"), "--config", str(tmp_path / "run.yaml")]
        assert run(words) == 0
        with h5py.File(tmp_path / "ours.h5", "a") as file:
            basis = file["instrument/reciprocal_basis"][...]
            del file["instrument/reciprocal_basis"]
        again = read(parse_config("kind: crystal"), tmp_path / "ours.h5")["reciprocal_basis"]
        np.testing.assert_allclose(again, basis, rtol=1e-9, atol=1e-3)

    def test_drift_is_reported_and_accounted_for(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        drift = 35.2 + 0.0003 * TIMES
        step = read_scan(tmp_path, delta=drift)["reciprocal_basis"][0]
        np.testing.assert_allclose(step, expected_step(ETA, drift, np.full(24, 1.3)), atol=30.0)
        assert "delta moved by 0.0069 degrees during the scan, 1.2 steps of q" in caplog.text

    def test_a_turn_past_zero_is_even(self, tmp_path: Path) -> None:
        config = CONFIG.replace("phi: 0 deg", "phi: /m/phi in deg").replace("/m/eta", "/m/rest")
        step = read_scan(tmp_path, config=config, rest=17.6, phi=(359.9 + 0.01 * np.arange(24)) % 360)
        assert np.linalg.norm(step["reciprocal_basis"][0]) == pytest.approx(
            np.linalg.norm(read_scan(tmp_path, config=config, rest=17.6, phi=0.01 * TIMES)["reciprocal_basis"][0])
        )

    @pytest.mark.parametrize("name", ["NanoMAX", "SIXS", "ID27"])
    def test_what_programs_dispute_is_said(self, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
        circle = BEAMLINES[name].machine.sample[0].name
        angles = ", ".join(f"{c.name}: {20 + i} deg" for i, c in enumerate(BEAMLINES[name].machine.detector))
        config = CONFIG.split("    beamline")[0] + (
            f"    beamline: {name}\n    angles: {{{circle}: /m/eta in deg{', ' * bool(angles)}{angles}}}\n"
            "    direct_beam: [14, 3000]\n"
        ).replace(f"{circle}: 20 deg, ", "")
        read_scan(tmp_path, config=config)
        assert BEAMLINES[name].note in caplog.text
        caplog.clear()
        settled = {"NanoMAX": ["columns=x"], "SIXS": ["rows=-x", "columns=-y"], "ID27": ["sample=[nath -y]"]}[name]
        read_scan(tmp_path, *(f"acquisition.goniometer.{text}" for text in settled), config=config)
        assert BEAMLINES[name].note not in caplog.text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"eta": 17.6 + 0.01 * (np.arange(24) % 6), "nu": 1.3 + 0.02 * (np.arange(24) // 6)},
            r"eta stood at 6 different angles in 24 frames; a rocking curve has at least 8",
        ),
        ({"eta": 17.6 + 1e-5 * np.sin(np.arange(24) ** 2)}, r"one frame changes q by \d+ 1/m, .* check the unit"),
        ({"eta": np.where(TIMES == 3, 18.5, ETA)}, r"1 of 24 readings of eta lie apart: 18\.5 degrees, the others 17"),
        (
            {"eta": np.where(TIMES == 3, 0.0, ETA)},
            r"1 of 24 readings of eta lie apart: 0 degrees, the others 17\.\d+ to",
        ),
        ({"eta": np.r_[ETA[:12], ETA[12:] + 0.2]}, r"eta jumps by [\d.]+ steps \(0\.21 degrees\) between two frames"),
        (
            {"eta": np.where(TIMES == 3, np.nan, ETA + JITTER)},
            r"frame 15 has no reading of eta, and the others are not",
        ),
        ({"eta": np.r_[ETA[:12], ETA[12:] - 0.025]}, r"the frames do not form one rocking curve"),
        ({"eta": 17.6}, r"no circle's readings differ from frame to frame"),
        ({"eta": 17.6, "delta": DELTA}, r"delta of the detector moved .* 0\.46 degrees, and no circle of the crystal"),
        ({"eta": np.full(24, np.nan)}, r"24 of 24 readings of eta are no numbers; give its angle"),
        ({"eta": 17.6 + 0.01 * np.arange(30)}, r"30 readings for 24 frames; name the readings of this scan"),
        ({"eta": ETA * 1e3}, r"eta at 17710 degrees \(309\.\d+ rad\) is more than a turn; name the unit .* in mdeg"),
    ],
)
def test_scans_that_are_no_rocking_curve_are_refused(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_scan(tmp_path, **given)


class TestUnevenCurve:
    def test_each_frame_has_its_own_q(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        eta, nu = ETA + JITTER, 1.3 + 0.003 * np.sin(TIMES)
        result = read_scan(tmp_path, eta=eta, nu=nu)
        own = (np.arange(24)[:, None] * [1, 0, 0] + result["frame_offsets"]) @ result["reciprocal_basis"]
        turn = rotation_matrix((-1, 0, 0), np.radians(np.polyval(np.polyfit(np.arange(24), eta, 1), PEAK[0])))
        true = np.stack([turn @ q_of_frame(e, 35.2, n) for e, n in zip(eta, nu, strict=True)])
        # Of first order in the angles: a curve of 0.23 degrees bends by less than a hundredth of a step.
        np.testing.assert_allclose(
            own - own[0], true - true[0], atol=0.05 * np.linalg.norm(result["reciprocal_basis"][0])
        )
        assert "steps off even ones (widest gap" in caplog.text
        assert "each is taken at its own q" in caplog.text

    def test_frames_are_sorted_by_their_angle_with_all_that_belongs_to_them(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        order = np.r_[0:8, 6:20, 15:17, 20:24][:24]  # steps back, and frames that are there twice
        path = write_scan(tmp_path, eta=ETA[order], monitor=np.arange(24) + 100.0)
        with h5py.File(path, "a") as file:
            file["data"][...] = file["data"][...][order]
        result = read(parse_config(CONFIG), path)
        by_angle = np.argsort(ETA[order], kind="stable")
        np.testing.assert_array_equal(result["monitor"], by_angle + 100.0)
        np.testing.assert_array_equal(result["images"], counts()[order][by_angle])
        assert "stepped back 2 times" in caplog.text

    def test_a_frame_under_another_flux_is_named_by_its_number_in_the_file(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        order = np.r_[0:8, 6:20, 20:22]  # The frames behind the step back are two later in the file.
        path = write_scan(tmp_path, eta=ETA[order])
        with h5py.File(path, "a") as file:
            z, y, x = (np.exp(-(((np.arange(n) - m) / 6) ** 2)) for n, m in zip(SHAPE, PEAK, strict=True))
            frames = np.random.default_rng(0).poisson(3e3 * z[:, None, None] * y[:, None] * x + 0.02)[order]
            frames[14] //= 4
            file["data"][...] = frames.astype(np.uint16)
        read(parse_config(CONFIG), path)
        assert "frame 14 holds" in caplog.text

    def test_even_steps_may_be_asked_for(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        result = read_scan(tmp_path, "acquisition.uneven=even", eta=ETA + 0.3 * JITTER)
        assert "frame_offsets" not in result
        assert "even steps are assumed" in caplog.text
        with pytest.raises(DataError, match=r"eta turned unevenly: frame \d+ is .* steps off; .*use the frames"):
            read_scan(tmp_path, "acquisition.uneven=even", eta=ETA + 1.5 * JITTER)

    def test_a_curve_within_the_tolerance_stays_even(self, tmp_path: Path) -> None:
        assert "frame_offsets" not in read_scan(tmp_path, eta=ETA + 0.08 * JITTER)


@pytest.mark.parametrize("scale", [1, 2])
def test_the_frames_of_a_box_fill_their_array(scale: int) -> None:
    offsets = np.zeros((40, 3))
    offsets[:, 0], offsets[:, 1] = 2 * np.sin(np.arange(40) / 7), 0.5
    positions, step = box_positions(offsets, CropBox((-4, 0, 0), (40, 8, 8), (40, 8, 8)), scale)
    own = (np.arange(-4, 36) + np.r_[np.zeros(4), offsets[:36, 0]]).reshape(-1, scale).mean(axis=1) / scale
    measured = slice(4 // scale, None)
    assert positions[20 // scale, 0] == 0
    assert -20 / scale <= positions[:, 0].min() <= positions[:, 0].max() < 20 / scale
    np.testing.assert_allclose(np.diff(positions[measured, 0]) * step, np.diff(own[measured]))
    np.testing.assert_array_equal(positions[: 4 // scale, 0], np.arange(4 // scale) - 20 // scale)


@pytest.mark.parametrize(
    ("given", "frames", "message"),
    [
        (
            {"eta": np.where(TIMES == 3, np.nan, ETA)},
            24,
            "1 of 24 readings of eta are no numbers, the first of frame",
        ),
        ({"eta": 17.6 + 0.01 * np.arange(25)}, 24, "25 readings for 24 frames; the last one is left out"),
        ({"eta": ETA[:-1]}, 23, "23 readings for 24 frames; the last frame, which has none, is left out"),
        ({"eta": ETA[:-1], "monitor": np.full(23, 9.0)}, 23, "the last frame, which has none, is left out"),
    ],
)
def test_readings_that_nearly_fit_the_frames_are_matched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: dict[str, Any], frames: int, message: str
) -> None:
    result = read_scan(tmp_path, **given)
    assert len(result["images"]) == len(result["monitor"]) == frames
    assert np.linalg.norm(result["reciprocal_basis"][0]) == pytest.approx(4.8e6, rel=0.01)
    assert message in caplog.text


@pytest.mark.parametrize("frames", ["4:20", "::-1", "::2"])
def test_frames_are_selected_with_their_readings(tmp_path: Path, frames: str) -> None:
    stride = int(frames.split(":")[-1]) if frames.count(":") == 2 else 1
    whole, part = (read_scan(tmp_path, *words, delta=DELTA) for words in ((), (f"acquisition.frames='{frames}'",)))
    np.testing.assert_allclose(part["reciprocal_basis"][0], stride * whole["reciprocal_basis"][0], rtol=1e-6, atol=1.0)


def test_a_step_that_is_not_that_of_the_readings_is_refused(tmp_path: Path) -> None:
    assert read_scan(tmp_path, "acquisition.goniometer.step=0.01 deg")["images"].shape == SHAPE
    with pytest.raises(DataError, match=r"the step is 0\.02 degrees, and eta turns by 0\.01 degrees.*step: null"):
        read_scan(tmp_path, "acquisition.goniometer.step=0.02 deg")


def test_the_energy_is_one(tmp_path: Path) -> None:
    config = CONFIG.replace("0.13776 nm", "/m/energy in keV")
    steady = read_scan(tmp_path, config=config, energy=9 + 1e-6 * np.sin(np.arange(24)))
    assert steady["wavelength"] == pytest.approx(1.3776e-10, rel=1e-5)
    with pytest.raises(DataError, match=r"moves from 0\.137\d+ to 0\.137\d+ nm: it is an energy scan; unflat"):
        read_scan(tmp_path, config=config, energy=9 + 0.001 * TIMES)


@pytest.mark.parametrize(("unit", "scale"), [("mdeg", 1e3), ("degree", 1), ("arcsec", 3600), ("rad", np.pi / 180)])
def test_units_stand_in_attributes(tmp_path: Path, unit: str, scale: float) -> None:
    path = write_scan(tmp_path, eta=ETA * scale)
    with h5py.File(path, "a") as file:
        file["m/eta"].attrs["unit" if unit == "degree" else "units"] = unit
    acquisition = read(parse_config(CONFIG.replace("/m/eta in deg", "/m/eta")), path)
    np.testing.assert_allclose(acquisition["reciprocal_basis"], read_scan(tmp_path)["reciprocal_basis"], rtol=1e-6)


def test_a_small_angle_without_a_unit_is_refused(tmp_path: Path) -> None:
    message = r"m/nu: its unit is not stated, and 1\.3 may be degrees or radians; .*: '/m/nu in deg' \(or in rad\)"
    with pytest.raises(DataError, match=message):
        read_scan(tmp_path, config=CONFIG.replace("/m/nu in deg", "/m/nu"))


def test_circles_of_a_group_may_be_abbreviated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    known = read_scan(tmp_path)
    path = write_scan(tmp_path)
    with h5py.File(path, "a") as file:
        group = file.create_group("instrument/goniometer")
        group.attrs["beamline"] = "id01"
        for name, values in {"Eta": ETA, "del": 35.2, "nu": 1.3, "chi": 0.0}.items():
            group[name] = values
            group[name].attrs["units"] = "deg"
    config = CONFIG.split("  goniometer")[0]
    np.testing.assert_allclose(read(parse_config(config), path)["reciprocal_basis"], known["reciprocal_basis"])
    assert "goniometer/chi is no circle of the diffractometer, which has mu, eta, phi, nu, delta" in caplog.text
