"""The whole procedure: recipes as YAML has them, a known crystal found, stagnation named, and going on as before."""

from typing import Any

import jax
import numpy as np
import pytest
from pydantic import ValidationError

from unflat.recon.errors import DataError, Stopped
from unflat.recon.phase_retrieval.align import align
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.pipeline import CLEARLY, phase
from unflat.recon.phase_retrieval.recipe import init_state_at, never_wrapped, stages_of
from unflat.recon.phase_retrieval.result import PhasingResult
from unflat.recon.phase_retrieval.settings import PhaseSettings
from unflat.recon.phase_retrieval.starts import StartOutcome, outcome_of
from unflat.recon.runs.checkpoint import Checkpoint

SHAPE = (28, 26, 24)
QUICK: dict[str, Any] = {
    "recipe": [{"hio": {"iterations": 150}}, {"er": {"iterations": 20}}],
    "starts": 4,
    "keep": 3,
    "refine": {"iterations": 60},
}


def crystal(total: float = 1e7) -> np.ndarray:
    """A cut block with a phase, centred."""
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in SHAPE], indexing="ij")
    inside = (np.abs(z) <= 4) & (np.abs(y + 0.4 * x) <= 4) & (np.abs(x) <= 3) & (z + y + x < 6)
    density = inside * np.exp(1j * (0.3 * np.sin(0.5 * z) + 0.05 * x * y))
    return np.asarray(density * np.sqrt(total / (np.sum(np.abs(density) ** 2) * density.size)))


def measured(gap: bool = False, seed: int = 0) -> DiffractionData:
    """Its counts; a gap is a detector's, where it counted nothing."""
    counts = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(crystal())))) ** 2
    counts = np.random.default_rng(seed).poisson(counts).astype(float)
    weights = np.ones(SHAPE, np.float32)
    if gap:
        weights[:, :, 15:17] = 0
        counts = counts * weights
    return DiffractionData(counts, weights)


@pytest.fixture(scope="module")
def found() -> PhasingResult:
    return phase(measured(), PhaseSettings.model_validate(QUICK), 0)


def test_a_known_crystal_is_found_again(found: PhasingResult) -> None:
    aligned = align(found.density, crystal().astype(np.complex64), ramp=False, scale=False)
    assert aligned.correlation > 0.98
    inside = np.abs(crystal()) > 0
    error = np.angle(aligned.density * np.conj(crystal()))[inside]
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert np.linalg.norm(aligned.density) == pytest.approx(np.linalg.norm(crystal()), rel=0.02)  # in counts
    assert found.numbers["llk"] < 1.5
    assert found.numbers["llk_free"] < 5  # an island is as large as a speckle here
    assert found.numbers["agreement"] > 0.97
    assert found.numbers["mode_weight"] > 0.95
    assert 2 <= found.numbers["fsc_resolution_voxels"] < 3


def test_the_result_explains_withheld_pixels_hardly_worse_than_what_it_is_made_of(found: PhasingResult) -> None:
    made_of = [row["llk_free_refined"] for row in found.solutions if row["kept"]]
    assert len(made_of) > 1
    assert found.numbers["llk_free"] <= min(made_of) / CLEARLY * (1 + 1e-6)


def test_what_is_handed_back_fits_together(found: PhasingResult) -> None:
    assert found.density.shape == SHAPE
    assert found.density.dtype == np.complex64
    assert not np.any(np.abs(found.density)[~found.support])
    middle = [
        np.average(np.arange(n), weights=(np.abs(found.density) ** 2).sum(axis=other))
        for n, other in zip(SHAPE, [(1, 2), (0, 2), (0, 1)], strict=True)
    ]
    np.testing.assert_allclose(middle, [n // 2 for n in SHAPE], atol=1.5)
    assert len(found.solutions) == 4
    assert sum(row["kept"] for row in found.solutions) == len(found.kept)
    assert {row["outcome"] for row in found.solutions} <= {outcome.name for outcome in StartOutcome}
    assert found.curves["prtf"].shape == found.curves["frequency"].shape
    assert found.free.mean() == pytest.approx(0.05, abs=0.01)


def test_the_density_gives_the_counts_in_the_convention_of_the_files(found: PhasingResult) -> None:
    """|FFT|² of what is centred, in float64, is what was measured: the sign and the centre are as written."""
    intensity = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(found.density.astype(complex))))) ** 2
    counts = measured().counts
    assert np.corrcoef(np.sqrt(intensity).ravel(), np.sqrt(counts).ravel())[0, 1] > 0.999
    assert intensity.sum() == pytest.approx(counts.sum(), rel=0.02)


