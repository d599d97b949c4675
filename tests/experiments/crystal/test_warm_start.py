"""Phasing with one start more, which has the density of another scan."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.preprocess import preprocess
from unflat.recon.experiments.crystal.warm_start import former_density
from unflat.recon.experiments.run import RunOptions, run_method
from unflat.recon.runs import RunFolder
from unflat.recon.runs.context import RunContext

SHAPE = (24, 28, 32)
CONFIG = {
    "kind": "crystal",
    "device": "cpu",
    "phase": {
        "recipe": [{"hio": {"iterations": 20, "support": {"every": 10}}}, {"er": {"iterations": 10}}],
        "starts": 2,
        "keep": 1,
        "network_starts": 0,
        "refine": {"iterations": 10, "margin": 0},
    },
    "predict": {"recipe": [{"er": {"iterations": 10}}], "refine": False},
}


def measured(shape: tuple[int, ...] = SHAPE, level: float = 2e4, fringe: float = 2.8) -> Acquisition:
    """Counts of a small cuboid crystal whose fringes have a given width [pixel]."""
    z, y, x = (np.sinc((np.arange(n) - n // 2) / fringe) ** 2 for n in shape)
    mean = level * z[:, None, None] * y[:, None] * x + 0.02
    return Acquisition("crystal", {"images": np.random.default_rng(0).poisson(mean).astype(np.float32)}, "scan.h5")


def phase(run: Path, scan: Acquisition, warm_start: Path | None = None, **more: Any) -> dict[str, float]:
    settings = CrystalSettings.model_validate(CONFIG)
    return dict(
        run_method("phase", settings, scan, RunOptions(run, report=False, warm_start=warm_start, **more)).numbers
    )


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("former") / "scan_1"
    assert "warm_start_kept" not in phase(run, measured())
    assert not (run / "former.h5").exists()
    return run


def test_the_density_of_a_former_scan_is_one_start_beside_fewer_others(former: Path, tmp_path: Path) -> None:
    numbers = phase(tmp_path / "scan_2", measured(level=5e4), former)
    assert numbers["starts"] == 2
    assert numbers["warm_start_kept"] == 1
    assert "the density of scan_1" in (tmp_path / "scan_2" / "run.log").read_text("utf-8")
    written = (tmp_path / "scan_2" / "former.h5").stat().st_mtime_ns
    again = phase(tmp_path / "scan_2", measured(level=5e4), tmp_path / "removed", resume=True)
    assert again["llk"] == pytest.approx(numbers["llk"]), "a run that goes on begins with its own copy"
    assert (tmp_path / "scan_2" / "former.h5").stat().st_mtime_ns == written
    assert "warm_start_kept" not in phase(tmp_path / "scan_2", measured(level=5e4), force=True), "it is removed"


def test_a_former_scan_of_another_shape_or_crystal_or_without_a_result_is_left_out(
    former: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    settings = CrystalSettings.model_validate(CONFIG)
    others = ((measured((24, 28, 28)), former), (measured(fringe=5), former), (measured(), tmp_path / "empty"))
    for number, (scan, other) in enumerate(others):
        with RunFolder.create(tmp_path / str(number)) as folder, caplog.at_level(logging.INFO, "unflat"):
            context = RunContext(settings, folder, scan, warm_start=other)
            assert former_density(preprocess(settings, scan), context) is None
        assert "cold start" in caplog.text
        caplog.clear()
