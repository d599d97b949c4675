"""Plan of a cell: formulas against sampled supports, the linear posterior against matrices and the model in jax."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.physics.optics.born import BornModel
from unflat.physics.optics.illumination import PlaneWaves
from unflat.physics.optics.lattice import Lattice
from unflat.physics.optics.microscope import Illumination, Microscope
from unflat.recon.errors import ConfigError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.geometry import depth_doubts
from unflat.recon.experiments.cell.illumination import led_grid_na, ring_na
from unflat.recon.experiments.cell.light_grid import find_grid
from unflat.recon.experiments.cell.linear_posterior import LinearPosterior
from unflat.recon.experiments.cell.plan import plan
from unflat.recon.experiments.cell.planned_views import planned_acquisition
from unflat.recon.experiments.cell.verdict import PHASE_DETERMINED
from unflat.recon.experiments.configs import load_config, parse_config
from unflat.recon.experiments.plan import Plan
from unflat.recon.metrics.missing_cone import Aperture

MICROSCOPE = Microscope(532e-9, 0.65, 1.333, (0.2e-6, 0.2e-6))
DIRECTIONS = np.array([[0.1, 0.2], [-0.3, 0.25], [0.0, -0.5], [0.4, 0.1]])
FOCI = np.array([0.0, 0.5e-6, -1e-6, 0.0])
LIGHT = Illumination.from_directions(DIRECTIONS, FOCI)
POSTERIOR = LinearPosterior(MICROSCOPE, 4.01e-6, Aperture(532e-9, 1.333, 0.5, 0.65))
RING = "kind: cell\nsimulate: {shape: [32, 32], depth: 6 um, illumination: {pattern: ring, count: 16, na: 0.5}}\n"


@cache
def planned(*overrides: str) -> Plan:
    """Plan of the ring with some settings changed, made once."""
    return plan(parse_config(RING, overrides), None)


def value(name: str, *overrides: str) -> Any:
    return planned(*overrides).number(name).value


def test_the_transfer_is_that_of_the_model_in_jax() -> None:
    fine = Lattice((401, 256, 256), (1e-8, 0.2e-6, 0.2e-6), 532e-9, 1.333)
    model = BornModel(fine, 0.65)
    column = POSTERIOR.columns[len(POSTERIOR.columns) // 3]
    sy, sx = (jnp.asarray([u * 532e-9 / 1.333], jnp.float32) for u in column.u)
    waves = PlaneWaves.from_illumination(LIGHT, fine)
    phases = np.exp(2j * np.pi * np.outer(fine.planes, column.w))
    expected = []
    for view in range(4):
        one = PlaneWaves(waves.tilts[view], waves.weights[view], waves.defocus[view])
        expected.append(np.asarray(model.transfer(sy, sx, one))[0, :, 0] @ phases)
    actual = POSTERIOR.transfer(column, LIGHT)
    assert np.abs(actual).max() > 0
    assert np.allclose(actual, expected, atol=0.01 * np.abs(actual).max())


def test_the_determined_share_is_that_of_the_posterior_covariance() -> None:
    gain, errors, count = POSTERIOR.gain(2000.0), 0.0, 0
    for column in POSTERIOR.columns:
        h = POSTERIOR.transfer(column, LIGHT)
        covariance = np.linalg.inv(np.eye(h.shape[1]) + gain * h.conj().T @ h)
        errors += np.real(np.diag(covariance))[column.in_band].sum()
        count += int(column.in_band.sum())
    share = POSTERIOR.spectrum(LIGHT).determined(POSTERIOR.gain(2000.0))
    assert share == pytest.approx(1 - errors / count, rel=1e-9)
    assert 0.1 < share < 0.9


def test_noise_added_to_linear_images_leaves_the_error_that_is_told() -> None:
    rng, gain = np.random.default_rng(0), POSTERIOR.gain(500.0)
    squares, count = 0.0, 0
    for column in POSTERIOR.columns:
        h = POSTERIOR.transfer(column, LIGHT)
        truth, noise = (
            (rng.normal(size=(n, 300)) + 1j * rng.normal(size=(n, 300))) / np.sqrt(2) for n in h.shape[::-1]
        )
        images = h @ truth + noise / np.sqrt(gain)
        estimate = h.conj().T @ np.linalg.solve(h @ h.conj().T + np.eye(len(h)) / gain, images)
        squares += float((np.abs(estimate - truth)[column.in_band] ** 2).mean(axis=1).sum())
        count += int(column.in_band.sum())
    assert POSTERIOR.spectrum(LIGHT).determined(POSTERIOR.gain(500.0)) == pytest.approx(1 - squares / count, abs=0.01)


def test_the_gain_of_a_view_is_that_of_adding_it() -> None:
    added = Illumination.from_directions(np.array([[-0.2, -0.3], [0.1, 0.2]]), np.array([0.0, 1e-6]))
    shares = POSTERIOR.determined_with(LIGHT, added, 1000.0)
    for share, na, focus in zip(shares, added.na[:, 0], added.defocus, strict=True):
        both = Illumination.from_directions(np.vstack([DIRECTIONS, na]), np.append(FOCI, focus))
        assert share == pytest.approx(POSTERIOR.spectrum(both).determined(POSTERIOR.gain(1000.0)), rel=1e-9)


def test_noise_in_counts_is_that_of_the_gain() -> None:
    # A white index of deviation s and images of N photons a pixel: variances of their Fourier coefficients.
    rng, n, s, photons = np.random.default_rng(1), 64, 0.01, 800.0
    noise = rng.poisson(photons, (50, n, n)) / photons - 1
    measured = np.mean(np.abs(np.fft.fft2(noise) / n**2)[:, 1:, 1:] ** 2)
    area, volume = (n * 0.2e-6) ** 2, 4 / 3 * np.pi * POSTERIOR.radius**3
    prior = s**2 / (volume * POSTERIOR.depth * area)
    assert POSTERIOR.gain(photons) == pytest.approx(prior / measured, rel=0.03)


def test_the_resolution_is_that_of_the_sampled_support() -> None:
    angle = np.linspace(0, 2 * np.pi, 721)
    circle = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    q = np.concatenate([r * 0.65 / 532e-9 * circle for r in np.linspace(0, 1, 21)])

    def eta(u: np.ndarray) -> np.ndarray:
        return np.sqrt((1.333 / 532e-9) ** 2 - (u**2).sum(axis=-1))

    points = []
    directions = np.concatenate([np.zeros((1, 2)), 0.25 * circle[:-1:180], 0.5 * circle[:-1:90]])
    for p in directions / 532e-9:
        points.append(np.column_stack([eta(q) - eta(p), q - p]))
    support = np.concatenate(points)
    listed = f"acquisition.illumination_na={directions.tolist()}"
    axial, lateral, _ = value("resolution", listed)
    assert axial == pytest.approx(1 / np.ptp(support[:, 0]), rel=1e-3)
    assert lateral == pytest.approx(1 / np.abs(support[:, 1]).max(), rel=1e-3)
    assert value("axial_period", listed) == pytest.approx(1 / np.abs(support[:, 0]).max(), rel=1e-3)
    low = support[np.hypot(support[:, 1], support[:, 2]) < 0.02 / 532e-9]
    steepest = np.arctan2(np.abs(low[:, 0]), np.hypot(low[:, 1], low[:, 2])).max()
    assert value("missing_cone_angle", listed) == pytest.approx(np.pi / 2 - steepest, abs=0.03)


def test_steeper_light_narrows_the_missing_cone_and_more_photons_the_error() -> None:
    assert value("missing_cone_angle") > value("missing_cone_angle", "simulate.illumination.na=0.63")
    assert value("relative_error") > value("relative_error_noiseless")
    gains = planned().gains
    assert all(gain.after.value < gain.before.value for gain in gains if gain.before.name == "relative_error")
    assert {gain.before.name for gain in gains} >= {"relative_error", "seen", "axial_resolution"}


def test_a_whole_turn_shows_more_than_half_a_turn() -> None:
    turn = "simulate.turn={axis: y, count: 12, range: %s}"
    light = ("simulate.illumination.count=1", "simulate.illumination.na=0.01")
    half, less = (value("seen", turn % angle, *light) for angle in ("180 deg", "60 deg"))
    assert half > 1.5 * less
    (gain,) = planned(turn % "60 deg", *light).gains
    assert gain.after.value > gain.before.value


def test_numbers_of_the_acquisition_section_go_before_the_simulation() -> None:
    ring = "acquisition={wavelength: 450 nm, ring: {na: 0.4, count: 8}}"
    assert value("resolution", ring)[1] == pytest.approx(450e-9 / (0.65 + 0.4))
    stack = "acquisition={illumination: normal, defocus: [-2 um, 0 um, 2 um]}"
    assert planned(stack).pictures[0].values.max() == 1
    assert value("missing_cone", stack) > 0.9


def test_light_that_stands_in_a_file_is_refused_without_one() -> None:
    with pytest.raises(ConfigError, match="led_row_col is read from a file"):
        planned("acquisition.led_grid={pitch: 4 mm, height: 70 mm}")
    with pytest.raises(ConfigError, match="no wavelength of light"):
        planned("acquisition.wavelength=532 um")


def test_the_command_plans_a_measurement_as_its_config(scan_of_plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = scan_of_plan.with_name("run.yaml")
    documents = []
    for words in ([str(config)], [str(config), str(scan_of_plan)]):
        assert run(["plan", *words, "--json", "--set", "volume.depth=6 um"]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    by_config, by_file = (document["numbers"] for document in documents)
    for name in ("resolution", "missing_cone", "seen", "filled", "oversampling"):
        assert by_file[name]["value"] == pytest.approx(by_config[name]["value"], rel=1e-6)
    assert by_file["photons"]["value"] == pytest.approx(by_config["photons"]["value"], rel=0.4)
    assert documents[1]["memory_bytes"] > 0


def test_a_measurement_needs_a_depth(scan_of_plan: Path) -> None:
    config = load_config(scan_of_plan.with_name("run.yaml"))
    measured = get_experiment("cell").read(config, scan_of_plan)
    with pytest.raises(ConfigError, match=r"volume\.depth"):
        plan(config, replace(measured, truth=None))


def test_light_near_the_axis_is_warned_of_as_the_verdict_will_judge_it() -> None:
    narrow = "simulate.illumination.na=0.2"
    assert value("phase_determined", narrow) < PHASE_DETERMINED < value("phase_determined")
    warned = [any("mass-undetermined" in doubt for doubt in planned(*own).warnings) for own in ((narrow,), ())]
    assert warned == [True, False]
    with_foci = planned(narrow, "simulate.defocus=[-3 um, 0 um, 3 um]")
    assert with_foci.number("phase_determined").value > PHASE_DETERMINED


def test_planning_imports_no_jax(tmp_path: Path) -> None:
    for kind in ("cell", "crystal", "shape"):
        (tmp_path / f"{kind}.yaml").write_text(f"kind: {kind}\n")
    code = (
        "import sys; from unflat.cli.main import run\n"
        "for kind in ('cell', 'crystal', 'shape'):\n"
        "    assert run(['plan', f'{kind}.yaml', '--json']) == 0\n"
        "    assert 'jax' not in sys.modules, kind\n"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


@pytest.fixture(scope="module")
def scan_of_plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    text = RING.replace("count: 16", "count: 8").replace("illumination:", "radius: 1.5 um, illumination:")
    (folder / "run.yaml").write_text(text)
    assert run(["simulate", str(folder / "run.yaml"), "-o", str(folder / "scan.h5")]) == 0
    return folder / "scan.h5"


@pytest.mark.parametrize(("depth", "reason"), [("9 mm", "1406 times"), ("9 nm", "wavelengths")])
def test_a_depth_of_many_images_or_of_no_wavelength_is_taken_for_one_in_another_unit(depth: str, reason: str) -> None:
    settings = parse_config(RING, (f"volume.depth={depth}",))
    (doubt,) = depth_doubts(settings, planned_acquisition(settings))
    assert f"{depth} deep" in doubt
    assert reason in doubt
    assert "--set volume.depth='9 um'" in doubt
    assert depth_doubts(parse_config(RING, ("volume.depth=9 um",)), planned_acquisition(settings)) == []


def test_a_further_direction_is_a_place_of_the_lights_grid() -> None:
    rows, columns = (n.ravel() for n in np.meshgrid([-2, 0, 1, 3], [-3, -1, 0, 2], indexing="ij"))
    na = led_grid_na(np.stack([rows, columns], axis=1), pitch=4e-3, height=40e-3, centre=(0.3, -0.2))
    grid = find_grid(na)
    assert grid is not None
    assert grid.is_flat
    everywhere = led_grid_na(np.indices((9, 9)).reshape(2, -1).T - 4, pitch=4e-3, height=40e-3, centre=(0.3, -0.2))
    places = grid.nearest(np.array([[0.21, -0.12], [0.0, 0.35], [0.2, -0.1]]))
    assert len(places) == 2
    for place in places:
        assert np.abs(everywhere - place).max(axis=1).min() < 1e-4
    for count in (6, 8, 12, 16):
        assert find_grid(ring_na(count, na=0.5, count=count)) is None
    scanned = find_grid(0.15 * np.indices((3, 4)).reshape(2, -1).T)
    assert scanned is not None
    assert not scanned.is_flat
