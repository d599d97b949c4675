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
from unflat.recon.io.spec import split_scans

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

    ways: dict[str, Callable[[Path], None]] = {
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
    ],
)
def test_each_fault_is_named(scan: Path, way: str, message: str) -> None:
    breaking(way)(scan)
    with pytest.raises(DataError, match=message):
        read(CrystalSettings(), scan)


def test_spec_names_may_hold_spaces() -> None:
    (text,) = split_scans(SPEC + "0.1 0 5 6\n")
    scan = text.parse()
    assert scan.number == 7
    assert scan.columns["pm detector"] == 6
    assert scan.motors["z-sample"] == 10.2
    assert scan.moving == ("Theta",)


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
