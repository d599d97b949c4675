"""Raw scans of 34-ID-C: dead pixels are masked, measured ones keep their counts, and angles become steps of q."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unflat.physics.diffraction.beamlines import APS_34IDC
from unflat.physics.diffraction.bragg_geometry import real_space_steps
from unflat.physics.diffraction.diffractometer import Circle, DetectorView, Reflection, compute_reflection
from unflat.recon.errors import DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.crystal.aps_34idc import READER
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.preprocess import preprocess
from unflat.recon.experiments.crystal.read import read
from unflat.recon.io.inspect import describe
from unflat.recon.io.open import open_tree

FRAMES, ROWS, COLUMNS = 16, 20, 24
ANGLES = {name: np.radians(a) for name, a in {"Theta": 0.2, "Chi": 90, "Phi": -5, "Delta": 32, "Gamma": 12}.items()}
WAVELENGTH, DISTANCE, PIXEL = 1.378e-10, 0.5, 55e-6
VIEW = DetectorView(WAVELENGTH, DISTANCE, (PIXEL, PIXEL))

SPEC = """#F /data/x.spec
#O0 Delta  Theta  Chi  Phi
#O1 Gamma  camdist  Energy  z-sample
#o0 del th chi phi
#o1 gam cam en z

#S 7  ascan  th 0.1 0.3 15 0.25
#P0 32 0.2 90 -5
#P1 12 500 9 10.2
#UIMDET 34idcTIM2:
#Readout 0 40 0 36
#UIMR5  0 24 0 20 1
#L Theta  H  Monitor  pm detector
"""


def frames() -> np.ndarray:
    z, y, x = (
        np.sinc((np.arange(n) - n // 2) / w) ** 2 for n, w in zip((FRAMES, ROWS, COLUMNS), (2.5, 3.0, 3.0), strict=True)
    )
    return np.random.default_rng(0).poisson(5000 * z[:, None, None] * y[:, None] * x + 0.01).astype(np.int32)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A small scan: the detector is larger than the frames, one pixel is dead, one hot, one half covered."""
    folder = tmp_path / "scan7"
    (folder / "frames").mkdir(parents=True)
    for i, frame in enumerate(frames()):
        tifffile.imwrite(folder / "frames" / f"a_S0007_{i:05d}.tif", frame)
    dark, white = np.zeros((36, 40), np.int32), np.full((36, 40), 1000.0, np.float32)
    dark[3, 4], white[5, 6], white[7, 8], white[:, 12:] = 100, 0, 30, 2000
    tifffile.imwrite(folder / "dark.tif", dark)
    tifffile.imwrite(folder / "whitefield.tif", white)
    rows = [f"{0.1 + 0.2 * i / 15:.6f} 0 {1000 + 10 * i} 3" for i in range(FRAMES)]
    (folder / "scan.spec").write_text(SPEC + "\n".join(rows) + "\n", "utf-8")
    return folder


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, Path(folder.name) / file.relative_to(folder))
    return path


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_scan_is_an_acquisition(scan: Path, packed: bool) -> None:
    acquisition = read(CrystalSettings(), zipped(scan) if packed else scan)
    assert acquisition["images"].shape == (FRAMES, ROWS, COLUMNS)
    assert acquisition["wavelength"] == pytest.approx(1.3776e-10, rel=1e-4)
    assert acquisition["detector_distance"] == pytest.approx(0.5)
    np.testing.assert_allclose(acquisition["pixel_size"], 55e-6)
    np.testing.assert_allclose(acquisition["monitor"], 1000 + 10 * np.arange(FRAMES))


def test_dead_and_hot_pixels_become_mask_and_never_zero(scan: Path) -> None:
    acquisition = read(CrystalSettings(), scan)
    bad = np.zeros((ROWS, COLUMNS), bool)
    bad[3, 4] = bad[5, 6] = bad[7, 8] = True
    np.testing.assert_array_equal(acquisition["mask"] != 0, bad)
    preprocessed = preprocess(
        CrystalSettings.model_validate({"acquisition": {"crop": "all", "monitor": None}}), acquisition
    )
    assert not preprocessed.good[:, bad].any()


