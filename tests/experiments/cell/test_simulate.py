"""Simulation of cells: directions of light, images, camera, truth and file."""

import logging
import subprocess
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import pytest

from unflat.physics.optics.patterns import PATTERNS, grid, ring, spiral
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.config_simulation import Sort
from unflat.recon.experiments.cell.simulate import simulate, simulation_lattice
from unflat.recon.experiments.configs import parse_config

from ...commands import run_here

SMALL = """
kind: cell
simulate:
  shape: [32, 32]
  depth: 3.2 um
  radius: 1.3 um
  illumination: {count: 3, na: 0.5}
  photons: null
  read_noise: 0.0
"""
BALL = ("simulate.specimen=beads", "simulate.radius=0.8 um")


def small(*overrides: str, seed: int = 0) -> Acquisition:
    return simulate(settings(*overrides, seed=seed))


def settings(*overrides: str, seed: int = 0) -> Any:
    return parse_config(SMALL, [*overrides, f"seed={seed}"])


def contrast_of(images: np.ndarray) -> float:
    return float(np.linalg.norm(images - 1))


# ---------------------------------------------------------------- directions


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("count", [1, 2, 8, 24, 37])
def test_a_pattern_has_distinct_directions_within_the_aperture(name: str, count: int) -> None:
    directions = PATTERNS[name](count, 0.6)
    assert directions.shape == (count, 2)
    assert len(np.unique(np.round(directions, 9), axis=0)) == count
    radii = np.linalg.norm(directions, axis=1)
    assert radii.max() == pytest.approx(0.6 if count > 1 or name == "ring" else 0)


def test_a_ring_goes_from_x_towards_y() -> None:
    np.testing.assert_allclose(ring(4, 0.5), [[0, 0.5], [0.5, 0], [0, -0.5], [-0.5, 0]], atol=1e-12)


def test_a_spiral_fills_the_disc_evenly() -> None:
    radii = np.linalg.norm(spiral(400, 1.0), axis=1)
    for part in (0.25, 0.5, 0.75):
        assert np.mean(radii < np.sqrt(part)) == pytest.approx(part, abs=0.01)


def test_a_grid_is_square() -> None:
    steps = grid(21, 0.6) / 0.6 * np.sqrt(5)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)


# ---------------------------------------------------------------- images


def test_a_vanishing_specimen_gives_a_uniform_image() -> None:
    np.testing.assert_allclose(small("simulate.contrast=1e-6")["images"], 1, atol=1e-4)


@pytest.mark.parametrize("model", ["ssnp", "multislice"])
def test_a_transparent_specimen_conserves_light(model: str) -> None:
    images = small(f"simulate.model={model}", "simulate.shape=[48, 48]")["images"]
    assert images.mean() == pytest.approx(1, abs=0.01)
    assert images.std() > 0.02


def test_absorption_darkens_the_image() -> None:
    clear, stained = (small(f"simulate.absorption={a}") for a in (0, 0.003))
    assert stained["images"].mean() < clear["images"].mean() - 0.0005
    assert stained.truth is not None
    assert stained.truth.values["absorption"].max() == pytest.approx(0.006, rel=0.2)
    assert clear.truth is not None
    assert "absorption" not in clear.truth.values


def test_images_do_not_depend_on_the_voxels() -> None:
    """Images converge as the voxels are refined, at one pixel of the camera."""
    coarse, middle, fine = (small(f"simulate.oversampling={k}")["images"] for k in (1, 2, 4))
    assert contrast_of(coarse - fine + 1) < 0.05 * contrast_of(fine)
    assert contrast_of(middle - fine + 1) < 0.02 * contrast_of(fine)


@pytest.mark.parametrize("oversampling", [1, 2, 3])
def test_the_optical_axis_goes_through_the_middle_pixel(oversampling: int) -> None:
    """Half a turn of the specimen about z is half a turn of the image about pixel n // 2."""
    turned = small(
        f"simulate.oversampling={oversampling}",
        "simulate.turn={axis: z, count: 2}",
        "simulate.illumination={count: 1}",
    )
    first, second = turned["images"][:, 1:, 1:]
    assert contrast_of(second - first + 1) > 0.1 * contrast_of(first)
    np.testing.assert_allclose(second, first[::-1, ::-1], atol=2e-3)