def test_a_gap_in_the_detector_does_not_bias() -> None:
    found = phase(measured(gap=True), PhaseSettings.model_validate(QUICK | {"starts": 2}), 0)
    assert align(found.density, crystal().astype(np.complex64), ramp=False).correlation > 0.97
    dark = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(found.density)))) ** 2
    truth = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(crystal())))) ** 2
    bright = truth[:, :, 15:17] > 100
    assert np.median(dark[:, :, 15:17][bright] / truth[:, :, 15:17][bright]) == pytest.approx(1, abs=0.1)


def test_a_beam_that_fades_does_not_bias() -> None:
    """The counts stay as they were counted, and the model follows the monitor: counting statistics hold."""
    exposure = np.geomspace(3, 1, SHAPE[0])
    exposure /= exposure.mean()
    counts = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(crystal())))) ** 2
    counts = np.random.default_rng(0).poisson(counts * exposure[:, None, None]).astype(float)
    result = phase(DiffractionData(counts, np.ones(SHAPE), exposure), PhaseSettings.model_validate(QUICK), 0)
    aligned = align(result.density, crystal().astype(np.complex64), ramp=False, scale=False)
    assert aligned.correlation > 0.98
    assert np.linalg.norm(aligned.density) == pytest.approx(np.linalg.norm(crystal()), rel=0.02)
    assert 0.5 < result.numbers["llk"] < 1.5


class Interrupter:
    """Asks for an end at the n-th question, and keeps what is saved."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.saved: list[Checkpoint] = []

    def stop(self) -> str | None:
        self.left -= 1
        return "enough" if self.left < 0 else None

    def save(self, step: int, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        self.saved.append(Checkpoint(step, arrays, facts))


@pytest.mark.parametrize("after", [3, 9, 22, 30])
def test_a_run_that_goes_on_is_the_run_that_never_stopped(found: PhasingResult, after: int) -> None:
    settings, asked = PhaseSettings.model_validate(QUICK), Interrupter(after)
    with pytest.raises(Stopped, match="enough: stopped after"):
        phase(measured(), settings, 0, stop=asked.stop, save=asked.save)
    again = phase(measured(), settings, 0, state=asked.saved[-1])
    np.testing.assert_array_equal(again.density, found.density)
    assert again.numbers == found.numbers
    assert again.solutions == found.solutions


@pytest.mark.parametrize("before", [1, 2])
def test_a_run_goes_on_where_more_or_fewer_starts_are_computed_at_once(
    before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a GPU's checkpoint does on a CPU, and a CPU's on a GPU."""
    settings, asked = PhaseSettings.model_validate(QUICK | {"starts": 3, "keep": 1}), Interrupter(3)
    monkeypatch.setattr("unflat.recon.phase_retrieval.pipeline.group_size", lambda shape, starts: before)
    with pytest.raises(Stopped):
        phase(measured(), settings, 0, stop=asked.stop, save=asked.save)
    monkeypatch.setattr("unflat.recon.phase_retrieval.pipeline.group_size", lambda shape, starts: 3 - before)
    again = phase(measured(), settings, 0, state=asked.saved[-1])
    assert [row["number"] for row in again.solutions] == [0, 1, 2]
    assert align(again.density, crystal().astype(np.complex64), ramp=False).correlation > 0.98


