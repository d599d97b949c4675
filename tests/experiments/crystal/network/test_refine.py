"""A network's answer through the physics: a good one is left alone, a bad one is not the last word."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.errors import DataError, Stopped
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.network.refine import needs_random_starts, refine_samples
from unflat.recon.phase_retrieval.align import align
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.result import NoObjectError, PhasingResult
from unflat.recon.runs import RunContext, RunFolder

SHAPE = (28, 26, 24)
SETTINGS: dict[str, Any] = {
    "kind": "crystal",
    "phase": {
        "recipe": [{"hio": {"iterations": 150}}, {"er": {"iterations": 20}}],
        "refine": {"iterations": 60, "margin": 0},
    },
    "predict": {"recipe": [{"er": {"iterations": 20}}], "starts": 3},
}


def crystal() -> np.ndarray:
    """A cut block with a phase, centred, of 1e7 counts."""
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in SHAPE], indexing="ij")
    inside = (np.abs(z) <= 4) & (np.abs(y + 0.4 * x) <= 4) & (np.abs(x) <= 3) & (z + y + x < 6)
    density = inside * np.exp(1j * (0.3 * np.sin(0.5 * z) + 0.05 * x * y))
    return np.asarray(density * np.sqrt(1e7 / (np.sum(np.abs(density) ** 2) * density.size))).astype(np.complex64)


def wrong() -> np.ndarray:
    """Something else: a smaller block of random phases."""
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in SHAPE], indexing="ij")
    inside = (np.abs(z) <= 1) & (np.abs(y) <= 1) & (np.abs(x) <= 9)
    angles = np.random.default_rng(0).uniform(-np.pi, np.pi, SHAPE)
    return (inside * np.exp(1j * angles) * np.abs(crystal()).max()).astype(np.complex64)


def run(
    folder: Path, answer: np.ndarray, starts: int = 3, stop: Callable[[], str | None] = lambda: None
) -> tuple[PhasingResult, float]:
    """Refine an answer; also the correlation of the result with the crystal."""
    counts = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(crystal())))) ** 2
    measured = DiffractionData(np.random.default_rng(0).poisson(counts).astype(float), np.ones(SHAPE, np.float32))
    settings = CrystalSettings.model_validate(SETTINGS)
    settings = settings.model_copy(update={"predict": settings.predict.model_copy(update={"starts": starts})})
    with RunFolder.create(folder, resume=folder.exists()) as place:
        result = refine_samples(settings, measured, answer[None], RunContext(None, place, should_stop=stop))
    return result, align(result.density, crystal(), ramp=False, scale=False).correlation


def test_a_good_answer_needs_no_starts(tmp_path: Path) -> None:
    result, correlation = run(tmp_path / "run", crystal())
    assert correlation > 0.98
    assert "starts_beside" not in result.numbers
    assert len(result.solutions) == 1


def test_starts_beside_a_bad_answer_find_the_crystal_also_after_a_stop(tmp_path: Path) -> None:
    alone, correlation = run(tmp_path / "alone", wrong(), starts=0)
    assert correlation < 0.9
    assert needs_random_starts(alone.numbers)
    result, correlation = run(tmp_path / "whole", wrong())
    assert correlation > 0.98
    assert result.numbers["starts_beside"] == 3
    assert result.numbers["answer_kept"] == 0
    asked = iter([None] * 25 + ["enough"] * 1000)
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", wrong(), stop=lambda: next(asked))
    steps = [int(file.stem[5:]) for file in (tmp_path / "stopped" / "checkpoint").glob("step-*.h5")]
    assert max(steps) > 20 + 2 * 60  # beyond the answer
    again, _ = run(tmp_path / "stopped", wrong())
    np.testing.assert_array_equal(again.density, result.density)
    rows = (tmp_path / "stopped" / "metrics.jsonl").read_text("utf-8").splitlines()
    assert len(rows) == 1 + 3


def test_an_answer_outlives_added_starts_that_find_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*arguments: Any) -> PhasingResult:
        raise NoObjectError("no start found an object")

    monkeypatch.setattr("unflat.recon.experiments.crystal.network.refine._phase_starts", nothing)
    alone, _ = run(tmp_path / "alone", wrong(), starts=0)
    result, _ = run(tmp_path / "run", wrong())
    np.testing.assert_array_equal(result.density, alone.density)
    assert result.numbers["starts_beside"] == 3
    assert result.numbers["answer_kept"] == 1


def test_a_full_disk_is_not_taken_for_an_answer_that_fell_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise DataError("no space left on the disk")

    monkeypatch.setattr(RunFolder, "save_checkpoint", full)
    with pytest.raises(DataError, match="no space left"):
        run(tmp_path / "run", crystal())


def test_an_answer_that_explains_too_little_needs_random_starts() -> None:
    assert not needs_random_starts({"llk": 1.0, "llk_free": 1.9, "chi_rms": 0.2})  # few counts
    # Many counts, and a model that is near.
    assert not needs_random_starts({"llk": 7.0, "llk_free": 10.0, "chi_rms": 0.02})
    assert not needs_random_starts({"llk": 1.0, "chi_rms": 0.02})  # no pixel is withheld
    assert needs_random_starts({"llk": 1.0, "llk_free": 2.1, "chi_rms": 0.02})
    assert needs_random_starts({"llk": 30.0, "llk_free": 40.0, "chi_rms": 0.1})
    assert needs_random_starts({"llk": 1.0, "llk_free": float("nan"), "chi_rms": 0.02})
