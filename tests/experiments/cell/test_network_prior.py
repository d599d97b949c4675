"""Prior of a network on what the light did not see: its test by hidden views, its use by a fit, and predictions."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import h5py
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.physics.optics.microscope import Illumination
from unflat.physics.optics.patterns import ring, spiral
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError, DeviceError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell import choices, estimate, hidden_views
from unflat.recon.experiments.cell.hidden_views import choose_hidden_views
from unflat.recon.experiments.cell.likelihood import CellLikelihood, likelihood
from unflat.recon.experiments.cell.linear_checks import require_linear_theory
from unflat.recon.experiments.cell.network.completion import Completion
from unflat.recon.experiments.cell.network.trusted_completion import mix_with_fit
from unflat.recon.experiments.cell.network_prior import NetworkPrior, Trust
from unflat.recon.experiments.cell.network_remarks import remarks
from unflat.recon.experiments.cell.prior_choice import PriorChoice
from unflat.recon.experiments.cell.summary import completion_text
from unflat.recon.experiments.cell.unseen import unseen_part, unseen_share
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.run import RunOptions, run_method
from unflat.recon.io.model_file import read_model
from unflat.recon.io.write import write
from unflat.recon.optimize import steps
from unflat.recon.runs.context import RunContext

from ...commands import run_here

CONFIG = """
kind: cell
device: cpu
physics: {absorption: false}
fit: {steps: 50, batch: 6, field: voxels, sign: any, withheld: 0.1, prior: shipped}
predict: {draws: 2}
simulate:
  shape: [24, 24]
  depth: 4 um
  radius: 1.6 um
  photons: 20000
  illumination: {count: 14, na: 0.58}
"""


class FixedCompletion:
    """Network that always answers the same."""

    steps = 1
    coverage = 0.85

    def __init__(self, contrast: np.ndarray) -> None:
        self.contrast = contrast.astype(np.float32)

    def mean(self, contrast: np.ndarray, *known: Any, is_fit: bool) -> np.ndarray:
        assert contrast.shape == self.contrast.shape
        return self.contrast

    def draws(
        self, contrast: np.ndarray, spacing: Any, aperture: Any, count: int, *rest: Any, is_fit: bool
    ) -> np.ndarray:
        spread = np.linspace(-0.1, 0.1, count, dtype=np.float32).reshape(-1, 1, 1, 1)
        return self.contrast * (1 + spread)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a small simulated acquisition and its config."""
    folder = tmp_path_factory.mktemp("prior")
    (folder / "run.yaml").write_text(CONFIG)
    kind = get_experiment("cell")
    write(kind.simulate(parse_config(CONFIG)), kind.schema, folder / "scan.h5")
    return folder


@pytest.fixture(scope="module")
def measured(scan: Path) -> CellLikelihood:
    config = parse_config(CONFIG)
    return likelihood(config, get_experiment("cell").read(config, scan / "scan.h5"))


@pytest.fixture(scope="module")
def truth(measured: CellLikelihood) -> np.ndarray:
    """True contrast on the fit's grid."""
    assert measured.acquisition.truth is not None
    sampled = measured.acquisition.truth.sample(*measured.geometry.lattice.axes, quantity="refractive_index")
    return np.asarray(sampled - measured.microscope.medium_index)


def light(na: np.ndarray) -> Illumination:
    return Illumination.from_directions(np.asarray(na))


def test_views_of_the_steepest_light_are_hidden_and_half_of_a_ring() -> None:
    views = np.arange(18)
    disc = choose_hidden_views(light(spiral(18, 0.5)), views)
    assert disc.hidden.tolist() == list(range(12, 18))
    assert disc.remaining.tolist() == list(range(12))
    circle = choose_hidden_views(light(ring(18, 0.5)), views)
    azimuth = np.arctan2(*ring(18, 0.5)[circle.hidden].T)
    assert len(circle.hidden) == 9
    assert np.ptp(np.unwrap(azimuth)) < np.pi


@pytest.mark.parametrize("na", [np.zeros((18, 2)), ring(18, 0.01), ring(4, 0.5)])
def test_no_views_are_hidden_where_the_others_see_as_much_or_are_too_few(na: np.ndarray) -> None:
    chosen = choose_hidden_views(light(na), np.arange(len(na)))
    assert not len(chosen.hidden)
    assert chosen.text


