"""The phasing pipeline: recipes of the config, a known crystal, stagnated starts, and resumption from checkpoints."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError

from unflat.recon.errors import DataError, Stopped
from unflat.recon.phase_retrieval.align import align
from unflat.recon.phase_retrieval.checkpoint import from_checkpoint, to_checkpoint
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.pipeline import InitialStarts, phase
from unflat.recon.phase_retrieval.recipe import init_state_from_density
from unflat.recon.phase_retrieval.refinement import RefinementState, RefinementUnderWay
from unflat.recon.phase_retrieval.result import PhasingResult
from unflat.recon.phase_retrieval.settings import PhaseSettings
from unflat.recon.phase_retrieval.solutions import CLEARLY
from unflat.recon.phase_retrieval.stages import build_stages, support_update_warnings
from unflat.recon.phase_retrieval.starts import StartOutcome, classify_start
from unflat.recon.runs.checkpoint import Checkpoint

SHAPE = (28, 26, 24)
QUICK: dict[str, Any] = {
    "recipe": [{"hio": {"iterations": 150}}, {"er": {"iterations": 20}}],
    "starts": 4,
    "keep": 3,
    "refine": {"iterations": 60, "margin": 0},
}

STARTS = 10


def crystal(total: float = 1e7) -> np.ndarray:
    """Density of a cut block with a phase, centred."""
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in SHAPE], indexing="ij")
    inside = (np.abs(z) <= 4) & (np.abs(y + 0.4 * x) <= 4) & (np.abs(x) <= 3) & (z + y + x < 6)
    density = inside * np.exp(1j * (0.3 * np.sin(0.5 * z) + 0.05 * x * y))
    return np.asarray(density * np.sqrt(total / (np.sum(np.abs(density) ** 2) * density.size)))


def measured(gap: bool = False, seed: int = 0) -> DiffractionData:
    """Noisy counts of the crystal, with a detector gap or without."""
    counts = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(crystal())))) ** 2
    counts = np.random.default_rng(seed).poisson(counts).astype(float)
    weights = np.ones(SHAPE, np.float32)
    if gap:
        weights[:, :, 15:17] = 0
        counts = counts * weights
    return DiffractionData(counts, weights)


@pytest.fixture(scope="module")
def result() -> PhasingResult:
    """Result of so many short starts that two or more come to the crystal, whatever the order of sums on a machine."""
    return phase(measured(), PhaseSettings.model_validate(QUICK | {"starts": STARTS}), 0)


@pytest.fixture(scope="module")
def quick_result() -> PhasingResult:
    return phase(measured(), PhaseSettings.model_validate(QUICK), 0)


def test_a_known_crystal_is_recovered(result: PhasingResult) -> None:
    aligned = align(result.density, crystal().astype(np.complex64), ramp=False, scale=False)
    assert aligned.correlation > 0.98
    inside = np.abs(crystal()) > 0
    error = np.angle(aligned.density * np.conj(crystal()))[inside]
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert np.linalg.norm(aligned.density) == pytest.approx(np.linalg.norm(crystal()), rel=0.02)  # in counts
    assert result.numbers["llk"] < 1.5
    assert result.numbers["llk_free"] < 5  # an island is as large as a speckle here
    assert result.numbers["agreement"] > 0.97
    assert result.numbers["mode_weight"] > 0.95
    assert 2 <= result.numbers["fsc_resolution_voxels"] < 3


def test_the_result_explains_withheld_pixels_about_as_well_as_the_starts_it_combines(result: PhasingResult) -> None:
    made_of = [row["llk_free_refined"] for row in result.solutions if row["kept"]]
    assert len(made_of) > 1
    assert result.numbers["llk_free"] <= min(made_of) / CLEARLY * (1 + 1e-6)


def test_the_parts_of_the_result_fit_together(result: PhasingResult) -> None:
    assert result.density.shape == SHAPE
    assert result.density.dtype == np.complex64
    assert not np.any(np.abs(result.density)[~result.support])
    middle = [
        np.average(np.arange(n), weights=(np.abs(result.density) ** 2).sum(axis=other))
        for n, other in zip(SHAPE, [(1, 2), (0, 2), (0, 1)], strict=True)
    ]
    np.testing.assert_allclose(middle, [n // 2 for n in SHAPE], atol=1.5)
    assert len(result.solutions) == STARTS
    assert sum(row["kept"] for row in result.solutions) == len(result.ensemble)
    assert {row["outcome"] for row in result.solutions} <= {outcome.name for outcome in StartOutcome}
    assert result.curves["prtf"].shape == result.curves["frequency"].shape
    assert result.free.mean() == pytest.approx(0.05, abs=0.01)


def test_the_density_gives_the_counts_in_the_convention_of_the_files(result: PhasingResult) -> None:
    """|FFT|² of the centred density, in float64, gives the counts: sign and centre are those of the files."""
    intensity = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(result.density.astype(complex))))) ** 2
    counts = measured().counts
    assert np.corrcoef(np.sqrt(intensity).ravel(), np.sqrt(counts).ravel())[0, 1] > 0.999
    assert intensity.sum() == pytest.approx(counts.sum(), rel=0.02)


def test_a_gap_in_the_detector_does_not_bias() -> None:
    result = phase(measured(gap=True), PhaseSettings.model_validate(QUICK | {"starts": STARTS}), 0)
    assert align(result.density, crystal().astype(np.complex64), ramp=False).correlation > 0.97
    dark = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(result.density)))) ** 2
    truth = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(crystal())))) ** 2
    bright = truth[:, :, 15:17] > 100
    assert np.median(dark[:, :, 15:17][bright] / truth[:, :, 15:17][bright]) == pytest.approx(1, abs=0.1)


def test_a_beam_that_fades_does_not_bias() -> None:
    """Counts are not rescaled: the model follows the monitor, so that counting statistics hold."""
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
    """Stop request at the n-th question, and the checkpoints that are saved."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.saved: list[Checkpoint] = []

    def should_stop(self) -> str | None:
        self.left -= 1
        return "enough" if self.left < 0 else None

    def save_checkpoint(self, step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        self.saved.append(Checkpoint(step, arrays, metadata))


@pytest.mark.parametrize("after", [3, 9, 22, 30])
def test_a_resumed_run_gives_the_numbers_of_an_uninterrupted_run(quick_result: PhasingResult, after: int) -> None:
    settings, interrupter = PhaseSettings.model_validate(QUICK), Interrupter(after)
    with pytest.raises(Stopped, match="enough: stopped after"):
        phase(measured(), settings, 0, should_stop=interrupter.should_stop, save_checkpoint=interrupter.save_checkpoint)
    again = phase(measured(), settings, 0, checkpoint=interrupter.saved[-1])
    np.testing.assert_array_equal(again.density, quick_result.density)
    assert again.numbers == quick_result.numbers
    assert again.solutions == quick_result.solutions


class ShortSession:
    """Callbacks of a session that is stopped after its first progress."""

    def __init__(self, checkpoint: Checkpoint | None) -> None:
        self.checkpoint = checkpoint
        self.first = self.last = checkpoint.metadata["done"] if checkpoint else 0

    def progress(self, step: int, total: int, **_: float) -> None:
        self.last = step

    def should_stop(self) -> str | None:
        return "limit" if self.last > self.first else None

    def save_checkpoint(self, *state: Any) -> None:
        self.checkpoint = Checkpoint(*state)

    def run(self, settings: PhaseSettings) -> PhasingResult:
        return phase(measured(), settings, 0, self.progress, self.should_stop, self.checkpoint, self.save_checkpoint)


def test_sessions_too_short_for_one_refinement_end_some_day_with_the_same_numbers() -> None:
    """Each goes on from the iterations that the one before has named."""
    settings = PhaseSettings.model_validate(
        QUICK | {"starts": 2, "keep": 2, "refine": {"iterations": 15, "margin": 0.2}}
    )
    whole = phase(measured(), settings, 0)
    session, messages, again = ShortSession(None), list[str](), None
    while again is None and len(messages) < 60:
        try:
            again = session.run(settings)
        except Stopped as error:
            messages.append(str(error))
            session = ShortSession(session.checkpoint)
            messages[-1:] = [messages[-1].partition(f"stopped after {session.first} iterations")[2]]
    assert again is not None
    assert all(messages)
    np.testing.assert_array_equal(again.density, whole.density)
    assert again.numbers == whole.numbers


@pytest.mark.parametrize("before", [1, 2])
def test_a_run_resumes_with_another_number_of_starts_at_once(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of a GPU resumes on a CPU, and the other way round."""
    settings, interrupter = PhaseSettings.model_validate(QUICK | {"starts": 3, "keep": 1}), Interrupter(3)
    monkeypatch.setattr("unflat.recon.phase_retrieval.start_groups.group_size", lambda shape, starts: before)
    with pytest.raises(Stopped):
        phase(measured(), settings, 0, should_stop=interrupter.should_stop, save_checkpoint=interrupter.save_checkpoint)
    monkeypatch.setattr("unflat.recon.phase_retrieval.start_groups.group_size", lambda shape, starts: 3 - before)
    again = phase(measured(), settings, 0, checkpoint=interrupter.saved[-1])
    assert [row["number"] for row in again.solutions] == [0, 1, 2]
    assert align(again.density, crystal().astype(np.complex64), ramp=False).correlation > 0.98


def test_the_first_starts_may_have_other_densities_and_another_recipe() -> None:
    """Drawn once, only when needed; a resumed run gives the same numbers and draws no more than it needs."""
    calls: list[int] = []

    def compute() -> np.ndarray:
        calls.append(1)
        return crystal()[None].astype(np.complex64)

    short = PhaseSettings.model_validate({"recipe": [{"er": {"iterations": 10}}]}).recipe
    initial = InitialStarts(1, compute, short)
    settings = PhaseSettings.model_validate(QUICK | {"starts": 2, "keep": 2, "refine": {"iterations": 10, "margin": 0}})
    totals: list[tuple[int, int]] = []
    result = phase(measured(), settings, 0, lambda step, total, **_: totals.append((step, total)), initial=initial)
    own = sum(stage.iterations for stage in build_stages(settings))
    assert totals[-1][1] == 10 + own + 3 * 10
    assert [row["number"] for row in result.solutions] == [0, 1]
    assert result.solutions[0]["llk"] < 1.5
    assert result.solutions[0]["kept"]
    assert len(calls) == 1
    for stop, draws in ((1, 1), (4, 0)):
        calls.clear()
        interrupter = Interrupter(stop)
        with pytest.raises(Stopped):
            phase(
                measured(),
                settings,
                0,
                should_stop=interrupter.should_stop,
                save_checkpoint=interrupter.save_checkpoint,
                initial=initial,
            )
        calls.clear()
        again = phase(measured(), settings, 0, checkpoint=interrupter.saved[-1], initial=initial)
        assert len(calls) <= draws
        np.testing.assert_array_equal(again.density, result.density)


def test_without_withheld_pixels_there_is_no_free_likelihood() -> None:
    reported: list[dict[str, float]] = []
    quick = {"starts": 1, "keep": 1, "free": 0.0, "refine": {"iterations": 10, "margin": 0}}
    result = phase(
        measured(),
        PhaseSettings.model_validate(QUICK | quick),
        0,
        progress=lambda step, total, **metrics: reported.append(metrics),
    )
    assert "llk_free" not in result.numbers
    assert result.numbers["free_fraction"] == 0
    assert result.numbers["llk"] == pytest.approx(result.numbers["llk_all"])
    assert not any("llk_free" in metrics for metrics in reported)


def test_iterations_that_were_not_done_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unflat.recon.phase_retrieval.pipeline.PATIENCE", 0)  # a refinement ends after its first block
    settings = PhaseSettings.model_validate(QUICK | {"starts": 1, "keep": 1})
    assert (
        phase(measured(), settings, 0).numbers["iterations"]
        == sum(stage.iterations for stage in build_stages(settings)) + 5
    )


@pytest.mark.parametrize(
    ("recipe", "twin_after"),
    [
        ([{"raar": {"iterations": 600, "support": None}}, {"er": {"iterations": 100}}], 175),
        ([{"raar": {"iterations": 600, "support": None}}], 150),
        ([{"hio": {"iterations": 300, "support": {"every": 200}}}, {"er": {"iterations": 25}}], 82),
        (None, 175),  # a stage of the default recipe ends soon after its quarter
    ],
)
def test_half_a_support_breaks_the_symmetry_at_a_quarter(recipe: list[Any] | None, twin_after: int) -> None:
    settings = PhaseSettings.model_validate({} if recipe is None else {"recipe": recipe})
    stages = build_stages(settings)
    at = [stage.has_half_support for stage in stages].index(True)
    assert sum(stage.iterations for stage in stages[:at]) == twin_after
    assert sum(stage.has_half_support for stage in stages) == 1
    total = sum(step.step.iterations for step in settings.recipe)
    assert sum(stage.iterations for stage in stages if not stage.has_half_support) == total
    without = build_stages(settings.model_copy(update={"twin": False}))
    assert [stage.shrink_wrap for stage in stages if stage.shrink_wrap] == [
        stage.shrink_wrap for stage in without if stage.shrink_wrap
    ]


def test_a_support_that_is_never_updated_is_reported() -> None:
    recipe = [{"hio": {"iterations": 20}}, {"er": {"iterations": 30}}, {"er": {"iterations": 5, "support": None}}]
    sentences = support_update_warnings(PhaseSettings.model_validate({"recipe": recipe}))
    assert sentences == [
        "step 1 of the recipe (hio) does not update the support: its 20 iterations are fewer than support.every, 25"
    ]
    assert not support_update_warnings(PhaseSettings())


def test_progress_reaches_the_total() -> None:
    reported: list[tuple[int, int]] = []
    phase(
        measured(),
        PhaseSettings.model_validate(QUICK | {"starts": 1, "keep": 1}),
        0,
        progress=lambda step, total, **metrics: reported.append((step, total)),
    )
    assert [step for step, _ in reported] == sorted(step for step, _ in reported)
    assert reported[-1][0] == reported[-1][1]


def test_stagnated_and_collapsed_starts_are_classified() -> None:
    def outcome(llk: float, free: float, filled: float = 0.05) -> StartOutcome:
        return classify_start({"llk": llk, "llk_free": free, "support": filled}, 2.0, 3.0, 1000)

    assert outcome(2.1, 3.2) is StartOutcome.CONVERGED
    assert outcome(7.0, 9.0) is StartOutcome.STAGNATED
    assert outcome(2.1, 9.0) is StartOutcome.CONVERGED  # a few bright islands alone do not decide
    assert outcome(2.0, 3.0, 0.7) is StartOutcome.COLLAPSED
    assert outcome(2.0, 3.0, 0.001) is StartOutcome.COLLAPSED
    assert outcome(float("nan"), float("nan")) is StartOutcome.COLLAPSED
    assert all(str(outcome.value).endswith(".") for outcome in StartOutcome)


def test_a_start_that_stagnates_is_not_combined() -> None:
    """It correlates with the crystal, and is left out by its likelihood alone."""
    rng = np.random.default_rng(0)
    spoiled = crystal() * np.exp(0.5j * rng.normal(size=SHAPE))
    assert align(spoiled, crystal(), ramp=False).correlation > 0.85
    barely = {"recipe": [{"er": {"iterations": 1}}], "refine": {"iterations": 0}, "starts": 2, "keep": 2, "twin": False}
    given = np.stack([crystal(), spoiled]).astype(np.complex64)
    result = phase(measured(), PhaseSettings.model_validate(QUICK | barely), 0, initial=InitialStarts(2, lambda: given))
    assert [row["outcome"] for row in result.solutions] == ["CONVERGED", "STAGNATED"]
    assert [row["kept"] for row in result.solutions] == [True, False]
    assert len(result.ensemble) == result.numbers["stagnated"] == 1


@pytest.mark.parametrize(
    ("counts", "weights", "message"),
    [
        (np.zeros((4, 4, 4)), np.ones((4, 4, 4)), "no counts"),
        (np.full((4, 4, 4), -1.0), np.ones((4, 4, 4)), "not negative"),
        (np.ones((4, 4, 4)), np.zeros((4, 4, 4)), "no counts"),
        (np.ones((4, 4, 4)), np.ones((4, 4, 5)), "one shape"),
    ],
)
def test_data_without_counts_are_refused(counts: np.ndarray, weights: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        DiffractionData(counts, weights)


def test_counts_of_bad_pixels_are_ignored() -> None:
    counts = np.ones((4, 4, 4))
    counts[0, 0, 0] = np.nan
    weights = np.ones((4, 4, 4))
    weights[0, 0, 0] = 0
    DiffractionData(counts, weights)


def test_a_recipe_survives_dumping_and_parsing() -> None:
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


def test_the_first_support_of_an_initial_density_is_that_of_the_object() -> None:
    inside = np.zeros((32, 32, 32), bool)
    inside[13:19, 12:20, 14:19] = True
    rng = np.random.default_rng(0)
    faint = 0.02 * (rng.normal(size=inside.shape) + 1j * rng.normal(size=inside.shape))  # as of resampling
    begun = init_state_from_density((inside + faint).astype(np.complex64), jax.random.key(0), 0.2)
    support = np.asarray(begun.support) > 0
    assert support[inside].mean() > 0.9
    assert support.sum() < 2.5 * inside.sum()  # a rim of about a voxel


def test_a_crystal_is_recovered_from_coarse_to_fine() -> None:
    truth = crystal()
    steps = [{"hio": {"iterations": 120, "band": 0.6}}, {"hio": {"iterations": 60}}, {"er": {"iterations": 20}}]
    recipe = {"recipe": steps, "starts": 2, "keep": 1, "refine": {"iterations": 20}}
    stages = build_stages(PhaseSettings.model_validate(recipe))
    assert {stage.band for stage in stages[:3]} == {0.6}
    assert stages[-1].band == 1
    result = phase(measured(), PhaseSettings.model_validate(recipe), 0)
    assert result.density.shape == truth.shape
    assert align(result.density, truth.astype(np.complex64)).correlation > 0.95


def test_a_recipe_that_ends_coarse_is_refused() -> None:
    with pytest.raises(ValidationError, match="must look at the whole array"):
        PhaseSettings.model_validate({"recipe": [{"er": {"iterations": 5, "band": 0.5}}]})


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """Checkpoint with a finished start in the pool and another one under way."""
    interrupter = Interrupter(12)
    with pytest.raises(Stopped):
        phase(
            measured(),
            PhaseSettings.model_validate(QUICK),
            0,
            should_stop=interrupter.should_stop,
            save_checkpoint=interrupter.save_checkpoint,
        )
    return interrupter.saved[-1]


def test_arrays_of_a_checkpoint_are_named_by_their_fields(checkpoint: Checkpoint) -> None:
    assert {"pool/0/density", "projections/iterate", "projections/point_spread/sigmas"} <= checkpoint.arrays.keys()


def test_arrays_are_restored_by_name_in_any_order(checkpoint: Checkpoint) -> None:
    """Arrays of one shape, exchanged in the file's order, come back to their own fields."""
    shuffled = Checkpoint(checkpoint.step, dict(reversed(checkpoint.arrays.items())), checkpoint.metadata)
    state, done = from_checkpoint(shuffled)
    assert state.projections is not None
    np.testing.assert_array_equal(state.projections.iterate, checkpoint.arrays["projections/iterate"])
    np.testing.assert_array_equal(state.projections.dual, checkpoint.arrays["projections/dual"])
    np.testing.assert_array_equal(state.pool[0].density, checkpoint.arrays["pool/0/density"])
    assert done == checkpoint.metadata["done"]
    assert [start.number for start in state.pool] == checkpoint.metadata["pool"]


@pytest.mark.parametrize("least", [np.inf, 0.25])
def test_the_least_deviance_of_a_refinement_is_restored(checkpoint: Checkpoint, least: float) -> None:
    state = from_checkpoint(checkpoint)[0]
    assert state.projections is not None
    density = jnp.asarray(checkpoint.arrays["pool/0/density"], jnp.complex64)
    spread = state.projections.point_spread
    refined = RefinementState(density, jnp.ones(density.shape), spread, density, density)
    state.refining = RefinementUnderWay("a", refined, refined, least, 0, 1)
    arrays, metadata = to_checkpoint(state, 3)
    restored = from_checkpoint(Checkpoint(3, arrays, json.loads(json.dumps(metadata, allow_nan=False))))[0].refining
    assert restored is not None
    assert restored.least == least


def test_metadata_of_the_caller_are_ignored(checkpoint: Checkpoint) -> None:
    added = Checkpoint(checkpoint.step, checkpoint.arrays, checkpoint.metadata | {"stage": "start"})
    assert from_checkpoint(added)[1] == checkpoint.metadata["done"]


@pytest.mark.parametrize("name", ["projections/dual", "pool/0/support", "projections/point_spread/background"])
def test_a_checkpoint_without_an_array_is_refused_by_name(checkpoint: Checkpoint, name: str) -> None:
    arrays = {key: array for key, array in checkpoint.arrays.items() if key != name}
    with pytest.raises(DataError, match=f"{name} is missing.*--force"):
        phase(
            measured(),
            PhaseSettings.model_validate(QUICK),
            0,
            checkpoint=Checkpoint(checkpoint.step, arrays, checkpoint.metadata),
        )


def test_a_checkpoint_with_an_unknown_array_is_refused_by_name(checkpoint: Checkpoint) -> None:
    arrays = checkpoint.arrays | {"projections/momentum": np.zeros(3)}
    with pytest.raises(DataError, match=r"projections/momentum is not known.*--force"):
        from_checkpoint(Checkpoint(checkpoint.step, arrays, checkpoint.metadata))


def test_a_checkpoint_with_arrays_by_position_is_refused(checkpoint: Checkpoint) -> None:
    """Checkpoints of unflat before names were stored."""
    positional = {f"course/{i}": array for i, array in enumerate(checkpoint.arrays.values())}
    metadata = {"table": [], "leg": 0, "skipped": 0, "pool": [], "refined": [], "course": True, "done": 0}
    with pytest.raises(DataError, match=r"next_stage is missing.*another version.*--force"):
        from_checkpoint(Checkpoint(checkpoint.step, positional, metadata))