def test_the_white_field_equalizes_the_pixels_on_the_scale_of_counts(scan: Path) -> None:
    raw, images = frames(), read(CrystalSettings(), scan)["images"]
    white = np.where(np.arange(COLUMNS) < 12, 1000.0, 2000.0)
    level = np.median(np.delete(np.broadcast_to(white, (ROWS, COLUMNS)).ravel(), [3 * 24 + 4, 5 * 24 + 6, 7 * 24 + 8]))
    good = read(CrystalSettings(), scan)["mask"] == 0
    np.testing.assert_allclose(images[:, good], (raw * level / white)[:, good], rtol=1e-6)


def test_some_frames_are_read_alone(scan: Path) -> None:
    settings = CrystalSettings.model_validate({"acquisition": {"frames": "2:14"}})
    np.testing.assert_array_equal(read(settings, scan)["images"], read(CrystalSettings(), scan)["images"][2:14])


def test_info_shows_the_columns_of_the_scan(scan: Path) -> None:
    text = "\n".join(describe(scan, get_experiment("crystal").readers()))
    assert "34-ID-C scan" in text
    assert "pm_detector  16" in text


def breaking(name: str) -> Callable[[Path], None]:
    """Select a way to break a scan."""

    def text(change: Callable[[str], str]) -> Callable[[Path], None]:
        def rewrite(folder: Path) -> None:
            file = folder / "scan.spec"
            file.write_text(change(file.read_text("utf-8")), "utf-8")

        return rewrite

    def copy(source: str, target: str) -> Callable[[Path], None]:
        return lambda folder: (folder / target).write_bytes((folder / source).read_bytes()) and None

    ways: dict[str, Callable[[Path], None]] = {
        "the first frame is missing": lambda folder: (folder / "frames" / "a_S0007_00000.tif").unlink(),
        "two frames more": lambda folder: (
            [copy("frames/a_S0007_00000.tif", f"frames/a_S0007_000{i}.tif")(folder) for i in (16, 17)] and None
        ),
        "a frame twice": copy("frames/a_S0007_00004.tif", "frames/b_S0007_00004.tif"),
        "frames of two scans": copy("frames/a_S0007_00004.tif", "frames/a_S0008_00004.tif"),
        "twice alike": text(lambda spec: spec + spec[spec.index("#S 7") :].replace("0.100000", "0.100001")),
        "the energy moved": text(lambda spec: spec.replace("ascan  th", "ascan  en")),
        "no motor moved": text(lambda spec: spec.replace("ascan  th", "timescan").replace("#L Theta", "#L Time")),
        "a name is missing": text(lambda spec: spec.replace("Delta  Theta", "Delta")),
        "uneven steps": text(lambda spec: spec.replace("0.113333", "0.123333")),
        "a frame is missing": lambda folder: (folder / "frames" / "a_S0007_00004.tif").unlink(),
        "a frame is damaged": lambda folder: (folder / "frames" / "a_S0007_00004.tif").write_bytes(b"no TIFF at all"),
        "another scan": text(lambda spec: spec.replace("#S 7", "#S 8") + "\n#S 9 ascan th 0 1 2 1\n#L Theta\n0\n"),
        "no angle": text(lambda spec: spec.replace("Delta", "Dilta")),
        "another motor": text(lambda spec: spec.replace("ascan  th", "ascan  del")),
        "a truncated row": text(lambda spec: spec.rstrip().rpartition(" ")[0]),
        "a dark of another size": lambda folder: tifffile.imwrite(folder / "dark.tif", np.zeros((9, 9), np.int32)),
        "no frames": lambda folder: [file.unlink() for file in (folder / "frames").iterdir()] and None,
    }
    return ways[name]


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("a frame is missing", r"1 frame is missing, of those from 0 to 15: 4; add the missing frames"),
        ("a frame is damaged", r"a_S0007_00004\.tif: the TIFF is damaged"),
        ("another scan", r"scan 7, .*: 8\.1 .*, 9\.1 "),
        ("no angle", r"no angle of Delta"),
        ("another motor", r"no column of 'Delta', the motor that moved"),
        ("a truncated row", r"scan 7, line \d+: a row has 3 numbers, and there are 4 columns"),
        ("a dark of another size", r"dark\.tif: has \(9, 9\) pixels, the frames \(20, 24\)"),
        ("no frames", r"holds no TIFF frames beside the spec file"),
        ("the first frame is missing", r"15 frames, and scan 7 of the spec file has 16 points; add the missing frames"),
        ("two frames more", r"18 frames, and scan 7 .* has 16 points; remove the frames that do not belong"),
        ("a frame twice", r"two frames have the number 4: frames/a_S0007_00004\.tif and frames/b_S0007_00004\.tif"),
        ("frames of two scans", r"frames of 2 scans: 16 of scan 7, 1 of scan 8; put each"),
        (
            "twice alike",
            r"7\.1 \(16 points.*, 7\.2 \(16 points.*; 2 of them with as many points as there",
        ),
        ("the energy moved", r"scan 7 \(ascan  en 0\.1 0\.3 15 0\.25\) moved the energy; unflat phases rocking curves"),
        ("no motor moved", r"scan 7 \(timescan .*\) turned no circle of the sample; use a scan that turns"),
        ("a name is missing", r"#O0 names 3 motors, and #P0 has 4 positions"),
        (
            "uneven steps",
            r"Theta turned unevenly: frame 1 is 0\.\d+ steps off; .*; take a scan with even",
        ),
    ],
)
def test_each_fault_is_named(scan: Path, way: str, message: str) -> None:
    breaking(way)(scan)
    with pytest.raises(DataError, match=message):
        read(CrystalSettings(), scan)