def test_hidden_views_trust_the_truth_and_neither_another_specimen_nor_an_empty_one(
    measured: CellLikelihood, truth: np.ndarray
) -> None:
    chosen = choose_hidden_views(measured.illumination, np.arange(measured.views))
    share = unseen_share(measured, chosen.remaining)
    seen = truth - unseen_part(truth, share)
    trusts = [
        NetworkPrior(measured, FixedCompletion(answer)).test(seen[None], {}, chosen.remaining, chosen.hidden)
        for answer in (truth, np.roll(truth, 10, axis=2), -truth)
    ]
    assert trusts[0].share >= 0.75
    assert trusts[0].ratio < 0.8
    assert [trust.share for trust in trusts[1:]] == [0, 0]
    assert [trust.is_contradicted for trust in trusts] == [False, True, True]
    assert min(trust.ratio for trust in trusts[1:]) > 1


def mixture(measured: CellLikelihood, fit: np.ndarray, completed: np.ndarray, trust: Trust) -> Any:
    """Mix a fit with a completion that two draws deviate from by a tenth."""
    draws = completed * np.array([0.9, 1.1], np.float32).reshape(2, 1, 1, 1)
    prior = NetworkPrior(measured, FixedCompletion(completed))
    return mix_with_fit(prior, fit, completed, draws, trust, measured.split().fitted)


def test_a_prediction_is_the_begun_fit_with_the_trusted_share_of_what_the_light_did_not_see(
    measured: CellLikelihood, truth: np.ndarray
) -> None:
    unseen = unseen_share(measured, measured.split().fitted)
    fit = truth - unseen_part(truth, unseen)
    addition = unseen_part(truth - fit, unseen)
    for trust, share in (
        (Trust(0.0, 1.1, is_sure=False, is_contradicted=True), 0),
        (Trust(0.25, 0.9, is_sure=False), 1),
    ):
        mixed, about, numbers = mixture(measured, fit, truth, trust)
        assert numbers["prior_trust"] == share  # The withheld views see no harm in the whole of the truth.
        np.testing.assert_allclose(mixed, fit + share * addition, atol=1e-6)
        np.testing.assert_allclose(about.mean(axis=0), mixed, atol=1e-6)
        np.testing.assert_allclose((about[0] - about[1]) / 2, (1 - share) * addition - 0.1 * truth, atol=1e-6)


def test_a_completion_that_the_withheld_views_contradict_leaves_the_begun_fit(
    measured: CellLikelihood, truth: np.ndarray
) -> None:
    wrong = truth - 2 * unseen_part(truth, unseen_share(measured, measured.split().fitted))
    mixed, _, numbers = mixture(measured, truth, wrong, Trust(0.5, 0.99, is_sure=False))
    np.testing.assert_array_equal(mixed, truth)
    assert numbers["prior_trust"] == 0
    assert numbers["prior_withheld_ratio"] > 1
    text = completion_text(numbers | {"draws": 2.0, "prior_views_hidden": 4.0, "prior_hidden_ratio": 0.99})
    assert "the answer is the begun fit" in text


class DenserCompletion(FixedCompletion):
    """Network that takes every specimen for a denser one."""

    def mean(self, contrast: np.ndarray, *known: Any, is_fit: bool) -> np.ndarray:
        return self.contrast * np.abs(contrast)


def test_a_specimen_that_is_less_dense_is_completed_as_its_opposite(measured: CellLikelihood) -> None:
    bright = measured.split().fitted
    answer = NetworkPrior(measured, FixedCompletion(np.zeros(1))).linear_answer(bright)
    below = NetworkPrior(measured.with_choices(sign="nonpositive"), DenserCompletion(np.ones(1)))
    np.testing.assert_array_equal(below.complete(answer, bright, is_fit=False), -np.abs(answer))
    with_open_sign = (NetworkPrior(measured, DenserCompletion(np.full(1, factor))) for factor in (1, -1))
    assert [prior.orient(answer, bright).is_below for prior in with_open_sign] == [False, True]
    by_fit = (NetworkPrior(measured, DenserCompletion(np.ones(1))).orient_by_fit(sign * answer**2) for sign in (1, -1))
    assert [prior.is_below for prior in by_fit] == [False, True]


