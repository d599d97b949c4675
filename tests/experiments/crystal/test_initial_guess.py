"""Initial guess of a crystal's fit, which must not depend on withheld pixels."""

import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.initial_guess import find_initial_guess
from unflat.recon.experiments.crystal.laboratory import LaboratoryFrame, Solution, to_laboratory
from unflat.recon.experiments.crystal.output import MeasurementModel, write_volume_file
from unflat.recon.experiments.crystal.preprocess import PreprocessedScan, preprocess

SHAPE = (24, 28, 32)


def config(seed: int = 0, **sections: Any) -> CrystalSettings:
    return CrystalSettings.model_validate({"kind": "crystal", "device": "cpu", "seed": seed, **sections})


@cache
def measured() -> Acquisition:
    """Counts of a small cuboid crystal."""
    z, y, x = (np.sinc((np.arange(n) - n // 2) / 2.8) ** 2 for n in SHAPE)
    mean = 2e4 * z[:, None, None] * y[:, None] * x + 0.02
    counts = np.random.default_rng(0).poisson(mean).astype(np.float32)
    return Acquisition("crystal", {"images": counts}, "scan.h5")


def write_run(settings: CrystalSettings, scan: PreprocessedScan, path: Path) -> Path:
    """Write the volume file of a run that withheld the pixels that the settings choose."""
    support = np.zeros(SHAPE, bool)
    support[8:16, 10:18, 12:20] = True
    solution = Solution(support.astype(np.complex64), support)
    free = scan.data.free_pixels(settings.phase.free, settings.seed)
    measurement = MeasurementModel(np.ones((1, 1, 1)), 0.0, scan.good, scan.exposure, free, scan.crop_box.first)
    provenance = {"config": settings.model_dump(mode="json")}
    write_volume_file(
        path, to_laboratory(solution, LaboratoryFrame()), solution, LaboratoryFrame(), measurement, provenance
    )
    return path


@pytest.mark.parametrize(
    ("run", "warned"),
    [
        ({}, False),
        ({"seed": 1}, True),
        ({"phase": {"free": 0.02}}, True),
        ({"phase": {"free": 0.1}}, False),  # islands are added in one order: these hold the others
        ({"acquisition": {"frames": "0:24"}}, True),
        ({"acquisition": {"centre": [16, 14, 16], "crop": [24, 28, 32]}}, True),
    ],
)
def test_a_start_that_was_fitted_to_withheld_pixels_is_logged(
    run: dict[str, Any], warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The pixels are compared: seed and fraction may be equal while box or mask differ."""
    before = config(**run)
    path = write_run(before, preprocess(before, measured()), tmp_path / "volume.h5")
    now = config(fit={"start": str(path)}, acquisition={"crop": "all"})
    with caplog.at_level(logging.WARNING, "unflat"):
        find_initial_guess(now, preprocess(now, measured()))
    assert ("does not say that it withheld the same pixels" in caplog.text) is warned


def test_a_mask_that_grew_moves_the_withheld_pixels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, 3] = 1
    path = write_run(config(), preprocess(config(), measured()), tmp_path / "volume.h5")
    masked = Acquisition("crystal", {**measured().arrays, "mask": mask}, "scan.h5")
    now = config(fit={"start": str(path)})
    with caplog.at_level(logging.WARNING, "unflat"):
        find_initial_guess(now, preprocess(now, masked))
    assert "does not say that it withheld the same pixels" in caplog.text


def test_a_blind_start_does_not_depend_on_withheld_pixels() -> None:
    settings = config(fit={"start": "none"}, phase={"free": 0.2})
    scan = preprocess(settings, measured())
    free = scan.data.free_pixels(0.2, 0)
    spoiled = np.where(free, 1e5, scan.counts).astype(np.float32)
    other = PreprocessedScan(**{**vars(scan), "counts": spoiled})
    one, two = find_initial_guess(settings, scan), find_initial_guess(settings, other)
    np.testing.assert_array_equal(one.density, two.density)