def edit(folder: Path, change: Callable[[str], str]) -> Path:
    file = folder / "scan.spec"
    file.write_text(change(file.read_text("utf-8")), "utf-8")
    return folder


def header(order: str) -> str:
    """A second header, with the motors of the first line in another order."""
    return f"#F x\n#E 2\n#D now\n#O0 {order}\n#O1 Gamma  camdist  Energy  z-sample\n\n"


class TestBeamtimes:
    """Spec files of a whole beamtime, and scans that were stopped."""

    @pytest.mark.parametrize(
        "change",
        [
            lambda spec: spec.replace("#S 7", "#S 6 ascan th 0 1 2 1\n#P0 1 2\n#L Theta  H\n0 1\n0.5\n\n#S 7"),
            lambda spec: spec + "#S 8 ascan th 0 1 2 1\n#L Theta\n@A 1 2\\\n 3 4\n0\n",
            lambda spec: spec.replace("#S 7", header("Delta  Theta  Chi  Phi") + "#S 7"),
            lambda spec: spec.replace("#S 7", header("Theta  Phi  Chi  Delta") + "#S 7").replace(
                "#P0 32 0.2 90 -5", "#P0 0.2 -5 90 32"
            ),
            lambda spec: spec.replace("#S 7", spec[spec.index("#S 7") :].rpartition("0.3")[0] + "\n#S 7"),
            lambda spec: spec + spec[spec.index("#S 7") :],
        ],
        ids=["torn", "analyser", "header", "order", "begun twice", "written twice"],
    )
    def test_the_frames_scan_is_read_whatever_else_the_file_holds(
        self, scan: Path, change: Callable[[str], str]
    ) -> None:
        known = read(CrystalSettings(), scan)
        again = read(CrystalSettings(), edit(scan, change))
        np.testing.assert_array_equal(again["reciprocal_basis"], known["reciprocal_basis"])
        np.testing.assert_array_equal(again["bragg_vector"], known["bragg_vector"])

    def test_a_scan_that_occurs_twice_is_chosen_by_its_points_and_told(
        self, scan: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        edit(scan, lambda spec: spec + "#S 7 ascan th 1 2 1 1\n#L Theta\n1\n2\n")
        assert len(read(CrystalSettings(), scan)["images"]) == FRAMES
        assert "scan 7 stands there 2 times: 7.1 (16 points; ascan  th 0.1 0.3 15 0.25;" in caplog.text
        assert "7.1 is used, for 16 frames" in caplog.text

    @pytest.mark.parametrize("first", [0, 1])
    @pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
    def test_a_frame_that_was_begun_when_the_scan_was_stopped_is_left_out(
        self, scan: Path, caplog: pytest.LogCaptureFixture, first: int, packed: bool
    ) -> None:
        """The last frame is not even whole, and macOS adds hidden copies to an archive."""
        known = read(CrystalSettings(), scan)
        edit(scan, lambda spec: spec[: spec.rindex("0.3")] + "#C now.  Scan aborted after 15 points.\n")
        frames = sorted((scan / "frames").iterdir(), reverse=True)
        frames[0].write_bytes(frames[0].read_bytes()[:90])
        for frame in frames if first else []:
            frame.rename(frame.with_name(f"a_S0007_{int(frame.stem[-5:]) + 1:05d}.tif"))
        (scan / "._scan.spec").write_bytes(b"\0\5\x16\7")
        stopped = read(CrystalSettings(), zipped(scan) if packed else scan)
        np.testing.assert_array_equal(stopped["images"], known["images"][:15])
        np.testing.assert_allclose(stopped["reciprocal_basis"], known["reciprocal_basis"], rtol=1e-4, atol=1.0)
        assert "16 frames, and scan 7 of the spec file has 15 points; the last frame, " in caplog.text

    def test_crystal_and_detector_turn_together(self, scan: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A d2scan of theta and delta, whose columns are both read."""
        rows = "\n".join(f"{0.1 + 0.2 * i / 15:.6f} {31.9 + 0.4 * i / 15:.6f} 1000 3" for i in range(FRAMES))
        edit(scan, lambda spec: SPEC.replace("ascan  th 0.1 0.3", "d2scan  th 0.1 0.3 del 1 2") + rows + "\n")
        edit(scan, lambda spec: spec.replace("#L Theta  H", "#L Theta  Delta"))
        both = read(CrystalSettings(), scan)["reciprocal_basis"][0]
        steps = {"Theta": float(np.radians(0.2 / 15)), "Delta": float(np.radians(0.4 / 15))}
        view = DetectorView(1.37760e-10, 0.5, (PIXEL, PIXEL), (-8.0, -8.0))
        expected = compute_reflection(APS_34IDC, ANGLES, steps, view).basis[0]
        np.testing.assert_allclose(both, expected, rtol=2e-3, atol=2e-3 * np.abs(both).max())
        assert "Theta (by 0.0133 degrees a frame) and Delta (by 0.0267 degrees a frame) moved together" in caplog.text


class TestGeometry:
    """Steps of q against finite differences, computed independently from vectors and rotations."""

    @staticmethod
    def q_of(row: float, column: float, turn: float, offset: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        """Compute q (x, y, z) of a pixel in the frame of the crystal, which has turned from the middle of the scan."""
        k, p, d = 2 * np.pi / WAVELENGTH, PIXEL, DISTANCE

        def about_y(a: float) -> np.ndarray:
            return np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])

        def about_x(a: float) -> np.ndarray:
            return np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])

        pixel = np.array([(column + offset[1]) * p, -(row + offset[0]) * p, d])
        out = about_y(ANGLES["Delta"]) @ about_x(-ANGLES["Gamma"]) @ pixel
        q = k * (out / np.linalg.norm(out) - np.array([0, 0, 1]))
        return about_y(-turn) @ q

    @pytest.mark.parametrize("offset", [(0.0, 0.0), (-128.0, -128.0)])
    def test_the_basis_is_the_slope_of_q(self, offset: tuple[float, float]) -> None:
        step = np.radians(0.005)
        geometry = compute_reflection(APS_34IDC, ANGLES, {"Theta": step}, replace(VIEW, offset=offset))
        h = 0.5
        slopes = [
            (self.q_of(0, 0, h * step, offset) - self.q_of(0, 0, -h * step, offset)) / (2 * h),
            (self.q_of(h, 0, 0, offset) - self.q_of(-h, 0, 0, offset)) / (2 * h),
            (self.q_of(0, h, 0, offset) - self.q_of(0, -h, 0, offset)) / (2 * h),
        ]
        expected = np.stack([slope[::-1] for slope in slopes])
        np.testing.assert_allclose(geometry.basis, expected, atol=1e-6 * np.abs(expected).max())
        np.testing.assert_allclose(geometry.bragg_vector, self.q_of(0, 0, 0, offset)[::-1], rtol=1e-12)

    def test_the_length_of_q_is_braggs(self) -> None:
        geometry = compute_reflection(APS_34IDC, ANGLES, {"Theta": 1e-4}, VIEW)
        two_theta = np.arccos(np.cos(ANGLES["Delta"]) * np.cos(ANGLES["Gamma"]))
        expected = 4 * np.pi / WAVELENGTH * np.sin(two_theta / 2)
        assert np.linalg.norm(geometry.bragg_vector) == pytest.approx(expected, rel=1e-12)

    def test_a_reversed_circle_reverses_the_step_of_the_frames(self) -> None:
        other = replace(APS_34IDC, sample=(Circle("Theta", "-y"), *APS_34IDC.sample[1:]))
        one, two = (compute_reflection(m, ANGLES, {"Theta": 1e-4}, VIEW) for m in (APS_34IDC, other))
        np.testing.assert_allclose(one.basis[0], -two.basis[0])
        np.testing.assert_allclose(one.basis[1:], two.basis[1:])

    def test_an_inner_circle_turns_about_its_own_axis(self) -> None:
        """Chi stands at 90 degrees: phi turns about x, and the step is normal to it."""
        upright = {**ANGLES, "Theta": 0.0}
        geometry = compute_reflection(APS_34IDC, upright, {"Phi": 1e-4}, VIEW)
        assert abs(geometry.basis[0] @ np.array([0.0, 0.0, 1.0])) < 1e-9 * np.linalg.norm(geometry.basis[0])


def angles_between(rows: np.ndarray) -> list[float]:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return [float(np.degrees(np.arccos(unit[a] @ unit[b]))) for a, b in ((1, 2), (0, 2), (0, 1))]


def test_scan_54_has_the_voxel_and_the_axes_of_its_authors(shared_data: Path) -> None:
    with open_tree(shared_data / "crystals" / "aps34idc_scan54.zip", [READER]) as tree:
        leaves = {name: tree.array(f"/instrument/{name}") for name in ("reciprocal_basis", "bragg_vector")}
        mask = tree.array("/measurement/mask")
        assert mask is not None
        assert 200 < mask.read().sum() < 400
    geometry = Reflection(*(leaf.read() for leaf in leaves.values() if leaf is not None))
    steps = real_space_steps(geometry.basis, (200, 256, 256))
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1) * 1e9, [15.6, 5.03, 5.03], rtol=0.003)
    np.testing.assert_allclose(angles_between(geometry.basis), [90.0, 102.8, 76.9], atol=0.15)
    # Gold (111), to half a percent, the accuracy of the detector's angles.
    assert np.linalg.norm(geometry.bragg_vector) == pytest.approx(2 * np.pi * np.sqrt(3) / 4.07999e-10, rel=0.006)
