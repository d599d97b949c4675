"""Large fields of view: their cut into tiles, and the fit of the tiles as one model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unflat
from unflat.cli.main import run
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError, Stopped
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.estimate import choose_tiling, estimate
from unflat.recon.experiments.cell.geometry import geometry_of
from unflat.recon.experiments.cell.tiling import Tiling, _cut_axis, cut_field, reach_of
from unflat.recon.experiments.cell.verdict import assess
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.run import RunOptions, run_method
from unflat.recon.frame import ModelFrame
from unflat.recon.io.write import write
from unflat.recon.runs import StopRequest

CONFIG = """
kind: cell
device: cpu
volume: {depth: 2 um}
physics: {absorption: false}
fit: {steps: 30, batch: 4, withheld: 0.2, sign: nonnegative, field: voxels, checkpoint_every: 0.01 s}
simulate:
  shape: [24, 56]
  depth: 2 um
  specimen: cluster
  radius: 1.5 um
  photons: 50000
  illumination: {count: 8, na: 0.4}
"""


@pytest.fixture(scope="module")
def acquisition() -> Acquisition:
    return get_experiment("cell").simulate(parse_config(CONFIG), unflat.recon.runs.context.silent)


@pytest.fixture(scope="module")
def scan(acquisition: Acquisition, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a small acquisition, wider than high, and its config."""
    folder = tmp_path_factory.mktemp("field")
    (folder / "run.yaml").write_text(CONFIG)
    write(acquisition, get_experiment("cell").schema, folder / "scan.h5")
    return folder


def fit(acquisition: Acquisition, output: Path, stop: StopRequest | None = None, **options: Any) -> dict[str, float]:
    """Fit without a report; numbers of the result."""
    config: Any = parse_config(CONFIG)
    resume = options.pop("resume", False)
    changed = config.model_copy(update={"fit": config.fit.model_copy(update=options)})
    outcome = run_method("fit", changed, acquisition, RunOptions(output, report=False, resume=resume), stop=stop)
    return dict(outcome.numbers)


class TestCuts:
    @settings(deadline=None, max_examples=200)
    @given(st.integers(40, 900), st.integers(2, 9), st.integers(2, 80), st.floats(0.1, 1.0))
    def test_every_pixel_is_one_tiles_own_and_its_windows_sum_to_one(
        self, count: int, number: int, overlap: int, share: float
    ) -> None:
        cuts = _cut_axis(count, number, overlap, share * overlap / 2)
        if isinstance(cuts, str):
            return
        tiling = Tiling(cuts, cuts, 1.0)
        cores = [range(count)[cuts.core(i)] for i in range(number)]
        assert [pixel for core in cores for pixel in core] == list(range(count))
        middles, total = np.arange(count) + 0.5, np.zeros(count)
        frame = ModelFrame((0.0, 0.0, 0.0), (1.0, float(count), float(count)))
        for i in range(number):
            window = tiling.tile(i, frame).along(2, middles)
            piece = cuts.pixels(i)
            window[: piece.start], window[piece.stop :] = 0, 0  # Beyond its own box a tile has no value.
            total += window
            assert not window[piece][~cuts.undisturbed(i)].any()
            assert (window[cuts.core(i)] >= 0.5 - 0.5 / cuts.width - 1e-9).all()
        np.testing.assert_allclose(total, 1, atol=1e-9)

    def test_the_overlap_follows_from_the_reach_of_the_light(self, acquisition: Acquisition) -> None:
        config: Any = parse_config(CONFIG)
        geometry = geometry_of(config, acquisition)
        sine = 0.65 / 1.333
        expected = 1e-6 * sine / np.sqrt(1 - sine**2) + 0.532e-6 / 0.65
        assert reach_of(acquisition, geometry) == pytest.approx(expected, rel=0.06)  # Slices fill 2 um up to 5 %.
        tiling = cut_field((1, 2), config, acquisition, geometry)
        assert tiling.overlap == pytest.approx(2 * expected + 2 * 0.532e-6 / 0.65, rel=0.06)

    def test_auto_takes_one_piece_or_the_fewest_tiles_that_fit(self, acquisition: Acquisition) -> None:
        config: Any = parse_config(CONFIG)
        wide = replace(
            acquisition,
            arrays={**acquisition.arrays, "images": np.broadcast_to(np.float32(1), (8, 600, 1200))},
        )
        geometry = geometry_of(config, wide)
        assert choose_tiling(config, wide, geometry) is None
        whole = estimate(config, wide).memory_bytes
        tiling = choose_tiling(config, wide, geometry, int(0.7 * whole))
        assert tiling is not None
        assert tiling.counts == (1, 2)
        fewest = choose_tiling(config, wide, geometry, 1)
        assert fewest is not None  # Nothing fits: the fit is refused by the least that it can do with.
        assert len(fewest) > 2


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("fit.tiles=[1,30]", "use fewer tiles along x"),
            ("fit.tiles=[2,2]", "larger than a tile"),
            ("fit.tiles=[0,1]", "greater than or equal to 1"),
            ("fit.tiles=[2]", "fit.tiles"),
            ("fit.tiles=many", "fit.tiles"),
            ("fit.tile_overlap=-1 um", "fit.tile_overlap"),
        ],
    )
    def test_impossible_tiles_are_refused_by_check(
        self, scan: Path, capsys: pytest.CaptureFixture[str], change: str, message: str
    ) -> None:
        overlap = ["--set", "fit.tile_overlap=5 um"] if change == "fit.tiles=[2,2]" else []
        assert run(["check", str(scan / "run.yaml"), str(scan / "scan.h5"), "--set", change, *overlap]) == 2
        assert message in capsys.readouterr().err

    def test_a_crystal_has_no_tiles(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "run.yaml").write_text("kind: crystal\nfit: {tiles: [2, 2]}\n")
        assert run(["check", str(tmp_path / "run.yaml")]) == 2
        assert "fit.tiles" in capsys.readouterr().err

    def test_a_turning_specimen_cannot_be_cut(self, acquisition: Acquisition) -> None:
        config: Any = parse_config(CONFIG)
        turning = replace(acquisition, arrays={**acquisition.arrays, "rotation": np.tile(np.eye(3), (8, 1, 1))})
        with pytest.raises(ConfigError, match="turning"):
            cut_field((1, 2), config, turning, geometry_of(config, turning))

    def test_check_tells_the_tiles(self, scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["check", str(scan / "run.yaml"), str(scan / "scan.h5"), "--set", "fit.tiles=[1,2]"]) == 0
        assert "2 tiles (1 x 2, y x) of 24 x" in capsys.readouterr().out


