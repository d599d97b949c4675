"""Orientation of the light and the motion of its sources, told by the images of a NumPy microscope."""

import json
import re
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.config_illumination import LightCorrection
from unflat.recon.experiments.cell.corrections import correction_numbers
from unflat.recon.experiments.cell.illumination import correct_directions
from unflat.recon.experiments.cell.light_check import check_light
from unflat.recon.experiments.cell.light_description import AXES
from unflat.recon.experiments.cell.light_ranking import light_ranking_numbers, linear_test, shifted
from unflat.recon.experiments.cell.likelihood import likelihood
from unflat.recon.experiments.cell.verdict import assess, leave_out_known_side
from unflat.recon.experiments.configs import parse_config

from .numpy_microscope import DEPTH, MEDIUM, PITCH, WAVELENGTH, directions, image, index

APERTURE, VIEWS = 0.6, 10
CONFIG = f"kind: cell\nvolume: {{depth: {DEPTH} um, spacing: [0.4 um, 0.4 um, 0.4 um]}}\n"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    specimen = index(0.02)
    return np.stack([image(specimen, na, APERTURE) for na in directions(VIEWS, 0.5)]).astype(np.float32)


def measured(images: np.ndarray, na: np.ndarray) -> Acquisition:
    numbers = {"wavelength": WAVELENGTH * 1e-6, "numerical_aperture": APERTURE, "medium_index": MEDIUM}
    arrays = {name: np.array(value) for name, value in numbers.items()}
    pixel = np.full(2, 2 * PITCH * 1e-6)
    return Acquisition("cell", arrays | {"images": images, "illumination_na": na, "pixel_size": pixel})


def scan(folder: Path, images: np.ndarray, na: np.ndarray) -> list[str]:
    """Write an acquisition and its config, and name them as a command does."""
    with h5py.File(folder / "scan.h5", "w") as file:
        file["measurement/images"] = images * 1000
        for name, array in measured(images, na).arrays.items():
            if name != "images":
                file[f"instrument/{name}"] = array
        # The same directions as LEDs of an array, whose rows go up in the image.
        file["leds"] = na * [-1, 1] / np.sqrt(1 - np.sum(na**2, axis=1, keepdims=True)) * 50
    (folder / "run.yaml").write_text(CONFIG)
    return [str(folder / "run.yaml"), str(folder / "scan.h5")]