def test_a_rotation_about_z_carries_x_to_y() -> None:
    turned = small("simulate.turn={axis: z, count: 4}", "simulate.illumination={count: 1}")
    first, second = turned["images"][:2, 1:, 1:]
    np.testing.assert_allclose(second, np.rot90(first, -1), atol=2e-3)
    np.testing.assert_allclose(turned["rotation"][1] @ [0, 0, 1], [0, 1, 0], atol=1e-12)


def test_a_full_rotation_about_y_repeats_the_image() -> None:
    turned = small("simulate.turn={axis: y, count: 3, range: 540 deg}", "simulate.illumination={count: 2}")
    assert turned["images"].shape == (6, 32, 32)
    np.testing.assert_allclose(turned["rotation"][4] @ [1, 0, 0], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(turned["images"][4:], turned["images"][:2], atol=1e-4)
    assert contrast_of(turned["images"][2:4] - turned["images"][:2] + 1) > 0.1 * contrast_of(turned["images"][:2])


def test_progress_counts_every_image_of_every_angle() -> None:
    reported: list[tuple[int, int]] = []
    turning = settings("simulate.turn={axis: y, count: 2, range: 90 deg}", "simulate.illumination.count=2")
    simulate(turning, lambda step, total, **metrics: reported.append((step, total)))
    assert reported == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_images_of_simultaneous_sources_add() -> None:
    alone, together = (small("simulate.illumination.count=4", f"simulate.illumination.sources={k}") for k in (1, 3))
    pattern = together["pattern"]
    assert "illumination_na" not in together
    np.testing.assert_array_equal(together["source_na"], alone["illumination_na"])
    np.testing.assert_array_equal(pattern.sum(axis=1), 3)
    assert np.all(pattern.sum(axis=0) > 0)
    np.testing.assert_allclose(together["images"], np.tensordot(pattern / 3, alone["images"], 1), atol=1e-5)


def test_a_stack_of_foci_repeats_every_view() -> None:
    stack = small("simulate.defocus=[-3 um, 0.0, 3 um]")
    alone = small()
    assert stack["images"].shape == (9, 32, 32)
    np.testing.assert_array_equal(stack["defocus"], np.repeat([-3e-6, 0, 3e-6], 3))
    # A stack is computed with a wider margin, which may change the images a little.
    assert contrast_of(stack["images"][3:6] - alone["images"] + 1) < 0.15 * contrast_of(alone["images"])
    assert "defocus" not in alone
    # A cell delays light, and focuses it beyond itself.
    middle = stack["images"][::3, 14:19, 14:19].mean(axis=(1, 2))
    assert middle[2] > middle[1] > middle[0]


def test_tilted_light_shifts_a_shadow_with_defocus() -> None:
    """From a plane of focus to one d farther along +z, the shadow moves by d·tan θ towards +na."""
    distance, na = 2e-6, 0.4
    images = small(
        "simulate.contrast=1e-4",
        "simulate.absorption=0.003",
        "simulate.defocus=[0.0, 2 um]",
        "simulate.illumination={pattern: ring, count: 4, na: 0.4}",
        "simulate.shape=[64, 64]",
    )["images"]
    y, x = np.mgrid[:64, :64]

    def centroid(image: np.ndarray) -> np.ndarray:
        return np.array([((1 - image) * a).sum() for a in (y, x)]) / (1 - image).sum()

    shift = distance * na / np.sqrt(1.333**2 - na**2) / 0.2e-6
    for view, direction in enumerate(ring(4, 1.0)):
        moved = centroid(images[4 + view]) - centroid(images[view])
        np.testing.assert_allclose(moved, shift * direction, atol=0.4)


# ---------------------------------------------------------------- camera, truth, file


def test_the_camera_has_photon_and_read_noise() -> None:
    noisy = small("simulate.photons=500", "simulate.read_noise=3", "simulate.background=20", "simulate.empty_view=true")
    clean = small()["images"]
    deviation = noisy["images"] - (500 * clean + 20)
    assert deviation.mean() == pytest.approx(0, abs=5 * np.sqrt(530 / clean.size))
    assert deviation.var() == pytest.approx(500 * clean.mean() + 20 + 9, rel=0.15)
    assert noisy["background"].shape == (3, 32, 32)
    assert noisy["background"].mean() == pytest.approx(520, rel=0.01)


def test_the_seed_determines_the_acquisition() -> None:
    first, again, other = (small("simulate.photons=500", seed=s)["images"] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize("specimen", get_args(Sort))
def test_a_simulation_is_a_valid_acquisition_within_its_box(specimen: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("unflat").propagate = True
    made = small(f"simulate.specimen={specimen}", "simulate.radius=auto")
    assert get_experiment("cell").validate(made) == []
    assert "does not fit" not in caplog.text
    truth = made.truth
    assert truth is not None
    assert truth.shape == (16, 32, 32)
    assert truth.spacing == pytest.approx((0.2e-6,) * 3)
    assert truth.main.min() == pytest.approx(1.333)
    assert 1.345 < truth.main.max() <= 1.4701


def test_a_specimen_drifts_and_swells_along_a_series() -> None:
    def at(time: str, *more: str) -> Acquisition:
        return small(f"simulate.series.time={time}", "simulate.radius=1 um", "simulate.series.drift=0.4 um", *more)

    first, last = at("0 s"), at("40 s", "simulate.series.views=1::2")
    np.testing.assert_array_equal(first["images"], small("simulate.radius=1 um")["images"])
    assert last.attributes["time"] == "40 s"
    np.testing.assert_array_equal(last["illumination_na"], first["illumination_na"][1::2])
    assert len(last["images"]) == 1
    mass, middle = [], []
    for acquisition in (first, last):
        assert acquisition.truth is not None
        contrast = np.clip(acquisition.truth.values["refractive_index"] - 1.333, 0, None)
        mass.append(contrast.sum())
        at_voxel = np.meshgrid(acquisition.truth.z, acquisition.truth.y, acquisition.truth.x, indexing="ij")
        middle.append([np.average(a, weights=contrast) for a in at_voxel])
    assert mass[1] == pytest.approx(mass[0], rel=0.03)
    assert np.linalg.norm(np.subtract(middle[1], middle[0])) == pytest.approx(0.4e-6, rel=0.15)


def test_a_specimen_beyond_its_box_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("unflat").propagate = True
    small("simulate.radius=2.5 um")
    assert "does not fit into the box" in caplog.text
    caplog.clear()
    small("simulate.series.time=40 s", "simulate.series.drift=1 mm")  # Nothing of it is left in the box.
    assert "does not fit into the box" in caplog.text


def test_voxels_too_coarse_for_the_light_are_refused() -> None:
    coarse = settings("simulate.pixel_size=0.3 um", "simulate.oversampling=1", "simulate.illumination.na=0.6")
    with pytest.raises(ConfigError, match=r"300 nm are too coarse.*at most 213 nm; --set simulate.oversampling=2"):
        simulation_lattice(coarse.simulate)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("simulate.illumination.na=1.4", "does not travel in the medium"),
        ("simulate.illumination.sources=5", "exceeds its count 3"),
        ("simulate.defocus=[]", "must be a list"),
    ],
)
def test_impossible_settings_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(override)


def test_the_command_writes_an_acquisition_that_reads_back(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)

    def unflat(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_here("simulate", "small.yaml", "-o", "scan.h5", *arguments, folder=tmp_path)

    done = unflat("--set", "simulate.photons=100", "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stderr.splitlines()] == [["simulate:", "1/3"], ["simulate:", "3/3"]]
    assert "3 images of 32 × 32 pixels" in done.stdout
    assert "wrote scan.h5" in done.stdout
    expected = small("simulate.photons=100", seed=3)
    read = get_experiment("cell").read(settings(), tmp_path / "scan.h5")
    np.testing.assert_allclose(read["illumination_na"], expected["illumination_na"])
    assert read.truth is not None
    assert expected.truth is not None
    np.testing.assert_array_equal(read.truth.main, expected.truth.main)
    with h5py.File(tmp_path / "scan.h5") as file:
        np.testing.assert_array_equal(file["measurement/images"], expected["images"])
        assert file.attrs["seed"] == 3
    again = unflat()
    assert again.returncode == 2
    assert "exists already" in again.stderr
    nowhere = unflat("-o", "none/scan.h5")
    assert nowhere.returncode == 3
    assert "there is no folder none; make it" in nowhere.stderr
