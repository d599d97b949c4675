"""Further search on a curve with wide gaps: where it begins, what it adds, and how it goes on after a stop."""

import json
from typing import Any

import numpy as np
import pytest

from unflat.physics.diffraction.frame_amplitudes import frame_amplitudes
from unflat.recon.errors import Stopped
from unflat.recon.phase_retrieval import further_search, renewed_projections
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.lost_frames import fill_gaps
from unflat.recon.phase_retrieval.pattern import to_device_pattern
from unflat.recon.phase_retrieval.pipeline import phase
from unflat.recon.phase_retrieval.settings import PhaseSettings
from unflat.recon.phase_retrieval.stages import Stage
from unflat.recon.runs.checkpoint import Checkpoint

COUNT = 16
EVEN = np.stack([np.arange(COUNT) - COUNT // 2, np.zeros(COUNT), np.zeros(COUNT)], axis=1)
SETTINGS = PhaseSettings.model_validate(
    {"recipe": [{"er": {"iterations": 20}}], "starts": 2, "keep": 1, "refine": {"iterations": 5, "margin": 0}}
)


def measured(lost: list[int]) -> DiffractionData:
    """Counts of a small crystal, some of whose frames were lost, and others measured twice."""
    z, y, x = np.meshgrid(*[np.arange(COUNT) - COUNT // 2] * 3, indexing="ij")
    density = ((np.abs(z) <= 2) & (np.abs(y) <= 2) & (np.abs(x + y) <= 3)) * np.exp(0.2j * z * x)
    again = np.array([5, 9, 11][: len(lost)], int)
    frames = np.sort(np.concatenate([np.delete(np.arange(COUNT), np.array(lost, int)), again]))
    amplitudes = frame_amplitudes(density * np.sqrt(1e6 / np.sum(np.abs(density) ** 2) / density.size), EVEN[frames])
    counts = np.random.default_rng(0).poisson(np.abs(amplitudes) ** 2).astype(float)
    return DiffractionData(counts, np.ones(counts.shape, np.float32), positions=EVEN[frames] if lost else None)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search on whatever the result explains, with few and short rounds."""
    monkeypatch.setattr(further_search, "UNEXPLAINED", 0.0)
    monkeypatch.setattr(further_search, "ROUNDS", 2)
    short = (Stage("er", 0.7, 10, False, shrink_wrap=(1.0, 0.25)),)
    for module in (further_search, renewed_projections):
        monkeypatch.setattr(module, "STAGES", short)


def test_the_longest_array_holds_the_measured_frames_on_the_same_voxels() -> None:
    pattern = to_device_pattern(measured([3, 4, 12]), 0.0, 0)
    longest = fill_gaps(pattern, 1.5)
    assert len(longest.counts) == 24
    assert longest.positions is not None
    own, stated = (np.asarray(one)[:, 0] for one in (longest.positions, pattern.positions))
    fitted = np.asarray(longest.fitted).any(axis=(1, 2))
    assert np.ptp(own[fitted]) == pytest.approx(1.5 * np.ptp(stated))  # A voxel is the array over the range of q.
    assert np.asarray(longest.counts).sum() == pytest.approx(float((pattern.counts * pattern.fitted).sum()), rel=1e-4)


@pytest.mark.usefixtures("quick")
def test_an_even_curve_is_not_searched_further() -> None:
    assert phase(measured([]), SETTINGS, 1).numbers["starts"] == 2


@pytest.mark.usefixtures("quick")
def test_a_stopped_search_goes_on_to_the_same_result() -> None:
    data, checkpoints, progress = measured([3, 4, 12]), [], []

    def save(step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        checkpoints.append(Checkpoint(step, arrays, json.loads(json.dumps(metadata))))

    def note(done: int, total: int, **metrics: float) -> None:
        assert done <= total
        progress.append(done)

    whole = phase(data, SETTINGS, 1, note, save_checkpoint=save)
    rows = whole.solutions
    assert [row["number"] for row in rows] == list(range(2 + 2 + 2))
    assert whole.numbers["llk_free"] <= 1.2 * min(row["llk_free"] for row in rows)
    first = next(one for one in checkpoints if "start 2" in one.metadata["results"])
    progress.clear()
    with pytest.raises(Stopped):
        phase(data, SETTINGS, 1, note, lambda: "asked" if len(progress) > 2 else None, first, save)
    resumed = phase(data, SETTINGS, 1, checkpoint=checkpoints[-1])
    np.testing.assert_array_equal(resumed.density, whole.density)
    assert resumed.numbers == whole.numbers


@pytest.mark.usefixtures("quick")
def test_a_resumed_run_that_does_not_search_again_drops_the_further_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another device the free likelihood may lie on the other side of the limit."""
    data, checkpoints = measured([3, 4, 12]), []

    def save(step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        checkpoints.append(Checkpoint(step, arrays, json.loads(json.dumps(metadata))))

    phase(data, SETTINGS, 1, save_checkpoint=save)
    assert max(checkpoints[-1].metadata["refined"]) >= 2
    monkeypatch.setattr(further_search, "UNEXPLAINED", np.inf)
    resumed = phase(data, SETTINGS, 1, checkpoint=checkpoints[-1])
    assert resumed.numbers["starts"] == 2
    assert len(resumed.solutions) == 2
