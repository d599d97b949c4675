"""Learning of the crystal's network from results: what it is taught and judged by, and that harm is taken back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from unflat.physics.diffraction.far_field import fftshift3, ifftshift3
from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.guess_density import InitialGuess, write_initial_guess
from unflat.recon.experiments.crystal.network import learn
from unflat.recon.experiments.crystal.network.denoiser import CrystalDenoiser, misfit
from unflat.recon.experiments.crystal.preprocess import PreprocessedScan, preprocess
from unflat.recon.experiments.crystal.read import read
from unflat.recon.experiments.crystal.schema import SCHEMA
from unflat.recon.experiments.learner import LearnedNetwork, MeasuredScan, Units
from unflat.recon.io import network_file
from unflat.recon.io.network_file import Network
from unflat.recon.io.write import write

SETTINGS = CrystalSettings.model_validate({"kind": "crystal", "device": "cpu"})


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> MeasuredScan:
    """A scan of a strained block whose result is its true density."""
    folder = tmp_path_factory.mktemp("learn")
    z, y, x = np.meshgrid(*[np.arange(32) - 16] * 3, indexing="ij")
    inside = (np.abs(z) <= 5) & (np.abs(y + 0.3 * x) <= 4) & (np.abs(x - 1) <= 4)
    density = inside * np.exp(0.4j * np.sin(0.5 * z + 0.3 * y))
    density *= np.sqrt(1e7 / (np.sum(np.abs(density) ** 2) * density.size))
    mean = np.abs(fftshift3(np.fft.fftn(ifftshift3(density)))) ** 2
    counts = np.random.default_rng(0).poisson(mean).astype(np.float32)
    write(Acquisition("crystal", {"images": counts}, "scan.h5"), SCHEMA, folder / "scan.h5")
    prepared = preprocess(SETTINGS, read(SETTINGS, folder / "scan.h5"))
    write_initial_guess(folder / "volume.h5", InitialGuess.from_density(density, np.zeros(3), 0.0), prepared)
    return MeasuredScan(folder / "scan.h5", folder)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """The shipped network, and short lessons: one that has learned nothing can hardly be harmed."""
    monkeypatch.setattr(learn, "STEPS", 2)
    monkeypatch.setattr(learn, "TRY_EVERY", 1)
    return network_file.read("shipped", "crystal")


def finish(units: Units) -> LearnedNetwork | None:
    """Work on a lesson to its end."""
    while True:
        try:
            next(units)
        except StopIteration as end:
            learned: LearnedNetwork | None = end.value
            return learned


def test_a_lesson_shows_the_density_of_the_result_and_hides_what_it_is_judged_by(
    scan: MeasuredScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = learn._example(SETTINGS, scan)
    assert not np.any((example.seen.weight > 0) & (example.withheld.weight > 0))
    hidden = float(jnp.mean(example.withheld.weight[0]))
    assert hidden == pytest.approx(learn.WITHHELD * (1 - SETTINGS.phase.free), rel=0.2)
    for pattern in (example.seen, example.withheld):
        assert float(jnp.max(misfit(example.densities, pattern))) < 0.02, "density and twin explain both"

    def replace_free_pixels(settings: CrystalSettings, acquisition: Any) -> PreprocessedScan:
        prepared = preprocess(settings, acquisition)
        free = prepared.data.free_pixels(settings.phase.free, settings.seed)
        assert free.any()
        return replace(prepared, counts=np.where(free, 1e4, prepared.counts))

    monkeypatch.setattr(learn, "preprocess", replace_free_pixels)
    other = learn._example(SETTINGS, scan)
    for one, same in zip((*example.seen, *example.withheld), (*other.seen, *other.withheld), strict=True):
        np.testing.assert_array_equal(one, same, "pixels that the result withholds have no influence")


@pytest.mark.slow
def test_a_lesson_that_helps_is_adopted_as_it_is_stored(
    scan: MeasuredScan, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "RATE", 5e-4)
    absent = replace(scan, path=scan.path.with_name("absent.h5"))
    learned = finish(learn.CrystalLearner(SETTINGS).lesson(network, {"gone": absent, "a": scan}))
    assert learned is not None
    assert (learned.scans, learned.steps) == (("a",), 2)
    assert learned.accepted_steps in (1, 2)
    assert learned.after < learned.before
    for name, array in learned.network.weights.items():
        np.testing.assert_array_equal(array, array.astype(np.float16).astype(np.float32), name)


@pytest.mark.slow
def test_a_lesson_that_harms_is_taken_back(
    scan: MeasuredScan, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "RATE", 0.05)
    learned = finish(learn.CrystalLearner(SETTINGS).lesson(network, {"a": scan}))
    assert learned is not None
    assert (learned.steps, learned.accepted_steps) == (2, 0)
    assert learned.network is network
    assert learned.before < learned.after


@pytest.mark.parametrize(("after", "count", "rate"), [(0.5, 10, 1.0), (1.0, 10, 1.0), (1.01, 0, 0.5), (np.nan, 0, 0.5)])
def test_steps_are_kept_if_what_is_hidden_is_explained_no_worse(after: float, count: int, rate: float) -> None:
    old, new = (CrystalDenoiser((8,), (0,), seed=seed) for seed in (0, 1))
    course = learn._Course(old, new, learn._ADAM.init(new), 1.0, 1.0)
    course.judge(after, 10)
    assert (course.accepted_steps, course.rate) == (count, rate)
    assert course.accepted is course.trial is (new if count else old)


def test_nothing_is_learned_from_what_cannot_be_read(network: Network, tmp_path: Path) -> None:
    scans = {"a": MeasuredScan(tmp_path / "a.h5", tmp_path)}
    assert finish(learn.CrystalLearner(SETTINGS).lesson(network, scans)) is None
