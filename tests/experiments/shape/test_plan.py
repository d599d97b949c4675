"""Plan of shapes: spread of the volume, detail, pixels across a cell."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.shape.plan import PlannedSections, code_detail, plan, spread_error, volume_spread


def settings(*overrides: str) -> Any:
    return parse_config("kind: shape\n", overrides)


def discs(radius: float, pixel: float | None = 0.17e-6, count: int = 2) -> Acquisition:
    y, x = np.indices((64, 64)) - 31.5
    mask = np.broadcast_to((np.hypot(y, x) < radius).astype(np.float32), (count, 64, 64))
    arrays = {"images": mask * 100, "mask": mask}
    if pixel:
        arrays["voxel_size"] = np.full(3, pixel)
    return Acquisition("shape", arrays, "discs.h5")


def test_pixels_across_are_those_of_the_disc() -> None:
    planned = plan(settings(), discs(20))
    assert planned.number("diameter").value == pytest.approx(40 * 0.17e-6, rel=0.02)
    assert planned.number("pixels_across").value == pytest.approx(40, rel=0.02)
    assert not planned.warnings
    assert any("pixels across" in warning for warning in plan(settings(), discs(6)).warnings)
    assert any("trained on pixels" in warning for warning in plan(settings(), discs(20, 1e-6)).warnings)
    assert plan(settings(), discs(20, None)).number("pixel").unit == "voxels"


def test_the_spread_of_the_volume_is_that_of_drawn_heights() -> None:
    spreads = np.array([0.1, 0.3])
    sections = PlannedSections(64, 1e-7, "m", np.ones(2), spreads)
    heights = np.exp(np.random.default_rng(0).normal(-(spreads**2) / 2, spreads, (200_000, 2)))
    assert volume_spread(sections) == pytest.approx(np.sqrt(heights.var(axis=0).mean()), rel=0.02)
    assert volume_spread(replace(sections, height_spreads=np.zeros(0))) is None


def test_the_error_of_a_spread_is_that_of_few_draws() -> None:
    draws = np.random.default_rng(1).normal(size=(40_000, 12)).std(axis=1, ddof=1)
    assert spread_error(12) == pytest.approx(draws.std(), rel=0.03)
    assert spread_error(1) == np.inf


def test_the_detail_is_that_of_the_spline_of_the_code() -> None:
    sections = PlannedSections(128, 1e-7, "m", np.ones(1), np.ones(1))
    # 16 points across 12.8 um hold a period of two of their distances.
    assert code_detail(sections) == pytest.approx(2 * 12.8e-6 / 16)
    planned = plan(settings(), None)
    assert planned.number("volume_spread").value == pytest.approx(0.18, abs=0.1)
    assert {gain.before.name for gain in planned.gains} == {"volume_spread", "spread_error"}
