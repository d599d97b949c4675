"""Training on simulated specimens: the wait for the first of them is told, and counts as an advance of the run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.errors import Stopped
from unflat.recon.optimize.simulated_dataset import SimulatedDataset, WorkerPool
from unflat.recon.optimize.simulated_training import _await_first
from unflat.recon.runs import RunContext, RunFolder


def _simulate(shard: int) -> dict[str, np.ndarray]:
    return {"truths": np.full(3, shard)}


def test_each_shard_of_the_first_steps_is_told_and_a_stop_between_them_is_heard(tmp_path: Path) -> None:
    dataset = SimulatedDataset(tmp_path / "specimens", 3, _simulate, ("truths",))
    dataset.folder.mkdir()
    dataset.make(0)
    workers = WorkerPool.__new__(WorkerPool)  # Without processes: the shard is made while it is waited for.
    workers._shards = []
    steps: list[tuple[int, int]] = []

    def should_stop() -> str | None:
        if dataset.has(1):
            return "time limit of 1 s reached"
        dataset.make(1)
        return None

    def progress(step: int, total: int, **metrics: Any) -> None:
        steps.append((step, total))

    with RunFolder.create(tmp_path / "RUN", fingerprint={}) as folder:
        context = RunContext(None, folder, progress=progress, should_stop=should_stop)
        with pytest.raises(Stopped, match="time limit of 1 s reached: stopped before the first step"):
            _await_first(context, dataset, workers)
        assert steps == [(1, 3), (2, 3)]
        dataset.make(2)
        _await_first(context, dataset, workers)
    assert steps == [(1, 3), (2, 3)]  # Nothing is waited for, as after a resumption.