def test_without_withheld_pixels_there_is_no_free_likelihood() -> None:
    told: list[dict[str, float]] = []
    quick = {"starts": 1, "keep": 1, "free": 0.0, "refine": {"iterations": 10}}
    found = phase(
        measured(),
        PhaseSettings.model_validate(QUICK | quick),
        0,
        progress=lambda step, total, **metrics: told.append(metrics),
    )
    assert "llk_free" not in found.numbers
    assert found.numbers["free_fraction"] == 0
    assert found.numbers["llk"] == pytest.approx(found.numbers["llk_all"])
    assert not any("llk_free" in metrics for metrics in told)


def test_iterations_that_were_not_done_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unflat.recon.phase_retrieval.pipeline.PATIENCE", 0)  # a refinement ends after its first block
    settings = PhaseSettings.model_validate(QUICK | {"starts": 1, "keep": 1})
    assert (
        phase(measured(), settings, 0).numbers["iterations"] == sum(leg.iterations for leg in stages_of(settings)) + 5
    )


@pytest.mark.parametrize(
    ("recipe", "twin_after"),
    [
        ([{"raar": {"iterations": 600, "support": None}}, {"er": {"iterations": 100}}], 175),
        ([{"raar": {"iterations": 600, "support": None}}], 150),
        ([{"hio": {"iterations": 300, "support": {"every": 200}}}, {"er": {"iterations": 25}}], 82),
        (None, 175),  # a leg of the default recipe ends soon after its quarter
    ],
)
def test_half_a_support_breaks_the_symmetry_at_a_quarter(recipe: list[Any] | None, twin_after: int) -> None:
    settings = PhaseSettings.model_validate({} if recipe is None else {"recipe": recipe})
    legs = stages_of(settings)
    at = [leg.twin for leg in legs].index(True)
    assert sum(leg.iterations for leg in legs[:at]) == twin_after
    assert sum(leg.twin for leg in legs) == 1
    total = sum(step.step.iterations for step in settings.recipe)
    assert sum(leg.iterations for leg in legs if not leg.twin) == total
    without = stages_of(settings.model_copy(update={"twin": False}))
    assert [leg.wrap for leg in legs if leg.wrap] == [leg.wrap for leg in without if leg.wrap]


def test_a_support_that_is_never_updated_is_told() -> None:
    recipe = [{"hio": {"iterations": 20}}, {"er": {"iterations": 30}}, {"er": {"iterations": 5, "support": None}}]
    said = never_wrapped(PhaseSettings.model_validate({"recipe": recipe}))
    assert said == [
        "step 1 of the recipe (hio) does not update the support: its 20 iterations are fewer than support.every, 25"
    ]
    assert not never_wrapped(PhaseSettings())


def test_progress_comes_to_its_end() -> None:
    told: list[tuple[int, int]] = []
    phase(
        measured(),
        PhaseSettings.model_validate(QUICK | {"starts": 1, "keep": 1}),
        0,
        progress=lambda step, total, **metrics: told.append((step, total)),
    )
    assert [step for step, _ in told] == sorted(step for step, _ in told)
    assert told[-1][0] == told[-1][1]


def test_stagnated_and_collapsed_starts_are_named() -> None:
    def ended(llk: float, free: float, filled: float = 0.05) -> StartOutcome:
        return outcome_of({"llk": llk, "llk_free": free, "support": filled}, 2.0, 3.0, 1000)

    assert ended(2.1, 3.2) is StartOutcome.CONVERGED
    assert ended(7.0, 9.0) is StartOutcome.STAGNATED
    assert ended(2.1, 9.0) is StartOutcome.CONVERGED  # a few bright islands alone do not tell
    assert ended(2.0, 3.0, 0.7) is StartOutcome.COLLAPSED
    assert ended(2.0, 3.0, 0.001) is StartOutcome.COLLAPSED
    assert ended(float("nan"), float("nan")) is StartOutcome.COLLAPSED
    assert all(str(outcome.value).endswith(".") for outcome in StartOutcome)