@pytest.mark.parametrize("numbers", [{"seam_ratio": 0.9, "overlap_over_reach": 1.4}, {"overlap_over_reach": 0.2}])
def test_tiles_that_disagree_or_hardly_overlap_are_doubted(numbers: dict[str, float]) -> None:
    assert [reason.name for reason in assess(numbers)] == ["seams"]
    assert assess({"seam_ratio": 0.5, "overlap_over_reach": 1.4}) == []


class _StopInSecondTile(StopRequest):
    """Request to stop that comes when the second tile has its first checkpoint."""

    def __init__(self, run: Path) -> None:
        super().__init__(None)
        self.run = run

    @property
    def reason(self) -> str | None:
        return "test" if len(list(self.run.glob("checkpoint/tile-*"))) == 2 else None


@pytest.mark.slow
def test_tiles_give_the_model_of_one_piece_and_a_resumed_fit_the_same(acquisition: Acquisition, tmp_path: Path) -> None:
    one = fit(acquisition, tmp_path / "one", tiles="none")
    tiled = fit(acquisition, tmp_path / "tiled", tiles=(1, 2))
    assert tiled["tiles"] == 2
    assert tiled["seam_ratio"] < 0.5
    assert tiled["overlap_over_reach"] > 1
    assert tiled["snr"] > one["snr"] - 0.5
    whole, parts = (unflat.load(tmp_path / name) for name in ("one", "tiled"))
    axes = whole.grid().axes
    difference, contrast = whole.sample(*axes) - parts.sample(*axes), whole.sample(*axes) - whole.background()
    assert np.sqrt(np.mean(difference**2)) < 0.3 * np.sqrt(np.mean(contrast**2))

    # Stopped in the second tile: the first is not fitted again, and the result is the same.
    again = tmp_path / "again"
    with pytest.raises(Stopped, match="of tile 2 of 2"):
        fit(acquisition, again, _StopInSecondTile(again), tiles=(1, 2))
    stored = {file: file.stat().st_mtime_ns for file in again.glob("checkpoint/tile-*/step-*30.h5")}
    assert len(stored) == 1
    resumed = fit(acquisition, again, tiles=(1, 2), resume=True)
    assert {file: file.stat().st_mtime_ns for file in stored} == stored
    assert resumed["residual_withheld"] == pytest.approx(tiled["residual_withheld"], rel=1e-5)
    steps = [json.loads(line)["step"] for line in (again / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 61))
    with pytest.raises(ConfigError, match="tiles"):
        fit(acquisition, again, tiles=(1, 3), resume=True)

    # More steps for both tiles: the course of the first stays when the second goes on.
    fit(acquisition, again, tiles=(1, 2), steps=32, resume=True)
    records = [json.loads(line) for line in (again / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [*range(1, 33), 63, 64]
    assert [record["fit"] for record in records] == [1] * 32 + [2] * 2