def test_the_fit_of_the_remaining_views_does_not_begin_with_what_the_hidden_ones_told(
    measured: CellLikelihood, truth: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hidden_views, "FEWEST_STEPS", 50)

    class Begun(Exception):  # noqa: N818 - it is no error
        pass

    def begin(name: str, blind: CellLikelihood) -> Any:
        raise Begun(name, blind.first_values, len(blind.split().withheld))

    answered: Any = replace(measured, first_values=truth[None].astype(np.float32))
    context = Mock(spec=RunContext)
    with pytest.raises(Begun) as raised:
        PriorChoice(answered, context, FixedCompletion(truth), begin).make(None)
    assert raised.value.args == ("hidden-views", None, 4)


def test_a_field_too_large_for_the_begun_fit_of_a_prediction_is_refused_and_told(
    measured: CellLikelihood, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "device_memory", lambda device: 1000)
    with pytest.raises(DeviceError, match=r"predict\.start"):
        estimate.require_one_piece(measured.settings, measured.acquisition)
    linear = parse_config(CONFIG, ["predict.start=linear"])
    warnings = [remarks("predict", each, measured.acquisition)[1] for each in (measured.settings, linear)]
    assert "one piece" in warnings[0][0]
    assert not warnings[1]


@pytest.fixture
def fits(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Function that fits with a network that answers a given contrast, and returns the run's folder."""
    for module, name, value in ((choices, "FEWEST_STEPS", 50), (hidden_views, "FEWEST_STEPS", 50)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(steps, "LEAST_TRIAL", 25)

    def fit(name: str, answer: np.ndarray | None, *, resume: bool = False) -> Path:
        config = CONFIG if answer is not None else CONFIG.replace("prior: shipped", "prior: none")
        if answer is not None:
            monkeypatch.setattr(Completion, "load", lambda setting: FixedCompletion(answer))
        options = RunOptions(tmp_path / name, resume=resume, report=False)
        run_method("fit", parse_config(config), scan / "scan.h5", options)
        return tmp_path / name

    return fit


def contrast_of(folder: Path, like: CellLikelihood) -> np.ndarray:
    model = read_model(folder / "model.h5")
    return np.asarray(model.sample(*like.geometry.lattice.axes) - like.microscope.medium_index)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def numbers(folder: Path) -> dict[str, float]:
    loaded: dict[str, float] = json.loads((folder / "metrics.json").read_text())
    return loaded


@pytest.mark.slow
def test_the_right_prior_fills_the_unseen_band_and_a_wrong_one_changes_nothing(
    fits: Any, measured: CellLikelihood, truth: np.ndarray
) -> None:
    without = fits("without", None)
    oracle, wrong = fits("oracle", truth), fits("wrong", np.roll(truth, 10, axis=2))
    assert numbers(oracle)["prior_trust"] >= 0.75
    assert numbers(oracle)["prior_views_hidden"] == 4
    share = unseen_share(measured, measured.split().fitted)
    errors = {}
    for name, folder in (("without", without), ("oracle", oracle)):
        difference = contrast_of(folder, measured) - truth
        unseen = unseen_part(difference, share)
        errors[name] = (np.linalg.norm(unseen), np.linalg.norm(difference - unseen))
    assert errors["oracle"][0] < 0.5 * errors["without"][0]
    assert errors["oracle"][1] < 1.05 * errors["without"][1]
    assert numbers(oracle)["residual_withheld"] < 1.02 * numbers(without)["residual_withheld"]
    assert numbers(wrong)["prior_trust"] == 0
    assert numbers(wrong)["prior_hidden_ratio"] > 1
    assert losses(wrong) == losses(without)
    assert "fit.prior: not used" in (wrong / "run.log").read_text()

    (oracle / "DONE").unlink()
    for state in (oracle / "checkpoint").glob("*-*"):  # As if it had been stopped right after the choice.
        state.unlink()
    before = losses(oracle)
    fits("oracle", -truth, resume=True)
    assert losses(oracle) == before


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_a_prediction_is_a_model_of_the_mean_with_its_draws_and_their_spread(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: CellLikelihood, truth: np.ndarray
) -> None:
    monkeypatch.setattr(Completion, "load", lambda setting: FixedCompletion(truth))
    words = [str(scan / "run.yaml"), str(scan / "scan.h5"), "-o", str(tmp_path / "RUN")]
    assert run(["predict", *words]) == 0
    model = read_model(tmp_path / "RUN" / "model.h5")
    assert model.draws == 2
    np.testing.assert_allclose(contrast_of(tmp_path / "RUN", measured), truth, atol=1e-6)
    with h5py.File(tmp_path / "RUN" / "volume.h5") as file:
        spread = file["volume/uncertainty_refractive_index"][()]
    np.testing.assert_allclose(spread, 0.2 / np.sqrt(2) * np.abs(truth), atol=1e-5)
    assert numbers(tmp_path / "RUN")["residual_withheld"] < numbers(tmp_path / "RUN")["residual_draws"]
    assert "in 85% of the voxels in doubt" in (tmp_path / "RUN" / "report.html").read_text()
    linear = numbers(tmp_path / "RUN")["residual_withheld_linear"]

    assert run(["predict", *words, "--refine", "--force", "--set", "fit.prior=none", "--set", "fit.steps=25"]) == 0
    refined = read_model(tmp_path / "RUN" / "model.h5")
    assert refined.draws == 2
    assert refined.consensus is not None
    assert numbers(tmp_path / "RUN")["residual_withheld_linear"] == linear
    assert "residual_draws" not in numbers(tmp_path / "RUN")  # Those before the refinement.
    error = np.linalg.norm(contrast_of(tmp_path / "RUN", measured) - truth)
    assert error < 0.5 * np.linalg.norm(truth)


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_a_prediction_is_judged_under_the_instrument_that_its_begun_fit_found(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truth: np.ndarray
) -> None:
    monkeypatch.setattr(Completion, "load", lambda setting: FixedCompletion(truth))
    turned = tmp_path / "scan.h5"
    shutil.copy(scan / "scan.h5", turned)
    with h5py.File(turned, "a") as file:
        file["instrument/illumination_na"][...] += (0.0, 0.02)
    config = parse_config(CONFIG, ["fit.refine.sources=rigid"])
    run_method("predict", config, turned, RunOptions(tmp_path / "RUN", report=False))
    assert -0.03 < numbers(tmp_path / "RUN")["light_shift_x"] < -0.003  # On the way to -0.02, after few steps.


def test_measurements_that_linear_theory_does_not_know_are_refused(measured: CellLikelihood) -> None:
    steep = measured.acquisition.arrays | {"illumination_na": np.full((measured.views, 2), 0.6)}
    dark = replace(measured.acquisition, arrays=steep)
    for other in (dark, *(Acquisition("cell", {name: np.ones((1, 3, 3))}) for name in ("field", "rotation"))):
        for place in ("fit.prior", "unflat predict"):
            with pytest.raises(ConfigError, match=place):
                require_linear_theory(other, place)


def test_check_tells_what_is_used_and_what_cannot_be_tested(measured: CellLikelihood) -> None:
    notes, warnings = remarks("fit", measured.settings, measured.acquisition)
    assert not notes
    assert "fewer than 100" in warnings[0]  # Steps of the fit.
    settings = parse_config(CONFIG, ["fit.steps=100"])
    notes, warnings = remarks("fit", settings, measured.acquisition)
    assert "steepest light" in notes[0]
    assert not warnings
    arrays = {**measured.acquisition.arrays, "illumination_na": np.zeros((measured.views, 2))}
    notes, warnings = remarks("fit", settings, replace(measured.acquisition, arrays=arrays))
    assert not notes
    assert "cannot be tested" in warnings[0]


@pytest.mark.parametrize("broken", ["kind", "damaged", "absent"])
def test_a_wrong_network_is_named_with_status_3(scan: Path, tmp_path: Path, broken: str) -> None:
    networks = Path(choices.__file__).parents[2] / "networks" / "shipped"
    path = networks / "crystal.h5"
    if broken == "damaged":
        content = (networks / "cell.h5").read_bytes()
        path = tmp_path / "network.h5"
        path.write_bytes(content[: len(content) // 2])
    elif broken == "absent":
        path = tmp_path / "none.h5"
    setting = ("--set", f"fit.prior={path}")
    done = run_here("fit", scan / "run.yaml", scan / "scan.h5", "-o", tmp_path / "RUN", *setting)
    assert done.returncode == 3, done.stderr
    assert path.name in done.stderr
    assert "Traceback" not in done.stderr