def test_a_start_that_stagnates_is_not_combined() -> None:
    """Near the crystal as it is, it would pass for the same object: by its likelihood alone it is left out."""
    rng = np.random.default_rng(0)
    spoiled = crystal() * np.exp(0.5j * rng.normal(size=SHAPE))
    assert align(spoiled, crystal(), ramp=False).correlation > 0.85
    barely = {"recipe": [{"er": {"iterations": 1}}], "refine": {"iterations": 0}, "starts": 2, "keep": 2, "twin": False}
    given = np.stack([crystal(), spoiled]).astype(np.complex64)
    found = phase(measured(), PhaseSettings.model_validate(QUICK | barely), 0, given=given)
    assert [row["outcome"] for row in found.solutions] == ["CONVERGED", "STAGNATED"]
    assert [row["kept"] for row in found.solutions] == [True, False]
    assert len(found.kept) == found.numbers["stagnated"] == 1


@pytest.mark.parametrize(
    ("counts", "weights", "message"),
    [
        (np.zeros((4, 4, 4)), np.ones((4, 4, 4)), "no counts"),
        (np.full((4, 4, 4), -1.0), np.ones((4, 4, 4)), "not negative"),
        (np.ones((4, 4, 4)), np.zeros((4, 4, 4)), "no counts"),
        (np.ones((4, 4, 4)), np.ones((4, 4, 5)), "one shape"),
    ],
)
def test_what_cannot_be_phased_is_refused(counts: np.ndarray, weights: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        DiffractionData(counts, weights)


def test_what_bad_pixels_hold_is_ignored() -> None:
    counts = np.ones((4, 4, 4))
    counts[0, 0, 0] = np.nan
    weights = np.ones((4, 4, 4))
    weights[0, 0, 0] = 0
    DiffractionData(counts, weights)


def test_a_recipe_comes_back_from_its_own_dump() -> None:
    settings = PhaseSettings()
    dumped = settings.model_dump(mode="json")
    assert all(len(step) == 1 for step in dumped["recipe"])
    assert PhaseSettings.model_validate(dumped) == settings


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ([], "at least 1"),
        ([{}], "one method, not none"),
        ([{"er": {"iterations": 1}, "hio": {"iterations": 1}}], "not er and hio"),
        ([{"hoi": {"iterations": 1}}], "hoi"),
        ([{"er": {"iterations": 0}}], "greater than or equal to 1"),
        ([{"er": {"iterations": 5, "support": {"sigma": [0, 1]}}}], "must be positive"),
    ],
)
def test_a_wrong_recipe_is_refused(recipe: list[Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PhaseSettings.model_validate({"recipe": recipe})


def test_the_first_support_of_a_given_density_is_the_object_s_however_empty_the_array() -> None:
    inside = np.zeros((32, 32, 32), bool)
    inside[13:19, 12:20, 14:19] = True
    rng = np.random.default_rng(0)
    faint = 0.02 * (rng.normal(size=inside.shape) + 1j * rng.normal(size=inside.shape))  # as of resampling
    begun = init_state_at((inside + faint).astype(np.complex64), jax.random.key(0), 0.2)
    support = np.asarray(begun.support) > 0
    assert support[inside].mean() > 0.9
    assert support.sum() < 2.5 * inside.sum()  # a rim of about a voxel


def test_a_crystal_is_found_from_coarse_to_fine() -> None:
    truth = crystal()
    steps = [{"hio": {"iterations": 120, "band": 0.6}}, {"hio": {"iterations": 60}}, {"er": {"iterations": 20}}]
    recipe = {"recipe": steps, "starts": 2, "keep": 1, "refine": {"iterations": 20}}
    legs = stages_of(PhaseSettings.model_validate(recipe))
    assert {leg.band for leg in legs[:3]} == {0.6}
    assert legs[-1].band == 1
    found = phase(measured(), PhaseSettings.model_validate(recipe), 0)
    assert found.density.shape == truth.shape
    assert align(found.density, truth.astype(np.complex64)).correlation > 0.95


def test_a_recipe_that_ends_coarse_is_refused() -> None:
    with pytest.raises(ValidationError, match="must look at the whole array"):
        PhaseSettings.model_validate({"recipe": [{"er": {"iterations": 5, "band": 0.5}}]})