def test_the_described_light_is_best(tmp_path: Path, images: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", *scan(tmp_path, images, directions(VIEWS, 0.5)), "--light"]) == 0
    said = capsys.readouterr().out
    assert "the described light explains the images best" in said
    assert "turned by 180° cannot be told apart by these images" in said


@pytest.mark.parametrize("axes", AXES[4:7:2])
def test_the_setting_named_for_wrong_light_works(
    axes: tuple[str, str], tmp_path: Path, images: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = correct_directions(directions(VIEWS, 0.5), LightCorrection(axes=axes))
    command = ["check", *scan(tmp_path, images, wrong), "--light"]
    assert run(command) == 5
    setting = re.search(r'--set "([^"]*)"', capsys.readouterr().err)
    assert setting is not None
    assert run([*command, "--set", setting[1]]) == 0


def test_the_axes_named_for_an_array_of_leds_work(
    tmp_path: Path, images: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["check", *scan(tmp_path, images, directions(VIEWS, 0.5)), "--light"]
    array = ["acquisition.led_grid.positions=/leds in mm", "acquisition.led_grid.height=50 mm"]
    command += [word for setting in array for word in ("--set", setting)]
    assert run(command) == 5
    named = re.findall(r'--set "([^"]*)"', capsys.readouterr().err)[:2]
    assert [name.partition("=")[0] for name in named] == [
        "acquisition.led_grid.row_axis",
        "acquisition.led_grid.column_axis",
    ]
    assert run([*command, *(word for setting in named for word in ("--set", setting))]) == 0


def test_a_check_of_the_light_needs_an_acquisition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.yaml").write_text("kind: cell\nvolume: {depth: 9 um}\n")
    assert run(["check", str(tmp_path / "run.yaml"), "--light"]) == 2
    assert "name one ACQUISITION" in capsys.readouterr().err


def test_a_kind_without_light_says_so(tmp_path: Path) -> None:
    config = parse_config("kind: crystal")
    with pytest.raises(ConfigError, match="light"):
        get_experiment("crystal").check_light(config, Acquisition("crystal", {}))


@pytest.mark.parametrize(
    ("correction", "setting"),
    [("{}", "acquisition.led_grid.centre=[1,0]"), ("{axes: [-y, x]}", "acquisition.light_correction.shift=[-0.05,0]")],
)
def test_a_shift_is_named_as_the_centre_of_an_array_or_as_a_correction(
    correction: str, setting: str, images: np.ndarray
) -> None:
    grid = "{pitch: 2.5 mm, height: 50 mm, centre: [0, 0], row_axis: y, column_axis: x}"
    config = parse_config(f"{CONFIG}acquisition: {{led_grid: {grid}, light_correction: {correction}}}\n")
    lines = check_light(config, measured(images, directions(VIEWS, 0.5) + np.array([0.05, 0]))).lines
    assert setting in lines[-1]


def test_a_converted_file_is_not_corrected_again(tmp_path: Path, images: np.ndarray) -> None:
    wrong = correct_directions(directions(VIEWS, 0.5), LightCorrection(axes=("-y", "x")))
    config, raw = scan(tmp_path, images, wrong)
    with h5py.File(raw, "a") as file:
        file["instrument/defocus"] = np.linspace(-1e-6, 1e-6, VIEWS)
    with Path(config).open("a") as file:
        file.write("acquisition: {light_correction: {axes: [-y, x]}, reverse_defocus: true}\n")
    once, twice = tmp_path / "once.h5", tmp_path / "twice.h5"
    assert run(["convert", raw, "-o", str(once), "--config", config]) == 0
    assert run(["convert", str(once), "-o", str(twice), "--config", config]) == 0
    for path in (once, twice):
        with h5py.File(path) as file:
            np.testing.assert_allclose(file["instrument/illumination_na"][()], directions(VIEWS, 0.5), atol=1e-7)
            np.testing.assert_allclose(file["instrument/defocus"][()], np.linspace(1e-6, -1e-6, VIEWS), atol=1e-12)
    other = ["--set", "acquisition.light_correction.scale=1.1"]
    assert run(["convert", str(once), "-o", str(tmp_path / "other.h5"), "--config", config, *other]) == 3


def test_blank_images_tell_no_light(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = np.ones((VIEWS, 24, 24), np.float32)
    assert light_ranking_numbers(likelihood(parse_config(CONFIG), measured(blank, directions(VIEWS, 0.5)))) == {}
    assert run(["check", *scan(tmp_path, blank, directions(VIEWS, 0.5)), "--light"]) == 2
    assert "bright fields that show it" in capsys.readouterr().err


@pytest.mark.filterwarnings("error")
def test_light_shifted_beyond_the_index_of_the_medium_is_worse_and_no_nan(images: np.ndarray) -> None:
    test = linear_test(likelihood(parse_config(CONFIG), measured(images, directions(VIEWS, 0.5))))
    assert test is not None
    far = shifted(test, np.array([MEDIUM, 0.0]))
    assert far.residual > shifted(test, np.zeros(2)).residual


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_fit_of_blank_images_has_failed(tmp_path: Path) -> None:
    command = scan(tmp_path, np.ones((VIEWS, 16, 16), np.float32), directions(VIEWS, 0.5))
    small = ["--set", "fit.steps=2", "--set", "fit.field=voxels", "--set", "fit.refine.gain=true"]
    assert run(["fit", *command, "-o", str(tmp_path / "RUN"), *small]) == 5
    content = json.loads((tmp_path / "RUN" / "metrics.json").read_text())
    assert content["verdict"] == "failed"


def test_the_verdict_names_wrong_light_and_accuses_no_right_one(images: np.ndarray) -> None:
    named = []
    for axes in (("y", "x"), ("-y", "x")):
        na = correct_directions(directions(VIEWS, 0.5), LightCorrection(axes=axes))
        numbers = light_ranking_numbers(likelihood(parse_config(CONFIG), measured(images, na)))
        named.append([reason.name for reason in assess(numbers)])
    assert named == [[], ["light"]]


def test_a_specimen_below_its_medium_is_doubted_unless_that_is_said() -> None:
    assert [reason.name for reason in assess({"contrast_above": 0.02})] == ["below-medium"]
    assert assess({"contrast_above": 0.98}) == []
    numbers = {"contrast_above": 0.02, "light_ratio": 1.0}
    assert [len(assess(leave_out_known_side(numbers, sign))) for sign in ("auto", "any", "nonpositive")] == [1, 1, 0]
    assert assess(leave_out_known_side({"contrast_above": 0.02}, "any")) == []


def test_turn_shift_and_scale_of_all_sources_are_found(images: np.ndarray) -> None:
    """Of a known specimen, so that only the four unknowns of the light are sought."""
    true = LightCorrection(turn=np.deg2rad(2.0), scale=1.01, shift=(0.012, -0.018))
    inverse = rotated_back(directions(VIEWS, 0.5), true)
    problem = likelihood(parse_config(CONFIG + "fit: {refine: {sources: rigid}}\n"), measured(images, inverse))
    contrast = jnp.asarray((index(0.02) - MEDIUM)[None, 1::2, ::2, ::2], jnp.float32)
    batch = problem.batch(np.arange(VIEWS))
    loss = jax.jit(jax.value_and_grad(lambda motion: jnp.mean(problem.losses(contrast, {"array": motion}, batch))))
    motion = jnp.zeros(4)
    first, second = jnp.zeros(4), jnp.zeros(4)
    for step in range(1, 41):
        gradient = loss(motion)[1]
        first, second = 0.8 * first + 0.2 * gradient, 0.9 * second + 0.1 * gradient**2
        rate = 0.05 * (1 - step / 41)
        motion = motion - rate * (first / (1 - 0.8**step)) / (jnp.sqrt(second / (1 - 0.9**step)) + 1e-9)
    fitted = correction_numbers({"array": motion}, problem.microscope)
    assert fitted["light_turn"] == pytest.approx(2.0, abs=0.2)
    assert fitted["light_scale"] == pytest.approx(1.01, abs=0.003)
    assert fitted["light_shift_y"] == pytest.approx(0.012, abs=0.0018)
    assert fitted["light_shift_x"] == pytest.approx(-0.018, abs=0.0018)


def rotated_back(na: np.ndarray, correction: LightCorrection) -> np.ndarray:
    """Directions that a correction turns into the given ones."""
    back = LightCorrection(turn=-correction.turn, scale=1 / correction.scale)
    return correct_directions(na - np.array(correction.shift), back)


def test_a_focus_and_the_defocus_of_the_pupil_are_not_both_fitted() -> None:
    fitted = {"defocus": jnp.ones(()), "zernike": jnp.ones(2)}
    problem = likelihood(parse_config(CONFIG), measured(np.ones((6, 16, 16), np.float32), directions(6, 0.5)))
    numbers = correction_numbers(fitted, problem.microscope)
    assert (numbers["zernike_4"], numbers["zernike_5"]) == (0.0, 1.0)
